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
from .places import has_place, placed
from .technologies import (
    LABELS,
    ONLY_IF_SAID,
    STATES,
    Named,
    families_of,
    family_of,
    needed_by,
    suits,
    unusual,
    usual_of,
)

LEAST_CHECKS, LEAST_CHANGES, LEAST_WATCH = 2, 2, 1
"""With fewer steps of its own than these, a stack that is not usual gets general ones besides. What destroys is no change
to begin with, and is not counted."""

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
        checks, mitigations, watch = (tuple(map(change, part)) for part in (self.checks, self.mitigations, self.watch))
        return replace(self, checks=checks, mitigations=mitigations, watch=watch)


@dataclass(frozen=True, slots=True)
class Playbook:
    """How a kind of failure works and what to do: read-only checks, then mitigations, then what to watch.

    `general` are steps that are true for any stack, `own` those for a technology that is not usual. `without` is filled in
    by `suited`: how the technologies are called that are spoken of, that it has no steps for, and others instead.

    `steps` and `own` have `<service>` as it is written, so that a name such as `mongo-2` does not speak for a step;
    `checks`, `mitigations`, `watch` and what follows from them have the service's name in its place.
    """

    failure_type: FailureType
    name: str
    mechanism: str
    prevention: str
    steps: Steps
    general: Steps
    own: Mapping[str, Steps]
    without: tuple[str, ...] = ()
    service: str | None = None

    @property
    def checks(self) -> tuple[Action, ...]:
        """What to look at first; nothing is changed by it."""
        return tuple(map(self._named, self.steps.checks))

    @property
    def mitigations(self) -> tuple[Action, ...]:
        """What to change, the destructive last."""
        return tuple(map(self._named, self.steps.mitigations))

    @property
    def watch(self) -> tuple[Action, ...]:
        """What to look at until it is over."""
        return tuple(map(self._named, self.steps.watch))

    @property
    def actions(self) -> tuple[Action, ...]:
        """Its steps in the order in which they are done, without those for another stack."""
        return (*self.checks, *self.mitigations, *self.watch)

    @property
    def known(self) -> tuple[Action, ...]:
        """Every step that it has, for whatever stack."""
        own = (self._named(action) for steps in self.own.values() for action in steps.actions)
        return (*self.actions, *self.general.actions, *own)

    def fitting_checks(self, spoken_of: Named) -> tuple[Action, ...]:
        """The checks that are for what is spoken of, as `fits`, in the same form as in `checks`."""
        return tuple(self._named(check) for check in self.steps.checks if fits(check, spoken_of))

    def _named(self, action: Action) -> Action:
        if self.service is None:
            return action
        command = action.command and action.command.replace("<service>", self.service)
        return replace(action, command=command, undo=action.undo and action.undo.replace("<service>", self.service))

    def suited(self, spoken_of: Named) -> Playbook:
        """The playbook for what is there. What is for a technology that another one stands in for, by its command or its
        words, is left out; the checks for what is spoken of come first. Mitigations stay in their order, which is that
        of their harm. Where nothing is said all stays as it is, but for what is never guessed.

        Where something is spoken of that is not usual, its own steps come first, no platform is taken for granted, and what
        then lacks is made up of general steps: there is a check and a mitigation for everybody.
        """
        lost = self._lost(spoken_of)
        others = unusual(spoken_of)
        fitting = [a for a in self.steps.actions if fits(a, spoken_of)]
        served = {one for action in fitting for its in _needs(action).values() for one in its}
        # Where every step is general, whatever is named has none of its own, but for a cloud, which says little.
        plain = not any(map(_needs, fitting)) and not any(one in self.own for one in others)
        unserved = tuple(
            LABELS[one]
            for one in others
            if one not in self.own
            and one not in served
            and (families_of(one) & lost or (plain and family_of(one) != "cloud"))
        )
        # A cloud says little of what runs there: what is guessed for others is as good a guess for it.
        others = [one for one in others if family_of(one) != "cloud"]
        if usual := usual_of(spoken_of):
            # Beside a platform that the steps are for, one without any is a detail: Windows nodes in a cluster.
            missed = lost - ({family_of(one) for one in usual} & {"platform"})
            others = [one for one in others if one in self.own or families_of(one) & missed]
        if not others:
            return replace(self, steps=self._usual(spoken_of), without=unserved)
        own = [self.own[one] for one in others if one in self.own]
        mechanism = next((steps.mechanism for steps in own if steps.mechanism), None)
        prevention = next((steps.prevention for steps in own if steps.prevention), None)
        if mechanism is None:
            mechanism = self.mechanism if not lost and suits(self.mechanism, spoken_of) else self.general.mechanism
        if prevention is None:
            prevention = self.prevention if not lost and suits(self.prevention, spoken_of) else self.general.prevention
        return replace(
            self,
            mechanism=mechanism or self.mechanism,
            prevention=prevention or self.prevention,
            steps=self._unusual(others, spoken_of),
            without=unserved,
        )

    def _lost(self, spoken_of: Named) -> set[str]:
        """The families in which something is named that another one's checks, or of what is nearest its changes, are no
        use for; a host that is not there is the platform's loss."""
        lost = {
            family
            for action in self.steps.actions
            for family, needed in _needs(action).items()
            if family in spoken_of and not needed & spoken_of[family]
            if family in _NEAREST or action in self.steps.checks
        }
        return lost | ({"platform"} if not all(has_place(check, spoken_of) for check in self.steps.checks) else set())

    def _usual(self, spoken_of: Named) -> Steps:
        def kept(actions: Sequence[Action], general: Sequence[Action]) -> tuple[Action, ...]:
            left = tuple(a for a in actions if fits(a, spoken_of) is not False)
            return left if any(a.risk is not Risk.DESTRUCTIVE for a in left) else (*general, *left)

        return replace(
            self.steps,
            checks=tuple(_needing_first(kept(self.steps.checks, self.general.checks), spoken_of)),
            mitigations=kept(self.steps.mitigations, self.general.mitigations),
            watch=kept(self.steps.watch, self.general.watch),
        )

    def _unusual(self, others: Sequence[str], spoken_of: Named) -> Steps:
        def in_place(one: str) -> Steps:
            return self.own[one].each(lambda action: placed(action, one, spoken_of))

        # Whoever is on a platform that we know nothing of gets no guesses besides.
        foreign = any(family_of(one) == "platform" and one not in self.own for one in others)
        own = [(family_of(one) in _NEAREST, in_place(one)) for one in others if one in self.own]

        def made(part: Callable[[Steps], tuple[Action, ...]], least: int) -> list[Action]:
            fitting = [action for action in _needing_first(part(self.steps), spoken_of) if fits(action, spoken_of)]
            # What is for anybody, or anybody in that cloud, stands behind what is for something that is named.
            wide = [action for action in fitting if _needs(action).keys() <= {"cloud"}]
            mine = [(near, [a for a in part(steps) if fits(a, spoken_of) is not False]) for near, steps in own]
            groups = [steps for near, steps in mine if near]
            groups.append([action for action in fitting if action not in wide])
            groups += [steps for near, steps in mine if not near]
            made = [*_in_turn([_said_first(group, spoken_of) for group in groups]), *wide]
            enough = sum(action.risk is not Risk.DESTRUCTIVE for action in made)
            made += part(self.general)[: max(0, least - enough)]
            if not foreign:
                made += [action for action in part(self.steps) if _may_be_guessed(action, spoken_of)]
            return [_without_others(action, spoken_of) for action in made]

        changes = made(lambda steps: steps.mitigations, LEAST_CHANGES)
        mine = {action.action for _, steps in own for action in steps.mitigations}
        # The last one is shown whatever stands between: of two last resorts it is the stack's own.
        changes.sort(
            key=lambda action: (
                action.risk is Risk.DESTRUCTIVE,
                action.risk is Risk.DESTRUCTIVE and action.action in mine,
            )
        )
        return replace(
            self.steps,
            checks=tuple(made(lambda steps: steps.checks, LEAST_CHECKS)),
            mitigations=tuple(changes),
            watch=tuple(made(lambda steps: steps.watch, LEAST_WATCH)),
        )


def fits(action: Action, spoken_of: Named) -> bool | None:
    """Whether a step, as it is written, is for what is there, as `technologies.suits`: its command says so, or else its
    words, and words that speak of another technology, a host that is not there, or a family that has to be named
    (`ONLY_IF_SAID`) are enough to say no."""
    if _needs(action).keys() & ONLY_IF_SAID - spoken_of.keys() or not has_place(action, spoken_of):
        return False
    if not action.command:
        return suits(action.action, spoken_of)
    return False if suits(action.action, spoken_of) is False else suits(action.command, spoken_of)


def is_for_all(action: Action) -> bool:
    """Whether a step needs nothing special to be there."""
    return not _needs(action)


def _needs(action: Action) -> Named:
    return needed_by(action.command or action.action)


def _may_be_guessed(action: Action, spoken_of: Named) -> bool:
    """Whether a step for something that nobody named may stand behind the others, as it does where nothing is said at all:
    a look at a database or a cache."""
    unsaid = _needs(action).keys() - spoken_of.keys()
    return fits(action, spoken_of) is None and unsaid <= {"database", "cache"} and action.risk is Risk.READ_ONLY


def _needing_first(checks: Iterable[Action], spoken_of: Named) -> list[Action]:
    return sorted(checks, key=lambda check: not (fits(check, spoken_of) and _needs(check)))


def _said_first(actions: Iterable[Action], spoken_of: Named) -> list[Action]:
    """The steps whose words speak of a state that is spoken of, before the others."""

    def says(action: Action) -> bool:
        return any(
            its & spoken_of.get(family, frozenset())
            for family, its in needed_by(action.action).items()
            if family in STATES
        )

    return sorted(actions, key=lambda action: not says(action))


def _in_turn(groups: Sequence[Sequence[Action]]) -> Iterator[Action]:
    """The first of each group, the second of each, and so on: who names two technologies sees steps for both."""
    for row in zip_longest(*groups):
        yield from (action for action in row if action is not None)


_SENTENCE = re.compile(r"(?<=[.;])\s+")


def _without_others(action: Action, spoken_of: Named) -> Action:
    """The step without the sentences of what to expect that speak of a technology which neither the step nor what is there
    does."""
    if not action.expect:
        return action
    known = _needs(action).keys()
    kept = [
        one
        for one in _SENTENCE.split(action.expect)
        if suits(one, spoken_of) is not False and needed_by(one).keys() - STATES <= spoken_of.keys() | known
    ]
    return replace(action, expect=" ".join(kept).rstrip(";") or None)


_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
"""What may be put into a command in the place of `<service>`: the name of a Kubernetes object, no shell syntax."""


def playbook(failure_type: FailureType, service: str | None = None) -> Playbook:
    """The playbook of a failure type, with the service's name in the place of `<service>` where it is a plain name."""
    book = _read(failure_type)
    if service is None or not _SAFE_NAME.fullmatch(service):
        return book
    return replace(book, service=service)


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
        own={technology: _steps(its[kind], kind) for technology, its in stacks().items() if kind in its},
    )


@cache
def stacks() -> Mapping[str, Mapping[str, Any]]:
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
