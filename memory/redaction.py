"""Takes secrets out of every text before it is stored, embedded or sent anywhere.

Alerts and terminal pastes carry credentials more often than anyone thinks. A match is replaced by
`[redacted: kind]`, so that a reader sees that something stood there; the quotes around it stay, so that JSON stays JSON. The patterns look for shapes that are secret by
design (prefixed tokens, key blocks) and for values that a label names as secret; a plain word after "password" in
prose ("password reset page is slow") is left alone.

A payload is stored as it came, and a secret in it may stand behind `\\n` or be spelt `\\u0070`. So each pattern is looked for in every
reading of the text (`text.readings`), and what is found there is replaced where it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from .incident import Incident, Step
from .text import Reading, readings

# What it is, what a text that holds it has in it (one of these, in lower case: told in a hundredth of the time), and how
# it looks. Every repetition before a required part is bounded: the text may be hostile, and 200 KB of it must not take
# quadratic time.
_SHAPES: tuple[tuple[str, str, str], ...] = (
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
    ("API key", "sk- sk_", r"\b(?:gsk|hsk|sk-ant|sk-proj|sk)[-_](?=(?:[a-z_-]{0,80}[A-Z0-9]){3})[A-Za-z0-9_-]{20,}"),
    ("PyPI or npm token", "pypi- npm_", r"\bpypi-[A-Za-z0-9_-]{40,}|\bnpm_[A-Za-z0-9]{36}\b"),
    ("Vault token", "hvs. hvb. hvr.", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    ("DigitalOcean token", "_v1_", r"\bdo[opr]_v1_[a-f0-9]{60,}"),
    ("SendGrid key", "sg.", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    (
        "webhook",
        "whsec_ discord .webhook.office",
        r"\bwhsec_[A-Za-z0-9]{16,}|https://(?:discord(?:app)?\.com/api/webhooks|[a-z0-9]+\.webhook\.office\.com)/[^\s\"'\\]+",
    ),
    ("Hugging Face token", "hf_", r"\bhf_[A-Za-z0-9]{20,}"),
    ("Telegram token", ":aa", r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,}"),
    (
        "JWT",
        "eyj",  # few places of a run of letters are tried as its beginning: a run may be a megabyte
        r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{0,64}?\b(?P<secret>eyJ[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*)",
    ),
)

_KEY_BEGINS = re.compile(r"-----BEGIN (?:(?:[A-Z]+ ){0,4}PRIVATE KEY|PGP PRIVATE KEY BLOCK)-----")
_KEY_ENDS = re.compile(r"-----END (?:(?:[A-Z]+ ){0,4}PRIVATE KEY|PGP PRIVATE KEY BLOCK)-----")
_KEY_CUT_OFF = re.compile(r"(?:[^\"]|\",?\s*\"(?=[A-Za-z0-9+/=\\]{16}))*+")
"""What is left of a key that does not end: up to the end of the string, or of the strings if each line is one."""

# A character of a value without quotes. A backslash is one, but where it is a quote's own.
_BARE = r"(?:[^\s\"'\\]|\\(?!\\{0,31}[\"']))"
_BARE_IN_LIST = r"(?:[^\s\"'\\,;&|)}\]]|\\(?!\\{0,31}[\"']))"

# Between two strings of JSON: the quote before it ends one, although a label may stand there ("the password:", "next").
_BETWEEN = r"(?!\s*[,:}\]][\s,:}\]\[{\d.eE+\-nultrfase]{0,200}(?:\"|\Z))"


def _quoted(least: int) -> str:
    """A value in quotes, at least so long, without these; the closing one is missing where a paste was cut off."""
    return (
        rf"(?:\"{_BETWEEN}(?P<double>(?:[^\"\\\n]|\\.){{{least},}}+)(?=\"|\\?\Z)"
        rf"|'(?P<single>(?:[^'\"\\\n]|\\.|\"(?!\s*[,:}}\]])){{{least},}}+)(?='|\\?\Z))"
    )


def _run(programs: str, option: str) -> str:
    """A program and its option, not far from each other. Where the program is named again, that is looked at instead."""
    return rf"(?P<keep>\b(?:{programs})\b(?:(?!\b(?:{programs})\b)[^\n|;]){{0,200}}?\s{option})"


_LABELS = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|api[_-]?key|apikey|"
    r"access[_-]?key(?:[_-]?id)?|auth[_-]?token|access[_-]?token|refresh[_-]?token|client[_-]?secret|private[_-]?key|"
    r"account[_-]?key|shared[_-]?access[_-]?key|requirepass|credentials?|token)"
)
_LABELS_HINT = "pass pwd secret key token credential"
_KEYED = r"(?P<key>[\"'])?\s*(?:=|:=|:|=>)\s*(?(key)(?:\[(?!redacted)\s*|\{\s*[\"']value[\"']\s*:\s*)?)"
# The first letter alone is looked at in most places: that takes half the time.
_LABEL = rf"(?P<keep>(?=[acprst])(?:(?<![^\W_])|(?-i:(?=[A-Z])(?<=[a-z\d]))){_LABELS}{_KEYED})"
_NAME = rf"[\"']?[\w.-]{{0,80}}?{_LABELS}(?:_(?:base|hash|\d{{1,2}}))?[\"']?"
# An entry of an environment: `{"name": "DB_PASSWORD", "value": "…"}`, or a line for each.
_ENTRY = rf"(?P<keep>\b(?:name|key|variable)[\"']?\s*[:=]\s*{_NAME}\s*(?:,\s*)?[\"']?\bvalue{_KEYED})"
_RUNS = {
    "mysql mariadb": _run("mysql|mysqldump|mysqladmin|mariadb", "-p"),
    "docker mongo sqlcmd sshpass": _run(r"docker\s+login|mongosh?|sqlcmd|sshpass", r"-[pP]\s+"),
    "redis-cli": _run("redis-cli", r"-a\s+"),
    "pgpassword= mysql_pwd= rediscli_auth= sshpass= --password --token --secret": (
        r"(?P<keep>\b(?:PGPASSWORD|MYSQL_PWD|REDISCLI_AUTH|SSHPASS)=|--(?:password|token|secret)[= ])"
    ),
    "requirepass machine": r"(?P<keep>\brequirepass\s+|\bmachine\s+\S+\s+login\s+\S+\s+password\s+)",
}

# What follows keeps its label and loses its value. In quotes:
_IN_QUOTES: tuple[tuple[str, str, str], ...] = (
    ("secret", _LABELS_HINT, _LABEL + _quoted(3)),
    ("secret", "value", _ENTRY + _quoted(1)),
    (
        "secret",
        "value",  # the names in the order of the alphabet
        rf"(?P<keep>\"value\"\s*:\s*)\"(?P<double>(?:[^\"\\\n]|\\.){{1,4000}}+)(?=\"\s*,\s*\"(?:name|key)\"\s*:\s*{_NAME}\s*[,}}])",
    ),
    ("password", "--password --token --secret", r"(?P<keep>\"--(?:password|token|secret)\"\s*,\s*)" + _quoted(1)),
    *(("password", hints, keep + _quoted(1)) for hints, keep in _RUNS.items()),
    ("password", "identified password", r"(?P<keep>\b(?:IDENTIFIED\s+BY|PASSWORD)\s+)'(?P<single>[^'\n]+)(?=')"),
)
# Without quotes:
_UNQUOTED: tuple[tuple[str, str, str], ...] = (
    # The user part of a URL goes up to the last @ before the path or the space: a password may hold one.
    (
        "password",
        "://",
        r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,256}+:)(?!\d{2,5}/)(?P<secret>(?:[^\s\"'<>@]{1,256}+|@(?=[^\s\"'<>@]{0,256}+@))"
        r"(?:@[^\s\"'<>@]{0,256}+(?=@))*+)(?=@)",
    ),
    ("token", "://", r"(?P<keep>\bhttps?://)(?P<secret>[A-Za-z0-9_-]{16,}+)(?=@)"),
    (
        "token",
        "bearer basic authorization",
        r"(?P<keep>\b(?:Bearer|Basic|Authorization:\s*[a-z]+)\s+)(?P<secret>(?=[^\s]*[\d=]|[A-Za-z]{20})[A-Za-z0-9+/_.~=-]{12,})",
    ),
    ("secret", _LABELS_HINT, _LABEL + rf"(?P<secret>{_BARE_IN_LIST}{{4,}})"),
    ("secret", "value", _ENTRY + rf"(?P<secret>{_BARE_IN_LIST}+)"),
    *(("password", hints, keep + rf"(?!-)(?P<secret>{_BARE}+)") for hints, keep in _RUNS.items()),
    (
        "password",
        "curl",
        _run("curl", r"(?:-u\s*|--user[ =])[\"']?[^\s:\"']{1,100}:") + rf"(?P<secret>{_BARE}+)",
    ),
    ("secret", "</", rf"(?P<keep><{_LABELS}>)(?P<secret>[^<>\n\"'\\]+)(?=</)"),
    (
        "cookie",
        "cookie:",
        rf"(?P<keep>\b(?:Set-)?Cookie:\s*)(?P<secret>(?:[^\n\"'\\]|\\(?!\\{{0,31}}[\"'])|(?<==)\"{_BETWEEN}[^\n\"\\]+\"){{4,}})",
    ),
    (
        "signature",
        "sig= signature=",
        r"(?P<keep>[?&](?:sig|signature|X-Amz-Signature)=)(?P<secret>[A-Za-z0-9%+/=_-]{16,})",
    ),
)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """`mask` stands in the place of what `look` finds in a text that has one of the `hints` in it."""

    mask: str
    hints: tuple[str, ...]
    look: re.Pattern[str]
    labelled: bool
    keyed: bool


_Patterns = tuple[_Pattern, ...]


@cache
def _compiled(patterns: tuple[tuple[str, str, str], ...], flags: re.RegexFlag) -> _Patterns:
    # With the first text: all of them take 20 ms, which a server does not have before it answers.
    return tuple(
        _Pattern(
            f"[redacted: {kind}]",
            tuple(hints.split()),
            re.compile(look, flags),
            "(?P<keep>" in look,
            "(?P<key>" in look,
        )
        for kind, hints, look in patterns
    )


_PLACEHOLDER = re.compile(
    r"[\"']?(?:<[^>]*>|\$\{?(?-i:[A-Z_][A-Z0-9_]*)\}?|\$\([^)]*\)?|\*+|x{3,}|\.{3}|\[redacted.*|\{\{.*|null|none|true|false|expired|invalid|"
    r"missing|required|incorrect|reset|changed|rotated|unknown|refresh\w*)[\"']?",
    re.IGNORECASE | re.DOTALL,
)
_MASK = re.compile(r"\[redacted(?:: [^\]\n]{1,40})?\]")
# `secret: cart-tls` names a Secret of Kubernetes. Words alone could be a pass phrase, so the last one has to say what it holds.
_OF_KUBERNETES = re.compile(r"(?<![\w.-])secret[\"']?\s*[:=]\s*", re.IGNORECASE)
_NAME_OF_SECRET = re.compile(
    r"(?:[a-z]{2,16}/)?(?=[a-z-]{5,40}(?:\Z|-v\d))[a-z]{2,16}(?:-[a-z]{1,16}){0,4}-"
    r"(?:tls|certs?|ca|secrets?|credentials?|creds|tokens?|keys?|config|auth|db|env|kubeconfig|pull)(?:-v\d)?"
)

_ROUNDS = 4
"""A secret may begin where another ends, without a border between them; so what was replaced is looked at again."""


def redact(text: str) -> str:
    """The text with every secret that we can recognise replaced by `[redacted: kind]`."""
    shapes = _compiled(_SHAPES, re.DOTALL)
    in_quotes, unquoted = _compiled(_IN_QUOTES, re.IGNORECASE), _compiled(_UNQUOTED, re.IGNORECASE)
    found = readings(text)
    for _ in range(_ROUNDS):
        before = found
        # What its shape or its label alone tells is seen best where all escapes are read; what quotes hold, in the first
        # reading in which these are quotes: there `\"` is a part of the value.
        found = _in_every_reading(found, shapes, deepest_first=True)
        found = _in_every_reading(found, in_quotes, deepest_first=False)
        found = _in_every_reading(found, unquoted, deepest_first=True)
        if found is before:
            break
    return found[0].text


def _in_every_reading(found: list[Reading], patterns: _Patterns, deepest_first: bool) -> list[Reading]:
    depths = range(len(found))
    for depth in reversed(depths) if deepest_first else depths:
        if depth < len(found):
            masked = _masked(found[depth], found[0].text, patterns)
            if masked != found[0].text:
                found = readings(masked)
    return found


def _masked(reading: Reading, text: str, patterns: _Patterns) -> str:
    """The text with what the patterns find in a reading of it replaced where it was written."""
    spans = sorted(_spans(reading.text, patterns))
    pieces: list[str] = []
    done = at = 0
    while at < len(spans):
        start, end, order, mask, quote = spans[at]
        while (at := at + 1) < len(spans) and spans[at][
            0
        ] < end:  # of those that overlap the first pattern says what it is
            end = max(end, spans[at][1])
            order, mask, quote = min((order, mask, quote), spans[at][2:])
        around = text[reading.stands(quote) : reading.stands(quote + 1)] if quote >= 0 else ""
        pieces += text[done : reading.stands(start)], around, mask, around
        done = reading.stands(end)
    return "".join([*pieces, text[done:]])


_Span = tuple[int, int, int, str, int]
"""Start, end, the pattern's number, what stands there instead, and where the quote stands that has to be around it, or -1."""


def _spans(text: str, patterns: _Patterns) -> Iterator[_Span]:
    lower = _lower(text)
    if patterns is _compiled(_SHAPES, re.DOTALL) and "-----begin" in lower:
        yield from _private_keys(text)
    for order, pattern in enumerate(patterns):
        if not any(hint in lower for hint in pattern.hints):
            continue
        for found in pattern.look.finditer(text):
            group = found.lastgroup or 0  # the value's, which comes last
            if pattern.labelled and not _is_secret(found, found[group], quoted=group != "secret"):
                continue
            # A number in JSON has no quotes, and what stands there instead needs them: those of its key.
            quote = found.start("key") if pattern.keyed and group == "secret" else -1
            yield *found.span(group), order, pattern.mask, quote


def _private_keys(text: str) -> Iterator[_Span]:
    at, ends = 0, True
    while begin := _KEY_BEGINS.search(text, at):
        end = _KEY_ENDS.search(text, begin.end()) if ends else None
        ends = end is not None  # looked for once: no later key ends, either
        cut_off = _KEY_CUT_OFF.match(text, begin.end())
        at = end.end() if end else cut_off.end() if cut_off else len(text)
        yield begin.start(), at, -1, "[redacted: PGP key]" if "PGP" in begin[0] else "[redacted: private key]", -1


def _is_secret(found: re.Match[str], secret: str, quoted: bool) -> bool:
    if quoted and secret.startswith("[redacted"):  # a rest of it behind one may be secret
        return _MASK.fullmatch(secret) is None
    if _PLACEHOLDER.fullmatch(secret):
        return False
    if _NAME_OF_SECRET.fullmatch(secret) and _OF_KUBERNETES.match(found.string, found.start()):
        return False
    if quoted or not secret.isalpha():
        return True
    # "Password: resets fail for all users" is prose; `password: hunter` at the end of a line is a paste.
    keep = found["keep"]
    line_ends = not found.string[found.end() : found.end() + 80].split("\n", 1)[0].strip(" \t\"',;}])")
    return line_ends or not (keep.endswith(" ") and ":" in keep)


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
