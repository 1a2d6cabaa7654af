"""The close look at the first hits of a query: what is too dear to ask of every document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..ports import StoredVectors, Vectors
from .fields import heading, heading_vector, weighted_texts
from .grams import Grams
from .passage import best_passage
from .tokens import terms

PASSAGE, OPENING = 60, 25
"""Terms of a passage that is searched for the whole query (a paragraph or two), and for its opening (a sentence or two);
measured, half and double of either rank answers no better."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_LEAST_OPENING = 12
"""Characters of an opening: a shorter first line ("FIRING:", "P1") says nothing."""


@dataclass(frozen=True, slots=True)
class Closeness:
    """How near a document comes to a query, looked at closely; 0 to 1 each, what is rare weighs more.

    `letters` is the share of the query's letters (runs of four) that the document holds, `heading` the share of its
    heading's that the query holds, `passage` the share of the query's words in the document's best passage, `opening`
    the same for the query's first sentence. `title` is the cosine of the query and the heading, −1 to 1, None without
    vectors.
    """

    letters: float = 0.0
    heading: float = 0.0
    passage: float = 0.0
    opening: float = 0.0
    title: float | None = None


def look_closely(
    query: str, vector: Vectors | None, telling: Mapping[str, float], grams: Grams, found: Sequence[StoredVectors]
) -> tuple[npt.NDArray[np.float32], list[Closeness]]:
    """Compare a query with a few documents.

    Args:
        query: its text.
        vector: its embedding, None without a model.
        telling: how telling each of its terms is, in nats.
        grams: the statistics for comparing letters.
        found: the documents.

    Returns:
        Likeness by letters in standard deviations, never negative, shape (documents,); and each document's closeness.
    """
    incidents = [stored.incident for stored in found]
    alike = grams.compare(query, [weighted_texts(i) for i in incidents], [heading(i) for i in incidents])
    first = set(terms(opening(query)))
    telling_first = {term: weight for term, weight in telling.items() if term in first}
    looks = []
    for place, stored in enumerate(found):
        its_heading = None if stored.vectors is None else heading_vector(stored.vectors)
        looks.append(
            Closeness(
                letters=float(alike.coverage[place]),
                heading=float(alike.headings[place]),
                passage=best_passage(telling, stored.incident.text, PASSAGE),
                opening=best_passage(telling_first, stored.incident.text, OPENING),
                title=None if vector is None or its_heading is None else float(its_heading @ vector),
            )
        )
    return alike.scores, looks


def opening(text: str) -> str:
    """The first sentence or line of a text that says something, all of it where none does."""
    return next((part for part in _SENTENCE.split(text) if len(part.strip()) > _LEAST_OPENING), text)
