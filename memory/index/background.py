"""How common words are in incident reports at large.

What a term says depends on how rare it is, and a memory of ten incidents cannot tell: there, `fail` and `inotify` are
each held by one of ten. So a table of how many public incident reports hold a word (`words.tsv`, written by
`bench/words.py`) counts as STRENGTH incidents more. In a memory of thousands it says nothing any more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .runs import Runs, runs
from .tokens import terms

Number = TypeVar("Number", float, npt.NDArray[np.float64])

WORDS = Path(__file__).with_name("words.tsv")

STRENGTH = 200
"""The incidents of one's own that count as much as the table. Measured, 50 to 300 differ by the luck of a query or two; with 200,
p moves less as a memory grows than with 100 (`bench/README.md`)."""

_RARE_TERM, RARE_RUN = 0.0005, 0.002
"""The shares of reports that hold a term, or a run of four characters, which no word of the table has."""

SCALE = 300
"""The incidents of a memory in which `rarity` is counted, whatever the size of the real one: what is held by fewer
than one of them is as rare as anything."""


@dataclass(frozen=True, slots=True)
class Background:
    """The shares of incident reports that hold a term, and that hold a run of four characters, by the table's words.
    `known` are the runs that these have, rising."""

    known: Runs
    _terms: Mapping[str, float]
    _shares: npt.NDArray[np.float64]  # of `known`

    def term(self, term: str) -> float:
        """The share of reports that hold the term."""
        return self._terms.get(term, _RARE_TERM)

    def runs(self, wanted: Runs) -> npt.NDArray[np.float64]:
        """The share of reports that hold each run, shape of `wanted`."""
        at = self.known.searchsorted(wanted)
        held = self.known.take(at, mode="clip") == wanted
        return np.where(held, self._shares.take(at, mode="clip"), RARE_RUN)


@cache
def background() -> Background:
    """The table, read once.

    A report holds a term when it holds one of the term's words, a run when it holds a word with that run in it, or two
    words side by side that make it. Taken as independent, with λ = −ln(1 − share) of each word as its rate, the rates add.
    """
    rates = _rates()
    of_terms: defaultdict[str, float] = defaultdict(float)
    of_runs: defaultdict[int, float] = defaultdict(float)
    for word, rate in rates.items():
        for term in set(terms(word)):
            of_terms[term] += rate
        for run in set(runs(word).tolist()[:-1]):  # the last one is the end of a text
            of_runs[run] += rate
    total = sum(rates.values())
    for longest_end in (1, 2):  # of "d t" and so on: two characters before the space and one after it, and the reverse
        ends, starts = _rates_by_edge(rates, longest_end, 3 - longest_end)
        for end, rate in ends.items():
            for start, other in starts.items():
                of_runs[int.from_bytes(end + b" " + start, "little")] += rate * other / total
    order = sorted(of_runs)
    shares = -np.expm1(-np.array([of_runs[run] for run in order]))
    return Background(
        np.array(order, dtype=np.uint32),
        {term: -math.expm1(-rate) for term, rate in of_terms.items()},
        np.maximum(shares, RARE_RUN),
    )


def _rates() -> dict[str, float]:
    lines = WORDS.read_text(encoding="utf-8").splitlines()[1:]  # the first one says where it comes from
    return {word: -math.log1p(-float(share)) for word, _, share in (line.partition("\t") for line in lines)}


def _rates_by_edge(rates: Mapping[str, float], end: int, start: int) -> tuple[dict[bytes, float], dict[bytes, float]]:
    """The rates of words by their last `end` and first `start` bytes; a shorter word brings the space beside it."""
    ends: defaultdict[bytes, float] = defaultdict(float)
    starts: defaultdict[bytes, float] = defaultdict(float)
    for word, rate in rates.items():
        letters = b" %s " % word.encode()
        ends[letters[-1 - end : -1]] += rate
        starts[letters[1 : 1 + start]] += rate
    return ends, starts


def rarity(holding: Number, documents: int, share: Number) -> Number:
    """How telling it is that a text holds something, in nats, on a scale that does not depend on the size of the memory.

    Args:
        holding: how many of the memory's documents hold it.
        documents: how many there are.
        share: the share of incident reports at large that hold it, 0 to 1.
    """
    rate = (holding + STRENGTH * share) / (documents + STRENGTH)
    return np.log1p((SCALE * (1 - rate) + 0.5) / (SCALE * rate + 0.5))  # type: ignore[no-any-return]


@lru_cache(maxsize=20_000)
def telling_at_large(term: str) -> float:
    """How telling it is that a text holds a term, in nats, by incident reports at large alone."""
    return float(rarity(0.0, 0, background().term(term)))
