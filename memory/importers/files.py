"""Opening and reading the files to import; what the system says against it becomes an ImportFailed."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import ImportFailed

LINE = 32 * 1024 * 1024
"""Bytes of a line. The longest description that may be imported, with every character escaped, fits twice."""

_HEAD = 4_096
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f"))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading bytes.

    Raises:
        ImportFailed: it cannot be opened or read.
    """
    try:
        with path.open("rb") as file:
            yield file
    except OSError as exc:
        raise ImportFailed(f"{path} cannot be read: {exc.strerror or 'input/output error'}.") from exc


def head_of(path: Path) -> str:
    """The first 4,096 characters of a text file, without a byte order mark.

    Raises:
        ImportFailed: the file is missing, a folder, unreadable, empty or binary.
    """
    try:
        exists, folder, regular = path.exists(), path.is_dir(), path.is_file()
    except OSError as exc:
        raise ImportFailed(f"{path} cannot be reached: {exc.strerror or 'input/output error'}.") from exc
    if not exists:
        raise ImportFailed(f"There is no file {path}. Give the path of a file to import.")
    if folder:
        raise ImportFailed(f"{path} is a folder. Give one file; import several one after the other.")
    if not regular:
        raise ImportFailed(f"{path} is no regular file. Save what is to be imported to a file first.")
    with opened(path) as file:
        start = file.read(4 * _HEAD)
    if start.startswith(_UTF16):
        raise ImportFailed(f"{path} is UTF-16. Convert it to UTF-8, for instance with iconv -f UTF-16 -t UTF-8.")
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise ImportFailed(f"{path} is empty: there is nothing to import.")
    # A stray control character is cleaned away later; what is full of them is no text.
    controls = len(start) - len(start.translate(None, delete=_CONTROLS))
    if controls >= 5 and controls > len(start) / 50:
        raise ImportFailed(f"{path} is a binary file. Export the incidents as JSON lines or CSV first.")
    return start.decode("utf-8-sig", errors="replace")[:_HEAD]


def lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """The lines that are not blank, each with its number from 1 on; None for one longer than LINE.

    Raises:
        ImportFailed: the file cannot be opened or read.
    """
    with opened(path) as file:
        number = 0
        while raw := file.readline(LINE):
            number += 1
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            if len(raw) == LINE and not raw.endswith(b"\n"):
                while (more := file.readline(LINE)) and not more.endswith(b"\n"):
                    pass
                yield number, None
            elif raw.strip():
                yield number, raw


def first_invalid_line(path: Path) -> int | None:
    """The number of the first line that is not UTF-8, or None.

    Raises:
        ImportFailed: the file cannot be opened or read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with opened(path) as file:
        while True:
            chunk = file.read(1 << 20)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as exc:
                return line + exc.object[: exc.start].count(b"\n")
            if not chunk:
                return None
            line += chunk.count(b"\n")
