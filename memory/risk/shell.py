"""Judges a command line: reads it into simple commands and looks each of them up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from .level import CHANGE, DESTROY, READ, Risk, by_words, destructive_words, worst
from .reader import Reader, Simple
from .rules import DYNAMIC, RUNNING_VARIABLE, Call, Rule, target_risk

MAX_LENGTH = 16_000
"""Characters. Longer commands are judged by their words."""

MAX_DEPTH = 6
"""`sh -c "ssh host 'sudo sh -c …'"`: scripts within scripts."""

MAX_PARTS = 2_000
"""Simple commands that are judged in one call, scripts within scripts included."""

MAX_READ = 20 * MAX_LENGTH
"""Characters that are read in one call. `find -exec find -exec …` reads its end once for each beginning."""

# `<pod>`, `<your namespace>`, `{{ pod }}`: what a runbook leaves to the reader. In a shell `<pod>` would be
# two redirections; it is one only where a directory of the system follows (`cat <a>/etc/passwd`).
_PLACEHOLDER = re.compile(
    r"<[A-Za-z](?:[\w .:/|'\u2019-]{0,60}[\w.'\u2019])?>"
    r"(?!\s*(?:/(?:etc|dev|boot|usr|bin|lib|proc|sys)\b|[~&>]))"
    r"|\{\{[^{}\n]{0,80}\}\}"
)
_PROMPT = re.compile(
    r"^[ \t]*(?:\[[\w.-]+@[\w.-]+ [^\]$#;&|<>\n]{0,60}\][$#]|[\w.-]+@[\w.-]+:?[^\s$#;&|<>]{0,60}[$#]"
    r"|[$%\u276f]|(?:ba)?sh-[\d.]+[$#]|PS>|mysql>"
    r"|MariaDB \[[^\]\n]{0,40}\]>"
    r"|\w{1,60}=[#>]|(?:\d{1,3}(?:\.\d{1,3}){3}|localhost):\d{1,5}>|redis>)[ \t]+(?=\S)",
    re.M,
)
_SUDO = re.compile(r"(?:sudo\s+)+(?![-\s])")


_FORK_BOMB = re.compile(r"(?<![\w:.])([\w:.]{1,64})\s*\(\)\s*\{\s*\1\s*\|\s*\1\s*&")


@cache
def _programs() -> dict[str, Rule]:
    from . import clouds, containers, delivery, network, queues, services, sockets, stores, unix, wrappers

    tables = (unix, wrappers, services, network, sockets, containers, clouds, delivery, stores, queues)
    return {name: rule for table in tables for name, rule in table.PROGRAMS.items()}


def judge_command(command: str) -> tuple[Risk, bool]:
    """The risk of a command, and whether all of it was understood."""
    judge = ShellJudge(command)
    return judge.top(command), judge.understood


class ShellJudge:
    """Judges one command; it holds what has been spent of its limits. (The `Judge` of the rules.)"""

    def __init__(self, whole: str) -> None:
        self.whole, self.understood = whole, True
        self.depth, self.parts, self.read = 0, 0, 0
        self._opaque: Risk | None = None

    def top(self, command: str) -> Risk:
        """The risk of a whole command: a shell script, SQL or a Redis command, perhaps behind a prompt."""
        if len(command) > MAX_LENGTH:
            return self._by_scan(command)
        # A backslash at the very end continues into nothing.
        text = _PROMPT.sub("", command).strip().rstrip("\\").strip().replace("\x00", "")
        text = _SUDO.sub("", text, count=1) if _SUDO.match(text) else text
        from .sql import looks_like_sql, risk_of_sql

        if looks_like_sql(text):
            return risk_of_sql(text)
        if _FORK_BOMB.search(text):
            return DESTROY
        if not text:
            return self.opaque()
        if all(line.lstrip().startswith("#") or not line.strip() for line in text.split("\n")):
            # A comment, or root's prompt: judged as if it ran, and in doubt it does.
            inner = "\n".join(line.lstrip().lstrip("#").strip() for line in text.split("\n"))
            return worst(CHANGE, self.script(inner))
        return self.script(text)

    def opaque(self) -> Risk:
        """Something unseen runs; the words around it are all there is to go by."""
        self.understood = False
        if self._opaque is None:  # asked for each word that a variable may have made
            self._opaque = DESTROY if destructive_words(self.whole, thorough=True) else CHANGE
        return self._opaque

    def _spent(self, text_length: int) -> bool:
        """Whether reading so many characters more would take too long: then the words of the whole are the answer."""
        self.read += text_length
        return self.read > MAX_READ

    def _by_scan(self, text: str) -> Risk:
        self.understood = False
        if self._spent(len(text)):
            return self.opaque()
        return DESTROY if destructive_words(text, thorough=True) else CHANGE

    def script(self, text: str) -> Risk:
        """The risk of a shell script."""
        if self._spent(len(text)):
            return self.opaque()
        text = _PLACEHOLDER.sub("PLACEHOLDER", text)
        if len(text) > MAX_LENGTH or self.depth >= MAX_DEPTH:
            return self._by_scan(text)
        self.depth += 1
        try:
            script = Reader(text)
            risk = worst(*map(self._simple, script.commands), *map(self.script, script.scripts))
            return worst(risk, self._by_scan(text)) if script.broken else risk
        finally:
            self.depth -= 1

    def argv(self, words: Sequence[str], stdin: str | None = None) -> Risk:
        """The risk of one simple command."""
        self.parts += 1
        if self.read > MAX_READ or self._spent(sum(map(len, words))):
            return self.opaque()
        if self.parts > MAX_PARTS or self.depth >= 4 * MAX_DEPTH:
            return self._by_scan(" ".join(words))
        if not words:
            return READ
        if DYNAMIC in words[0]:
            return worst(self.opaque(), by_words(words))
        from .sql import looks_like_sql, risk_of_sql

        name = words[0].rsplit("/", 1)[-1]
        name = name.removesuffix(".exe")
        if name == "manage.py":
            return self.argv(["python", *words], stdin)
        rule = _programs().get(name) or self._rule_by_pattern(name)
        if rule is None:
            sentence = " ".join(words)
            if looks_like_sql(sentence):
                return risk_of_sql(sentence)
            from .queues import redis_sentence

            known = redis_sentence(words)
            if known is not None:
                return known
            self.understood = False
            return by_words([*words, stdin or ""])
        self.depth += 1
        try:
            return rule(Call(name, tuple(words[1:]), stdin), self)
        finally:
            self.depth -= 1

    def _rule_by_pattern(self, name: str) -> Rule | None:
        """`mkfs.ext4`, `python3.11`: families of names."""
        family = re.match(r"(mkfs|fsck|python|ruby|perl|pip)[\d.]*(?:\.\w+)?$", name)
        return _programs().get(family[1]) if family else None

    def _simple(self, command: Simple) -> Risk:
        """The risk of one simple command with its redirections."""
        risks = [READ]
        exported = (
            command.words[1:] if command.words[:1] in (["export"], ["declare"], ["typeset"], ["readonly"]) else []
        )
        if any(RUNNING_VARIABLE.match(variable) for variable in [*command.variables, *exported]):
            risks.append(self.opaque())
        for redirect in command.redirects:
            if redirect.operator in ("<", "<<", "<<-", "<<<", "<&"):
                continue
            if re.match(r"/dev/(?:tcp|udp)/", redirect.target):
                risks.append(self.opaque())  # bash opens a connection, and sends what is printed
            empties = redirect.operator in (">", ">|", "&>") and not command.compound
            risks.append(
                target_risk(
                    redirect.target,
                    truncates=empties and (_prints_nothing(command.words) or redirect.target in command.words[1:]),
                )
            )
        if command.words:
            risks.append(self.argv(command.words, command.stdin))
        return worst(*risks)


def _prints_nothing(words: list[str]) -> bool:
    """`:`, `true`, `echo -n`, `cat /dev/null`: what is put in front of `>` to empty a file."""
    return (
        not words
        or words[:1] in ([":"], ["true"])
        or words == ["cat", "/dev/null"]
        or (words[:1] in (["echo"], ["printf"]) and not "".join(w for w in words[1:] if w != "-n").strip())
    )
