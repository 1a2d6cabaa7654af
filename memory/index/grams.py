"""Likeness letter by letter: how many of a query's runs of four characters a text holds, spaces included.

Words that a stemmer keeps apart often share most of their letters (`failover`, `failing over`), and a run that spans
two words holds a bit of their order. It costs too much for every document, so it is asked of the few that the other
arms put first. See `bench/README.md` for what it gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .background import RARE_RUN, background, rarity
from .runs import Runs, runs

Texts = Mapping[str, float]
"""The texts of a document, each with its weight."""

SAMPLE = 300
"""Documents that tell the common runs from the rare ones, and how much their scores vary; all of them rank no better."""

_K1, _B, _IDF_POWER = 1.2, 0.5, 1.5
_PRIOR_STRENGTH, _PRIOR_SPREAD = 20, 0.045
"""As in `recall`: a standard deviation of a few documents is drawn towards a typical one."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike a query and each document are, shape (documents,) each.

    `scores` is BM25 over runs, in standard deviations of what the documents of the sample score; `coverage` the share
    of the query's runs that the document holds, `headings` the share of the heading's runs that the query holds, the
    rare ones weighing more, both 0 to 1.
    """

    scores: npt.NDArray[np.float32]
    coverage: npt.NDArray[np.float32]
    headings: npt.NDArray[np.float32]


class Grams:
    """Scores documents by the runs that they share with a query, with statistics from a sample of documents."""

    def __init__(self, sample: Sequence[Texts]) -> None:
        self.documents = len(sample)
        counted = [_counted(texts) for texts in sample]
        lengths = np.array([length for _, _, length in counted])
        self._average = (float(lengths.mean()) if len(lengths) else 0.0) or 1.0
        of = np.repeat(np.arange(len(counted)), [len(found) for found, _, _ in counted])
        found = np.concatenate([np.zeros(0, dtype=np.uint32), *(found for found, _, _ in counted)])
        frequency = np.concatenate([np.zeros(0), *(frequency for _, frequency, _ in counted)])
        order = np.argsort(found, kind="stable")
        own, starts, holding = np.unique(found[order], return_index=True, return_counts=True)
        # By run: where its documents stand, how many they are, and how telling it is; the last place is for unknown runs.
        self._runs = np.union1d(own, background().known)
        self._starts, self._holding = np.zeros((2, len(self._runs) + 1), dtype=np.intp)
        at = np.searchsorted(self._runs, own)
        self._starts[at], self._holding[at] = starts, holding
        shares = np.append(background().runs(self._runs), RARE_RUN)
        self._telling = rarity(self._holding.astype(np.float64), self.documents, shares)
        self._of = of[order]
        self._saturated = self._saturate(frequency, lengths[of] if len(lengths) else frequency)[order]

    def compare(
        self, query: str, documents: Sequence[Sequence[tuple[Runs, float]]], headings: Sequence[Runs]
    ) -> Likeness:
        """Compare a query with documents, given as the runs of their texts with the weight of each, and with their headings,
        one each."""
        wanted, times = np.unique(runs(query), return_counts=True)
        if not len(wanted):
            nothing = np.zeros(len(documents), dtype=np.float32)
            return Likeness(nothing, nothing, nothing)
        at = _places(self._runs, wanted)
        holding = self._holding[at]
        weights = _shares(times * np.log1p((self.documents - holding + 0.5) / (holding + 0.5)) ** _IDF_POWER)
        rare = _shares(times * self._telling[at] ** _IDF_POWER)
        table = np.zeros(1 << 16, dtype=np.int32)  # a run's hash → where it may stand in `wanted`
        table[_hash(wanted)] = np.arange(len(wanted))
        each = [(number, *text) for number, texts in enumerate(documents) for text in texts]
        its = np.concatenate([np.zeros(0, dtype=np.uint32), *(found for _, found, _ in each)])
        sizes = np.array([len(found) for _, found, _ in each], dtype=np.intp)
        of = np.array([number for number, _, _ in each], dtype=np.intp)
        weight_of = np.array([weight for _, _, weight in each], dtype=np.float64)
        place = table.take(_hash(its))
        held = np.flatnonzero(wanted.take(place) == its)
        text = np.repeat(np.arange(len(each)), np.diff(np.searchsorted(held, np.cumsum(sizes)), prepend=0))
        cells = of[text] * len(wanted) + place[held]
        counted = np.bincount(cells, weights=weight_of[text], minlength=len(documents) * len(wanted))
        frequency = counted.astype(np.float64).reshape(len(documents), len(wanted))
        length = np.bincount(of, weights=weight_of * sizes, minlength=len(documents))
        scores = (self._saturate(frequency, length[:, None]) @ weights).astype(np.float32)
        scores /= np.float32(self._spread(weights, at))
        coverage = ((frequency > 0) @ rare).astype(np.float32)
        return Likeness(scores, coverage, self._held(headings, wanted))

    def _held(self, headings: Sequence[Runs], wanted: Runs) -> npt.NDArray[np.float32]:
        """The share of each heading's runs that are among the wanted ones, the rare ones weighing more."""
        of = np.repeat(np.arange(len(headings), dtype=np.uint64), [len(its) for its in headings])
        its = np.concatenate([np.zeros(0, dtype=np.uint32), *headings])
        cells = np.sort((of << np.uint64(32)) | its)
        cells = cells[np.append(True, cells[1:] != cells[:-1])[: len(cells)]]  # each run of a heading once
        of, its = (cells >> np.uint64(32)).astype(np.intp), cells.astype(np.uint32)
        telling = self._telling[_places(self._runs, its)]
        total = np.bincount(of, weights=telling, minlength=len(headings))
        held = np.bincount(of, weights=telling * (_places(wanted, its) < len(wanted)), minlength=len(headings))
        share: npt.NDArray[np.float32] = (held / np.where(total > 0, total, 1.0)).astype(np.float32)
        return share

    def _spread(self, weights: npt.NDArray[np.float64], at: npt.NDArray[np.intp]) -> float:
        """The standard deviation of the score over the sample, for the runs at these places with these weights."""
        counts = self._holding[at]
        before = np.cumsum(counts) - counts
        places = np.repeat(self._starts[at] - before, counts) + np.arange(int(counts.sum()))
        shares = np.repeat(weights, counts) * self._saturated.take(places)
        scores = np.bincount(self._of.take(places), weights=shares, minlength=max(1, self.documents))
        centred = scores - scores.mean()
        squares = float(centred @ centred) + _PRIOR_SPREAD**2 * _PRIOR_STRENGTH
        return math.sqrt(squares / (self.documents + _PRIOR_STRENGTH))

    def _saturate(self, frequency: npt.NDArray[np.float64], length: object) -> npt.NDArray[np.float64]:
        saturated: npt.NDArray[np.float64] = frequency / (frequency + _K1 * (1 - _B + _B * length / self._average))  # type: ignore[operator]
        return saturated


def _counted(texts: Texts) -> tuple[Runs, npt.NDArray[np.float64], float]:
    """The distinct runs of a document in rising order, the weighted count of each, and their weighted number."""
    each = [runs(text) for text in texts]
    weights = np.repeat(np.array(list(texts.values()), dtype=np.float64), [len(part) for part in each])
    found, place = np.unique(np.concatenate(each), return_inverse=True)
    return found, np.bincount(place, weights=weights).astype(np.float64), float(weights.sum())


def _shares(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = weights / (weights.sum() or 1.0)
    return shares


def _hash(found: Runs) -> Runs:
    """A hash of 16 bits. Where two runs of a query share one, the first of them is not looked for."""
    return (found * np.uint32(2654435761)) >> np.uint32(16)


def _places(known: Runs, wanted: Runs) -> npt.NDArray[np.intp]:
    """Where each of `wanted` stands in `known`, which is rising and not empty; behind its end where it does not."""
    at = known.searchsorted(wanted)
    return np.where(known.take(at, mode="clip") == wanted, at, len(known))
