"""Secrets in JSON, in JSON within JSON and behind escapes go as they do in plain text, and JSON stays JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentos.memory.redaction import redact
from incidentos.memory.text import readings

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


H = "hunter2secretA"


@pytest.mark.parametrize(
    "text",
    [
        '{"p\\u0061ssword":"hunter2secretA"}',
        '{"m":"pass\\u0077ord=\\u0068unter2secretA"}',
        '{"m":"env:\\u000apassword\\u003dhunter2secretA\\u000aend"}',
        '{"log":"\\u001b[31mpassword\\u001b[0m=hunter2secretA\\u001b[0m"}',
        '{"name":"DB_PASSWORD","value":"hunter2secretA"}',
        '{"value":"hunter2secretA","name":"DB_PASSWORD"}',
        '{"Key":"db_password",\n "Value":"hunter2secretA"}',
        json.dumps(json.dumps([{"name": "SECRET_KEY_BASE", "value": H}])),
        json.dumps({"yaml": f"- name: DB_PASSWORD\n  value: {H}\n- name: X\n"}),
        json.dumps({"password": f'a"b\\{H}'}),
        json.dumps({"m": json.dumps({"password": f'a"b\\\n{H}'})}),
        json.dumps({"password": [H]}),
        json.dumps({"password": {"value": H}}),
        json.dumps({"dbPassword": H}),
        json.dumps({"args": ["--password", H]}),
        json.dumps({"Env": [f"DB_PASSWORD={H}", "A=b"]}),
        json.dumps({"h": f'\nCookie: a="{H}"'}),
        json.dumps({"xml": f"<password>{H}</password>"}),
        json.dumps({"k": f"-----BEGIN PRIVATE KEY-----\nMIIE{H}", "pod": "x"}),
        json.dumps({"k": ["-----BEGIN PRIVATE KEY-----", f"MIIE{H}", f"MIIF{H}"], "pod": "x"}),
        json.dumps({"secret": f"[redacted: x] {H}"}),
    ],
)
def test_a_payload_keeps_no_password_and_stays_json(text: str) -> None:
    """Names and values may be spelt with escapes, and a name and its value may be two fields of an entry."""
    redacted = redact(text)
    json.loads(redacted)
    assert no_part_of(H, redacted)
    assert redact(redacted) == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('{"secret": "cart 4711", "pod": "x"}', '{"secret": "[redacted: secret]", "pod": "x"}'),
        ("{'password': 'it\\'s mine', 'a': 1}", "{'password': '[redacted: secret]', 'a': 1}"),
        ('{\\"password\\": \\"hunter22\\"}', '{\\"password\\": \\"[redacted: secret]\\"}'),
        ('{"password": 12345678, "port": 5432}', '{"password": "[redacted: secret]", "port": 5432}'),
        ('{\\"password\\": -1.5e10}', '{\\"password\\": \\"[redacted: secret]\\"}'),
        ('{"password": true, "token": null}', '{"password": true, "token": null}'),
        ('{"a":"x\\npassword=hunter22\\nend"}', '{"a":"x\\npassword=[redacted: secret]\\nend"}'),
        ("PGPASSWORD='let me in' psql", "PGPASSWORD='[redacted: password]' psql"),
        ('password="cut off her', 'password="[redacted: secret]'),
        ("C:\\new\\" + AWS + "\\n", "C:\\new\\[redacted: AWS key]\\n"),
        ('{"a":"-----BEGIN PRIVATE KEY-----\\nMIIE","b":"c"}', '{"a":"[redacted: private key]","b":"c"}'),
    ],
)
def test_the_quotes_and_all_that_is_no_secret_stay_as_they_were_written(text: str, redacted: str) -> None:
    """What stands in the place of a secret has the secret's quotes, or its key's where it had none."""
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        '{"m":"the password:","n":"x"}',
        '[{"m": "the password="}, {"n": "x"}]',
        '{"cmd": "mysql -p" , "x": "y"}',
        '{"m":"token:", "k":[1, null, true, "x"]}',
        '{"m":"it\'s password=\'","n":"it\'s"}',
        '{"secret": "cart-tls", "namespace": "shop"}',
        "secret: shop/cart-tls",
        '{"secretName": "cart-tls"}',
        'kube_secret_info{secret="pay-db-credentials"}',
        '{"a": "\\u00e9\\ud83d\\ude00 C:\\\\temp\\\\new"}',
        "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: {name: db, key: password}",
    ],
)
def test_fields_beside_a_label_and_names_of_kubernetes_secrets_are_left_alone(text: str) -> None:
    """The next field is no value of a label that ends the last one; a Secret's name says what it holds, not what is in it."""
    assert redact(text) == text


@pytest.mark.parametrize("value", ["correct-horse-battery-staple", "hunter", "a8f3-k2j4-tls", "Cart-TLS"])
def test_what_may_be_a_password_is_not_taken_for_a_name(value: str) -> None:
    """Lower-case words of which the last says what a Secret holds are a name; in doubt it is redacted."""
    assert redact(json.dumps({"secret": value})) == '{"secret": "[redacted: secret]"}'
    assert value not in redact(json.dumps({"client_secret": "cart-tls", "secret": value}))


@given(st.text(alphabet="\\\"'nu0061 :,{}[]=passwordtoken<>@/-\n\x1b", max_size=80), st.integers(0, 2))
def test_json_of_any_text_is_still_json_and_redacting_it_twice_changes_nothing(text: str, depth: int) -> None:
    written = text
    for _ in range(depth + 1):
        written = json.dumps([written])
    once = redact(written)
    json.loads(once)
    assert redact(once) == once


def test_each_character_of_hostile_escapes_is_read_a_bounded_number_of_times() -> None:
    """However deep the escapes are nested, there are few readings of a text, and none is longer than the text."""
    for piece in (
        "\\",
        "\\\\n",
        "\\u005c",
        "\\u005cu005c",
        "\x1b[1m",
        '\\"password\\":\\"hunter22\\",',
        "password=\\'",
    ):
        text = piece * (100_000 // len(piece))
        found = readings(text)
        assert len(found) <= 6
        assert all(len(reading.text) <= len(text) for reading in found)
        redact(text)


@pytest.mark.parametrize(
    "piece",
    [
        "-----BEGIN PRIVATE KEY-----",
        '-----BEGIN PRIVATE KEY-----"',
        '"value":"',
        '"value":"x","name":"',
        "name: a.",
        "name:",
        "password='\"   ",
        'password="\\"',
        "password=\\\\\\\\",
        "mysql -p\\",
        "x-eyJ",
        "eyJ-",
        "a://b:c@",
        "@",
        '"token":[',
        "Cookie: \\",
        'Cookie: ="',
        "<password>",
        "secret: a-",
    ],
)
def test_hostile_json_takes_no_quadratic_time(piece: str) -> None:
    """200 KB made of one pattern's beginning are read through like any other text, behind escapes, too."""
    redact('\\n"' + piece * (200_000 // len(piece)))
