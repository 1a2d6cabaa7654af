"""Takes secrets out of every text before it is stored, embedded or sent anywhere.

Alerts and terminal pastes carry credentials more often than anyone thinks. A match is replaced by
`[redacted: kind]`, so that a reader sees that something stood there. The patterns look for shapes that are secret by
design (prefixed tokens, key blocks) and for values that a label names as secret; a plain word after "password" in
prose ("password reset page is slow") is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from .incident import Incident, Step

# What it is, what a text that holds it has in it (one of these, in lower case: told in a hundredth of the time), and how
# it looks. Every repetition before a required part is bounded: the text may be hostile, and 200 KB of it must not take
# quadratic time.
_SHAPES: tuple[tuple[str, str, str], ...] = (
    (
        "private key",
        "-----begin",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----.*?(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----|\Z)",
    ),
    ("AWS key", "akia asia aroa aida", r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b"),
    (
        "GitHub token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})",
    ),
    ("GitLab token", "glpat- gldt- glrt- glcbt- glptt- glsoat-", r"\bgl(?:pat|dt|rt|cbt|ptt|soat)-[A-Za-z0-9_-]{20,}"),
    (
        "Slack token",
        "xox hooks.slack",
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/services/[A-Za-z0-9/_-]+",
    ),
    ("Stripe key", "k_live_ k_test_", r"\b[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("Google key", "aiza ya29.", r"\bAIza[A-Za-z0-9_-]{35}\b|\bya29\.[A-Za-z0-9_-]{20,}"),
    ("API key", "sk- sk_", r"\b(?:gsk|hsk|sk-ant|sk-proj|sk)[-_][A-Za-z0-9_-]{20,}"),
    ("PyPI or npm token", "pypi- npm_", r"\bpypi-[A-Za-z0-9_-]{40,}|\bnpm_[A-Za-z0-9]{36}\b"),
    ("Vault token", "hvs. hvb. hvr.", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    ("DigitalOcean token", "_v1_", r"\bdo[opr]_v1_[a-f0-9]{60,}"),
    ("SendGrid key", "sg.", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    (
        "PGP key",
        "-----begin pgp",
        r"-----BEGIN PGP PRIVATE KEY BLOCK-----.*?(?:-----END PGP PRIVATE KEY BLOCK-----|\Z)",
    ),
    (
        "webhook",
        "whsec_ discord .webhook.office",
        r"\bwhsec_[A-Za-z0-9]{16,}|https://(?:discord(?:app)?\.com/api/webhooks|[a-z0-9]+\.webhook\.office\.com)/[^\s\"']+",
    ),
    ("Hugging Face token", "hf_", r"\bhf_[A-Za-z0-9]{20,}"),
    ("Telegram token", ":aa", r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,}"),
    ("JWT", "eyj", r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]*"),
)

_VALUE = r"(?:\"[^\"\n]+\"|'[^'\n]+'|[^\s\"'-][^\s\"']*)"
"""A value on a command line, quoted or not."""

# What follows keeps its label and loses its value.
_LABELLED: tuple[tuple[str, str, str], ...] = (
    # The user part of a URL goes up to the last @ before the path or the space: a password may hold one.
    ("password", "://", r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,256}:)(?P<secret>[^\s\"'<>]{1,256})(?=@)"),
    ("token", "://", r"(?P<keep>\bhttps?://)(?P<secret>[A-Za-z0-9_-]{16,})(?=@)"),
    (
        "token",
        "bearer basic authorization",
        r"(?P<keep>\b(?:Bearer|Basic|Authorization:\s*[a-z]+)\s+)(?P<secret>(?=[^\s]*[\d=]|[A-Za-z]{20})[A-Za-z0-9+/_.~=-]{12,})",
    ),
    (
        "secret",
        "pass pwd secret key token credential",
        r"(?P<keep>(?:\b|_|-)(?:pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|api[_-]?key|apikey|"
        r"access[_-]?key(?:[_-]?id)?|auth[_-]?token|access[_-]?token|refresh[_-]?token|client[_-]?secret|private[_-]?key|"
        r"account[_-]?key|shared[_-]?access[_-]?key|requirepass|credentials?|token)(?:\\)?[\"']?\s*(?:=|:=|:|=>)\s*)"
        r"(?P<secret>\\\"[^\"\\\n]{3,}|\"[^\"\n]{3,}\"|'[^'\n]{3,}'|[^\s,;\"'&|)}\]]{4,})",
    ),
    (
        "password",
        "pgpassword= mysql_pwd= rediscli_auth= sshpass= --password --token --secret",
        rf"(?P<keep>\b(?:PGPASSWORD|MYSQL_PWD|REDISCLI_AUTH|SSHPASS)=|--(?:password|token|secret)[= ])(?P<secret>{_VALUE})",
    ),
    (
        "password",
        "mysql mariadb",
        rf"(?P<keep>\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{{0,200}}?\s-p)(?P<secret>{_VALUE})",
    ),
    (
        "password",
        "docker mongo sqlcmd sshpass",
        rf"(?P<keep>\b(?:docker\s+login|mongosh?|sqlcmd|sshpass)\b[^\n|;]{{0,200}}?\s-[pP]\s+)(?P<secret>{_VALUE})",
    ),
    ("password", "redis-cli", rf"(?P<keep>\bredis-cli\b[^\n|;]{{0,200}}?\s-a\s+)(?P<secret>{_VALUE})"),
    (
        "password",
        "curl",
        r"(?P<keep>\bcurl\b[^\n|;]{0,200}?\s(?:-u\s*|--user[ =])[\"']?[^\s:\"']{1,100}:)(?P<secret>[^\s\"']+)",
    ),
    ("password", "identified password", r"(?P<keep>\b(?:IDENTIFIED\s+BY|PASSWORD)\s+)(?P<secret>'[^'\n]+')"),
    (
        "password",
        "requirepass machine",
        r"(?P<keep>\brequirepass\s+|\bmachine\s+\S+\s+login\s+\S+\s+password\s+)(?P<secret>[^\s]+)",
    ),
    ("cookie", "cookie:", r"(?P<keep>\b(?:Set-)?Cookie:\s*)(?P<secret>[^\n\"']{4,})"),
    (
        "signature",
        "sig= signature=",
        r"(?P<keep>[?&](?:sig|signature|X-Amz-Signature)=)(?P<secret>[A-Za-z0-9%+/=_-]{16,})",
    ),
)

_SHAPE_PATTERNS = tuple((kind, hints.split(), re.compile(look, re.DOTALL)) for kind, hints, look in _SHAPES)
_LABEL_PATTERNS = tuple((kind, hints.split(), re.compile(look, re.IGNORECASE)) for kind, hints, look in _LABELLED)
_PLACEHOLDER = re.compile(
    r"[\"']?(?:<[^>]*>|\$\{?(?-i:[A-Z_][A-Z0-9_]*)\}?|\$\([^)]*\)?|\*+|x{3,}|\.{3}|\[redacted.*|\{\{.*|null|none|true|false|expired|invalid|"
    r"missing|required|incorrect|reset|changed|rotated|unknown|refresh\w*)[\"']?",
    re.IGNORECASE | re.DOTALL,
)


def redact(text: str) -> str:
    """The text with every secret that we can recognise replaced by `[redacted: kind]`."""
    lower = _lower(text)
    before = ""
    while text != before:  # the next one may begin where another ends, without a border between them
        before = text
        for kind, hints, pattern in _SHAPE_PATTERNS:
            if any(hint in lower for hint in hints):
                text = pattern.sub(f"[redacted: {kind}]", text)
    for kind, hints, pattern in _LABEL_PATTERNS:
        if any(hint in lower for hint in hints):
            text = pattern.sub(_masker(kind), text)
    return text


def _lower(text: str) -> str:
    """The text in lower case, as a pattern that ignores case sees it: it takes these letters for i and s."""
    return text.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i").lower().replace("ı", "i").replace("ſ", "s")


def redact_incident(incident: Incident) -> Incident:
    """The incident with every free text redacted. Ids and times are left as they are."""
    return with_texts(incident, redact)


def with_texts(incident: Incident, change: Callable[[str], str]) -> Incident:
    """The incident with every free text changed. Ids and times are left as they are."""

    def maybe(text: str | None) -> str | None:
        return None if text is None else change(text)

    resolution = incident.resolution
    return replace(
        incident,
        title=maybe(incident.title),
        description=change(incident.description),
        service=maybe(incident.service),
        severity=maybe(incident.severity),
        source=maybe(incident.source),
        url=maybe(incident.url),
        external_id=maybe(incident.external_id),
        resolution=resolution
        and replace(
            resolution,
            root_cause=maybe(resolution.root_cause),
            steps=tuple(Step(change(s.text), maybe(s.command), s.outcome) for s in resolution.steps),
            prevention=maybe(resolution.prevention),
        ),
    )


def _masker(kind: str) -> Callable[[re.Match[str]], str]:
    def mask(found: re.Match[str]) -> str:
        secret = found["secret"]
        if _PLACEHOLDER.fullmatch(secret):
            return found[0]
        # "Password: resets fail for all users" is prose; `password: hunter` at the end of a line is a paste.
        line_ends = not found.string[found.end() : found.end() + 80].split("\n", 1)[0].strip(" \t\"',;}])")
        if found["keep"].endswith(" ") and ":" in found["keep"] and secret.isalpha() and not line_ends:
            return found[0]
        return f"{found['keep']}[redacted: {kind}]"

    return mask
