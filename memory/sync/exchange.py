"""An exchange with the bank: pull, push, or one after the other, and what is noted of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio

from ..cloud import CloudMemory, Copy, called
from ..errors import CloudError, StoreError
from ..incident import utcnow
from ..ports import IncidentStore
from ..record import format_time
from .pull import Pull, Stored
from .push import Push
from .report import Direction, Outlook, Progress, Report, off_loop, quiet


class Exchange:
    """Exchanges with one bank. One exchange at a time; several servers on one file may each run one.

    Args:
        store: this machine's memory.
        cloud: the bank.
        stored: told what came in, as pairs of what was here before (or None) and what is here now.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        store: IncidentStore,
        cloud: CloudMemory,
        stored: Stored = lambda came: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.cloud = cloud
        self._pull = Pull(store, cloud, stored)
        self._push = Push(store, cloud, clock)
        self._clock = clock
        self._turn = anyio.Lock()

    def now(self) -> float:
        """Seconds since 1970, by this machine's clock."""
        return self._clock()

    async def run(
        self, direction: Direction = "both", *, full: bool = False, dry_run: bool = False, impatient: bool = True,
        progress: Progress = quiet,
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
                first = await off_loop(self._is_first)
                outlook = await off_loop(self._outlook) if dry_run else None
                if first and not dry_run:
                    await off_loop(self._meet)
                full = full or first
                if direction != "push":
                    await self._pull.pull(report, full, outlook, progress)
                if direction != "pull":
                    if direction == "push":
                        await self._pull.look(report, full, outlook, progress)
                    if outlook is None:
                        await self._push.push(report, impatient, progress)
                    else:
                        report.pushed = len(outlook.waiting)
            except CloudError as exc:
                if not dry_run:
                    with suppress(StoreError):  # what the bank said is worth more
                        await self._note(last_error=str(exc), last_error_at=format_time(utcnow()))
                raise
            if not dry_run:
                await self._note(last_error=report.error, last_error_at=report.error and format_time(utcnow()))
            backlog = await off_loop(self.store.backlog, self._clock())
            report.pending, report.refused = backlog.pending, backlog.refused
            return report

    @property
    def _name(self) -> str:
        return called(self.cloud.url, self.cloud.bank)

    def _is_first(self) -> bool:
        """Whether this machine meets the bank for the first time, or has not read all of it yet."""
        return self.store.state("bank") != self._name or self.store.state("read_whole") is None

    def _meet(self) -> None:
        """Queue everything for a bank that is met for the first time; what was known of another one is forgotten."""
        if self.store.state("bank") == self._name:  # it has only not been read to its end
            return
        with self.store.transaction():
            if self.store.state("bank") == self._name:  # another server was first
                return
            self.store.forget_bank()
            self.store.queue_all()
            self.store.note_state("bank", self._name)

    def _outlook(self) -> Outlook:
        with self.store.transaction():
            entries = self.store.entries()
            set_aside = frozenset(incident_id for incident_id, refused in entries.items() if refused)
            meets = self.store.state("bank") != self._name
            outlook = Outlook(set(entries) - set_aside, set_aside, meets)
            if meets:
                outlook.queue(self.store.shareable())
        return outlook

    async def take(self, copies: Sequence[Copy]) -> set[str]:
        """Store what a recall brought to light; the ids of what is here now."""
        await off_loop(self._meet)  # or the first exchange, which may come later, would forget it and push it back
        return await self._pull.take(copies)

    async def _note(self, **notes: str | None) -> None:
        def note() -> None:
            with self.store.transaction():
                for name, value in notes.items():
                    self.store.note_state(name, value)

        await off_loop(note)
