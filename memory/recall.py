"""Recall: which past incidents resemble a text.

Two arms look at every incident: BM25 over words and identifiers, and cosine over embeddings. Their scores are put on
one scale (standard deviations above the mean of this query) and added. Adding scores beats adding ranks here, since a
score also says *how much* better the first one is: see `bench/README.md` for the figures.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .incident import Incident, Status
from .index.closeness import Closeness, look_closely
from .index.columns import Column
from .index.fields import searched_vectors, term_frequencies, weighted_texts
from .index.grams import SAMPLE, Grams
from .index.lexical import K1, LexicalIndex
from .index.semantic import SemanticIndex
from .index.snapshot import Columns, Snapshot, load, save
from .index.tokens import terms
from .ports import IncidentStore, StoredVectors, Vectors

LEXICAL_WEIGHT, WHOLE_WEIGHT, BEST_WEIGHT = 1.0, 0.5, 1.0
"""Shares of the arms in the fused score: BM25, cosine of the whole text, best cosine of any chunk."""

TIME_WEIGHT = 7.7
"""What the same hour adds: incidents of the same hours are often the same one, or its echo. 1.5 for each e-fold."""

_TIME_REACH, _TIME_BLUR = 7 * 86400.0, 3600.0
"""Seconds: beyond the reach time says nothing, and below the blur all is at once."""

FULL_TRUST = 5.0
"""The fused score from which nearness in time counts in full; below, in proportion. What happens to be open at the same
time and shares nothing with the text must not stand before an old incident that fits."""

GRAM_WEIGHT = 1.0
"""Share of the likeness letter by letter in the order of the first RERANKED hits."""

RERANKED = 24
"""Hits that are compared letter by letter; measured, 20 give what 1,000 give."""

_PRIOR_STRENGTH = 20
_PRIOR_SPREAD = {"lexical": 0.07, "cosine": 0.11}
"""In a small memory a standard deviation means little, so it is drawn towards a typical one, as if that many more
incidents had been seen."""

SNAPSHOT_FROM = 2000
"""Incidents from which on the index is kept on disk: fewer are read faster than a person notices."""

_SNAPSHOT_AFTER = 0.1
"""The share of the memory that has to change before the index is kept again."""

_SOME = 500
"""Changed incidents that are read at a time."""

MAX_QUERY_TERMS = 96
"""Distinct terms of a query that are looked up, the most telling ones; a pasted log would bring thousands."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. `vector` is None while there is no embedding model; `at` is when it happened, None where that
    says nothing (a question about the past)."""

    text: str
    vector: Vectors | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which incidents may be found; None means any. `before` and `since` are about `created_at`, and leave out
    incidents that have none."""

    status: Status | None = None
    service: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hit:
    """A found incident and how it was found.

    `score` orders the hits of one query and means nothing across queries. `lexical` is BM25 as a share of what a
    perfect match of all terms could reach (0 to about 1); `cosine` and `best` are cosines of the whole text and of
    the best chunk (−1 to 1), None where either side has no vector.

    The first RERANKED hits are looked at closely; for the others `closeness` is 0 throughout. `nearness` is 1 for the
    same hour and falls with the logarithm of the gap to 0 at a week. `vector` is that of the whole text.
    """

    incident: Incident
    score: float
    lexical: float
    cosine: float | None
    best: float | None
    closeness: Closeness = field(default_factory=Closeness)
    nearness: float = 0.0
    vector: Vectors | None = field(default=None, compare=False, repr=False)


class Recall:
    """The search index over a store, kept in step with it.

    `sync` brings in what this process or any other has written since; `find` searches. Safe for use from several
    threads: one works, the others wait.

    Args:
        store: what is searched.
        snapshots: a folder in which the index of a large memory is kept for the next start.
    """

    def __init__(self, store: IncidentStore, snapshots: Path | None = None) -> None:
        self._store = store
        self._snapshots = snapshots
        self.lock = threading.RLock()
        """Taken by every method. Who calls into recall from within a store transaction takes it before the
        transaction, so that the order of the two locks is always the same."""
        self._model: str | None = None
        self._dimensions = 1
        self._grams = Grams(())
        self._reset()

    def _reset(self, frozen: Snapshot | None = None) -> None:
        self._seen = frozen.change if frozen else 0
        self._loaded = frozen is not None
        self._lexical = LexicalIndex(frozen.postings if frozen else None)
        self._semantic = SemanticIndex(self._dimensions, frozen.vectors if frozen else None)
        self._live: Column[np.bool_] = Column(np.bool_)
        self._open: Column[np.bool_] = Column(np.bool_)
        self._embedded: Column[np.bool_] = Column(np.bool_)
        self._created: Column[np.float64] = Column(np.float64)
        self._service: Column[np.int32] = Column(np.int32)
        self._ids: list[str] = []
        self._services: dict[str, int] = {}
        self._frozen_at = self._seen
        if frozen is not None:
            columns = frozen.columns
            self._ids = columns.ids.astype(str).tolist()
            self._services = {service: number for number, service in enumerate(frozen.services)}
            self._live.extend(np.ones(len(self._ids), dtype=np.bool_))
            self._open.extend(columns.open)
            self._embedded.extend(columns.embedded)
            self._created.extend(columns.created)
            self._service.extend(columns.service)
        self._slot_of = {incident_id: slot for slot, incident_id in enumerate(self._ids)}

    def __len__(self) -> int:
        return len(self._slot_of)

    @property
    def model(self) -> str | None:
        """The identity of the model whose vectors are searched; None while recall is lexical."""
        return self._model

    @property
    def not_embedded(self) -> int:
        """How many incidents can be found by their words alone, for want of vectors of this model."""
        with self.lock:
            return int((self._live.view & ~self._embedded.view).sum())

    def use_model(self, identity: str, dimensions: int) -> None:
        """Search the vectors of this model from now on."""
        with self.lock:
            if identity != self._model:
                self._model, self._dimensions = identity, dimensions
                self._reset()

    def sync(self) -> None:
        """Take in every change of the store since the last call."""
        with self.lock:
            if not self._loaded:
                self._load()
            if not (changes := self._store.changes_since(self._seen)):
                return
            for start in range(0, len(changes), _SOME):
                some = [change.incident_id for change in changes[start : start + _SOME]]
                there = self._store.get_many(some, self._model)
                for deleted in set(some).difference(stored.incident.id for stored in there):
                    self._drop(deleted)
                for stored in there:
                    self._put(stored)
            self._seen = changes[-1].number
            if len(self._ids) > 2 * len(self._slot_of) + 1000:  # mostly dead slots: start over without them
                self._reset()
                self._build()  # not from a snapshot, which may hold all those dead ones

    def _load(self) -> None:
        frozen = load(self._snapshots, self._model) if self._snapshots and self._model else None
        if frozen is not None and frozen.vectors.rows.shape[1] == self._dimensions:
            is_ours = self._store.event_stamp(frozen.event) == frozen.stamp
            if is_ours and frozen.change <= self._store.last_change():
                self._reset(frozen)
                return
        self._build()

    def _build(self) -> None:
        last = self._store.last_change()  # before the scan: what comes in between is then read twice
        for stored in self._store.scan(self._model):
            self._put(stored)
        self._seen, self._loaded = last, True

    def keep(self) -> bool:
        """Keep the index for the next start, if that saves much: the memory is large, fully embedded, and much has
        changed since the last time. Returns whether it did.

        Raises:
            OSError: the folder cannot be written.
        """
        with self.lock:
            changed = self._seen - self._frozen_at
            worth = len(self._slot_of) >= SNAPSHOT_FROM and changed > len(self._slot_of) * _SNAPSHOT_AFTER
            if self._snapshots is None or self._model is None or not worth or self.not_embedded:
                return False
            event = self._store.last_event()
            kept = self._live.view.copy()
            meta = {"change": self._seen, "event": event, "stamp": self._store.event_stamp(event)}
            save(
                self._snapshots,
                self._model,
                {**meta, "services": list(self._services)},
                Columns(
                    np.array([i for i, live in zip(self._ids, kept, strict=True) if live], dtype=np.bytes_),
                    self._open.view[kept],
                    self._embedded.view[kept],
                    self._created.view[kept],
                    self._service.view[kept],
                ),
                self._lexical.freeze(kept),
                (self._semantic.rows_of(kept), self._dimensions),
                lambda rows: self._semantic.freeze(kept, rows),
            )
            self._reset()  # and go on from what was kept, which takes a fraction of the memory
            self.sync()
            return True

    def _drop(self, incident_id: str) -> None:
        if (slot := self._slot_of.pop(incident_id, None)) is not None:
            self._live.view[slot] = False
            self._lexical.remove(slot)

    def _put(self, stored: StoredVectors) -> None:
        incident = stored.incident
        self._drop(incident.id)
        slot = len(self._ids)
        self._lexical.add(slot, term_frequencies(incident))
        self._semantic.add(slot, None if stored.vectors is None else searched_vectors(stored.vectors))
        self._ids.append(incident.id)
        self._slot_of[incident.id] = slot
        self._live.append(True)
        self._open.append(incident.status is Status.OPEN)
        self._embedded.append(stored.vectors is not None)
        self._created.append(incident.created_at.timestamp() if incident.created_at else math.nan)
        self._service.append(self._service_number(incident.service))

    def _service_number(self, service: str | None) -> int:
        if not service:
            return -1
        return self._services.setdefault(service.casefold(), len(self._services))

    def find(self, query: Query, limit: int, scope: Scope = Scope(), also: frozenset[str] = frozenset()) -> list[Hit]:
        """The best `limit` incidents in scope and those of `also`, best first. Incidents that share no term and have no
        vector are still listed when nothing is better; it is the probability that says how little that means."""
        with self.lock:
            self.sync()
            allowed = self._allowed(scope)
            count = int(allowed.sum())
            if not count or limit < 1:
                return []
            wanted = self._query_terms(query.text)
            ceiling = sum(weight * self._lexical.idf(term) for term, weight in wanted.items()) * (K1 + 1)
            lexical = self._lexical.scores(wanted) / np.float32(ceiling or 1.0)
            score = LEXICAL_WEIGHT * _standard(lexical, allowed, "lexical")
            whole = best = None
            if query.vector is not None and self._embedded.view.any():
                whole, best = self._semantic.scores(query.vector)
                score += WHOLE_WEIGHT * _standard(whole, allowed, "cosine")
                score += BEST_WEIGHT * _standard(best, allowed, "cosine")
            near = np.zeros(len(score), dtype=np.float32) if query.at is None else self._nearness(query.at)
            score += TIME_WEIGHT * near * np.clip(score / np.float32(FULL_TRUST), 0, 1)
            score[~allowed] = -np.inf
            count = min(max(limit, RERANKED), count)
            top = np.argpartition(-score, count - 1)[:count] if count < len(score) else np.arange(len(score))
            top = top[np.lexsort((-top, -score[top]))][:count]  # ties go to the newer entry, whose slot is higher
            extra = np.setdiff1d(np.array([self._slot_of[i] for i in also & self._slot_of.keys()], dtype=np.intp), top)
            top = np.concatenate([top[:RERANKED], extra[allowed[extra]], top[RERANKED:]])
            found = {s.incident.id: s for s in self._store.get_many([self._ids[slot] for slot in top], self._model)}
            top = np.array([slot for slot in top if self._ids[slot] in found], dtype=np.intp)  # one may have just gone
            stored = [found[self._ids[slot]] for slot in top]
            telling = {term: self._lexical.idf(term) for term in wanted}
            close = stored[: RERANKED + len(extra)]
            grams, looks = look_closely(query.text, query.vector, telling, self._sampled_grams(), close)
            score[top[: len(close)]] += np.float32(GRAM_WEIGHT) * grams  # never negative: the others stay behind
            looks += [Closeness()] * (len(stored) - len(looks))
            hits = [
                Hit(
                    incident=its.incident,
                    score=float(score[slot]),
                    lexical=float(lexical[slot]),
                    cosine=None if whole is None else float(whole[slot]),
                    best=None if best is None else float(best[slot]),
                    closeness=closeness,
                    nearness=float(near[slot]),
                    vector=None if whole is None else self._semantic.whole(int(slot)),
                )
                for slot, its, closeness in zip(top, stored, looks, strict=True)
            ]
            order = [hits[place] for place in np.lexsort((-top, -score[top]))]
            return order[:limit] + [hit for hit in order[limit:] if hit.incident.id in also]

    def _nearness(self, at: datetime) -> npt.NDArray[np.float32]:
        """How near in time each incident is, shape (slots,): 1 within the same hour, 0 from a week on, and where the
        time is unknown."""
        gap = np.abs(self._created.view - at.timestamp())
        near = 1 - np.log1p(gap / _TIME_BLUR) / math.log1p(_TIME_REACH / _TIME_BLUR)
        nearness: npt.NDArray[np.float32] = np.nan_to_num(near).clip(min=0).astype(np.float32)
        return nearness

    def _sampled_grams(self) -> Grams:
        live = len(self._slot_of)
        if self._grams.documents < 0.75 * min(SAMPLE, live):
            sample = list(self._slot_of)[:: max(1, live // SAMPLE)][:SAMPLE]
            self._grams = Grams([weighted_texts(s.incident) for s in self._store.get_many(sample, None)])
        return self._grams

    def nearest_open(self, vector: Vectors, service: str | None) -> tuple[str, float] | None:
        """The open incident whose whole text is nearest to the vector, and its cosine. An incident of another
        service (where both name one) is another incident, however alike the words are."""
        with self.lock:
            self.sync()
            allowed = self._live.view & self._open.view
            if service:
                number = self._service_number(service)
                allowed &= (self._service.view == number) | (self._service.view == -1)
            if not allowed.any() or not self._embedded.view.any():
                return None
            cosines = np.where(allowed, self._semantic.scores(vector)[0], -2)
            slot = int(np.argmax(cosines))
            return self._ids[slot], float(cosines[slot])

    def shared_terms(self, words: Mapping[str, str], incident_id: str, limit: int = 6) -> list[str]:
        """The words that a query (its `surface_forms`) and an incident have in common, the most telling first."""
        with self.lock:
            slot = self._slot_of.get(incident_id)
            if slot is None:
                return []
            common = [t for t in words if not t.isdigit() and self._lexical.holds(slot, t)]  # a bare number says little
            telling = sorted(common, key=lambda term: (-self._lexical.idf(term), term))
        return [words[term] for term in telling[:limit]]

    def _query_terms(self, text: str) -> Mapping[str, float]:
        found = Counter(terms(text))
        if len(found) <= MAX_QUERY_TERMS:
            return found
        return dict(sorted(found.items(), key=lambda item: -item[1] * self._lexical.idf(item[0]))[:MAX_QUERY_TERMS])

    def _allowed(self, scope: Scope) -> npt.NDArray[np.bool_]:
        allowed: npt.NDArray[np.bool_] = self._live.view.copy()
        if scope.status is not None:
            allowed &= self._open.view == (scope.status is Status.OPEN)
        if scope.service:
            allowed &= self._service.view == self._services.get(scope.service.casefold(), -2)
        if scope.since is not None:
            allowed &= self._created.view >= scope.since.timestamp()
        if scope.before is not None:
            allowed &= self._created.view < scope.before.timestamp()
        for incident_id in scope.exclude:
            if (slot := self._slot_of.get(incident_id)) is not None:
                allowed[slot] = False
        return allowed


def _standard(values: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], kind: str) -> npt.NDArray[np.float32]:
    """The values in standard deviations from the mean of those that are allowed."""
    seen = values[allowed]
    strength = _PRIOR_STRENGTH
    variance = (float(seen.var()) * len(seen) + _PRIOR_SPREAD[kind] ** 2 * strength) / (len(seen) + strength)
    standard: npt.NDArray[np.float32] = (values - seen.mean()) / np.float32(math.sqrt(variance))
    return standard
