"""What comes in on standard input, made fit for the protocol's reader."""

from __future__ import annotations

import re
from io import TextIOWrapper
from typing import TextIO

import anyio

# Every escape of a JSON string, so that a backslash that is itself escaped is never taken for the start of another.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class WholeLines(anyio.AsyncFile[str]):
    """Lines of JSON without lone surrogates. JSON allows `"\\ud800"`, which is how a host writes an emoji that was cut
    in two, and the SDK drops such a line: its request would never be answered."""

    @classmethod
    def of(cls, stream: TextIO) -> WholeLines:
        """The lines of a standard stream, read as UTF-8 whatever the platform's encoding is."""
        return cls(TextIOWrapper(stream.buffer, encoding="utf-8", errors="replace"))

    async def readline(self) -> str:
        line = await super().readline()
        return _ESCAPE.sub(_mend, line) if "\\u" in line else line


def _mend(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape["half"] else escape[0]
