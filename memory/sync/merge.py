"""What becomes of an incident that two machines tell differently. Pure rules: the same two versions give the same
outcome on every machine, so that all of them end up with the same record.

Each version bears its lineage: the versions that it was made in the knowledge of. Where one version knows the other, it is
right, whatever the clocks say. Where neither does, two people changed it at once, and it is a conflict, even if one of
them has pushed over the other by now: resolved beats open, then the newer update wins, then (at the same microsecond) the
larger checksum, which at least is the same everywhere. A deletion counts as an update of what it deleted. Who wins marks
the loser in its lineage, so that the loser's machine learns of the conflict, too, and nobody decides it twice.

A document of an older program bears no lineage. What the bank held when this machine last looked then tells who changed
it since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..cloud import Known, Lineage, Shared, Tombstone, digest
from ..incident import Status

MOST = 32
"""Versions that a lineage names, the newest ones. Who still holds an older one is told of a conflict that was none; the
newer update wins that, too."""

_SHORT = 16
_LOST = "!"


@dataclass(frozen=True, slots=True)
class Decision:
    """`theirs` says that the bank's version is taken, else ours stays; `same` that there is nothing to choose, `conflict`
    that both sides had changed it."""

    theirs: bool
    same: bool = False
    conflict: bool = False


def decide(ours: Shared | None, theirs: Shared, known: Known | None, supersedes: Lineage | None = None) -> Decision:
    """Choose between two versions of an incident.

    Args:
        ours: what this machine holds, or None.
        theirs: what the bank holds.
        known: what the bank held when this machine last saw it, or None.
        supersedes: the lineage of the bank's version; None where it does not say.
    """
    if ours is None:
        return Decision(theirs=not isinstance(theirs, Tombstone), same=isinstance(theirs, Tombstone))
    if isinstance(ours, Tombstone) and ours.local:
        return Decision(theirs=False, same=True)  # it was asked to stay away from this machine
    mine, its = digest(ours), digest(theirs)
    if mine == its:
        return Decision(theirs=False, same=True)
    last_seen = known.digest if known else None
    if its == last_seen:
        return Decision(theirs=False)
    conflict = Decision(theirs=_rank(theirs) > _rank(ours), conflict=True)
    if supersedes is None:
        if mine == last_seen and theirs.revision > ours.revision and not _reopens(ours, theirs):
            return Decision(theirs=True)
        return conflict
    its_knows, ours_knows = _names(supersedes, mine), _names(lineage(mine, known), its)
    if its_knows and ours_knows:  # each was chosen over the other once, as where a deleted incident is stored again
        its_turn, our_turn = (_resolved(theirs), theirs.revision), (_resolved(ours), ours.revision)
        if its_turn == our_turn:
            return conflict
        theirs_later = its_turn > our_turn
        return Decision(theirs_later, conflict=theirs_later and _lost(mine) in supersedes)
    if its_knows and not _reopens(ours, theirs):
        return Decision(theirs=True, conflict=_lost(mine) in supersedes)
    if ours_knows and not _reopens(theirs, ours):
        return Decision(theirs=False)
    return conflict


def lineage(mine: str, known: Known | None) -> Lineage:
    """The lineage of this machine's version.

    Args:
        mine: its digest.
        known: what the bank held when this machine last saw it, or None.
    """
    if known is None:
        return ()
    return known.lineage if known.digest == mine else _joined(mine, [known.digest[:_SHORT]], known.lineage)


def lineage_after(
    ours: Shared | None, theirs: Shared, known: Known | None, supersedes: Lineage | None, decision: Decision
) -> Lineage:
    """The lineage of the version that stays, after `decide` decided so."""
    its = digest(theirs)
    if ours is None:
        return _joined(its, supersedes or ())
    mine = digest(ours)
    before = lineage(mine, known)
    if decision.theirs:
        mark = _lost(mine) if decision.conflict else mine[:_SHORT]
        return _joined(its, supersedes or (), [mark], before)
    return _joined(mine, [_lost(its)] if decision.conflict else (), before, supersedes or ())


def _joined(without: str, *lineages: Iterable[str]) -> Lineage:
    """The lineages as one, in order, without the version itself."""
    lost: dict[str, bool] = {}
    for entry in (entry for one in lineages for entry in one):
        name = entry.removeprefix(_LOST)
        lost[name] = lost.get(name, False) or entry != name
    lost.pop(without[:_SHORT], None)
    return tuple(_LOST + name if its_lost else name for name, its_lost in lost.items())[:MOST]


def _names(known_versions: Lineage, its_digest: str) -> bool:
    return its_digest[:_SHORT] in known_versions or _lost(its_digest) in known_versions


def _lost(its_digest: str) -> str:
    return _LOST + its_digest[:_SHORT]


def _resolved(shared: Shared) -> bool:
    return shared.status is Status.RESOLVED


def _reopens(before: Shared, after: Shared) -> bool:
    return _resolved(before) and not _resolved(after)


def _rank(shared: Shared) -> tuple[bool, datetime, str]:
    at = shared.deleted_at if isinstance(shared, Tombstone) else shared.updated_at
    return _resolved(shared), at, digest(shared)
