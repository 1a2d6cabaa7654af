"""find_similar: recall alone, nothing stored."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from ..memory.incident import Status
from ..memory.recall import Scope
from ..memory.record import parse_time
from .base import MAX_DESCRIPTION, Answer, Arguments, Desk, Progress, ShortText, Text, Tool, recall_beside
from .shapes import SimilarIncident, degraded_lines


class FindSimilar(Arguments):
    query: Annotated[
        Text, Field(min_length=1, max_length=MAX_DESCRIPTION, description="Symptoms, error text or cause.")
    ]
    limit: Annotated[int, Field(ge=1, le=50, description="How many at most.")] = 5
    status: Annotated[Literal["open", "resolved"] | None, Field(description="Only these.")] = None
    service: Annotated[ShortText | None, Field(description="Only this service.")] = None
    since: Annotated[ShortText | None, Field(description="Only since this date (ISO 8601).")] = None


class Similar(Answer):
    matches: list[SimilarIncident]
    degraded: list[str] = []

    def as_text(self) -> str:
        found = "\n".join(match.as_text() for match in self.matches) or "No incident in memory is in that scope."
        return "\n".join([found, *degraded_lines(self.degraded)])


async def run(desk: Desk, arguments: FindSimilar, progress: Progress) -> Similar:
    """Recall within the scope."""
    scope = Scope(
        status=Status(arguments.status) if arguments.status else None,
        service=arguments.service,
        since=parse_time(arguments.since, "since"),
    )
    find = partial(desk.memory.find, arguments.query, arguments.limit, scope)
    recalled = await recall_beside(desk, arguments.query, find, widen=False)
    matches = recalled.matches[: arguments.limit]
    return Similar(matches=[SimilarIncident.of(m) for m in matches], degraded=list(recalled.degraded))


TOOL = Tool(
    name="find_similar",
    title="Find similar incidents",
    description=(
        "Search past incidents by words and meaning; stores nothing. Each match has the probability of being the same "
        "problem and why it was found."
    ),
    arguments=FindSimilar,
    answer=Similar,
    run=run,
    read_only=True,
    idempotent=True,
)
