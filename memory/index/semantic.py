"""The semantic arm: exact cosine similarity over every vector of every document.

A document has one vector of its whole text, then one for each chunk of a long text and one for its resolution. All
of them lie in one matrix, a document's rows side by side, so a search is one product and one segmented maximum.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..ports import Vectors
from .columns import Column


class SemanticIndex:
    """Vectors of documents that are known by a slot number, 0 upwards.

    A document without vectors (not embedded yet) takes a row of zeros, whose cosine with anything is 0.
    Not safe for use from several threads; the owner serialises.
    """

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._rows = Column(np.float32, dimensions)
        self._starts = Column(np.int64)

    def add(self, slot: int, vectors: Vectors | None) -> None:
        """Add a document with its vectors, shape (n, dimensions), the whole text's first."""
        if slot != len(self._starts):
            raise ValueError(f"slot {slot} is out of order; the next one is {len(self._starts)}")
        self._starts.append(len(self._rows))
        if vectors is None or not len(vectors):
            self._rows.extend(np.zeros((1, self.dimensions), dtype=np.float32))
        else:
            self._rows.extend(vectors)

    def scores(self, query: Vectors) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Cosines of every slot with a unit query vector of shape (dimensions,): of the whole text, and the best
        of all its vectors. Both have shape (slots,)."""
        if not len(self._starts):
            nothing = np.zeros(0, dtype=np.float32)
            return nothing, nothing
        cosines = self._rows.view @ query
        starts = self._starts.view
        return cosines[starts], np.maximum.reduceat(cosines, starts)
