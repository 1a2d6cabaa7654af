"""How sure the memory is of an answer that rests on several matches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .causes import same_cause
from .failure_types import LABELS
from .incident import FailureType, Status
from .probability import COUNTS_FROM, Match

CEILING = 0.97
"""No answer is surer than this: a memory of the past cannot know what is new."""

FLOOR = 0.20
"""The confidence of an answer that no match bears."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A root cause and the counting matches that agree on it, likeliest first."""

    root_cause: str
    failure_type: FailureType
    matches: tuple[Match, ...]

    @property
    def summary(self) -> str:
        """What the matches agree on, and what it was in the likeliest of them."""
        cause = " ".join(self.root_cause.split()).lstrip("-•* ").rstrip(".")  # a postmortem's bullet
        if self.failure_type is FailureType.OTHER:
            return cause
        closest = self.matches[0].incident.id
        told = f" (in the closest, {closest}: {cause})" if len(self.matches) > 1 else f": {cause}"
        return LABELS[self.failure_type] + told

    @property
    def weight(self) -> float:
        """The probability that at least one of its matches is the same problem."""
        return 1 - math.prod(1 - match.probability for match in self.matches)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the matches say together. `hypotheses` is empty where nothing alike was found; the first one leads."""

    confidence: float
    basis: str
    hypotheses: tuple[Hypothesis, ...]

    @property
    def leading(self) -> Hypothesis | None:
        """The hypothesis that the answer rests on."""
        return self.hypotheses[0] if self.hypotheses else None


def likely_failure_type(own: FailureType, matches: Sequence[Match]) -> FailureType:
    """The failure type of an incident that nothing counts for: its own words' if they name one, else the type that
    more than half of the probability of its matches speaks for: many weak matches of many types say nothing."""
    if own is not FailureType.OTHER:
        return own
    votes: dict[FailureType, float] = {}
    for match in matches:
        kind = match.incident.failure_type
        votes[kind] = votes.get(kind, 0.0) + match.probability
    best = max(votes, key=lambda kind: votes[kind], default=FailureType.OTHER)
    enough = max(FLOOR, sum(votes.values()) / 2)
    return best if votes.get(best, 0.0) >= enough else FailureType.OTHER


def weigh(matches: Sequence[Match], now: datetime) -> Verdict:
    """Weigh the matches, best first, into one verdict.

    The counting matches that agree on the leading root cause give c = 1 − 0.8·∏(1 − pᵢ). Another cause that the memory
    speaks for, too, lowers that: of causes that exclude each other, each with odds of its own, the leading one has the
    share oddsᶜ / (1 + oddsᶜ + Σ odds of the others). Without disagreement that is c. At most 0.97.
    """
    groups: list[list[Match]] = []
    for match in sorted((m for m in matches if m.counts), key=lambda m: -m.probability):
        for group in groups:
            if same_cause(group[0].incident, match.incident):
                group.append(match)
                break
        else:
            groups.append([match])
    hypotheses = sorted(
        (
            Hypothesis(group[0].incident.root_cause or "", group[0].incident.failure_type, tuple(group))
            for group in groups
        ),
        key=lambda hypothesis: -hypothesis.weight,
    )
    if not hypotheses:
        return Verdict(FLOOR, _nothing_alike(matches), ())
    odds = _odds(1 - (1 - FLOOR) * (1 - hypotheses[0].weight))
    others = sum(_odds(hypothesis.weight) for hypothesis in hypotheses[1:])
    confidence = min(CEILING, odds / (1 + odds + others))
    return Verdict(round(confidence, 2), _agreement(hypotheses, now), tuple(hypotheses))


def _odds(probability: float) -> float:
    return probability / max(1 - probability, 1e-9)


def _agreement(hypotheses: Sequence[Hypothesis], now: datetime) -> str:
    leading, others = hypotheses[0], hypotheses[1:]
    count = len(leading.matches)
    parts = [f"{count} resolved incidents agree" if count > 1 else "1 resolved incident bears it"]
    ages = [
        (now - at).days
        for match in leading.matches
        if (at := match.incident.resolved_at or match.incident.created_at) is not None
        and at <= now  # a clock was wrong
    ]
    if ages:
        parts.append(f"the newest {_ago(min(ages))}")
    if others:
        total = sum(hypothesis.weight for hypothesis in hypotheses)
        second = others[0]
        disagreeing = sum(len(hypothesis.matches) for hypothesis in others)
        name = (
            LABELS[second.failure_type]
            if second.failure_type not in (FailureType.OTHER, leading.failure_type)
            else " ".join(second.root_cause.split())[:120]
        )
        parts.append(
            f"{disagreeing} {'points' if disagreeing == 1 else 'point'} elsewhere ({name}: "
            f"{second.weight / total:.0%} of the weight)"
        )
    return "; ".join(parts) + "."


def _nothing_alike(matches: Sequence[Match]) -> str:
    if not matches:
        return "Nothing alike: the memory holds no other incident in reach."
    best = max(matches, key=lambda match: match.probability)
    found = f"the closest is {best.incident.id} at {best.probability:.0%}"
    if best.probability < COUNTS_FROM:
        return f"Nothing alike: {found}, and a match counts from {COUNTS_FROM:.0%}."
    if best.incident.status is Status.OPEN:
        return f"Nothing resolved is alike: {found}, and it is still open."
    if best.incident.resolution is not None and not best.incident.resolution.is_evidence:
        return f"No confirmed cause: {found}, whose resolution is only inferred."
    return f"No cause on record: {found}, and its root cause was never recorded."


def _ago(days: int) -> str:
    if days <= 0:
        return "today"
    return "yesterday" if days == 1 else f"{days} days ago"
