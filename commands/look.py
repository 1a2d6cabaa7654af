"""`incidentos list` and `incidentos show`: the memory in a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

from ..memory.incident import Incident, check_id
from ..memory.memory import IncidentMemory
from ..memory.ports import Filter, HistoryEntry
from ..memory.record import format_time, to_record, whole_record
from ..tools.shapes import format_day, step_lines


def list_incidents(memory: IncidentMemory, wanted: Filter, *, limit: int, cursor: str | None, as_json: bool) -> int:
    """Print a page, newest first."""
    page = memory.page(wanted, limit, cursor)
    if as_json:
        rows = [to_record(incident) for incident in page.incidents]
        totals = {"total": page.total, "open": page.open, "resolved": page.resolved, "cursor": page.cursor}
        print(json.dumps({**totals, "incidents": rows}, ensure_ascii=False, indent=1))
        return 0
    for incident in page.incidents:
        print(
            f"{incident.id:<20} {incident.status.value:<8} {format_day(incident.created_at) or '-':<10} "
            f"{incident.failure_type.value:<31} {printable(incident.service or '-'):<20} {printable(incident.label)}"
        )
    print(f"{page.total} incidents: {page.open} open, {page.resolved} resolved.", file=sys.stderr)
    if page.cursor:
        print(f"More: incidentos list --cursor {page.cursor}", file=sys.stderr)
    return 0


def show(memory: IncidentMemory, incident_id: str, *, as_json: bool) -> int:
    """Print one incident with its history. Of a deleted one, the last record as a line that `import` takes; 1 then."""
    history = memory.store.history(check_id(incident_id))
    if memory.store.get(incident_id) is None and any(entry.action == "deleted" for entry in history):
        return _show_deleted(history, as_json=as_json)
    incident = memory.get(incident_id)
    if as_json:
        print(json.dumps(whole_record(incident, history), ensure_ascii=False, indent=1))
        return 0
    for name, value in _fields(incident):
        if value:
            print(f"{name:<14} {value}")
    print(f"\n{printable(incident.description, lines=True)}")
    if incident.resolution:
        print("\nSteps")
        for line in step_lines(incident, most=100):
            print(f"  - {printable(line)}")
    print("\nHistory")
    for entry in history:
        print(f"  {format_time(entry.at)}  {entry.action} (revision {entry.revision})")
    return 0


def _show_deleted(history: list[HistoryEntry], *, as_json: bool) -> int:
    last = next(entry for entry in reversed(history) if entry.action == "deleted")
    assert last.previous is not None, "a deletion keeps what it removed"
    at = format_time(last.at)
    if as_json:
        print(json.dumps({**whole_record(last.previous, history), "deleted_at": at}, ensure_ascii=False, indent=1))
        return 1
    print(json.dumps(to_record(last.previous)))  # in ASCII, as it may go to a terminal
    print(
        f"Incident {last.incident_id} was deleted at {at}; this was its record. To bring it back: `incidentos show "
        f"{last.incident_id} > back.jsonl`, then `incidentos import back.jsonl`.",
        file=sys.stderr,
    )
    return 1


def _fields(incident: Incident) -> list[tuple[str, Any]]:
    resolution = incident.resolution
    stated = "" if incident.failure_type_stated else " (by its words)"
    return [
        ("id", incident.id),
        ("external id", incident.external_id),
        ("title", incident.title and printable(incident.title)),
        ("status", incident.status.value),
        ("service", incident.service),
        ("severity", incident.severity),
        ("failure type", incident.failure_type.value + stated),
        ("created", format_time(incident.created_at)),
        ("resolved", format_time(incident.resolved_at)),
        ("source", incident.source),
        ("url", incident.url),
        ("root cause", resolution and resolution.root_cause and printable(resolution.root_cause)),
        ("provenance", resolution and resolution.provenance.value),
        ("prevention", resolution and resolution.prevention and printable(resolution.prevention)),
    ]


def printable(text: str, *, lines: bool = False) -> str:
    """The text without anything that could drive the terminal."""
    text = text if lines else " ".join(text.split())
    return "".join(c for c in text if c.isprintable() or (lines and c in "\n\t"))
