"""The semantic arm: cosine similarity over every vector of every document.

A document has one vector of its whole text, then one for each chunk of a long text and one for its resolution. All
of them lie in one matrix, a document's rows side by side, so a search is one product and a maximum over each document.
In a large memory the product is with shorter vectors first (`projections`), and exact where it counts, which gives the
same first hits: `bench/README.md` has the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..ports import Vectors
from .columns import Column
from .cosines import Measure, Starts, WholeAndBest, of_all, of_some, sound
from .projections import Allocate, Projections, Rough, project

EXACT = 500, 1000
"""The best documents whose cosines are computed exactly, where all are taken roughly first: a hundredth of the memory, but
not fewer nor more than these."""

_STEP = 1 << 16
"""Vectors that are copied at a time: a copy of the whole matrix would double the memory."""

Headings = npt.NDArray[np.float16]
"""Vectors that are compared and not searched: a cosine is right to 0.0002."""


@dataclass(frozen=True, slots=True)
class FrozenVectors:
    """The vectors of many documents, which may lie in a memory-mapped file: `rows`, shape (n, dimensions), and where
    each document's begin; `headings`, shape (documents, dimensions), zeros where there is none. Where there are many
    vectors, `projections` holds them once more, shorter."""

    rows: Vectors
    starts: Starts
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
        self._rough = None
        if frozen is not None and frozen.projections is not None:
            self._rough = Rough(frozen.rows, frozen.starts, frozen.projections)
        self._rows = Column(np.float32, dimensions)
        self._starts = Column(np.int64)
        self._headings = Column(np.float16, dimensions)

    def add(self, slot: int, vectors: Vectors | None, heading: Vectors | None = None) -> None:
        """Add a document with its vectors, shape (n, dimensions), the whole text's first, and its heading's, shape
        (dimensions,), which is not searched."""
        if slot != self._first + len(self._starts):
            raise ValueError(f"slot {slot} is out of order; the next one is {self._first + len(self._starts)}")
        self._starts.append(len(self._rows))
        self._headings.append(np.zeros(self.dimensions) if heading is None else sound(heading[None]))
        if vectors is None or not len(vectors):
            self._rows.extend(np.zeros((1, self.dimensions), dtype=np.float32))
        else:
            self._rows.extend(sound(vectors))

    def scores(self, query: Vectors) -> WholeAndBest:
        """Cosines of every slot with a unit query vector of shape (dimensions,): of the whole text, and the best
        of all its vectors. Both have shape (slots,); where there is a `look` to be had, they are near the truth only."""
        scored = []
        if self._rough is not None:
            scored.append(self._rough.scores(query))
        elif self._frozen is not None:
            scored.append(of_all(self._frozen.rows, self._frozen.starts, query))
        if len(self._starts) or not scored:
            scored.append(of_all(self._rows.view, self._starts.view, query))
        return scored[0] if len(scored) == 1 else _joined(*scored)

    def look(self) -> int | None:
        """At how many of the best documents the `exact` cosines have to be looked at, where the `scores` are rough; else None."""
        if self._rough is None:
            return None
        least, most = EXACT
        return max(least, min(most, (self._first + len(self._starts)) // 100))

    def exact(self, slots: npt.NDArray[np.intp], query: Vectors, measure: Measure = of_all) -> WholeAndBest:
        """As `scores`, of these slots (rising) alone, and exact; by another `measure` than the cosine, where one is given."""
        if (frozen := self._frozen) is None:
            return of_some(self._rows.view, self._starts.view, slots, query, measure)
        split = int(np.searchsorted(slots, self._first))
        added = of_some(self._rows.view, self._starts.view, slots[split:] - self._first, query, measure)
        return _joined(of_some(frozen.rows, frozen.starts, slots[:split], query, measure), added)

    def wholes(self, slots: npt.NDArray[np.intp]) -> Vectors:
        """The vectors of the slots' whole texts, shape (slots, dimensions)."""
        return self._picked(slots, lambda its, rows, starts, _: rows[starts[its]])

    def headings(self, slots: npt.NDArray[np.intp]) -> Vectors:
        """The vectors of the slots' headings, shape (slots, dimensions), zeros where there is none."""
        return self._picked(slots, lambda its, _, __, headings: headings[its])

    def _picked(self, slots: npt.NDArray[np.intp], pick: Callable[..., npt.NDArray[Any]]) -> Vectors:
        """A vector of each slot, shape (slots, dimensions): what `pick` takes for a part's slots from its `_parts`."""
        found = np.empty((len(slots), self.dimensions), dtype=np.float32)
        first = 0
        for part in self._parts():
            its = (slots >= first) & (slots < first + len(part[1]))
            found[its] = pick(slots[its] - first, *part)
            first += len(part[1])
        return sound(found)

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
        return FrozenVectors(rows, starts, headings, project(rows, starts, allocate))

    def _parts(self) -> list[tuple[Vectors, Starts, Headings]]:
        """The frozen and the added documents' rows, starts and headings."""
        parts = [(self._rows.view, self._starts.view, self._headings.view)]
        if self._frozen is not None:
            parts.insert(0, (self._frozen.rows, self._frozen.starts, self._frozen.headings))
        return parts


def _joined(one: WholeAndBest, other: WholeAndBest) -> WholeAndBest:
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])


def _copy(rows: npt.NDArray[Any], chosen: npt.NDArray[np.bool_], target: npt.NDArray[Any], at: int) -> int:
    """Copy the chosen rows to the target from that row on; returns where they end."""
    for start in range(0, len(rows), _STEP):
        some = rows[start : start + _STEP][chosen[start : start + _STEP]]
        target[at : at + len(some)] = sound(some.astype(np.float32, copy=False))
        at += len(some)
    return at
