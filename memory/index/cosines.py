"""Cosines of documents that have one vector or several, which lie in one matrix, a document's rows side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..ports import Vectors

Starts = npt.NDArray[np.int64]
"""Where each document's rows begin, shape (documents,)."""

Cosines = npt.NDArray[np.float32]
WholeAndBest = tuple[Cosines, Cosines]
"""The cosine of each document's first vector, which is that of its whole text, and the best of all its vectors."""

Measure = Callable[[Vectors, Starts, Vectors], WholeAndBest]
"""How documents are compared with a query, as `of_all` does."""

LONGEST = 1.01
"""The length of a unit vector, and the size of a cosine, with room for rounding. What is beyond it, infinite or no number
comes from a damaged file (the matrix bears no checksum) and counts as 0, or one such row would move the mean and spread
that put all scores on one scale."""


def of_all(rows: Vectors, starts: Starts, query: Vectors) -> WholeAndBest:
    """The documents' cosines with a query of shape (dimensions,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        cosines = sane(rows @ query)
    if len(cosines) == len(starts):  # one vector each
        return cosines, cosines
    whole = cosines[starts]
    best = whole.copy()
    np.maximum.at(best, np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows))), cosines)
    return whole, best


def of_some(
    rows: Vectors, starts: Starts, slots: npt.NDArray[np.intp], query: Vectors, measure: Measure = of_all
) -> WholeAndBest:
    """Those of these documents alone."""
    wanted, its_starts = rows_of(starts, len(rows), slots)
    return measure(rows.take(wanted, axis=0), its_starts, query)  # half the time of rows[wanted]


def rows_of(starts: Starts, rows: int, slots: npt.NDArray[np.intp]) -> tuple[Starts, Starts]:
    """The rows of these documents, of a matrix of so many, and where among them each document's begin."""
    last = slots == len(starts) - 1
    counts = np.where(last, rows, starts[np.where(last, slots, slots + 1)]) - starts[slots]
    before = np.cumsum(counts) - counts
    return np.repeat(starts[slots] - before, counts) + np.arange(int(counts.sum())), before


def sane(cosines: Cosines) -> Cosines:
    """The cosines, with zeros for those that are none."""
    # Put so that NaN, which is neither more nor less, is caught, too; and without a copy of very many.
    if cosines.max(initial=0) <= LONGEST and cosines.min(initial=0) >= -LONGEST:
        return cosines
    return np.where(np.abs(cosines) <= LONGEST, cosines, np.float32(0))


def sound(vectors: Vectors) -> Vectors:
    """The vectors, shape (n, dimensions), with zeros for those that are none."""
    with np.errstate(invalid="ignore", over="ignore"):
        are = np.einsum("ij,ij->i", vectors, vectors) <= LONGEST**2
    return vectors if are.all() else np.where(are[:, None], vectors, np.float32(0))
