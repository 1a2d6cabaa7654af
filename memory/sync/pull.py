"""The bank's changes come to this machine.

Each page is merged in transactions of its own, and the bank's cursor moves only when every page was read: a pull that
breaks off is begun again from the same cursor, and what was merged before is found unchanged. Whatever may take long on a
stranger's text, such as redacting it, is done before the store is locked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ..cloud import CloudMemory, Copy, Fact, Known, Lineage, Shared, Tombstone, digest
from ..errors import InvalidInput
from ..incident import Incident, utcnow
from ..ports import IncidentStore
from ..record import format_time, parse_time
from ..redaction import redact_incident, with_texts
from ..text import storable
from .merge import Decision, decide, lineage_after
from .report import Outlook, Progress, Report, off_loop, parts

OVERLAP = timedelta(minutes=2)
"""Changes from that long before the cursor are read again: a bank's write bears the time at which it began, and may be
seen only after a later one."""

_FACTS = Known("facts")
"""What is known of an incident that lies in the bank as older facts alone. It is not pushed until somebody changes it here."""

_QUEUED = 5_000
"""Incidents that are looked up and queued in one transaction."""

_MOST = 1_000_000
"""Characters that are merged in one transaction, or that older facts may tell of one incident: other writers wait
meanwhile."""

Stored = Callable[[Sequence[tuple[Incident | None, Incident]]], None]


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A version of the bank, made ready for this machine: `theirs`, `redacted` where it had to be. `raw` is the digest of
    what lies there; `ours` is what was here meanwhile, and `pushable` the form in which that is pushed."""

    theirs: Shared
    raw: str
    redacted: bool
    supersedes: Lineage | None
    ours: Shared | None
    pushable: Shared | None

    @classmethod
    def of(cls, theirs: Shared, supersedes: Lineage | None, ours: Shared | None, known: Known | None) -> _Arrival:
        raw = digest(theirs)
        mine = digest(ours) if ours is not None else None
        if known is not None and mine == raw == known.digest:  # nearly all of them, nearly always
            return cls(theirs, raw, False, supersedes, ours, ours)
        clean = _made_safe(theirs) if isinstance(theirs, Incident) else theirs
        pushable = _made_safe(ours) if isinstance(ours, Incident) and mine != raw else ours
        return cls(clean, raw, clean != theirs, supersedes, ours, pushable)

    @property
    def kept_away(self) -> bool:
        """Whether it was deleted here alone, and is not taken back."""
        return isinstance(self.ours, Tombstone) and self.ours.local


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

    async def pull(self, report: Report, full: bool, outlook: Outlook | None, progress: Progress) -> None:
        """Take in the bank's changes since the last pull, or with `full` all of it, older facts included; then what the
        bank lacks is queued, too."""
        seen: set[str] = set()
        cursor = None if full else await off_loop(self._store.state, "cursor")
        before = await off_loop(self._known_here, outlook) if full else {}
        newest, offset, done = cursor, 0, 0
        first = True
        while True:
            page = await self._cloud.page(offset, _before(cursor))
            if first and page.newest:  # by creation, the newest change may stand on any page; the cursor is a floor
                newest = max(newest or "", page.newest)
            first = False
            await self._take(page.copies, report, outlook)
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
            await self._take_facts(report, seen, outlook, progress)
            await off_loop(self._queue_unseen, seen, before, outlook)
        if outlook is None:
            await off_loop(self._note_pulled, newest, full)

    def _known(self, incident_ids: Sequence[str], outlook: Outlook | None) -> dict[str, Known]:
        return {} if outlook and outlook.meets else self._store.known(incident_ids)

    def _known_here(self, outlook: Outlook | None) -> dict[str, Known]:
        return self._known(sorted(self._store.ids()), outlook)

    def _queue_unseen(self, seen: set[str], before: Mapping[str, Known], outlook: Outlook | None) -> None:
        """The bank lacks what this machine had pushed before the bank was read: somebody emptied it."""

        def lost(incident_ids: Sequence[str]) -> list[str]:
            known = self._known(incident_ids, outlook)
            return [one for one in incident_ids if known.get(one) == before.get(one) != _FACTS]

        lacking = lost(sorted(self._store.ids() - seen))
        if outlook is not None:
            outlook.queue(lacking)
            return
        for start in range(0, len(lacking), _QUEUED):
            # Looked up anew where nobody else writes: another server may have pushed them by now, and whoever queues
            # what has just been pushed has it pushed twice.
            with self._store.transaction():
                self._store.queue(lost(lacking[start : start + _QUEUED]))

    async def look(self, report: Report, full: bool, outlook: Outlook | None, progress: Progress) -> None:
        """Before a push without a pull: what others changed of the incidents that are about to be pushed."""
        cursor = await off_loop(self._store.state, "cursor")
        cursor = None if full else cursor
        before = await off_loop(self._known_here, outlook) if full else {}
        offset: int | None = 0
        seen: set[str] = set()
        while offset is not None:
            page = await self._cloud.page(offset, _before(cursor))
            seen.update(copy.incident_id for copy in page.copies)
            mine = await off_loop(self._pending_of, [copy.incident_id for copy in page.copies], outlook)
            await self._take([copy for copy in page.copies if copy.incident_id in mine], report, outlook)
            offset = page.following
        if full:
            await off_loop(self._queue_unseen, seen, before, outlook)

    def _pending_of(self, incident_ids: Sequence[str], outlook: Outlook | None) -> set[str]:
        if outlook is not None:
            return outlook.waiting.intersection(incident_ids)
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
        await self._take(copies, Report(), None)
        here = await off_loop(self._store.here, [copy.incident_id for copy in copies])
        return {incident_id for incident_id, shared in here.items() if isinstance(shared, Incident)}

    async def _take(self, copies: Sequence[Copy], report: Report, outlook: Outlook | None) -> None:
        """Merge a page. What another writer changes at this moment is merged by the next exchange.

        Where the bank seems to have gone back behind what was pushed from here, it is asked again before that is pushed
        once more: another server on this file may have pushed it since the page was read."""
        if not copies:
            return
        doubtful = await off_loop(self._merge, copies, report, outlook, True)
        again = [copy for one in doubtful if (copy := await self._cloud.fetch(one)) is not None]
        if again:
            await off_loop(self._merge, again, report, outlook, False)

    def _merge(self, copies: Sequence[Copy], report: Report, outlook: Outlook | None, doubt: bool) -> list[str]:
        """Merge copies; with `doubt`, the ids of those that were not, since they may be out of date."""
        contents: list[tuple[Shared, Lineage | None]] = []
        for copy in copies:
            if copy.content is None:
                report.skipped += 1
                report.reasons.append((copy.incident_id, copy.problem or "it cannot be read"))
            else:
                contents.append((copy.content, copy.supersedes))
        ids = [content.id for content, _ in contents]
        here, known = self._store.here(ids), self._known(ids, outlook)
        arrivals = [_Arrival.of(*one, here.get(one[0].id), known.get(one[0].id)) for one in contents]
        doubtful: list[str] | None = [] if doubt else None
        for part in parts(arrivals, lambda arrival: _size(arrival.theirs), _MOST):
            self._merge_part(part, report, outlook, doubtful)
        return doubtful or []

    def _merge_part(
        self, arrivals: Sequence[_Arrival], report: Report, outlook: Outlook | None, doubtful: list[str] | None
    ) -> None:
        came: list[tuple[Incident | None, Incident]] = []
        with self._store.transaction():
            ids = [arrival.theirs.id for arrival in arrivals]
            here, known = self._store.here(ids), self._known(ids, outlook)
            held: dict[str, Known] = {}
            for arrival in arrivals:
                incident_id = arrival.theirs.id
                ours, seen = here.get(incident_id), known.get(incident_id)
                if ours != arrival.ours:  # somebody wrote it meanwhile
                    arrival = _Arrival.of(arrival.theirs, arrival.supersedes, ours, seen)
                adopted, holds = self._merge_one(arrival, seen, report, outlook, doubtful)
                if adopted is not None:
                    came.append((ours if isinstance(ours, Incident) else None, adopted))
                if holds is not None and holds != seen:
                    held[incident_id] = holds
            if outlook is None:
                self._store.note_known(held)
        if came:
            self._stored(came)

    def _merge_one(
        self,
        arrival: _Arrival,
        known: Known | None,
        report: Report,
        outlook: Outlook | None,
        doubtful: list[str] | None,
    ) -> tuple[Incident | None, Known | None]:
        """Merge one: the record that came in, if one did, and what the bank is known to hold. What a deletion here keeps
        away stays unknown: nobody has seen it who might store the incident again. What may be out of date only goes to
        the doubtful ones, where there are such."""
        ours, theirs, mine = arrival.ours, arrival.theirs, arrival.pushable
        if arrival.redacted and known and known.digest == arrival.raw:
            known = replace(known, digest=digest(theirs))
        decision = decide(mine, theirs, known, arrival.supersedes)
        if doubtful is not None and _went_back(mine, known, decision):
            doubtful.append(theirs.id)
            return None, known
        lineage = lineage_after(mine, theirs, known, arrival.supersedes, decision)
        holds = known if arrival.kept_away else Known(arrival.raw, lineage)
        if decision.conflict:
            report.conflicts.append((theirs.id, "there" if decision.theirs else "here"))
        if decision.theirs:
            if isinstance(ours, Incident):
                report.updated += 1
            else:
                report.pulled += 1
        elif decision.same:
            report.unchanged += 1
        if outlook is not None:
            _foresee(arrival, decision, outlook)
            return None, holds
        if decision.theirs:
            action = "conflict" if decision.conflict else "pulled"
            return self._adopt(ours, theirs, action, queue=arrival.redacted), holds
        if decision.same:
            if ours is None or arrival.kept_away or arrival.redacted:
                return None, holds
            if isinstance(ours, Incident) and ours.revision > theirs.revision:
                self._store.queue([theirs.id])  # the count of writes is part of the record, and the highest one stands
            elif ours.revision < theirs.revision or self._store.is_pending(theirs.id):
                self._store.settle(theirs.id, theirs.revision)
        else:
            if decision.conflict and isinstance(theirs, Incident):
                self._store.keep_loser(theirs)
            self._store.queue([theirs.id])
        return None, holds

    def _adopt(self, ours: Shared | None, theirs: Shared, action: str, *, queue: bool) -> Incident | None:
        if isinstance(theirs, Tombstone):
            assert isinstance(ours, Incident), "a tombstone is taken only where there is a record"
            self._store.adopt_deletion(theirs, ours.revision)
            return None
        replaces = ours.revision if isinstance(ours, Incident) else None
        return self._store.adopt(theirs, replaces, action=action, queue=queue)

    async def _take_facts(self, report: Report, seen: set[str], outlook: Outlook | None, progress: Progress) -> None:
        from ..hindsight.legacy import incidents_of

        facts: list[Fact] = []
        async for page in self._cloud.facts():
            facts += page
            await progress(len(facts), len(facts), f"read {len(facts)} older facts")
        incidents, skipped = await off_loop(incidents_of, facts)
        report.skipped += skipped
        for start in range(0, len(incidents), 100):
            some = [one for one in incidents[start : start + 100] if one.id not in seen]
            await off_loop(self._merge_facts, some, report, outlook is not None)

    def _merge_facts(self, incidents: Sequence[Incident], report: Report, dry_run: bool) -> None:
        """Take what older facts tell of incidents that no document of ours stands for. A record that is here says more
        than facts do, and gives way only where it is open and they know the cause."""
        large = [incident for incident in incidents if _size(incident) > _MOST]
        report.skipped += len(large)
        report.reasons += [(one.id, "what older facts tell of it is too large") for one in large]
        for part in parts([_made_safe(incident) for incident in incidents if incident not in large], _size, _MOST):
            self._merge_clean_facts(part, report, dry_run)

    def _merge_clean_facts(self, incidents: Sequence[Incident], report: Report, dry_run: bool) -> None:
        came: list[tuple[Incident | None, Incident]] = []
        with self._store.transaction():
            here = self._store.here([incident.id for incident in incidents])
            for clean in incidents:
                ours = here.get(clean.id)
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


def _went_back(mine: Shared | None, known: Known | None, decision: Decision) -> bool:
    """Whether the bank was last seen to hold what is here, which stays, and seems to hold something else now."""
    if mine is None or known is None or decision.theirs or decision.same:
        return False
    return known.digest == digest(mine)


def _foresee(arrival: _Arrival, decision: Decision, outlook: Outlook) -> None:
    """What merging it would do to the outbox."""
    ours, theirs = arrival.ours, arrival.theirs
    if decision.theirs:
        raised = isinstance(theirs, Incident) and ours is not None and ours.revision >= theirs.revision
        stays = arrival.redacted or raised
    elif decision.same:
        if ours is None or arrival.kept_away or arrival.redacted:
            return
        stays = isinstance(ours, Incident) and ours.revision > theirs.revision
    else:
        stays = True
    if stays:
        outlook.queue([theirs.id])
    else:
        outlook.settle(theirs.id)


def _size(shared: Shared) -> int:
    """The characters of its texts."""
    size = 0

    def count(text: str) -> str:
        nonlocal size
        size += len(text)
        return text

    if isinstance(shared, Incident):
        with_texts(shared, count)
    return size


def _made_safe(incident: Incident) -> Incident:
    """The incident as this machine would have stored it: without secrets, and without what drives a terminal."""
    return redact_incident(with_texts(incident, storable))


def _before(cursor: str | None) -> str | None:
    """The cursor, moved back by the overlap. One that cannot be read means everything."""
    if cursor is None:
        return None
    try:
        at = parse_time(cursor, "cursor")
        return format_time(at - OVERLAP) if at else None
    except (InvalidInput, OverflowError):
        return None
