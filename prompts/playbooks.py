"""The playbooks: what to do about a failure type of which the memory knows nothing yet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from ..memory.incident import FailureType
from ..memory.risk import Risk
from ..memory.runbook import Action
from .technologies import Named, needed_by, suits


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

    def suited(self, spoken_of: Named) -> Playbook:
        """The playbook for what is there: without the commands for technologies that another one stands in for, and the checks
        for what is spoken of first. Mitigations stay in their order, which is that of their harm. Where nothing is said all stays as it is."""
        checks = _suited(self.checks, spoken_of)
        checks.sort(key=lambda check: not (suits(check.command, spoken_of) and needed_by(check.command or "")))
        return replace(
            self,
            checks=tuple(checks),
            mitigations=tuple(_suited(self.mitigations, spoken_of)),
            watch=tuple(_suited(self.watch, spoken_of)),
        )


def _suited(actions: Sequence[Action], spoken_of: Named) -> list[Action]:
    """Those that may suit; where none does, the first in words alone, but for words that speak of another technology, too."""
    kept = [action for action in actions if suits(action.command, spoken_of) is not False]
    in_words = [replace(action, command=None, undo=None, expect=None) for action in actions]
    fitting = [action for action in in_words if suits(action.action, spoken_of) is not False]
    return kept or (fitting or in_words)[:2]


_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
"""What may be put into a command in the place of `<service>`: the name of a Kubernetes object, no shell syntax."""


def playbook(failure_type: FailureType, service: str | None = None) -> Playbook:
    """The playbook of a failure type, with the service's name in the place of `<service>` where it is a plain name."""
    book = _read(failure_type)
    if service is None or not _SAFE_NAME.fullmatch(service):
        return book

    def with_name(actions: tuple[Action, ...]) -> tuple[Action, ...]:
        return tuple(
            replace(
                action,
                command=action.command and action.command.replace("<service>", service),
                undo=action.undo and action.undo.replace("<service>", service),
            )
            for action in actions
        )

    return replace(
        book, checks=with_name(book.checks), mitigations=with_name(book.mitigations), watch=with_name(book.watch)
    )


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
