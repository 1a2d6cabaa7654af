"""`incidentos list` and `incidentos show`: the memory in a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

from ..memory.incident import Incident
from ..memory.memory import IncidentMemory
from ..memory.ports import Filter
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
            f"{incident.failure_type.value:<31} {_printable(incident.service or '-'):<20} {_printable(incident.label)}"
        )
    print(f"{page.total} incidents: {page.open} open, {page.resolved} resolved.", file=sys.stderr)
    if page.cursor:
        print(f"More: incidentos list --cursor {page.cursor}", file=sys.stderr)
    return 0


def show(memory: IncidentMemory, incident_id: str, *, as_json: bool) -> int:
    """Print one incident with its history."""
    incident = memory.get(incident_id)
    history = memory.history(incident_id)
    if as_json:
        print(json.dumps(whole_record(incident, history), ensure_ascii=False, indent=1))
        return 0
    for name, value in _fields(incident):
        if value:
            print(f"{name:<14} {value}")
    print(f"\n{_printable(incident.description, lines=True)}")
    if incident.resolution:
        print("\nSteps")
        for line in step_lines(incident, most=100):
            print(f"  - {_printable(line)}")
    print("\nHistory")
    for entry in history:
        print(f"  {format_time(entry.at)}  {entry.action} (revision {entry.revision})")
    return 0


def _fields(incident: Incident) -> list[tuple[str, Any]]:
    resolution = incident.resolution
    stated = "" if incident.failure_type_stated else " (by its words)"
    return [
        ("id", incident.id),
        ("external id", incident.external_id),
        ("title", incident.title and _printable(incident.title)),
        ("status", incident.status.value),
        ("service", incident.service),
        ("severity", incident.severity),
        ("failure type", incident.failure_type.value + stated),
        ("created", format_time(incident.created_at)),
        ("resolved", format_time(incident.resolved_at)),
        ("source", incident.source),
        ("url", incident.url),
        ("root cause", resolution and resolution.root_cause and _printable(resolution.root_cause)),
        ("provenance", resolution and resolution.provenance.value),
        ("prevention", resolution and resolution.prevention and _printable(resolution.prevention)),
    ]


def _printable(text: str, *, lines: bool = False) -> str:
    """The text without anything that could drive the terminal."""
    text = text if lines else " ".join(text.split())
    return "".join(c for c in text if c.isprintable() or (lines and c in "\n\t"))
