"""analyze_incident: what is this, how sure is that, and what to do now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field

from ..memory.confidence import FLOOR, Verdict, likely_failure_type, weigh
from ..memory.failure_types import LABELS
from ..memory.incident import FailureType, Incident, utcnow
from ..memory.memory import Recalled
from ..memory.ports import Prediction
from ..memory.probability import COUNTS_FROM, Match
from ..memory.risk import Risk
from ..memory.runbook import Action, from_matches, limit
from ..prompts.playbooks import Playbook, playbook
from .base import MAX_DESCRIPTION, MAX_TITLE, Answer, Arguments, Desk, Progress, ShortText, Text, Tool, recall_beside
from .shapes import SimilarIncident, degraded_lines, instant, one_line

RECALLED = 12
"""Matches that are weighed. Beyond a dozen, one more agreeing incident no longer moves the confidence."""

SHOWN = 5
"""Matches that are shown."""

FEW = 3
"""A runbook with fewer useful actions than this is topped up from the playbook."""


class AnalyzeIncident(Arguments):
    title: Annotated[Text, Field(min_length=1, max_length=MAX_TITLE, description="The alert in a line.")]
    description: Annotated[
        Text, Field(max_length=MAX_DESCRIPTION, description="Errors, metrics, log lines, recent changes.")
    ] = ""
    service: Annotated[ShortText | None, Field(description="The affected service.")] = None
    severity: Annotated[ShortText | None, Field(description="E.g. SEV1, P2, critical.")] = None


class SuggestedAction(BaseModel):
    model_config = ConfigDict(frozen=True)

    action: str
    command: str | None = None
    risk: Literal["read-only", "reversible", "destructive"]
    sources: list[str]
    worked: int = 0
    failed: int = 0
    last_worked_at: str | None = None

    @classmethod
    def of(cls, action: Action) -> SuggestedAction:
        """The shape of a runbook's action; what to expect and how to undo it become part of the sentence."""
        text = one_line(action.action, 600)
        told = f"`{one_line(action.command, 600)}`" if action.command else None
        if told and text.endswith(told):  # it stands on a line of its own
            text = text.removesuffix(told).rstrip(" :") or text
        if action.expect:
            text += f" Expect: {action.expect}"
        if action.undo:
            text += f" Undo: {action.undo}"
        return cls(
            action=text,
            command=action.command,
            risk=action.risk.value,
            sources=list(action.sources),
            worked=action.worked,
            failed=action.failed,
            last_worked_at=instant(action.last_worked_at),
        )

    def as_text(self, number: int) -> str:
        """The action as a numbered step."""
        lines = [f"{number}. [{self.risk}] {self.action}"]
        if self.command:
            lines += [f"   $ {line}" for line in self.command.splitlines()]
        lines.append(f"   {self.record} — {', '.join(self.sources)}")
        return "\n".join(lines)

    @property
    def record(self) -> str:
        """How the action did so far, in words."""
        tried = self.worked + self.failed
        if not tried:
            past = [source for source in self.sources if not source.startswith("playbook:")]
            return "taken before, outcome not recorded" if past else "from the playbook, untried here"
        last = f", last on {self.last_worked_at[:10]}" if self.last_worked_at else ""
        return f"worked {self.worked} of {tried}{last}"


class Analysis(Answer):
    incident_id: str
    status: Literal["open", "resolved"]
    duplicate_of: str | None = None
    ai_analysis: str
    root_cause: str | None = None
    confidence: Annotated[float, Field(ge=0, le=1)]
    confidence_basis: str
    suggested_actions: list[SuggestedAction]
    prevention: str | None = None
    similar_past_incidents: list[SimilarIncident]
    engine: str
    degraded: list[str] = []

    def as_text(self) -> str:
        repeat = (
            f"\nIt repeats the open incident {self.duplicate_of}; nothing new was stored." if self.duplicate_of else ""
        )
        parts = [f"{self.ai_analysis}\nWhy {self.confidence:.0%}: {self.confidence_basis}{repeat}"]
        if self.suggested_actions:
            steps = (action.as_text(number) for number, action in enumerate(self.suggested_actions, 1))
            parts.append("Runbook\n" + "\n".join(steps))
        if self.prevention:
            parts.append(f"To prevent recurrence: {self.prevention}")
        if self.similar_past_incidents:
            cited = {source for action in self.suggested_actions for source in action.sources}
            alike = (m.as_text(steps=m.incident_id not in cited) for m in self.similar_past_incidents)
            parts.append("Similar past incidents\n" + "\n".join(alike))
        parts.append(
            "\n".join(
                [
                    *degraded_lines(self.degraded),
                    f"Incident {self.incident_id} is {self.status} (answered by {self.engine}). When it is over, call "
                    f"resolve_incident with incident_id={self.incident_id!r}, what the cause was, and which steps "
                    "worked and which failed.",
                ]
            )
        )
        return "\n\n".join(parts)


async def run(desk: Desk, arguments: AnalyzeIncident, progress: Progress) -> Analysis:
    """Store, recall, weigh, write the runbook, remember what was predicted."""
    memory = desk.memory
    incident, repeated = await anyio.to_thread.run_sync(
        partial(memory.open_incident, arguments.title, arguments.description, arguments.service, arguments.severity)
    )
    await progress(1, 3, f"stored as {incident.id}" if not repeated else f"repeats {incident.id}")
    find = partial(memory.find, incident.text, RECALLED, about=incident, explained=SHOWN)
    recalled = await recall_beside(desk, incident.text, find, widen=True)
    await progress(2, 3, f"recalled {len(recalled.matches)} incidents")
    now = utcnow()
    own = weigh(recalled.matches, now)
    verdict = (await anyio.to_thread.run_sync(memory.learning.recalibration)).recalibrate(own)
    analysis = compose(incident, repeated, recalled, verdict)
    prediction = _prediction(incident, recalled, verdict, own.confidence, now)
    await anyio.to_thread.run_sync(memory.learning.remember, prediction)
    await progress(3, 3, "answered")
    return analysis


def compose(incident: Incident, repeated: bool, recalled: Recalled, verdict: Verdict) -> Analysis:
    """The memory's own answer, in words and steps; no language model has a part in it."""
    leading = verdict.leading
    if leading is not None:
        book = playbook(leading.failure_type)
        actions = limit(from_matches([*leading.matches, *_without_cause(recalled.matches)]))
        if len([action for action in actions if not action.only_failed]) < FEW:
            actions = _with_checks(actions, book)
        headline = _headline(verdict)
        prevention = next((p for match in leading.matches if (p := _prevention(match))), book.prevention)
    else:
        kind = likely_failure_type(incident.failure_type, recalled.matches)
        book = playbook(kind)
        taken = limit(from_matches(_without_cause(recalled.matches)))
        # All of a playbook is more than a person reads at once: the first of each part, which come in that order.
        changes = _first_with_last(book.mitigations, 4)
        actions = [*_with_checks(taken, book, 4), *changes, *book.watch[:1]]
        headline = _no_history(incident, kind, recalled.matches, book)
        prevention = book.prevention
    return Analysis(
        incident_id=incident.id,
        status=incident.status.value,
        duplicate_of=incident.id if repeated else None,
        ai_analysis=headline,
        root_cause=None if leading is None else one_line(leading.summary, 1000),
        confidence=verdict.confidence,
        confidence_basis=verdict.basis,
        suggested_actions=[SuggestedAction.of(action) for action in actions],
        prevention=prevention,
        similar_past_incidents=[SimilarIncident.of(match) for match in recalled.matches[:SHOWN]],
        engine="memory",
        degraded=list(recalled.degraded),
    )


def _with_checks(actions: list[Action], book: Playbook, most: int = 2) -> list[Action]:
    """The actions with the playbook's first checks behind their own, before anything that changes something."""
    own = [action for action in actions if action.risk is Risk.READ_ONLY and not action.only_failed]
    rest = [action for action in actions if action not in own]
    return [*own, *book.checks[:most], *rest]


def _first_with_last(actions: Sequence[Action], most: int) -> list[Action]:
    """The first actions and the last one: the last resort of a playbook is what people reach for unasked, so it is
    better shown with its check and its price."""
    return [*actions] if len(actions) <= most else [*actions[: most - 1], actions[-1]]


def _without_cause(matches: tuple[Match, ...]) -> list[Match]:
    """Likely matches whose source named a fix but no cause: they bear no confidence, but their steps were taken."""
    return [
        match
        for match in matches
        if match.probability >= COUNTS_FROM
        and match.incident.resolution is not None
        and match.incident.root_cause is None
    ]


def _headline(verdict: Verdict) -> str:
    leading = verdict.hypotheses[0]
    count = len(leading.matches)
    text = (
        f"Based on {count} similar past incident{'' if count == 1 else 's'}, root cause is "
        f"{one_line(leading.summary, 700)}. Confidence: {verdict.confidence:.0%}."
    )
    if len(verdict.hypotheses) > 1:
        text += f" If the checks rule that out, next in line: {one_line(verdict.hypotheses[1].summary, 300)}."
    return text


def _no_history(incident: Incident, kind: FailureType, matches: tuple[Match, ...], book: Playbook) -> str:
    closest = matches[0] if matches else None
    if closest is None or closest.probability < COUNTS_FROM:
        parts = ["No similar incident in memory."]
    else:
        count = sum(match.probability >= COUNTS_FROM for match in matches)
        alike = "1 similar past incident is" if count == 1 else f"{count} similar past incidents are"
        parts = [f"{alike} in memory, but none with a confirmed root cause."]
    if closest is not None and closest.probability >= FLOOR:
        label = one_line(closest.incident.label, 120).rstrip(".")
        parts.append(f"The closest is {closest.incident.id} ({closest.probability:.0%}): {label}.")
    if kind is FailureType.OTHER:
        parts.append("The words name no known failure type; the general playbook follows.")
    elif kind is incident.failure_type:
        parts.append(f"By its words this is {LABELS[kind]}; the playbook for it follows.")
    else:
        parts.append(f"By what comes closest this may be {LABELS[kind]}; the playbook for it follows.")
    parts.append(book.mechanism)
    return " ".join(parts)


def _prevention(match: Match) -> str | None:
    resolution = match.incident.resolution
    return one_line(resolution.prevention, 600) if resolution and resolution.prevention else None


def _prediction(incident: Incident, recalled: Recalled, verdict: Verdict, raw: float, now: datetime) -> Prediction:
    leading = verdict.leading
    return Prediction(
        incident_id=incident.id,
        at=now,
        root_cause=leading.root_cause if leading else None,
        failure_type=leading.failure_type if leading else incident.failure_type,
        confidence=verdict.confidence,
        matches=tuple(match.incident.id for match in (leading.matches if leading else recalled.matches[:SHOWN])),
        engine="memory",
        raw_confidence=raw,
        type_stated=leading is not None and leading.matches[0].incident.failure_type_stated,
    )


TOOL = Tool(
    name="analyze_incident",
    title="Analyze an incident",
    description=(
        "Triage an incident from what worked before. Stores it as open (a repeat of an open one returns that one) and "
        "gives root cause, honest confidence, a runbook of exact commands and the past incidents behind it. Call it "
        "first, with the alert as it is. Show commands to the user; run none unasked."
    ),
    arguments=AnalyzeIncident,
    answer=Analysis,
    run=run,
    read_only=False,
    idempotent=True,
)
