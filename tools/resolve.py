"""resolve_incident: what the cause was, what worked and what failed."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import anyio.to_thread
from pydantic import AfterValidator, Field

from ..memory.failure_types import LABELS
from ..memory.incident import FailureType, Outcome
from ..memory.ports import KeptPrediction
from ..memory.text import parse_step
from .base import MAX_STEP, MAX_STEPS, MAX_TEXT, Answer, Arguments, Desk, IncidentId, Progress, Text, Tool
from .shapes import instant, one_line, step_lines


def _not_blank(steps: list[str]) -> list[str]:
    if not all(steps):
        raise ValueError("a step must not be empty")
    return steps


Steps = Annotated[
    list[Annotated[Text, Field(max_length=MAX_STEP)]], Field(max_length=MAX_STEPS), AfterValidator(_not_blank)
]


class ResolveIncident(Arguments):
    incident_id: IncidentId
    root_cause: Annotated[Text, Field(min_length=1, max_length=MAX_TEXT, description="What really caused it.")]
    mitigation_steps: Annotated[
        Steps, Field(min_length=1, description="What worked, in order, one step each; commands in `backticks`.")
    ]
    failed_steps: Annotated[Steps, Field(description="What was tried and did not help.")] = []
    prevention: Annotated[Text | None, Field(max_length=MAX_TEXT, description="The change that prevents it.")] = None
    analysis_was_right: Annotated[
        bool | None, Field(description="Whether the analysis named this cause; omit if unsure.")
    ] = None


class Receipt(Answer):
    incident_id: str
    status: Literal["open", "resolved"]
    revision: int
    amended: bool
    root_cause: str
    mitigation_steps: list[str]
    failure_type: str
    prevention: str | None = None
    resolved_at: str | None = None
    analysis_was_right: bool | None = None
    earlier_analysis: str | None = None
    hindsight: str

    def as_text(self) -> str:
        done = "amended (the earlier version is kept in its history)" if self.amended else "resolved"
        lines = [
            f"Incident {self.incident_id} is {done}, revision {self.revision}, on disk.",
            f"Root cause: {self.root_cause}",
            f"Failure type: {self.failure_type}",
            *(f"- {step}" for step in self.mitigation_steps),
        ]
        if self.prevention:
            lines.append(f"Prevention: {self.prevention}")
        if self.earlier_analysis:
            lines.append(self.earlier_analysis)
        lines.append(f"Hindsight: {self.hindsight}")
        return "\n".join(lines)


async def run(desk: Desk, arguments: ResolveIncident, progress: Progress) -> Receipt:
    """Store the resolution and read it back."""
    steps = [
        *(parse_step(step, Outcome.WORKED) for step in arguments.mitigation_steps),
        *(parse_step(step, Outcome.FAILED) for step in arguments.failed_steps),
    ]
    incident, amended = await anyio.to_thread.run_sync(
        partial(
            desk.memory.resolve,
            arguments.incident_id,
            arguments.root_cause,
            steps,
            arguments.prevention or None,
            arguments.analysis_was_right,
        )
    )
    predicted = await anyio.to_thread.run_sync(desk.memory.learning.prediction_of, incident.id)
    return Receipt(
        incident_id=incident.id,
        status=incident.status.value,
        revision=incident.revision,
        amended=amended,
        root_cause=one_line(incident.root_cause or ""),
        mitigation_steps=step_lines(incident, most=2 * MAX_STEPS),
        failure_type=incident.failure_type.value,
        prevention=one_line(incident.resolution.prevention)
        if incident.resolution and incident.resolution.prevention
        else None,
        resolved_at=instant(incident.resolved_at),
        analysis_was_right=predicted.judgment.right if predicted and predicted.judgment else None,
        earlier_analysis=_came_out(predicted) if predicted else None,
        hindsight=await _standing(desk, incident.id),
    )


async def _standing(desk: Desk, incident_id: str) -> str:
    if desk.shared is None:
        return "not connected; kept in the outbox of this machine"
    return await anyio.to_thread.run_sync(desk.shared.standing, incident_id)


def _came_out(predicted: KeptPrediction) -> str:
    """How the earlier analysis came out, in a sentence."""
    said, judgment = predicted.prediction, predicted.judgment
    if said.root_cause is None:
        return "The analysis had found nothing alike and named no cause: it counts neither as right nor as wrong."
    cause = LABELS[said.failure_type] if said.failure_type is not FailureType.OTHER else one_line(said.root_cause, 120)
    told = f"The analysis had said {cause.rstrip('.')} at {said.confidence:.0%}: "
    if judgment is None:
        return f"{told}not judged, since the failure types do not tell and no embedding model is ready."
    verdict = "right" if judgment.right else "wrong"
    return told + (f"{verdict}, as you say." if judgment.by == "resolver" else f"{verdict}, by {judgment.by}.")


TOOL = Tool(
    name="resolve_incident",
    title="Resolve an incident",
    description=(
        "Store how an incident ended: the root cause as found, the steps that worked and those that failed. Later "
        "answers rest on it, so be exact. Calling it again amends the record; the history is kept."
    ),
    arguments=ResolveIncident,
    answer=Receipt,
    run=run,
    read_only=False,
    idempotent=False,
)
