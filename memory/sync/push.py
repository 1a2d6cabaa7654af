"""The outbox goes to the bank.

Entries are leased, pushed and dropped batch by batch, so a push may be killed at any point: what had arrived is put there
once more, which changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import anyio

from ..cloud import BATCH, CloudMemory, Known, Tombstone, Version, digest
from ..errors import (
    CloudDenied,
    CloudError,
    CloudFailed,
    CloudMissing,
    CloudRefused,
    IncidentOSError,
    InvalidInput,
    StoreError,
)
from ..incident import Incident, utcnow
from ..outbox import Entry
from ..ports import IncidentStore
from ..record import dumps, format_time
from ..redaction import redact_incident
from .merge import lineage
from .pause import Pauses
from .report import Progress, Report, off_loop, parts

LEASE, RENEW = 30.0, 8.0
"""Seconds: how long others leave leased entries alone, and how often a push that goes on says so. A server that is killed
holds its entries up for no longer than a lease. One that is suspended for longer loses them, too, and does not push what
it had not sent; what it had sent may arrive over what others have pushed since, and is made good then."""

_BUSY_PAUSE = 1.0
"""Seconds before leases are renewed again where the file was busy: that may have taken half a lease already."""

ROW_PAUSES = Pauses(first=2.0, most=600.0)

_BATCH_BYTES = 2_000_000
_PATIENCE = LEASE + 10.0
_AGAIN = (0.3, 1.5)
"""Seconds before a push that the server failed at is made again at once. Hindsight's own transactions deadlock now and
then where several incidents arrive together; it answers 500, and a moment later takes the same."""

_GIVE_UP = 3
"""Failures in a row after which it is the server that fails, not what it is given."""


class Push:
    """Pushes to one bank.

    Args:
        store: this machine's memory.
        cloud: the bank.
        clock: seconds since 1970.
    """

    def __init__(self, store: IncidentStore, cloud: CloudMemory, clock: Callable[[], float]) -> None:
        self._store = store
        self._cloud = cloud
        self._clock = clock

    async def push(self, report: Report, impatient: bool, progress: Progress) -> None:
        """Push what is due; the impatient do not wait for what pauses after a failure."""
        backlog = await off_loop(self._store.backlog, self._clock())
        began = self._clock()
        failed: CloudFailed | None = None
        failures = 0
        while True:
            owner = secrets.token_hex(8)
            entries: list[Entry] = []
            try:
                entries = await off_loop(self._lease, owner, began if impatient else 0)
                if not entries:
                    if impatient and await self._others_hold(began, progress):
                        continue
                    break
                async with self._renewing(owner):
                    for batch in await off_loop(self._batches, owner, entries):
                        await self._push_batch(owner, batch, report)
                        failures = 0
                        await progress(
                            report.pushed, max(backlog.pending, report.pushed), f"pushed {report.pushed} incidents"
                        )
            except CloudFailed as exc:
                failed, failures = exc, failures + 1
                pause = max(ROW_PAUSES.after(entries[0].attempts), exc.retry_after)
                await off_loop(self._store.postpone, owner, self._clock(), pause)
                if len(entries) > 1 or failures >= _GIVE_UP:
                    raise
            except (CloudDenied, CloudMissing):  # not the entries' fault
                raise
            except (CloudError, InvalidInput):
                await off_loop(self._store.postpone, owner, self._clock(), ROW_PAUSES.after(entries[0].attempts))
                raise
            finally:
                await self._release(owner)
        if failed is not None:
            if not report.pushed:
                raise failed
            report.error = str(failed)

    async def _others_hold(self, began: float, progress: Progress) -> bool:
        """Whether it was worth a moment's wait, since another server pushes, or was killed while it did."""
        backlog = await off_loop(self._store.backlog, self._clock())
        if not backlog.leased or not 0 <= self._clock() - began < _PATIENCE:
            return False
        await progress(0, 0, f"another server is pushing {backlog.leased} incidents; waiting for it")
        await anyio.sleep(0.5)
        return True

    async def _release(self, owner: str) -> None:
        with anyio.CancelScope(shield=True):
            with suppress(StoreError):  # the leases run out by themselves
                await off_loop(self._store.release, owner)

    # The clock is read when it is this server's turn to write: a lease must not have run out in part while the file was
    # waited for.

    def _lease(self, owner: str, failed_before: float) -> list[Entry]:
        with self._store.transaction():
            return self._store.lease(owner, BATCH, self._clock(), LEASE, failed_before=failed_before)

    def _renew(self, owner: str) -> set[str]:
        with self._store.transaction():
            return self._store.renew(owner, self._clock(), LEASE)

    def _batches(self, owner: str, entries: Sequence[Entry]) -> list[list[Version]]:
        """What is to be pushed for the entries, in batches that a server takes at once."""
        ids = [entry.incident_id for entry in entries]
        here, known = self._store.here(ids), self._store.known(ids)
        versions: list[Version] = []
        for entry in entries:
            shared = here.get(entry.incident_id)
            if shared is None or (isinstance(shared, Tombstone) and shared.local):
                self._store.pushed(owner, [(entry.incident_id, entry.revision, None)])
                continue
            if isinstance(shared, Incident):
                shared = redact_incident(shared)  # patterns may have been added since it was stored
            versions.append(Version(shared, lineage(digest(shared), known.get(shared.id))))
        return list(parts(versions, _bytes, _BATCH_BYTES))

    async def _push_batch(self, owner: str, versions: Sequence[Version], report: Report) -> None:
        batch = await self._still_ours(owner, versions)
        if not batch:
            return
        try:
            await self._push_insistently(batch)
        except (CloudRefused, InvalidInput) as exc:
            await self._push_singly(owner, batch, exc, report)
            return
        await off_loop(self._note_pushed, owner, batch)
        report.pushed += len(batch)

    async def _still_ours(self, owner: str, versions: Sequence[Version]) -> list[Version]:
        """What nobody has taken over while this server was suspended."""
        leased = await off_loop(self._renew, owner)
        return [one for one in versions if one.content.id in leased]

    async def _push_insistently(self, batch: Sequence[Version]) -> None:
        for pause in _AGAIN:
            try:
                await self._cloud.push(batch)
            except CloudFailed as exc:
                if exc.retry_after:
                    raise
                await anyio.sleep(pause)
            else:
                return
        await self._cloud.push(batch)

    async def _push_singly(self, owner: str, batch: Sequence[Version], reason: Exception, report: Report) -> None:
        """Find out which of the batch is refused; the others go. Where the first few all are and there are more, it is
        not what they say that is refused: a proxy may answer so, and nothing is set aside for that."""
        refused: list[tuple[Version, str]] = [(batch[0], str(reason))] if len(batch) == 1 else []
        before = report.pushed
        for one in batch if len(batch) > 1 else ():
            if not await self._still_ours(owner, [one]):
                continue
            try:
                await self._cloud.push([one])
            except (CloudRefused, InvalidInput) as exc:
                refused.append((one, str(exc)))
                if len(refused) == _GIVE_UP < len(batch) and report.pushed == before:
                    raise
            else:
                await off_loop(self._note_pushed, owner, [one])
                report.pushed += 1
        for one, why in refused:
            await off_loop(self._store.refuse, one.content.id, one.content.revision, why)

    def _note_pushed(self, owner: str, batch: Sequence[Version]) -> None:
        held = [(one.content.id, one.content.revision, Known(digest(one.content), one.supersedes)) for one in batch]
        with self._store.transaction():
            self._store.pushed(owner, held)
            self._store.note_state("last_push_at", format_time(utcnow()))

    @asynccontextmanager
    async def _renewing(self, owner: str) -> AsyncIterator[None]:
        """Keep the owner's leases while a push goes on."""

        async def renew() -> None:
            pause = RENEW
            while True:
                await anyio.sleep(pause)
                try:
                    await off_loop(self._renew, owner)
                    pause = RENEW
                except StoreError:
                    pause = _BUSY_PAUSE

        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(renew)
            try:
                yield
            except IncidentOSError as exc:  # out of the group, which would wrap it
                failure = exc
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure


def _bytes(version: Version) -> int:
    """What it takes in a request: a text to read, and the record."""
    return 2 * len(dumps(version.content)) if isinstance(version.content, Incident) else 0
