"""What a user may rely on in an answer: the confidence, the runbook, the playbooks, the failure types."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentos.memory.confidence import likely_failure_type, weigh
from incidentos.memory.failure_types import LABELS, classify
from incidentos.memory.incident import FailureType, Incident, Outcome, Provenance, Resolution, Status, Step
from incidentos.memory.probability import COUNTS_FROM, Evidence, Match, probability
from incidentos.memory.recall import Hit
from incidentos.memory.record import dumps, from_record, loads
from incidentos.memory.risk import Risk, risk_of
from incidentos.memory.runbook import from_matches, limit
from incidentos.memory.samples import SAMPLE
from incidentos.memory.text import parse_step, split_steps
from incidentos.prompts.playbooks import playbook

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def match(
    p: float,
    *,
    name: str = "a",
    kind: FailureType = FailureType.DNS,
    cause: str | None = "CoreDNS throttled",
    steps: tuple[Step, ...] = (),
    provenance: Provenance = Provenance.CONFIRMED,
    status: Status = Status.RESOLVED,
    days_ago: int = 3,
) -> Match:
    at = NOW - timedelta(days=days_ago)
    resolution = Resolution(cause, steps, None, provenance) if status is Status.RESOLVED else None
    incident = Incident(
        id=name,
        title=name,
        description="",
        updated_at=at,
        created_at=at,
        resolved_at=at,
        status=status,
        failure_type=kind,
        failure_type_stated=True,
        resolution=resolution,
    )
    return Match(Hit(incident, 0.0, 0.0, None, None), Evidence(0.0, None), p)


# Confidence


@given(st.lists(st.floats(COUNTS_FROM, 1.0), min_size=1, max_size=8))
def test_confidence_follows_its_formula(ps: list[float]) -> None:
    """min(0.97, 1 − 0.8·∏(1 − pᵢ)) over the agreeing matches, to the percent."""
    verdict = weigh([match(p, name=f"i{n}") for n, p in enumerate(ps)], NOW)
    assert verdict.confidence == round(min(0.97, 1 - 0.8 * math.prod(1 - p for p in ps)), 2)


@pytest.mark.parametrize(("count", "least"), [(0, 0.20), (1, 0.60), (2, 0.85), (3, 0.85), (9, 0.85)])
def test_the_ladder_holds_as_a_floor(count: int, least: float) -> None:
    """No counting match gives 20 %, one at least 60 %, two and more at least 85 %."""
    assert weigh([match(COUNTS_FROM, name=f"i{n}") for n in range(count)], NOW).confidence >= least


def test_nothing_alike_says_so_and_names_the_closest() -> None:
    verdict = weigh([match(0.4, name="near")], NOW)
    assert verdict.confidence == 0.20
    assert verdict.leading is None
    assert "Nothing alike" in verdict.basis
    assert "near at 40%" in verdict.basis


@pytest.mark.parametrize(
    "other",
    [
        match(0.9, provenance=Provenance.INFERRED),
        match(0.9, status=Status.OPEN),
        match(0.9, cause=None),
        match(COUNTS_FROM - 0.01),
    ],
    ids=["a guess", "still open", "no cause on record", "unlikely"],
)
def test_what_is_no_evidence_never_raises_a_confidence(other: Match) -> None:
    """A guessed, open, causeless or unlikely match leaves the confidence as it was."""
    assert weigh([other], NOW).confidence == 0.20
    assert weigh([match(0.7, name="b"), other], NOW).confidence == weigh([match(0.7, name="b")], NOW).confidence


def test_disagreement_is_named_and_lowers_the_confidence() -> None:
    """The likelier hypothesis leads; the other is named with its share, and the likelier it is, the less sure the
    answer: of causes with odds 19.8 (1 − 0.8·0.2·0.3 = 0.952) and 3 the
    leading one has the share 19.8 / 23.8."""
    agreeing = [match(0.8, name="a"), match(0.7, name="b")]
    verdict = weigh([*agreeing, match(0.75, name="c", kind=FailureType.DISK)], NOW)
    assert [h.failure_type for h in verdict.hypotheses] == [FailureType.DNS, FailureType.DISK]
    assert verdict.confidence == pytest.approx(0.83, abs=0.005)
    assert weigh(agreeing, NOW).confidence == pytest.approx(0.95, abs=0.005)
    assert weigh([*agreeing, match(0.9, name="c", kind=FailureType.DISK)], NOW).confidence < verdict.confidence
    assert "disk exhaustion: 44% of the weight" in verdict.basis


def test_another_cause_of_the_same_type_is_named_in_its_own_words() -> None:
    """That two disagree says nothing where both are called by the same name."""
    other = "Retries of a slow provider held each session"
    theirs = match(0.7, name="c", cause=other, kind=FailureType.CONNECTION_POOL)
    theirs = replace(theirs, hit=replace(theirs.hit, incident=replace(theirs.incident, failure_type_stated=False)))
    verdict = weigh([match(0.8, kind=FailureType.CONNECTION_POOL), theirs], NOW)
    assert len(verdict.hypotheses) == 2
    assert f"({other}: " in verdict.basis


@given(st.floats(0, 2), st.floats(-1, 1) | st.none(), st.booleans(), st.booleans())
def test_a_probability_is_one_and_grows_with_the_evidence(
    lexical: float, best: float | None, same_type: bool, same_service: bool
) -> None:
    """Whatever the evidence, p lies between 0 and 1, and more evidence never lowers it."""
    p = probability(Evidence(lexical, best, same_failure_type=same_type, same_service=same_service))
    assert 0 <= p <= 1
    assert probability(Evidence(lexical + 0.1, best, same_failure_type=True, same_service=True)) >= p


def test_an_incident_without_a_type_takes_that_of_its_likely_matches() -> None:
    assert likely_failure_type(FailureType.OTHER, [match(0.3), match(0.1, kind=FailureType.DISK)]) is FailureType.DNS
    assert likely_failure_type(FailureType.OTHER, [match(0.05)]) is FailureType.OTHER
    scattered = [match(0.2, kind=kind) for kind in (FailureType.DNS, FailureType.DNS, *FailureType)]
    assert likely_failure_type(FailureType.OTHER, scattered) is FailureType.OTHER
    assert likely_failure_type(FailureType.CPU, [match(0.5)]) is FailureType.CPU


# Runbook

CHECK = Step("Count sessions by state", "psql -h pg-1 -c 'SELECT state, count(*) FROM pg_stat_activity GROUP BY 1'")
RESTART = Step("Restart the pods", "kubectl rollout restart deployment/auth")
DELETE = Step("Delete the oldest logs", "rm -rf /var/log/app/old")


def did(step: Step, outcome: Outcome, host: str | None = None) -> Step:
    command = step.command.replace("pg-1", host) if step.command and host else step.command
    return Step(step.text, command, outcome)


def test_the_same_step_said_twice_is_one_action_with_both_outcomes() -> None:
    """Worked 1 of 2, both incidents cited, the last success dated; another host's name makes no other step of it."""
    actions = from_matches(
        [
            match(0.9, name="x", steps=(did(CHECK, Outcome.WORKED), did(RESTART, Outcome.FAILED)), days_ago=2),
            match(0.8, name="y", steps=(did(CHECK, Outcome.WORKED, "pg-2"), did(RESTART, Outcome.WORKED)), days_ago=9),
        ]
    )
    assert [(a.command, a.worked, a.failed, a.sources) for a in actions] == [
        (CHECK.command, 2, 0, ("x", "y")),
        (RESTART.command, 1, 1, ("x", "y")),
    ]
    assert actions[1].last_worked_at == NOW - timedelta(days=9)


def test_a_number_makes_another_step_of_a_command() -> None:
    """0 replicas and 10 replicas are never merged."""
    steps = [Step(f"Scale to {n}", f"kubectl -n shop scale deployment/api --replicas={n}") for n in (0, 10)]
    assert len(from_matches([match(0.9, name=str(i), steps=(s,)) for i, s in enumerate(steps)])) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kubectl describe pod api-1 -n shop", "kubectl delete pod api-1 -n shop"),
        ("kubectl get pvc data-0 -n db", "kubectl delete pvc data-0 -n db"),
        ("terraform plan -var-file x", "terraform destroy -var-file x"),
        ("find /var/log -name '*.gz'", "find /var/log -name '*.gz' -delete"),
        ("kubectl rollout pause deploy/x", "kubectl rollout resume deploy/x"),
        ("kubectl cordon node-1", "kubectl uncordon node-1"),
        ("iptables -A INPUT -s 10.0.0.1 -j DROP", "iptables -D INPUT -s 10.0.0.1 -j DROP"),
        ("kubectl set env deploy/x FLAG=true", "kubectl set env deploy/x FLAG=false"),
        ("psql $STAGING -c 'VACUUM'", "psql $PROD -c 'VACUUM'"),
        ("redis-cli INFO keyspace", "redis-cli INFO replication"),
    ],
)
def test_steps_that_are_merely_alike_stay_apart(one: str, other: str) -> None:
    """Another verb, option, value or target is another step, and brings no success to this one."""
    steps = [(Step("Do it", command, Outcome.WORKED),) for command in (one, other)]
    actions = from_matches([match(0.9, name=str(i), steps=its) for i, its in enumerate(steps)])
    assert sorted(a.command or "" for a in actions) == sorted([one, other])
    assert all(a.worked == 1 for a in actions)


def test_words_that_say_the_opposite_stay_apart() -> None:
    steps = [(Step("Restart the primary"),), (Step("Do not restart the primary"),)]
    assert len(from_matches([match(0.9, name=str(i), steps=its) for i, its in enumerate(steps)])) == 2


def test_types_that_were_only_guessed_from_words_prove_no_agreement() -> None:
    """Two causes that have nothing in common are two hypotheses, even where both descriptions speak of timeouts."""
    causes = ("Alpha widget wobble", "Gremlins nibbled on the fibre")
    matches = []
    for number, cause in enumerate(causes):
        one = match(0.8, name=str(number), kind=FailureType.LATENCY, cause=cause)
        guessed = replace(one.incident, failure_type_stated=False)
        matches.append(replace(one, hit=replace(one.hit, incident=guessed)))
    assert len(weigh(matches, NOW).hypotheses) == 2


def test_checks_come_first_then_what_works_and_the_destructive_last() -> None:
    actions = from_matches(
        [match(0.9, steps=(did(DELETE, Outcome.WORKED), did(RESTART, Outcome.WORKED), did(CHECK, Outcome.WORKED)))]
    )
    assert [a.risk for a in actions] == [Risk.READ_ONLY, Risk.REVERSIBLE, Risk.DESTRUCTIVE]


def test_a_step_that_only_failed_is_named_and_loses_its_command() -> None:
    """Nobody runs in passing what never helped."""
    action = from_matches([match(0.9, steps=(did(RESTART, Outcome.FAILED),))])[0]
    assert action.command is None
    assert action.action.startswith("Skip (failed once)")


def test_a_guessed_resolution_brings_no_step() -> None:
    assert from_matches([match(0.9, steps=(CHECK,), provenance=Provenance.INFERRED)]) == []


def test_a_long_runbook_keeps_what_worked_and_what_failed() -> None:
    steps = [
        Step(f"Change option number{n} of service{n}", f"kubectl set env deploy/s{n} OPTION{n}=on") for n in range(30)
    ]
    steps += [did(RESTART, Outcome.FAILED)]
    kept = limit(from_matches([match(0.9, steps=tuple(steps))]))
    assert 1 < len(kept) <= 12
    assert kept[-1].only_failed


# Playbooks


@pytest.mark.parametrize("kind", FailureType)
def test_every_failure_type_has_a_playbook_that_can_be_trusted(kind: FailureType) -> None:
    """Checks first and truly read-only by our own reading, reversible before destructive, each change with a way
    back, then what to watch, then prevention."""
    book = playbook(kind)
    assert book.failure_type is kind
    assert len(book.mechanism) > 100
    assert len(book.prevention) > 40
    assert len(book.checks) >= 4
    assert len(book.mitigations) >= 4
    assert len(book.watch) >= 2
    for action in (*book.checks, *book.watch):
        assert action.risk is Risk.READ_ONLY
        assert risk_of(action.command, action.action) is not Risk.DESTRUCTIVE, action.command
    for action in book.mitigations:
        assert action.risk is not Risk.READ_ONLY
        assert action.undo
        if risk_of(action.command) is Risk.DESTRUCTIVE:
            assert action.risk is Risk.DESTRUCTIVE, action.command
    risks = [action.risk for action in book.mitigations]
    assert risks == sorted(risks, key=lambda risk: risk is Risk.DESTRUCTIVE)
    for action in book.actions:
        assert action.expect
        for filler in ("check your logs", "it appears", "contact your"):
            assert filler not in f"{action.action} {action.expect}".lower()


# Failure types


def test_every_failure_type_has_a_name() -> None:
    assert set(LABELS) == set(FailureType)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            "DB connection pool at 95%, API p99 latency at 6.2s, auth service returning 503s",
            FailureType.CONNECTION_POOL,
        ),
        ("HikariPool-1 - Connection is not available, request timed out after 30000ms", FailureType.CONNECTION_POOL),
        ("x509: certificate has expired or is not yet valid", FailureType.CERTIFICATE),
        ("write /data/wal: no space left on device", FailureType.DISK),
        ("pods OOMKilled, exit code 137, RSS climbs 40 MB an hour", FailureType.MEMORY),
        ("SERVFAIL for every external name, CoreDNS restarts", FailureType.DNS),
        ("nf_conntrack: table full, dropping packet", FailureType.NETWORK),
        ("CrashLoopBackOff right after the rollout of v2.41", FailureType.DEPLOYMENT),
        ("502 from the ALB: no healthy hosts in the target group", FailureType.LOAD_BALANCER),
        ("Redis evictions climb, cache hit rate falls to 30%", FailureType.CACHE),
        ("the payment provider's status page says major outage", FailureType.THIRD_PARTY),
        ("we are looking into it", FailureType.OTHER),
        ("", FailureType.OTHER),
    ],
)
def test_words_name_their_failure_type(text: str, kind: FailureType) -> None:
    assert classify(text, "") is kind


# Sample memory


def test_the_sample_is_fictional_complete_and_marked_so() -> None:
    """At least 60 incidents, at least four of each failure type, each with a cause, steps and a mark."""
    incidents = [
        from_record({"updated_at": "2026-01-01", **json.loads(line)})
        for line in SAMPLE.read_text(encoding="utf-8").splitlines()
    ]
    assert len(incidents) >= 60
    for kind in FailureType:
        assert sum(i.failure_type is kind for i in incidents) >= 4
    for incident in incidents:
        assert "fictional" in (incident.source or "")
        assert incident.resolution is not None
        assert incident.resolution.root_cause
        assert len(incident.resolution.steps) >= 2
    assert len({i.id for i in incidents}) == len(incidents)


# Steps as people write them


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("1. Restart it: `kubectl rollout restart deploy/x`", "kubectl rollout restart deploy/x"),
        ("$ df -h /data", "df -h /data"),
        ("kubectl get pods -n shop", "kubectl get pods -n shop"),
        ("Kubectl was upgraded by the platform team.", None),
        ("Compared `a` with `b`", None),
        ("git blame told us who had changed it.", None),
    ],
)
def test_a_command_is_told_apart_where_it_is_marked(text: str, command: str | None) -> None:
    assert parse_step(text, Outcome.WORKED).command == command


def test_a_mitigation_in_one_text_becomes_steps() -> None:
    steps = split_steps("- Scaled up\n- Restarted\n\n* Cleared the cache", Outcome.UNKNOWN)
    assert [step.text for step in steps] == ["Scaled up", "Restarted", "Cleared the cache"]


def test_a_record_survives_its_json_form() -> None:
    incident = match(0.9, steps=(CHECK, did(RESTART, Outcome.FAILED))).incident

    assert loads(dumps(incident)) == incident
