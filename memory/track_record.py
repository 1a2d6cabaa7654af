"""Whether the memory was right: predictions judged, their track record, and what the user's own history makes of a
stated confidence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .causes import same_cause, type_of_cause
from .confidence import CEILING, Verdict
from .incident import FailureType, Incident, Resolution
from .ports import JudgedFigure, Judgment, Prediction, PredictionCounts

SAME_MEANING = 0.40
"""Cosine (bundled model) from which two texts of a cause are one cause, where failure types do not decide.

From 64 public incidents of which there are two accounts by different people, a summary and the sentences of the long
write-up that speak of causes (paraphrase-known-item). Of the pairs that the types leave open, of one incident 29 % lie
below 0.40 (42 pairs); of two incidents, 8 % reach it where they are any two (3,185), 41 % where the other is among the
three most alike (140), which is the case that a wrong prediction makes. At 0.35 that is 19, 16 and 61 %, at 0.45 43, 3
and 21 %: the errors of 0.40 are nearest to evening out. Meaning is the weakest judge (on labels as broad as those of
rootcause-issre it hardly beats chance: area under the curve 0.58), so a person's word and the failure types come first,
and each judgment keeps what it rests on.
"""

MIN_JUDGED = 30
"""Judged predictions from which the figures are recalibrated."""

WINDOW = 500
"""The newest judgments that count: a memory that has grown is another one than a year ago."""

LOWEST = 0.02
"""No recalibrated figure is lower; none is higher than `confidence.CEILING`."""

PRIOR_WIDTHS = (0.7, 0.4)
"""Standard deviations of the prior on the shift (log-odds) and on the slope (a factor); see `Recalibration`."""

_FLATTEST = 0.05
"""The least slope: of two stated figures the higher one stays higher, however the history went."""

_BANDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def judge(
    prediction: Prediction, resolved: Incident, meaning: float | None = None, word: bool | None = None
) -> Judgment | None:
    """How the prediction came out, or None where that cannot be said.

    What decides, first to last: a person's word; the failure types, where that of the predicted and that of the true
    cause are both known (stated, or spoken of by the cause itself); the meaning of the two causes. Words in common decide
    nothing: two people tell one cause in other words, so that nearly every prediction would be wrong.

    Args:
        prediction: what was said. Where it named no cause there is nothing to judge: it abstained.
        resolved: the incident with its resolution.
        meaning: the cosine of the two causes' texts; None where there is no embedding model.
        word: whether the person who resolved it says that the prediction was right.
    """
    if prediction.root_cause is None:
        return Judgment(None, "abstained")
    if word is not None:
        return Judgment(word, "resolver")
    if resolved.root_cause is None:
        return None
    predicted = Incident(
        id=prediction.incident_id,
        title=None,
        description="",
        updated_at=prediction.at,
        failure_type=prediction.failure_type,
        failure_type_stated=prediction.type_stated,
        resolution=Resolution(prediction.root_cause),
    )
    if FailureType.OTHER not in {type_of_cause(predicted), type_of_cause(resolved)}:
        return Judgment(same_cause(predicted, resolved), "failure type")
    return None if meaning is None else Judgment(meaning >= SAME_MEANING, "meaning")


@dataclass(frozen=True, slots=True)
class Recalibration:
    """What the user's own history makes of a confidence c: logit c' = shift + slope · logit c (Platt's map).

    Fitted to the newest `WINDOW` judged predictions by maximum a posteriori, with the priors shift ~ N(0, 0.7²) and
    slope ~ N(1, 0.4²), slope ≥ 0.05, so that the order of two figures never changes. Below `MIN_JUDGED` it is the
    identity. The widths are from `bench/simulate_recalibration.py`: they bring a world whose base rate is half of ours
    from an error of 0.39 to 0.07 after 30 judged predictions and 0.03 after 300, and cost a world just like ours 0.04
    and 0.02. Narrower ones are slower, wider ones run further on little: with ours 30 of 30 right turn 0.60 into 0.89,
    30 of 30 wrong turn 0.90 into 0.13.

    `raw` and `right` are the mean figure before recalibration and the share that was right, both of what it rests on.
    """

    judged: int = 0
    raw: float = 0.0
    right: float = 0.0
    shift: float = 0.0
    slope: float = 1.0

    @classmethod
    def fit(cls, pairs: Sequence[tuple[float, bool]], widths: tuple[float, float] = PRIOR_WIDTHS) -> Recalibration:
        """The map of a history: (confidence before recalibration, whether it was right), newest first."""
        newest = pairs[:WINDOW]
        if not newest:
            return cls()
        raw = np.array([confidence for confidence, _ in newest], dtype=np.float64)
        right = np.array([came_out for _, came_out in newest], dtype=np.float64)
        shift, slope = _most_likely(raw, right, widths) if len(newest) >= MIN_JUDGED else (0.0, 1.0)
        return cls(len(newest), float(raw.mean()), float(right.mean()), shift, slope)

    @property
    def in_force(self) -> bool:
        """Whether the history is long enough for the map to be applied."""
        return self.judged >= MIN_JUDGED

    def apply(self, confidence: float) -> float:
        """The recalibrated confidence, within [0.02, 0.97]; unchanged while the map is not in force."""
        if not self.in_force:
            return confidence
        log_odds = self.shift + self.slope * float(_logit(np.array(confidence)))
        return min(CEILING, max(LOWEST, 1 / (1 + math.exp(-log_odds))))

    def recalibrate(self, verdict: Verdict) -> Verdict:
        """The verdict with its confidence recalibrated and a basis that says so. Without a leading hypothesis there is
        nothing that the history could speak of, and it stays as it is."""
        if not self.in_force or verdict.leading is None:
            return verdict
        told = (
            f" Recalibrated from {verdict.confidence:.0%} on {self.judged} judged analyses of this memory: "
            f"{self.raw:.0%} on average came out right {self.right:.0%} of the time."
        )
        return replace(verdict, confidence=round(self.apply(verdict.confidence), 2), basis=verdict.basis + told)


def _most_likely(
    raw: np.ndarray[Any, Any], right: np.ndarray[Any, Any], widths: tuple[float, float]
) -> tuple[float, float]:
    """The shift and the slope of the highest posterior density. It is concave, so where the free optimum is flatter than
    allowed, the best one lies on the border."""
    rows = np.stack([np.ones_like(raw), _logit(raw)], axis=1)
    precision = np.array(widths, dtype=np.float64) ** -2
    shift, slope = _newton(rows, np.zeros(len(raw)), right, np.array([0.0, 1.0]), precision)
    if slope < _FLATTEST:
        slope = _FLATTEST
        (shift,) = _newton(rows[:, :1], slope * rows[:, 1], right, np.zeros(1), precision[:1])
    return float(shift), float(slope)


def _newton(
    rows: np.ndarray[Any, Any],
    offset: np.ndarray[Any, Any],
    right: np.ndarray[Any, Any],
    prior: np.ndarray[Any, Any],
    precision: np.ndarray[Any, Any],
) -> np.ndarray[Any, Any]:
    """Logistic regression of `right` (shape (n,)) on `rows` (n, k) with a Gaussian prior: Newton steps from the prior's
    mean, each halved until it leads uphill."""

    def height(at: np.ndarray[Any, Any]) -> float:
        log_odds = offset + rows @ at
        return float(right @ log_odds - np.logaddexp(0, log_odds).sum() - precision @ (at - prior) ** 2 / 2)

    at = prior
    for _ in range(50):
        p = 1 / (1 + np.exp(-(offset + rows @ at)))
        uphill = rows.T @ (right - p) - precision * (at - prior)
        curvature = rows.T @ (rows * (p * (1 - p))[:, None]) + np.diag(precision)
        step = np.linalg.solve(curvature, uphill)
        while height(at + step) < height(at) and np.abs(step).max() > 1e-9:
            step = step / 2
        at = at + step
        if np.abs(step).max() <= 1e-9:
            break
    return at


def _logit(confidence: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    bounded = np.clip(confidence, 0.01, 0.99)
    found: np.ndarray[Any, Any] = np.log(bounded / (1 - bounded))
    return found


@dataclass(frozen=True, slots=True)
class Band:
    """A row of the reliability table: the predictions whose stated confidence lay in [low, high), or, in the last band,
    in [low, high]; the mean that was stated, the share that was right, and how many there were."""

    low: float
    high: float
    stated: float
    right: float
    count: int


def reliability(pairs: Sequence[tuple[float, bool]]) -> tuple[Band, ...]:
    """The reliability table of (stated confidence, whether it was right); bands that nothing lay in are left out."""
    table: list[Band] = []
    for low, high in itertools.pairwise(_BANDS):
        inside = [(c, right) for c, right in pairs if low <= c < high or c == high == _BANDS[-1]]
        if inside:
            count = len(inside)
            table.append(Band(low, high, sum(c for c, _ in inside) / count, sum(r for _, r in inside) / count, count))
    return tuple(table)


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """How the memory's predictions came out so far. `stated`, `right_share` and `bands` are of the newest `WINDOW`
    judgments; the first two are None before the first."""

    counts: PredictionCounts
    stated: float | None
    right_share: float | None
    bands: tuple[Band, ...]
    recalibration: Recalibration

    @classmethod
    def of(cls, counts: PredictionCounts, newest: Sequence[JudgedFigure]) -> TrackRecord:
        """The record of the newest `WINDOW` judged figures, newest first."""
        recalibration = Recalibration.fit([(figure.raw, figure.right) for figure in newest])
        stated = sum(figure.stated for figure in newest) / len(newest) if newest else None
        bands = reliability([(figure.stated, figure.right) for figure in newest])
        return cls(counts, stated, recalibration.right if newest else None, bands, recalibration)

    @property
    def summary(self) -> str:
        """The record in a sentence or two."""
        counts = self.counts
        if self.stated is None:
            return f"none of {counts.predictions} analysed incidents judged yet{self._abstained}"
        told = (
            f"{counts.judged} judged of {counts.predictions} analysed, {self.right_share:.0%} right where "
            f"{self.stated:.0%} was stated{self._abstained}; "
        )
        if self.recalibration.in_force:
            return told + "figures are recalibrated on them"
        return told + f"figures are recalibrated from {MIN_JUDGED} judged on"

    @property
    def _abstained(self) -> str:
        return f" ({self.counts.abstained} more named no cause)" if self.counts.abstained else ""

    def as_json(self) -> dict[str, Any]:
        """The record as JSON values; shares and confidences from 0 to 1."""
        return {
            "predictions": self.counts.predictions,
            "judged": self.counts.judged,
            "right": self.counts.right,
            "abstained": self.counts.abstained,
            "reliability": [
                {
                    "from": b.low,
                    "to": b.high,
                    "stated": round(b.stated, 3),
                    "right": round(b.right, 3),
                    "count": b.count,
                }
                for b in self.bands
            ],
            "recalibration": {
                "in_force": self.recalibration.in_force,
                "needs": MIN_JUDGED,
                "rests_on": self.recalibration.judged,
                "shift": round(self.recalibration.shift, 4),
                "slope": round(self.recalibration.slope, 4),
            },
        }
