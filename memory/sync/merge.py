"""What becomes of an incident that two machines tell differently. Pure rules: the same two versions give the same
outcome on every machine, so that all of them end up with the same record.

What the bank held when this machine last looked tells who changed it since. Where only one side did, that side is right,
whatever the clocks say. Where both did, it is a conflict: resolved beats open, then the newer update wins, then (at the
same microsecond) the larger checksum, which at least is the same everywhere. A deletion counts as an update of what it
deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..cloud import Shared, Tombstone, digest
from ..incident import Status


@dataclass(frozen=True, slots=True)
class Decision:
    """`theirs` says that the bank's version is taken, else ours stays; `same` that there is nothing to choose, `conflict`
    that both sides had changed it."""

    theirs: bool
    same: bool = False
    conflict: bool = False


def decide(ours: Shared | None, theirs: Shared, known: str | None) -> Decision:
    """Choose between two versions of an incident.

    Args:
        ours: what this machine holds, or None.
        theirs: what the bank holds.
        known: the digest of what the bank held when this machine last saw it, or None.
    """
    if ours is None:
        return Decision(theirs=not isinstance(theirs, Tombstone), same=isinstance(theirs, Tombstone))
    if isinstance(ours, Tombstone) and ours.local:
        return Decision(theirs=False, same=True)  # it was asked to stay away from this machine
    mine, its = digest(ours), digest(theirs)
    if mine == its:
        return Decision(theirs=False, same=True)
    if its == known:
        return Decision(theirs=False)
    reopens = _resolved(ours) and not _resolved(theirs)
    if mine == known and theirs.revision > ours.revision and not reopens:
        return Decision(theirs=True)
    return Decision(theirs=_rank(theirs) > _rank(ours), conflict=True)


def _resolved(shared: Shared) -> bool:
    return shared.status is Status.RESOLVED


def _rank(shared: Shared) -> tuple[bool, datetime, str]:
    at = shared.deleted_at if isinstance(shared, Tombstone) else shared.updated_at
    return _resolved(shared), at, digest(shared)
