"""`incidentos sync`: exchange with the team's memory, in a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import anyio

from ..memory.errors import CloudError, InvalidInput
from ..memory.memory import IncidentMemory
from ..memory.sync.exchange import Exchange
from ..memory.sync.report import Direction, Report
from ..memory.sync.service import welcome
from ..settings import Settings
from ..wiring import connect_cloud
from .look import printable

_EMBEDDING_STANDS_STILL = 30.0
"""Seconds without an embedded incident after which the rest is left to the next server."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to exchange."""

    direction: Direction = "both"
    full: bool = False
    dry_run: bool = False
    retry: bool = False


def sync(settings: Settings, memory: IncidentMemory, wish: Wish, *, as_json: bool) -> int:
    """Exchange and print what was done. Returns 1 if something still waits or is set aside afterwards, else 0.

    Raises:
        InvalidInput: no shared memory is set.
        CloudError: the shared memory did not do what was asked; what was done until then stays.
    """
    if settings.hindsight_url is None:
        raise InvalidInput(
            "No shared memory is set. Set HINDSIGHT_API_KEY for Hindsight's cloud, or HINDSIGHT_BASE_URL for a server of "
            f"your own. {memory.counts().pending_sync} changes wait safely in the outbox on this machine."
        )
    if wish.retry and not wish.dry_run and (count := memory.store.retry()):
        print(f"{count} that were set aside are tried again.", file=sys.stderr)
    with _progress() as tell:
        report = anyio.run(_exchange, settings, memory, wish, tell)
        if (report.pulled or report.updated) and not wish.dry_run:
            _embed(memory, tell)
    if as_json:
        print(json.dumps(_as_json(settings, wish, report), ensure_ascii=False, indent=1))
    else:
        _say(settings, wish, report)
    return 1 if not wish.dry_run and (report.refused or (report.pending and wish.direction != "pull")) else 0


async def _exchange(settings: Settings, memory: IncidentMemory, wish: Wish, tell: Callable[[str], None]) -> Report:
    cloud = connect_cloud(settings)
    assert cloud is not None

    async def progress(done: int, total: int, message: str) -> None:
        tell(message)

    try:
        tell(f"connecting to {cloud.url}")
        await cloud.load()
        return await Exchange(memory.store, cloud, partial(welcome, memory)).run(
            wish.direction, full=wish.full, dry_run=wish.dry_run, progress=progress
        )
    except CloudError as exc:
        pending = memory.counts().pending_sync
        waits = f" {pending} changes wait safely in the outbox on this machine." if pending else ""
        raise type(exc)(f"{exc}{waits}") from None
    finally:
        await cloud.aclose()


def _embed(memory: IncidentMemory, tell: Callable[[str], None]) -> None:
    """Wait while what was pulled is embedded, so that the next question finds it by its meaning, too."""
    memory.embedder.start()
    lacking, since = -1, time.monotonic()
    while memory.embedder.state in {"loading", "ready"} and time.monotonic() - since < _EMBEDDING_STANDS_STILL:
        if memory.embedder.state == "ready":
            left = memory.counts().without_vectors
            if not left:
                return
            if left != lacking:
                lacking, since = left, time.monotonic()
                tell(f"embedding what was pulled: {left} left")
        time.sleep(0.05)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Progress on stderr: one line that changes for a person, a line now and then for a file."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("") as status:
            yield lambda message: status.update(message)
        return
    last = 0.0

    def tell(message: str) -> None:
        nonlocal last
        if time.monotonic() - last >= 1.0:
            last = time.monotonic()
            print(message, file=sys.stderr, flush=True)

    yield tell


def _as_json(settings: Settings, wish: Wish, report: Report) -> dict[str, object]:
    return {
        "direction": wish.direction,
        "dry_run": wish.dry_run,
        "bank": settings.hindsight_bank,
        "pulled": report.pulled,
        "pushed": report.pushed,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "skipped": report.skipped,
        "conflicts": len(report.conflicts),
        "pending": report.pending,
        "refused": report.refused,
        "conflict_list": [{"incident_id": one, "kept": kept} for one, kept in report.conflicts],
        "skipped_list": [{"incident_id": one, "reason": reason} for one, reason in report.reasons],
        "error": report.error,
    }


def _say(settings: Settings, wish: Wish, report: Report) -> None:
    would = "would be " if wish.dry_run else ""
    print(
        f"Bank {settings.hindsight_bank}: {would}pulled {report.pulled}, pushed {report.pushed}, updated {report.updated}; "
        f"unchanged {report.unchanged}, skipped {report.skipped}, conflicts {len(report.conflicts)}, "
        f"pending {report.pending}."
    )
    for line in report.remarks():
        print(f"  {printable(line)}")
