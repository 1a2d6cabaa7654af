"""The probability that a found incident is the same problem.

A logistic regression over evidence that means the same in a memory of fifty incidents and in one of many thousands:
shares of what the query asks for, cosines, and the lead over the best *rival*, that is the best of the other hits that
is another problem. That five siblings of one problem are found speaks for all of them, so siblings are no rivals.
The weights stand in `probability.toml`, written by `bench/fit_confidence.py`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from .causes import same_cause
from .incident import FailureType, Incident, Status, normalise
from .recall import Hit

COUNTS_FROM = 0.57
"""A match of at least this probability counts. Two of them give 1 − 0.8·0.43² = 85 %, the ladder's second step."""

RIVALS = 10
"""The first hits, among which a match has its rivals."""

SIBLINGS = 0.8
"""Cosine of the whole texts from which two hits are accounts of one problem; measured, 0.8 and 0.9 tie, 0.7 loses."""

_MODEL_FILE = Path(__file__).with_name("probability.toml")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one match.

    Shares and cosines as in `Hit`, and the lead over the best rival in each (−1 to 1; the figure itself where there is
    no rival). `best` and `lead_best` are None without an embedding model. Then what the records say.
    """

    lexical: float
    best: float | None
    letters: float = 0.0
    heading: float = 0.0
    passage: float = 0.0
    nearness: float = 0.0
    lead_lexical: float = 0.0
    lead_best: float | None = None
    lead_heading: float = 0.0
    lead_passage: float = 0.0
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
class Model:
    """Log-odds = intercept + the sum of weight × evidence, by the names of `Evidence`."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, evidence: Evidence) -> float:
        """The probability that a match with that evidence is the same problem."""
        log_odds = self.intercept + sum(
            weight * float(getattr(evidence, name) or 0.0) for name, weight in self.weights.items()
        )
        return 1 / (1 + math.exp(-log_odds))


@cache
def models() -> tuple[Model, Model]:
    """The model where there are vectors, and the one for words alone."""
    with _MODEL_FILE.open("rb") as file:
        read = tomllib.load(file)
    known = {field.name for field in fields(Evidence)}
    found = []
    for name in ("with_vectors", "words_alone"):
        weights = dict(read[name])
        intercept = weights.pop("intercept")
        records = read["records"]
        assert not ({*weights, *records} - known), f"{_MODEL_FILE.name} names evidence that is not there"
        found.append(Model(intercept, {**weights, **records}))
    return found[0], found[1]


def probability(evidence: Evidence) -> float:
    """The probability that a match is the same problem."""
    with_vectors, words_alone = models()
    return (words_alone if evidence.best is None else with_vectors).probability(evidence)


def matches_of(hits: Sequence[Hit], kind: FailureType = FailureType.OTHER, service: str | None = None) -> list[Match]:
    """The hits of one query as matches, in the order in which they are best read.

    They are ordered by the fused score, in standard deviations, and what the records say, not by the probability: that
    is fitted to say how sure a first hit is, and orders the hits worse than the score (`bench/README.md`).

    Args:
        hits: what recall found, best first.
        kind: the failure type of what was asked, OTHER where it is unknown.
        service: the service of what was asked.
    """
    same_type = [kind is not FailureType.OTHER and kind is hit.incident.failure_type for hit in hits]
    same_service = [_same_service(service, hit.incident.service) for hit in hits]
    order = sorted(range(len(hits)), key=lambda i: -(hits[i].score + same_type[i] + 0.5 * same_service[i]))
    rivals = [hits[i] for i in order[:RIVALS]]
    matches = []
    for i in order:
        hit = hits[i]
        against = [rival for rival in rivals if rival is not hit and not _siblings(hit, rival)]
        evidence = Evidence(
            lexical=min(hit.lexical, 1.0),
            best=hit.best,
            letters=hit.letters,
            heading=hit.heading,
            passage=hit.passage,
            nearness=hit.nearness,
            lead_lexical=min(hit.lexical, 1.0) - max((min(rival.lexical, 1.0) for rival in against), default=0.0),
            lead_best=None if hit.best is None else hit.best - max((rival.best or 0.0 for rival in against), default=0),
            lead_heading=hit.heading - max((rival.heading for rival in against), default=0.0),
            lead_passage=hit.passage - max((rival.passage for rival in against), default=0.0),
            same_failure_type=same_type[i] and hit.incident.failure_type_stated,
            same_service=same_service[i],
        )
        matches.append(Match(hit, evidence, probability(evidence)))
    return matches


def _same_service(one: str | None, other: str | None) -> bool:
    return bool(one and other and normalise(one) == normalise(other))


def _siblings(one: Hit, other: Hit) -> bool:
    """Whether two hits are accounts of one problem: alike in text, or of the same cause."""
    if one.vector is not None and other.vector is not None and float(one.vector @ other.vector) >= SIBLINGS:
        return True
    return same_cause(one.incident, other.incident)
