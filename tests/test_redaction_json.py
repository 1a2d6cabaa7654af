"""Secrets in JSON, in JSON within JSON and behind escapes go as they do in plain text, and JSON stays JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentos.memory.redaction import redact

GITHUB, STRIPE, AWS = (
    "ghp_0123456789abcdefghijABCDEFGHIJ0123",
    "sk_" + "live_0123456789abcdefABCDEF",
    "AKIA" + "ABCDEFGHIJKLMNOP",
)
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAz7q\nq0Zb3dG1QmVhYmNkZWY\n-----END RSA PRIVATE KEY-----"

# What somebody pastes, and the secret in it.
PASTED: dict[str, str] = {
    GITHUB: GITHUB,
    STRIPE: STRIPE,
    AWS: AWS,
    "glpat-0123456789abcdefABCD": "glpat-0123456789abcdefABCD",
    "xoxb-123456789012-abcdefABCDEF": "xoxb-123456789012-abcdefABCDEF",
    "AIza" + "0123456789abcdefghijABCDEFGHIJ01234": "AIza" + "0123456789abcdefghijABCDEFGHIJ01234",
    "gsk_" + "a1B2" * 10: "gsk_" + "a1B2" * 10,
    "npm_" + "a1B2" * 9: "npm_" + "a1B2" * 9,
    "hvs.0123456789abcdefghij": "hvs.0123456789abcdefghij",
    "dop_v1_" + "0a" * 32: "dop_v1_" + "0a" * 32,
    "SG.0123456789abcdef.0123456789abcdef": "SG.0123456789abcdef.0123456789abcdef",
    "whsec_0123456789abcdef": "whsec_0123456789abcdef",
    "https://discord.com/api/webhooks/123456/abcdefgh-ijkl": "api/webhooks/123456/abcdefgh-ijkl",
    "https://hooks.slack.com/services/T00000000/B00000000/abcdefgh": "services/T00000000/B00000000/abcdefgh",
    "hf_0123456789abcdefghij": "hf_0123456789abcdefghij",
    "123456789:AA0123456789abcdefghijABCDEFGHIJ": "123456789:AA0123456789abcdefghijABCDEFGHIJ",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl": "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    KEY: "MIIEpAIBAAKCAQEAz7q\nq0Zb3dG1QmVhYmNkZWY",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBGabcdefgh\n-----END PGP PRIVATE KEY BLOCK-----": "lQOYBGabcdefgh",
    "-----BEGIN PRIVATE KEY-----\nMIIcutOffPaste": "MIIcutOffPaste",
    "password=hunter2secretA": "hunter2secretA",
    "password: 'hunter2 secretA'": "hunter2 secretA",
    'password="hunter2 secretA"': "hunter2 secretA",
    'password = "hunter2\\"secretA"': "secretA",
    "db:\n  password: hunter2secretA\n  user: app": "hunter2secretA",
    "- name: DB_PASSWORD\n  value: hunter2secretA": "hunter2secretA",
    '- name: DB_PASSWORD\n  value: "hunter2 secretA"': "hunter2 secretA",
    "postgres://app:hunter2secretA@db.example/app": "hunter2secretA",
    "Authorization: Bearer abcDEF0123456789abcDEF": "abcDEF0123456789abcDEF",
    "PGPASSWORD='hunter2 secretA' psql": "hunter2 secretA",
    'PGPASSWORD="hunter2 secretA" psql': "hunter2 secretA",
    "PGPASSWORD=hunter2secretA psql": "hunter2secretA",
    'mysql -u root -p"hunter2 secretA" -h db': "hunter2 secretA",
    "mysql -u root -phunter2secretA": "hunter2secretA",
    "redis-cli -h cache -a hunter2secretA": "hunter2secretA",
    "docker login -u me -p hunter2secretA registry": "hunter2secretA",
    "curl -u admin:hunter2secretA https://x": "hunter2secretA",
    "Cookie: session=hunter2secretA": "hunter2secretA",
    "ALTER USER a IDENTIFIED BY 'hunter2secretA'": "hunter2secretA",
    "requirepass hunter2secretA": "hunter2secretA",
    "https://x.example/c?sv=1&sig=abcdefghijkl0123456789%3D": "abcdefghijkl0123456789%3D",
}  # fmt: skip


def no_part_of(secret: str, text: str) -> bool:
    return not any(secret[at : at + 9] in text for at in range(max(1, len(secret) - 8)))


def strings(value: Any, depth: int) -> list[str]:
    """Every string in it, those of JSON in strings as well."""
    if isinstance(value, str):
        if depth:
            return strings(json.loads(value), depth - 1)
        return [value]
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [found for part in parts for found in strings(part, 0 if part == "log" else depth)]


@given(
    pasted=st.sampled_from(list(PASTED)),
    before=st.sampled_from(["", "cannot clone:\n", "env:\r\n", "\t", "see ", '"', "\\", "\x1b[31m", "é\N{FIRE}\n", "C:\\new\\"]),
    after=st.sampled_from(["", "\nend", "\r\n", "\tnext", ' "so"', "\x1b[0m", " and so on"]),
    depth=st.integers(1, 3),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 2]),
)  # fmt: skip
def test_no_secret_stays_in_json_however_deep_and_it_is_still_json(
    pasted: str, before: str, after: str, depth: int, ascii_only: bool, indent: int | None
) -> None:
    """Of a secret of any known shape, in JSON in JSON in JSON, not nine characters in a row are kept; what was JSON still is."""
    text = before + pasted + after
    for _ in range(depth):
        text = json.dumps({"log": text, "pod": "cart-1"}, ensure_ascii=ascii_only, indent=indent)
    redacted = redact(text)
    assert redact(redacted) == redacted
    for _ in range(depth):
        assert no_part_of(PASTED[pasted], redacted)
        read = json.loads(redacted)
        assert read["pod"] == "cart-1"
        redacted = read["log"]
    assert no_part_of(PASTED[pasted], redacted)
    assert "[redacted: " in redacted
