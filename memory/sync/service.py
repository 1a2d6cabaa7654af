"""The shared memory as a server has it: exchanged behind the scenes, asked beside the local recall."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from ..cloud import CloudHit, CloudMemory, Copy
from ..embedding.background import embed_incidents
from ..errors import CloudError, CloudUnreachable, EmbeddingError, IncidentOSError, StoreError
from ..incident import Incident, Status
from ..memory import IncidentMemory
from .exchange import Exchange
from .pause import Breaker, Pauses

DEADLINE = 1.5
"""Seconds that a recall of the shared memory may take, the reading of unknown incidents included."""

PULL_EVERY = 120.0
"""Seconds between two looks for what colleagues stored. What is stored here is pushed at once."""

_GATHER = 0.05
"""Seconds in which writes that come together are gathered into one push."""

_FETCHED = 8
_PROBE = "connection refused"
_BUG_PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class Candidates:
    """Incidents of this machine that the shared memory recalled, whether some were not here before, and what was not at
    hand (sentences for the user)."""

    ids: frozenset[str] = frozenset()
    new: bool = False
    degraded: tuple[str, ...] = ()


def welcome(memory: IncidentMemory, came: Sequence[tuple[Incident | None, Incident]]) -> None:
    """Embed what came in, and judge by it what was predicted here.

    Args:
        memory: that it came into.
        came: what was here before (or None) and what is here now, of each.
    """
    memory.embedder.catch_up()
    for before, after in came:
        if before is not None and after.status is Status.RESOLVED:
            with suppress(StoreError):  # a judgment is not worth an exchange
                memory.learning.keep(memory.learning.judge(before, after))


class SharedMemory:
    """The team's memory, connected to the memory of one process. For one event loop.

    Args:
        memory: this machine's memory.
        cloud: the bank.
        sync_pauses: between attempts to exchange while the bank does not answer.
        recall_pauses: between probes while it does not answer a recall.
    """

    def __init__(
        self,
        memory: IncidentMemory,
        cloud: CloudMemory,
        sync_pauses: Pauses = Pauses(first=1.0, most=300.0),
        recall_pauses: Pauses = Pauses(first=4.0, most=120.0),
    ) -> None:
        self._memory = memory
        self.cloud = cloud
        self.exchange = Exchange(memory.store, cloud, partial(welcome, memory))
        self._sync_pauses = sync_pauses
        self._breaker = Breaker(recall_pauses)
        self._ready = anyio.Event()
        self._nudged = anyio.Event()
        self._tripped = anyio.Event()
        self._recovered = anyio.Event()
        self._asked = self._recalled = self._dropped = self._fetched = 0

    # Behind the scenes

    async def run(self) -> None:
        """Push what is pending and pull what is new, now and from then on, until cancelled."""
        try:
            with suppress(CloudError):  # the first exchange meets it again, and there it is told
                await self.cloud.load()
            self._ready.set()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._probe)
                await self._keep_in_step()
        finally:
            await self.cloud.aclose()

    def nudge(self) -> None:
        """Something was stored."""
        self._nudged.set()

    async def _keep_in_step(self) -> None:
        failures = 0
        while True:
            self._nudged = anyio.Event()
            try:
                await self.exchange.run(impatient=False)
                failures = 0
                backlog = await anyio.to_thread.run_sync(self.exchange.store.backlog, self.exchange.now())
                due = PULL_EVERY if backlog.next_due is None else max(backlog.next_due, 0.5)
                with anyio.move_on_after(min(due, PULL_EVERY)):
                    await self._nudged.wait()
                    await anyio.sleep(_GATHER)
                continue
            except CloudError as exc:
                pause = self._sync_pauses.after(failures)
                if isinstance(exc, CloudUnreachable):
                    pause = max(pause, exc.retry_after)
            except IncidentOSError as exc:  # a busy or full disk: the next call meets it, too, and tells the user
                print(f"incidentos: the exchange with Hindsight: {exc}", file=sys.stderr, flush=True)
                pause = self._sync_pauses.after(failures)
            except Exception as exc:  # noqa: BLE001 - a mistake in here must not take the server down
                print(
                    f"incidentos: the exchange with Hindsight failed ({type(exc).__name__})",
                    file=sys.stderr,
                    flush=True,
                )
                pause = _BUG_PAUSE
            failures += 1
            self._recovered = anyio.Event()
            with anyio.move_on_after(pause):
                await self._recovered.wait()

    async def _probe(self) -> None:
        """Find out, in nobody's way, when the shared memory answers again."""
        while True:
            if self._breaker.reason is None:
                self._tripped = anyio.Event()
                await self._tripped.wait()
            await anyio.sleep(self._breaker.rest)
            try:
                await self.cloud.recall(_PROBE, DEADLINE)
            except CloudError as exc:
                self._trip(exc)
            except Exception as exc:  # noqa: BLE001 - as above
                self._breaker.fail(f"Hindsight cannot be asked ({type(exc).__name__}).", _BUG_PAUSE)
            else:
                self._breaker.succeed()
                self._recovered.set()

    def _trip(self, exc: CloudError) -> None:
        self._breaker.fail(str(exc), exc.retry_after if isinstance(exc, CloudUnreachable) else 0.0)
        self._tripped.set()

    # Recall

    async def recall(self, text: str) -> Candidates:
        """What the shared memory recalls of the text, within the deadline. An incident that was not known here is read
        whole and stored. Never raises an anticipated failure: the local answer stands without it."""
        if self._breaker.reason is not None:
            return self._without(self._breaker.reason, "was not asked")
        self._asked += 1
        connecting = not self._ready.is_set()
        hits: list[CloudHit] | None = None
        ids: set[str] = set()
        new: set[str] = set()
        try:
            with anyio.move_on_after(DEADLINE):
                await self._ready.wait()
                hits = await self.cloud.recall(text, DEADLINE)
                ids, unknown = await anyio.to_thread.run_sync(self._sort, hits)
                if unknown:
                    new = await self._fetch(unknown)
        except CloudError as exc:
            self._trip(exc)
            return self._without(str(exc))
        except IncidentOSError as exc:
            return self._without(str(exc))
        if hits is None:
            if connecting:
                return self._without("Hindsight is still being connected; ask again in a few seconds.", "was not asked")
            late = CloudUnreachable(f"Hindsight at {self.cloud.url} did not answer within {DEADLINE:g} seconds.")
            self._trip(late)
            return self._without(str(late))
        self._recalled += len(hits)
        return Candidates(frozenset(ids | new), new=bool(new))

    def _sort(self, hits: Sequence[CloudHit]) -> tuple[set[str], list[str]]:
        """The incidents of the hits that are known here, and the documents of those that are not. What names no incident
        is dropped, and so is what was deleted here."""
        here = self._memory.store.here(list(dict.fromkeys(one for hit in hits for one in hit.ids)))
        known: set[str] = set()
        unknown: list[str] = []
        for hit in hits:
            # A document of ours is about its own incident, whichever others its text names.
            found = next((one for one in (hit.ids[:1] if hit.ours else hit.ids) if one in here), None)
            if found is not None:
                if isinstance(here[found], Incident):
                    known.add(found)
            elif hit.ours and hit.ids:
                unknown.append(hit.ids[0])
            else:
                self._dropped += 1
        return known, list(dict.fromkeys(unknown))[:_FETCHED]

    async def _fetch(self, incident_ids: Sequence[str]) -> set[str]:
        copies: list[Copy] = []

        async def fetch(incident_id: str) -> None:
            try:
                copy = await self.cloud.fetch(incident_id)
            except CloudError:  # the next pull brings it
                return
            if copy is not None:
                copies.append(copy)

        async with anyio.create_task_group() as tasks:
            for incident_id in incident_ids:
                tasks.start_soon(fetch, incident_id)
        stored = await self.exchange.take(copies)
        if stored:
            self._fetched += len(stored)
            await anyio.to_thread.run_sync(self._embed, stored)
        return stored

    def _embed(self, incident_ids: set[str]) -> None:
        embedder = self._memory.embedder.current()
        if embedder is None:
            return
        found = self._memory.store.get_many(sorted(incident_ids), embedder.identity)
        lacking = [stored.incident for stored in found if stored.vectors is None]
        try:
            vectors = embed_incidents(embedder, lacking) if lacking else []
        except EmbeddingError:
            return
        self._memory.store.put_vectors(
            [(one.id, one.revision, its) for one, its in zip(lacking, vectors, strict=True)], embedder.identity
        )

    def _without(self, reason: str, what: str = "gave no answer") -> Candidates:
        return Candidates(degraded=(f"The team's memory {what}: {reason}",))

    # What to say of it

    def standing(self, incident_id: str) -> str:
        """Where an incident that has just been stored stands, in a sentence."""
        bank = f"bank {self.cloud.bank}"
        if not self._memory.store.is_pending(incident_id):
            refused = {one.incident_id: one.reason for one in self._memory.store.refusals(1000)}
            if incident_id in refused:
                return f"set aside, since {bank} refuses it: {refused[incident_id]}"
            return f"stored in {bank}"
        reason = self._breaker.reason or self._memory.store.state("last_error")
        if reason:
            return f"in the outbox of this machine; it goes to {bank} as soon as it can be reached ({reason})"
        return f"in the outbox of this machine, on its way to {bank}"

    def status(self) -> dict[str, Any]:
        """How it stands, for a program."""
        store = self._memory.store
        backlog = store.backlog(self.exchange.now())
        notes = {name: store.state(name) for name in ("last_push_at", "last_pull_at", "last_error", "last_error_at")}
        reason = self._breaker.reason or notes["last_error"]
        return {
            "connected": True,
            "url": self.cloud.url,
            "bank": self.cloud.bank,
            "state": "connecting" if not self._ready.is_set() else "down" if reason else "up",
            "reason": reason,
            "pending": backlog.pending,
            "refused": [{"incident_id": one.incident_id, "reason": one.reason} for one in store.refusals(50)],
            "refused_total": backlog.refused,
            "conflicts": store.conflicts(),
            **notes,
            "recall": {
                "asked": self._asked,
                "facts": self._recalled,
                "dropped": self._dropped,
                "fetched": self._fetched,
            },
        }
