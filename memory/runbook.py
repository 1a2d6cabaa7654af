"""The runbook: what to do now, merged from what was done before.

The same step said twice is one action that carries both outcomes. Read-only checks come first, then what works most
often; a step that only ever failed is named as such and loses its command, so that nobody runs it in passing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from .confidence import Match
from .incident import Outcome
from .index.tokens import terms
from .risk import Risk, risk_of

MAX_CHECKS, MAX_CHANGES, MAX_FAILED = 4, 5, 3
"""Read-only checks, changes and failed steps of a runbook: more than this, a person on call does not read."""

_SAME_TEXT = 0.6
_SAME_COMMAND = 0.7
"""Two steps are the same where their terms overlap this much (Jaccard); texts, and commands of the same program."""


@dataclass(frozen=True, slots=True)
class Action:
    """One suggested action.

    `sources` are incident ids, or `playbook:<failure type>`. `worked` and `failed` count the past incidents in
    which it did; both are 0 for a step from a playbook. `expect` says what to see, `undo` how to take it back.
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
    words: frozenset[str] = field(default_factory=frozenset)


def from_matches(matches: Iterable[Match]) -> list[Action]:
    """The steps of the matches, merged and ordered. Guessed resolutions bring no step."""
    merged: list[_Merged] = []
    for match in sorted(matches, key=lambda match: -match.probability):
        resolution = match.incident.resolution
        if resolution is None or not resolution.is_evidence:
            continue
        count = len(resolution.steps)
        seen: set[int] = set()  # a step said twice in one incident worked once
        for position, step in enumerate(resolution.steps):
            words = frozenset(terms(step.text))
            index = next((i for i, m in enumerate(merged) if _same(m, step.command, words)), None)
            if index is None:
                index = len(merged)
                action = Action(step.text, step.command, risk_of(step.command, step.text), ())
                merged.append(_Merged(action, match.probability, position / count, words))
            if index in seen:
                continue
            seen.add(index)
            merged[index].action = _with_outcome(merged[index].action, match, step.outcome)
    for item in merged:
        if item.action.only_failed:
            tried = f"failed {item.action.failed} of {item.action.failed}"
            item.action = replace(item.action, action=f"Skip ({tried}): {item.action.action}", command=None)
    merged.sort(key=_rank)
    return [item.action for item in merged]


def _rank(item: _Merged) -> tuple[object, ...]:
    action = item.action
    likeliest = -round(20 * item.likeliest)  # nearly as likely is as likely: then what was done first comes first
    if action.risk is Risk.READ_ONLY and not action.only_failed:
        return (0, False, likeliest, item.order)
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


def _same(known: _Merged, command: str | None, words: frozenset[str]) -> bool:
    mine = known.action.command
    if mine and command:
        return _command_key(mine) == _command_key(command) or _alike(mine, command)
    return bool(words and known.words) and _jaccard(words, known.words) >= _SAME_TEXT


def _command_key(command: str) -> str:
    """Commands that differ in white space, quoting style or a placeholder's name are the same command."""
    return re.sub(r"<[^<>]*>|\$\{?\w+\}?", "<>", " ".join(command.split()).replace('"', "'")).rstrip("; ")


def _alike(one: str, other: str) -> bool:
    """Whether two commands differ only in names, as of a host: the same program, numbers and most words. A number
    makes another command of it: 0 replicas are not 10."""
    if one.split()[:1] != other.split()[:1] or _numbers(one) != _numbers(other):
        return False
    return _jaccard(frozenset(terms(one)), frozenset(terms(other))) >= _SAME_COMMAND


def _numbers(command: str) -> list[str]:
    return re.findall(r"(?<![\w.-])\d+(?:\.\d+)?\w*", command)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0


def limit(actions: Sequence[Action]) -> list[Action]:
    """The actions that a person will read, in order: so many checks, so many changes, so many that failed."""
    failed = [action for action in actions if action.only_failed][:MAX_FAILED]
    useful = [action for action in actions if not action.only_failed]
    checks = [action for action in useful if action.risk is Risk.READ_ONLY][:MAX_CHECKS]
    changes = [action for action in useful if action.risk is not Risk.READ_ONLY]
    # The ones that worked best are kept, a destructive one among them; the order stays.
    best = sorted(changes, key=lambda action: (-action.success, -action.worked))[:MAX_CHANGES]
    return [*checks, *(action for action in changes if action in best), *failed]
