"""What the first hits of a query have over their rivals: another of them that is another problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .causes import are_same, terms_of_cause, type_of_cause
from .incident import normalise
from .recall import Hit

FIRST = 12
"""The first hits, among which a match has its rivals."""

SIBLINGS = 0.8
"""Cosine of the whole texts from which two hits are accounts of one problem; measured, 0.8 and 0.9 tie, 0.7 loses."""

Figures = npt.NDArray[np.float64]


def leads(hits: Sequence[Hit], figures: Figures, noise: Figures) -> Figures:
    """What each hit's figures have over those of its best rival, or over the noise where the rivals are below it.

    Args:
        hits: the hits of one query, best first.
        figures: in how far each hit comes near, in several ways, shape (ways, hits); NaN where it has no such figure.
        noise: what the best of unrelated incidents reaches in each way, shape (ways,).

    Returns:
        shape (ways, hits); NaN where the hit has no such figure.
    """
    first = min(FIRST, len(hits))
    theirs = np.nan_to_num(figures[:, None, :first], nan=0.0)
    rivals = np.where(_rivals(hits, first), theirs, 0.0).max(axis=2, initial=0.0)
    found: Figures = figures - np.maximum(noise[:, None], rivals)
    return found


def _rivals(hits: Sequence[Hit], first: int) -> npt.NDArray[np.bool_]:
    """Whether each of the `first` hits is another problem than each hit, shape (hits, first)."""
    alike = np.eye(len(hits), first, dtype=np.bool_)
    with_vector = [place for place, hit in enumerate(hits) if hit.vector is not None]
    if with_vector:
        vectors = np.stack([hits[place].vector for place in with_vector])  # type: ignore[misc] # none of them is None
        among = [place for place in with_vector if place < first]
        alike[np.ix_(with_vector, among)] |= vectors @ vectors[: len(among)].T >= SIBLINGS
    if len(with_vector) < len(hits):  # equal texts have equal vectors, where there are any
        texts = np.array([hash(normalise(hit.incident.text)) for hit in hits])
        alike |= texts[:, None] == texts[:first]
    causes = [(type_of_cause(hit.incident), terms_of_cause(hit.incident)) for hit in hits]
    for place, its in enumerate(causes):
        for other in range(min(place, first)):
            if are_same(its, causes[other]):
                alike[place, other] = True
                if place < first:
                    alike[other, place] = True
    return ~alike
