"""Recall: which past incidents resemble a text.

Two arms look at every incident: BM25 over words and identifiers, and cosine over embeddings. Their scores are put on
one scale (standard deviations above the mean of this query) and added. Adding scores beats adding ranks here, since a
score also says *how much* better the first one is: see `bench/README.md` for the figures.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .incident import Incident
from .index.background import background
from .index.closeness import CloseLook, Closeness
from .index.documents import Documents
from .index.documents import Scope as Scope
from .index.fields import heading_vector, searched_vectors, term_frequencies, weighted_texts
from .index.fusion import COSINE_SPREAD, LEXICAL_SPREAD, Arm, fused, highest
from .index.grams import SAMPLE, Grams
from .index.lexical import K1, LexicalIndex
from .index.readings import Readings
from .index.semantic import SemanticIndex
from .index.snapshot import Snapshot, load, save
from .index.tokens import terms
from .index.whitening import whitening
from .ports import IncidentStore, StoredVectors, Vectors

LEXICAL_WEIGHT, WHOLE_WEIGHT, BEST_WEIGHT = 1.0, 0.5, 1.0
"""Shares of the arms in the fused score: BM25, cosine of the whole text, best cosine of any chunk."""

TIME_WEIGHT = 7.7
"""What the same hour adds: incidents of the same hours are often the same one, or its echo. 1.5 for each e-fold."""

FULL_TRUST = 5.0
"""The fused score from which nearness in time counts in full; below, in proportion. What happens to be open at the same
time and shares nothing with the text must not stand before an old incident that fits."""

GRAM_WEIGHT = 1.0
"""Share of the likeness letter by letter in the order of the first RERANKED hits."""

RERANKED = 24
"""Hits that are compared letter by letter; measured, 20 give what 1,000 give."""

HEADING_SHARE = 0.7
"""How much of a heading's vector is taken from that of the whole text, to have what the text says beyond it. Measured on pairs
of incidents of one service, .6 to .8 tie; it tells as well as a vector of the description, which need not be made."""

SNAPSHOT_FROM = 2000
"""Incidents from which on the index is kept on disk: fewer are read faster than a person notices."""

_SNAPSHOT_AFTER = 0.1
"""The share of the memory that has to change before the index is kept again."""

_SAMPLE_AFTER = 0.1
"""The share by which the memory has to grow or shrink before its common runs are told by another sample."""

_SOME = 500
"""Changed incidents that are read at a time."""

_NEAREST = 200
"""Open incidents that may be the one that is repeated: alerts of one rule come by the dozen, and in an outage by the hundred."""

TYPICAL_QUERY = 60.0
"""Nats that a query says, somewhere between an alert's line and a paragraph."""

MAX_QUERY_TERMS = 96
"""Distinct terms of a query that are looked up, the most telling ones; a pasted log would bring thousands."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. `vector` is None while there is no embedding model; `at` is when it happened, None where that
    says nothing (a question about the past); `opening` is the vector of its first sentence (`closeness.opening`), None where
    that of the whole will do."""

    text: str
    vector: Vectors | None
    at: datetime | None = None
    opening: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A found incident and how it was found.

    `score` orders the hits of one query and means nothing across queries. `lexical` is BM25 as a share of what a
    text full of all the query's terms would reach (0 to 1), whatever else is stored; `cosine` and `best` are cosines of the
    whole text and of the best chunk (−1 to 1), None where either side has no vector. `whitened` is that of the best chunk after
    whitening, None also where there is none for the model.

    The first RERANKED hits are looked at closely; for the others `closeness` is 0 throughout. `nearness` is 1 for the
    same hour and falls with the logarithm of the gap to 0 at a week. `vector` is that of the whole text. `asked` is how much
    the query says, in nats; the same for all of its hits.
    """

    incident: Incident
    score: float
    lexical: float
    cosine: float | None
    best: float | None
    closeness: Closeness = field(default_factory=Closeness)
    nearness: float = 0.0
    vector: Vectors | None = field(default=None, compare=False, repr=False)
    asked: float = TYPICAL_QUERY
    whitened: float | None = None


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
        self._reset()

    def _reset(self, frozen: Snapshot | None = None) -> None:
        self._seen = frozen.change if frozen else 0
        self._loaded = frozen is not None
        self._lexical = LexicalIndex(frozen.postings if frozen else None)
        self._semantic = SemanticIndex(self._dimensions, frozen.vectors if frozen else None)
        self._documents = Documents(frozen.documents, frozen.services) if frozen else Documents()
        self._frozen_at = self._seen
        self._grams, self._sampled_of = Grams(()), 0
        self._readings = Readings(lambda ids: [stored.incident for stored in self._store.get_many(ids, None)])

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def model(self) -> str | None:
        """The identity of the model whose vectors are searched; None while recall is lexical."""
        return self._model

    @property
    def not_embedded(self) -> int:
        """How many incidents can be found by their words alone, for want of vectors of this model."""
        with self.lock:
            return self._documents.not_embedded

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
            if len(self._documents.ids) > 2 * len(self._documents) + 1000:  # mostly dead slots: start over without them
                self._reset()
                self._build()  # not from a snapshot, which may hold all those dead ones

    def _load(self) -> None:
        background()  # read now, as the next is, and not by the first search
        whitening(self._model)
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
            worth = len(self) >= SNAPSHOT_FROM and changed > len(self) * _SNAPSHOT_AFTER
            if self._snapshots is None or self._model is None or not worth or self.not_embedded:
                return False
            event = self._store.last_event()
            kept = self._documents.live.copy()
            meta = {"change": self._seen, "event": event, "stamp": self._store.event_stamp(event)}
            save(
                self._snapshots,
                self._model,
                {**meta, "services": self._documents.services},
                self._documents.freeze(kept),
                self._lexical.freeze(kept),
                lambda allocate: self._semantic.freeze(kept, allocate),
            )
            self._reset()  # and go on from what was kept, which takes a fraction of the memory
            self.sync()
            return True

    def _drop(self, incident_id: str) -> None:
        if (slot := self._documents.remove(incident_id)) is not None:
            self._lexical.remove(slot)

    def _put(self, stored: StoredVectors) -> None:
        incident = stored.incident
        self._drop(incident.id)
        slot = self._documents.add(incident, stored.vectors is not None)
        self._lexical.add(slot, term_frequencies(incident))
        if stored.vectors is None:
            self._semantic.add(slot, None)
        else:
            self._semantic.add(slot, searched_vectors(stored.vectors), heading_vector(stored.vectors))

    def find(self, query: Query, limit: int, scope: Scope = Scope(), also: frozenset[str] = frozenset()) -> list[Hit]:
        """The best `limit` incidents in scope and those of `also`, best first. Incidents that share no term and have no
        vector are still listed when nothing is better; it is the probability that says how little that means."""
        with self.lock:
            self.sync()
            allowed = self._documents.chosen(scope)
            count = int(np.count_nonzero(allowed))
            if not count or limit < 1:
                return []
            wanted, telling = self._query_terms(query.text)
            ceiling = sum(telling.values()) * (K1 + 1)
            lexical = self._lexical.scores(telling) / np.float32(ceiling or 1.0)
            arms, whole, best = [Arm.of(lexical, LEXICAL_WEIGHT, allowed, count, LEXICAL_SPREAD)], None, None
            looked_at = None
            if query.vector is not None and self._documents.any_embedded:
                whole, best = self._semantic.scores(query.vector)
                arms.append(Arm.of(whole, WHOLE_WEIGHT, allowed, count, COSINE_SPREAD))
                arms.append(Arm.of(best, BEST_WEIGHT, allowed, count, COSINE_SPREAD))
                looked_at = self._semantic.look()
            near = None if query.at is None else self._documents.nearness(query.at)
            score = _with_time(fused(arms), near)
            if count < len(score):
                score[~allowed] = -np.inf
            count = min(max(limit, RERANKED), count)
            ids, slot_of = self._documents.ids, self._documents.slot_of
            extra = np.array([slot_of[i] for i in also & slot_of.keys()], dtype=np.intp)
            extra = extra[allowed[extra]]
            top = highest(score, max(count, looked_at or 0))
            if looked_at is not None and query.vector is not None:
                top = np.union1d(top, extra)
                top = top[allowed[top]]
                for arm, cosines in zip(arms[1:], self._semantic.exact(top, query.vector), strict=True):
                    arm.scores[top] = cosines
                score[top] = _with_time(fused(arms, top), None if near is None else near[top])
            top = top[highest(score[top], count)]
            top = top[np.lexsort((-top, -score[top]))][:count]  # ties go to the newer entry, whose slot is higher
            extra = np.array(sorted(set(extra.tolist()) - set(top.tolist())), dtype=np.intp)
            top = np.concatenate([top[:RERANKED], extra, top[RERANKED:]])
            found = self._readings.of({slot: ids[slot] for slot in top.tolist()})
            top = np.array([slot for slot in top.tolist() if slot in found], dtype=np.intp)  # one may have just gone
            readings = [found[slot] for slot in top.tolist()]
            close = readings[: RERANKED + len(extra)]
            vectors = None if whole is None else self._semantic.wholes(top)
            whitened = self._whitened(top, query) if best is not None else None
            titles, rests = self._by_heading(top[: len(close)], vectors, query)
            rare = self._lexical.rarity(wanted)
            asked = sum(rare.values())
            shares = self._lexical.shares(top, {term: weight * rare[term] for term, weight in wanted.items()})
            look = CloseLook(query.text, rare, self._sampled_grams(), close, titles, rests)
            # Never negative: the others stay behind.
            score[top[: len(close)]] += np.float32(GRAM_WEIGHT) * look.likeness
            order = np.lexsort((-top, -score[top]))
            return [
                Hit(
                    incident=readings[place].incident,
                    score=float(score[top[place]]),
                    lexical=float(shares[place]),
                    cosine=None if whole is None else float(whole[top[place]]),
                    best=None if best is None else float(best[top[place]]),
                    closeness=look.at(place) if place < len(close) else Closeness(),
                    nearness=0.0 if near is None else float(near[top[place]]),
                    vector=None if vectors is None else vectors[place],
                    asked=asked,
                    whitened=None if whitened is None else float(whitened[place]),
                )
                for rank, place in enumerate(order)
                if rank < limit or readings[place].incident.id in also
            ]

    def _whitened(self, slots: npt.NDArray[np.intp], query: Query) -> npt.NDArray[np.float32] | None:
        """The whitened cosine of the query with the best chunk of each slot, shape of `slots`; None where the model has no
        whitening."""
        white = whitening(self._model)
        if white is None or query.vector is None:
            return None
        rising = np.argsort(slots)
        found = np.empty(len(slots), dtype=np.float32)
        found[rising] = self._semantic.exact(slots[rising], query.vector, white.of_all)[1]
        return found

    def _by_heading(
        self, slots: npt.NDArray[np.intp], wholes: Vectors | None, query: Query
    ) -> tuple[Sequence[float | None], Sequence[float | None]]:
        """Of each slot the cosine of its heading with the query's first sentence, and that of the query with what the text
        says beyond its heading; None where either side has no vector. `wholes` are the vectors of the slots' whole texts, and of
        others behind them, shape (slots and more, dimensions)."""
        if query.vector is None or wholes is None:
            return [None] * len(slots), [None] * len(slots)
        headings = self._semantic.headings(slots)
        titles = headings @ (query.vector if query.opening is None else query.opening)
        beyond = wholes[: len(slots)] - HEADING_SHARE * headings
        rests = beyond @ query.vector / np.maximum(np.linalg.norm(beyond, axis=1), 1e-6)
        known = np.any(headings, axis=1)
        return (
            [float(cosine) if its else None for cosine, its in zip(titles, known, strict=True)],
            [float(cosine) if its else None for cosine, its in zip(rests, known, strict=True)],
        )

    def _sampled_grams(self) -> Grams:
        live = len(self)
        if abs(live - self._sampled_of) > _SAMPLE_AFTER * self._sampled_of:
            self._sampled_of = live
            sample = list(self._documents.slot_of)[:: max(1, live // SAMPLE)][:SAMPLE]
            self._grams = Grams([weighted_texts(s.incident) for s in self._store.get_many(sample, None)])
        return self._grams

    def nearest_open(self, vector: Vectors, service: str | None, least: float) -> list[str]:
        """The open incidents, _NEAREST at most, whose whole text comes as near to the vector as that cosine, the nearest first. An
        incident of another service, or of none where one is given, is another incident, however alike the words are."""
        with self.lock:
            self.sync()
            slots = self._documents.open_at(service)
            if not len(slots) or not self._documents.any_embedded:
                return []
            most = self._semantic.look()
            if most is not None and len(slots) > most:  # mostly a few are open, and the rest need not be read
                slots = np.sort(slots[highest(self._semantic.scores(vector)[0][slots], most)])
            cosines = self._semantic.exact(slots, vector)[0]
            near = np.flatnonzero(cosines >= least)
            nearest = near[np.argsort(-cosines[near], kind="stable")][:_NEAREST]
            return [self._documents.ids[slot] for slot in slots[nearest].tolist()]

    def shared_terms(self, words: Mapping[str, str], incident_id: str, limit: int = 6) -> list[str]:
        """The first words that a query (those of `by_telling`) and an incident have in common, in that order."""
        with self.lock:
            slot = self._documents.slot_of.get(incident_id)
            if slot is None:
                return []
            return list(islice((word for term, word in words.items() if self._lexical.holds(slot, term)), limit))

    def by_telling(self, words: Mapping[str, str]) -> dict[str, str]:
        """A query's words (its `surface_forms`), the most telling first; a bare number is none of them."""
        with self.lock:
            idf = self._lexical.idf(words)
            found = sorted(words, key=lambda term: (-idf[term], term))
            return {term: words[term] for term in found if not term.isdigit()}

    def _query_terms(self, text: str) -> tuple[Mapping[str, int], Mapping[str, float]]:
        """How often the text says each term, and what that tells; of very many, the most telling ones."""
        counts = Counter(terms(text))
        telling = {term: counts[term] * idf for term, idf in self._lexical.idf(counts).items()}
        if len(counts) > MAX_QUERY_TERMS:
            telling = dict(sorted(telling.items(), key=lambda item: -item[1])[:MAX_QUERY_TERMS])
        return {term: counts[term] for term in telling}, telling


def _with_time(score: npt.NDArray[np.float32], near: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    """The fused score, to which what nearness in time adds is added in place."""
    if near is not None:
        few = np.flatnonzero(near)
        score[few] += TIME_WEIGHT * near[few] * np.clip(score[few] / np.float32(FULL_TRUST), 0, 1)
    return score
