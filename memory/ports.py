"""The borders of the memory: what an adapter has to offer. One file, so that a reader sees all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from .cloud import CloudMemory as CloudMemory
from .incident import FailureType, Incident, Status
from .outbox import Outbox

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
    """One entry of the store's history, as a reader that keeps an index needs it. `number` only ever grows. The incident
    may be gone by now: then `get_many` does not know it."""

    number: int
    incident_id: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an incident: `action` is created, imported, amended, resolved or deleted; pulled, where
    it came from the shared memory; conflict, where two versions met and `previous` is the one that lost."""

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
class Offender:
    """A failure type that a service had `count` times in a period; `last` is when the newest of them began."""

    service: str
    failure_type: FailureType
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is stored. `pending_sync` counts what waits for the shared memory, without what that refused for good;
    `without_vectors` the incidents that the given model has not embedded yet."""

    incidents: int
    open: int
    resolved: int
    pending_sync: int
    without_vectors: int


class IncidentStore(Outbox, Protocol):
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
        that are told the same incident at once store it once. A taken id raises InvalidInput. The id of a deleted
        incident is free; the revision is then raised above that of the deletion.
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

    def delete(self, incident_id: str, revision: int, *, shared: bool = True) -> Incident:
        """Remove the incident with its vectors, and return what was removed.

        The history keeps the record under the action "deleted", whose revision is one higher, and the outbox keeps
        that it is gone. Its predictions stay, for the case that it is brought back.

        Args:
            incident_id: which one.
            revision: at which it was read, so that nothing goes that the caller has not seen.
            shared: whether the shared memory is to lose it, too; else only this machine does, and for good.

        Raises:
            UnknownIncident: there is no such incident.
            InvalidInput: somebody else changed it since it was read.
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

    def occurrences(self, service: str, failure_type: FailureType, limit: int) -> list[Incident]:
        """Incidents of that service and failure type whose start is known, newest first."""
        ...

    def offenders(self, since: datetime, wanted: Filter, limit: int) -> list[Offender]:
        """What came more than once since then: most often first, and among equals the newest first. Incidents without a
        service or of the type "other" are left out, since nothing says that they belong together."""
        ...

    def ids_starting(self, prefix: str, limit: int) -> list[str]:
        """Ids that start with the prefix, newest first."""
        ...

    def history(self, incident_id: str) -> list[HistoryEntry]:
        """Everything that happened to the incident, oldest first."""
        ...

    def changes_since(self, number: int) -> list[Change]:
        """Changes after that number, by this process and by others, oldest first. An incident stands there once, with
        its last change; one that was deleted does, too, until it is stored again."""
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
        """The id of the newest open incident with the same normalised text; of that service, where one is given."""
        ...

    def remember_prediction(self, prediction: Prediction) -> None:
        """Keep what an analysis predicted, so that it can be judged once the incident is resolved."""
        ...

    def prediction_to_judge(self, incident_id: str) -> KeptPrediction | None:
        """The prediction of the incident that counts: the one that was judged before, else the last one."""
        ...

    def keep_judgment(self, number: int, judgment: Judgment | None) -> None:
        """Keep how the prediction of that number came out, instead of an earlier judgment; None takes that back."""
        ...

    def judged_predictions(self, limit: int) -> list[JudgedFigure]:
        """The figures of predictions that were right or wrong (not those that abstained), newest judgment first."""
        ...

    def prediction_counts(self) -> PredictionCounts:
        """How many predictions there are and how they came out."""
        ...

    def judgment_stamp(self) -> str:
        """Changes with every judgment, by this process or another. Cheap to ask for."""
        ...

    def counts(self, model: str | None) -> Counts:
        """How much is stored."""
        ...

    def close(self) -> None:
        """Release the file. The store must not be used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Prediction:
    """What an analysis said. `matches` are the ids that it rested on, best first; `root_cause` is None where nothing was
    alike. `confidence` is the figure that was stated, `raw_confidence` the one before it was recalibrated on the user's
    history. `type_stated` is False where the failure type is our own classification of the match's text."""

    incident_id: str
    at: datetime
    root_cause: str | None
    failure_type: FailureType
    confidence: float
    matches: tuple[str, ...]
    engine: str
    raw_confidence: float
    type_stated: bool = False


JudgedBy = Literal["resolver", "failure type", "meaning", "abstained"]
"""What a judgment rests on: a person's word, the types or the texts of the two causes; or there was nothing to judge."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """How a prediction came out. `right` is None where it had named no cause (abstained)."""

    right: bool | None
    by: JudgedBy


@dataclass(frozen=True, slots=True)
class KeptPrediction:
    """A prediction as the store keeps it. `judgment` is None while it has not been judged."""

    number: int
    prediction: Prediction
    judgment: Judgment | None


@dataclass(frozen=True, slots=True)
class JudgedFigure:
    """The figures of a judged prediction, as in `Prediction`, and whether it was right."""

    raw: float
    stated: float
    right: bool


@dataclass(frozen=True, slots=True)
class PredictionCounts:
    """How the predictions came out. `predictions` counts incidents: one that was analysed thrice counts once. `judged`
    are right or wrong; the abstained ones come on top, and the rest is not resolved or could not be judged."""

    predictions: int
    judged: int
    right: int
    abstained: int


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
