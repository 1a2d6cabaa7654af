"""CSV with a header row, as PagerDuty, ServiceNow, Jira, Opsgenie and spreadsheets export it. UTF-8."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from ..errors import ImportFailed
from ..incident import Incident, Status
from ..ports import BadRow
from .files import first_invalid_line, opened
from .rows import RowReader, bad_row

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "incident_id", "number", "key", "incident_number", "issue_key", "alert_id"),
    "title": ("title", "short_description", "summary", "name", "message"),
    "description": ("description", "details", "body", "work_notes"),
    "service": ("service", "service_name", "component", "components", "business_service", "cmdb_ci"),
    "severity": ("severity", "priority", "urgency", "impact"),
    "status": ("status", "state"),
    "created_at": ("created_at", "opened_at", "created", "started_at", "created_on", "opened"),
    "resolved_at": ("resolved_at", "closed_at", "resolved", "ended_at", "resolved_on"),
    "updated_at": ("updated_at", "updated", "updated_on", "sys_updated_on"),
    "root_cause": ("root_cause", "cause", "rca"),
    # "resolution" last: in trackers it is often a mere Done, with the words that matter in the notes.
    "mitigation": ("mitigation", "mitigation_steps", "resolution_notes", "close_notes", "fix", "resolution"),
    "failed_steps": ("failed_steps",),
    "prevention": ("prevention", "action_items"),
    "failure_type": ("failure_type",),
    "category": ("category",),
    "source": ("source",),
    "url": ("url", "link", "html_url"),
    "provenance": ("provenance",),
}
"""Our field -> the columns it is read from. Of several that a row fills, the first in this order counts."""

NEEDED = ("title", "description")
"""At least one of these has to have a column."""

CELL = 10_000_000
"""Characters of a cell that are read at all: ten times what is imported, so that a long text is one bad row,
while a quotation mark that is never closed does not take the rest of a large file into memory."""

_ENDLESS = f"A quotation mark in this row is never closed, or a cell is longer than {CELL:,} characters."
_DOUBLE = "A quotation mark inside a quoted cell has to be doubled."
_DELIMITERS = ",;\t|"
_SAMPLE = 65_536


class CsvTable:
    """`ports.Importer` of CSV files. The line of a bad row is the line of the file on which the row begins.

    Column names are compared without case, spaces, hyphens and underscores. The delimiter (comma, semicolon,
    tab or bar) is the one under which the header names most columns that we know.
    """

    name = "csv"

    def recognises(self, path: Path, head: str) -> bool:
        """Whether the name says so, or the first row names a title or description and one more column."""
        if path.suffix.casefold() in (".csv", ".tsv"):
            return True
        header = _Header(head)
        return header.has_needed and len(header.columns) >= 2

    def read(self, path: Path, default_status: Status) -> Iterator[Incident | BadRow]:
        """The incidents, one row of the file in memory at a time.

        Raises:
            ImportFailed: the file cannot be read, is not UTF-8 (found before the first row is given), or
                has no column with a title or a description.
        """
        invalid = first_invalid_line(path)
        if invalid is not None:
            raise ImportFailed(
                f"{path} is not UTF-8 (line {invalid}). Convert it and import the result, for instance with: "
                f"iconv -f WINDOWS-1252 -t UTF-8 {shlex.quote(path.name)} > utf8.csv "
                "(in Excel: save as 'CSV UTF-8')."
            )
        csv.field_size_limit(max(CELL, csv.field_size_limit()))  # of the whole process; nobody needs it lower
        with opened(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as file:
            header = _Header(file.read(_SAMPLE))
            header.check(path)
            file.seek(0)
            rows = _rows(file, header.delimiter)
            _, first = next(rows)
            if isinstance(first, str):
                raise ImportFailed(f"The header of {path} cannot be read. {first}")
            reader = RowReader(default_status)
            wanted = len(header.names)
            for line, cells in rows:
                if isinstance(cells, str):
                    yield bad_row(line, cells)
                elif len(cells) != wanted:
                    yield bad_row(line, f"The row has {len(cells)} cells where the header has {wanted}.")
                else:
                    yield reader.read(line, header.row(cells))


def _rows(file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Each row that is not blank with the line it begins on; for an unreadable one, what is wrong with it."""
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            if "larger" in str(exc) or "end of data" in str(exc):
                yield line, f"{_ENDLESS} Nothing after the row's beginning was imported."
                return
            yield line, f"The row cannot be read: {exc}. {_DOUBLE}"
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells


class _Header:
    """The first row of a table, read with the delimiter that makes most sense of it.

    `names` are the columns as the file calls them; `columns` gives for each of our fields that has any the
    places of its columns, the one that counts most first.
    """

    def __init__(self, sample: str) -> None:
        found = [(delimiter, _first_row(sample, delimiter)) for delimiter in _DELIMITERS]
        self.delimiter, self.names = max(found, key=lambda item: (len(_columns(item[1])), len(item[1])))
        self.columns = _columns(self.names)

    @property
    def has_needed(self) -> bool:
        return any(name in self.columns for name in NEEDED)

    def check(self, path: Path) -> None:
        """Raise ImportFailed where no column can be a title or a description."""
        if self.has_needed:
            return
        shown = ", ".join(repr(name[:40]) for name in self.names[:30]) or "none"
        accepted = "; ".join(f"{field}: {', '.join(names)}" for field, names in COLUMNS.items())
        raise ImportFailed(
            f"{path} has no column with a title or a description. Columns found: {shown}. The first row "
            f"has to name the columns; accepted are {accepted}."
        )

    def row(self, cells: Sequence[str]) -> dict[str, str]:
        """The cells by our field names, empty ones left out."""
        found: dict[str, str] = {}
        for name, places in self.columns.items():
            value = next((cells[place] for place in places if cells[place].strip()), None)
            if value is not None:
                found[name] = value
        return found


def _columns(names: Sequence[str]) -> dict[str, list[int]]:
    plain = [_plain(name) for name in names]
    found = {
        field: [place for alias in aliases for place, name in enumerate(plain) if name == _plain(alias)]
        for field, aliases in COLUMNS.items()
    }
    return {field: places for field, places in found.items() if places}


def _first_row(sample: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        return next((row for row in rows if any(cell.strip() for cell in row)), [])
    except csv.Error:
        return []


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
