"""The playbooks: what to do about a failure type of which the memory knows nothing yet."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from ..memory.incident import FailureType
from ..memory.risk import Risk
from ..memory.runbook import Action
from .technologies import Named, named, suits


@dataclass(frozen=True, slots=True)
class Playbook:
    """How a kind of failure works and what to do: read-only checks, then mitigations, then what to watch."""

    failure_type: FailureType
    name: str
    mechanism: str
    prevention: str
    checks: tuple[Action, ...]
    mitigations: tuple[Action, ...]
    watch: tuple[Action, ...]

    @property
    def actions(self) -> tuple[Action, ...]:
        """All of it, in the order in which it is done."""
        return (*self.checks, *self.mitigations, *self.watch)

    def suited(self, there: Named) -> Playbook:
        """The playbook without the steps for technologies that another one stands in for, those for what is there first. Where
        nothing is said all stays as it is, and some check is always left; of the changes, none where none fits."""
        return replace(
            self,
            checks=_suited(self.checks, there) or self.checks,
            mitigations=_suited(self.mitigations, there),
            watch=_suited(self.watch, there),
        )


def _suited(actions: tuple[Action, ...], there: Named) -> tuple[Action, ...]:
    """Those that may suit: first those for what is there, but the destructive are last in any case."""
    kept = [(fit, action) for action in actions if (fit := suits(action.command, there)) is not False]
    kept.sort(key=lambda it: (it[1].risk is Risk.DESTRUCTIVE, not (it[0] and named(it[1].command or ""))))
    return tuple(action for _, action in kept)


_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
"""What may be put into a command in the place of `<service>`: the name of a Kubernetes object, no shell syntax."""


def playbook(failure_type: FailureType, service: str | None = None) -> Playbook:
    """The playbook of a failure type, with the service's name in the place of `<service>` where it is a plain name."""
    book = _read(failure_type)
    if service is None or not _SAFE_NAME.fullmatch(service):
        return book

    def named(actions: tuple[Action, ...]) -> tuple[Action, ...]:
        return tuple(
            replace(
                action,
                command=action.command and action.command.replace("<service>", service),
                undo=action.undo and action.undo.replace("<service>", service),
            )
            for action in actions
        )

    return replace(book, checks=named(book.checks), mitigations=named(book.mitigations), watch=named(book.watch))


@cache
def _read(failure_type: FailureType) -> Playbook:
    file = resources.files(__package__) / "playbooks" / f"{failure_type.value}.toml"
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    source = (f"playbook:{failure_type.value}",)

    def actions(section: str) -> tuple[Action, ...]:
        return tuple(
            Action(
                action=entry["action"],
                command=entry["command"],
                risk=Risk(entry["risk"]),
                sources=source,
                expect=entry["expect"],
                undo=entry.get("undo"),
            )
            for entry in content[section]
        )

    return Playbook(
        failure_type=failure_type,
        name=content["name"],
        mechanism=content["mechanism"],
        prevention=content["prevention"],
        checks=actions("check"),
        mitigations=actions("mitigation"),
        watch=actions("watch"),
    )
