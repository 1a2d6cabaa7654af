"""Push and pull: the outbox to the bank, the bank's changes to this machine.

Each page and each batch is a step of its own that leaves a whole state behind, so an exchange may be killed, cancelled or
begun again at any point: what was done is not done again, and the bank's cursor moves only when every page was read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Literal, TypeVar

import anyio
import anyio.to_thread

from ..cloud import BATCH, CloudMemory, Copy, Fact, Shared, Tombstone, digest
from ..errors import CloudDenied, CloudError, CloudFailed, CloudMissing, CloudRefused, InvalidInput, StoreError
from ..incident import Incident, utcnow
from ..outbox import Entry
from ..ports import IncidentStore
from ..record import dumps, format_time, parse_time
from ..redaction import redact_incident
from .merge import decide
from .pause import Pauses

Direction = Literal["push", "pull", "both"]
Progress = Callable[[int, int, str], Awaitable[None]]
T = TypeVar("T")

LEASE, RENEW = 30.0, 8.0
"""Seconds: how long others leave leased entries alone, and how often a push that goes on says so. A server that is killed
holds its entries up for no longer than a lease."""

OVERLAP = timedelta(minutes=2)
"""Changes from that long before the cursor are read again: a bank's write bears the time at which it began, and may be
seen only after a later one."""

_BATCH_BYTES = 2_000_000
_PATIENCE = LEASE + 10.0
_GIVE_UP = 3
"""Failures in a row after which it is the server that fails, not what it is given."""

_FACTS = "facts"
"""The digest of what lies in the bank as older facts alone. It is not pushed until somebody changes it here."""

ROW_PAUSES = Pauses(first=2.0, most=600.0)


@dataclass
class Report:
    """What an exchange did. `pulled` incidents are new here and `updated` ones changed here; `unchanged` were the same
    on both sides; `skipped` documents or facts could not be taken, each with its reason as far as it has an id.
    `conflicts` name the incident and whose version stays. `pending` and `refused` count the outbox afterwards, and `error`
    says why something could not be pushed although the rest was."""

    pulled: int = 0
    pushed: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    pending: int = 0
    refused: int = 0
    error: str | None = None
    conflicts: list[tuple[str, Literal["here", "there"]]] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)

    def remarks(self, most: int = 10) -> Iterator[str]:
        """What a person should know beyond the counts, a sentence each."""
        for incident_id, kept in self.conflicts[:most]:
            other = "the bank's" if kept == "here" else "this machine's"
            mine = "this machine's" if kept == "here" else "the bank's"
            yield f"Conflict on {incident_id}: {mine} version stays, {other} is in its history."
        for incident_id, reason in self.reasons[:most]:
            yield f"Skipped {incident_id}: {reason}."
        if nameless := self.skipped - len(self.reasons):
            yield f"Skipped {nameless} older facts that name no incident."
        if self.refused:
            yield f"{self.refused} are set aside, since Hindsight refuses them; `incidentos doctor` says why."
        if self.error:
            yield self.error


async def _quiet(done: int, total: int, message: str) -> None:
    return None


class Exchange:
    """Exchanges with one bank. One exchange at a time; several servers on one file may each run one.

    Args:
        store: this machine's memory.
        cloud: the bank.
        stored: called when incidents came in, so that they are embedded.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        store: IncidentStore,
        cloud: CloudMemory,
        stored: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.cloud = cloud
        self._stored = stored
        self._clock = clock
        self._turn = anyio.Lock()

    def now(self) -> float:
        """Seconds since 1970, by this machine's clock."""
        return self._clock()

    async def run(
        self, direction: Direction = "both", *, full: bool = False, dry_run: bool = False, impatient: bool = True,
        progress: Progress = _quiet,
    ) -> Report:  # fmt: skip
        """Exchange, and say what was done.

        Args:
            direction: what to exchange.
            full: read all of the bank, older facts included, and push again what it lacks; by itself where this machine
                meets the bank for the first time.
            dry_run: only say what would be done.
            impatient: whether entries that pause after a failure are pushed, too.
            progress: told how far it has come.

        Raises:
            CloudError: the bank did not do what was asked; what was done until then stays.
            StoreError: this machine's memory did not.
        """
        async with self._turn:
            report = Report()
            try:
                full = await self._meet(dry_run) or full
                if direction != "push":
                    await self._pull(report, full, dry_run, progress)
                if direction != "pull":
                    if direction == "push":
                        await self._look(report, full, dry_run, progress)
                    await self._push(report, dry_run, impatient, progress)
            except CloudError as exc:
                if not dry_run:
                    await self._note(last_error=str(exc), last_error_at=format_time(utcnow()))
                raise
            if not dry_run:
                await self._note(last_error=report.error, last_error_at=report.error and format_time(utcnow()))
            backlog = await self._do(self.store.backlog, self._clock())
            report.pending, report.refused = backlog.pending, backlog.refused
            return report

    async def _meet(self, dry_run: bool) -> bool:
        """Whether this machine meets the bank for the first time. What it knew of another bank is then forgotten."""
        name = f"{self.cloud.url} {self.cloud.bank}"
        if await self._do(self.store.state, "bank") == name:
            return await self._do(self.store.state, "read_whole") is None

        def begin() -> None:
            with self.store.transaction():
                self.store.forget_bank()
                self.store.queue_all()
                self.store.note_state("bank", name)

        if not dry_run:
            await self._do(begin)
        return True

    # Pulling

    async def _pull(self, report: Report, full: bool, dry_run: bool, progress: Progress) -> None:
        seen: set[str] = set()
        cursor = None if full else await self._do(self.store.state, "cursor")
        newest, offset, done = cursor, 0, 0
        first = True
        while True:
            page = await self.cloud.page(offset, _before(cursor))
            if first and page.newest:  # by creation, the newest change may stand on any page; the cursor is a floor
                newest = max(newest or "", page.newest)
            first = False
            await self._take(page.copies, report, dry_run)
            seen.update(copy.incident_id for copy in page.copies)
            done += len(page.copies)
            await progress(done, max(page.total, done), f"read {done} of {page.total} documents")
            if page.following is None:
                break
            offset = page.following
        if not full:
            whole = (await self.cloud.page(0, None, limit=1)).total
            report.unchanged = max(report.unchanged, whole - report.pulled - report.updated - report.skipped)
        if full:
            await self._take_facts(report, seen, dry_run, progress)
            if not dry_run:
                await self._do(self._queue_unseen, seen)
        if not dry_run:
            now = format_time(utcnow())
            await self._note(cursor=newest, last_pull_at=now, **({"read_whole": now} if full else {}))

    def _queue_unseen(self, seen: set[str]) -> None:
        """The bank lacks these, although this machine may have pushed them: somebody emptied it."""
        lacking = sorted(self.store.ids() - seen)
        known = self.store.known(lacking)
        self.store.queue([one for one in lacking if known.get(one) != _FACTS])

    async def _look(self, report: Report, full: bool, dry_run: bool, progress: Progress) -> None:
        """Before a push without a pull: what others changed of the incidents that are about to be pushed."""
        cursor = await self._do(self.store.state, "cursor")
        cursor = None if full else cursor
        offset: int | None = 0
        seen: set[str] = set()
        while offset is not None:
            page = await self.cloud.page(offset, _before(cursor))
            seen.update(copy.incident_id for copy in page.copies)
            mine = await self._do(self._pending_of, [copy.incident_id for copy in page.copies])
            await self._take([copy for copy in page.copies if copy.incident_id in mine], report, dry_run)
            offset = page.following
        if full and not dry_run:
            await self._do(self._queue_unseen, seen)

    def _pending_of(self, incident_ids: Sequence[str]) -> set[str]:
        return {incident_id for incident_id in incident_ids if self.store.is_pending(incident_id)}

    async def take(self, copies: Sequence[Copy]) -> set[str]:
        """Store what a recall brought to light; the ids of what is here now."""
        await self._take(copies, Report(), dry_run=False)
        here = await self._do(self.store.here, [copy.incident_id for copy in copies])
        return {incident_id for incident_id, shared in here.items() if isinstance(shared, Incident)}

    async def _take(self, copies: Sequence[Copy], report: Report, dry_run: bool) -> None:
        """Merge a page. What another writer changes at this moment is merged by the next exchange."""
        if not copies:
            return
        changed = await self._do(self._merge, copies, report, dry_run)
        if changed:
            self._stored()

    def _merge(self, copies: Sequence[Copy], report: Report, dry_run: bool) -> bool:
        before = (report.pulled, report.updated)
        with self.store.transaction():
            ids = [copy.incident_id for copy in copies]
            here, known = self.store.here(ids), self.store.known(ids)
            held: dict[str, str] = {}
            for copy in copies:
                if copy.content is None:
                    report.skipped += 1
                    report.reasons.append((copy.incident_id, copy.problem or "it cannot be read"))
                    continue
                self._merge_one(here.get(copy.incident_id), copy.content, known.get(copy.incident_id), report, dry_run)
                held[copy.incident_id] = digest(copy.content)
            if not dry_run:
                self.store.note_known(held)
        return (report.pulled, report.updated) != before and not dry_run

    def _merge_one(self, ours: Shared | None, theirs: Shared, known: str | None, report: Report, dry_run: bool) -> None:
        clean = theirs if isinstance(theirs, Tombstone) else redact_incident(theirs)
        redacted = clean != theirs
        decision = decide(ours, clean, digest(clean) if redacted and known == digest(theirs) else known)
        if decision.conflict:
            report.conflicts.append((theirs.id, "there" if decision.theirs else "here"))
        if decision.theirs:
            if ours is None or isinstance(ours, Tombstone):
                report.pulled += 1
            else:
                report.updated += 1
        elif decision.same:
            report.unchanged += 1
        if dry_run:
            return
        if decision.theirs:
            self._adopt(ours, clean, "conflict" if decision.conflict else "pulled", queue=redacted)
        elif decision.same:
            if ours is not None and not (isinstance(ours, Tombstone) and ours.local) and not redacted:
                self.store.settle(theirs.id, theirs.revision)
        else:
            if decision.conflict and isinstance(clean, Incident):
                self.store.keep_loser(clean)
            self.store.queue([theirs.id])

    def _adopt(self, ours: Shared | None, theirs: Shared, action: str, *, queue: bool) -> None:
        if isinstance(theirs, Tombstone):
            assert isinstance(ours, Incident), "a tombstone is taken only where there is a record"
            self.store.adopt_deletion(theirs, ours.revision)
        else:
            replaces = ours.revision if isinstance(ours, Incident) else None
            self.store.adopt(theirs, replaces, action=action, queue=queue)

    async def _take_facts(self, report: Report, seen: set[str], dry_run: bool, progress: Progress) -> None:
        from ..hindsight.legacy import incidents_of

        facts: list[Fact] = []
        async for page in self.cloud.facts():
            facts += page
            await progress(len(facts), len(facts), f"read {len(facts)} older facts")
        incidents, skipped = await self._do(incidents_of, facts)
        report.skipped += skipped
        for start in range(0, len(incidents), 100):
            some = [one for one in incidents[start : start + 100] if one.id not in seen]
            if await self._do(self._merge_facts, some, report, dry_run):
                self._stored()

    def _merge_facts(self, incidents: Sequence[Incident], report: Report, dry_run: bool) -> bool:
        """Take what older facts tell of incidents that no document of ours stands for. A record that is here says more
        than facts do, and gives way only where it is open and they know the cause."""
        before = (report.pulled, report.updated)
        with self.store.transaction():
            here = self.store.here([incident.id for incident in incidents])
            for incident in incidents:
                clean, ours = redact_incident(incident), here.get(incident.id)
                if ours is None:
                    report.pulled += 1
                    if not dry_run:
                        self.store.adopt(clean, None, action="pulled", queue=False)
                        self.store.note_known({clean.id: _FACTS})
                elif isinstance(ours, Incident) and ours.resolution is None and clean.resolution is not None:
                    report.updated += 1
                    if not dry_run:
                        merged = replace(
                            ours, status=clean.status, resolution=clean.resolution, updated_at=clean.updated_at
                        )
                        self.store.adopt(merged, ours.revision, action="pulled", queue=False)
                else:
                    report.unchanged += 1
        return (report.pulled, report.updated) != before and not dry_run

    # Pushing

    async def _push(self, report: Report, dry_run: bool, impatient: bool, progress: Progress) -> None:
        backlog = await self._do(self.store.backlog, self._clock())
        if dry_run:
            report.pushed = backlog.pending
            return
        began = self._clock()
        failed: CloudFailed | None = None
        failures = 0
        while True:
            owner = secrets.token_hex(8)
            lease = partial(self.store.lease, failed_before=began if impatient else 0)
            entries = await self._do(lease, owner, BATCH, self._clock(), LEASE)
            if not entries:
                if impatient and await self._others_hold(began, progress):
                    continue
                break
            try:
                async with self._renewing(owner):
                    for batch in await self._do(self._batches, entries):
                        await self._push_batch(batch, report)
                        failures = 0
                        await progress(
                            report.pushed, max(backlog.pending, report.pushed), f"pushed {report.pushed} incidents"
                        )
            except CloudFailed as exc:
                failed, failures = exc, failures + 1
                pause = max(ROW_PAUSES.after(entries[0].attempts), exc.retry_after)
                await self._do(self.store.postpone, owner, self._clock(), pause)
                if len(entries) > 1 or failures >= _GIVE_UP:
                    raise
            except (CloudDenied, CloudMissing):  # not the entries' fault
                raise
            except CloudError:
                await self._do(self.store.postpone, owner, self._clock(), ROW_PAUSES.after(entries[0].attempts))
                raise
            finally:
                await self._release(owner)
        if failed is not None:
            if not report.pushed:
                raise failed
            report.error = str(failed)
        if report.pushed:
            await self._note(last_push_at=format_time(utcnow()))

    async def _others_hold(self, began: float, progress: Progress) -> bool:
        """Whether it was worth a moment's wait, since another server pushes, or was killed while it did."""
        backlog = await self._do(self.store.backlog, self._clock())
        if not backlog.leased or not 0 <= self._clock() - began < _PATIENCE:
            return False
        await progress(0, 0, f"another server is pushing {backlog.leased} incidents; waiting for it")
        await anyio.sleep(0.5)
        return True

    async def _release(self, owner: str) -> None:
        with anyio.CancelScope(shield=True):
            with suppress(StoreError):  # the leases run out by themselves
                await self._do(self.store.release, owner)

    def _batches(self, entries: Sequence[Entry]) -> list[list[Shared]]:
        """What is to be pushed for the entries, in batches that a server takes at once."""
        here = self.store.here([entry.incident_id for entry in entries])
        batches: list[list[Shared]] = [[]]
        size = 0
        for entry in entries:
            shared = here.get(entry.incident_id)
            if shared is None or (isinstance(shared, Tombstone) and shared.local):
                self.store.pushed([(entry.incident_id, entry.revision, "")])
                continue
            if isinstance(shared, Incident):
                shared = redact_incident(shared)  # patterns may have been added since it was stored
            its_size = 0 if isinstance(shared, Tombstone) else 2 * len(dumps(shared))
            if batches[-1] and size + its_size > _BATCH_BYTES:
                batches.append([])
                size = 0
            batches[-1].append(shared)
            size += its_size
        return [batch for batch in batches if batch]

    async def _push_batch(self, batch: Sequence[Shared], report: Report) -> None:
        try:
            await self.cloud.push(batch)
        except (CloudRefused, InvalidInput) as exc:
            if len(batch) == 1:
                await self._do(self.store.refuse, batch[0].id, batch[0].revision, str(exc))
                return
            for one in batch:  # one of them; the others go
                await self._push_batch([one], report)
            return
        await self._do(self.store.pushed, [(one.id, one.revision, digest(one)) for one in batch])
        report.pushed += len(batch)

    @asynccontextmanager
    async def _renewing(self, owner: str) -> AsyncIterator[None]:
        """Keep the owner's leases while a push goes on."""

        async def renew() -> None:
            while True:
                await anyio.sleep(RENEW)
                with suppress(StoreError):  # a busy file: the next time will do
                    await self._do(self.store.renew, owner, self._clock(), LEASE)

        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(renew)
            try:
                yield
            except (CloudError, StoreError) as exc:  # out of the group, which would wrap it
                failure = exc
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    # Within

    async def _note(self, **notes: str | None) -> None:
        def note() -> None:
            with self.store.transaction():
                for name, value in notes.items():
                    self.store.note_state(name, value)

        await self._do(note)

    async def _do(self, work: Callable[..., T], *values: object) -> T:
        return await anyio.to_thread.run_sync(partial(work, *values))


def _before(cursor: str | None) -> str | None:
    """The cursor, moved back by the overlap. One that cannot be read means everything."""
    if cursor is None:
        return None
    try:
        at = parse_time(cursor, "cursor")
    except InvalidInput:
        return None
    return format_time(at - OVERLAP) if at else None
