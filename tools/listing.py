"""list_incidents: browsing, for models whose host shows no resources."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Literal

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field

from ..memory.failure_types import LABELS
from ..memory.incident import FailureType, Incident, Status, utcnow
from ..memory.ports import Filter, Offender
from ..memory.recurrence import WINDOW_DAYS, days_ago, times
from .base import Answer, Arguments, Desk, Progress, ShortText, Tool
from .shapes import format_day, one_line


class ListIncidents(Arguments):
    status: Annotated[Literal["open", "resolved"] | None, Field(description="Only these.")] = None
    service: Annotated[ShortText | None, Field(description="Only this service.")] = None
    failure_type: Annotated[
        Literal[
            "connection-pool-exhaustion", "database-degradation", "cache-failure", "dns-failure", "memory-leak",
            "cpu-saturation", "disk-exhaustion", "load-balancer-misconfiguration", "failed-deployment",
            "expired-certificate", "third-party-outage", "latency", "network", "other",
        ] | None,
        Field(description="Only this type."),
    ] = None  # fmt: skip
    cursor: Annotated[ShortText | None, Field(description="From the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=100, description="Rows of a page.")] = 20


class Row(BaseModel):
    model_config = ConfigDict(frozen=True)

    incident_id: str
    status: Literal["open", "resolved"]
    title: str
    failure_type: str
    service: str | None = None
    created_at: str | None = None
    root_cause: str | None = None

    @classmethod
    def of(cls, incident: Incident) -> Row:
        """The shape of an incident in a list."""
        return cls(
            incident_id=incident.id,
            status=incident.status.value,
            title=one_line(incident.label, 120),
            failure_type=incident.failure_type.value,
            service=one_line(incident.service, 120) if incident.service else None,
            created_at=format_day(incident.created_at),
            root_cause=one_line(incident.root_cause, 160) if incident.root_cause else None,
        )

    def as_text(self) -> str:
        """The row on one line."""
        facts = ", ".join(filter(None, [self.status, self.service, self.failure_type, self.created_at]))
        cause = f" — {self.root_cause}" if self.root_cause else ""
        return f"- {self.incident_id} ({facts}): {self.title}{cause}"


class Listing(Answer):
    incidents: list[Row]
    total: int
    open: int
    resolved: int
    repeat_offenders: list[str] = []
    cursor: str | None = None

    def as_text(self) -> str:
        lines = [f"{self.total} incidents: {self.open} open, {self.resolved} resolved."]
        if self.repeat_offenders:
            lines.append(f"Repeat offenders: {'; '.join(self.repeat_offenders)}.")
        lines += [row.as_text() for row in self.incidents]
        if self.cursor:
            lines.append(f"More: call again with cursor={self.cursor!r}.")
        return "\n".join(lines)


def offence(one: Offender, now: datetime) -> str:
    """What a service had again and again, in words; counted by failure type, since the causes may differ."""
    last = days_ago((now - one.last).days)
    service = one_line(one.service, 60)
    return f"{service}: {LABELS[one.failure_type]} {times(one.count)} in {WINDOW_DAYS} days, last {last}"


async def run(desk: Desk, arguments: ListIncidents, progress: Progress) -> Listing:
    """One page."""
    wanted = Filter(
        status=Status(arguments.status) if arguments.status else None,
        service=arguments.service,
        failure_type=FailureType(arguments.failure_type) if arguments.failure_type else None,
    )
    page = await anyio.to_thread.run_sync(partial(desk.memory.page, wanted, arguments.limit, arguments.cursor))
    now = utcnow()
    first = arguments.cursor is None  # a later page says nothing new of them
    since = now - timedelta(days=WINDOW_DAYS)
    offenders = await anyio.to_thread.run_sync(desk.memory.offenders, since, wanted) if first else []
    return Listing(
        repeat_offenders=[offence(one, now) for one in offenders],
        incidents=[Row.of(incident) for incident in page.incidents],
        total=page.total,
        open=page.open,
        resolved=page.resolved,
        cursor=page.cursor,
    )


TOOL = Tool(
    name="list_incidents",
    title="List incidents",
    description="Browse the memory, newest first, with totals of what the filter selects.",
    arguments=ListIncidents,
    answer=Listing,
    run=run,
    read_only=True,
    idempotent=True,
)
