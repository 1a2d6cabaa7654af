"""analyze_incident: what is this, how sure is that, and what to do now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import anyio.to_thread
from pydantic import Field

from ..memory.confidence import FLOOR, Verdict, likely_failure_type, weigh
from ..memory.errors import LanguageModelError
from ..memory.failure_types import LABELS
from ..memory.incident import FailureType, Incident, utcnow
from ..memory.index.fields import whole
from ..memory.index.tokens import surface_forms
from ..memory.memory import IncidentMemory, Recalled
from ..memory.ports import Prediction
from ..memory.probability import COUNTS_FROM, Match
from ..memory.recurrence import Recurrence, held, recurrence_of
from ..memory.risk import Risk
from ..memory.runbook import Action, from_matches, guarded, limit
from ..prompts.evidence import Draft
from ..prompts.playbooks import Playbook, is_for_all, playbook
from ..prompts.technologies import Named, there
from .actions import SuggestedAction
from .base import MAX_DESCRIPTION, MAX_TITLE, Answer, Arguments, Desk, Progress, ShortText, Text, Tool, recall_beside
from .shapes import SimilarIncident, brief, degraded_lines, one_line

if TYPE_CHECKING:
    from ..prompts.writer import Writer

RECALLED = 12
"""Matches that are weighed. Beyond a dozen, one more agreeing incident no longer moves the confidence."""

SHOWN = 5
"""Matches that are shown."""

SHOWN_UNALIKE = 3
"""Matches that are shown where none of them counts."""

MAX_LOOKED, _NAMED = 20_000, 6
"""Characters of an alert whose words are looked at where nothing is alike, and how many words are named."""

FEW = 3
"""A runbook with fewer useful actions than this is topped up from the playbook."""


class AnalyzeIncident(Arguments):
    title: Annotated[Text, Field(min_length=1, max_length=MAX_TITLE, description="The alert in a line.")]
    description: Annotated[
        Text, Field(max_length=MAX_DESCRIPTION, description="Errors, metrics, log lines, recent changes.")
    ] = ""
    service: Annotated[ShortText | None, Field(description="The affected service.")] = None
    severity: Annotated[ShortText | None, Field(description="E.g. SEV1, P2, critical.")] = None


class Analysis(Answer):
    incident_id: str
    status: Literal["open", "resolved"]
    duplicate_of: str | None = None
    ai_analysis: str
    root_cause: str | None = None
    confidence: Annotated[float, Field(ge=0, le=1)]
    confidence_basis: str
    recurrence: str | None = None
    suggested_actions: list[SuggestedAction]
    prevention: str | None = None
    similar_past_incidents: list[SimilarIncident]
    engine: str
    degraded: list[str] = []

    def as_text(self) -> str:
        repeat = (
            f"\nIt repeats the open incident {self.duplicate_of}; nothing new was stored." if self.duplicate_of else ""
        )
        before = f"\nRecurrence: {self.recurrence}" if self.recurrence else ""
        parts = [f"{self.ai_analysis}\nWhy {self.confidence:.0%}: {self.confidence_basis}{before}{repeat}"]
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
    past = await anyio.to_thread.run_sync(partial(look_back, memory, incident, recalled, verdict, now))
    draft = draft_of(incident, recalled, verdict, past)
    analysis = await _in_better_words(desk.writer, draft, compose(draft, repeated, recalled, verdict, past), past)
    prediction = _prediction(incident, recalled, verdict, own.confidence, now, analysis.engine)
    await anyio.to_thread.run_sync(memory.learning.remember, prediction)
    await progress(3, 3, "answered")
    return analysis


@dataclass(frozen=True, slots=True)
class Past:
    """What the memory says beyond the matches: when this happened before, which fixes held, the time of asking, and, where
    nothing is alike, what was looked for."""

    recurrence: Recurrence | None
    held: Mapping[str, bool]
    now: datetime
    looked_for: str = ""


def look_back(memory: IncidentMemory, incident: Incident, recalled: Recalled, verdict: Verdict, now: datetime) -> Past:
    """Read from the store when this happened before and whether the fixes of the matches held."""
    leading = verdict.leading
    agreeing = [match.incident for match in leading.matches] if leading else []
    known: dict[tuple[str, FailureType], list[Incident]] = {}

    def occurrences(service: str, kind: FailureType) -> list[Incident]:
        key = (service.casefold(), kind)
        if key not in known:
            known[key] = memory.occurrences(service, kind)
        return known[key]

    kind = leading.failure_type if leading else likely_failure_type(incident.failure_type, recalled.matches)
    again = recurrence_of(incident, agreeing, kind, occurrences, now)
    shown = agreeing or [match.incident for match in recalled.matches if match.counts]
    return Past(again, held(shown, occurrences, now), now, "" if leading else _looked_for(memory, incident))


def _looked_for(memory: IncidentMemory, incident: Incident) -> str:
    words = list(memory.recall.by_telling(surface_forms(whole(incident)[:MAX_LOOKED])).values())[:_NAMED]
    what = f"{', '.join(words)} and for the meaning of the whole" if words else "the meaning of the whole"
    if memory.recall.model is None:
        what = ", ".join(words) or "its letters"
    count = len(memory.recall) - 1
    return f" Looked for {what} among {count:,} other incident{'' if count == 1 else 's'}."


def draft_of(incident: Incident, recalled: Recalled, verdict: Verdict, past: Past) -> Draft:
    """The memory's own answer, as its parts; no language model has a part in it."""
    leading = verdict.leading
    spoken_of = _spoken_of(incident, leading.matches if leading else (), recalled.matches)
    if leading is not None:
        book = playbook(leading.failure_type, incident.service).suited(spoken_of)
        actions = limit(from_matches([*leading.matches, *_without_cause(recalled.matches)], past.held))
        if len([action for action in actions if not action.only_failed]) < FEW:
            actions = _with_checks(actions, book, spoken_of)
        opening = ""
        prevention = next((p for match in leading.matches if (p := _prevention(match))), book.prevention)
    else:
        kind = likely_failure_type(incident.failure_type, recalled.matches)
        book = playbook(kind, incident.service).suited(spoken_of)
        taken = limit(from_matches(_without_cause(recalled.matches), past.held))
        taken += _checks_of_kin(incident, kind, recalled.matches, taken)
        # All of a playbook is more than a person reads at once: the first of each part, which come in that order.
        changes = _first_with_last(book.mitigations, 3)
        actions = [*_with_checks(taken, book, spoken_of, 3 if not taken else 2), *changes, *book.watch[:1]]
        opening = f"{_no_history(recalled.matches)}{_no_own_steps(book, actions)}"
        prevention = brief(book.prevention, 320)
    return Draft(
        incident=incident,
        opening=opening,
        confidence=verdict.confidence,
        leading=leading,
        others=verdict.hypotheses[1:],
        matches=recalled.matches,
        actions=tuple(guarded(action) for action in actions),
        book=book,
        prevention=prevention,
    )


def compose(draft: Draft, repeated: bool, recalled: Recalled, verdict: Verdict, past: Past) -> Analysis:
    """The memory's own answer, in words and steps."""
    incident, leading = draft.incident, draft.leading
    dissent = [hypothesis.matches[0] for hypothesis in draft.others[:1]]
    first = [
        *(leading.matches[: SHOWN - len(dissent)] if leading else ()),
        *dissent,
    ]  # what it rests on, and what disagrees
    shown = [*first, *(match for match in recalled.matches if match not in first)]
    return Analysis(
        incident_id=incident.id,
        status=incident.status.value,
        duplicate_of=incident.id if repeated else None,
        ai_analysis=_headline(verdict) if leading else f"{draft.opening} {_by_its_type(incident, draft.book)}",
        root_cause=None if leading is None else one_line(leading.summary, 1000),
        confidence=verdict.confidence,
        confidence_basis=verdict.basis + past.looked_for,
        recurrence=past.recurrence.sentence if past.recurrence else None,
        suggested_actions=[SuggestedAction.of(action, past.now, incident.service) for action in draft.actions],
        prevention=draft.prevention,
        similar_past_incidents=[
            SimilarIncident.of(
                match,
                steps=5
                if match.probability >= COUNTS_FROM
                else 3
                if match.probability >= FLOOR and not position
                else 0,
            )
            for position, match in enumerate(shown[: SHOWN if leading else SHOWN_UNALIKE])
        ],
        engine="memory",
        degraded=list(recalled.degraded),
    )


async def _in_better_words(writer: Writer | None, draft: Draft, own: Analysis, past: Past) -> Analysis:
    """The memory's own answer in the words of the language model, or as it is with a line that says why."""
    if writer is None:
        return own
    try:
        written = await writer.write(draft)
    except LanguageModelError as exc:
        return own.model_copy(update={"degraded": [*own.degraded, str(exc)]})
    better = {
        "ai_analysis": written.analysis,
        "root_cause": written.root_cause,
        "suggested_actions": [
            SuggestedAction.of(guarded(action), past.now, draft.incident.service) for action in written.actions
        ],
        "prevention": written.prevention,
        "engine": writer.engine,
    }
    return own.model_copy(update=better)


def _spoken_of(incident: Incident, leading: Sequence[Match], matches: Sequence[Match]) -> Named:
    """The technologies that the incident speaks of, or else those that it is likely the same as, or others of its service."""
    service = (incident.service or "").casefold()
    of_service = [m.incident for m in matches if service and (m.incident.service or "").casefold() == service]
    return there(incident, [match.incident for match in leading], of_service)


def _with_checks(actions: Sequence[Action], book: Playbook, spoken_of: Named, most: int = 2) -> list[Action]:
    """The actions with the playbook's first checks: behind their own and before anything that changes something, but for
    checks of what may not be there, which do not stand before a fix that was taken."""
    failed = [action for action in actions if action.only_failed]
    own = [action for action in actions if action.risk is Risk.READ_ONLY and action not in failed]
    changes = [action for action in actions if action not in own and action not in failed]
    checks = book.checks[:most]
    fitting = book.fitting_checks(spoken_of)
    first = [check for check in checks if not changes or check in fitting]
    return [*own, *first, *changes, *(check for check in checks if check not in first), *failed]


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


def _checks_of_kin(
    incident: Incident, kind: FailureType, matches: Sequence[Match], taken: Sequence[Action], most: int = 2
) -> list[Action]:
    """Read-only commands from incidents of the same service and failure type that are too unlike to count. To look does
    no harm where they mislead, and they name this service's hosts where a playbook has placeholders."""
    service = (incident.service or "").casefold()
    kin = [
        match
        for match in matches
        if service
        and kind is not FailureType.OTHER
        and match.probability >= FLOOR
        and (match.incident.service or "").casefold() == service
        and match.incident.failure_type is kind
    ]
    known = {action.command for action in taken}
    checks = [a for a in from_matches(kin) if a.risk is Risk.READ_ONLY and a.command and not a.only_failed]
    return [action for action in checks if action.command not in known][:most]


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


def _no_history(matches: tuple[Match, ...]) -> str:
    closest = max(matches, key=lambda match: match.probability, default=None)
    if closest is None or closest.probability < COUNTS_FROM:
        parts = ["No similar incident in memory."]
    else:
        count = sum(match.probability >= COUNTS_FROM for match in matches)
        alike = "1 similar past incident is" if count == 1 else f"{count} similar past incidents are"
        parts = [f"{alike} in memory, but none with a confirmed root cause."]
    if closest is not None and closest.probability >= FLOOR:
        label = one_line(closest.incident.label, 120).rstrip(".")
        parts.append(f"The closest is {closest.incident.id} ({closest.probability:.0%}): {label}.")
    return " ".join(parts)


def _no_own_steps(book: Playbook, actions: Sequence[Action]) -> str:
    """Which of the technologies that are spoken of the playbook has no steps for, as a sentence; "" where there are none."""
    if not book.without:
        return ""
    rest = (
        "general"
        if all(map(is_for_all, actions))
        else "general or for something else, so leave out what you do not run"
    )
    return f" No steps of our own for {' and '.join(book.without)}: those below are {rest}."


def _by_its_type(incident: Incident, book: Playbook) -> str:
    kind = book.failure_type
    if kind is FailureType.OTHER:
        told = "The words name no known failure type; the general playbook follows."
    elif kind is incident.failure_type:
        told = f"By its words this is {LABELS[kind]}; the playbook for it follows."
    else:
        told = f"By what comes closest this may be {LABELS[kind]}; the playbook for it follows."
    return f"{told} {brief(book.mechanism, 320)}"


def _prevention(match: Match) -> str | None:
    resolution = match.incident.resolution
    return one_line(resolution.prevention, 600) if resolution and resolution.prevention else None


def _prediction(
    incident: Incident, recalled: Recalled, verdict: Verdict, raw: float, now: datetime, engine: str
) -> Prediction:
    leading = verdict.leading
    return Prediction(
        incident_id=incident.id,
        at=now,
        root_cause=leading.root_cause if leading else None,
        failure_type=leading.failure_type if leading else incident.failure_type,
        confidence=verdict.confidence,
        matches=tuple(match.incident.id for match in (leading.matches if leading else recalled.matches[:SHOWN])),
        engine=engine,
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
