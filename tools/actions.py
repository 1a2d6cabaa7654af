"""A step of the runbook as an answer shows it: what to see, to fill in and to know before its command is run."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..memory.recurrence import HOLD_DAYS, days_ago, times
from ..memory.risk import Risk
from ..memory.runbook import Action
from ..memory.safeguard import NO_WAY_BACK
from .shapes import brief, instant, one_line

OLD_DAYS = 180
"""Days after which a change is not proposed without the question whether what it names is still there."""

MOST_EXPECTED = 220
"""Characters of what a step is expected to show; `incidents://failure-types` has a playbook's checks whole."""


class SuggestedAction(BaseModel):
    model_config = ConfigDict(frozen=True)

    action: str
    command: str | None = None
    risk: Literal["read-only", "reversible", "destructive"]
    sources: list[str]
    worked: int = 0
    failed: int = 0
    last_worked_at: str | None = None
    record: str
    run_on: list[str] = []
    placeholders: list[str] = []
    check_first: str | None = None
    look_for: str | None = None
    expect: str | None = None
    way_back: str | None = None
    unverified: bool | None = None

    @classmethod
    def of(cls, action: Action, now: datetime, service: str | None = None) -> SuggestedAction:
        """The shape of a runbook's action. `service` is that of the incident: a step of other services says so."""
        text = one_line(action.action, 600)
        told = f"`{one_line(action.command, 600)}`" if action.command else None
        if told and text.endswith(told):  # it stands on a line of its own
            text = text.removesuffix(told).rstrip(" :") or text
        mine = service is not None and any(one.casefold() == service.casefold() for one in action.services)
        return cls(
            action=text,
            command=action.command,
            risk=action.risk.value,
            sources=list(action.sources),
            worked=action.worked,
            failed=action.failed,
            last_worked_at=instant(action.last_worked_at),
            record=record_of(action, now),
            run_on=[] if mine or not action.command else [one_line(one, 60) for one in action.services[:3]],
            placeholders=list(action.placeholders),
            check_first=action.check,
            look_for=action.look,
            expect=brief(action.expect, MOST_EXPECTED) if action.expect else None,
            way_back=action.undo,
            unverified=None if action.verified else True,
        )

    def as_text(self, number: int) -> str:
        """The action as a numbered step: what to see and to fill in stands in front of the command."""
        lines = [f"{number}. [{self.risk}] {self.action}"]
        if self.run_on and self.command:
            lines.append(f"   as run on {', '.join(self.run_on)}: adapt names, hosts and namespaces")
        if self.placeholders:
            lines.append(f"   fill in first: {', '.join(self.placeholders)}")
        if self.look_for:
            lines.append(f"   check first: {self.look_for}")
        if self.check_first:
            lines += [f"   $ {line}" for line in self.check_first.splitlines()]
            lines += ["   then:"] if self.command else []
        if self.command:
            lines += [f"   $ {line}" for line in self.command.splitlines()]
        if self.expect:
            lines.append(f"   expect: {self.expect}")
        if self.way_back:
            none = self.way_back.startswith(NO_WAY_BACK)
            lines.append(f"   {self.way_back}" if none else f"   way back: {self.way_back}")
        lines.append("   " + " — ".join(filter(None, [self.record, ", ".join(self.sources)])))
        return "\n".join(lines)


def record_of(action: Action, now: datetime) -> str:
    """How the action did so far, in words: "worked 3 of 4, last 12 days ago; held twice, came back once"."""
    if not action.verified:
        return "UNVERIFIED: the language model's own; it stands in no past incident and no playbook"
    tried = action.worked + action.failed
    if not tried:
        past = [source for source in action.sources if not source.startswith("playbook:")]
        return "taken before, outcome not recorded" if past else "from the playbook, untried here"
    if action.only_failed:
        return f"failed {times(action.failed)}, never worked"
    last = ""
    if action.last_worked_at is not None:
        days = (now - action.last_worked_at).days
        last = f", last {days_ago(days)}"
        if days > OLD_DAYS and action.command and action.risk is not Risk.READ_ONLY:
            last += " (old: do its names and versions still hold?)"
    then = [f"held {times(action.held)}"] if action.held else []
    then += [f"the trouble came back {times(action.came_back)} within {HOLD_DAYS} days"] if action.came_back else []
    return f"worked {action.worked} of {tried}{last}" + (f"; {', '.join(then)}" if then else "")
