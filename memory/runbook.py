"""The runbook: what to do now, merged from what was done before.

The same step of several incidents is one action that carries all their outcomes; steps that are merely alike stay apart,
since `describe` and `delete` are alike, too. Read-only checks come first, then what worked most often and held, the
destructive last; a step that only ever failed is named as such and loses its command, so that nobody runs it in passing.
A destructive step carries what to see before it and its way back, and every command what has to be filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .incident import Incident, Outcome, normalise
from .placeholders import placeholders
from .probability import Match
from .recurrence import times
from .risk import Risk, risk_of
from .safeguard import safeguard_of
from .text import clean

MAX_CHECKS, MAX_CHANGES, MAX_FAILED = 4, 5, 3
"""Read-only checks, changes and failed steps of a runbook: more than this, a person on call does not read."""

MAX_COMMAND = 2_000
"""Characters of a command that is shown. A longer one is a script: it is named, not cut, since half of one is dangerous."""

# Where a command says on which host, namespace or database it works. Nothing else may differ in the same step: a verb,
# an option, a number or a variable's name makes another step of it.
_PLACE = re.compile(r"(?<=\s)(-h|--host|-d|--dbname|-n|--namespace)([ =])[^\s]+|(\bdatname = )'[^']*'")


@dataclass(frozen=True, slots=True)
class Action:
    """One suggested action.

    `sources` are incident ids, or `playbook:<failure type>`. `worked` and `failed` count the past incidents in
    which it did; both are 0 for a step from a playbook. Of those in which a change worked, `held` counts those that did
    not come back and `came_back` those that soon did (`recurrence.held` says what soon is); the rest is not known.
    `services` are those of the incidents. `expect` says what to see, `undo` how to take it back. `check` is a read-only
    command to run before a destructive step and `look` what to look at; `placeholders` is what the command, its check
    included, leaves to be filled in. `verified` is False for a step of a language model that stands in no incident and no
    playbook.
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
    held: int = 0
    came_back: int = 0
    services: tuple[str, ...] = ()
    check: str | None = None
    look: str | None = None
    placeholders: tuple[str, ...] = ()
    verified: bool = True

    @property
    def success(self) -> float:
        """The estimated chance that it helps and holds: the mean of a Beta(1,1) prior updated by what happened. A fix is
        seen twice: whether it worked, and whether it held."""
        good, bad = self.worked + self.held, self.failed + self.came_back
        return (good + 1) / (good + bad + 2)

    @property
    def only_failed(self) -> bool:
        """Whether it was tried and never helped."""
        return self.failed > 0 and self.worked == 0


@dataclass(slots=True)
class _Merged:
    action: Action
    likeliest: float
    order: float  # where in its incident the step stood, 0 to 1: what was done first comes first


def from_matches(matches: Iterable[Match], held: Mapping[str, bool] | None = None) -> list[Action]:
    """The steps of the matches, merged and ordered. Guessed resolutions bring no step. `held` says of incidents, by id,
    whether their fix held."""
    merged: list[_Merged] = []
    for match in sorted(matches, key=lambda match: -match.probability):
        resolution = match.incident.resolution
        if resolution is None or not resolution.is_evidence:
            continue
        count = len(resolution.steps)
        mine: list[_Merged] = []
        for position, step in enumerate(resolution.steps):
            command = clean(step.command) if step.command else None  # the risk is of what a person will see
            action = Action(step.text, command, risk_of(command, step.text), ())
            if any(_said_again(item.action, action) for item in mine):
                continue  # a step said twice in one incident worked once
            item = next((item for item in merged if item not in mine and _same(item.action, action)), None)
            if item is None:
                item = _Merged(action, match.probability, position / count)
                merged.append(item)
            mine.append(item)
            item.action = _with_outcome(item.action, match.incident, step.outcome, (held or {}).get(match.incident.id))
    for item in merged:
        if item.action.only_failed:
            told = f"Skip (failed {times(item.action.failed)}): {item.action.action}"
            item.action = replace(item.action, action=told, command=None)
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


def _with_outcome(action: Action, incident: Incident, outcome: Outcome, held: bool | None) -> Action:
    at = incident.resolved_at or incident.created_at
    last = action.last_worked_at
    if outcome is Outcome.WORKED and at is not None and (last is None or at > last):
        last = at
    fixed = outcome is Outcome.WORKED and action.risk is not Risk.READ_ONLY  # a check fixes nothing
    service = (incident.service,) if incident.service and incident.service not in action.services else ()
    return replace(
        action,
        held=action.held + (fixed and held is True),
        came_back=action.came_back + (fixed and held is False),
        services=(*action.services, *service),
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
    best = sorted(changes, key=lambda action: (action.came_back - action.worked, -action.success))[:MAX_CHANGES]
    return [*checks, *(action for action in changes if action in best), *failed]


def guarded(action: Action) -> Action:
    """The action with what keeps it from being pasted blindly: its placeholders, and where it is destructive what to see
    before it and its way back. What it says already stays."""
    if action.command and len(action.command) > MAX_COMMAND:
        where = f"(its command of {len(action.command):,} characters stands in incident://{action.sources[0]})"
        action = replace(action, action=f"{action.action[:400]} {where}", command=None)
    if action.risk is not Risk.DESTRUCTIVE or action.only_failed:
        return replace(action, placeholders=placeholders(action.command))
    guard = safeguard_of(action.command, action.action)
    if guard.check is None and action.undo:  # a playbook says in its own words what has to be seen first
        return replace(action, placeholders=placeholders(action.command))
    # The placeholders of the check are the command's own, but for those of a node or a name that it could not see.
    needed = dict.fromkeys((*placeholders(action.command), *placeholders(action.check or guard.check)))
    return replace(
        action,
        check=action.check or guard.check,
        look=action.look or guard.look,
        undo=action.undo or guard.way_back,
        placeholders=tuple(needed),
    )
