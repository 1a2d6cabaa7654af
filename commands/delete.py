"""`incidentos delete`: take an incident out of the memory, on purpose."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from ..memory.errors import InvalidInput
from ..memory.incident import Incident
from ..memory.memory import IncidentMemory
from ..memory.record import to_record
from .look import printable


def delete(memory: IncidentMemory, incident_id: str, *, yes: bool, as_json: bool) -> int:
    """Show what would go, ask a person unless `yes` is set, and delete it. Returns 1 if the person says no.

    Raises:
        UnknownIncident: no incident has the id.
        InvalidInput: nobody can be asked; or the incident was changed while the person thought about it.
    """
    incident = memory.get(incident_id)
    count = len(memory.history(incident_id))
    if not yes and not sys.stdin.isatty():
        raise InvalidInput(
            f"Nothing was deleted: there is no terminal to ask whether {incident_id} ({incident.status.value}: "
            f"{printable(incident.label)}) shall go. Look at it with `incidentos show {incident_id}`, and if it shall, "
            f"call `incidentos delete {incident_id} --yes`."
        )
    _describe(incident, count, sys.stderr if as_json else sys.stdout)
    deleted = yes or _agreed()
    if deleted:
        memory.delete(incident_id, incident.revision)
    if as_json:
        told = {"deleted": deleted, "history": count, "incident": to_record(incident)}
        print(json.dumps(told, ensure_ascii=False, indent=1))
    elif deleted:
        print(f"Deleted. `incidentos show {incident_id}` prints what it was and says how to bring it back.")
    else:
        print("Nothing was deleted.")
    return 0 if deleted else 1


def _describe(incident: Incident, history: int, file: TextIO) -> None:
    for name, value in (
        ("id", incident.id),
        ("label", printable(incident.label)),
        ("status", incident.status.value),
        ("history", f"{history} {'entry' if history == 1 else 'entries'}"),
    ):
        print(f"{name:<14} {value}", file=file)


def _agreed() -> bool:
    # On stderr, as a program may read the output; not by input(), which would write there.
    print("Delete it from this memory? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}
