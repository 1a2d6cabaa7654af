"""Secrets never reach the disk, and prose is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentos.memory.redaction import redact

SECRETS = {
    "postgres://app:S3cr3t-pw@db.example:5432/app": "S3cr3t-pw",
    "redis://:hunter2@cache-1:6379/0": "hunter2",
    "Authorization: Bearer abcDEF0123456789abcDEF": "abcDEF0123456789abcDEF",
    'curl -H "Authorization: Basic dXNlcjpwYXNzd29yZA==" https://x': "dXNlcjpwYXNzd29yZA==",
    "AWS_ACCESS_KEY_ID=AKIA" + "ABCDEFGHIJKLMNOP": "AKIA" + "ABCDEFGHIJKLMNOP",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "wJalrXUtnFEMI/K7MDENG",
    "password: hunter": "hunter",
    "db:\n  password: correcthorse\n  user: app": "correcthorse",
    '{"password": "pa ss,word", "user": "x"}': "pa ss,word",
    "PGPASSWORD=letmein psql -h db": "letmein",
    "mysql -u root -pT0pSecret -h db": "T0pSecret",
    "redis-cli -h cache -a s3same info": "s3same",
    "curl -u admin:opensesame https://x": "opensesame",
    "GROQ_API_KEY=gsk_" + "a1B2" * 10: "gsk_" + "a1B2" * 10,
    "token ghp_" + "a1B2c3D4e5" * 4: "ghp_" + "a1B2c3D4e5" * 4,
    "xoxb-" + "123456789012-abcdefABCDEF": "xoxb-" + "123456789012-abcdefABCDEF",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl": "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQ\nabc\n-----END RSA PRIVATE KEY-----": "MIIEpAIBAAKCAQ",
    "-----BEGIN PRIVATE KEY-----\nMIIcutOffPaste": "MIIcutOffPaste",
    "client_secret='abc123def456'": "abc123def456",
    "mysql -u root -p'quoted pw' -h db": "quoted pw",
    "redis-cli -a 's3 same' info": "s3 same",
    "PGPASSWORD='let me in' psql": "let me in",
    "tool --password 'a b c' run": "a b c",
    "tool --token abcd1234 run": "abcd1234",
    "curl -uadmin:opensesame https://x": "opensesame",
    "docker login -u me -p hunter22 registry": "hunter22",
    "sshpass -p hunter22 ssh host": "hunter22",
    '{\\"password\\":\\"hunter22\\"}': "hunter22",
    "postgres://u:Pa55@w0rd@db/app": "w0rd",
    "postgres://u:p/aword@db/app": "p/aword",
    "https://abcdef0123456789abcd@git.example/x": "abcdef0123456789abcd",
    "AccountKey=abcd1234==;EndpointSuffix=x": "abcd1234",
    "https://x.example/c?sv=1&sig=abcdefghijkl0123456789%3D": "abcdefghijkl0123456789",
    "Cookie: session=abcdef123": "abcdef123",
    "ALTER USER a IDENTIFIED BY 'hunter22'": "hunter22",
    "requirepass hunter22": "hunter22",
    "password=$ecretReal": "$ecretReal",
    "password=abc1": "abc1",
}


@pytest.mark.parametrize(("text", "secret"), SECRETS.items())
def test_a_secret_is_replaced(text: str, secret: str) -> None:
    """What is secret by its shape or by its label goes, and a reader sees that something stood there."""
    assert secret not in redact(text)
    assert "[redacted: " in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Intermittent errors with app installation token generation",
        "The password reset page is slow; token authentication fails for everyone",
        "Password: resets fail for all users since 10:00",
        "basic authentication was disabled",
        "psql -h <db-host> -U app -c 'SELECT 1'",
        "export PGPASSWORD=$DB_PASSWORD",
        "token: <token>",
        "secret key rotation broke checkout",
        "https://status.example.com/incidents/42",
        "the key expired; api_key: expired",
        "kubectl get secret tls-cert -n shop",
        "sk-service-payments-prod-eu-central returns 503",
        "gsk-gateway-service-production-eu-west-1 is down",
        "docker pull https://registry:5000/team/app@sha256:0a1b",
    ],
)
def test_prose_and_placeholders_are_left_alone(text: str) -> None:
    """Words about secrets are not secrets."""
    assert redact(text) == text


def test_a_token_right_behind_another_is_redacted_too() -> None:
    assert redact("dop_v1_" + "0" * 60 + "ghp_" + "A" * 38) == "[redacted: DigitalOcean token][redacted: GitHub token]"


@given(st.text(max_size=300) | st.sampled_from(list(SECRETS)))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """A redacted text can be redacted again, as an import of an export does."""
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "piece",
    ["mysql ", "curl -u ", "eyJ-", "a.", "://", "-----BEGIN A ", "password ", "redis-cli ", "token=", "Bearer a"],
)
def test_hostile_text_takes_no_quadratic_time(piece: str) -> None:
    """200 KB made of one pattern's beginning are read through like any other text."""
    redact(piece * (200_000 // len(piece)))
