"""Where one statement of T-SQL ends and the next begins: no semicolon is needed between them.

`SELECT 1 DELETE FROM t` is two statements to SQL Server, and to sqlglot one with an alias. So each word that begins a
statement which may write begins one here, wherever it stands bare: outside quotes, brackets and comments, and where
neither what stands in front of it nor the statement that it stands in asks for a name or for that word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WRITES = frozenset(
    "DELETE UPDATE INSERT MERGE DROP TRUNCATE CREATE ALTER EXEC EXECUTE KILL SHUTDOWN RECONFIGURE CHECKPOINT RESTORE BACKUP"
    " DBCC GRANT REVOKE DENY BULK SET SETUSER REVERT WRITETEXT UPDATETEXT COMMIT ROLLBACK".split()
)
"""Reserved in T-SQL, so that none of them is a name there. What only reads need not be told apart from what it follows."""

_OPENING = frozenset("BEGIN START COMMIT ROLLBACK END USE DECLARE SET CLOSE FETCH SAVE OPEN DEALLOCATE PRINT".split())
"""Statements that no query belongs to: a SELECT behind them is the next statement."""

_UNFINISHED = frozenset("FROM JOIN INTO TABLE AS BY WHERE AND OR NOT SELECT DISTINCT FOR WITH , . = @ #".split())
"""No statement ends behind these; the words are reserved in T-SQL, and so no names."""

_RIGHTS = frozenset({"GRANT", "REVOKE", "DENY"})
_BODIES = frozenset({"TRIGGER", "PROCEDURE", "PROC", "FUNCTION"})

_TOKEN = re.compile(
    r"--[^\r\n]*|/\*|N?'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[(?:[^\]]|\]\])*\]|`[^`]*`|[@#$]*\w[\w@#$]*|\s+|.", re.S
)
_COMMENT = re.compile(r"/\*|\*/")


class Unreadable(ValueError):
    """A quote, a bracket or a comment that does not end: where the statements are cannot be told."""


@dataclass(frozen=True, slots=True)
class _Token:
    word: str  # in capitals where it is bare, "" where it is quoted
    start: int
    ends_batch: bool  # GO alone on its line


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while match := _TOKEN.match(text, at):
        token, start, at = match[0], at, match.end()
        if token == "/*":
            depth = 1  # T-SQL's comments nest
            while depth:
                mark = _COMMENT.search(text, at)
                if mark is None:
                    raise Unreadable
                at, depth = mark.end(), depth + (1 if mark[0] == "/*" else -1)
        elif token in ("'", '"', "[", "`"):
            raise Unreadable
        elif not token.isspace() and not token.startswith("--"):
            word = "" if token[0] in "'\"[`" or token[:2] == "N'" else token.upper()
            found.append(_Token(word, start, word == "GO" and _alone(text, start, at)))
    return found


def _alone(text: str, start: int, end: int) -> bool:
    after = text.find("\n", end)
    return not (text[text.rfind("\n", 0, start) + 1 : start] + text[end : None if after < 0 else after]).strip()


def statements(text: str) -> list[str]:
    """The statements of a text, by every word that may begin one; a text without such a word is its only statement.

    Raises:
        Unreadable: a quote, a bracket or a comment does not end.
    """
    tokens = _tokens(text)
    words = [token.word for token in tokens]
    starts: list[int] = []
    depth, begun, body = 0, 0, False  # `begun`: where the current statement begins, in tokens
    for i, token in enumerate(tokens):
        word = token.word
        depth += (word == "(") - (word == ")")
        if depth < 0:
            raise Unreadable
        if word == ";" or token.ends_batch:
            if depth:
                raise Unreadable
            starts.append(token.start)
            begun, body = i + 1, False
        elif i == begun:
            starts.append(token.start)
        elif depth == 0 and not body and _begins(words, begun, i):
            starts.append(token.start)
            begun = i
        # The body of a procedure reaches to the end of the batch, and does not run now.
        body = body or (word in _BODIES and words[begun] in ("CREATE", "ALTER") and words[i - 1] in _MAKERS)
    if depth:
        raise Unreadable
    ends = [*starts[1:], len(text)]
    parts = (text[a:b].strip().lstrip(";").strip() for a, b in zip(starts, ends, strict=True))
    return [part for part in parts if part and part.upper() != "GO"]


_MAKERS = frozenset({"CREATE", "ALTER", "REPLACE"})


def _begins(words: list[str], begun: int, i: int) -> bool:
    """Whether the bare word at `i` begins a statement, in one that began at `begun`."""
    word, before, after = words[i], words[i - 1], words[i + 1] if i + 1 < len(words) else ""
    first, so_far = words[begun], words[begun:i]
    if before in _UNFINISHED:
        return False
    if word == "SELECT":
        return first in _OPENING
    if word == "SET" and first in ("UPDATE", "MERGE", "ALTER") and "SET" not in so_far:
        return False
    if (before == "SHOW" and i == begun + 1) or (word == "SET" and before == "CHARACTER"):
        return False
    if word in ("ENABLE", "DISABLE"):
        return after == "TRIGGER"
    if word not in _WRITES:
        return False
    if after == "(" and word in ("INSERT", "TRUNCATE", "UPDATE"):
        return False  # a function, and the test of a trigger
    if first in _RIGHTS and not {"ON", "TO", "FROM"} & set(so_far):
        return False  # the rights that are given
    if first in ("WITH", "EXPLAIN") and not {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"} & set(_outer(so_far)):
        return False  # what the expressions in front are for
    if first in ("CREATE", "ALTER") and before == "ON" and word in ("DELETE", "UPDATE"):
        return after not in ("CASCADE", "RESTRICT", "SET") and words[i + 1 : i + 3] != ["NO", "ACTION"]
    return not (
        word == "UPDATE"
        and (
            so_far[-2:] in (["NO", "KEY"], ["DUPLICATE", "KEY"])
            or (before == "DO" and first == "INSERT" and "CONFLICT" in so_far)
        )
    )


def _outer(words: list[str]) -> list[str]:
    """The words outside brackets."""
    outer, depth = [], 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth == 0:
            outer.append(word)
    return outer
