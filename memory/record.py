"""The JSON form of an incident: what the store keeps, what `incidentos export` writes and `import` takes back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput
from .incident import FailureType, Incident, Outcome, Provenance, Resolution, Status, Step, check_id

if TYPE_CHECKING:
    from .ports import HistoryEntry

MAX_REVISION = (1 << 53) - 1
"""The highest revision of a record: the last whole number that every reader of JSON takes for itself."""


def format_time(at: datetime | None) -> str | None:
    """ISO 8601 in UTC; a fixed width, so that the texts sort as the times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


def parse_time(value: object, name: str) -> datetime | None:
    """A UTC time from ISO 8601 text; a bare date is its midnight, and a time without an offset is taken as UTC.

    Raises:
        InvalidInput: it is neither empty nor ISO 8601.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a date in ISO 8601, such as '2026-05-03T02:14:00Z', not {value!r}.")
    try:
        at = datetime.fromisoformat(value.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{name} must be a date in ISO 8601, such as '2026-05-03T02:14:00Z', not {value!r}."
        ) from None


def to_record(incident: Incident) -> dict[str, Any]:
    """The incident as JSON-ready values, every field present."""
    resolution = incident.resolution
    return {
        "id": incident.id,
        "title": incident.title,
        "description": incident.description,
        "service": incident.service,
        "severity": incident.severity,
        "status": incident.status.value,
        "failure_type": incident.failure_type.value,
        "failure_type_stated": incident.failure_type_stated,
        "created_at": format_time(incident.created_at),
        "updated_at": format_time(incident.updated_at),
        "resolved_at": format_time(incident.resolved_at),
        "source": incident.source,
        "external_id": incident.external_id,
        "url": incident.url,
        "revision": incident.revision,
        "resolution": resolution
        and {
            "root_cause": resolution.root_cause,
            "steps": [{"text": s.text, "command": s.command, "outcome": s.outcome.value} for s in resolution.steps],
            "prevention": resolution.prevention,
            "provenance": resolution.provenance.value,
        },
    }


def whole_record(incident: Incident, history: Iterable[HistoryEntry]) -> dict[str, Any]:
    """The incident with its history, for a reader who wants to see all of it."""
    entries = [
        {
            "revision": entry.revision,
            "action": entry.action,
            "at": format_time(entry.at),
            "previous": entry.previous and to_record(entry.previous),
        }
        for entry in history
    ]
    return {**to_record(incident), "history": entries}


def from_record(record: Mapping[str, Any]) -> Incident:
    """The incident of a record that `to_record` made, types checked, since a person may have edited the file.

    Raises:
        InvalidInput: a field is missing or of the wrong kind.
    """
    try:
        resolution = record.get("resolution")
        updated_at = parse_time(record["updated_at"], "updated_at")
        if updated_at is None:
            raise InvalidInput("updated_at must not be empty.")
        return Incident(
            id=check_id(record["id"]),
            title=_text(record, "title"),
            description=_text(record, "description") or "",
            updated_at=updated_at,
            created_at=parse_time(record.get("created_at"), "created_at"),
            resolved_at=parse_time(record.get("resolved_at"), "resolved_at"),
            service=_text(record, "service"),
            severity=_text(record, "severity"),
            status=Status(record["status"]),
            failure_type=FailureType(record["failure_type"]),
            failure_type_stated=_flag(record, "failure_type_stated", True),
            source=_text(record, "source"),
            external_id=_text(record, "external_id"),
            url=_text(record, "url"),
            revision=_revision(record),
            resolution=None if resolution is None else _resolution(resolution),
        )
    except KeyError as exc:
        raise InvalidInput(f"The record lacks {exc.args[0]!r}.") from None
    except (TypeError, ValueError, AttributeError) as exc:
        raise InvalidInput(f"The record cannot be read: {exc}.") from None


def dumps(incident: Incident) -> str:
    """One line of JSON."""
    return json.dumps(to_record(incident), ensure_ascii=False, separators=(",", ":"))


def loads(text: str) -> Incident:
    """The incident of a line that `dumps` made."""
    return from_record(json.loads(text))


def _resolution(record: Mapping[str, Any]) -> Resolution:
    return Resolution(
        root_cause=_text(record, "root_cause"),
        steps=tuple(
            Step(_text(s, "text") or "", _text(s, "command"), Outcome(s.get("outcome") or "unknown"))
            for s in record.get("steps") or ()
        ),
        prevention=_text(record, "prevention"),
        provenance=Provenance(record.get("provenance") or "imported"),
    )


def _flag(record: Mapping[str, Any], name: str, default: bool) -> bool:
    value = record.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false, not {value!r:.40}.")
    return value


def _revision(record: Mapping[str, Any]) -> int:
    value = record.get("revision", 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_REVISION:
        raise InvalidInput(f"revision must be a whole number from 1 to {MAX_REVISION}, not {value!r:.40}.")
    return value


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{name} must be text, not {type(value).__name__}.")
    return value or None
