"""Reads a file as the command does, and a record as the original system wrote it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from incidentos.memory.importers import importer_for
from incidentos.memory.incident import Incident, Status
from incidentos.memory.ports import BadRow

AT = datetime(2026, 5, 3, 2, 14, 0, 123456, tzinfo=UTC)

Result = tuple[list[Incident], list[BadRow]]


def read(path: Path, kind: str | None = None, status: Status = Status.OPEN) -> Result:
    found = list(importer_for(path, kind).read(path, status))
    return [row for row in found if isinstance(row, Incident)], [row for row in found if isinstance(row, BadRow)]


def one(path: Path, status: Status = Status.OPEN) -> Incident:
    incidents, bad = read(path, status=status)
    assert (len(incidents), bad) == (1, [])
    return incidents[0]


def record(incident_id: str = "d56b2cad", **fields: Any) -> dict[str, Any]:
    return {
        "incident_id": incident_id,
        "title": "Pool exhausted",
        "description": "HikariPool timed out",
        "root_cause": None,
        "mitigation_steps": None,
        "embedding": [0.1] * 384,
        "created_at": "2025-06-01T02:14:00.123456",
        "resolved_at": None,
        "hindsight_synced": True,
    } | fields
