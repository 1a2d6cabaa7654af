"""Cosines after whitening, which tell a likeness in kind from a likeness in what happened.

Texts about incidents lie close together in a model's space: in a few directions they all vary (status updates or runbooks,
databases or networks), in most hardly at all, and a cosine is mostly those few. Whitening takes away their mean and scales each
direction to the same variance (Su et al. 2021, arXiv:2103.15316), so that the others tell as much. It was measured
(`bench/README.md`): a document that stands out by a whitened cosine is more often the right one. It does not find more than the
plain cosine beside the words do, and it tells short reports apart worse, so documents are judged by it, and that is all.

`bench/whitening.py` writes the figures, one file for each model's weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..ports import Vectors
from .cosines import Starts, WholeAndBest, of_all, sound

_WEIGHTS = re.compile(r"@([0-9a-f]{16})(?![0-9a-f])")
"""Where a model's identity names its weights."""


@dataclass(frozen=True, slots=True)
class Whitening:
    """The mean of the vectors of public incident reports, shape (dimensions,), and the matrix that gives what is left of a vector
    the same variance in all directions, shape (dimensions, dimensions)."""

    mean: Vectors
    matrix: Vectors

    def of_all(self, rows: Vectors, starts: Starts, query: Vectors) -> WholeAndBest:
        """As `cosines.of_all`, after whitening. A row of zeros, which is no vector, has the cosine 0."""
        return of_all(self._of(rows), starts, self._of(query[None])[0])

    def _of(self, vectors: Vectors) -> Vectors:
        vectors = sound(vectors)
        found: Vectors = ((vectors - self.mean) @ self.matrix).astype(np.float32, copy=False)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-6))
        found[~vectors.any(axis=1)] = 0
        return found


def file_of(model: str) -> Path | None:
    """Where the figures stand for a model of that identity, None where it does not name its weights."""
    weights = _WEIGHTS.search(model)
    return Path(__file__).with_name(f"whitening-{weights[1]}.npy") if weights else None


@cache
def whitening(model: str | None) -> Whitening | None:
    """The whitening for a model of that identity; None where there is none, as for a model of one's own."""
    file = file_of(model) if model else None
    if file is None or not file.exists():
        return None
    stored = np.load(file).astype(np.float32)
    return Whitening(stored[0], stored[1:])
