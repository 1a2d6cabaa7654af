"""What a person on call may rely on in the steps of an answer: whose they are, how old, how long, and what to see first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidentos.memory.confidence import weigh
from incidentos.memory.failure_types import classify
from incidentos.memory.incident import FailureType, Incident, Outcome, Resolution, Status, Step
from incidentos.memory.memory import IncidentMemory, Recalled
from incidentos.memory.probability import Evidence, Match
from incidentos.memory.recall import Hit
from incidentos.memory.risk import Risk
from incidentos.memory.runbook import MAX_COMMAND
from incidentos.prompts.playbooks import playbook
from incidentos.tools.analyze import Analysis, Past, compose, draft_of, look_back

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LOOK = Step("Read the counters of redis-1", "redis-cli -h redis-1 INFO stats", Outcome.WORKED)
FLUSH = Step("Flush redis-1", "redis-cli -h redis-1 FLUSHALL", Outcome.WORKED)


def match(p: float, *steps: Step, name: str = "a", service: str = "cart", days_ago: int = 3, **fields: Any) -> Match:
    at = NOW - timedelta(days=days_ago)
    given: dict[str, Any] = {
        "failure_type": FailureType.CACHE,
        "resolution": Resolution("no TTL on carts", steps),
        **fields,
    }
    incident = Incident(
        id=name, title=name, description="", updated_at=at, created_at=at, resolved_at=at, status=Status.RESOLVED,
        service=service, failure_type_stated=True, **given,
    )  # fmt: skip
    return Match(Hit(incident, 0.0, 0.0, None, None), Evidence(0.0, None), p)


def answer(*matches: Match, service: str | None = "cart", kind: FailureType = FailureType.CACHE) -> Analysis:
    incident = Incident(
        id="now", title="t", description="", updated_at=NOW, created_at=NOW, service=service, failure_type=kind
    )
    recalled = Recalled(matches, ())
    verdict, past = weigh(matches, NOW), Past(None, {}, NOW)
    return compose(draft_of(incident, recalled, verdict, past), False, recalled, verdict, past)


def test_checks_that_were_run_on_the_same_service_stand_before_the_playbooks() -> None:
    """Too unlike to count, but of the same service and type: its look is shown first, and nothing that changes."""
    actions = answer(match(0.4, LOOK, FLUSH)).suggested_actions
    assert (actions[0].command, actions[0].sources) == (LOOK.command, ["a"])
    assert not any(action.command == FLUSH.command for action in actions)
    assert actions[1].sources == ["playbook:cache-failure"]


@pytest.mark.parametrize(
    "other",
    [
        match(0.4, LOOK, service="auth"),
        match(0.4, LOOK, failure_type=FailureType.DISK),
        match(0.1, LOOK),
        match(0.4, replace(LOOK, outcome=Outcome.FAILED)),
    ],
    ids=["another service", "another type", "too unlikely", "a check that failed"],
)
def test_other_incidents_bring_no_check(other: Match) -> None:
    actions = answer(other).suggested_actions
    assert all(action.sources == ["playbook:cache-failure"] for action in actions)


def test_a_step_of_another_service_says_where_it_was_run() -> None:
    """Its names, hosts and namespaces are those of that service."""
    action = answer(match(0.9, LOOK), service="auth").suggested_actions[0]
    assert action.run_on == ["cart"]
    assert "as run on cart" in action.as_text(1)
    assert answer(match(0.9, LOOK), service="CART").suggested_actions[0].run_on == []


def test_an_old_change_asks_whether_what_it_names_is_still_there() -> None:
    step = Step("Roll back", "helm rollback cart 7", Outcome.WORKED)
    told = [answer(match(0.9, step, days_ago=days)).suggested_actions for days in (400, 30)]
    old, fresh = (next(a.record for a in actions if a.sources == ["a"]) for actions in told)
    assert old.startswith("worked 1 of 1, last 400 days ago (old:")
    assert fresh == "worked 1 of 1, last 30 days ago"


def test_a_script_is_named_and_never_cut() -> None:
    """Half of a script is dangerous."""
    script = "\n".join(f"echo {n}" for n in range(MAX_COMMAND))
    action = next(
        a for a in answer(match(0.9, Step("Run it", script, Outcome.WORKED))).suggested_actions if a.sources == ["a"]
    )
    assert action.command is None
    assert "incident://a" in action.action


def test_a_destructive_step_says_first_what_to_see() -> None:
    """In the text, too: the check, then the step, then that there is no way back."""
    action = next(a for a in answer(match(0.9, FLUSH)).suggested_actions if a.command == FLUSH.command)
    text = action.as_text(1)
    assert action.risk == "destructive"
    assert text.index("INFO keyspace") < text.index("then:") < text.index("FLUSHALL") < text.index("No way back")


@pytest.mark.parametrize("kind", FailureType)
def test_an_answer_from_a_playbook_can_be_read_in_one_go(kind: FailureType) -> None:
    """At most seven steps and 6,000 characters; every destructive one has its way back, every placeholder is listed."""
    told = answer(kind=kind)
    assert len(told.suggested_actions) <= 7
    assert len(told.as_text()) <= 6_000
    for action in told.suggested_actions:
        assert action.risk != "destructive" or action.way_back
        assert all(
            f"<{name}" not in (action.command or "") or action.placeholders for name in ("namespace", "pod", "db-host")
        )


def test_a_playbook_names_the_service_where_that_is_safe() -> None:
    """A plain name only: what could be shell syntax stays a placeholder."""
    assert "deployment/cart-api " in f"{playbook(FailureType.MEMORY, 'cart-api').mitigations[0].command} "
    for name in ("cart; rm -rf /", "$(id)", "a b", "", "-x", "cart\n"):
        assert playbook(FailureType.MEMORY, name) == playbook(FailureType.MEMORY)
    assert all(a.risk is Risk.READ_ONLY for a in playbook(FailureType.MEMORY, "cart").checks)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("QueuePool limit of size 15 overflow 10 reached, connection timed out", FailureType.CONNECTION_POOL),
        ("getaddrinfo EAI_AGAIN for every external host", FailureType.DNS),
        ("PersistentVolume is filling up", FailureType.DISK),
        ("Container api in shop is being throttled", FailureType.CPU),
        ("Patroni is down, PostgreSQL is probably down there as well", FailureType.DATABASE),
        ("worker exits with 137 every 40 minutes", FailureType.MEMORY),
        ("502 for half of the requests since the ingress change", FailureType.LOAD_BALANCER),
        ("an engineer's typo in the routing table of the backbone", FailureType.NETWORK),
        ("the volume of ingress traffic is as always", FailureType.OTHER),
        ("an Active Directory security group controls who may log in", FailureType.OTHER),
    ],
)
def test_words_of_alerts_and_postmortems_name_their_type(text: str, kind: FailureType) -> None:
    assert classify(None, text) is kind


def test_where_nothing_is_alike_it_says_what_was_looked_for(
    open_memory: Callable[..., IncidentMemory], incident: Callable[..., Incident]
) -> None:
    memory = open_memory()
    memory.import_batch([incident("a1", description="HikariPool-1 is empty"), incident("a2", "disk full")], embed=False)
    opened, _ = memory.open_incident("Gift cards print upside down", "500 customers in Brazil")
    recalled = memory.find(opened.text, 12, about=opened)
    verdict = weigh(recalled.matches, NOW)
    past = look_back(memory, opened, recalled, verdict, NOW)
    answer = compose(draft_of(opened, recalled, verdict, past), False, recalled, verdict, past)
    assert answer.confidence == 0.2
    looked_for = answer.confidence_basis.partition("Looked for ")[2]
    assert "Brazil" in looked_for
    assert "500" not in looked_for
    assert looked_for.endswith("among 2 other incidents.")
