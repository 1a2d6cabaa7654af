"""JSON lines: our own export, and looser rows as other programs write them. One object a line, UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import InvalidInput
from ..incident import Incident, Status
from ..ports import BadRow
from ..record import from_record
from ..text import clean
from .files import LINE, lines
from .ids import Ids
from .rows import TEXT, RowReader, bad_row, check_length, failure_type_of

_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_OF_A_RECORD = frozenset({"id", "revision", "failure_type_stated", "updated_at", "resolution"})
"""What every record of our export has, and no row of another program has all of."""


class JsonLines:
    """`ports.Importer` of JSON lines. Line numbers of bad rows are the file's.

    A row that has all fields of our export comes back exactly as it was exported. Any other row may have the
    fields that `rows` lists, and a `resolution` object like the export's beside or instead of the flat
    fields.
    """

    name = "jsonl"

    def recognises(self, path: Path, head: str) -> bool:
        """Whether the name says so, or the first line is a JSON object (as far as the head shows it)."""
        head = head.lstrip()
        if path.suffix.casefold() in _SUFFIXES:
            return not head.startswith("[")
        first, newline, _ = head.partition("\n")
        if not first.startswith("{"):
            return False
        try:
            return isinstance(_parse(first), dict)
        except (ValueError, RecursionError):
            return not newline and len(head) > 1_000  # the head cuts a long first line

    def read(self, path: Path, default_status: Status) -> Iterator[Incident | BadRow]:
        """The incidents, one line of the file in memory at a time.

        Raises:
            ImportFailed: the file cannot be opened or read.
        """
        reader = RowReader(default_status)
        for number, raw in lines(path):
            if raw is None:
                yield bad_row(number, f"The line is longer than {LINE // 2**20} MB.")
                continue
            try:
                row = _parse(raw.decode("utf-8"))
            except UnicodeDecodeError as exc:
                yield bad_row(number, f"The line is not valid UTF-8 (at byte {exc.start + 1}).")
            except RecursionError:
                yield bad_row(number, "The JSON is nested too deeply.")
            except ValueError as exc:
                cut = "" if raw.endswith(b"\n") else " It is the last line and may be cut off."
                yield bad_row(number, f"The line is not valid JSON: {_why(exc)}.{cut}")
            else:
                if isinstance(row, dict) and row.keys() >= _OF_A_RECORD:
                    yield _read_record(number, row, reader.ids)
                else:
                    yield reader.read(number, _flat(row))


class _NoJson(ValueError):
    """A value that Python's parser would take and JSON does not have."""


def _parse(text: str) -> object:
    # Not strict: a raw control character in a text is no reason to lose the row, it is cleaned away later.
    return json.loads(text, strict=False, parse_constant=_refuse)


def _refuse(constant: str) -> object:
    raise _NoJson(f"{constant} is not a JSON value")


def _why(exc: ValueError) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at character {exc.pos + 1}"
    return str(exc) if isinstance(exc, _NoJson) else "a number has too many digits"


def _flat(row: object) -> object:
    """The row with what its `resolution` says beside the other fields, which win where both say something."""
    if not isinstance(row, dict) or row.get("resolution") is None:
        return row
    resolution = row["resolution"]
    inner = resolution if isinstance(resolution, dict) else {"mitigation": resolution}
    renamed = {("mitigation_steps" if name == "steps" else name): value for name, value in inner.items()}
    return {**renamed, **{name: value for name, value in row.items() if value is not None}}


def _read_record(line: int, row: Mapping[str, object], ids: Ids) -> Incident | BadRow:
    try:
        failure_type_of(row)  # first, for a message that lists the valid ones
        incident = _storable(from_record(row))
        if not incident.title and not incident.description:
            raise InvalidInput("It has neither a title nor a description.")
        check_length("description", incident.description, TEXT)
        if not 1 <= incident.revision < 2**31:
            raise InvalidInput("revision must be a whole number from 1 on.")
        ids.take(incident.id, incident.external_id or incident.id)
        return incident
    except InvalidInput as exc:
        return bad_row(line, str(exc))
    except OverflowError:  # 1e999 where a whole number belongs
        return bad_row(line, "A number is out of range.")


def _storable(incident: Incident) -> Incident:
    """The incident without what `clean` takes out, since a person may have edited the file. White space and
    line ends stay as they are: an export has to come back as it was."""

    def kept(text: str) -> str:
        cleaned = clean(text)
        return text if cleaned == text.replace("\r\n", "\n").replace("\r", "\n").strip() else cleaned

    def maybe(text: str | None) -> str | None:
        return text and kept(text)

    resolution = incident.resolution
    return replace(
        incident,
        title=maybe(incident.title),
        description=kept(incident.description),
        service=maybe(incident.service),
        severity=maybe(incident.severity),
        source=maybe(incident.source),
        external_id=maybe(incident.external_id),
        url=maybe(incident.url),
        resolution=resolution
        and replace(
            resolution,
            root_cause=maybe(resolution.root_cause),
            steps=tuple(replace(s, text=kept(s.text), command=maybe(s.command)) for s in resolution.steps),
            prevention=maybe(resolution.prevention),
        ),
    )
