"""sync_memory: exchange with the team's shared memory.

Where none is connected the outbox is filled by every write all the same, so nothing that is stored today is missing once
there is one; until then the tool says how much waits, and never claims more.
"""

from __future__ import annotations

from typing import Annotated, Literal

import anyio.to_thread
from pydantic import Field

from ..memory.errors import IncidentOSError
from .base import Answer, Arguments, Desk, Progress, Tool


class SyncMemory(Arguments):
    direction: Annotated[Literal["push", "pull", "both"], Field(description="What to exchange.")] = "both"
    dry_run: Annotated[bool, Field(description="Only say what would be done.")] = False


class SyncCounts(Answer):
    pulled: int
    pushed: int
    updated: int
    unchanged: int
    skipped: int
    conflicts: int
    pending: int
    degraded: list[str] = []

    def as_text(self) -> str:
        counts = ", ".join(
            f"{name} {getattr(self, name)}"
            for name in ("pulled", "pushed", "updated", "unchanged", "skipped", "conflicts", "pending")
        )
        return "\n".join([counts, *self.degraded])


async def run(desk: Desk, arguments: SyncMemory, progress: Progress) -> SyncCounts:
    """Exchange, or say what waits where there is nothing to exchange with."""
    if desk.shared is None:
        return await _alone(desk, arguments)

    async def tell(done: int, total: int, message: str) -> None:
        await progress(done, total, message)

    report = await desk.shared.exchange.run(arguments.direction, dry_run=arguments.dry_run, progress=tell)
    return SyncCounts(
        pulled=report.pulled,
        pushed=report.pushed,
        updated=report.updated,
        unchanged=report.unchanged,
        skipped=report.skipped,
        conflicts=len(report.conflicts),
        pending=report.pending,
        degraded=list(report.remarks()),
    )


async def _alone(desk: Desk, arguments: SyncMemory) -> SyncCounts:
    pending = (await anyio.to_thread.run_sync(desk.memory.counts)).pending_sync
    if not arguments.dry_run:
        raise IncidentOSError(
            "Nothing was exchanged: no shared memory is connected. Set HINDSIGHT_API_KEY, or HINDSIGHT_BASE_URL for a "
            f"server of your own. {pending} changes wait safely in the outbox on this machine. With dry_run=true this "
            "call only counts."
        )
    return SyncCounts(
        pulled=0, pushed=0, updated=0, unchanged=0, skipped=0, conflicts=0, pending=pending,
        degraded=["No shared memory is connected; the pending changes wait on this machine."],
    )  # fmt: skip


TOOL = Tool(
    name="sync_memory",
    title="Sync with the team's memory",
    description="Push what is pending to the team's shared memory and pull what is new. dry_run only counts.",
    arguments=SyncMemory,
    answer=SyncCounts,
    run=run,
    read_only=False,
    idempotent=True,
    open_world=True,
)
