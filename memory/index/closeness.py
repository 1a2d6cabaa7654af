"""The close look at the first hits of a query: what is too dear to ask of every document."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .grams import Grams
from .passage import best_passage
from .readings import Reading
from .tokens import terms

OPENING = 25
"""Terms of a passage that is searched for a query's opening (a sentence or two); measured, half and double of it rank
answers no better."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_LEAST_OPENING = 12
"""Characters of an opening: a shorter first line ("FIRING:", "P1") says nothing."""

ENOUGH = 10.0
"""Nats that a first sentence has to say before what it shares with a document counts in full: two or three rare words. What
says less ("deploy failed", "postgres problem") stands in records of anything. Measured, 7 and 10 tie, 15 loses."""

_LONGEST_LINE = 300
"""Characters of a first line that are read for names: a query may be one long line."""


@dataclass(frozen=True, slots=True)
class Closeness:
    """How near a document comes to a query, looked at closely; 0 to 1 each, what is rare weighs more.

    `letters` is the share of the query's letters (runs of four) that the document holds, `heading` the share of its
    heading's that the query holds, `opening` the share of the words of the query's first sentence in the document's best
    passage, and less where that sentence says less than ENOUGH. `title` is the cosine of that sentence and the heading, −1 to
    1, None without vectors.

    Two incidents of one service share its name, the product's, and the form of a title, whatever broke. `beyond` leaves out
    the words of the query's first line and sentence that stand in the document's heading or service: it is what the two share
    of their other words, the document's cause included, over the geometric mean of what either says, so that neither a
    talkative query nor a long document makes much of it, and less where one says less than ENOUGH. `rest` is the
    cosine of the query and what the document says beyond its heading, −1 to 1, None without vectors.
    """

    letters: float = 0.0
    heading: float = 0.0
    opening: float = 0.0
    title: float | None = None
    beyond: float = 0.0
    rest: float | None = None


class CloseLook:
    """A comparison of a query with a few documents.

    Args:
        query: its text.
        telling: how telling each of its terms is, in nats.
        grams: the statistics for comparing letters.
        documents: what they say.
        titles: the cosine of the query's first sentence and each one's heading, None without vectors.
        rests: the cosine of the query and what each one says beyond its heading, None without vectors.
    """

    def __init__(
        self,
        query: str,
        telling: Mapping[str, float],
        grams: Grams,
        documents: Sequence[Reading],
        titles: Sequence[float | None],
        rests: Sequence[float | None],
    ) -> None:
        self._alike = grams.compare(query, [its.texts for its in documents], [its.heading for its in documents])
        self._documents, self._titles, self._rests = documents, titles, rests
        self._telling, self._told = telling, sum(telling.values())
        words = [its for word in opening(query).split() if (its := terms(word))]
        self._opening = {term: telling[term] for its in words for term in its if term in telling}
        self._first_line = {*self._opening, *terms(query.split("\n", 1)[0][:_LONGEST_LINE])}
        # The terms of one word (`eu-west-1` and its parts) say as much as one.
        told = sum(sum(telling.get(term, 0.0) for term in its) / len(its) for its in words)
        self._said = min(1.0, told / ENOUGH)

    @property
    def likeness(self) -> npt.NDArray[np.float32]:
        """Likeness by letters in standard deviations, never negative, shape (documents,)."""
        return self._alike.scores

    def at(self, place: int) -> Closeness:
        """How near the document at that place comes."""
        return Closeness(
            letters=float(self._alike.coverage[place]),
            heading=float(self._alike.headings[place]),
            opening=self._said * best_passage(self._opening, self._documents[place].terms, OPENING),
            title=self._titles[place],
            beyond=self._beyond(self._documents[place]),
            rest=self._rests[place],
        )

    def _beyond(self, document: Reading) -> float:
        names = self._first_line & document.names
        shared = self._telling.keys() & document.vocabulary - names
        # Exact sums, since a set has no order.
        held = math.fsum(self._telling[term] for term in shared)
        asked = self._told - math.fsum(self._telling.get(term, 0.0) for term in names)
        said = document.told - math.fsum(document.telling.get(term, 0.0) for term in names)
        return min(1.0, held / math.sqrt(max(asked, ENOUGH) * max(said, ENOUGH)))


def opening(text: str) -> str:
    """The first sentence or line of a text that says something, all of it where none does."""
    return next((part for part in _SENTENCE.split(text) if len(part.strip()) > _LEAST_OPENING), text)
