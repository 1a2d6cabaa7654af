"""What a command leaves to its reader: `<pod>`, `{namespace}`, `[pod-name]`, `POD_NAME`, `$NAMESPACE`, `{{ .name }}`,
`YOUR_TOKEN`, `10.x.x.x`. Pasted raw it fails, or does something else.

What the shell or a program fills in itself is none: a variable that the command sets, `$1` of awk, `$labels` of a query
in single quotes, the template of `docker ps --format`, `{a,b}`, `[0-9]`, a column that a command is to print.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from .text import clean

MOST = 8
"""Placeholders of a command that are listed; a text with more of them is a form, not a command."""

_READ = 16_000

# What runbooks leave open. A name that could be anything (`{x}`, `DATA_MODE`) is taken for one only where it ends on such.
_KINDS = (
    "name|namespace|ns|pod|node|host|hostname|ip|ip-address|address|pid|id|uuid|ulid|uid|cluster|container|service|deployment|app|"
    "instance|bucket|region|zone|domain|user|username|password|token|secret|key|path|file|filename|dir|port|url|version|revision|"
    "release|image|tag|branch|project|account|arn|database|db|table|index|topic|queue|volume|job|group|role|email|sha|date|"
    "timestamp|number|value|reason|component"
)
# Those of them that no program and no query has for a keyword of its own when they stand alone, in capitals.
_ALONE = (
    "POD|PODNAME|NAMESPACE|NODE|NODENAME|PID|HOSTNAME|IP|UUID|ULID|INSTANCE|BUCKET|REGION|USERNAME|PASSWORD|TOKEN|DEPLOYMENT|"
    "CONTAINER|DOMAIN|PROJECT|CLUSTER|SERVICE"
)
_THINGS = (
    "pod|namespace|node|cluster|container|service|deployment|app|bucket|table|host|hostname|server|user|instance|database|db|"
    "project|image|registry|release|secret|volume|topic|queue|index|job|release|branch"
)

# In angle brackets, as in `risk.shell`: there `<a>/etc/passwd` is two redirections. `<<EOF>x` is a here-document, `(?<n>…)`
# a group of an expression.
_ANGLED = (
    r"(?<![<?])(?<!\?P)(?<!\\k)<(?P<angled>[A-Za-z](?:[\w .:/|'\u2019-]{0,60}[\w.'\u2019])?)>"
    r"(?!\s*(?:/(?:etc|dev|boot|usr|bin|lib|proc|sys)\b|[~&>]))"
)
_DOUBLED = r"\{\{[^{}\n]{1,80}\}\}"
_BRACED = r"(?<![\w\])$%@#{\\])\{(?P<curly>[A-Za-z][A-Za-z0-9]*(?:[_ -][A-Za-z0-9]+){0,5})\}(?!\})"
_SQUARE = r"(?<![\w\].)$\[\\])\[(?P<square>[A-Za-z][A-Za-z0-9]*(?:[_ -][A-Za-z0-9]+){0,5})\](?![\w+*?{\[\]])"
_REDACTED = r"\[redacted(?:: [^\]\n]{1,40})?\]"
_SHOUTED = (
    r"\b(?:YOUR|MY|REPLACE|INSERT|CHANGE|ENTER|PASTE)[_-][A-Za-z0-9_-]*[A-Za-z0-9]|\bYOUR[A-Z]{2,}\b|\byour[-_][a-z0-9_-]*[a-z0-9]"
    r"|\bCHANGE_?ME\b|\bREPLACE_?ME\b|\bTO_BE_[A-Z]+\b|\bTODO\b|\bTBD\b|\b[A-Z]+(?: [A-Z]+){0,3} HERE\b"
    r"|@[A-Z][A-Z0-9_]+@|\b__[A-Z][A-Z0-9_]*[A-Z0-9]__\b|%[A-Z]{2,}(?:_[A-Z]+)*_(?:NAME|ID|HOST|TOKEN)%"
)
# `10.x.x.x`, `ec2-xx-xx`, `nfs-fileXX`; three of them and more are one wherever they stand.
_CROSSED = (
    r"(?<![\w.-])\d{1,3}(?=(?:\.\w{1,3}){3}(?![\w.-]))(?:\.\d{1,3}){0,2}(?:\.[xXyY]{1,3}){1,3}|(?<![\w.-])[\w.-]*(?:x{3,}|X{3,}|\*{4,})[\w.-]*"
    r"|(?<![\w.-])(?:[\w.]+-)*(?P<pairs>xx|XX|yy|YY)(?:[-./:](?P=pairs))+(?![A-Za-z])[\w.-]*|(?<![\w.-])[\w.-]*[a-z\d](?:XX|YY|NN)(?![\w.])"
)
_DATED = r"(?<![%\w])(?:YYYY-?MM-?DD(?:-?HH-?MM(?:-?SS)?)?|yyyy-mm-dd)\b(?!['\"]\s*\))"
_CAPITALS = rf"(?<![\w$%&\\])(?<!\W[.@-])(?P<capitals>(?:[A-Z][A-Z0-9]*[_-])+(?:{_KINDS.upper()})|{_ALONE})(?![\w=|,(\]])(?!-[A-Z])"
_SAMPLE = (
    rf"(?<![\w$.=/-])(?P<sample>(?:my|some|example)[-_](?:{_THINGS})(?:-name|-dev)?)(?![\w=(.-])"
    rf"|(?<![\w$.-])(?P<named>(?:{_THINGS})-name)(?![\w=(:.-])|(?<![\w.-])/?path/to/[\w./-]+|\buser(?:name)?@(?:host|server)(?:name)?\b"
)
_ELLIPSIS = r"(?:(?<=[\s(=,'\"|])|^)(?P<dots>\.\.\.|\u2026)(?=[\s),'\"]|$)"
_VARIABLE = r"(?<!\\)\$(?:\{(?P<braced>[A-Za-z]\w*)(?P<rest>[^}]*)\}|(?P<plain>[A-Za-z]\w*))"
_ANY = re.compile(
    "|".join(
        [
            _ANGLED,
            _DOUBLED,
            _REDACTED,
            _SQUARE,
            _BRACED,
            _VARIABLE,
            _SHOUTED,
            _DATED,
            _CROSSED,
            _CAPITALS,
            _SAMPLE,
            _ELLIPSIS,
        ]
    )
)

_SET = re.compile(
    r"(?:^|[\s;&|({'\"])(?:export\s+|local\s+|declare\s+(?:-\w+\s+)*|readonly\s+)?([A-Za-z_]\w*)\+?=(?![\"']?\$\{?\1\b)"
    r"|\b(?:for|select)\s+([A-Za-z_]\w*)\b|\b(?:mapfile|readarray|getopts\s+\S+)((?:\s+-\w+)*(?:\s+[A-Za-z_]\w*)+)"
    r"|\bread((?:\s+-\w+(?:\s+(?:\"[^\"]*\"|'[^']*'))?)*(?:\s+[A-Za-z_]\w*)+)|--arg(?:json)?\s+([A-Za-z_]\w*)"
    r"|<<-?\s*['\"\\]?([A-Za-z_]\w*)|\s(?:-[Ii]|--replace)[ =]?(\{\w+\})"  # the end of a here-document; what xargs fills in
    r"|\b(?:AS|DO|as|do)\s+\$([A-Za-z_]\w*)\$"  # the quotes of a function's body, in SQL
)
_ENVIRONMENT = frozenset(
    "HOME USER LOGNAME PATH PWD OLDPWD SHELL HOSTNAME HOSTTYPE TERM LANG TZ UID EUID PPID RANDOM SECONDS LINENO BASHPID"
    " BASH IFS OSTYPE EDITOR PAGER TMPDIR KUBECONFIG DISPLAY SSH_AUTH_SOCK COLUMNS LINES REPLY".split()
)
_ASSIGNED = re.compile(
    r"(?:\s*(?:sudo|time|then|do|else|if|while|!|[A-Za-z_]\w*=[^\s'\"]*))*\s*(?:[\w.~-]*/)*([\w.-]*)"
)
# Code that a shell runs although it stands in single quotes.
_SHELL_RUNS = re.compile(r"(?:^|[\s/])(?:ssh|watch|eval)\s")
_SCRIPT_OPTION = re.compile(r"(?:\b(?:ba|z|da|k)?sh\s+-\w*c|(?<![\w-])eval)\s*$")
# What follows is a Go template, which kubectl or docker fills in.
_TEMPLATE_OPTION = re.compile(
    r"(?:(?:--format|--template(?:\.text)?|go-template(?:-file)?|jsonpath)(?:=|\s+)?|\b(?:inspect|ps|info|images|gh)\b[^\n]{0,80}\s-[ft]\s*)$"
)
# Their quoted arguments are code or expressions: only what is marked beyond doubt counts there.
_CODE = frozenset(
    "awk gawk mawk sed grep egrep fgrep zgrep rg ag ack jq yq perl python python3 ruby node php promtool logcli".split()
)
_SPEAKS = frozenset("echo printf logger".split())
_QUERIES = frozenset("psql gitlab-psql mysql sqlplus sqlcmd sqlite3 clickhouse-client cqlsh bq".split())
_REDIS = frozenset("redis-cli valkey-cli keydb-cli".split())
_STATEMENT = re.compile(
    r"\s*(?:select|insert|update|delete|create|alter|drop|grant|revoke|show|explain|with|vacuum|analyze|truncate|set|call)\s",
    re.IGNORECASE,
)
# A name in capitals behind these is that of a variable or a column, which the program knows by it.
_NAMED_BEFORE = re.compile(
    r"(?:\s-e\s*|--env[= ]|\b(?:export|unset|printenv|env|local|declare)\s(?:[\w ]*\s)?|\s-o[= ]?|--sort[= ]|-k\s|custom-columns=[^\s]*|fields?=|"
    r"\b(?:secret|variable|config)[: ](?:set|get|delete|unset)\s+|\bqueryid\s)$"
)
_KUBERNETES_NAME = re.compile(r"(?:POD|NODE|CONTAINER|NAMESPACE|DEPLOYMENT|SERVICE|CLUSTER)_(?:NAME|ID|IP)")
_KEYWORDS = frozenset("end else next exit print upstream push none true false null redacted".split())
_MARKUP = frozenset(
    "html body head div span br hr img svg iframe meta style li ul ol h1 h2 h3 h4 pre tr td th tbody".split()
)
_KIND = re.compile(rf"(?:.*[_ -])?(?:{_KINDS})", re.IGNORECASE)
_CLOSING = re.compile(r"</([A-Za-z][\w:-]{0,40})>")


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a command with one meaning: `kind` is the quote it stands in, "" where in none."""

    kind: str
    start: int
    program: str
    runs: bool  # a shell runs it although it is quoted
    template: bool


def placeholders(command: str | None) -> tuple[str, ...]:
    """What has to be filled in before the command can be run, in the order in which it stands there, each once; at
    most `MOST`. Any text is accepted."""
    if not command:
        return ()
    return _placeholders(command[:_READ])


@lru_cache(maxsize=512)  # a playbook's commands come again and again
def _placeholders(command: str) -> tuple[str, ...]:
    text = clean(command)
    parts = _parts(text)
    starts = [part.start for part in parts]
    own = {name for found in _SET.finditer(text) for group in found.groups() if group for name in group.split()}
    closed = {name.lower() for name in _CLOSING.findall(text)}
    found: dict[str, None] = {}
    for match in _ANY.finditer(text):
        part = parts[bisect_right(starts, match.start()) - 1]
        name = match["braced"] or match["plain"]
        if name is not None:
            if name not in own and name not in _ENVIRONMENT and not _has_default(match) and not _inert(part):
                found.setdefault(f"${name}")
        elif match[0] not in own and _left_open(match, text, part, closed):
            found.setdefault(match[0])
        if len(found) == MOST:
            break
    return tuple(found)


def _has_default(match: re.Match[str]) -> bool:
    return (match["rest"] or "").startswith((":-", "-", ":=", "=", ":+", "+"))


def _inert(part: _Part) -> bool:
    """Whether the shell fills in no variable there."""
    return part.kind == "'" and not part.runs


def _left_open(match: re.Match[str], text: str, part: _Part, closed: set[str]) -> bool:
    """Whether what looks like a placeholder is one where it stands."""
    shown, before = match[0], text[max(0, match.start() - 200) : match.start()]
    if match["angled"] is not None:
        name = match["angled"].lower()
        return name not in _MARKUP and name not in closed and not re.search(r" (?:and|or) ", name)
    if shown.startswith("{{"):
        return not part.template and not part.program.startswith("ansible")
    if match["dots"] is not None:
        return not (part.kind and part.program in _SPEAKS)
    if "XXX" in shown:
        return re.search(r"\bmktemp\b", text) is None
    code = bool(part.kind) and part.program in _CODE
    if name := match["curly"] or match["square"]:
        if name.lower() in _KEYWORDS or name.split(" ")[0] in _KEYWORDS or part.template or code:
            return False
        if match["square"] is not None and re.search(r"['\"]\s*[:,]\s*$", before):  # a list of JSON
            return False
        shouted = len(name) > 1 and name.isupper()
        several = re.search(r"[_-]", name) is not None
        return shouted or _KIND.fullmatch(name) is not None or (several and not (match["square"] and part.kind))
    if name := match["capitals"]:
        return not code and _is_open_in_capitals(name, text, part, before, match.end())
    return not (match["named"] or match["sample"]) or not code


def _is_open_in_capitals(name: str, text: str, part: _Part, before: str, end: int) -> bool:
    if (
        part.template
        or _NAMED_BEFORE.search(before)
        or re.match(r":\s*[.{\"'\s]|\.(?!svc|[a-z-]+\.)\w|\s+(?:is|IS|IN)\b", text[end : end + 12])
    ):
        return False
    if part.kind and part.program in _SPEAKS:
        return False
    if part.program in _CODE:
        return _KUBERNETES_NAME.fullmatch(name) is not None
    if part.program in _REDIS or part.program in _QUERIES or _STATEMENT.match(text):
        return name == "PID" or (part.program in _REDIS and "_" in name)
    return True


def _parts(text: str) -> list[_Part]:
    """The text cut at its quotes and its commands, in one pass. A quote within the other kind quotes nothing."""
    parts: list[_Part] = []
    outer: list[bool] = []  # for each open bracket, whether it stands in double quotes
    at = begin = looked = 0
    program, runs, double = _program(text, 0), False, False

    def add(kind: str, start: int, runs: bool = False, template: bool = False) -> None:
        parts.append(_Part(kind, start, program, runs, template))

    add("", 0)
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == '"':
            double = not double
            add('"' if double else "", at + (not double), True, double and _is_template(text, begin, at))
        elif char == "'" and not double and (end := text.find("'", at + 1)) > 0:
            runs = runs or _SHELL_RUNS.search(text, max(begin, looked), at) is not None
            shell = runs or _SCRIPT_OPTION.search(text, max(begin, at - 40), at) is not None
            add("'", at, shell, _is_template(text, begin, at))
            looked = at = end
            add("", at + 1)
        elif char == ")" and outer and not double:
            if double := outer.pop():
                add('"', at + 1, True)
        elif char == "$" and double and text.startswith("$(", at):
            outer.append(True)
            double = False
            begin, at = at + 2, at + 1
            program, runs = _program(text, begin), False
            add("", begin)
        elif char in "|;&\n(" and not double:
            if char == "(":
                outer.append(False)
            begin = at + 1
            program, runs = _program(text, begin), False
            add("", begin)
        elif char == "{" and not double and text.startswith("{{", at) and _is_template(text, begin, at):
            end = text.find(" ", at)  # `--format={{.Name}}`, without quotes
            add("", at, False, True)
            at = len(text) if end < 0 else end
            add("", at)
        at += 1
    return parts


def _program(text: str, start: int) -> str:
    """The program of the command that begins there."""
    found = _ASSIGNED.match(text, start, start + 300)
    return found[1] if found else ""


def _is_template(text: str, begin: int, at: int) -> bool:
    return _TEMPLATE_OPTION.search(text, max(begin, at - 200), at) is not None
