"""A command line in parts that keep their spelling: quotes, `$NAME` and `<pod>` stay as they are, so that a check can be
written with the same words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A word: bare characters, escapes, quoted text, `$(…)`, backticks, `<placeholder>`.
_WORD = re.compile(
    r"(?:[^\s'\"`\\;&|<>()$]+|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\"|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|\$|`[^`]*`"
    r"|<[A-Za-z][\w .:/-]{0,60}>|(?<=\S)[()])+",
    re.DOTALL,
)
_OPERATOR = re.compile(r"\|\||&&|;;|\|&|[;&|\n(){}]")
_REDIRECT = re.compile(r"\d*(?:&>>|&>|<<<|>>|>\||>&|<&|>|<)\s*")
_KEYWORDS = frozenset({"do", "then", "else", "elif", "if", "while", "until", "!", "{", "}", "done", "fi", "time"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")


@dataclass(frozen=True, slots=True)
class Part:
    """One simple command: its words as they are spelt, the operator in front, where it stands in the text, the file that
    it empties or writes, if it redirects into one, and the variables that are set for it."""

    words: tuple[str, ...]
    operator: str
    start: int
    end: int
    writes: str | None = None
    variables: tuple[str, ...] = ()


def split(text: str) -> list[Part] | None:
    """The simple commands of a script in order, loops and groups opened up; None where it cannot be read so plainly
    (a here-document, a quote that does not end)."""
    if "<<" in text.replace("<<<", ""):
        return None
    parts: list[Part] = []
    words: list[str] = []
    writes: str | None = None
    operator, start, at = "", 0, 0

    def close(end: int) -> None:
        nonlocal words, writes
        variables: list[str] = []
        while words and (words[0] in _KEYWORDS or _ASSIGNMENT.match(words[0])):
            first = words.pop(0)
            if first not in _KEYWORDS:
                variables.append(first)
        if words or variables or writes is not None:
            parts.append(Part(tuple(words), operator, start, end, writes, tuple(variables)))
        words, writes = [], None

    while at < len(text):
        if text[at] in " \t\r" or text.startswith("\\\n", at):
            at += 2 if text[at] == "\\" else 1
        elif redirect := _REDIRECT.match(text, at) if not re.match(r"<[A-Za-z][\w .:/-]{0,60}>", text[at:]) else None:
            target = _WORD.match(text, redirect.end())
            if target is None:
                return None
            if ">" in redirect[0] and not target[0].startswith(("/dev/", "&")) and not re.search(r">&|2>", redirect[0]):
                writes = target[0]
            at = target.end()
        elif found := _OPERATOR.match(text, at):
            close(at)
            operator, at = found[0], found.end()
            start = at
        elif word := _WORD.match(text, at):
            if word[0].startswith("#"):
                at = text.find("\n", at) if "\n" in text[at:] else len(text)
                continue
            words.append(word[0])
            at = word.end()
        else:
            return None
    close(len(text))
    return parts


def bare(word: str) -> str:
    """The word without its quotes, where the whole word is quoted once."""
    if (
        len(word) >= 2
        and word[0] == word[-1]
        and word[0] in "'\""
        and word[0] not in word[1:-1].replace("\\" + word[0], "")
    ):
        inner = word[1:-1]
        return re.sub(r'\\(["\\$`])', r"\1", inner) if word[0] == '"' else inner
    return word


def quoted(text: str, like: str) -> str | None:
    """The text in the quotes of another word; None where it holds what would end or expand in them."""
    mark = like[:1] if like[:1] in "'\"" else "'"
    if mark == "'":
        return None if "'" in text else f"'{text}'"
    return '"' + re.sub(r'(["\\`])', r"\\\1", text) + '"'


def given(words: Sequence[str], options: frozenset[str]) -> list[str]:
    """The options of the set that a command gives, each with its value: those that say which cluster, host or user."""
    found: list[str] = []
    for position, word in enumerate(words):
        if word in options:
            found += words[position : position + 2]
        elif word.split("=")[0] in options or (word[:2] in options and word[:1] == "-" and word[1:2] != "-"):
            found.append(word)
    return found


def operands(words: Sequence[str], values: frozenset[str]) -> list[str]:
    """The words behind the program that are neither options nor the values of the options named."""
    found: list[str] = []
    at = 1
    while at < len(words):
        if words[at] in values:
            at += 1
        elif not words[at].startswith("-"):
            found.append(words[at])
        at += 1
    return found
