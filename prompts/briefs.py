"""What the prompts are filled with: an alert's first look, an incident's whole story, the open ones, a period."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median

from ..memory.causes import same_cause
from ..memory.confidence import likely_failure_type, weigh
from ..memory.failure_types import LABELS, classify_incident
from ..memory.incident import FailureType, Incident, Outcome, Status, Step, utcnow
from ..memory.memory import IncidentMemory
from ..memory.placeholders import placeholders
from ..memory.ports import Filter, HistoryEntry, KeptPrediction
from ..memory.record import format_time
from ..memory.recurrence import HOLD_DAYS, held, recurrence_of, returns, times
from ..memory.risk import Risk, risk_of
from .fence import block, short
from .playbooks import playbook
from .technologies import there

MOST_OPEN = 25
"""Open incidents that are told one by one in a handoff."""

MOST_DETAILED = 12
"""Of those, the most urgent ones, which are told with what was seen, predicted and to be checked next."""

MOST_LISTED = 40
"""Incidents that are listed in a review."""

MOST_REVIEWED = 5_000
"""Incidents that a review counts: the newest of its period."""

_STALE_DAYS = 7


def first_look(memory: IncidentMemory, alert: str, service: str | None) -> str:
    """What the memory knows of an alert before anything is stored."""
    now = utcnow()
    told = Incident(
        id="triage", title=None, description=alert, updated_at=now, created_at=now, service=service,
    )  # fmt: skip
    told = replace(told, failure_type=classify_incident(told))
    recalled = memory.find(alert, 12, about=told)
    verdict = memory.learning.recalibration().recalibrate(weigh(recalled.matches, now))
    leading = verdict.leading
    kind = leading.failure_type if leading else likely_failure_type(told.failure_type, recalled.matches)
    again = recurrence_of(told, [m.incident for m in leading.matches] if leading else [], kind, memory.occurrences, now)
    lines = [
        f"LIKELY CAUSE {short(leading.summary, 400) if leading else 'nothing alike in memory'} "
        f"({verdict.confidence:.0%}: {verdict.basis})",
        f"FAILURE TYPE {LABELS[kind]}",
        f"RECURRENCE {again.sentence if again else 'not known'}",
        "CLOSEST",
        *(f"{match.probability:.0%} {line(match.incident)}" for match in recalled.matches[:3]),
    ]
    return "\n".join([*lines, *(f"NOTE {note}" for note in recalled.degraded)])


def story(memory: IncidentMemory, incident: Incident) -> str:
    """An incident from its record and its history: what happened when, what worked, what came before and after."""
    now = utcnow()
    kept = memory.learning.prediction_of(incident.id)
    parts = [_record(incident), "TIMELINE (UTC)\n" + "\n".join(_timeline(incident, memory.history(incident.id)))]
    parts.append("ANALYSIS AT THE TIME\n" + _prediction(kept))
    known = [incident] if incident.root_cause else []
    again = recurrence_of(incident, known, incident.failure_type, memory.occurrences, now)
    lines = [again.sentence if again else "not known: no service, or no failure type"]
    if again:
        lines += [f"before: {line(one)}" for one in again.earlier[:5]]
        lines += [f"  prevention named then: {short(p, 300)}" for one in again.earlier[:5] if (p := _prevention(one))]
    if incident.service:
        kin = memory.occurrences(incident.service, incident.failure_type)
        lines += [f"after: {line(one)}" for one in _after(incident, kin)[:5]]
        fix = held([incident], lambda *_: kin, now).get(incident.id)
        known_of_fix = {
            True: f"the fix held: it was not back within {HOLD_DAYS} days",
            False: f"the fix did not hold: it was back within {HOLD_DAYS} days",
            None: "whether the fix holds is not known yet",
        }
        lines.append(known_of_fix[fix])
    parts.append("RECURRENCE\n" + "\n".join(lines))
    recalled = memory.find(incident.text, 5, about=incident)
    alike = "\n".join(f"{match.probability:.0%} {line(match.incident)}" for match in recalled.matches) or "none"
    return "\n\n".join([*parts, f"SIMILAR PAST INCIDENTS (probability of being the same problem)\n{alike}"])


def shift(memory: IncidentMemory) -> tuple[str, int]:
    """The open incidents, most urgent first, each with what was predicted and the next read-only check; and how many
    there are."""
    now = utcnow()
    page = memory.page(Filter(status=Status.OPEN), 200, None)
    urgent = sorted(page.incidents, key=lambda one: (severity_rank(one.severity), one.created_at or now))
    lines: list[str] = []
    for position, one in enumerate(urgent[:MOST_OPEN]):
        open_for = _span(now - one.created_at) if one.created_at else "an unknown time"
        stale = one.created_at is not None and now - one.created_at > timedelta(days=_STALE_DAYS)
        lines.append(
            f"{one.id} | {short(one.severity, 20) or 'no severity'} | {short(one.service, 60) or 'no service'} | open for "
            f"{open_for}{', longer than a week: still going on?' if stale else ''} | {short(one.label, 160)}"
        )
        if position >= MOST_DETAILED:
            continue
        kept = memory.learning.prediction_of(one.id)
        again = recurrence_of(one, [], one.failure_type, memory.occurrences, now)
        lines += [
            f"  seen: {short(one.description, 240) or '-'}",
            f"  predicted: {_prediction(kept)}",
            f"  next check: {_next_check(memory, one, kept)}",
        ]
        lines += [f"  recurrence: {again.sentence}"] if again and again.earlier else []
    rest = page.total - min(len(urgent), MOST_OPEN)
    counts = Counter(short(one.severity, 20) or "no severity" for one in page.incidents)
    head = f"OPEN {page.total}" + (
        f" ({', '.join(f'{name}: {count}' for name, count in counts.most_common(8))})" if counts else ""
    )
    more = [f"… and {rest} more, less urgent or older: call list_incidents with status='open'"] if rest > 0 else []
    return "\n".join([head, *lines, *more] if page.total else ["OPEN none"]), page.total


def period(memory: IncidentMemory, days: int) -> str:
    """What a period brought: counts, repeat offenders, fixes that did not hold, fixes that failed, what each kind cost."""
    now = utcnow()
    start = now - timedelta(days=days)
    incidents = since(memory, start)
    kinds = Counter(LABELS[one.failure_type] for one in incidents)
    services = Counter(short(one.service, 60) for one in incidents if one.service)
    chains: dict[tuple[str, FailureType], list[Incident]] = defaultdict(list)
    for one in incidents:
        if one.service and one.failure_type is not FailureType.OTHER:
            chains[one.service.casefold(), one.failure_type].append(one)
    still = sum(one.status is Status.OPEN for one in incidents)
    capped = f" (the newest {MOST_REVIEWED} of them)" if len(incidents) >= MOST_REVIEWED else ""
    parts = [
        f"PERIOD {_minute(start)} to {_minute(now)}: {len(incidents)} incidents{capped}, {still} still open; {_cost(incidents)}",
        "BY FAILURE TYPE " + (", ".join(f"{name} {count}" for name, count in kinds.most_common()) or "none"),
        "BY SERVICE " + (", ".join(f"{name} {count}" for name, count in services.most_common(15)) or "none"),
        "REPEAT OFFENDERS (same service and failure type, by hours spent)\n"
        + ("\n".join(_offenders(chains)) or "none"),
        f"FIXES THAT DID NOT HOLD (the same came back within {HOLD_DAYS} days)\n"
        + ("\n".join(_not_held(chains, now)) or "none"),
        "STEPS THAT FAILED\n" + ("\n".join(_failed(incidents)) or "none"),
        f"TRACK RECORD of the analyses, ever: {memory.learning.track_record().summary}",
        "INCIDENTS, newest first\n" + ("\n".join(line(one) for one in incidents[:MOST_LISTED]) or "none"),
    ]
    if len(incidents) > MOST_LISTED:
        parts.append(f"… and {len(incidents) - MOST_LISTED} more, counted above")
    return "\n\n".join(parts)


def since(memory: IncidentMemory, start: datetime) -> list[Incident]:
    """The incidents that began since then, newest first; at most `MOST_REVIEWED`."""
    found: list[Incident] = []
    cursor: str | None = None
    while len(found) < MOST_REVIEWED:
        page = memory.page(Filter(), 200, cursor)
        recent = [one for one in page.incidents if one.created_at is not None and one.created_at >= start]
        found += recent
        cursor = page.cursor
        if cursor is None or len(recent) < len(page.incidents):  # newest first: the rest is older
            break
    return found[:MOST_REVIEWED]


def line(incident: Incident) -> str:
    """An incident on one line."""
    cause = f" | cause: {short(incident.root_cause, 200)}" if incident.root_cause else ""
    guess = " (a guess)" if incident.resolution and not incident.resolution.is_evidence else ""
    return (
        f"{incident.id} | {_minute(incident.created_at)} | {incident.status.value} | {short(incident.service, 60) or 'no service'} | "
        f"{LABELS[incident.failure_type]} | {short(incident.label, 140)}{cause}{guess}"
    )


def severity_rank(severity: str | None) -> int:
    """The urgency of a severity as teams write it, 1 the highest: SEV1, P1, critical; 9 where it says nothing."""
    text = (severity or "").casefold()
    if number := re.search(r"(?:sev|p|s|prio\w*|level)?\W*([0-5])\b", text):
        return max(1, int(number[1]))
    named = (("critical", 1), ("blocker", 1), ("urgent", 1), ("emergency", 1), ("high", 2), ("major", 2), ("error", 2),
             ("medium", 3), ("moderate", 3), ("warning", 3), ("low", 4), ("minor", 4), ("info", 5))  # fmt: skip
    return next((rank for word, rank in named if word in text), 9)


def _record(incident: Incident) -> str:
    resolution = incident.resolution
    took = incident.resolved_at - incident.created_at if incident.resolved_at and incident.created_at else None
    lines = [
        f"RECORD {incident.id}, revision {incident.revision}, {incident.status.value}",
        f"title: {short(incident.label, 300)}",
        f"service: {short(incident.service, 100) or 'not recorded'}; severity: {short(incident.severity, 40) or 'not recorded'}; "
        f"failure type: {LABELS[incident.failure_type]}{'' if incident.failure_type_stated else ' (by its words)'}",
        f"began: {_minute(incident.created_at)}; resolved: {_minute(incident.resolved_at)}; took: {_span(took) if took else 'not known'}",
        f"source: {short(incident.source, 100) or 'not recorded'}{f'; {short(incident.url, 200)}' if incident.url else ''}",
        f"description:\n{block(incident.description, 5_000)}",
    ]
    if resolution is None:
        return "\n".join([*lines, "root cause: not recorded yet"])
    guess = "" if resolution.is_evidence else " (a guess, never confirmed)"
    lines.append(f"root cause{guess}:\n{block(resolution.root_cause or 'not recorded', 2_000)}")
    for title, outcome in (
        ("what worked", Outcome.WORKED),
        ("what failed", Outcome.FAILED),
        ("outcome not recorded", Outcome.UNKNOWN),
    ):
        steps = [step for step in resolution.steps if step.outcome is outcome][:20]
        lines += [f"{title}:", *(f"- {_step(step)}" for step in steps)] if steps else []
    lines.append(f"prevention: {short(resolution.prevention, 800) or 'not recorded'}")
    return "\n".join(lines)


def _step(step: Step) -> str:
    told = short(step.text, 300)
    return f"{told} `{short(step.command, 400)}`" if step.command and step.command not in step.text else told


def _timeline(incident: Incident, history: Sequence[HistoryEntry]) -> list[str]:
    """The record's own times, and what each entry of its history changed."""
    told: list[tuple[str, str]] = []
    if incident.created_at:
        told.append((_minute(incident.created_at), "it began, as recorded"))
    for entry, after in zip(history, [*(later.previous for later in history[1:]), incident], strict=True):
        changed = _changes(entry.previous, after) if entry.previous and after else ""
        told.append(
            (_minute(entry.at), f"{entry.action} (revision {entry.revision}){f': {changed}' if changed else ''}")
        )
    if incident.resolved_at:
        told.append((_minute(incident.resolved_at), "it was resolved, as recorded"))
    told.sort(key=lambda one: one[0])
    shown = told if len(told) <= 40 else [*told[:20], ("…", f"{len(told) - 40} entries more"), *told[-20:]]
    return [f"{at} {what}" for at, what in shown]


def _changes(before: Incident, after: Incident) -> str:
    changes = []
    if before.status is not after.status:
        changes.append(f"{before.status.value} → {after.status.value}")
    if before.root_cause != after.root_cause:
        changes.append(f"root cause: {short(after.root_cause, 160) or 'taken out'}")
    steps = [len(one.resolution.steps) if one.resolution else 0 for one in (before, after)]
    if steps[0] != steps[1]:
        changes.append(f"steps: {steps[0]} → {steps[1]}")
    for name in ("severity", "service", "title"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            changes.append(f"{name}: {short(old, 60) or '-'} → {short(new, 60) or '-'}")
    return "; ".join(changes)


def _prediction(kept: KeptPrediction | None) -> str:
    if kept is None:
        return "never analysed here"
    said, judgment = kept.prediction, kept.judgment
    if said.root_cause is None:
        return f"at {_minute(said.at)}: nothing alike, no cause named ({said.confidence:.0%})"
    verdict = (
        ""
        if judgment is None or judgment.right is None
        else f"; judged {'right' if judgment.right else 'wrong'} by {judgment.by}"
    )
    rests = f"; rests on {', '.join(said.matches[:3])}" if said.matches else ""
    return f"at {_minute(said.at)}: {short(said.root_cause, 240)} ({said.confidence:.0%}{rests}{verdict})"


def _next_check(memory: IncidentMemory, incident: Incident, kept: KeptPrediction | None) -> str:
    """A read-only command: one that was run in the incident that the prediction rests on most, else the playbook's."""
    kind = incident.failure_type
    if kept is not None and kept.prediction.root_cause is not None:
        kind = kept.prediction.failure_type
        for past in filter(None, map(memory.store.get, kept.prediction.matches[:1])):
            for step in past.resolution.steps if past.resolution and past.resolution.is_evidence else ():
                if step.command and risk_of(step.command, step.text) is Risk.READ_ONLY:
                    return f"`{short(step.command, 800)}` (as run in {past.id}{_to_fill(step.command)})"
    check = playbook(kind, incident.service).suited(there(incident)).checks[0]
    told = f"`{short(check.command, 800)}`" if check.command else short(check.action, 400)
    return f"{told} (playbook {kind.value}{_to_fill(check.command)})"


def _to_fill(command: str | None) -> str:
    needed = placeholders(command)
    return f"; fill in first: {short(', '.join(needed), 200)}" if needed else ""


def _offenders(chains: dict[tuple[str, FailureType], list[Incident]]) -> Iterable[str]:
    several = [chain for chain in chains.values() if len(chain) > 1]
    for chain in sorted(several, key=lambda chain: (-_hours(chain), -len(chain)))[:10]:
        ids = ", ".join(one.id for one in chain[:8]) + (" …" if len(chain) > 8 else "")
        yield f"- {short(chain[0].service, 60)}: {LABELS[chain[0].failure_type]} {times(len(chain))}, {_cost(chain)} ({ids})"
        if prevention := next((p for one in chain[1:] if (p := _prevention(one))), None):
            yield f"  prevention named before it came again: {short(prevention, 240)}"


def _not_held(chains: dict[tuple[str, FailureType], list[Incident]], now: datetime) -> Iterable[str]:
    told: list[tuple[timedelta, str]] = []
    for chain in chains.values():
        back = returns(chain, lambda *_, chain=chain: chain, now)
        for one in chain:
            again = back.get(one.id)
            if again is None or again.created_at is None or one.resolved_at is None:
                continue
            gap = again.created_at - one.resolved_at
            fix = next((step for step in one.resolution.steps if _is_fix(step)), None) if one.resolution else None
            done = short(fix.text, 160) if fix else "the step is not recorded"
            told.append((gap, f"- {one.id} on {short(one.service, 60)}: {done}; held {_span(gap)}, back as {again.id}"))
    return [text for _, text in sorted(told, key=lambda item: item[0])[:15]]


def _is_fix(step: Step) -> bool:
    return step.outcome is Outcome.WORKED and risk_of(step.command, step.text) is not Risk.READ_ONLY


def _after(incident: Incident, kin: Iterable[Incident]) -> list[Incident]:
    """Those of the same kind that began after it was resolved and had the same cause, oldest first."""
    end = incident.resolved_at
    if end is None:
        return []
    later = [one for one in kin if one.id != incident.id and one.created_at and one.created_at > end and one.root_cause]
    later = [one for one in later if same_cause(incident, one)]
    return sorted(later, key=lambda one: one.created_at or end)


def _failed(incidents: Iterable[Incident]) -> Iterable[str]:
    failed: dict[str, list[str]] = defaultdict(list)
    for one in incidents:
        for step in one.resolution.steps if one.resolution and one.resolution.is_evidence else ():
            if step.outcome is Outcome.FAILED:
                failed[short(step.text.split(": ", 1)[0], 120).casefold()].append(one.id)
    for text, ids in sorted(failed.items(), key=lambda item: -len(item[1]))[:12]:
        yield f"- {text}: failed {times(len(ids))} ({', '.join(ids[:5])})"


def _hours(incidents: Iterable[Incident]) -> float:
    return sum(
        (one.resolved_at - one.created_at).total_seconds() / 3600
        for one in incidents
        if one.resolved_at and one.created_at and one.resolved_at > one.created_at
    )


def _cost(incidents: Sequence[Incident]) -> str:
    lengths = [_hours([one]) for one in incidents if one.resolved_at and one.created_at]
    if not lengths:
        return "time to resolve not recorded"
    return f"{sum(lengths):.0f} hours of incident, median {_span(timedelta(hours=median(lengths)))} to resolve"


def _prevention(incident: Incident) -> str | None:
    return incident.resolution.prevention if incident.resolution else None


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:
        return f"{max(minutes, 0)} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"


def _minute(at: datetime | None) -> str:
    return (format_time(at) or "")[:16].replace("T", " ") or "time unknown"
