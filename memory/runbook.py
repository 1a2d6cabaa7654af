"""The runbook: what to do now, merged from what was done before.

The same step of several incidents is one action that carries all their outcomes; steps that are merely alike stay apart,
since `describe` and `delete` are alike, too. Read-only checks come first, then what worked most often, the destructive
last; a step that only ever failed is named as such and loses its command, so that nobody runs it
in passing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .incident import Outcome, normalise
from .probability import Match
from .risk import Risk, risk_of

MAX_CHECKS, MAX_CHANGES, MAX_FAILED = 4, 5, 3
"""Read-only checks, changes and failed steps of a runbook: more than this, a person on call does not read."""

# Where a command says on which host, namespace or database it works. Nothing else may differ in the same step: a verb,
# an option, a number or a variable's name makes another step of it.
_PLACE = re.compile(r"(?<=\s)(-h|--host|-d|--dbname|-n|--namespace)([ =])[^\s]+|(\bdatname = )'[^']*'")


@dataclass(frozen=True, slots=True)
class Action:
    """One suggested action.

    `sources` are incident ids, or `playbook:<failure type>`. `worked` and `failed` count the past incidents in
    which it did; both are 0 for a step from a playbook. `expect` says what to see, `undo` how to take it back.
    `verified` is False for a step of a language model that stands in no incident and no playbook.
    """

    action: str
    command: str | None
    risk: Risk
    sources: tuple[str, ...]
    worked: int = 0
    failed: int = 0
    last_worked_at: datetime | None = None
    expect: str | None = None
    undo: str | None = None
    verified: bool = True

    @property
    def success(self) -> float:
        """The estimated chance that it helps: the mean of a Beta(1,1) prior updated by what happened."""
        return (self.worked + 1) / (self.worked + self.failed + 2)

    @property
    def only_failed(self) -> bool:
        """Whether it was tried and never helped."""
        return self.failed > 0 and self.worked == 0


@dataclass(slots=True)
class _Merged:
    action: Action
    likeliest: float
    order: float  # where in its incident the step stood, 0 to 1: what was done first comes first


def from_matches(matches: Iterable[Match]) -> list[Action]:
    """The steps of the matches, merged and ordered. Guessed resolutions bring no step."""
    merged: list[_Merged] = []
    for match in sorted(matches, key=lambda match: -match.probability):
        resolution = match.incident.resolution
        if resolution is None or not resolution.is_evidence:
            continue
        count = len(resolution.steps)
        mine: list[_Merged] = []
        for position, step in enumerate(resolution.steps):
            action = Action(step.text, step.command, risk_of(step.command, step.text), ())
            if any(_said_again(item.action, action) for item in mine):
                continue  # a step said twice in one incident worked once
            item = next((item for item in merged if item not in mine and _same(item.action, action)), None)
            if item is None:
                item = _Merged(action, match.probability, position / count)
                merged.append(item)
            mine.append(item)
            item.action = _with_outcome(item.action, match, step.outcome)
    for item in merged:
        if item.action.only_failed:
            tried = f"failed {item.action.failed} of {item.action.failed}"
            item.action = replace(item.action, action=f"Skip ({tried}): {item.action.action}", command=None)
    merged.sort(key=_rank)
    return [item.action for item in merged]


def _rank(item: _Merged) -> tuple[object, ...]:
    """Checks, then changes (the destructive last, else by how often they worked), then what failed. Among equals the
    likelier incident's come first, in the order in which they were taken there: a step may rest on the one before."""
    action = item.action
    likeliest = -round(20 * item.likeliest)
    if action.risk is Risk.READ_ONLY and not action.only_failed:
        return (0, False, 0.0, likeliest, item.order)
    return (2 if action.only_failed else 1, action.risk is Risk.DESTRUCTIVE, -action.success, likeliest, item.order)


def _with_outcome(action: Action, match: Match, outcome: Outcome) -> Action:
    incident = match.incident
    at = incident.resolved_at or incident.created_at
    last = action.last_worked_at
    if outcome is Outcome.WORKED and at is not None and (last is None or at > last):
        last = at
    return replace(
        action,
        sources=(*action.sources, incident.id),
        worked=action.worked + (outcome is Outcome.WORKED),
        failed=action.failed + (outcome is Outcome.FAILED),
        last_worked_at=last,
    )


def _same(known: Action, other: Action) -> bool:
    """Whether two incidents took the same step: the same command but for where it works, or the same words."""
    if known.command and other.command:
        return known.risk is other.risk and command_key(known.command) == command_key(other.command)
    return not known.command and not other.command and _words(known.action) == _words(other.action)


def _said_again(known: Action, other: Action) -> bool:
    if known.command or other.command:
        return known.command == other.command
    return _words(known.action) == _words(other.action)


def command_key(command: str) -> str:
    """What two commands have in common that are one step but for the place where they work."""
    plain = " ".join(command.split()).replace('"', "'").rstrip("; ")
    return _PLACE.sub(lambda found: f"{found[1]}{found[2]}<>" if found[1] else f"{found[3]}<>", plain)


def _words(text: str) -> str:
    """The step itself, without what it showed: `Restart CoreDNS: fine for 2 minutes` is `restart coredns`."""
    return normalise(text.split(": ", 1)[0]).rstrip(" .")


def limit(actions: Sequence[Action]) -> list[Action]:
    """The actions that a person will read, in order: so many checks, so many changes, so many that failed."""
    failed = [action for action in actions if action.only_failed][:MAX_FAILED]
    useful = [action for action in actions if not action.only_failed]
    checks = [action for action in useful if action.risk is Risk.READ_ONLY][:MAX_CHECKS]
    changes = [action for action in useful if action.risk is not Risk.READ_ONLY]
    # What worked in most incidents is kept, a destructive one among them; the order stays.
    best = sorted(changes, key=lambda action: (-action.worked, -action.success))[:MAX_CHANGES]
    return [*checks, *(action for action in changes if action in best), *failed]
