"""The bank's changes come to this machine.

Each page is merged in a transaction of its own, and the bank's cursor moves only when every page was read: a pull that
breaks off is begun again from the same cursor, and what was merged before is found unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from ..cloud import CloudMemory, Copy, Fact, Shared, Tombstone, digest
from ..errors import InvalidInput
from ..incident import Incident, utcnow
from ..ports import IncidentStore
from ..record import format_time, parse_time
from ..redaction import redact_incident, with_texts
from ..text import storable
from .merge import decide
from .report import Progress, Report, off_loop

OVERLAP = timedelta(minutes=2)
"""Changes from that long before the cursor are read again: a bank's write bears the time at which it began, and may be
seen only after a later one."""

_FACTS = "facts"
"""The digest of what lies in the bank as older facts alone. It is not pushed until somebody changes it here."""

Stored = Callable[[Sequence[tuple[Incident | None, Incident]]], None]


class Pull:
    """Pulls from one bank.

    Args:
        store: this machine's memory.
        cloud: the bank.
        stored: told what came in, as pairs of what was here before (or None) and what is here now; in a thread, and
            outside of any transaction.
    """

    def __init__(self, store: IncidentStore, cloud: CloudMemory, stored: Stored) -> None:
        self._store = store
        self._cloud = cloud
        self._stored = stored

    async def pull(self, report: Report, full: bool, dry_run: bool, progress: Progress) -> None:
        """Take in the bank's changes since the last pull, or with `full` all of it, older facts included; then what the
        bank lacks is queued, too."""
        seen: set[str] = set()
        cursor = None if full else await off_loop(self._store.state, "cursor")
        before = await off_loop(self._known_here) if full else {}
        newest, offset, done = cursor, 0, 0
        first = True
        while True:
            page = await self._cloud.page(offset, _before(cursor))
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
            whole = (await self._cloud.page(0, None, limit=1)).total
            report.unchanged = max(report.unchanged, whole - report.pulled - report.updated - report.skipped)
        if full:
            await self._take_facts(report, seen, dry_run, progress)
            if not dry_run:
                await off_loop(self._queue_unseen, seen, before)
        if not dry_run:
            await off_loop(self._note_pulled, newest, full)

    def _known_here(self) -> dict[str, str]:
        return self._store.known(sorted(self._store.ids()))

    def _queue_unseen(self, seen: set[str], before: Mapping[str, str]) -> None:
        """The bank lacks what this machine had pushed before the bank was read: somebody emptied it."""
        lacking = sorted(self._store.ids() - seen)
        known = self._store.known(lacking)
        self._store.queue([one for one in lacking if known.get(one) == before.get(one) != _FACTS])

    async def look(self, report: Report, full: bool, dry_run: bool, progress: Progress) -> None:
        """Before a push without a pull: what others changed of the incidents that are about to be pushed."""
        cursor = await off_loop(self._store.state, "cursor")
        cursor = None if full else cursor
        before = await off_loop(self._known_here) if full else {}
        offset: int | None = 0
        seen: set[str] = set()
        while offset is not None:
            page = await self._cloud.page(offset, _before(cursor))
            seen.update(copy.incident_id for copy in page.copies)
            mine = await off_loop(self._pending_of, [copy.incident_id for copy in page.copies])
            await self._take([copy for copy in page.copies if copy.incident_id in mine], report, dry_run)
            offset = page.following
        if full and not dry_run:
            await off_loop(self._queue_unseen, seen, before)

    def _pending_of(self, incident_ids: Sequence[str]) -> set[str]:
        return {incident_id for incident_id in incident_ids if self._store.is_pending(incident_id)}

    def _note_pulled(self, cursor: str | None, full: bool) -> None:
        now = format_time(utcnow())
        with self._store.transaction():
            self._store.note_state("cursor", cursor)
            self._store.note_state("last_pull_at", now)
            if full:
                self._store.note_state("read_whole", now)

    async def take(self, copies: Sequence[Copy]) -> set[str]:
        """Store what a recall brought to light; the ids of what is here now."""
        await self._take(copies, Report(), dry_run=False)
        here = await off_loop(self._store.here, [copy.incident_id for copy in copies])
        return {incident_id for incident_id, shared in here.items() if isinstance(shared, Incident)}

    async def _take(self, copies: Sequence[Copy], report: Report, dry_run: bool) -> None:
        """Merge a page. What another writer changes at this moment is merged by the next exchange."""
        if not copies:
            return
        await off_loop(self._merge, copies, report, dry_run)

    def _merge(self, copies: Sequence[Copy], report: Report, dry_run: bool) -> None:
        came: list[tuple[Incident | None, Incident]] = []
        with self._store.transaction():
            ids = [copy.incident_id for copy in copies]
            here, known = self._store.here(ids), self._store.known(ids)
            held: dict[str, str] = {}
            for copy in copies:
                if copy.content is None:
                    report.skipped += 1
                    report.reasons.append((copy.incident_id, copy.problem or "it cannot be read"))
                    continue
                ours = here.get(copy.incident_id)
                adopted = self._merge_one(ours, copy.content, known.get(copy.incident_id), report, dry_run)
                if adopted is not None:
                    came.append((ours if isinstance(ours, Incident) else None, adopted))
                held[copy.incident_id] = digest(copy.content)
            if not dry_run:
                self._store.note_known(held)
        if came:
            self._stored(came)

    def _merge_one(
        self, ours: Shared | None, theirs: Shared, known: str | None, report: Report, dry_run: bool
    ) -> Incident | None:
        """Merge one; the record that came in, if one did."""
        if ours is not None and digest(ours) == digest(theirs) == known:  # nearly all of them, nearly always
            report.unchanged += 1
            if not dry_run and (ours.revision < theirs.revision or self._store.is_pending(theirs.id)):
                self._store.settle(theirs.id, theirs.revision)
            return None
        clean = theirs if isinstance(theirs, Tombstone) else _made_safe(theirs)
        redacted = clean != theirs
        mine = _made_safe(ours) if isinstance(ours, Incident) else ours  # as it is pushed
        decision = decide(mine, clean, digest(clean) if redacted and known == digest(theirs) else known)
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
            return None
        if decision.theirs:
            return self._adopt(ours, clean, "conflict" if decision.conflict else "pulled", queue=redacted)
        if decision.same:
            if ours is not None and not (isinstance(ours, Tombstone) and ours.local) and not redacted:
                self._store.settle(theirs.id, theirs.revision)
        else:
            if decision.conflict and isinstance(clean, Incident):
                self._store.keep_loser(clean)
            self._store.queue([theirs.id])
        return None

    def _adopt(self, ours: Shared | None, theirs: Shared, action: str, *, queue: bool) -> Incident | None:
        if isinstance(theirs, Tombstone):
            assert isinstance(ours, Incident), "a tombstone is taken only where there is a record"
            self._store.adopt_deletion(theirs, ours.revision)
            return None
        replaces = ours.revision if isinstance(ours, Incident) else None
        return self._store.adopt(theirs, replaces, action=action, queue=queue)

    async def _take_facts(self, report: Report, seen: set[str], dry_run: bool, progress: Progress) -> None:
        from ..hindsight.legacy import incidents_of

        facts: list[Fact] = []
        async for page in self._cloud.facts():
            facts += page
            await progress(len(facts), len(facts), f"read {len(facts)} older facts")
        incidents, skipped = await off_loop(incidents_of, facts)
        report.skipped += skipped
        for start in range(0, len(incidents), 100):
            some = [one for one in incidents[start : start + 100] if one.id not in seen]
            await off_loop(self._merge_facts, some, report, dry_run)

    def _merge_facts(self, incidents: Sequence[Incident], report: Report, dry_run: bool) -> None:
        """Take what older facts tell of incidents that no document of ours stands for. A record that is here says more
        than facts do, and gives way only where it is open and they know the cause."""
        came: list[tuple[Incident | None, Incident]] = []
        with self._store.transaction():
            here = self._store.here([incident.id for incident in incidents])
            for incident in incidents:
                clean, ours = _made_safe(incident), here.get(incident.id)
                if ours is None:
                    report.pulled += 1
                    if not dry_run:
                        came.append((None, self._store.adopt(clean, None, action="pulled", queue=False)))
                        self._store.note_known({clean.id: _FACTS})
                elif isinstance(ours, Incident) and ours.resolution is None and clean.resolution is not None:
                    report.updated += 1
                    if not dry_run:
                        merged = replace(
                            ours, status=clean.status, resolution=clean.resolution, updated_at=clean.updated_at
                        )
                        came.append((ours, self._store.adopt(merged, ours.revision, action="pulled", queue=False)))
                else:
                    report.unchanged += 1
        if came:
            self._stored(came)


def _made_safe(incident: Incident) -> Incident:
    """The incident as this machine would have stored it: without secrets, and without what drives a terminal."""
    return redact_incident(with_texts(incident, storable))


def _before(cursor: str | None) -> str | None:
    """The cursor, moved back by the overlap. One that cannot be read means everything."""
    if cursor is None:
        return None
    try:
        at = parse_time(cursor, "cursor")
    except InvalidInput:
        return None
    return format_time(at - OVERLAP) if at else None
