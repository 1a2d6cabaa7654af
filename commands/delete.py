"""`incidentos delete`: take an incident out of the memory, on purpose."""

from __future__ import annotations

import json
import sys
from typing import Literal, TextIO

from ..memory.errors import InvalidInput
from ..memory.incident import Incident
from ..memory.memory import IncidentMemory
from ..memory.record import to_record
from .look import printable


def delete(
    memory: IncidentMemory,
    incident_id: str,
    *,
    yes: bool,
    as_json: bool,
    bank: str | None = None,
    met: bool = True,
    local_only: bool = False,
    drop_unpushed: bool = False,
) -> int:
    """Show what would go, ask a person unless `yes` is set, and delete it. Returns 1 if the person says no.

    Args:
        memory: this machine's memory.
        incident_id: which one.
        yes: do not ask.
        as_json: print what was done as JSON.
        bank: the team's bank that loses it, too; None where none is connected.
        met: whether this memory has been synced with that bank; what it holds is not known before.
        local_only: the team's memory keeps it, and this machine does not take it back.
        drop_unpushed: delete it here alone even where the team's memory lacks a change of it, which is then lost to it.

    Raises:
        UnknownIncident: no incident has the id.
        InvalidInput: the team's memory was to keep it, and lacks a change of it; nobody can be asked; or the incident was changed while the person thought about it.
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
    answer = ("here" if local_only else "everywhere") if yes else _asked(bank if not local_only else None)
    if answer == "everywhere" and local_only:
        answer = "here"
    deleted, shared = answer != "no", answer == "everywhere"
    lacks = not met or incident_id in memory.store.entries()
    if deleted and not shared and bank and lacks and not drop_unpushed:
        raise InvalidInput(
            f"Nothing was deleted: the bank {bank} does not have {incident_id} as it is here, and would never get it. Run "
            "`incidentos sync` first (`incidentos doctor` says why it waits), or add --drop-unpushed to give it up."
        )
    if deleted:
        memory.delete(incident_id, incident.revision, shared=shared)
    if as_json:
        told = {"deleted": deleted, "shared": deleted and shared, "history": count, "incident": to_record(incident)}
        print(json.dumps(told, ensure_ascii=False, indent=1))
    elif deleted:
        print(f"Deleted. `incidentos show {incident_id}` prints what it was and says how to bring it back.")
        if bank and shared:
            print(f"The bank {bank} loses it as soon as a server runs or with `incidentos sync`.")
        elif bank:
            print(f"The bank {bank} keeps it; this machine does not take it back.")
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


def _asked(bank: str | None) -> Literal["no", "here", "everywhere"]:
    # On stderr, as a program may read the output; not by input(), which would write there.
    if bank is None:
        question = "Delete it from this memory? [y/N] "
    else:
        question = (
            f"Delete it from this memory and from the team's bank {bank}, for everyone? "
            "[y = both, l = only here, N = not at all] "
        )
    print(question, end="", file=sys.stderr, flush=True)
    said = sys.stdin.readline().strip().casefold()
    if said in {"y", "yes"}:
        return "everywhere"
    return "here" if bank is not None and said in {"l", "local"} else "no"
