"""A team for the tests of the exchange: machines with a memory each, and a bank in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from incidentos.memory.cloud import BATCH, BankState, CloudHit, Copy, Fact, Listing, Version
from incidentos.memory.hindsight.documents import LIVING, from_document, to_document
from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.memory.sync.exchange import Exchange
from incidentos.memory.sync.report import Report

AT = datetime(2026, 5, 3, 2, 14, tzinfo=UTC)


@dataclass
class Bank:
    """A `CloudMemory` in this process, in the documents' real form. `trouble` is called before each request and may
    raise; `after` when a push has arrived, before the answer; `meanwhile` happens once, while the next one is on its way."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    older: list[Fact] = field(default_factory=list)
    trouble: Callable[[str, Sequence[str]], None] = lambda call, ids: None
    after: Callable[[], None] = lambda: None
    meanwhile: Callable[[], Awaitable[Any]] | None = None
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    url: str = "http://127.0.0.1:1"
    bank: str = "team"
    clock: datetime = AT
    step: int = 100

    def _called(self, call: str, ids: Sequence[str] = ()) -> None:
        self.calls.append((call, tuple(ids)))
        self.trouble(call, ids)

    async def load(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def check(self) -> BankState:
        return BankState(True, sum(LIVING in d["tags"] for d in self.documents.values()))

    async def push(self, versions: Sequence[Version]) -> None:
        assert len(versions) <= BATCH
        self._called("push", [version.content.id for version in versions])
        await anyio.sleep(0)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        for version in versions:
            self.clock += timedelta(milliseconds=1)
            document = to_document(version.content, version.supersedes)
            created = self.documents.get(version.content.id, {}).get("created", self.clock)
            self.documents[version.content.id] = {**document, "created": created, "updated": self.clock}
        self.after()

    async def page(self, offset: int, since: str | None, *, limit: int = 100) -> Listing:
        self._called("page")
        axis = "updated" if since else "created"
        rows = sorted(self.documents.values(), key=lambda d: d[axis], reverse=True)
        rows = [d for d in rows if since is None or d["updated"].isoformat() >= since.replace("Z", "+00:00")]
        some = rows[offset : offset + min(limit, self.step)]
        copies = [from_document(d["document_id"], d["tags"], d["metadata"]) for d in some]
        newest = max((d["updated"].isoformat() for d in some), default=None)
        following = offset + len(some) if offset + len(some) < len(rows) else None
        return Listing(tuple(copy for copy in copies if copy), len(rows), newest, following)

    async def fetch(self, incident_id: str) -> Copy | None:
        d = self.documents.get(incident_id)
        return None if d is None else from_document(incident_id, d["tags"], d["metadata"])

    async def recall(self, text: str, seconds: float) -> list[CloudHit]:
        return []

    async def facts(self) -> AsyncIterator[list[Fact]]:
        self._called("facts")
        yield self.older

    @property
    def pushes(self) -> list[tuple[str, ...]]:
        return [ids for call, ids in self.calls if call == "push"]


class Machine:
    """A machine with a memory of its own."""

    def __init__(self, store: SqliteStore, bank: Bank, clock: Callable[[], float] = lambda: 1e9) -> None:
        self.store = store
        self.bank = bank
        self.exchange = Exchange(self.store, bank, clock=clock)

    async def sync(self, direction: Any = "both", **more: Any) -> Report:
        return await self.exchange.run(direction, **more)

    def resolve(self, incident_id: str, cause: str, hours: int = 1) -> Incident:
        before = self.store.get(incident_id)
        assert before is not None
        at = AT + timedelta(hours=hours)
        after = replace(before, status=Status.RESOLVED, resolved_at=at, updated_at=at, resolution=Resolution(cause))
        return self.store.update(after, None, None, action="resolved")

    @property
    def content(self) -> dict[str, Incident]:
        return {stored.incident.id: stored.incident for stored in self.store.scan(None)}

    def losers(self, incident_id: str) -> list[str | None]:
        history = self.store.history(incident_id)
        return [e.previous.root_cause for e in history if e.action == "conflict" and e.previous]


def counts(report: Report) -> tuple[int, int, int, int, int]:
    return report.pulled, report.pushed, report.updated, len(report.conflicts), report.pending
