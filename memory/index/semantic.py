"""The semantic arm: cosine similarity over every vector of every document.

A document has one vector of its whole text, then one for each chunk of a long text and one for its resolution. All
of them lie in one matrix, a document's rows side by side, so a search is one product and one segmented maximum.

That product takes as long as the matrix takes to read. So beside a large frozen matrix lies a quarter of it, the
vectors' projections on the directions in which they differ most. All documents are scored by those, and the best some
thousand are scored exactly (`exact`), which gives the same first hits: `bench/README.md` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..ports import Vectors
from .columns import Column

PROJECTED_FROM = 15_000
"""Vectors from which on a product with all of them takes longer than a millisecond or two."""

PROJECTED = 96
"""Directions that are kept of the model's 384."""

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


@dataclass(frozen=True, slots=True)
class FrozenVectors:
    """The vectors of many documents, which may lie in a memory-mapped file: `rows`, shape (n, dimensions), and where
    each document's begin, shape (documents,). Where there are many, `projected`, shape (n, PROJECTED), is
    rows @ `directions`, shape (dimensions, PROJECTED)."""

    rows: Vectors
    starts: npt.NDArray[np.int64]
    projected: Vectors | None = None
    directions: Vectors | None = None


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
        self._sample = _Sample(frozen) if frozen is not None and frozen.projected is not None else None
        self._rows = Column(np.float32, dimensions)
        self._starts = Column(np.int64)

    def add(self, slot: int, vectors: Vectors | None) -> None:
        """Add a document with its vectors, shape (n, dimensions), the whole text's first."""
        if slot != self._first + len(self._starts):
            raise ValueError(f"slot {slot} is out of order; the next one is {self._first + len(self._starts)}")
        self._starts.append(len(self._rows))
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

    def freeze(
        self, kept: npt.NDArray[np.bool_], rows: Vectors | None = None, projected: Vectors | None = None
    ) -> FrozenVectors:
        """The vectors of the kept documents (shape (slots,)). They are written into `rows`, shape
        (`rows_of(kept)`, dimensions), where that is given, as it is where it lies in a file, and their projections into
        `projected`."""
        target = np.empty((self.rows_of(kept), self.dimensions), dtype=np.float32) if rows is None else rows
        starts: list[npt.NDArray[np.int64]] = []
        filled, slot = 0, 0
        for part, counts in self._parts():
            its_kept = kept[slot : slot + len(counts)]
            of_kept = np.repeat(its_kept, counts)
            size = int(of_kept.sum())
            written = filled
            for start in range(0, len(part), _STEP):
                some = part[start : start + _STEP][of_kept[start : start + _STEP]]
                target[written : written + len(some)] = _sound(some)
                written += len(some)
            its_counts = counts[its_kept]
            starts.append(filled + np.cumsum(its_counts) - its_counts)
            filled += size
            slot += len(counts)
        directions = None
        if projected is not None:
            directions = _directions(target[:: max(1, len(target) // _SAMPLE)])
            for start in range(0, len(target), _STEP):
                projected[start : start + _STEP] = target[start : start + _STEP] @ directions
        return FrozenVectors(target, np.concatenate([np.zeros(0, np.int64), *starts]), projected, directions)

    def rows_of(self, kept: npt.NDArray[np.bool_]) -> int:
        """How many vectors the kept documents have together."""
        slot = total = 0
        for _, counts in self._parts():
            total += int(counts[kept[slot : slot + len(counts)]].sum())
            slot += len(counts)
        return total

    def _parts(self) -> list[tuple[Vectors, npt.NDArray[np.int64]]]:
        """The matrices, each with the number of rows of its documents."""
        parts = [(self._rows.view, np.diff(np.append(self._starts.view, len(self._rows))))]
        if self._frozen is not None:
            counts = np.diff(np.append(self._frozen.starts, len(self._frozen.rows)))
            parts.insert(0, (self._frozen.rows, counts))
        return parts


class _Sample:
    """Some frozen documents, whose exact cosines tell how far those of the projections lie from the truth on the whole:
    their spread is a tenth too small, and the fused score counts in spreads."""

    def __init__(self, frozen: FrozenVectors) -> None:
        assert frozen.projected is not None
        assert frozen.directions is not None
        self._projected, self._directions, self._starts = frozen.projected, frozen.directions, frozen.starts
        self._slots = np.arange(0, len(frozen.starts), max(1, len(frozen.starts) // _SAMPLED))
        rows, self._sample_starts = _rows_of(frozen.starts, len(frozen.rows), self._slots)
        self._rows = frozen.rows[rows]

    def all_scores(self, query: Vectors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Whole and best of all frozen documents, by their projections, with the mean and spread of the true ones."""
        rough = _best(self._projected, self._starts, query @ self._directions)
        true = _best(self._rows, self._sample_starts, query)
        whole, best = (self._corrected(*pair) for pair in zip(rough, true, strict=True))
        return whole, best

    def _corrected(self, rough: npt.NDArray[np.float32], true: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        seen = rough[self._slots]
        stretch = float(true.std()) / (float(seen.std()) or 1.0)
        corrected: npt.NDArray[np.float32] = rough * np.float32(stretch)
        corrected += np.float32(true.mean() - stretch * seen.mean())
        return corrected


def _best(
    rows: Vectors, starts: npt.NDArray[np.int64], query: Vectors
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cosines of the documents of a matrix: of the first row of each, and the best of its rows."""
    with np.errstate(invalid="ignore", over="ignore"):
        cosines = rows @ query
    # Put so that NaN, which is neither more nor less, is caught, too; and without a copy of very many.
    if not (cosines.max(initial=0) <= _LONGEST and cosines.min(initial=0) >= -_LONGEST):
        cosines = np.where(np.abs(cosines) <= _LONGEST, cosines, np.float32(0))
    if len(cosines) == len(starts):  # one vector each
        return cosines, cosines
    return cosines[starts], np.maximum.reduceat(cosines, starts)


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


def _directions(sample: Vectors) -> Vectors:
    """The PROJECTED directions, shape (dimensions, PROJECTED), that keep most of the vectors' lengths."""
    _, vectors = np.linalg.eigh(sample.T @ sample)  # by rising eigenvalue
    directions: Vectors = np.ascontiguousarray(vectors[:, ::-1][:, :PROJECTED], dtype=np.float32)
    return directions
