"""The parts that several answers share, and how they read as text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from ..memory.incident import Incident, Outcome, Status
from ..memory.probability import Match
from ..memory.text import clean

MAX_SHOWN = 280
"""Characters of a text that is quoted in an answer; `incident://<id>` has it whole."""


class SimilarIncident(BaseModel):
    """A past incident that resembles what was asked."""

    model_config = ConfigDict(frozen=True)

    incident_id: str
    title: str
    probability: float
    resolved: bool
    root_cause: str | None = None
    mitigation_steps: list[str] = []
    service: str | None = None
    created_at: str | None = None
    why: list[str]

    @classmethod
    def of(cls, match: Match, *, steps: int = 5) -> SimilarIncident:
        """The shape of a match with so many of its steps: those of an unlikely one would only take up room."""
        incident = match.incident
        resolution = incident.resolution
        guess = "(a guess, never confirmed) " if resolution and not resolution.is_evidence else ""
        return cls(
            incident_id=incident.id,
            title=one_line(incident.label, 160),
            probability=round(match.probability, 2),
            resolved=incident.status is Status.RESOLVED,
            root_cause=guess + one_line(incident.root_cause) if incident.root_cause else None,
            mitigation_steps=step_lines(incident, steps),
            service=one_line(incident.service, 120) if incident.service else None,
            created_at=format_day(incident.created_at),
            why=list(match.why),
        )

    def as_text(self, *, steps: bool = True) -> str:
        """One match, on one to four lines; without its steps where they stand in a runbook already."""
        facts = ", ".join(filter(None, ["resolved" if self.resolved else "open", self.service, self.created_at]))
        lines = [f"- {self.incident_id} ({self.probability:.0%}; {facts}): {self.title}"]
        if self.root_cause:
            lines.append(f"  cause: {self.root_cause}")
        if steps and self.mitigation_steps:
            lines.append(f"  steps: {' | '.join(self.mitigation_steps)}")
        if self.why:
            lines.append(f"  why: {'; '.join(self.why)}")
        return "\n".join(lines)


def step_lines(incident: Incident, most: int = 5) -> list[str]:
    """The steps of an incident's resolution, each with its outcome where that is known."""
    if incident.resolution is None:
        return []
    lines: list[str] = []
    for step in incident.resolution.steps[:most]:
        text = one_line(step.text)
        if step.command and step.command not in step.text:
            text += f" `{one_line(step.command)}`"
        lines.append(text if step.outcome is Outcome.UNKNOWN else f"{text} [{step.outcome.value}]")
    return lines


def one_line(text: str, most: int = MAX_SHOWN) -> str:
    """The text without line breaks, cut where it is long: quoted text must not be able to pass for our own lines."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= most else flat[: most - 1].rstrip() + "…"


def brief(text: str, most: int) -> str:
    """The text's first sentences: as many as fit, and at least one, cut where that is longer still."""
    flat = " ".join(text.split())
    if len(flat) <= most:
        return flat
    end = max(flat.rfind(mark, 0, most - 1) for mark in (". ", "; "))
    return f"{flat[: end + 1].rstrip(';')} …" if end > most // 3 else one_line(flat, most)


def format_day(at: datetime | None) -> str | None:
    """The day of a time, in UTC."""
    return at.astimezone(UTC).date().isoformat() if at else None


def instant(at: datetime | None) -> str | None:
    """The time as ISO 8601 to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


def degraded_lines(degraded: Iterable[str]) -> list[str]:
    """What was not at hand, as closing lines."""
    return [f"Note: {line}" for line in degraded]
