"""Whether a sed script only prints: read in full by a small grammar, in one pass; what is not in it is not read-only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .level import CHANGE, READ, Risk, by_words, worst
from .rules import DYNAMIC, Call, Judge, operands, target_risk

_FLAGS = frozenset("nErsuz")
_LONG = frozenset(
    "--quiet --silent --regexp-extended --separate --unbuffered --null-data --posix --sandbox --version --help".split()
)
_ADDRESS = re.compile(r"\d+(?:~\d+)?|\$|[+~]\d+")
_END = re.compile(r"[ \t]*(?:(?=[}#])|;|\n|\Z)")
_PLAIN = re.compile(r"[pdDnNgGhHxPzF=]|[lqQ][ \t]*\d*")
_LABEL = re.compile(r"[btT:][ \t]*[\w.-]*")
_FILE = re.compile(r"[wW]\s*(/[\w./-]+)")


def sed(call: Call, judge: Judge) -> Risk:
    """sed prints, unless it edits in place or its script writes a file or runs a command."""
    script = _script(call.args)
    if script is not None and _Script(script.replace(DYNAMIC, "1")).only_prints():
        return READ
    written = [*operands(call.args)[1:], *(path for arg in call.args for path in _FILE.findall(arg))]
    targets = (target_risk(p) for p in written if p.startswith("/dev/") or p not in call.args)
    return worst(CHANGE, by_words(call.args), *targets) if script is not None else worst(CHANGE, *targets)


def _script(args: Sequence[str]) -> str | None:
    """The script, its parts joined by line ends; None with an option that is not known to be harmless."""
    scripts, words, rest = [], [], list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            words += rest
            break
        if arg.startswith("--"):
            name, equals, value = arg.partition("=")
            if name == "--expression" and (equals or rest):
                scripts.append(value if equals else rest.pop(0))
            elif arg not in _LONG and name != "--line-length":
                return None
        elif len(arg) > 1 and arg[0] == "-":
            letters = arg[1:].lstrip("".join(_FLAGS))
            if letters[:1] in ("e", "l"):
                value = letters[1:] or (rest.pop(0) if rest else "")
                scripts += [value] if letters[0] == "e" else []
            elif letters:
                return None
        else:
            words.append(arg)
    return "\n".join(scripts or words[:1])


class _Script:
    """A script and the place in it."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def only_prints(self) -> bool:
        """Whether all of it was understood, and none of it writes or runs."""
        while self.at < len(self.text):
            if self.text[self.at] in " \t\n;":
                self.at += 1
            elif not self._command():
                return False
        return True

    def _command(self) -> bool:
        if self._address():
            self._blanks()
            if self._next() == ",":
                self.at += 1
                self._blanks()
                if not self._address():
                    return False
        self._blanks("! \t")
        text, char = self.text, self._next()
        if char in ("{", "}"):
            self.at += 1
            return True
        if char == "#" or char in ("a", "i", "c", "r", "R"):
            return self._line()
        if char in ("s", "y"):
            self.at += 1
            if not self._delimited(2, char == "s"):
                return False
            if char == "s":
                self._blanks("gpiImM0123456789")
        elif found := _PLAIN.match(text, self.at) or _LABEL.match(text, self.at):
            self.at = found.end()
        else:
            return False
        end = _END.match(text, self.at)
        self.at = end.end() if end else self.at
        return end is not None

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _blanks(self, these: str = " \t") -> None:
        while self.at < len(self.text) and self.text[self.at] in these:
            self.at += 1

    def _address(self) -> bool:
        if found := _ADDRESS.match(self.text, self.at):
            self.at = found.end()
            return True
        if self._next() == "\\":
            self.at += 1
        elif self._next() != "/":
            return False
        if not self._delimited(1, True):
            self.at = len(self.text) + 1  # nothing can follow: not understood
            return False
        self._blanks("IM")
        return True

    def _line(self) -> bool:
        """The rest of the line: a comment, a text, a file that is read. A backslash at its end continues it."""
        while self.at < len(self.text) and self.text[self.at] != "\n":
            self.at += 2 if self.text[self.at] == "\\" else 1
        return True

    def _delimited(self, parts: int, expression: bool) -> bool:
        """`/one/two/`; no, where seds differ on the end: with the delimiter in a bracket of the first."""
        mark, text = self._next(), self.text
        if not mark or mark in "\n\\":
            return False
        for part in range(parts):
            self.at += 1
            start = self.at
            while self.at < len(text) and text[self.at] != mark:
                self.at += 2 if text[self.at] == "\\" else 1
            if self.at >= len(text):
                return False
            if expression and part == 0:
                plain = re.sub(r"\\.", "", text[start : self.at], flags=re.S)
                if "[" in re.sub(r"\[\^?\]?(?:\[:\w+:\]|[^\]])*\]", "", plain):
                    return False
        self.at += 1
        return True
