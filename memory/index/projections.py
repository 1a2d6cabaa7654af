"""A large matrix of vectors once more, shorter: their projections on the directions in which they differ most, in bytes.

A product with all vectors takes as long as they take to read. All documents are scored by their projections instead, a sixteenth
of that, and the best of these by their vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..ports import Vectors
from .cosines import LONGEST, Cosines, Starts, WholeAndBest, of_all, rows_of, sane
from .products import MOST, products

PROJECTED_FROM = 15_000
"""Vectors from which on a product with all of them takes longer than a millisecond or two."""

DOCUMENTS_FROM = 4_000
"""Documents from which on the exact look at the best 500 of them, whose vectors lie scattered, is small beside that."""

DIRECTIONS = 96
"""Directions that are kept of the model's 384."""

_LARGEST = 127
"""The largest byte: what a projection that is as large as the largest of the sample becomes; a larger one becomes the same."""

_MIDDLE = MOST // 2
"""The factor that stands for 0, since factors are not negative."""

_SAMPLE = 20_000
"""Vectors that tell the directions."""

_SAMPLED = 4096
"""Vectors that tell how the projections differ from the whole; so many take half a millisecond."""

_STEP = 1 << 16
"""Vectors that are projected at a time."""


class Allocate(Protocol):
    """Makes an array of that name, shape and type, in memory or in a file."""

    def __call__(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Projections:
    """The projections of n vectors on `directions`, shape (dimensions, DIRECTIONS), each of which is as long as makes the projection
    the byte it is stored as: `values`, shape (DIRECTIONS, n). `stretches` are the lengths that the directions have instead of 1,
    shape (DIRECTIONS,), and `bases` what the product of each vector comes to for a query of zeros, shape (n,).

    The vectors of the documents' whole texts come first, by slot, then all others, whose documents are `owners`, shape
    (n − documents,).
    """

    values: npt.NDArray[np.int8]
    bases: npt.NDArray[np.int32]
    owners: npt.NDArray[np.int32]
    directions: Vectors
    stretches: Vectors

    def scores(self, query: Vectors) -> WholeAndBest:
        """The documents' cosines with a query, as far as the values tell."""
        weights = query @ self.directions / self.stretches**2
        unit = np.float32(np.abs(weights).max(initial=0) / _MIDDLE or 1)
        factors = (np.rint(weights / unit) + _MIDDLE).astype(np.uint8)
        found = products(factors, self.values)
        found -= self.bases
        cosines: Cosines = np.multiply(found, unit, dtype=np.float32)
        whole, best = self._of_documents(cosines)
        if whole.min(initial=0) >= -LONGEST and best.max(initial=0) <= LONGEST:
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
    directions, stretches = _directions(rows[:: max(1, len(rows) // _SAMPLE)])
    values = allocate("projected", (DIRECTIONS, len(rows)), np.int8)
    bases = np.empty(len(rows), dtype=np.int32)
    begins = np.zeros(len(rows), dtype=np.bool_)
    begins[starts] = True
    ends = [0, len(starts)]  # of what is written of the whole texts, and of the others
    for start in range(0, len(rows), _STEP):
        projected = np.clip(np.rint(rows[start : start + _STEP] @ directions), -_LARGEST, _LARGEST).astype(np.int8)
        first = begins[start : start + _STEP]
        for place, its in enumerate((projected[first], projected[~first])):
            at = slice(ends[place], ends[place] + len(its))
            values[:, at], bases[at] = its.T, _MIDDLE * its.sum(axis=1, dtype=np.int32)
            ends[place] += len(its)
    owners = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(starts, append=len(rows)) - 1)
    return Projections(values, bases, owners, directions, stretches)


class Rough:
    """Scores by projections, with the mean and spread of the true ones: the spread of projections is too small, and the
    fused score counts in spreads. Some documents' vectors tell how much.

    Args:
        rows: the vectors.
        starts: of the documents.
        projections: of the vectors.
    """

    def __init__(self, rows: Vectors, starts: Starts, projections: Projections) -> None:
        self._projections = projections
        self._sampled = np.arange(0, len(starts), max(1, len(rows) // _SAMPLED))
        wanted, self._sample_starts = rows_of(starts, len(rows), self._sampled)
        self._sample = rows[wanted]

    def scores(self, query: Vectors) -> WholeAndBest:
        """Of all documents, by their projections."""
        whole, best = self._projections.scores(query)
        true = of_all(self._sample, self._sample_starts, query)
        for scores, its in zip((whole, best), true, strict=True):
            seen = scores[self._sampled]
            mean, its_mean = its.mean(), seen.mean()
            stretch = float(np.linalg.norm(its - mean)) / (float(np.linalg.norm(seen - its_mean)) or 1.0)
            scores *= np.float32(stretch)
            scores += np.float32(mean - stretch * its_mean)
        return whole, best


def _directions(sample: Vectors) -> tuple[Vectors, Vectors]:
    """The directions, shape (dimensions, DIRECTIONS), that keep most of the vectors' lengths, and how long they are: so long that
    the largest projection of the sample is the largest byte."""
    _, vectors = np.linalg.eigh(sample.T @ sample)  # by rising eigenvalue
    directions = np.ascontiguousarray(vectors[:, ::-1][:, :DIRECTIONS], dtype=np.float32)
    stretches = _LARGEST / np.maximum(np.abs(sample @ directions).max(axis=0), np.float32(1e-6))
    return directions * stretches, stretches
