"""Reads a shell script into the simple commands that it would run, wherever they are hidden.

Our own reader, because the text is untrusted and is read inside the server. tree-sitter-bash 0.25 was tried
first: under this module's property tests it ended the process with a segmentation fault, and 16 kB of pipes
took it seconds. shlex knows neither `$(…)` nor here-documents; bashlex is GPL. This one gives up where it
does not understand: the result is then `broken`, and a broken script is never read-only. It expands and
checks nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .rules import DYNAMIC
from .words import Broken, WordReader


@dataclass(slots=True)
class Redirect:
    """`operator` without its descriptor; `target` is a file, or the text of a here-document."""

    operator: str
    target: str


@dataclass(slots=True)
class Simple:
    """A simple command; without words it sets variables or empties a file. `stdin` as in `rules.Call`."""

    words: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)
    stdin: str | None = None
    compound: bool = False  # the redirections of a loop or a group


_REDIRECT = re.compile(r"(?:\d+|\{\w+\})?(&>>|&>|<<<|<<-|<<|<>|>>|>\||>&|<&|<|>)")
_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|[;&|()\n]")
_VARIABLE = re.compile(r"[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=")
_OPENS = {
    "if": "fi",
    "while": "done",
    "until": "done",
    "for": "done",
    "select": "done",
    "case": "esac",
    "{": "}",
}
_CLOSES = frozenset(_OPENS.values())
_PASSED = frozenset({"then", "elif", "else", "do", "!", "coproc"})
_PRINTS = frozenset({"echo", "printf"})


class Reader(WordReader):
    """Reads one script. Results: `commands`, `scripts` (what stands in `$(…)` and backticks) and `broken`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.commands: list[Simple] = []
        self.broken = False
        self._here: list[tuple[Redirect, str, bool]] = []  # here-documents whose body is still to come
        self._open: list[tuple[str, str | None]] = []  # what closes the compound, and what it reads
        self._current = Simple()
        self._stdin: str | None = None  # what the pipe in front gives
        self._needs = False  # after `|` and `&&` a command must follow
        self._pattern = False  # within `case`, before `)`
        try:
            self._read()
        except Broken:
            self.broken = True
            self._end(final=True)

    # -- commands

    def _read(self) -> None:
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char in " \t\r" or text.startswith("\\\n", self.at):
                self.at += 2 if char == "\\" else 1
            elif char == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif not self._redirect():
                operator = _OPERATOR.match(text, self.at)
                if operator:
                    self.at = operator.end()
                    self._operator(operator[0])
                else:
                    self._take(self.word())
        self._bodies()
        self._end()
        if self._open or self._needs or self._pattern:
            raise Broken

    def _take(self, word: str) -> None:
        """One word more: a keyword where a command may begin, else a part of the command."""
        current = self._current
        if self._pattern:
            if word == "esac":
                self._pattern = False
                self._close("esac")
            return
        if current.compound:
            raise Broken  # `done x`
        if current.words or current.variables or current.redirects:
            if not current.words and _VARIABLE.match(word):
                current.variables.append(word)
            else:
                current.words.append(word)
        elif word in _OPENS:
            self._open.append((_OPENS[word], self._stdin if self._stdin is not None else self._inherited()))
            self._stdin, self._needs = None, False
            if word in ("for", "select"):
                self._skip_head(";", "do")
                current.compound = False
            elif word == "case":
                self._skip_head("", "in")
                self._pattern = True
        elif word in _CLOSES:
            self._close(word)
        elif word == "function":
            self._word_after_blanks()
        elif word == "[[":
            self._test()
        elif word not in _PASSED:
            (current.variables if _VARIABLE.match(word) else current.words).append(word)

    def _skip_head(self, separator: str, last: str) -> None:
        """The head of `for x in …; do` and `case x in`: words that no one runs."""
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if separator and char in ";\n":
                self.at += 1
                return
            if char.isspace():
                self.at += 1
            elif text.startswith("((", self.at):
                self.balanced_arithmetic(1)
            elif char in "&|<>()":
                raise Broken
            elif self.word() == last:
                return
        raise Broken

    def _word_after_blanks(self) -> str:
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1
        return self.word()

    def _test(self) -> None:
        """`[[ … ]]`, in which `<`, `&&` and brackets are no operators."""
        text = self.text
        while self.at < len(text):
            if text[self.at].isspace() or text[self.at] in "<>()&|;#":
                self.at += 1
            elif self.word() == "]]":
                self._current.words.append("[[")
                return
        raise Broken

    def _operator(self, operator: str) -> None:
        text, current = self.text, self._current
        empty = not (current.words or current.variables or current.redirects or current.compound)
        if self._pattern:
            if operator == ")":
                self._pattern = False
            elif operator not in ("|", "(", "\n"):
                raise Broken
            return
        if operator == "(":
            if text.startswith("(", self.at) and empty:
                self.at -= 1
                if self._arithmetic_command():
                    return
                self.at += 1
            if empty:
                self._open.append((")", self._stdin if self._stdin is not None else self._inherited()))
                self._stdin, self._needs = None, False
                return
            definition = re.compile(r"[ \t]*\)\s*(?=[{(])").match(text, self.at)
            if definition and len(current.words) == 1:
                self.at, self._current = definition.end(), Simple()
                return
            raise Broken
        if operator == ")":
            if empty and self._needs:
                raise Broken
            self._end()
            self._close(")")
            return
        if operator in (";;", ";&", ";;&"):
            self._end()
            if not self._open or self._open[-1][0] != "esac":
                raise Broken
            self._pattern = True
            return
        if operator == "\n":
            self._bodies()
            if not empty:
                self._end()
            return
        if empty:
            raise Broken
        self._end()
        self._needs = operator in ("|", "|&", "&&", "||")
        if operator in ("|", "|&"):
            self._stdin = self._printed(self.commands[-1]) if self.commands else DYNAMIC

    def _arithmetic_command(self) -> bool:
        here = self.at
        if self.balanced_arithmetic(1):
            self._current.words.append("true")
            return True
        self.at = here
        return False

    @staticmethod
    def _printed(command: Simple) -> str:
        """What a command writes into its pipe, where that can be told."""
        if command.words[:1] == ["cat"] and len(command.words) == 1 and command.stdin is not None:
            return command.stdin
        if not command.words or command.words[0] not in _PRINTS:
            return DYNAMIC
        arguments = command.words[1:]
        while arguments and re.fullmatch(r"-[neE]+", arguments[0]):
            del arguments[0]
        return " ".join(arguments)

    def _inherited(self) -> str | None:
        return self._open[-1][1] if self._open else None

    def _close(self, closer: str) -> None:
        if not self._open or self._open[-1][0] != closer:
            raise Broken
        self._open.pop()
        self._current.compound = True

    def _end(self, final: bool = False) -> None:
        """The current command is complete."""
        command, self._current = self._current, Simple()
        if not (command.words or command.variables or command.redirects or command.compound):
            return
        given = [r for r in command.redirects if r.operator in ("<", "<<", "<<-", "<<<", "<>")]
        if given:
            last = given[-1]
            unread = last.operator in ("<", "<>") and last.target != "/dev/null"
            command.stdin = DYNAMIC if unread else "" if last.operator in ("<", "<>") else last.target
        else:
            command.stdin = self._stdin if self._stdin is not None else self._inherited()
        self._stdin, self._needs = None, final
        self.commands.append(command)

    # -- redirections and here-documents

    def _redirect(self) -> bool:
        text = self.text
        match = _REDIRECT.match(text, self.at)
        if not match or (text.startswith("(", match.end()) and match[1] in ("<", ">")):
            return False  # `<(cmd)` is a word
        self.at = match.end()
        while text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1
        start = self.at
        if start >= len(text) or (text[start] in "\n;&|()" and not (text[start] == "&")):
            raise Broken
        redirect = Redirect(match[1], self.word())
        if match[1] in ("<<", "<<-"):
            quoted = any(c in text[start : self.at] for c in "'\"\\")
            self._here.append((redirect, redirect.target, quoted))
            redirect.target = DYNAMIC
        self._current.redirects.append(redirect)
        return True

    def _bodies(self) -> None:
        """The bodies of the here-documents of the line that just ended."""
        pending, self._here = self._here, []
        for redirect, delimiter, quoted in pending:
            start = self.at
            while True:
                if self.at >= len(self.text):
                    raise Broken
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line, line_start = self.text[self.at : end], self.at
                self.at = min(end + 1, len(self.text))
                if (line.lstrip("\t") if redirect.operator == "<<-" else line) == delimiter:
                    break
            body = self.text[start:line_start]
            redirect.target = body if quoted else self.expand(body)
