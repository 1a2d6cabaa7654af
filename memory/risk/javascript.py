"""Whether a script of the MongoDB shell only looks.

Its words are read one by one, and each must be known: a call of the shell that reads, a method that works on what came
back, a function written on the spot. Nothing may be assigned, built or called under another name, and a function that
writes may not even be named, for whoever gets it may call it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LENGTH = 8_000
"""Characters of a script that are read; a longer one never only looks."""

_READS = {
    "rs": frozenset("status conf config printReplicationInfo printSecondaryReplicationInfo hello isMaster".split()),
    "sh": frozenset("status getBalancerState isBalancerRunning".split()),
    "db": frozenset(
        "find findOne count countDocuments estimatedDocumentCount distinct stats currentOp serverStatus getIndexes getMongo"
        " version hello isMaster dataSize totalSize storageSize getProfilingStatus explain validate printCollectionStats"
        " hostInfo getCollectionNames getCollectionInfos latencyStats".split()
    ),
}
_METHODS = frozenset(
    "find findOne count countDocuments distinct getDBs getDBNames limit sort skip projection pretty toArray size hint map"
    " forEach filter maxTimeMS batchSize comment collation readPref readConcern next hasNext tryNext itcount slice split"
    " join keys values entries concat includes indexOf startsWith endsWith toString toFixed round floor ceil abs max min"
    " reduce some every getTime toISOString getTimestamp valueOf explain stringify now toLowerCase toUpperCase trim padEnd"
    " padStart flat flatMap".split()
)
_ROOTS = frozenset(
    "print printjson tojson ObjectId ISODate Date NumberLong NumberInt NumberDecimal Timestamp UUID Number String".split()
)
_PRINTING = frozenset({"print", "printjson", "tojson"})
_SPACES = frozenset({"JSON", "EJSON", "Math", "Object", "Date"})
_CALLING_BACK = frozenset("map forEach filter reduce some every sort find flatMap".split())
_VALUES = frozenset("true false null undefined NaN Infinity PLACEHOLDER x1 MinKey MaxKey".split())
"""Two stand for what a runbook or the shell of the day puts in."""

_KEYWORDS = frozenset("return if else typeof in instanceof of".split())
_NEVER = re.compile(r"constructor|prototype|__\w+|call|apply|bind|caller|callee")
"""Properties that lead to a function's maker or to its call."""

_NO_KEYS = frozenset(
    "toString valueOf toJSON then next return get set inspect asPrintable $where $function $accumulator repair fixMultikey".split()
)
"""Keys of an object that are called unseen, by whoever turns it into a text; that run code on the server; that mend."""

_TOKEN = re.compile(
    r"[ \t]+|[\r\n]+|\"(?:[^\"\\\n\r]|\\[^\n\r])*\"|'(?:[^'\\\n\r]|\\[^\n\r])*'|[A-Za-z_$][\w$]*|\d+(?:\.\d+)?(?![\w.])"
    r"|=>|[=!]==?|<=|>=|&&|\|\||\?\?|[-{}()\[\],;:?.<>+*%!/]",
    re.ASCII,
)
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\n\r\[]|\\[^\n\r]|\[(?:[^\]\\\n\r]|\\[^\n\r])*\])+/[dgimsuvy]*")
_REFUSED = re.compile(r"//|/\*|\?\.|\+\+|--|\*\*")
_PAIRS = {")": "(", "]": "[", "}": "{"}


class _Strange(Exception):
    """Something that is not known to only look."""


def only_looks(script: str) -> bool:
    """Whether nothing that the script does can write, as far as it can be read; in doubt False."""
    if len(script) > MAX_LENGTH:
        return False
    plain = re.sub(r"(?m)^[ \t]*(?:show[ \t]+\w+|use[ \t]+[\w-]+)[ \t]*;?[ \t]*$", "", script)
    # `show dbs; rs.status()` on one line: what the shell itself knows stands in front.
    plain = re.sub(r"^\s*(?:show\s+\w+|use\s+[\w-]+)\s*;", "", plain)
    try:
        _Script(_tokens(plain)).check()
    except _Strange:
        return False
    return True


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(text):
        before = found[-1] if found else ""
        regex = _REGEX.match(text, at) if text[at] == "/" and before in ("(", ",", ":", "[") else None
        match = regex or (None if _REFUSED.match(text, at) else _TOKEN.match(text, at))
        if match is None or match[0] == "=":
            raise _Strange
        token, at = match[0], match.end()
        if regex:
            found.append("'regex'")
        elif not token.isspace():
            # Behind a bracket it may be the beginning of a regular expression, whose quotes are none.
            if token == "/" and (before in _KEYWORDS or not (re.match(r"[\w$]", before) or before in (")", "]"))):
                raise _Strange
            found.append(token)
        elif "\n" in token or "\r" in token:
            found.append("\n")
    return found


@dataclass
class _Script:
    """The words of a script, and the parameters of the functions in it."""

    tokens: list[str]

    def check(self) -> None:
        """Raises `_Strange` at the first word that is not known to look."""
        self.tokens = [*self._joined(), ""]
        self.partners = self._brackets()
        self.parameters = self._parameters()
        if "if" in self.tokens and "/" in self.tokens:
            raise _Strange  # `if (x) /'/`: no division
        i = 0
        while i < len(self.tokens) - 1:
            i = self._at(i)

    def _joined(self) -> list[str]:
        """Without line ends; a line that begins with a dot goes on with the one before, or is a command of the shell."""
        joined: list[str] = []
        for i, token in enumerate(self.tokens):
            if token != "\n":
                joined.append(token)
            elif self.tokens[i + 1 : i + 2] == ["."] and self.tokens[i + 3 : i + 4] != ["("]:
                raise _Strange
        return joined

    def _brackets(self) -> dict[int, int]:
        partners: dict[int, int] = {}
        open_ones: list[int] = []
        for i, token in enumerate(self.tokens):
            if token and token in "([{":
                open_ones.append(i)
            elif token in _PAIRS:
                if not open_ones or self.tokens[open_ones[-1]] != _PAIRS[token]:
                    raise _Strange
                partners[open_ones[-1]] = i
                partners[i] = open_ones.pop()
        if open_ones:
            raise _Strange
        return partners

    def _parameters(self) -> frozenset[str]:
        found: set[str] = set()
        for i, token in enumerate(self.tokens):
            if token == "=>":
                if self.tokens[i - 1] == ")":
                    found.update(self.tokens[self.partners[i - 1] + 1 : i - 1])
                else:
                    found.add(self.tokens[i - 1])
            elif token == "function":
                if self.tokens[i + 1] != "(":
                    raise _Strange
                found.update(self.tokens[i + 2 : self.partners[i + 1]])
        found.discard(",")
        known = _ROOTS | _SPACES | _VALUES | _KEYWORDS | set(_READS) | {"function", "new", "this"}
        if any(not re.fullmatch(r"[A-Za-z_]\w*", name) or name in known for name in found):
            raise _Strange
        return frozenset(found)

    def _at(self, i: int) -> int:
        """Checks the word at `i`; where the next one is."""
        token, before, after = self.tokens[i], self.tokens[i - 1] if i else "", self.tokens[i + 1]
        if token[0] in "'\"":
            if (after == ":" and before in ("{", ",")) or before == "[":
                self._key(token[1:-1])
        elif token == "(":
            if not re.fullmatch(r"[A-Za-z_$][\w$]*", before) and before not in _BEFORE_A_GROUP:
                raise _Strange  # what an expression gives is called
        elif token == "[":
            self._member(i, before)
        elif token == ".":
            return self._property(i, before)
        elif re.match(r"[A-Za-z_$]", token):
            return self._name(i, token, before, after)
        return i + 1

    def _key(self, name: str) -> None:
        if "\\" in name or name in _NO_KEYS or _NEVER.fullmatch(name):
            raise _Strange

    def _member(self, i: int, before: str) -> None:
        end = self.partners[i]
        if before in ("{", ",") and self.tokens[end + 1] == ":":
            raise _Strange  # a key that is computed
        if before in (")", "]", "}") or (re.match(r"[\w$'\"]", before) and before not in _KEYWORDS):
            inner = self.tokens[i + 1 : end]
            if len(inner) != 1 or not re.match(r"[\d'\"]", inner[0]) or self.tokens[end + 1] == "(":
                raise _Strange

    def _property(self, i: int, before: str) -> int:
        name, after = self.tokens[i + 1], self.tokens[i + 2 : i + 3]
        if not (re.match(r"[A-Za-z_$'\"]", before) or before in (")", "]")) or before in _KEYWORDS:
            raise _Strange
        if not re.fullmatch(r"[A-Za-z_$][\w$]*", name) or _NEVER.fullmatch(name):
            raise _Strange
        if after == ["("]:
            if name not in _METHODS:
                raise _Strange
            self._callback(name, i + 2)
            return i + 3
        return i + 2

    def _name(self, i: int, name: str, before: str, after: str) -> int:
        if after == ":" and before in ("{", ","):
            self._key(name)
            return i + 1
        if name in _READS:
            return self._read(i, name)
        if after == "(":
            if name not in _ROOTS | {"function", "if", "return", "typeof", "in"}:
                raise _Strange
        elif name in _SPACES:
            if after != ".":
                raise _Strange
        elif name == "new":
            if after not in ("Date", "ISODate") or self.tokens[i + 2] != "(":
                raise _Strange
        elif name in _PRINTING:
            if before != "(" or after not in (")", ","):
                raise _Strange  # a callback
        elif name in ("PLACEHOLDER", "x1"):
            if before not in _BEFORE_A_VALUE:
                raise _Strange  # it may be a statement
        elif name not in _VALUES | _KEYWORDS | self.parameters:
            raise _Strange
        return i + 1

    def _read(self, i: int, root: str) -> int:
        """`rs.status(`, `db.getSiblingDB("x").orders.find(`: from the shell's object to the bracket of its call."""
        at = i + 1
        while True:
            dot, name, after = (*self.tokens[at : at + 3], "", "")[:3]
            if dot == "[" and root == "db" and re.match(r"['\"]", name) and after == "]":
                at += 3  # db["orders"]
                continue
            if dot != "." or not re.fullmatch(r"[A-Za-z_$][\w$]*", name):
                raise _Strange
            if after != "(" and root == "db" and not _NEVER.fullmatch(name):
                at += 2
                continue
            if after == "(" and root == "db" and name in ("getSiblingDB", "getCollection"):
                given = self.tokens[at + 3 : self.partners[at + 2]]
                if len(given) != 1 or not re.match(r"['\"]|x1$|PLACEHOLDER$", given[0]):
                    raise _Strange
                at = self.partners[at + 2] + 1
                continue
            if after != "(" or name not in _READS[root]:
                raise _Strange
            return at + 3

    def _callback(self, method: str, opening: int) -> None:
        """What a method would call is a function written there, or one that prints."""
        if method not in _CALLING_BACK:
            return
        first, second = self.tokens[opening + 1], self.tokens[opening + 2]
        if method in ("find", "sort") and first in ("{", ")", "x1", "PLACEHOLDER"):
            return
        written = second == "=>" or first == "function"
        if first == "(":
            written = self.tokens[self.partners[opening + 1] + 1] == "=>"
        if not written and not (first in _PRINTING and second in (")", ",")):
            raise _Strange


_BEFORE_A_VALUE = frozenset("( [ , : && || + - * / == === != !== < > <= >=".split())
_BEFORE_A_GROUP = frozenset(("", "(", "[", "{", ",", ";", ":", "?", "=>", "&&", "||", "??", "!", "+", "-", "*", "/", "%",
                             "<", ">", "<=", ">=", "==", "===", "!=", "!=="))  # fmt: skip
