"""How sure the memory is: the probability of one match, and the confidence of an answer that rests on several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .failure_types import LABELS, classify
from .incident import FailureType, Incident, Status
from .index.tokens import terms
from .recall import Hit

COUNTS_FROM = 0.57
"""A match of at least this probability counts. Two of them give 1 − 0.8·0.43² = 85 %, the ladder's second step."""

CEILING = 0.97
"""No answer is surer than this: a memory of the past cannot know what is new."""

FLOOR = 0.20
"""The confidence of an answer that no match bears."""

_SAME_CAUSE_OVERLAP = 0.4
"""Root causes without a stated failure type are one cause where they share this much of the shorter one's terms."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one match: shares and cosines as in `Hit`, and what the records say."""

    lexical: float
    best: float | None
    same_failure_type: bool = False
    same_service: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A past incident with the probability that it was the same problem, what that rests on, and why it was found
    (in words, for the first few)."""

    hit: Hit
    evidence: Evidence
    probability: float
    why: tuple[str, ...] = ()

    @property
    def incident(self) -> Incident:
        """The past incident."""
        return self.hit.incident

    @property
    def counts(self) -> bool:
        """Whether a confidence may rest on it: likely, resolved with a known cause, and not a bulk guess."""
        resolution = self.incident.resolution
        return (
            self.probability >= COUNTS_FROM
            and self.incident.status is Status.RESOLVED
            and resolution is not None
            and resolution.is_evidence
            and resolution.root_cause is not None
        )


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


# A first estimate of p. The weights of words and meaning and the intercepts were fitted (logistic regression) to the
# first hits of the dev queries of three retrieval sets, as they are and with every right answer removed. Those sets
# state neither service nor failure type, so the last two weights are a judgment, set low: on the sample memory,
# which took no part in the fit, the figures come out careful (0.55 stated, 0.90 of the same failure type).
_INTERCEPT, _LEXICAL, _BEST = -4.03, 3.09, 3.32
_INTERCEPT_WORDS, _LEXICAL_WORDS = -2.28, 3.88  # without an embedding model
_SAME_FAILURE_TYPE, _SAME_SERVICE = 1.6, 0.8


def probability(evidence: Evidence) -> float:
    """The probability that a match is the same problem, from evidence that means the same in any memory."""
    lexical = min(evidence.lexical, 1.0)
    if evidence.best is None:
        log_odds = _INTERCEPT_WORDS + _LEXICAL_WORDS * lexical
    else:
        log_odds = _INTERCEPT + _LEXICAL * lexical + _BEST * evidence.best
    log_odds += _SAME_FAILURE_TYPE * evidence.same_failure_type + _SAME_SERVICE * evidence.same_service
    return 1 / (1 + math.exp(-log_odds))


def same_cause(one: Incident, other: Incident) -> bool:
    """Whether two resolved incidents had the same kind of cause: of the same failure type, or, where a cause names none,
    causes that say much the same."""
    kind, other_kind = type_of_cause(one), type_of_cause(other)
    if kind is not FailureType.OTHER and other_kind is not FailureType.OTHER:
        return kind is other_kind
    mine, theirs = set(terms(one.root_cause or "")), set(terms(other.root_cause or ""))
    shorter = min(len(mine), len(theirs))
    return shorter > 0 and len(mine & theirs) / shorter >= _SAME_CAUSE_OVERLAP


def type_of_cause(incident: Incident) -> FailureType:
    """The stated type, or the one that the cause itself speaks of. That the symptoms use the same words proves no
    common cause."""
    return incident.failure_type if incident.failure_type_stated else classify(None, "", incident.root_cause)


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

    confidence = min(0.97, 1 − 0.8·∏(1 − pᵢ)) over the counting matches that agree on the leading root cause.
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
    doubt = math.prod(1 - match.probability for match in hypotheses[0].matches)
    confidence = min(CEILING, 1 - (1 - FLOOR) * doubt)
    return Verdict(round(confidence, 2), _agreement(hypotheses, now), tuple(hypotheses))


def _agreement(hypotheses: Sequence[Hypothesis], now: datetime) -> str:
    leading, others = hypotheses[0], hypotheses[1:]
    count = len(leading.matches)
    parts = [f"{count} resolved incidents agree" if count > 1 else "1 resolved incident bears it"]
    ages = [
        (now - at).days
        for match in leading.matches
        if (at := match.incident.resolved_at or match.incident.created_at) is not None
    ]
    if ages:
        parts.append(f"the newest {_ago(min(ages))}")
    if others:
        total = sum(hypothesis.weight for hypothesis in hypotheses)
        second = others[0]
        disagreeing = sum(len(hypothesis.matches) for hypothesis in others)
        name = (
            LABELS[second.failure_type]
            if second.failure_type is not FailureType.OTHER
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
