"""Turns one row of a foreign file, as named values, into an incident: the rules that all importers share.

A row's fields: id (or incident_id), title, description, service, severity, status, failure_type, category,
created_at, resolved_at, updated_at, source, external_id, url, root_cause, mitigation_steps, mitigation,
failed_steps, prevention, provenance. All may be missing, and none is invented: what is not said stays None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from ..errors import InvalidInput
from ..failure_types import LABELS
from ..incident import FailureType, Incident, Outcome, Provenance, Resolution, Status, Step, utcnow
from ..ports import BadRow
from ..record import format_time, parse_time
from ..redaction import redact
from ..text import clean, parse_step, split_steps
from .ids import Ids, digest

TITLE = 500
"""Characters of a title. A longer one is cut, and stands in full in front of the description."""

TEXT = 1_000_000
"""Characters of a description, a cause, a mitigation or a prevention. A row with more is refused."""

SHORT = 2_000
"""Characters of an id, a service, a severity, a source or a URL."""

_REASON = 600

_OPEN = (
    *("open", "new", "triggered", "acknowledged", "acked", "in progress", "investigating", "identified"),
    *("monitoring", "active", "firing", "alerting", "assigned", "to do", "todo", "backlog", "pending"),
    *("on hold", "reopened", "unresolved"),
)
_RESOLVED = ("resolved", "closed", "done", "fixed", "completed", "complete", "recovered", "mitigated")
_STATUS_WORDS: Mapping[Status, tuple[str, ...]] = {
    Status.OPEN: _OPEN,
    Status.RESOLVED: _RESOLVED,
}
_PLACEHOLDERS = frozenset({"n/a", "na", "nan", "none", "null", "unknown", "undefined", "tbd", "?", "-", "--"})
_NO_MITIGATION = frozenset({"won't do", "won't fix", "wont fix", "duplicate", "cannot reproduce"})
_FAILURE_TYPES = {name.casefold(): kind for kind, label in LABELS.items() for name in (kind.value, label)}
_KINDS: Mapping[type, str] = {
    **dict.fromkeys((int, float), "a number"),
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "nothing",
}
_MAY_BE_NUMBERS = frozenset({"id", "incident_id", "severity"})

_Choice = TypeVar("_Choice", bound=StrEnum)


def bad_row(line: int, reason: str) -> BadRow:
    """A BadRow whose reason is fit for a terminal: short, clean, and without the secrets of the row."""
    # Cut before redacting too: a reason may quote a whole field, and nobody needs a megabyte of it searched.
    reason = redact(clean(reason[: 4 * _REASON]))
    return BadRow(line, reason if len(reason) <= _REASON else reason[: _REASON - 1].rstrip() + "…")


def told(text: str) -> str | None:
    """The cleaned text, or None where it says nothing: empty, or a placeholder such as N/A, TBD or unknown.
    Such a word in the place of a cause would count as a cause that many incidents share."""
    text = clean(text)
    return None if not text or text.casefold() in _PLACEHOLDERS else text


class RowReader:
    """Reads the rows of one file.

    Args:
        default_status: of rows that neither state a status nor name a cause, a mitigation or a time of
            resolution.
    """

    def __init__(self, default_status: Status) -> None:
        self.ids = Ids()
        self._default_status = default_status
        self._now = utcnow()

    def read(self, line: int, row: object) -> Incident | BadRow:
        """The incident of a row, or why there is none. The row must be a dict, which is checked."""
        try:
            if not isinstance(row, dict):
                raise InvalidInput(f"A row must be an object with named fields, not {_kind(row)}.")
            return self._incident(row)
        except InvalidInput as exc:
            return bad_row(line, str(exc))

    def _incident(self, row: Mapping[str, object]) -> Incident:
        given = _text(row, "id") or _text(row, "incident_id")
        if given is not None:
            # Before anything can be wrong with the row: once it is put right, no other row's id may change.
            incident_id = self.ids.of(given)
        title = " ".join((_text(row, "title", TEXT) or "").split())
        description = _text(row, "description", TEXT) or ""
        if not title and not description:
            raise InvalidInput("It has neither a title nor a description.")
        created_at = parse_time(row.get("created_at"), "created_at")
        resolved_at = parse_time(row.get("resolved_at"), "resolved_at")
        if given is None:
            # Made of what was known when the incident began, so that importing it again, also with a cause
            # that was added since, does not make it another incident.
            begun = json.dumps([title or None, description, format_time(created_at)])
            given = incident_id = "row-" + digest(begun)[:12]
        if len(title) > TITLE:
            description = f"{title}\n\n{description}".rstrip()
            title = title[: TITLE - 1].rstrip() + "…"
        check_length("description", description, TEXT)
        status = _status(row)
        if status is None:
            over = resolved_at or _cause(row) or _steps(row)
            status = Status.RESOLVED if over else self._default_status
        failure_type, stated = failure_type_of(row)
        updated_at = parse_time(row.get("updated_at"), "updated_at") or self._now
        return Incident(
            id=incident_id,
            title=title or None,
            description=description,
            updated_at=updated_at,
            created_at=created_at,
            resolved_at=resolved_at,
            service=_text(row, "service"),
            severity=_text(row, "severity"),
            status=status,
            failure_type=failure_type,
            failure_type_stated=stated,
            source=_text(row, "source"),
            external_id=given if given != incident_id else _text(row, "external_id"),
            url=_text(row, "url"),
            resolution=_resolution(row),
        )


def check_length(name: str, text: str, limit: int) -> None:
    """Raise InvalidInput where a text has more characters than the limit."""
    if len(text) > limit:
        raise InvalidInput(f"{name} has {len(text):,} characters; at most {limit:,} can be imported.")


def failure_type_of(row: Mapping[str, object]) -> tuple[FailureType, bool]:
    """The failure type, and whether the source states it.

    A category is the source's own word and counts only where it is one of ours. `other` does not: as a
    category it says less than our reading of the text.

    Raises:
        InvalidInput: the failure type is none that we know; the message lists them.
    """
    value = _text(row, "failure_type")
    if value is not None:
        kind = _FAILURE_TYPES.get(value.casefold())
        if kind is None:
            raise InvalidInput(f"failure_type {value[:40]!r} is unknown. Valid: {', '.join(FailureType)}.")
        return kind, row.get("failure_type_stated") is not False
    category = row.get("category")
    kind = _FAILURE_TYPES.get(category.strip().casefold()) if isinstance(category, str) else None
    return (FailureType.OTHER, False) if kind is None or kind is FailureType.OTHER else (kind, True)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "text")


def _text(row: Mapping[str, object], name: str, limit: int = SHORT) -> str | None:
    value = row.get(name)
    if name in _MAY_BE_NUMBERS and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be text, not {_kind(value)}.")
    value = clean(value)
    check_length(name, value, limit)
    return value or None


def _choice(kind: type[_Choice], value: str, name: str) -> _Choice:
    try:
        return kind(value.casefold())
    except ValueError:
        raise InvalidInput(f"{name} {value[:40]!r} is unknown. Valid: {', '.join(kind)}.") from None


def _status_word(word: str) -> Status | None:
    plain = " ".join(re.split(r"[\s_-]+", word.casefold())).strip()
    return next((status for status, words in _STATUS_WORDS.items() if plain in words), None)


def _status(row: Mapping[str, object]) -> Status | None:
    value = _text(row, "status")
    if value is None:
        return None
    status = _status_word(value)
    if status is None:
        valid = "; ".join(f"{status}: {', '.join(words)}" for status, words in _STATUS_WORDS.items())
        raise InvalidInput(f"status {value[:40]!r} is unknown. Valid: {valid}.")
    return status


def _cause(row: Mapping[str, object]) -> str | None:
    return told(_text(row, "root_cause", TEXT) or "")


def _resolution(row: Mapping[str, object]) -> Resolution | None:
    cause, prevention = _cause(row), told(_text(row, "prevention", TEXT) or "")
    steps = (*_steps(row), *_steps_of(row, "failed_steps", Outcome.FAILED))
    provenance = _choice(Provenance, _text(row, "provenance") or Provenance.IMPORTED, "provenance")
    if provenance is Provenance.CONFIRMED:  # a person's word is what was said here, and our own export keeps it
        provenance = Provenance.IMPORTED
    return Resolution(cause, steps, prevention, provenance) if cause or prevention or steps else None


def _steps(row: Mapping[str, object]) -> tuple[Step, ...]:
    # A mitigation in a foreign file is what was done, or even only planned: nobody said that it worked.
    steps = _steps_of(row, "mitigation_steps", Outcome.UNKNOWN)
    # Some rows say the same under both names.
    return (*steps, *(step for step in _steps_of(row, "mitigation", Outcome.UNKNOWN) if step not in steps))


def _steps_of(row: Mapping[str, object], name: str, outcome: Outcome) -> tuple[Step, ...]:
    value = row.get(name)
    if isinstance(value, list):
        return tuple(step for item in value if (step := _step(item, name, outcome)).text)
    text = told(_text(row, name, TEXT) or "")
    return () if text is None or _is_verdict(text) else split_steps(text, outcome)


def _is_verdict(text: str) -> bool:
    """Whether it is a tracker's mere Done or Won't Fix: how the ticket ended, not what was done."""
    if len(text) > 40:
        return False
    return _status_word(text) is not None or text.casefold().replace("\u2019", "'") in _NO_MITIGATION


def _step(item: object, name: str, outcome: Outcome) -> Step:
    if isinstance(item, str):
        return parse_step(_text({name: item}, name, TEXT) or "", outcome)
    if not isinstance(item, dict):
        raise InvalidInput(f"{name} must be a list of texts or of objects with a text, not of {_kind(item)}.")
    stated = _text(item, "outcome")
    outcome = _choice(Outcome, stated, "outcome") if stated else outcome
    text, command = _text(item, "text", TEXT), _text(item, "command", TEXT)
    if text and "command" not in item:
        return parse_step(text, outcome)
    return Step(text or command or "", command, outcome)
