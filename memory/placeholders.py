"""What a command leaves to its reader: `<pod>`, `$NAMESPACE`, `{{ .name }}`, `YOUR_TOKEN`, `i-xxxx`. Pasted raw it fails,
or does something else.

What the shell fills in itself is none: a variable that the command sets, `$1` of awk, `$labels` of a query in single
quotes, the template of `docker ps --format`.
"""

from __future__ import annotations

import re

from .text import clean

MOST = 8
"""Placeholders of a command that are listed; a text with more of them is a form, not a command."""

_READ = 16_000

# In angle brackets, as in `risk.shell`: there `<a>/etc/passwd` is two redirections. `<<EOF>x` is a here-document.
_ANGLED = (
    r"(?<!<)<[A-Za-z](?:[\w .:/|'\u2019-]{0,60}[\w.'\u2019])?>(?!\s*(?:/(?:etc|dev|boot|usr|bin|lib|proc|sys)\b|[~&>]))"
)
_BRACED = r"\{\{[^{}\n]{1,80}\}\}"
_REDACTED = r"\[redacted: [^\]\n]{1,40}\]"
_SHOUTED = (
    r"\b(?:YOUR|MY|REPLACE|INSERT|CHANGE)[_-][A-Za-z0-9_-]*[A-Za-z0-9]|\byour-[a-z0-9-]*[a-z0-9]|\bCHANGEME\b|\bREPLACEME\b"
    r"|\bTODO\b"
)
_CROSSED = r"(?<![\w.-])[\w.-]*(?:x{3,}|X{3,}|\*{4,})[\w.-]*"
_ELLIPSIS = r"(?:(?<=[\s(=,'\"])|^)(?:\.\.\.|\u2026)(?=[\s),'\"]|$)"
_VARIABLE = r"(?<!\\)\$(?:\{(?P<braced>[A-Za-z]\w*)(?P<rest>[^}]*)\}|(?P<plain>[A-Za-z]\w*))"
_ANY = re.compile("|".join([_ANGLED, _BRACED, _REDACTED, _SHOUTED, _CROSSED, _ELLIPSIS, _VARIABLE]))

_SET = re.compile(
    r"(?:^|[\s;&|({])(?:export\s+|local\s+|declare\s+(?:-\w+\s+)*|readonly\s+)?([A-Za-z_]\w*)\+?="
    r"|\b(?:for|select)\s+([A-Za-z_]\w*)\b|\b(?:read|mapfile|readarray|getopts\s+\S+)((?:\s+-\w+)*(?:\s+[A-Za-z_]\w*)+)"
)
_ENVIRONMENT = frozenset(
    "HOME USER LOGNAME PATH PWD OLDPWD SHELL HOSTNAME HOSTTYPE TERM LANG TZ UID EUID PPID RANDOM SECONDS LINENO BASHPID"
    " BASH IFS OSTYPE EDITOR PAGER TMPDIR KUBECONFIG DISPLAY SSH_AUTH_SOCK COLUMNS LINES REPLY".split()
)
# Code that a shell runs although it stands in single quotes.
_SHELL_BEFORE = re.compile(r"(?:\b(?:ba|z|da|k)?sh\s+-\w*c|\beval|\bssh\s[^'\"|;&]*|\bwatch\s[^'\"|;&]*)\s*$")
_TEMPLATE_BEFORE = re.compile(
    r"(?:--format|--template|go-template(?:-file)?|\b(?:docker|podman|nerdctl|gh)\b[^|;&\n]*\s-[ft])[= ]?['\"]?[^'\"]*$"
)
_SINGLE = re.compile(r"'[^']*'")


def placeholders(command: str | None) -> tuple[str, ...]:
    """What has to be filled in before the command can be run, in the order in which it stands there, each once; at
    most `MOST`. Any text is accepted."""
    if not command:
        return ()
    text = clean(command[:_READ])
    quoted = _inert(text)
    own = {name for found in _SET.finditer(text) for group in found.groups() if group for name in group.split()}
    found: dict[str, None] = {}
    for match in _ANY.finditer(text):
        name = match["braced"] or match["plain"]
        if name is not None:
            if name in own or name in _ENVIRONMENT or any(start <= match.start() < end for start, end in quoted):
                continue
            if (match["rest"] or "").startswith((":-", "-", ":=", "=", ":+", "+")):
                continue  # it has a default, or may be unset
            shown = f"${name}"
        else:
            shown = match[0]
            if shown.startswith("{{") and _TEMPLATE_BEFORE.search(text[: match.start()]):
                continue
            if "XXX" in shown and re.search(r"\bmktemp\b", text):
                continue
        found.setdefault(shown)
    return tuple(found)[:MOST]


def _inert(text: str) -> list[tuple[int, int]]:
    """Where single quotes keep the shell from filling in variables. A quote within double quotes quotes nothing."""
    spans: list[tuple[int, int]] = []
    at = 0
    double = False
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == '"':
            double = not double
        elif char == "'" and not double and (quoted := _SINGLE.match(text, at)):
            if not _SHELL_BEFORE.search(text[max(0, at - 300) : at]):
                spans.append(quoted.span())
            at = quoted.end()
            continue
        at += 1
    return spans
