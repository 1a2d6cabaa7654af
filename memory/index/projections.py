"""A large matrix of vectors once more, shorter: their projections on the directions in which they differ most.

A product with all vectors takes as long as they take to read. All documents are scored by their projections instead,
the best of these by more directions where there are very many, and the best of those by their vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..ports import Vectors
from .cosines import LONGEST, Cosines, Starts, WholeAndBest, of_all, of_some, rows_of, sane

PROJECTED_FROM = 15_000
"""Vectors from which on a product with all of them takes longer than a millisecond or two."""

DOCUMENTS_FROM = 4_000
"""Documents from which on the exact look at the best 500 of them, whose vectors lie scattered, is small beside that."""

DIRECTIONS = 96
"""Directions that are kept of the model's 384."""

FEW_FROM = 300_000
"""Documents from which on `FEW` of the directions are read of all, and the others of the best alone. The best are too
large a share of fewer: 17,700 with 17 vectors each took twice as long as by all directions at once."""

FEW = 48
"""Of 14,000 real vectors, these put 98 in 100 of the nearest among the best hundredth; 32 put 94 there, 96 all."""

_SAMPLE = 20_000
"""Vectors that tell the directions."""

_SAMPLED = 4096
"""Vectors that tell how the projections differ from the whole, twice as many where few directions are read; so many
take half a millisecond."""

_STEP = 1 << 16
"""Vectors that are projected at a time."""


class Allocate(Protocol):
    """Makes an array of that name, shape and type, in memory or in a file."""

    def __call__(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Projections:
    """The projections of n vectors on `directions`, shape (dimensions, DIRECTIONS), the most telling first.

    `values` are those on the first k of them, shape (k, n): a direction's lie side by side, which numpy's library
    multiplies in half the time. The vectors of the documents' whole texts come first, by slot, then all others, whose
    documents are `owners`, shape (n − documents,). Where k is less than DIRECTIONS, `closer` holds all, shape
    (n, DIRECTIONS), in the order of the vectors.
    """

    values: Vectors
    owners: npt.NDArray[np.int32]
    directions: Vectors
    closer: Vectors | None = None

    def scores(self, query: Vectors) -> WholeAndBest:
        """The documents' cosines with a query, as far as the values tell."""
        with np.errstate(invalid="ignore", over="ignore"):
            cosines = self.values.T @ (query @ self.directions[:, : len(self.values)])
        whole, best = self._of_documents(cosines)
        if whole.min(initial=0) >= -LONGEST and best.max(initial=0) <= LONGEST:  # NaN is the maximum of all
            return whole, best
        return self._of_documents(sane(cosines))

    def _of_documents(self, cosines: Cosines) -> WholeAndBest:
        whole, others = np.split(cosines, [len(cosines) - len(self.owners)])
        best = whole.copy()
        np.maximum.at(best, self.owners, others)
        return whole, best


def project(rows: Vectors, starts: Starts, allocate: Allocate) -> Projections | None:
    """The projections of the documents' vectors, None where there are too few."""
    if len(rows) < PROJECTED_FROM or len(starts) < DOCUMENTS_FROM or rows.shape[1] <= DIRECTIONS:
        return None
    directions = _directions(rows[:: max(1, len(rows) // _SAMPLE)])
    few = FEW if len(starts) >= FEW_FROM else DIRECTIONS
    values = allocate("projected", (few, len(rows)), np.float32)
    closer = allocate("closer", (len(rows), DIRECTIONS), np.float32) if few < DIRECTIONS else None
    begins = np.zeros(len(rows), dtype=np.bool_)
    begins[starts] = True
    ends = [0, len(starts)]  # of what is written of the whole texts, and of the others
    for start in range(0, len(rows), _STEP):
        projected = rows[start : start + _STEP] @ directions
        if closer is not None:
            closer[start : start + _STEP] = projected
        first = begins[start : start + _STEP]
        for place, its in enumerate((projected[first, :few], projected[~first, :few])):
            values[:, ends[place] : ends[place] + len(its)] = its.T
            ends[place] += len(its)
    owners = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(starts, append=len(rows)) - 1)
    return Projections(values, owners, directions, closer)


class Rough:
    """Scores by projections, with the mean and spread of the true ones: the spread of projections is too small, and the
    fused score counts in spreads. Some documents' vectors tell how much.

    Args:
        rows: the vectors.
        starts: of the documents.
        projections: of the vectors.
    """

    def __init__(self, rows: Vectors, starts: Starts, projections: Projections) -> None:
        self._starts, self._projections = starts, projections
        sampled = _SAMPLED if projections.closer is None else 2 * _SAMPLED
        self._sampled = np.arange(0, len(starts), max(1, len(rows) // sampled))
        wanted, self._sample_starts = rows_of(starts, len(rows), self._sampled)
        self._sample = rows[wanted]
        self._closer_sample = self._sample @ projections.directions if self.has_closer else self._sample[:0]

    def scores(self, query: Vectors) -> WholeAndBest:
        """Of all documents, by the projections that are read of all."""
        whole, best = self._projections.scores(query)
        self._correct((whole, best), (whole[self._sampled], best[self._sampled]), query)
        return whole, best

    @property
    def has_closer(self) -> bool:
        """Whether `closer` is closer than `scores`."""
        return self._projections.closer is not None

    def closer(self, slots: npt.NDArray[np.intp], query: Vectors) -> WholeAndBest:
        """Of these documents, by all directions."""
        assert self._projections.closer is not None
        projected = query @ self._projections.directions
        whole, best = of_some(self._projections.closer, self._starts, slots, projected)
        found = whole, best.copy()  # one array, where each has one vector, would be corrected twice
        self._correct(found, of_all(self._closer_sample, self._sample_starts, projected), query)
        return found

    def _correct(self, found: WholeAndBest, seen: WholeAndBest, query: Vectors) -> None:
        """Stretch and shift the scores as those that were seen of the sample have to be."""
        for scores, its, true in zip(found, seen, of_all(self._sample, self._sample_starts, query), strict=True):
            mean, its_mean = true.mean(), its.mean()
            stretch = float(np.linalg.norm(true - mean)) / (float(np.linalg.norm(its - its_mean)) or 1.0)
            scores *= np.float32(stretch)
            scores += np.float32(mean - stretch * its_mean)


def _directions(sample: Vectors) -> Vectors:
    """The directions, shape (dimensions, DIRECTIONS), that keep most of the vectors' lengths."""
    _, vectors = np.linalg.eigh(sample.T @ sample)  # by rising eigenvalue
    directions: Vectors = np.ascontiguousarray(vectors[:, ::-1][:, :DIRECTIONS], dtype=np.float32)
    return directions
