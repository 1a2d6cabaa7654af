"""Scores of several arms on one scale, and the highest of very many, without sorting them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]

LEXICAL_SPREAD, COSINE_SPREAD = 0.07, 0.11
"""Typical standard deviations of BM25, as a share of the best possible, and of cosines."""

_PRIOR_STRENGTH = 20
"""In a small memory a standard deviation means little, so it is drawn towards a typical one, as if that many more
incidents had been seen."""

_STRIDE = 64
"""A share of the scores that tells where the highest begin; of fewer than 100,000 all are looked at."""


@dataclass(frozen=True, slots=True)
class Arm:
    """The scores of one arm, shape (slots,), with its weight and what puts them on the common scale: their mean and
    standard deviation."""

    scores: Scores
    weight: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: Scores, weight: float, allowed: npt.NDArray[np.bool_], count: int, spread: float) -> Arm:
        """The arm on the scale of the allowed slots, of which there are `count`; `spread` is a typical deviation."""
        seen = scores if count == len(scores) else scores[allowed]
        mean = seen.mean()
        centred = seen - mean
        variance = (float(centred @ centred) + spread**2 * _PRIOR_STRENGTH) / (count + _PRIOR_STRENGTH)
        return cls(scores, weight, float(mean), math.sqrt(variance))


def fused(arms: Sequence[Arm], at: npt.NDArray[np.intp] | slice = slice(None)) -> Scores:
    """The weighted sum of the arms in standard deviations from their means, of all slots or of those `at`."""
    total: Scores = np.float32(arms[0].weight / arms[0].deviation) * arms[0].scores[at]
    for arm in arms[1:]:
        total += np.float32(arm.weight / arm.deviation) * arm.scores[at]
    total -= np.float32(sum(arm.weight * arm.mean / arm.deviation for arm in arms))
    return total


def highest(scores: Scores, count: int) -> npt.NDArray[np.intp]:
    """Where the `count` highest stand, in no order; all where there are no more."""
    if count >= len(scores):
        return np.arange(len(scores))
    some = np.arange(len(scores))
    if len(scores) >= 100_000 and 8 * count < len(scores):
        # Twice as many as wanted lie above a threshold that a sample suggests, or else all are looked at.
        sample = scores[::_STRIDE]
        place = min(len(sample), 2 * count // _STRIDE + 32)
        above = np.flatnonzero(scores >= np.partition(sample, len(sample) - place)[len(sample) - place])
        some = above if len(above) >= count else some
    if count >= len(some):
        return some
    return some[np.argpartition(-scores[some], count - 1)[:count]]
