"""Reads the words of a shell script: quotes, escapes, variables and what is substituted into them."""

from __future__ import annotations

import re

from .rules import DYNAMIC


class Broken(Exception):
    """The script is not one that we understand."""


_PLAIN = re.compile(r"[^\s'\"\\$`;&|<>()#]+")
_ARITHMETIC = re.compile(r"[\w\s+*/%<>=!&|^~?:,.#$\[\]{}()" + DYNAMIC + r"-]*")


class WordReader:
    """A text, the place in it, and the scripts (`$(…)`, backticks) that were found in its words."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.scripts: list[str] = []

    def word(self) -> str:
        """The next word as the program would get it; what the shell would put in is DYNAMIC."""
        text, out, start = self.text, [], self.at
        while self.at < len(text):
            char = text[self.at]
            if plain := _PLAIN.match(text, self.at):
                out.append(plain[0])
                self.at = plain.end()
            elif char == "\\":
                if not text.startswith("\\\n", self.at):
                    out.append(text[self.at + 1 : self.at + 2])
                self.at += 2
            elif char == "'":
                out.append(self._until_quote(self.at + 1))
            elif char == '"' or text.startswith('$"', self.at):
                opening = self.at + (2 if char == "$" else 1)
                self.at = self._matching(opening, '"')
                inner = text[opening : self.at - 1]
                out.append(re.sub(r'\\([$`"\\\n])', r"\1", self.expand(inner)))
            elif char in "$`":
                out.append(self._dollar())
            elif char == "(" and out and out[-1].endswith("=") and self.at > start:  # a=(1 2)
                end = self._matching(self.at + 1, ")")
                self.expand(text[self.at + 1 : end - 1])
                self.at = end
                out.append(DYNAMIC)
            elif char in "<>" and text.startswith("(", self.at + 1):
                out.append(self._substitution(self.at + 2, ")"))
            elif char == "#" and self.at > start:
                out.append(char)
                self.at += 1
            else:
                break
        if self.at == start:
            raise Broken
        return "".join(out)

    def _until_quote(self, start: int) -> str:
        end = self.text.find("'", start)
        if end < 0:
            raise Broken
        self.at = end + 1
        return self.text[start:end]

    def _dollar(self) -> str:
        """`$x`, `${x}`, `$(cmd)`, `$((1 + 1))`, `$'…'` or backticks."""
        text = self.text
        if text[self.at] == "`":
            return self._substitution(self.at + 1, "`")
        following = text[self.at + 1 : self.at + 2]
        if following == "'":
            quoted = re.compile(r"((?:[^'\\]|\\.)*)'", re.S).match(text, self.at + 2)
            if not quoted:
                raise Broken
            self.at = quoted.end()
            plain = re.sub(r"\\[^nrt'\"\\]", DYNAMIC, quoted[1])  # an escape may spell anything
            return plain.replace("\\n", "\n").replace("\\t", "\t")
        if text.startswith("$((", self.at) and self.balanced_arithmetic(2):
            return DYNAMIC
        if following == "(":
            return self._substitution(self.at + 2, ")")
        if following == "{":
            end = self._matching(self.at + 2, "}")
            inner, self.at = text[self.at + 2 : end - 1], end
            self.expand(inner)
            return DYNAMIC
        name = re.compile(r"\$(?:\w+|[@*#?!$-])").match(text, self.at)
        self.at = name.end() if name else self.at + 1
        return DYNAMIC if name else "$"

    def _substitution(self, start: int, closer: str) -> str:
        end = self._matching(start, closer)
        inner = self.text[start : end - 1]
        self.scripts.append(re.sub(r"\\([`\\$])", r"\1", inner) if closer == "`" else inner)
        self.at = end
        return DYNAMIC

    def balanced_arithmetic(self, offset: int) -> bool:
        """`((…))` behind `offset - 1` characters: passed over if it is arithmetic."""
        end = self._matching(self.at + offset, ")")
        inner = self.text[self.at + offset + 1 : end - 2]
        if self.text[end - 2 : end] != "))" or (";" in inner and offset == 2):
            return False
        if not _ARITHMETIC.fullmatch(self.expand(inner).replace(";", " ")):
            return False
        self.at = end
        return True

    def expand(self, text: str) -> str:
        """A text in which only `$` and backticks are special, as in double quotes."""
        if "$" not in text and "`" not in text:
            return text
        outer, self.text, here, out = self.text, text, self.at, []
        self.at = 0
        try:
            while self.at < len(text):
                char = text[self.at]
                if char == "\\":
                    out.append(text[self.at : self.at + 2])
                    self.at += 2
                elif char in "$`" and text[self.at + 1 : self.at + 2] not in ("'", '"'):
                    out.append(self._dollar())
                else:
                    plain = re.compile(r"[^\\$`]+|.", re.S).match(text, self.at)
                    out.append(plain[0] if plain else "")
                    self.at += len(out[-1])
        finally:
            self.text, self.at = outer, here
        return "".join(out)

    def _matching(self, start: int, closer: str) -> int:
        """The place behind the bracket or quote that closes what opened before `start`."""
        text, stack, i = self.text, [closer], start
        interesting = re.compile(r"[\\'\"`(){}#]|\$[({]")
        while match := interesting.search(text, i):
            token, i, top = match[0], match.end(), stack[-1]
            if token == "\\":
                i += 1
            elif token == top:
                stack.pop()
                if not stack:
                    return i
            elif token in ("$(", "${"):
                stack.append(")" if token == "$(" else "}")
            elif token in '`"':
                stack.append(token)
            elif top == '"':
                pass
            elif token == "'":
                i = text.find("'", i) + 1
                if not i:
                    raise Broken
            elif token == "(" and top != "}":
                stack.append(")")
            elif token == "#" and top == ")" and text[match.start() - 1] in " \t\n;":
                i = text.find("\n", i)
                if i < 0:
                    raise Broken
        raise Broken
