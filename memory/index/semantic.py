"""The semantic arm: cosine similarity over every vector of every document.

A document has one vector of its whole text, then one for each chunk of a long text and one for its resolution. All
of them lie in one matrix, a document's rows side by side, so a search is one product and one segmented maximum.

That product takes as long as the matrix takes to read. So beside a large frozen matrix lies a fraction of it, the
vectors' projections on the directions in which they differ most. All documents are scored by those, and the best some
thousand are scored exactly (`exact`), which gives the same first hits: `bench/README.md` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..ports import Vectors
from .columns import Column

PROJECTED_FROM = 15_000
"""Vectors from which on a product with all of them takes longer than a millisecond or two."""

PROJECTED = 32, 96
"""The fewest and the most directions that are kept of the model's 384."""

_NUMBERS = 12_800_000
"""Numbers that the projections of a memory hold together, while that gives a count of directions between those two: 50 MB
are read in some milliseconds. Many near neighbours make up for fewer directions."""

_SAMPLE = 20_000
"""Vectors that tell the directions."""

_SAMPLED = 2048
"""Documents that tell how the projections differ from the whole; twice as many take half a millisecond more."""

_STEP = 1 << 16
"""Vectors that are copied at a time: a copy of the whole matrix would double the memory."""

_LONGEST = 1.01
"""The length of a unit vector, and the size of a cosine, with room for rounding. What is beyond it, infinite or no number
comes from a damaged file (the matrix bears no checksum) and counts as 0, or one such row would move the mean and spread
that put all scores on one scale."""


Headings = npt.NDArray[np.float16]
"""Vectors that are compared and not searched: a cosine is right to 0.0002."""


class Allocate(Protocol):
    """Makes an array of that name, shape and type, in memory or in a file."""

    def __call__(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Projections:
    """Vectors' projections on `directions`, shape (dimensions, k). A direction's values lie side by side, which
    numpy's library multiplies in half the time: `values` has shape (k, n), the vectors of the documents' whole
    texts first, by slot, then all others, whose documents are `owners`, shape (n − documents,)."""

    values: Vectors
    owners: npt.NDArray[np.int32]
    directions: Vectors

    def scores(self, query: Vectors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """About what `SemanticIndex.scores` gives, shape (documents,) each."""
        with np.errstate(invalid="ignore", over="ignore"):
            cosines = self.values.T @ (query @ self.directions)
        whole, best = self._of_documents(cosines)
        if whole.min(initial=0) >= -_LONGEST and best.max(initial=0) <= _LONGEST:  # NaN is the maximum of all
            return whole, best
        return self._of_documents(_sane(cosines))

    def _of_documents(
        self, cosines: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        whole, others = np.split(cosines, [len(cosines) - len(self.owners)])
        best = whole.copy()
        np.maximum.at(best, self.owners, others)
        return whole, best


@dataclass(frozen=True, slots=True)
class FrozenVectors:
    """The vectors of many documents, which may lie in a memory-mapped file: `rows`, shape (n, dimensions), and where
    each document's begin, shape (documents,); `headings`, shape (documents, dimensions), zeros where there is none. Where
    there are many vectors, `projections` holds them once more, shorter."""

    rows: Vectors
    starts: npt.NDArray[np.int64]
    headings: Headings
    projections: Projections | None = None


class SemanticIndex:
    """Vectors of documents that are known by a slot number, 0 upwards.

    A document without vectors (not embedded yet) takes a row of zeros, whose cosine with anything is 0.
    Not safe for use from several threads; the owner serialises.

    Args:
        dimensions: the length of a vector.
        frozen: the vectors of the first documents, whose slots come first.
    """

    def __init__(self, dimensions: int, frozen: FrozenVectors | None = None) -> None:
        self.dimensions = dimensions
        self._frozen = frozen
        self._first = len(frozen.starts) if frozen else 0
        self._sample = _Sample(frozen, frozen.projections) if frozen and frozen.projections else None
        self._rows = Column(np.float32, dimensions)
        self._starts = Column(np.int64)
        self._headings = Column(np.float16, dimensions)

    def add(self, slot: int, vectors: Vectors | None, heading: Vectors | None = None) -> None:
        """Add a document with its vectors, shape (n, dimensions), the whole text's first, and its heading's, shape
        (dimensions,), which is not searched."""
        if slot != self._first + len(self._starts):
            raise ValueError(f"slot {slot} is out of order; the next one is {self._first + len(self._starts)}")
        self._starts.append(len(self._rows))
        self._headings.append(np.zeros(self.dimensions) if heading is None else _sound(heading[None]))
        if vectors is None or not len(vectors):
            self._rows.extend(np.zeros((1, self.dimensions), dtype=np.float32))
        else:
            self._rows.extend(_sound(vectors))

    def scores(self, query: Vectors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Cosines of every slot with a unit query vector of shape (dimensions,): of the whole text, and the best
        of all its vectors. Both have shape (slots,); those of frozen slots are near the truth only, where `projects`."""
        scored = []
        if self._sample is not None:
            scored.append(self._sample.all_scores(query))
        elif self._frozen is not None:
            scored.append(_best(self._frozen.rows, self._frozen.starts, query))
        if len(self._starts):
            scored.append(_best(self._rows.view, self._starts.view, query))
        if not scored:
            nothing = np.zeros(0, dtype=np.float32)
            return nothing, nothing
        if len(scored) == 1:
            return scored[0]
        return np.concatenate([whole for whole, _ in scored]), np.concatenate([best for _, best in scored])

    @property
    def projects(self) -> bool:
        """Whether `scores` are approximate."""
        return self._sample is not None

    def exact(
        self, slots: npt.NDArray[np.intp], query: Vectors
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """As `scores`, of these slots (rising) alone, and exact."""
        split = int(np.searchsorted(slots, self._first))
        parts = []
        if self._frozen is not None and split:
            parts.append(_some(self._frozen.rows, self._frozen.starts, slots[:split], query))
        if split < len(slots):
            parts.append(_some(self._rows.view, self._starts.view, slots[split:] - self._first, query))
        nothing = np.zeros(0, dtype=np.float32)
        return (
            np.concatenate([nothing, *(whole for whole, _ in parts)]),
            np.concatenate([nothing, *(best for _, best in parts)]),
        )

    def wholes(self, slots: npt.NDArray[np.intp]) -> Vectors:
        """The vectors of the slots' whole texts, shape (slots, dimensions)."""
        found = np.empty((len(slots), self.dimensions), dtype=np.float32)
        added = slots >= self._first
        found[added] = self._rows.view[self._starts.view[slots[added] - self._first]]
        if self._frozen is not None:
            found[~added] = self._frozen.rows[self._frozen.starts[slots[~added]]]
        return _sound(found)

    def headings(self, slots: npt.NDArray[np.intp]) -> Vectors:
        """The vectors of the slots' headings, shape (slots, dimensions), zeros where there is none."""
        found = np.empty((len(slots), self.dimensions), dtype=np.float32)
        added = slots >= self._first
        found[added] = self._headings.view[slots[added] - self._first]
        if self._frozen is not None:
            found[~added] = self._frozen.headings[slots[~added]]
        return _sound(found)

    def freeze(self, kept: npt.NDArray[np.bool_], allocate: Allocate) -> FrozenVectors:
        """The vectors of the kept documents (shape (slots,)), in arrays that are made by `allocate`."""
        counts = np.concatenate([np.diff(starts, append=len(rows)) for rows, starts, _ in self._parts()])[kept]
        starts = np.cumsum(counts) - counts
        rows = allocate("rows", (int(counts.sum()), self.dimensions), np.float32)
        headings = allocate("headings", (len(counts), self.dimensions), np.float16)
        slot = row = document = 0
        for its_rows, its_starts, its_headings in self._parts():
            its_kept = kept[slot : slot + len(its_starts)]
            of_kept = np.repeat(its_kept, np.diff(its_starts, append=len(its_rows)))
            row = _copy(its_rows, of_kept, rows, row)
            document = _copy(its_headings, its_kept, headings, document)
            slot += len(its_starts)
        directions = min(PROJECTED[1], max(PROJECTED[0], _NUMBERS // max(1, len(rows))))
        projections = None
        if len(rows) >= PROJECTED_FROM and self.dimensions > directions:
            projections = _project(rows, starts, allocate("projected", (directions, len(rows)), np.float32))
        return FrozenVectors(rows, starts, headings, projections)

    def _parts(self) -> list[tuple[Vectors, npt.NDArray[np.int64], Headings]]:
        """The frozen and the added documents' rows, starts and headings."""
        parts = [(self._rows.view, self._starts.view, self._headings.view)]
        if self._frozen is not None:
            parts.insert(0, (self._frozen.rows, self._frozen.starts, self._frozen.headings))
        return parts


class _Sample:
    """Some frozen documents, whose exact cosines tell how far those of the projections lie from the truth on the whole:
    their spread is a tenth too small, and the fused score counts in spreads."""

    def __init__(self, frozen: FrozenVectors, projections: Projections) -> None:
        self._projections = projections
        self._slots = np.arange(0, len(frozen.starts), max(1, len(frozen.starts) // _SAMPLED))
        rows, self._starts = _rows_of(frozen.starts, len(frozen.rows), self._slots)
        self._rows = frozen.rows[rows]

    def all_scores(self, query: Vectors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Whole and best of all frozen documents, by their projections, with the mean and spread of the true ones."""
        true = _best(self._rows, self._starts, query)
        whole, best = self._projections.scores(query)
        self._correct(whole, true[0])
        self._correct(best, true[1])
        return whole, best

    def _correct(self, rough: npt.NDArray[np.float32], true: npt.NDArray[np.float32]) -> None:
        seen = rough[self._slots]
        stretch = float(true.std()) / (float(seen.std()) or 1.0)
        rough *= np.float32(stretch)
        rough += np.float32(true.mean() - stretch * seen.mean())


def _best(
    rows: Vectors, starts: npt.NDArray[np.int64], query: Vectors
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cosines of the documents of a matrix: of the first row of each, and the best of its rows."""
    with np.errstate(invalid="ignore", over="ignore"):
        cosines = _sane(rows @ query)
    if len(cosines) == len(starts):  # one vector each
        return cosines, cosines
    return cosines[starts], np.maximum.reduceat(cosines, starts)


def _sane(cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # Put so that NaN, which is neither more nor less, is caught, too; and without a copy of very many.
    if cosines.max(initial=0) <= _LONGEST and cosines.min(initial=0) >= -_LONGEST:
        return cosines
    return np.where(np.abs(cosines) <= _LONGEST, cosines, np.float32(0))


def _sound(vectors: Vectors) -> Vectors:
    """The vectors, shape (n, dimensions), with zeros for those that are none."""
    with np.errstate(invalid="ignore", over="ignore"):
        sound = np.einsum("ij,ij->i", vectors, vectors) <= _LONGEST**2
    return vectors if sound.all() else np.where(sound[:, None], vectors, np.float32(0))


def _rows_of(
    starts: npt.NDArray[np.int64], rows: int, slots: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows of these documents, of a matrix of so many, and where among them each document's begin."""
    last = slots == len(starts) - 1
    counts = np.where(last, rows, starts[np.where(last, slots, slots + 1)]) - starts[slots]
    before = np.cumsum(counts) - counts
    return np.repeat(starts[slots] - before, counts) + np.arange(int(counts.sum())), before


def _some(
    rows: Vectors, starts: npt.NDArray[np.int64], slots: npt.NDArray[np.intp], query: Vectors
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Whole and best cosine of these documents of the matrix."""
    wanted, its_starts = _rows_of(starts, len(rows), slots)
    return _best(rows[wanted], its_starts, query)


def _copy(rows: npt.NDArray[Any], chosen: npt.NDArray[np.bool_], target: npt.NDArray[Any], at: int) -> int:
    """Copy the chosen rows to the target from that row on; returns where they end."""
    for start in range(0, len(rows), _STEP):
        some = rows[start : start + _STEP][chosen[start : start + _STEP]]
        target[at : at + len(some)] = _sound(some.astype(np.float32, copy=False))
        at += len(some)
    return at


def _project(rows: Vectors, starts: npt.NDArray[np.int64], values: Vectors) -> Projections:
    """The projections of the documents' vectors, written into `values`, shape (directions, n)."""
    directions = _directions(rows[:: max(1, len(rows) // _SAMPLE)], len(values))
    begins = np.zeros(len(rows), dtype=np.bool_)
    begins[starts] = True
    ends = [0, len(starts)]  # of what is written of the whole texts, and of the others
    for start in range(0, len(rows), _STEP):
        projected = (rows[start : start + _STEP] @ directions).T
        first = begins[start : start + _STEP]
        for place, its in enumerate((projected[:, first], projected[:, ~first])):
            values[:, ends[place] : ends[place] + its.shape[1]] = its
            ends[place] += its.shape[1]
    owners = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(starts, append=len(rows)) - 1)
    return Projections(values, owners, directions)


def _directions(sample: Vectors, count: int) -> Vectors:
    """The `count` directions, shape (dimensions, count), that keep most of the vectors' lengths."""
    _, vectors = np.linalg.eigh(sample.T @ sample)  # by rising eigenvalue
    directions: Vectors = np.ascontiguousarray(vectors[:, ::-1][:, :count], dtype=np.float32)
    return directions
