"""The borders of the memory: what an adapter has to offer. One file, so that a reader sees all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .incident import FailureType, Incident, Status

Vectors = npt.NDArray[np.float32]
"""Unit-length embeddings, shape (texts, dimensions)."""


class Embedder(Protocol):
    """Turns texts into vectors. An instance is loaded and ready: constructing it may take seconds."""

    @property
    def identity(self) -> str:
        """Name and content hash of the model. Vectors of different identities are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of one vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed the texts, in order; an empty sequence gives shape (0, dimensions).

        Raises:
            EmbeddingError: the model failed on these texts.
        """
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the store's history, as a reader that keeps an index needs it. `number` only ever grows."""

    number: int
    incident_id: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an incident: `action` is created, imported, amended or resolved."""

    number: int
    incident_id: str
    action: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An event with what it left behind: `previous` is the record that it replaced."""

    number: int
    incident_id: str
    revision: int
    action: str
    at: datetime
    previous: Incident | None


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """An incident with the vectors that one model gave it; None where that model has not embedded it yet."""

    incident: Incident
    vectors: Vectors | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which incidents a listing is about; None means any."""

    status: Status | None = None
    service: str | None = None
    failure_type: FailureType | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, newest first. `cursor` is None on the last page; the counts are of the whole filter."""

    incidents: tuple[Incident, ...]
    cursor: str | None
    total: int
    open: int
    resolved: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is stored. `without_vectors` counts incidents that the given model has not embedded yet."""

    incidents: int
    open: int
    resolved: int
    pending_sync: int
    without_vectors: int


class IncidentStore(Protocol):
    """Keeps incidents, their vectors, their history and the outbox, each write whole or not at all.

    Safe for use from several threads and several processes on the same data. Every method may raise StoreError.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """Everything written inside the block is committed together, or, if it raises, not at all."""
        ...

    def insert(
        self,
        incident: Incident,
        vectors: Vectors | None,
        model: str | None,
        *,
        action: str = "created",
        repeat_of: Callable[[], str | None] | None = None,
    ) -> Incident:
        """Store a new incident, or return the existing one that `repeat_of` names.

        `repeat_of` runs inside the write transaction, after every other writer's commit, so that two processes
        that are told the same incident at once store it once. A taken id raises InvalidInput.
        """
        ...

    def update(self, incident: Incident, vectors: Vectors | None, model: str | None, *, action: str) -> Incident:
        """Replace the record of the same id, keep the previous one in the history, and return it as stored.

        `incident.revision` must be the revision that was read; the stored one is one higher.

        Raises:
            UnknownIncident: there is no such incident.
            InvalidInput: somebody else changed it since it was read; or an open record would replace a resolved one.
        """
        ...

    def put_vectors(self, items: Iterable[tuple[str, int, Vectors]], model: str) -> int:
        """Store vectors for (id, revision) pairs that still have that revision; returns how many were stored."""
        ...

    def get(self, incident_id: str) -> Incident | None:
        """The incident, or None."""
        ...

    def get_many(self, incident_ids: Sequence[str], model: str | None) -> list[StoredVectors]:
        """Those of the incidents that exist, in no particular order."""
        ...

    def scan(self, model: str | None) -> Iterator[StoredVectors]:
        """Every incident, oldest entry first, from one consistent snapshot."""
        ...

    def page(self, wanted: Filter, *, limit: int, cursor: str | None) -> Page:
        """One page, newest first. An unknown cursor raises InvalidInput."""
        ...

    def ids_starting(self, prefix: str, limit: int) -> list[str]:
        """Ids that start with the prefix, newest first."""
        ...

    def history(self, incident_id: str) -> list[HistoryEntry]:
        """Everything that happened to the incident, oldest first."""
        ...

    def changes_since(self, number: int) -> list[Change]:
        """Changes after that number, by this process and by others, oldest first."""
        ...

    def last_change(self) -> int:
        """The number of the newest change; 0 in an empty store."""
        ...

    def events_since(self, number: int, limit: int) -> list[Event]:
        """What happened after that number, by this process and by others, oldest first."""
        ...

    def last_event(self) -> int:
        """The number of the newest event; 0 in an empty store."""
        ...

    def event_stamp(self, number: int) -> str:
        """What tells that event from one of the same number in another store; empty where there is none."""
        ...

    def lacking_vectors(self, model: str, limit: int) -> list[Incident]:
        """Incidents that have no vectors of that model."""
        ...

    def find_open_by_text(self, normalised: str, service: str | None) -> str | None:
        """The id of the newest open incident with the same normalised text, unless both name a service and it is
        another one."""
        ...

    def remember_prediction(self, prediction: Prediction) -> None:
        """Keep what an analysis predicted, so that it can be judged once the incident is resolved."""
        ...

    def counts(self, model: str | None) -> Counts:
        """How much is stored."""
        ...

    def close(self) -> None:
        """Release the file. The store must not be used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Prediction:
    """What an analysis said. `matches` are the ids that it rested on, best first."""

    incident_id: str
    at: datetime
    root_cause: str | None
    failure_type: FailureType
    confidence: float
    matches: tuple[str, ...]
    engine: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of an imported file that could not be used, and why."""

    line: int
    reason: str


class Importer(Protocol):
    """Reads incidents from one kind of file."""

    name: str

    def recognises(self, path: Path, head: str) -> bool:
        """Whether a file with that name and that beginning (its first 4,096 characters) is of this kind."""
        ...

    def read(self, path: Path, default_status: Status) -> Iterator[Incident | BadRow]:
        """The file's incidents in order, a BadRow in the place of each row that cannot be used.

        Raises:
            ImportFailed: the file as a whole cannot be read.
        """
        ...
