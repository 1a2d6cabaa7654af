"""The probability that a found incident is the same problem.

A logistic regression over a handful of figures that mean the same in a memory of fifty incidents and in one of many
thousands. What tells a right first hit from a wrong one is less how near it comes than whether it stands out: a *rival*
is another of the first hits that is another problem (five siblings of one problem speak for all of them, so siblings are
no rivals), and where all the ways of comparing agree that no rival comes as near, the hit is rarely wrong. Where rivals are
weak or missing, as in a small memory, a hit has to beat what unrelated incidents reach in a large one.

An alert may be short, and then its letters tell; or long, and then only its first sentence says what broke and the rest is
advice that no record repeats. Either is enough, so the two are joined as two independent witnesses are (`Evidence.held`),
not added: where all letters are held, the first sentence says nothing new.

That is so of documents: runbooks, postmortems, a status page's accounts. A report of one's own tells what was seen, briefly and
in the words of an alert, and most of what is stored beside it is other trouble of the same few services: there the names and
the titles are much the same whatever broke, and what counts is what the description says beyond them. Reports are judged
by a model of their own, one by one: where two of different causes are alike, the confidence says so. What is somewhere between
(`_report`) gets a p between the two.

The weights stand in `probability.toml`, written by `bench/fit_confidence.py`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np

from .causes import type_of_cause
from .incident import FailureType, Incident, Status, normalise
from .index.alerts import Told, told
from .index.fields import whole
from .recall import TYPICAL_QUERY, Hit
from .rivals import Figures, leads

COUNTS_FROM = 0.57
"""A match of at least this probability counts. Two of them give 1 − 0.8·0.43² = 85 %, the ladder's second step."""

CEILING = 0.95
"""What all evidence together may come to: of the judged answers that everything speaks for, one in twenty is another problem
all the same. Measured, .93 to .96 tie; 1 makes the middle of the scale too modest and its end too sure."""

OF_ONE_SUBJECT, OF_ANOTHER_RULE, OF_ANOTHER_SUBJECT = 0.6, 0.45, 0.3
"""What p may come to, but for nearness in time, where both are alerts to which nobody has added a word: all of it was written with
the rule, so it says which rule fired and not why. A judgment: the pairs with the same title and other words are stated at about
half; it is less where another rule fired for the same, which may be another sign of one trouble but does not count, and less still
where the rule fired for something else."""

_MODEL_FILE = Path(__file__).with_name("probability.toml")


@dataclass(frozen=True, slots=True)
class Arm:
    """One way in which a hit comes near to a query.

    `spread` is the standard deviation of its figure among the first hits of a query, on average; `noise` what the best
    rival of a large memory reaches five times in six, for a query of TYPICAL_QUERY nats, and `falls` by how much less that is
    for one that says e times as much: two words of three are soon found together, twenty of thirty are not. All were
    measured on the dev queries; a higher noise makes p depend less on the size of the memory, and tells right from wrong
    less well.
    """

    figure: Callable[[Hit], float | None]
    spread: float
    noise: float
    falls: float = 0.0

    def noise_for(self, asked: float) -> float:
        """The noise for a query that says so many nats, 0 to 0.9."""
        return min(0.9, max(0.0, self.noise - self.falls * math.log(max(asked, 1.0) / TYPICAL_QUERY)))


# Not among them: the cosine of the whole text, which says less than that of the best chunk and much the same. The best chunk's
# own cosine stands in where the model has no whitening.
ARMS: Mapping[str, Arm] = {
    "lexical": Arm(lambda hit: hit.lexical, 0.08, 0.23, 0.127),
    "whitened": Arm(lambda hit: hit.whitened, 0.092, 0.158),
    "best": Arm(lambda hit: hit.best if hit.whitened is None else None, 0.075, 0.47),
    "title": Arm(lambda hit: hit.closeness.title, 0.135, 0.43),
    "letters": Arm(lambda hit: hit.closeness.letters, 0.115, 0.37, 0.157),
    "heading": Arm(lambda hit: hit.closeness.heading, 0.135, 0.16),
}

_OPENING = Arm(lambda hit: hit.closeness.opening, 0.4, 0.27, 0.05)
"""What its lead says stands in `_held`: one of `spread` tells as much as holding all letters (measured, 0.35 and 0.45 tie,
0.2 and 0.6 lose)."""

_TITLE = list(ARMS).index("title")
_SPREADS = np.array([[arm.spread] for arm in ARMS.values()])

_BEST_ALIKE, _REST_ALIKE, _LETTERS_ALIKE = (ARMS["best"].noise, 0.62), (0.28, 0.48), 0.15
"""From where on, and from where on in full, an incident is alike enough for its nearness in time to count: what happens to be
going on in the same hour and is not alike gains nothing by that. It begins at what unrelated ones reach, the best of many
documents, and of reports the median one; of letters it ends by so much above the noise."""

_BRIEF = 800, 1600
"""Characters of text up to which an incident is a report, and from which on it is a document, such as a postmortem. The pairs that
reports are fitted to have 750 at most."""

_SAID = 20.0
"""Nats that a query has to say before the letters that a report holds of it count in full: one word stands in anything. To count
them by how much of the heading it holds as well made short titles too sure (67 % right at 85 % and more)."""


_ODDS_IN_ORDER = 2.0
"""Standard deviations of the score that one of a report's log-odds is worth in the order. Measured: from 3 on the judged sets' brief
documents are ordered worse, 1 gains half as much on the pairs."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one match.

    `held` is how much of the query the incident holds, by its letters or by a lead in its first sentence (−1 to 1, see
    `_held`). `agreement` is the mean, over the arms, of tanh(lead / spread), where the lead is what the hit has over the
    best rival (−1 to 1). `lead_title` is the lead in the cosine of the first sentence and the heading (None without vectors).
    By these a document is judged; a report by `letters`, `beyond` and `rest`, which are those of `Closeness`, but that the letters
    of a query that says less than _SAID count in proportion. `report` is how far it is one, 0 to 1. `most` is what p may come to,
    but for nearness in time.

    `nearness` in time is 1 for an incident of the same hour that is alike and 0 from a week on, where it is not alike, or
    where service or failure type tell the two apart. Then what the records say; `elsewhere` is −1 where both name a service
    and not the same one, else 0.
    """

    held: float = 0.0
    agreement: float = 0.0
    lead_title: float | None = None
    nearness: float = 0.0
    same_failure_type: bool = False
    same_service: bool = False
    elsewhere: float = 0.0
    letters: float = 0.0
    beyond: float = 0.0
    rest: float | None = None
    report: float = 0.0
    most: float = CEILING


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

    def log_odds(self, evidence: Evidence) -> float:
        """The log-odds of a match with that evidence."""
        return self.intercept + sum(
            weight * float(getattr(evidence, name) or 0.0) for name, weight in self.weights.items()
        )


@cache
def models() -> Mapping[str, Model]:
    """The models by the names of the data file's sections: of documents and of reports, where there are vectors and where
    words are all."""
    with _MODEL_FILE.open("rb") as file:
        read = tomllib.load(file)
    known = {field.name for field in fields(Evidence)}
    records = read.pop("records")
    found = {}
    for name, section in read.items():
        weights = {**records, **section}
        intercept = weights.pop("intercept")
        assert not weights.keys() - known, f"{_MODEL_FILE.name} names evidence that is not there"
        found[name] = Model(intercept, weights)
    return found


def probability(evidence: Evidence) -> float:
    """The probability that a match is the same problem, 0 to CEILING."""
    by_words = evidence.lead_title is None
    document = models()["words_alone" if by_words else "with_vectors"]
    report = models()["reports_words_alone" if by_words else "reports"]
    share = evidence.report
    log_odds = (1 - share) * document.log_odds(evidence) + share * report.log_odds(evidence)
    if evidence.most < CEILING:
        weight = (1 - share) * document.weights["nearness"] + share * report.weights["nearness"]
        by_time = weight * evidence.nearness
        log_odds = min(log_odds - by_time, -math.log(CEILING / evidence.most - 1)) + by_time
    return CEILING / (1 + math.exp(-log_odds))


def matches_of(
    hits: Sequence[Hit], kind: FailureType = FailureType.OTHER, service: str | None = None, alert: Told | None = None
) -> list[Match]:
    """The hits of one query as matches, in the order in which they are best read.

    They are ordered by the fused score, in standard deviations, and what the records say. Documents are not ordered by the
    probability: that is fitted to say how sure a first hit is, and orders them worse than the score (`bench/README.md`).
    Of reports, each judged by itself, it tells more: they change places among each other by both.

    Args:
        hits: what recall found, best first.
        kind: the failure type of what was asked, OTHER where it is unknown.
        service: the service of what was asked.
        alert: what was asked, where it is an alert to which nobody has added a word.
    """
    if not hits:
        return []
    same_type = [kind is not FailureType.OTHER and kind is hit.incident.failure_type for hit in hits]
    same_service = [_same_service(service, hit.incident.service) for hit in hits]
    strength = [hit.score + same_type[i] + 0.5 * same_service[i] for i, hit in enumerate(hits)]
    order = sorted(range(len(hits)), key=lambda i: -strength[i])
    found = [hits[i] for i in order]
    lead = _leads(found)
    agreement = np.nanmean(np.tanh(lead[: len(ARMS)] / _SPREADS), axis=0)
    matches = []
    for place, (i, hit) in enumerate(zip(order, found, strict=True)):
        lead_title = float(lead[_TITLE, place])
        report = _report(hit.incident)
        most, apart = CEILING, _tells_apart(hit.incident, kind, service)
        if alert is not None and (its := told(hit.incident.text)).rule is not None:
            same_subject = alert.is_about(its, service, hit.incident.service)
            of_subject = OF_ONE_SUBJECT if alert.rule == its.rule else OF_ANOTHER_RULE
            most = of_subject if same_subject else OF_ANOTHER_SUBJECT
            # The same alert again is an echo, whatever its cause was then; of something else it is none.
            apart = not same_subject or (apart and alert.rule != its.rule)
        evidence = Evidence(
            held=_held(hit, float(lead[-1, place])),
            agreement=float(agreement[place]),
            lead_title=None if math.isnan(lead_title) else lead_title,
            nearness=0.0 if apart else hit.nearness * _alike(hit, report),
            same_failure_type=same_type[i] and hit.incident.failure_type_stated,
            same_service=same_service[i],
            elsewhere=-1.0 if service and hit.incident.service and not same_service[i] else 0.0,
            letters=hit.closeness.letters * min(1.0, hit.asked / _SAID),
            beyond=hit.closeness.beyond,
            rest=hit.closeness.rest,
            report=report,
            most=most,
        )
        matches.append(Match(hit, evidence, probability(evidence)))
    return _reports_by_both(matches, [strength[i] for i in order])


def _reports_by_both(matches: list[Match], strength: Sequence[float]) -> list[Match]:
    """The matches, the reports among them ordered by their strength and their log-odds, in the places that reports had."""
    places = [place for place, match in enumerate(matches) if match.evidence.report > 0.5]

    def by_both(place: int) -> float:
        p = matches[place].probability
        return strength[place] + _ODDS_IN_ORDER * math.log(p / (1 - p))

    ordered = [*matches]
    for place, better in zip(places, sorted(places, key=by_both, reverse=True), strict=True):
        ordered[place] = matches[better]
    return ordered


def _leads(hits: Sequence[Hit]) -> Figures:
    """The leads in each of the arms and, last, in the opening, shape (arms + 1, hits)."""
    ways = [*ARMS.values(), _OPENING]
    figures = np.array([[arm.figure(hit) for hit in hits] for arm in ways], dtype=np.float64)  # None becomes NaN
    return leads(hits, figures, np.array([arm.noise_for(hits[0].asked) for arm in ways]))


def _held(hit: Hit, lead_opening: float) -> float:
    """1 − (1 − l)(1 − o): l is the share of the query's letters that the incident holds, 0 to 1, and o its lead in the
    query's first sentence, as a share of one that tells all, −1 (a rival holds that sentence) to 1. More of either
    never lowers it."""
    opening = max(-1.0, min(1.0, lead_opening / _OPENING.spread))
    return 1 - (1 - min(1.0, hit.closeness.letters)) * (1 - opening)


def _report(incident: Incident) -> float:
    """How far an incident is a report, 0 to 1: brief, and open or with how it ended (its cause, or steps) apart from what was
    seen."""
    how = incident.resolution
    apart = incident.status is Status.OPEN or (how is not None and bool(how.root_cause or how.steps))
    return 1 - _between(len(whole(incident)), _BRIEF) if apart else 0.0


def _tells_apart(incident: Incident, kind: FailureType, service: str | None) -> bool:
    """Whether another service, or another type of failure in its cause, speaks against an echo of the same trouble."""
    if service and incident.service and not _same_service(service, incident.service):
        return True
    its_kind = type_of_cause(incident)
    return FailureType.OTHER not in (kind, its_kind) and kind is not its_kind


def _alike(hit: Hit, report: float) -> float:
    """How alike the incidents are, 0 (what any two share) to 1: a report beyond its heading, a document by its meaning, and
    either by its letters where there are no vectors."""
    if hit.best is None or hit.closeness.rest is None:
        least = ARMS["letters"].noise_for(hit.asked)
        return _between(hit.closeness.letters, (least, least + _LETTERS_ALIKE))
    of_document, of_report = _between(hit.best, _BEST_ALIKE), _between(hit.closeness.rest, _REST_ALIKE)
    return (1 - report) * of_document + report * of_report


def _between(figure: float, ends: tuple[float, float]) -> float:
    """0 up to the first end, 1 from the other on."""
    return min(1.0, max(0.0, (figure - ends[0]) / (ends[1] - ends[0])))


def _same_service(one: str | None, other: str | None) -> bool:
    return bool(one and other and normalise(one) == normalise(other))
