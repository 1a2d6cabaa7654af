"""The resources: the memory to look at, for hosts that show resources to their user."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..memory.failure_types import LABELS
from ..memory.incident import FailureType, Incident, Status
from ..memory.ports import Filter
from ..memory.probability import COUNTS_FROM
from ..memory.record import whole_record
from ..prompts.playbooks import playbook
from .base import Desk
from .listing import Row

INCIDENT_SCHEME = "incident://"
INCIDENT_TEMPLATE = "incident://{id}"
_MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Resource:
    """One fixed resource."""

    uri: str
    name: str
    description: str
    read: Callable[[Desk], object]


def incident_uri(incident_id: str) -> str:
    """The address of one incident."""
    return INCIDENT_SCHEME + incident_id


def read_incident(desk: Desk, incident_id: str) -> dict[str, Any]:
    """One incident, whole, with its history.

    Raises:
        UnknownIncident: no incident has the id.
    """
    return whole_record(desk.memory.get(incident_id), desk.memory.history(incident_id))


def newest(desk: Desk, limit: int, cursor: str | None) -> tuple[tuple[Incident, ...], str | None]:
    """A page of incidents for a list of resources, newest first."""
    page = desk.memory.page(Filter(), limit, cursor)
    return page.incidents, page.cursor


def _page(desk: Desk, status: Status | None) -> object:
    page = desk.memory.page(Filter(status=status), _MOST_ROWS, None)
    shown = [Row.of(incident).model_dump(exclude_none=True) for incident in page.incidents]
    more = page.total - len(shown)
    rest = {"not_shown": more, "how_to_see_more": "call list_incidents with limit and cursor"} if more else {}
    return {"total": page.total, "open": page.open, "resolved": page.resolved, "incidents": shown, **rest}


def _failure_types(desk: Desk) -> object:
    rows = []
    for kind in FailureType:
        page = desk.memory.page(Filter(failure_type=kind), 1, None)
        book = playbook(kind)
        rows.append(
            {
                "failure_type": kind.value,
                "name": LABELS[kind],
                "incidents": page.total,
                "open": page.open,
                "mechanism": book.mechanism,
                "prevention": book.prevention,
                "first_checks": [
                    {"action": a.action, "command": a.command, "expect": a.expect} for a in book.checks[:3]
                ],
            }
        )
    return rows


def status(desk: Desk) -> dict[str, Any]:
    """What is there and what is missing: store, embedding model, language model, shared memory, backlog."""
    memory = desk.memory
    counts = memory.counts()
    embedder = memory.embedder.current()
    return {
        "server": {"name": "incidentos", "version": desk.version},
        "store": {
            "path": str(desk.database),
            "incidents": counts.incidents,
            "open": counts.open,
            "resolved": counts.resolved,
        },
        "embedding": {
            "state": memory.embedder.state,
            "model": embedder.identity if embedder else None,
            "error": memory.embedder.error,
            "not_embedded": counts.without_vectors if embedder else None,
        },
        "confidence": {"a_match_counts_from": COUNTS_FROM},
        "track_record": memory.learning.track_record().as_json(),
        "groq": desk.writer.status()
        if desk.writer
        else {"connected": False, "note": "no GROQ_API_KEY: answers come from the memory itself"},
        "hindsight": desk.shared.status() if desk.shared else {"connected": False, "pending": counts.pending_sync},
    }


RESOURCES: tuple[Resource, ...] = (
    Resource("incidents://all", "All incidents", "The newest incidents, with totals.", lambda desk: _page(desk, None)),
    Resource("incidents://open", "Open incidents", "What is going on now.", lambda desk: _page(desk, Status.OPEN)),
    Resource(
        "incidents://failure-types", "Failure types", "Every failure type: how it works, first checks, how often.",
        _failure_types,
    ),
    Resource("incidents://status", "Status", "Server, store, embedding model, backlog.", status),
)  # fmt: skip


def read(desk: Desk, uri: str) -> str | None:
    """The resource as JSON text, or None where there is no such resource.

    Raises:
        InvalidInput: the address of an incident is malformed or unknown.
    """
    if uri.startswith(INCIDENT_SCHEME):
        content: object = read_incident(desk, uri.removeprefix(INCIDENT_SCHEME))
    else:
        found = next((resource for resource in RESOURCES if resource.uri == uri), None)
        if found is None:
            return None
        content = found.read(desk)
    return json.dumps(content, ensure_ascii=False, indent=1)
