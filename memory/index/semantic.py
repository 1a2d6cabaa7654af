"""The semantic arm: exact cosine similarity over every vector of every document.

A document has one vector of its whole text, then one for each chunk of a long text and one for its resolution. All
of them lie in one matrix, a document's rows side by side, so a search is one product and one segmented maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..ports import Vectors
from .columns import Column


@dataclass(frozen=True, slots=True)
class FrozenVectors:
    """The vectors of many documents, which may lie in a memory-mapped file: `rows`, shape (n, dimensions), and where
    each document's begin, shape (documents,)."""

    rows: Vectors
    starts: npt.NDArray[np.int64]


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
            self._rows.extend(vectors)

    def scores(self, query: Vectors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Cosines of every slot with a unit query vector of shape (dimensions,): of the whole text, and the best
        of all its vectors. Both have shape (slots,)."""
        parts = [(self._rows.view, self._starts.view)]
        if self._frozen is not None:
            parts.insert(0, (self._frozen.rows, self._frozen.starts))
        scored = [_best(rows @ query, starts) for rows, starts in parts if len(starts)]
        if not scored:
            nothing = np.zeros(0, dtype=np.float32)
            return nothing, nothing
        if len(scored) == 1:
            return scored[0]
        return np.concatenate([whole for whole, _ in scored]), np.concatenate([best for _, best in scored])

    def whole(self, slot: int) -> Vectors:
        """The vector of the slot's whole text, shape (dimensions,)."""
        if slot < self._first and self._frozen is not None:
            rows, starts = self._frozen.rows, self._frozen.starts
        else:
            rows, starts, slot = self._rows.view, self._starts.view, slot - self._first
        vector: Vectors = rows[starts[slot]]
        return vector

    def freeze(self, kept: npt.NDArray[np.bool_], rows: npt.NDArray[np.float32] | None = None) -> FrozenVectors:
        """The vectors of the kept documents (shape (slots,)). They are written into `rows`, shape
        (`rows_of(kept)`, dimensions), where that is given, as it is where it lies in a file."""
        target = np.empty((self.rows_of(kept), self.dimensions), dtype=np.float32) if rows is None else rows
        starts: list[npt.NDArray[np.int64]] = []
        filled, slot = 0, 0
        for part, counts in self._parts():
            its_kept = kept[slot : slot + len(counts)]
            of_kept = np.repeat(its_kept, counts)
            size = int(of_kept.sum())
            step = 1 << 16  # a copy of the whole matrix would double the memory
            written = filled
            for start in range(0, len(part), step):
                some = part[start : start + step][of_kept[start : start + step]]
                target[written : written + len(some)] = some
                written += len(some)
            its_counts = counts[its_kept]
            starts.append(filled + np.cumsum(its_counts) - its_counts)
            filled += size
            slot += len(counts)
        return FrozenVectors(target, np.concatenate([np.zeros(0, np.int64), *starts]))

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


def _best(
    cosines: npt.NDArray[np.float32], starts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    if len(cosines) == len(starts):  # one vector each
        return cosines, cosines
    return cosines[starts], np.maximum.reduceat(cosines, starts)
