"""The playbooks: what to do about a failure type of which the memory knows nothing yet.

`playbooks/<failure type>.toml` holds the steps for what is usual (`technologies.USUAL`) and, as `general`, a few in words
that are true for any stack; `stacks/<technology>.toml` the steps for what is not usual, by failure type.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import zip_longest
from typing import Any

from ..memory.incident import FailureType
from ..memory.risk import Risk
from ..memory.runbook import Action
from .technologies import LABELS, Named, family_of, needed_by, suits, unusual

LEAST_CHECKS, LEAST_CHANGES, LEAST_WATCH = 2, 2, 1
"""With fewer steps of its own than these, a stack that is not usual gets general ones besides."""

_NEAREST = frozenset({"database", "cache", "balancer"})
"""Families whose own steps stand before those for the platform: where one of them is named, it is what fails."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Read-only checks, mitigations and what to watch on one stack, or on any. `mechanism` and `prevention` are None where
    those of the playbook hold."""

    checks: tuple[Action, ...]
    mitigations: tuple[Action, ...]
    watch: tuple[Action, ...]
    mechanism: str | None = None
    prevention: str | None = None

    @property
    def actions(self) -> tuple[Action, ...]:
        """All of it, in the order in which it is done."""
        return (*self.checks, *self.mitigations, *self.watch)

    def each(self, change: Callable[[Action], Action]) -> Steps:
        """The same with each step changed."""
        checks, mitigations, watch = (
            tuple(map(change, part)) for part in (self.checks, self.mitigations, self.watch)
        )
        return replace(self, checks=checks, mitigations=mitigations, watch=watch)


@dataclass(frozen=True, slots=True)
class Playbook:
    """How a kind of failure works and what to do: read-only checks, then mitigations, then what to watch.

    `general` are steps that are true for any stack, `own` those for a technology that is not usual. `within` and `without`
    are filled in by `suited`: how the technologies are called that it has steps for, and those that it has none for.
    """

    failure_type: FailureType
    name: str
    mechanism: str
    prevention: str
    steps: Steps
    general: Steps
    own: Mapping[str, Steps]
    within: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def checks(self) -> tuple[Action, ...]:
        """What to look at first; nothing is changed by it."""
        return self.steps.checks

    @property
    def mitigations(self) -> tuple[Action, ...]:
        """What to change, the destructive last."""
        return self.steps.mitigations

    @property
    def watch(self) -> tuple[Action, ...]:
        """What to look at until it is over."""
        return self.steps.watch

    @property
    def actions(self) -> tuple[Action, ...]:
        """Its steps in the order in which they are done, without those for another stack."""
        return self.steps.actions

    @property
    def known(self) -> tuple[Action, ...]:
        """Every step that it has, for whatever stack."""
        return (*self.actions, *self.general.actions, *(a for steps in self.own.values() for a in steps.actions))

    def suited(self, spoken_of: Named) -> Playbook:
        """The playbook for what is there. What is for a technology that another one stands in for, by its command or its
        words, is left out; the checks for what is spoken of come first. Mitigations stay in their order, which is that
        of their harm. Where nothing is said all stays as it is.

        Where something is spoken of that is not usual, its own steps come first, no platform is taken for granted, and what
        then lacks is made up of general steps: there is a check and a mitigation for everybody.
        """
        others = unusual(spoken_of)
        if not others:
            return replace(self, steps=self._usual(spoken_of))
        lost = {
            family
            for check in self.checks
            for family, needed in _needs(check).items()
            if family in spoken_of and not needed & spoken_of[family]
        }
        served = {one for a in self.actions if fits(a, spoken_of) for its in _needs(a).values() for one in its}
        own = [self.own[one] for one in others if one in self.own]
        told = [*own, *([self.general] if lost else [])]
        return replace(
            self,
            mechanism=next((steps.mechanism for steps in told if steps.mechanism), self.mechanism),
            prevention=next((steps.prevention for steps in told if steps.prevention), self.prevention),
            steps=self._unusual(others, spoken_of),
            within=tuple(LABELS[one] for one in others if one in self.own),
            without=tuple(
                LABELS[one] for one in others if one not in self.own and one not in served and family_of(one) in lost
            ),
        )

    def _usual(self, spoken_of: Named) -> Steps:
        def kept(actions: Sequence[Action], general: Sequence[Action]) -> tuple[Action, ...]:
            return tuple(a for a in actions if fits(a, spoken_of) is not False) or tuple(general)

        return Steps(
            checks=tuple(_needing_first(kept(self.checks, self.general.checks), spoken_of)),
            mitigations=kept(self.mitigations, self.general.mitigations),
            watch=kept(self.watch, self.general.watch),
        )

    def _unusual(self, others: Sequence[str], spoken_of: Named) -> Steps:
        own = [(family_of(one) in _NEAREST, self.own[one]) for one in others if one in self.own]

        def made(part: Callable[[Steps], tuple[Action, ...]], least: int, apart: bool = False) -> list[Action]:
            """`apart`: what is for anything stands behind what is for something that is named."""
            usual = _needing_first(part(self.steps), spoken_of) if apart else part(self.steps)
            fitting = [action for action in usual if fits(action, spoken_of)]
            for_all = [action for action in fitting if not _needs(action)] if apart else []
            groups = [[a for a in part(steps) if fits(a, spoken_of) is not False] for near, steps in own if near]
            groups.append([action for action in fitting if action not in for_all])
            groups += [[a for a in part(steps) if fits(a, spoken_of) is not False] for near, steps in own if not near]
            made = [*_in_turn(groups), *for_all]
            made += part(self.general)[: max(0, least - len(made))]
            # A guess at what nobody named: as good as where nothing is said at all, but for the platform.
            made += [a for a in usual if fits(a, spoken_of) is None and "platform" not in _needs(a).keys() - spoken_of.keys()]
            return [_without_others(action, spoken_of) for action in made]

        changes = made(lambda steps: steps.mitigations, LEAST_CHANGES)
        changes.sort(key=lambda action: action.risk is Risk.DESTRUCTIVE)
        return Steps(
            checks=tuple(made(lambda steps: steps.checks, LEAST_CHECKS, apart=True)),
            mitigations=tuple(changes),
            watch=tuple(made(lambda steps: steps.watch, LEAST_WATCH)),
        )


def fits(action: Action, spoken_of: Named) -> bool | None:
    """Whether a step is for what is there, by its command and its words: as `technologies.suits`."""
    return suits(_text_of(action), spoken_of)


def _needs(action: Action) -> Named:
    return needed_by(_text_of(action))


def _text_of(action: Action) -> str:
    return f"{action.action}\n{action.command}" if action.command else action.action


def _needing_first(checks: Iterable[Action], spoken_of: Named) -> list[Action]:
    return sorted(checks, key=lambda check: not (fits(check, spoken_of) and _needs(check)))


def _in_turn(groups: Sequence[Sequence[Action]]) -> Iterator[Action]:
    """The first of each group, the second of each, and so on: who names two technologies sees steps for both."""
    for row in zip_longest(*groups):
        yield from (action for action in row if action is not None)


_SENTENCE = re.compile(r"(?<=[.;])\s+")


def _without_others(action: Action, spoken_of: Named) -> Action:
    """The step without the sentences of what to expect that speak of a technology which another one stands in for."""
    if not action.expect:
        return action
    kept = [one for one in _SENTENCE.split(action.expect) if suits(one, spoken_of) is not False]
    return replace(action, expect=" ".join(kept).rstrip(";") or None)


_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
"""What may be put into a command in the place of `<service>`: the name of a Kubernetes object, no shell syntax."""


def playbook(failure_type: FailureType, service: str | None = None) -> Playbook:
    """The playbook of a failure type, with the service's name in the place of `<service>` where it is a plain name."""
    book = _read(failure_type)
    if service is None or not _SAFE_NAME.fullmatch(service):
        return book

    def with_name(action: Action) -> Action:
        return replace(
            action,
            command=action.command and action.command.replace("<service>", service),
            undo=action.undo and action.undo.replace("<service>", service),
        )

    return replace(
        book,
        steps=book.steps.each(with_name),
        own={technology: steps.each(with_name) for technology, steps in book.own.items()},
    )


@cache
def _read(failure_type: FailureType) -> Playbook:
    kind = failure_type.value
    file = resources.files(__package__) / "playbooks" / f"{kind}.toml"
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return Playbook(
        failure_type=failure_type,
        name=content["name"],
        mechanism=content["mechanism"],
        prevention=content["prevention"],
        steps=_steps(content, kind),
        general=_steps(content["general"], kind),
        own={technology: _steps(its[kind], kind) for technology, its in _stacks().items() if kind in its},
    )


@cache
def _stacks() -> Mapping[str, Mapping[str, Any]]:
    """What each file of `stacks/` says, by technology."""
    folder = resources.files(__package__) / "stacks"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {
        file.name.removesuffix(".toml").replace("-", " "): tomllib.loads(file.read_text(encoding="utf-8"))
        for file in files
    }


def _steps(content: Mapping[str, Any], kind: str) -> Steps:
    def actions(section: str) -> tuple[Action, ...]:
        return tuple(
            Action(
                action=entry["action"],
                command=entry.get("command"),
                risk=Risk(entry["risk"]),
                sources=(f"playbook:{kind}",),
                expect=entry["expect"],
                undo=entry.get("undo"),
            )
            for entry in content.get(section, ())
        )

    return Steps(
        checks=actions("check"),
        mitigations=actions("mitigation"),
        watch=actions("watch"),
        mechanism=content.get("mechanism"),
        prevention=content.get("prevention"),
    )
