"""The playbooks: what to do about a failure type of which the memory knows nothing yet."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ..memory.incident import FailureType
from ..memory.risk import Risk
from ..memory.runbook import Action


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


@cache
def playbook(failure_type: FailureType) -> Playbook:
    """The playbook of a failure type."""
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
