"""The kinds of file that incidents can be imported from, and how to tell them apart."""

from __future__ import annotations

from pathlib import Path

from ..errors import ImportFailed
from ..ports import Importer
from .csv import CsvTable
from .files import head_of
from .jsonl import JsonLines
from .original import OriginalMemory

IMPORTERS: tuple[Importer, ...] = (JsonLines(), OriginalMemory(), CsvTable())
"""Every importer, in the order in which they are asked whether a file is theirs."""


def importer_for(path: Path, kind: str | None = None) -> Importer:
    """The importer of a file: the one called `kind`, or else the first that recognises it.

    Raises:
        ImportFailed: the kind is unknown; the file is missing, a folder, empty or binary; or no kind fits it.
    """
    valid = ", ".join(importer.name for importer in IMPORTERS)
    chosen = next((importer for importer in IMPORTERS if importer.name == kind), None)
    if kind is not None and chosen is None:
        raise ImportFailed(f"There is no kind of file called {kind[:40]!r}. Valid: {valid}.")
    head = head_of(path)
    found = chosen or next((importer for importer in IMPORTERS if importer.recognises(path, head)), None)
    if found is None:
        raise ImportFailed(
            f"{path} is of no kind that can be imported: jsonl (one JSON object a line), original (the JSON "
            "list of the original system), csv (a header row that names a title or description). "
            f"Name the kind to have it read as such: {valid}."
        )
    return found
