"""Finds the part of a command that destroys, and what it would hit: behind sudo, ssh, `kubectl exec`, a loop, xargs."""

from __future__ import annotations

import re
from dataclasses import replace

from ..risk import Risk, risk_of
from ..risk.sql import looks_like_sql
from .cluster import CLUSTER
from .guard import NO_WAY_BACK, Safeguard
from .programs import PROGRAMS, of_file
from .split import Part, bare, quoted, split
from .statements import CLIENTS, of_client, of_sql

_DEPTH = 4

# Programs in front of a command; the value tells how many words of their own follow their options.
_WRAPPERS = {
    "sudo": 0, "doas": 0, "env": 0, "nohup": 0, "nice": 0, "ionice": 0, "time": 0, "timeout": 1, "setsid": 0, "exec": 0,
    "command": 0, "strace": 0, "stdbuf": 0,
}  # fmt: skip
_KEPT = frozenset({"sudo", "doas", "env"})
"""Those that the check needs, too: they say as whom, and with which variables."""
_VALUED = frozenset({"-u", "-g", "-n", "-k", "-s", "-C", "-h", "-p", "-c", "-e", "-o"})
_QUOTED = frozenset(
    {
        "ssh",
        "sh",
        "bash",
        "zsh",
        "dash",
        "watch",
        "eval",
        "su",
        "runuser",
        "knife",
        "pdsh",
        "pssh",
        "ansible",
        "salt",
        "timeout",
    }
)
_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ssh"})
_XARGS_VALUED = frozenset({"-n", "-P", "-I", "-L", "-d", "-s", "-a", "-j", "-E"})
_HERE = re.compile(
    r"^(?P<head>[^\n]*?)<<-?\s*(?P<q>['\"]?)(?P<end>\w+)(?P=q)[ \t]*\n(?P<body>.*?)\n\s*(?P=end)\s*$", re.DOTALL
)
_HERE_STRING = re.compile(r"^(?P<head>[^\n|;&]*?)<<<\s*(?P<q>['\"])(?P<body>[^'\"]*)(?P=q)\s*$")
_PRINTED = re.compile(r"^\s*(?:echo|printf)\s+(?P<q>['\"])(?P<body>[^'\"]*)(?P=q)\s*\|\s*(?P<tail>[^|;&\n]+)$")


def derive(text: str, depth: int = 0) -> Safeguard | None:
    """The safeguard of a script, or None where its kind of command is not known."""
    if depth > _DEPTH:
        return None
    text = re.sub(r"^\s*[$#%]\s+(?=\S)", "", text)  # a prompt
    if looks_like_sql(text):
        return of_sql(text)
    fed = _fed(text, depth)
    if fed is not None:
        return fed
    parts = split(text)
    for index, part in enumerate(parts or ()):
        raw = text[part.start : part.end].strip()
        if (
            risk_of(raw or None) is not Risk.DESTRUCTIVE
            and risk_of(" ".join(part.words) or None) is not Risk.DESTRUCTIVE
        ):
            continue
        found = _of_part(text, parts or [], index, depth)
        if found is not None:
            return found if found.check is None else replace(found, check=_placed(found.check, parts or [], index))
    return None


def _placed(check: str, parts: list[Part], index: int) -> str | None:
    """The check where the step runs: behind the same `cd`, with the same variables; None where only a function's or a
    script's arguments could tell."""
    if re.search(r"\$\{?[\d@*]", re.sub(r"'[^']*'", "", check)):  # in single quotes they are awk's
        return None
    for part in reversed(parts[:index]):
        if part.words[:1] == ("cd",) and len(part.words) == 2 and part.operator not in ("|",):
            check = f"cd {part.words[1]} && {check}"
            break
    names = dict.fromkeys(re.findall(r"\$\{?([A-Za-z_]\w*)", check))
    for part in reversed(parts[:index]):
        for variable in part.variables:
            if not part.words and variable.split("=")[0].rstrip("+") in names:
                check = f"{variable}; {check}"
    return check


def _fed(text: str, depth: int) -> Safeguard | None:
    """What a program reads: `psql <<EOF`, `redis-cli <<< '…'`, `echo '…' | mysql`. The check is fed in the same way."""
    for form in (_HERE, _HERE_STRING, _PRINTED):
        found = form.match(text)
        if found is None or risk_of(found["body"]) is not Risk.DESTRUCTIVE:
            continue
        reader = (found["tail"] if form is _PRINTED else found["head"]).split()
        if not (_SHELLS | CLIENTS) & {word.rsplit("/", 1)[-1] for word in reader}:
            return None  # what the words mean to another program is not known here
        guard = of_sql(found["body"]) if looks_like_sql(found["body"]) else derive(found["body"], depth + 1)
        if guard is None or guard.check is None:
            return guard
        if form is _HERE:
            check = f"{found['head']}<<'{found['end']}'\n{guard.check}\n{found['end']}"
        else:
            again = quoted(guard.check, found["q"])
            fed = f"{found['head']}<<< {again}" if form is _HERE_STRING else f"echo {again} | {found['tail'].strip()}"
            check = fed if again else ""
        return replace(guard, check=check or None)
    return None


def _of_part(text: str, parts: list[Part], index: int, depth: int) -> Safeguard | None:
    part = parts[index]
    if not part.words or (part.words[0] in ("cat", ":", "echo", "true", "printf") and part.writes):
        return of_file(part.writes) if part.writes else None
    prefix, words = _unwrapped(part.words)
    prefix = [*part.variables, *prefix]
    if not words:
        return None
    program = bare(words[0]).rsplit("/", 1)[-1].lstrip("\\")
    if program == "xargs" or (program == "parallel" and part.operator == "|"):
        return _listed(_pipeline(text, parts, index), words, depth)
    looped = _looped(text, part)
    if looped is not None:
        return _listed(looped, words, depth)
    if program in _QUOTED:
        return _within_quotes(prefix, words, depth)
    if program in ("kubectl", "oc", "docker", "podman", "nerdctl", "docker-compose") and (inner := _executed(words)):
        head, rest = words[:inner], words[inner:]
        return _prefixed(" ".join([*prefix, *head]), derive(" ".join(rest), depth + 1))
    if program in CLIENTS:
        return _prefixed(" ".join(prefix), of_client(program, words))
    rule = CLUSTER.get(program) or PROGRAMS.get(program)
    return _prefixed(" ".join(prefix), rule([bare(words[0]), *words[1:]]) if rule else None)


def _prefixed(prefix: str, found: Safeguard | None) -> Safeguard | None:
    """The check behind what stood in front of the command; each command of it, where it has several."""
    if found is None or found.check is None or not prefix:
        return found
    parts = split(found.check) or []
    if len(parts) < 2 or any(part.operator not in ("", "&&") for part in parts):
        return replace(found, check=f"{prefix} {found.check}")
    return replace(found, check=" && ".join(f"{prefix} {found.check[p.start : p.end].strip()}" for p in parts))


def _unwrapped(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """What stands in front and belongs to the check, too (sudo -u postgres), and the command itself."""
    rest, prefix = list(words), []
    while rest and rest[0] in _WRAPPERS:
        wrapper = rest.pop(0)
        own = [wrapper]
        while rest and (rest[0].startswith("-") or re.match(r"\w+=|\"\w+=", rest[0])):
            own.append(rest.pop(0))
            if (
                own[-1] in _VALUED
                and not (wrapper == "sudo" and own[-1] == "-n")
                and len(rest) > 1
                and wrapper != "time"
            ):
                own.append(rest.pop(0))
        own += rest[: _WRAPPERS[wrapper]]
        del rest[: _WRAPPERS[wrapper]]
        prefix += own if wrapper in _KEPT else []
    return prefix, rest


def _pipeline(text: str, parts: list[Part], index: int) -> str:
    """The pipeline in front of a part."""
    first = index
    while first > 0 and parts[first].operator in ("|", "|&"):
        first -= 1
    return text[parts[first].start : parts[index].start].rstrip().rstrip("|&").strip() if first < index else ""


def _looped(text: str, part: Part) -> str | None:
    """What a loop around the part runs over, where the part names the loop's variable."""
    for name in re.findall(r"\$\{?(\w+)", " ".join(part.words)):
        over = re.search(rf"\bfor\s+{name}\s+in\s+(\$\((?:[^()]|\([^()]*\))*\)|[^;\n]+?)\s*(?:;|\n)\s*do\b", text)
        if over:
            items = over[1]
            return items[2:-1].strip() if items.startswith("$(") else f"echo {items}"
        piped = re.search(rf"^(.*?)\|\s*while\s+read\s+(?:-r\s+)?[\w ]*\b{name}\b", text, re.DOTALL)
        if piped:
            return piped[1].strip()
    return None


def _listed(source: str, words: list[str], depth: int) -> Safeguard:
    """A command that is run on each line of a list: the list is the check."""
    inner = list(words)
    if bare(inner[0]) in ("xargs", "parallel"):
        del inner[0]
        while inner and inner[0].startswith("-"):
            del inner[: 2 if inner[0] in _XARGS_VALUED else 1]
    one = derive(" ".join([*inner, "x"]), depth + 1) if inner else None
    way_back = one.way_back if one else f"{NO_WAY_BACK} that is known."
    return Safeguard(source or None, "Every line of this list is hit: read it, and count it", way_back)


def _within_quotes(prefix: list[str], words: list[str], depth: int) -> Safeguard | None:
    """`ssh host 'script'`, `sh -c 'script'`: the check goes into the same quotes."""
    for position in range(len(words) - 1, 0, -1):
        inner = bare(words[position])
        if inner != words[position] and risk_of(inner) is Risk.DESTRUCTIVE:
            found = derive(inner, depth + 1)
            again = quoted(found.check, words[position]) if found and found.check else None
            return found and replace(found, check=" ".join([*prefix, *words[:position], again]) if again else None)
    if words[0] != "ssh":
        return None
    for position in range(2, len(words)):  # `ssh host sudo rm -rf /x`
        if re.fullmatch(r"-\w", words[position - 1]):
            continue
        rest = " ".join(words[position:])
        if risk_of(rest) is Risk.DESTRUCTIVE and (found := derive(rest, depth + 1)):
            again = quoted(found.check, "'") if found.check else None
            return replace(found, check=f"{' '.join([*prefix, *words[:position]])} {again}" if again else None)
    return None


def _executed(words: list[str]) -> int | None:
    """Where the command begins that `kubectl exec` or `docker exec` runs."""
    if not {"exec", "run", "debug", "rsh"} & set(words[:8]):
        return None
    if "--" in words:
        return words.index("--") + 1
    if "exec" not in words:
        return None
    at = words.index("exec") + 1
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in ("-c", "-n", "-u", "-e", "-w", "--user", "--container") else 1
    return at + 1 if at + 1 < len(words) else None
