"""When this happened before, and whether the fixes held.

An occurrence is an earlier incident of the same service with the same cause as the matches that the answer rests on; where
nothing counts, one of the same service and failure type, and then the sentence says that only that is known.

A fix is what worked in an incident. It held if the same did not come back within `HOLD_DAYS` of the resolution, and it did
not hold if it came back by then; before that time has passed it has done neither. Only what the memory knows counts: an
incident that nobody stored came back for nobody.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .causes import same_cause
from .failure_types import LABELS
from .incident import FailureType, Incident, Status

WINDOW_DAYS = 30
"""Days in which occurrences are counted."""

HOLD_DAYS = 20
"""Days after which a fix counts as one that held: of the recurrences in a large study of cloud incidents (RCACopilot,
EuroSys 2024), 94 % came within 20 days."""

MOST_OCCURRENCES = 50
"""Occurrences of a service and failure type that are looked at, the newest ones."""

Occurrences = Callable[[str, FailureType], list[Incident]]
"""Gives the incidents of a service and failure type, newest first."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How an incident stands to the earlier ones of its kind.

    `earlier` are the occurrences before it, newest first. `by_cause` is False where only service and failure type are
    the same. `elsewhere` names the services that had the cause where this one never had.
    """

    at: datetime
    service: str | None
    failure_type: FailureType
    earlier: tuple[Incident, ...]
    by_cause: bool
    elsewhere: tuple[str, ...] = ()

    @property
    def recent(self) -> tuple[Incident, ...]:
        """The earlier ones that began within `WINDOW_DAYS` before it."""
        start = self.at - timedelta(days=WINDOW_DAYS)
        return tuple(incident for incident in self.earlier if incident.created_at and incident.created_at >= start)

    @property
    def sentence(self) -> str:
        """It in a sentence: "Fourth time in 30 days on checkout; the last fix held 9 days." """
        where = f" on {_name(self.service)}" if self.service else ""
        if not self.earlier:
            told = f"First time{where}, as far as this memory goes"
            return (
                f"{told}; seen on {_listed([_name(one) for one in self.elsewhere])} before."
                if self.elsewhere
                else f"{told}."
            )
        recent, every = len(self.recent) + 1, len(self.earlier) + 1
        many = "at least the " if len(self.earlier) >= MOST_OCCURRENCES else ""
        # Where only the type is the same, it is a type that comes again, not this incident.
        what = "time" if self.by_cause else LABELS[self.failure_type]
        if recent > 1:
            told = f"{many}{_ordinal(recent)} {what} in {WINDOW_DAYS} days{where}"
            told += f", {_ordinal(every)} in all" if every > recent else ""
        else:
            last = self.earlier[0].created_at or self.at
            told = f"{many}{_ordinal(every)} {what}{where}, the last {days_ago((self.at - last).days)}"
        if not self.by_cause:
            told += " (the cause may differ)"
        elif not self.service:
            told += " with this cause, on any service"
        return f"{told[0].upper()}{told[1:]}{self._last_fix}."

    @property
    def _last_fix(self) -> str:
        last = self.earlier[0]
        if last.status is Status.OPEN:
            return f"; the last one ({last.id}) is still open"
        if last.resolved_at is None or last.resolution is None:
            return ""
        if not last.resolution.is_evidence:
            return f"; how the last one ({last.id}) was fixed is only a guess"
        if last.resolved_at > self.at:
            return f"; the last one ({last.id}) was not resolved yet when this began"
        return f"; the last fix held {_length(self.at - last.resolved_at)} ({last.id})"


def recurrence_of(
    incident: Incident, agreeing: Sequence[Incident], kind: FailureType, occurrences: Occurrences, now: datetime
) -> Recurrence | None:
    """How the incident stands to the earlier ones of its kind; None where neither a cause nor a failure type says what
    its kind is, or where there is no service to look at and nothing that counts.

    Args:
        incident: the one that is being analysed.
        agreeing: the past incidents that the answer rests on, likeliest first; empty where nothing counts.
        kind: the failure type that the answer rests on.
        occurrences: where to look; called once.
        now: the time of the analysis, for an incident whose start is not known.
    """
    at = incident.created_at or now
    service = incident.service
    if agreeing:
        known = {one.id: one for one in agreeing if service is None or _same_service(one.service, service)}
        if service is not None and kind is not FailureType.OTHER:
            known.update(
                {one.id: one for one in occurrences(service, kind) if one.root_cause and same_cause(agreeing[0], one)}
            )
        earlier = _before(known.values(), incident.id, at)
        others = [one.service for one in agreeing if one.service and one.id != incident.id]
        elsewhere = dict.fromkeys(one for one in others if service and not earlier and not _same_service(one, service))
        if not earlier and not elsewhere and kind is FailureType.OTHER:
            return None  # nothing was looked up, and so nothing can be called the first time
        return Recurrence(at, service, kind, earlier, True, tuple(elsewhere))
    if service is None or kind is FailureType.OTHER:
        return None
    return Recurrence(at, service, kind, _before(occurrences(service, kind), incident.id, at), False)


def _before(incidents: Iterable[Incident], own: str, at: datetime) -> tuple[Incident, ...]:
    found = [one for one in incidents if one.id != own and one.created_at is not None and one.created_at <= at]
    return tuple(sorted(found, key=lambda one: one.created_at or at, reverse=True))


def held(incidents: Iterable[Incident], occurrences: Occurrences, now: datetime) -> Mapping[str, bool]:
    """For resolved incidents whether their fix held, by id; without those of which `returns` says nothing."""
    return {name: back is None for name, back in returns(incidents, occurrences, now).items()}


def returns(incidents: Iterable[Incident], occurrences: Occurrences, now: datetime) -> Mapping[str, Incident | None]:
    """For resolved incidents the one as which they came back within `HOLD_DAYS`, by id; None where the fix held.

    Left out are those of which it cannot be said: not resolved by evidence, no service, no failure type, no time, or
    resolved less than `HOLD_DAYS` ago and not back yet; and those that `occurrences` does not give, which are older than
    what was looked at. It is called once for each service and failure type.
    """
    chains: dict[tuple[str, FailureType], _Chain] = {}
    found: dict[str, Incident | None] = {}
    for incident in incidents:
        service, kind, end = incident.service, incident.failure_type, incident.resolved_at
        evidence = incident.resolution is not None and incident.resolution.is_evidence
        if service is None or kind is FailureType.OTHER or end is None or not evidence:
            continue
        key = (service.casefold(), kind)
        if key not in chains:
            chains[key] = _Chain(occurrences(service, kind))
        if incident.id not in chains[key].ids:
            continue
        until = end + timedelta(days=HOLD_DAYS)
        back = chains[key].first(incident, end, until)
        if back is not None or until <= now:
            found[incident.id] = back
    return found


class _Chain:
    """Incidents of a service and failure type by when they began."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        known = [(one.created_at, one) for one in incidents if one.created_at is not None]
        known.sort(key=lambda item: item[0])
        self._starts = [at for at, _ in known]
        self._incidents = [one for _, one in known]
        self.ids = {one.id for one in self._incidents}

    def first(self, incident: Incident, after: datetime, until: datetime) -> Incident | None:
        """The first that began after the one time and not after the other, and had the incident's cause. An open one
        has no cause yet, and so does not count."""
        for position in range(bisect_right(self._starts, after), bisect_right(self._starts, until)):
            later = self._incidents[position]
            if later.id != incident.id and later.root_cause is not None and same_cause(incident, later):
                return later
        return None


def days_ago(days: int) -> str:
    """An age in words; 0 and less is today."""
    if days <= 0:
        return "today"
    return "yesterday" if days == 1 else f"{days} days ago"


def _name(service: str) -> str:
    """A service's name within a sentence: a line of its own would look like ours."""
    return " ".join(service.split())[:120]


def times(count: int) -> str:
    """once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _same_service(one: str | None, other: str) -> bool:
    return one is not None and one.casefold() == other.casefold()


def _length(span: timedelta) -> str:
    hours = int(span.total_seconds() // 3600)
    if hours < 1:
        return "less than an hour"
    if hours < 48:
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{span.days} days"


def _ordinal(number: int) -> str:
    words = {2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth"}
    if number in words:
        return words[number]
    tail = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"


def _listed(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
