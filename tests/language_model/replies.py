"""A typical case, replies of a language model to it, and what the checks make of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from incidentos.memory.confidence import Hypothesis
from incidentos.memory.incident import FailureType, Incident, Outcome, Provenance, Resolution, Status, Step
from incidentos.memory.probability import Evidence as Weighed
from incidentos.memory.probability import Match
from incidentos.memory.recall import Hit
from incidentos.memory.runbook import from_matches, limit
from incidentos.prompts.evidence import Draft, evidence_of
from incidentos.prompts.grounding import Checked, check
from incidentos.prompts.playbooks import playbook
from incidentos.prompts.reply import Reply

COUNT = Step("Count sessions by state", "psql -h pg-1 -c 'SELECT state, count(*) FROM pg_stat_activity GROUP BY 1'")
TIMEOUT = Step("Set idle_in_transaction_session_timeout to 30 s", "psql -h pg-1 -c \"ALTER SYSTEM SET x = '30s'\"")
KILL = Step("Terminate idle sessions", "psql -h pg-1 -c 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity'")
RESTART = Step(
    "Rolling restart of auth-service: full again after 9 minutes", "kubectl -n shop rollout restart deploy/auth"
)
CALL = Step("Call the on-call person of the payments team", None)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)  # a figure of the evidence, so none that depends on the time of testing
CAUSE = "a leaked transaction keeps the connections of the pool"


def past(name: str, *steps: tuple[Step, Outcome], **fields: Any) -> Match:
    resolution = Resolution(
        fields.pop("cause", CAUSE),
        tuple(replace(step, outcome=outcome) for step, outcome in steps),
        "Set leakDetectionThreshold=10000",
        fields.pop("provenance", Provenance.CONFIRMED),
    )
    incident = Incident(
        id=name,
        title="auth pool exhausted",
        description="HikariPool-1 waits 30000ms",
        updated_at=AT,
        status=Status.RESOLVED,
        resolution=resolution,
        failure_type=FailureType.CONNECTION_POOL,
        failure_type_stated=True,
        **fields,
    )
    return Match(Hit(incident, 0.0, 0.0, None, None), Weighed(0.0, None), 0.9)


W, F = Outcome.WORKED, Outcome.FAILED
MATCHES = (
    past("inc-1", (COUNT, W), (TIMEOUT, W), (RESTART, F), (CALL, W)),
    past("inc-2", (COUNT, W), (KILL, W), (TIMEOUT, W)),
)


def draft(matches: tuple[Match, ...] = MATCHES, **fields: Any) -> Draft:
    incident = Incident(
        id="now", title="auth pool at 95%", description="503 since 02:10, p99 6.2s", updated_at=AT, service="auth"
    )
    leading = Hypothesis(CAUSE, FailureType.CONNECTION_POOL, matches) if matches else None
    given: dict[str, Any] = {
        "incident": incident,
        "opening": "" if leading else "No similar incident in memory.",
        "confidence": 0.91 if leading else 0.2,
        "leading": leading,
        "others": (),
        "matches": matches,
        "actions": tuple(limit(from_matches(matches))) if matches else playbook(FailureType.CONNECTION_POOL).actions,
        "book": playbook(FailureType.CONNECTION_POOL),
        "prevention": "Set leakDetectionThreshold=10000",
        **fields,
    }
    return Draft(**given)


def step(of: Step | None = None, **fields: Any) -> dict[str, Any]:
    given = {"action": of.text if of else "Look", "command": (of.command if of else None) or "", "expect": ""}
    return {**given, "risk": "read-only", "sources": ["inc-1"], **fields}


TYPICAL = draft()
TOLD = evidence_of(TYPICAL)


def checked(about: Draft = TYPICAL, **fields: Any) -> Checked:
    said = {
        "hypothesis": "a transaction that auth leaks and that keeps the pool's connections",
        "why": "Sessions stay idle in transaction, so requests wait 30000ms and end as 503.",
        "steps": [step(COUNT), step(TIMEOUT)],
        "prevention": "Set leakDetectionThreshold=10000 in the pool of auth.",
        **fields,
    }
    return check(Reply.model_validate(said), about, TOLD if about is TYPICAL else evidence_of(about))


def actions(result: Checked) -> list[Any]:
    assert result.written is not None, result.faults
    return list(result.written.actions)
