"""The team's memory beside this machine's: it adds what it knows, and takes nothing away when it is gone."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from incidentos.memory.cloud import BankState, CloudHit, Copy, Fact, Listing, Shared, Version
from incidentos.memory.errors import CloudDenied, CloudError, CloudFailed, CloudUnreachable
from incidentos.memory.incident import FailureType, Incident, Resolution, Status, Step
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Prediction
from incidentos.memory.sync import service
from incidentos.memory.sync.pause import Pauses
from incidentos.memory.sync.service import SharedMemory
from incidentos.tools.base import Desk, recall_beside

pytestmark = pytest.mark.anyio
Make = Callable[..., Incident]
QUERY = "kafka consumer lag rebalance storm"
SOON = Pauses(first=0.02, most=0.04)


class Cloud:
    """A `CloudMemory` whose answers a test sets."""

    url, bank = "http://127.0.0.1:1", "team"

    def __init__(self) -> None:
        self.held: dict[str, Shared] = {}
        self.hits: list[CloudHit] = []
        self.recalls = 0
        self.trouble: Callable[[str], Awaitable[None]] | None = None
        self.closed = False

    async def _meet(self, call: str) -> None:
        if self.trouble is not None:
            await self.trouble(call)

    async def load(self) -> None:
        await self._meet("load")

    async def aclose(self) -> None:
        self.closed = True

    async def check(self) -> BankState:
        return BankState(True)

    async def push(self, versions: Sequence[Version]) -> None:
        await self._meet("push")
        self.held.update({version.content.id: version.content for version in versions})

    async def page(self, offset: int, since: str | None, *, limit: int = 100) -> Listing:
        await self._meet("page")
        return Listing((), 0, None, None)

    async def fetch(self, incident_id: str) -> Copy | None:
        await self._meet("fetch")
        return Copy(incident_id, self.held[incident_id]) if incident_id in self.held else None

    async def recall(self, text: str, seconds: float) -> list[CloudHit]:
        self.recalls += 1
        await self._meet("recall")
        return self.hits

    async def facts(self) -> AsyncIterator[list[Fact]]:
        yield []


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def memory(open_memory: Any, words: Any) -> IncidentMemory:
    found: IncidentMemory = open_memory(words())
    return found


@pytest.fixture
def shared(memory: IncidentMemory, cloud: Cloud) -> Callable[[], SharedMemory]:
    """Made within the test, which has the event loop."""
    return lambda: SharedMemory(memory, cloud, SOON, SOON)


def ours(*ids: str) -> CloudHit:
    return CloudHit(ids, True, 0.9)


def resolved(incident: Make, incident_id: str, **more: Any) -> Incident:
    resolution = Resolution("max.poll.interval too short", (Step("raise it"),))
    return incident(incident_id, QUERY, status=Status.RESOLVED, resolution=resolution, **more)


async def find(shared: SharedMemory, memory: IncidentMemory, limit: int = 5, *, widen: bool = False) -> Any:
    desk = Desk(memory, memory.store.path, "0", shared=shared)  # type: ignore[attr-defined]
    return await recall_beside(desk, QUERY, partial(memory.find, QUERY, limit), widen=widen)


async def until(true: Callable[[], Any]) -> None:
    with anyio.fail_after(30):
        while not true():
            await anyio.sleep(0.01)


class Running:
    """The shared memory's work behind the scenes, while the block lasts."""

    def __init__(self, shared: SharedMemory) -> None:
        self._shared = shared

    async def __aenter__(self) -> SharedMemory:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._shared.run)
        await until(lambda: self._shared.status()["state"] != "connecting")
        return self._shared

    async def __aexit__(self, *exc: Any) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)


# Recall


async def test_an_incident_that_only_the_team_knows_is_found_and_stored_whole(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    theirs = resolved(incident, "theirs")
    cloud.held["theirs"], cloud.hits = theirs, [ours("theirs")]
    async with Running(shared()) as team:
        await until(lambda: memory.store.state("read_whole"))  # this bank lists nothing: what it lacks would be queued
        recalled = await find(team, memory)
    assert [match.incident for match in recalled.matches] == [theirs]
    assert recalled.matches[0].hit.best is not None, "it has vectors at once"
    assert (recalled.degraded, memory.store.get("theirs"), memory.counts().pending_sync) == ((), theirs, 0)
    assert team.status()["recall"] == {"asked": 1, "facts": 1, "dropped": 0, "fetched": 1}
    assert cloud.closed


async def test_what_a_pull_brings_in_while_it_is_searched_is_found(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    theirs = resolved(incident, "theirs")
    cloud.held["theirs"], cloud.hits = theirs, [ours("theirs")]
    searched = anyio.Event()

    async def pull(call: str) -> None:
        if call == "recall":
            await searched.wait()
            memory.store.adopt(theirs, None, action="pulled", queue=False)

    def find_slowly(*, also: frozenset[str] = frozenset()) -> Any:
        found = memory.find(QUERY, 5, also=also)
        anyio.from_thread.run_sync(searched.set)
        return found

    async with Running(shared()) as team:
        cloud.trouble = pull
        desk = Desk(memory, Path("memory.db"), "0", shared=team)
        recalled = await recall_beside(desk, QUERY, find_slowly, widen=False)
    assert [match.incident.id for match in recalled.matches] == ["theirs"]


async def test_a_fact_that_names_no_incident_is_dropped_and_counted(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    memory.store.insert(incident("known"), None, None)
    cloud.hits = [CloudHit((), False, 0.9), CloudHit(("stranger",), False, 0.8), CloudHit(("x", "known"), False, 0.7)]
    async with Running(shared()) as team:
        candidates = await team.recall(QUERY)
        assert (candidates.ids, candidates.degraded) == ({"known"}, ())
        assert team.status()["recall"]["dropped"] == 2
    assert memory.store.ids() == {"known"}


async def test_a_document_of_ours_that_mentions_another_incident_is_not_taken_for_it(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    memory.store.insert(incident("mentioned"), None, None)
    cloud.held["theirs"], cloud.hits = resolved(incident, "theirs"), [ours("theirs", "mentioned")]
    async with Running(shared()) as team:
        assert (await team.recall(QUERY)).ids == {"theirs"}


async def test_what_was_deleted_here_does_not_come_back_by_a_recall(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    memory.store.insert(resolved(incident, "gone"), None, None)
    cloud.held["gone"], cloud.hits = resolved(incident, "gone"), [ours("gone")]
    memory.delete("gone", 1, shared=False)
    async with Running(shared()) as team:
        assert (await find(team, memory)).matches == ()
    assert memory.store.get("gone") is None


async def test_our_own_evidence_decides_and_the_limit_holds(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    for number in range(40):
        memory.store.insert(resolved(incident, f"near{number}"), None, None)
    memory.store.insert(incident("far", "printer on fire", description="paper"), None, None)
    memory.embedder.catch_up()
    cloud.hits = [ours("far")]
    async with Running(shared()) as team:
        for widen in (False, True):
            matches = (await find(team, memory, 5, widen=widen)).matches
            assert len(matches) == 5
            assert "far" not in {match.incident.id for match in matches}


async def test_what_it_recalls_and_we_find_likely_comes_on_top_of_the_limit(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    for number in range(60):
        memory.store.insert(resolved(incident, f"near{number}"), None, None)
    beyond = next(
        i for i in sorted(memory.store.ids()) if i not in {m.incident.id for m in memory.find(QUERY, 50).matches}
    )
    cloud.hits = [ours(beyond)]
    async with Running(shared()) as team:
        plain = memory.find(QUERY, 5, also=frozenset({beyond}))
        matches = (await find(team, memory, 5, widen=True)).matches
    likely = plain.matches[0].probability >= 0.57
    assert len(matches) == (6 if likely else 5)


@pytest.mark.parametrize(
    "error", [CloudUnreachable("nobody there"), CloudDenied("wrong key"), CloudFailed("broken")], ids=lambda e: str(e)
)
async def test_when_it_fails_the_local_answer_stands_and_says_so_once_asked_and_no_more(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make, error: CloudError
) -> None:
    memory.store.insert(resolved(incident, "mine"), None, None)

    async def fail(call: str) -> None:
        if call != "load":
            raise error

    team = SharedMemory(memory, cloud, SOON, Pauses(60, 60))
    async with Running(team):
        cloud.trouble = fail
        for number in range(5):
            recalled = await find(team, memory)
            assert [match.incident.id for match in recalled.matches] == ["mine"]
            what = "was not asked" if number else "gave no answer"
            assert recalled.degraded[-1] == f"The team's memory {what}: {error}"
    assert cloud.recalls == 1, "the breaker kept the others from asking"


async def test_a_recall_that_takes_too_long_is_given_up(
    shared: Any, memory: IncidentMemory, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "DEADLINE", 0.05)

    async def hang(call: str) -> None:
        if call == "recall":
            await anyio.sleep(60)

    team = SharedMemory(memory, cloud, SOON, Pauses(60, 60))
    async with Running(team):
        cloud.trouble = hang
        assert "did not answer within 0.05 seconds" in (await find(team, memory)).degraded[0]
        assert "did not answer within 0.05 seconds" in (await find(team, memory)).degraded[0]
    assert cloud.recalls == 1


async def test_what_was_found_counts_although_the_unknown_could_not_be_read_in_time(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "DEADLINE", 0.1)
    memory.store.insert(incident("known"), None, None)
    cloud.hits = [ours("known"), ours("theirs")]

    async def hang(call: str) -> None:
        if call == "fetch":
            await anyio.sleep(60)

    async with Running(shared()) as team:
        cloud.trouble = hang
        candidates = await team.recall(QUERY)
    assert (candidates.ids, candidates.new, candidates.degraded) == ({"known"}, False, ())


async def test_once_it_answers_again_it_is_asked_again(shared: Any, memory: IncidentMemory, cloud: Cloud) -> None:
    async def fail(call: str) -> None:
        raise CloudUnreachable("nobody there")

    async with Running(shared()) as team:
        cloud.trouble = fail
        assert (await find(team, memory)).degraded
        cloud.trouble = None
        await until(lambda: team.status()["state"] == "up")
        assert (await find(team, memory)).degraded == ()


async def test_before_it_is_connected_the_local_answer_stands(
    shared: Any, memory: IncidentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "DEADLINE", 0.05)
    team = shared()
    assert "still being connected" in (await find(team, memory)).degraded[0]
    assert team.status()["state"] == "connecting"


async def test_how_a_colleague_resolved_it_judges_what_was_predicted_here(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    stored = memory.store.insert(incident("mine", QUERY), None, None)
    said = Prediction("mine", stored.updated_at, "a leak", FailureType.MEMORY, 0.8, (), "memory", 0.8, True)
    memory.learning.remember(said)
    theirs = resolved(incident, "mine", failure_type=FailureType.DNS, failure_type_stated=True, revision=2)
    await shared().exchange.take([Copy("mine", theirs)])
    kept = memory.learning.prediction_of("mine")
    assert kept is not None
    assert kept.judgment is not None
    assert kept.judgment.right is False


# Behind the scenes


async def test_what_is_stored_is_pushed_by_itself_and_the_receipt_says_so(
    shared: Any, memory: IncidentMemory, cloud: Cloud
) -> None:
    async with Running(shared()) as team:
        stored, _ = memory.open_incident(QUERY, "")
        assert team.standing(stored.id) == "in the outbox of this machine, on its way to bank team"
        team.nudge()
        await until(lambda: cloud.held)
        await until(lambda: not memory.store.is_pending(stored.id))
        assert team.standing(stored.id) == "stored in bank team"


async def test_a_push_that_fails_is_tried_until_it_succeeds(shared: Any, memory: IncidentMemory, cloud: Cloud) -> None:
    failures = 0

    async def fail(call: str) -> None:
        nonlocal failures
        if call == "page" and failures < 4:
            failures += 1
            raise CloudUnreachable("nobody there")

    cloud.trouble = fail
    stored, _ = memory.open_incident(QUERY, "")
    async with Running(shared()) as team:
        await until(lambda: team.status()["last_error"] == "nobody there" or cloud.held)
        await until(lambda: cloud.held.keys() == {stored.id})
        await until(lambda: team.status()["last_error"] is None)
    assert failures == 4


async def test_a_mistake_in_the_exchange_does_not_take_the_server_down(
    shared: Any, memory: IncidentMemory, cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    async def fail(call: str) -> None:
        if call == "page":
            raise RuntimeError("a secret")

    cloud.trouble = fail
    async with Running(shared()) as team:
        await until(lambda: "RuntimeError" in capfd.readouterr().err)
        assert (await team.recall(QUERY)).degraded == ()


async def test_the_local_recall_and_the_teams_run_at_the_same_time(
    shared: Any, memory: IncidentMemory, cloud: Cloud, incident: Make
) -> None:
    """Each waits here until the other has begun."""
    memory.store.insert(resolved(incident, "mine"), None, None)
    asked, searching = threading.Event(), threading.Event()

    def search(*, also: frozenset[str] = frozenset()) -> Any:
        searching.set()
        assert asked.wait(30)
        return memory.find(QUERY, 5, also=also)

    async def begin(call: str) -> None:
        if call == "recall":
            asked.set()
            await anyio.to_thread.run_sync(searching.wait, 30)

    async with Running(shared()) as team:
        cloud.trouble = begin
        desk = Desk(memory, memory.store.path, "0", shared=team)  # type: ignore[attr-defined]
        recalled = await recall_beside(desk, QUERY, search, widen=False)
    assert [match.incident.id for match in recalled.matches] == ["mine"]
    assert cloud.recalls == 1
