"""What the probability of a match may be relied on to do, whatever weights were fitted."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentos.memory.incident import FailureType, Incident, Outcome, Resolution, Status, Step
from incidentos.memory.index.background import background, rarity
from incidentos.memory.index.closeness import CloseLook, Closeness, opening
from incidentos.memory.index.fields import embedded_texts, heading, heading_vector, searched_vectors
from incidentos.memory.index.grams import Grams
from incidentos.memory.index.passage import best_passage
from incidentos.memory.index.readings import Reading
from incidentos.memory.index.semantic import SemanticIndex
from incidentos.memory.index.tokens import terms
from incidentos.memory.probability import ARMS, CEILING, COUNTS_FROM, Evidence, matches_of, probability
from incidentos.memory.recall import TYPICAL_QUERY, Hit

Make = Callable[..., Incident]
NEAR = Closeness(letters=0.8, heading=0.8, opening=0.9, title=0.8)
FAR = Closeness(letters=0.2, heading=0.1, opening=0.1, title=0.1)


def hit(of: Incident, closeness: Closeness = NEAR, *, score: float = 8.0, axis: int = 0, **figures: Any) -> Hit:
    """A hit whose arms all come as near as the closeness says; `axis` tells its vector from those of others."""
    level = closeness.letters
    vector = np.eye(8, dtype=np.float32)[axis]
    figures = {"lexical": level, "cosine": level, "best": level, "vector": vector, **figures}
    return Hit(of, score, closeness=closeness, **figures)


@pytest.fixture
def make(incident: Make) -> Make:
    """Makes a resolved incident: a document, or a report where a cause is given."""
    return lambda name, cause=None, **given: incident(
        name, **{"description": name, **given}, resolution=Resolution(cause) if cause else None, status=Status.RESOLVED
    )


def test_a_hit_that_nothing_comes_near_to_counts(make: Make) -> None:
    matches = matches_of([hit(make("one")), hit(make("two"), FAR, score=1.0, axis=1)])
    assert matches[0].probability >= COUNTS_FROM
    assert matches[1].probability < 0.1


def test_a_rival_that_comes_as_near_makes_a_hit_doubtful(make: Make) -> None:
    alone = matches_of([hit(make("one"))])[0].probability
    rivalled = matches_of([hit(make("one")), hit(make("two"), score=7.9, axis=1)])
    assert rivalled[0].probability < alone - 0.2


@pytest.mark.parametrize("sibling", ["the same text", "the same cause"])
def test_accounts_of_one_problem_are_no_rivals(make: Make, sibling: str) -> None:
    one = hit(make("one", "the pool was too small for the new pods"))
    other = replace(one, incident=make("two", "the pool was too small for the pods"))
    if sibling == "the same text":
        other = replace(one, incident=make("two", "something else entirely happened"))
    else:
        other = replace(other, vector=np.eye(8, dtype=np.float32)[3])
    both = [match.evidence for match in matches_of([one, other])]
    assert both[0].agreement == both[1].agreement == matches_of([one])[0].evidence.agreement


def test_a_memory_of_one_incident_is_no_surer_of_it_than_a_large_one(make: Make) -> None:
    """Where there is no rival, what unrelated incidents of a large memory reach stands in its place."""
    noise = Closeness(*(ARMS[name].noise for name in ("letters", "heading")), 0.2, ARMS["title"].noise)
    unrelated = replace(
        hit(make("far"), noise, score=1.0, axis=1),
        lexical=ARMS["lexical"].noise,
        best=ARMS["best"].noise,
    )
    for closeness in (NEAR, FAR):
        alone = matches_of([hit(make("one"), closeness)])[0].probability
        among = matches_of([hit(make("one"), closeness), unrelated])[0].probability
        assert alone == pytest.approx(among)
    assert matches_of([hit(make("one"), FAR)])[0].probability < 0.1


def test_what_a_few_words_have_in_common_tells_less_than_what_many_have(make: Make) -> None:
    half = Closeness(letters=0.5, heading=0.5, opening=0.5, title=0.5)
    few, usual, many = (
        matches_of([hit(make("one"), half, asked=nats)])[0].probability
        for nats in (TYPICAL_QUERY / 8, TYPICAL_QUERY, 4 * TYPICAL_QUERY)
    )
    assert few < usual - 0.1
    assert usual <= many
    assert matches_of([hit(make("one"), half, asked=0.0)])[0].probability <= few  # nothing that tells was asked


def test_a_report_is_judged_by_what_it_says_beyond_the_names(make: Make) -> None:
    """One title over two troubles makes them not one, nor does the name of the service in both; a runbook is another matter."""
    title = Closeness(letters=0.3, heading=0.9, opening=0.95, title=0.7, beyond=0.0, rest=0.1)
    same = replace(title, letters=0.2, heading=0.1, opening=0.1, title=0.2, beyond=0.5, rest=0.6)

    def p(closeness: Closeness, cause: str | None) -> float:
        of = hit(make("one", cause), closeness, lexical=0.3, best=0.5)
        return matches_of([of])[0].probability

    assert p(title, "the disk was full") < 0.3 < COUNTS_FROM < p(same, "the disk was full")
    assert p(same, None) < COUNTS_FROM < p(title, None)


def test_no_rival_moves_the_probability_of_a_report(make: Make) -> None:
    """Two that are alike and had different causes both stand: what they come to together is the confidence's matter."""
    near = replace(NEAR, beyond=0.5, rest=0.5)
    best, alike = (hit(make(name, f"{name} {name}"), near, axis=axis) for axis, name in enumerate(("one", "two")))
    found = matches_of([best, alike])
    assert found[0].probability == found[1].probability == matches_of([best])[0].probability > COUNTS_FROM


def test_an_open_incident_is_a_report(make: Make) -> None:
    assert matches_of([hit(replace(make("one"), status=Status.OPEN))])[0].evidence.report == 1.0


def test_a_report_is_brief_and_tells_its_cause_apart(make: Make) -> None:
    def share(length: int, cause: str | None) -> float:
        return matches_of([hit(make("one", cause, description="x" * length))])[0].evidence.report

    assert share(200, "a cause") == 1
    fix = replace(make("one"), resolution=Resolution(None, (Step("restart it", None, Outcome.WORKED),)))
    nothing = replace(fix, resolution=Resolution(None))
    assert [matches_of([hit(past)])[0].evidence.report for past in (fix, nothing)] == [1, 0]
    assert share(200, None) == share(5000, "a cause") == 0
    assert 0 < share(1400, "a cause") < share(1000, "a cause") < 1


@pytest.mark.parametrize("cause", [None, "a cause"])
@pytest.mark.parametrize("length", [10, 1200, 5000])
def test_to_state_the_right_service_is_worth_more_than_none_and_another_less(
    make: Make, length: int, cause: str | None
) -> None:
    past = make("one", cause, description="x" * length, service="cart")
    half = Closeness(0.5, 0.5, 0.5, 0.5, beyond=0.3, rest=0.4)
    right, none, other = (matches_of([hit(past, half)], service=s)[0].probability for s in ("cart", None, "search"))
    assert right > none > other


def test_what_lies_between_a_report_and_a_document_is_stated_between_them() -> None:
    evidence = Evidence(0.9, 0.9, 0.3, letters=0.2, beyond=0.1, rest=0.1)
    document, between, report = (probability(replace(evidence, report=share)) for share in (0.0, 0.5, 1.0))
    assert document > between + 0.1 > report + 0.2


def test_letters_of_a_report_count_as_far_as_the_query_says_something(make: Make) -> None:
    """A word stands in anything: "timeout", all of whose letters a report holds."""

    def p(letters: float, nats: float) -> float:
        words = Closeness(letters, 0.2, 0.2, 0.2, beyond=0.1, rest=0.2)
        return matches_of([hit(make("one", "a cause"), words, asked=nats)])[0].probability

    assert p(0.2, 60.0) + 0.2 < p(0.9, 60.0) == p(0.9, 30.0)
    assert p(1.0, 4.0) < 0.3


def test_a_report_of_the_same_hour_counts_more_where_it_is_alike_beyond_its_heading(make: Make) -> None:
    def p(rest: float | None, nearness: float) -> float:
        words = Closeness(letters=0.4, heading=0.9, opening=0.9, title=0.8, beyond=0.2, rest=rest)
        return matches_of([hit(make("one", "a cause"), words, nearness=nearness, best=0.9)])[0].probability

    assert p(0.2, 1.0) == p(0.2, 0.0)
    assert p(0.5, 1.0) > p(0.5, 0.0) + 0.1
    assert p(None, 1.0) > p(None, 0.0)  # by its letters, where there are no vectors


def test_what_happens_in_the_same_hour_and_is_not_alike_gains_nothing(make: Make) -> None:
    long_ago, now = (matches_of([hit(make("one"), FAR, nearness=near)])[0].probability for near in (0.0, 1.0))
    assert now == long_ago
    echo, past = (matches_of([hit(make("one"), nearness=near)])[0].probability for near in (1.0, 0.0))
    assert echo > past


@pytest.mark.parametrize(("kind", "service"), [(FailureType.CONNECTION_POOL, None), (FailureType.OTHER, "cart")])
def test_another_failure_or_another_service_in_the_same_hour_is_no_echo(
    make: Make, kind: FailureType, service: str | None
) -> None:
    """However alike the words: the pool runs dry minutes after a certificate has expired, or on another service."""
    past = make("one", "expired TLS certificate", service="checkout")
    near, far = (matches_of([hit(past, nearness=near)], kind, service)[0].probability for near in (1.0, 0.0))
    assert near == far


def test_a_failure_type_counts_where_it_is_stated_and_a_service_where_both_name_it(make: Make) -> None:
    half = Closeness(0.5, 0.5, 0.5, 0.5)
    guessed = make("one", failure_type=FailureType.DNS, service="Checkout")
    stated = replace(guessed, failure_type_stated=True)
    plain = matches_of([hit(guessed, half)], FailureType.DNS)[0]
    assert not plain.evidence.same_failure_type
    assert matches_of([hit(stated, half)], FailureType.DNS)[0].probability > plain.probability
    assert matches_of([hit(guessed, half)], service="checkout ")[0].probability > plain.probability


def test_an_incident_without_vectors_is_judged_by_its_words(make: Make) -> None:
    words = Closeness(letters=0.9, heading=0.9, opening=0.95)
    match = matches_of([hit(make("one"), words, cosine=None, best=None, vector=None)])[0]
    assert match.evidence.lead_title is None
    assert match.probability >= COUNTS_FROM


figure = st.floats(0, 1)


@given(figure, figure, st.floats(0, 1), st.sampled_from(["letters", "opening"]))
def test_more_letters_or_more_of_the_first_sentence_never_say_less(
    letters: float, own: float, rivals: float, more: str
) -> None:
    """Whatever a rival holds; either is enough, and holding all letters says as much as holding both."""
    past = Incident("one", None, "", datetime(2026, 1, 1, tzinfo=UTC))
    rival = Hit(replace(past, id="two"), 1.0, 0.0, None, None, Closeness(opening=rivals))
    before = Closeness(letters=letters, opening=own)
    after = replace(before, **{more: min(1.0, getattr(before, more) + 0.1)})
    held = [matches_of([Hit(past, 9.0, 0.0, None, None, c), rival])[0].evidence.held for c in (before, after)]
    assert -1 <= held[0] <= held[1] + 1e-9 <= 1 + 1e-8
    full = replace(before, letters=1.0)
    assert matches_of([Hit(past, 9.0, 0.0, None, None, full), rival])[0].evidence.held == 1.0


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1) | st.none(), figure)
def test_no_evidence_for_a_match_lowers_its_probability(
    held: float, agreement: float, lead_title: float | None, nearness: float
) -> None:
    """Whatever the evidence, p lies between 0 and 1, and more of any of it never lowers it."""
    for report in (0.0, 0.5, 1.0):
        evidence = Evidence(held, agreement, lead_title, nearness, letters=held, beyond=nearness, rest=lead_title)
        _never_lower(replace(evidence, report=report))


def _never_lower(evidence: Evidence) -> None:
    p = probability(evidence)
    assert 0 <= p <= CEILING < 1
    for field in fields(Evidence):
        value = getattr(evidence, field.name)
        if value is not None and field.name != "report":
            more = True if isinstance(value, bool) else value + 0.1
            assert probability(replace(evidence, **{field.name: more})) >= p


def test_the_data_file_names_only_evidence_that_there_is() -> None:
    file = Path(__file__).parents[1] / "memory" / "probability.toml"
    known = {field.name for field in fields(Evidence)}
    for section in tomllib.loads(file.read_text(encoding="utf-8")).values():
        assert section.keys() - {"intercept"} <= known
        assert all(weight >= 0 for name, weight in section.items() if name != "intercept")


# The close look


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("P1\nCheckout is down for everybody. It began at 02:14.", "Checkout is down for everybody."),
        ("HikariPool-1 is not available, request timed out", "HikariPool-1 is not available, request timed out"),
        ("P1. Help!", "P1. Help!"),
        ("", ""),
    ],
)
def test_the_opening_is_the_first_sentence_that_says_something(text: str, first: str) -> None:
    assert opening(text).strip() == first


@pytest.mark.parametrize(
    ("text", "past", "tells"),
    [
        ("deploy failed", "Containers restart since the deploy failed", False),
        ("Incident in eu-west-1", "Slow cold starts in eu-west-1", False),
        ("HikariPool-1 timed out at checkout", "checkout: HikariPool-1 timed out", True),
    ],
)
def test_a_first_sentence_has_to_say_something_before_it_tells(make: Make, text: str, past: str, tells: bool) -> None:
    telling = {term: rarity(0.0, 0, background().term(term)) for term in terms(text)}
    look = CloseLook(text, telling, Grams(()), [Reading(make("one", title=past, description=""))], [None], [None])
    assert (look.at(0).opening > 0.75) == tells


def test_equal_texts_are_no_rivals_where_nothing_else_tells(make: Make) -> None:
    words = Closeness(letters=0.9, heading=0.9, opening=0.95)
    copies = [
        hit(
            replace(make(name), title="checkout is down", description="", resolution=None),
            words,
            best=None,
            vector=None,
        )
        for name in ("one", "two", "three")
    ]
    assert matches_of(copies)[0].probability == matches_of(copies[:1])[0].probability


def test_terms_that_stand_together_are_worth_more_than_scattered_ones() -> None:
    weights = {"redi": 2.0, "evict": 1.0, "memori": 1.0}
    filler = "something quite different happened over there " * 20
    assert best_passage(weights, terms("redis evicts memory"), 25) == 1.0
    assert best_passage(weights, terms(f"redis {filler} evicts {filler} memory"), 25) == 0.5
    assert best_passage({}, ["redis"], 25) == best_passage(weights, [], 25) == 0.0


def test_the_heading_is_embedded_and_compared_and_not_searched(make: Make) -> None:
    incident = make("one", description="word " * 400)
    texts = embedded_texts(incident)
    assert texts[1] == heading(incident)
    vectors = np.eye(len(texts), dtype=np.float32)
    of_heading = heading_vector(vectors)
    assert of_heading is not None
    assert of_heading[1] == 1
    assert searched_vectors(vectors)[:, 1].max() == 0
    assert len(searched_vectors(vectors)) == len(texts) - 1
    index = SemanticIndex(len(texts))
    index.add(0, searched_vectors(vectors), of_heading)
    index.add(1, None)
    assert (index.headings(np.array([0, 1])) @ of_heading).tolist() == [1, 0]
