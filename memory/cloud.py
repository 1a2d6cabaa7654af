"""The border to the memory that a team shares: what its adapter has to offer, and the values that cross it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .incident import Incident, Status
from .record import to_record

BATCH = 50
"""Incidents of one push, as in the original system."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a deleted incident. `revision` is that of the deletion, `status` what the incident was. One that
    is `local` deletes it on this machine alone and is never pushed."""

    id: str
    revision: int
    deleted_at: datetime
    status: Status
    local: bool = False


Shared = Incident | Tombstone
"""What one side holds of an incident."""


def digest(shared: Shared) -> str:
    """The SHA-256 of what is said, in hex. The revision is left out: it counts writes, and machines count apart. All
    deletions of an incident say the same."""
    if isinstance(shared, Tombstone):
        return "deleted"
    record = {name: value for name, value in to_record(shared).items() if name != "revision"}
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def called(url: str, bank: str) -> str:
    """What a memory notes of the bank that it was synced with last (`Outbox.state`, "bank")."""
    return f"{url} {bank}"


Lineage = tuple[str, ...]
"""Versions that a version was made in the knowledge of, as `merge` writes them: a short digest each, the newest first,
with a "!" before one that it won against in a conflict."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the bank held of an incident when this machine last saw it. `lineage` is what has been superseded by it or, where
    this machine has changed the incident since, by what is here."""

    digest: str
    lineage: Lineage = ()


@dataclass(frozen=True, slots=True)
class Version:
    """What is pushed of an incident, and what it supersedes."""

    content: Shared
    supersedes: Lineage = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """A document of the bank that stands for an incident. `content` is None where it cannot be read, and `problem` says
    why. `supersedes` is None where the document does not say, as those of older programs."""

    incident_id: str
    content: Shared | None
    problem: str | None = None
    supersedes: Lineage | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the bank's documents. `newest` is the time of the newest change in it by the bank's clock, None in an
    empty one; `following` is where the next page starts, None on the last."""

    copies: tuple[Copy, ...]
    total: int
    newest: str | None
    following: int | None


@dataclass(frozen=True, slots=True)
class CloudHit:
    """A recalled fact. `ids` are the incidents that it may be about, the most trustworthy first: that of its document,
    of its metadata, of its text; `ours` says that the first one is a document of ours. `score` is the bank's."""

    ids: tuple[str, ...]
    ours: bool
    score: float


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that an older program stored without a document of ours. `at` is when, None where the bank does not say.
    Facts of one `chunk` were extracted from one piece of text."""

    text: str
    metadata: Mapping[str, str]
    at: datetime | None
    chunk: str | None = None


@dataclass(frozen=True, slots=True)
class BankState:
    """What a bank holds, told by a call that the key was needed for. `exists` is False before the first push."""

    exists: bool
    incidents: int = 0
    deleted: int = 0


class CloudMemory(Protocol):
    """The memory that a team shares: a bank of documents, one for each incident.

    All methods are for one event loop. Each may raise CloudError, and nothing else of its own.
    """

    @property
    def url(self) -> str:
        """Where it is, without any credentials."""
        ...

    @property
    def bank(self) -> str:
        """The bank's name."""
        ...

    async def load(self) -> None:
        """Import what is needed, which may take a second, without holding up the event loop."""
        ...

    async def check(self) -> BankState:
        """Prove the key and say what the bank holds."""
        ...

    async def push(self, versions: Sequence[Version]) -> None:
        """Put the incidents into the bank, each in place of what it held of them; a tombstone takes the content away.
        At most BATCH at a time. All of them are there when it returns; when it raises, some may be.

        Raises:
            InvalidInput: an id is malformed; nothing was sent.
        """
        ...

    async def page(self, offset: int, since: str | None, *, limit: int = 100) -> Listing:
        """A page of the documents: of all, in the order of their creation, or of those that changed at or after
        `since` (by the bank's clock), newest change first."""
        ...

    async def fetch(self, incident_id: str) -> Copy | None:
        """What the bank holds of an incident, or None.

        Raises:
            InvalidInput: the id is malformed; nothing was sent.
        """
        ...

    async def recall(self, text: str, seconds: float) -> list[CloudHit]:
        """The facts that resemble the text, best first.

        Raises:
            CloudUnreachable: there was no answer within that many seconds.
        """
        ...

    def facts(self) -> AsyncIterator[list[Fact]]:
        """The facts that no document of ours stands behind, in pages."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
