"""The border to the part of a store that keeps the shared memory in step: the outbox, and what the bank is known to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .cloud import Known, Shared, Tombstone
from .incident import Incident


@dataclass(frozen=True, slots=True)
class Entry:
    """An incident whose present state has to be pushed. `attempts` counts the pushes of it that failed."""

    incident_id: str
    revision: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that the shared memory will never take, and why."""

    incident_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: `pending` entries in all, `leased` of them with a server that pushes them just now, `refused` ones set
    aside on top. `next_due` is in how many seconds the next one may be pushed or its lease runs out: 0 for now, None
    where nothing waits."""

    pending: int
    leased: int
    refused: int
    next_due: float | None


class Outbox(Protocol):
    """Every write leaves an entry here, in its own transaction. Whoever pushes leases the entries first, so that no two
    servers push the same one at once; a lease that is not renewed runs out, and so does the pause after a failure, also
    when the clock is put back. Every method may raise StoreError.

    Times are seconds since 1970, by this machine's clock.
    """

    def lease(self, owner: str, limit: int, now: float, seconds: float, *, failed_before: float = 0) -> list[Entry]:
        """Take entries that are due, for that long: those of the fewest attempts, and the fewer the more attempts they
        have had, so that one that spoils a push stands alone in the end. Those that failed before a given moment are
        taken although they pause."""
        ...

    def renew(self, owner: str, now: float, seconds: float) -> set[str]:
        """Make the leases of the owner last that long from now; the ids of what it still leases. A lease that has run out
        is renewed, too, as long as nobody else has taken the entry."""
        ...

    def release(self, owner: str) -> None:
        """Give back every lease of the owner."""
        ...

    def pushed(self, owner: str, held: Iterable[tuple[str, int, Known | None]]) -> None:
        """The bank now holds (id, revision, what it is), as pushed by the owner of the lease; None: nothing, since there
        was nothing to push. An entry that was changed meanwhile stays, and is due at once, unless somebody else leases
        it. A newer record that has no entry any more gets one: somebody who took the lease over has pushed it, and what
        was pushed now may lie over it."""
        ...

    def postpone(self, owner: str, now: float, seconds: float) -> None:
        """What the owner still leases has failed; it is due again in that many seconds."""
        ...

    def refuse(self, incident_id: str, revision: int, reason: str) -> None:
        """Set the entry aside, unless it was changed meanwhile."""
        ...

    def refusals(self, limit: int) -> list[Refusal]:
        """What was set aside."""
        ...

    def retry(self) -> int:
        """Take up again what was set aside; how many."""
        ...

    def backlog(self, now: float) -> Backlog:
        """What waits."""
        ...

    def queue(self, incident_ids: Sequence[str]) -> None:
        """Make sure that the outbox has an entry for each that exists or has a tombstone that is shared."""
        ...

    def queue_all(self) -> None:
        """As `queue`, for everything."""
        ...

    def is_pending(self, incident_id: str) -> bool:
        """Whether the incident has an entry that was not set aside."""
        ...

    def entries(self) -> dict[str, bool]:
        """The incidents that have an entry, and of each whether it was set aside."""
        ...

    def shareable(self) -> set[str]:
        """What `queue_all` is about."""
        ...

    def here(self, incident_ids: Sequence[str]) -> dict[str, Shared]:
        """What this machine holds of the incidents: a record, or the tombstone of one that was deleted here."""
        ...

    def ids(self) -> set[str]:
        """The ids of all incidents."""
        ...

    def known(self, incident_ids: Sequence[str]) -> dict[str, Known]:
        """What the bank held of each, as last seen from here."""
        ...

    def note_known(self, held: Mapping[str, Known]) -> None:
        """The bank holds these."""
        ...

    def settle(self, incident_id: str, revision: int) -> None:
        """The bank holds what this machine holds: raise the record to that revision if it is lower, and drop the entry."""
        ...

    def adopt(self, incident: Incident, replaces: int | None, *, action: str, queue: bool) -> Incident:
        """Store a record of the shared memory, without vectors, and return it as stored.

        Args:
            incident: with the revision that it has there.
            replaces: the revision of the record that it replaces; None where there is none. The stored revision is
                higher than this, and than that of a deletion.
            action: what the history calls it; it keeps what was replaced.
            queue: whether it has to be pushed back, since it is not what the bank holds. It is, too, when its revision
                had to be raised.

        Raises:
            InvalidInput: somebody changed the record meanwhile, or it is open and would replace a resolved one.
        """
        ...

    def adopt_deletion(self, tombstone: Tombstone, replaces: int) -> None:
        """Remove what the shared memory lost; the history keeps it. Nothing is queued.

        Raises:
            InvalidInput: somebody changed the record meanwhile.
        """
        ...

    def keep_loser(self, incident: Incident) -> None:
        """Write into the history that this version lost against ours."""
        ...

    def conflicts(self) -> int:
        """How many conflicts the history tells of."""
        ...

    def state(self, name: str) -> str | None:
        """A note of the exchange, such as its cursor."""
        ...

    def note_state(self, name: str, value: str | None) -> None:
        """Keep a note; None drops it."""
        ...

    def forget_bank(self) -> None:
        """Forget what a bank held and every note: from now on it is another one."""
        ...
