"""Several servers on one file: what one pushes no other pushes, as long as it lives, and what comes twice does no harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.from_thread
import pytest
from bed.team import Bank, Machine, counts

from incidentos.memory.errors import StoreBusy
from incidentos.memory.incident import Incident
from incidentos.memory.sync import push
from incidentos.memory.sync.exchange import Exchange

pytestmark = pytest.mark.anyio
Make = Callable[..., Incident]

DEADLINE = 60
NAMES = ("a1", "b2", "c3")
STILL = (0, 0, 0, 0, 0)


def pushed(bank: Bank) -> list[str]:
    """Each id as often as it was pushed."""
    return sorted(incident_id for ids in bank.pushes for incident_id in ids)


# Whatever the order


class Step:
    """Lets something happen once, at the n-th step of an exchange (0 for the first)."""

    def __init__(self, number: int, happens: Callable[[], Awaitable[None]]) -> None:
        self.left = number
        self._happens = happens

    def is_now(self) -> bool:
        self.left -= 1
        return self.left == -1

    @property
    def came(self) -> bool:
        return self.left < 0

    def of_store(self, store: Any) -> Any:
        """The store; each call of it, in the threads of an exchange, is a step."""

        def step() -> None:
            if self.is_now():
                anyio.from_thread.run(self._happens)

        return _Watched(store, step)

    def of_bank(self, bank: Bank) -> Any:
        """The bank; the moment before each request and the one after its answer are steps."""

        class Watched:
            def __getattr__(_, name: str) -> Any:
                found = getattr(bank, name)
                if name not in ("push", "page", "fetch"):
                    return found

                async def called(*values: Any, **more: Any) -> Any:
                    if self.is_now():
                        await self._happens()
                    answer = await found(*values, **more)
                    if self.is_now():
                        await self._happens()
                    return answer

                return called

        return Watched()


class _Watched:
    def __init__(self, store: Any, step: Callable[[], None]) -> None:
        self._store = store
        self._step = step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        def called(*values: Any, **more: Any) -> Any:
            self._step()
            return found(*values, **more)

        return called


async def at_each_step(
    machine: Any, bank: Bank, prepare: Callable[[Machine], Awaitable[Any]], **more: Any
) -> list[list[str]]:
    """Two servers on one file sync: at each step of the first one in turn, the other does all that it can. Checks that
    the bank holds what they hold, and that nothing is left to do; returns what was pushed, of each step."""
    found: list[list[str]] = []
    for number in range(1000):
        bank.documents = {}
        one, other = machine(f"a{number}"), machine(f"a{number}")
        await prepare(one)
        bank.calls = []
        # A transaction of the first one cannot be come between: the other gives up at once, and not after a while.
        other.store._database.connection.execute("PRAGMA busy_timeout = 0")

        async def come_between(other: Machine = other) -> None:
            with suppress(StoreBusy):
                await other.sync(impatient=False, **more)

        step = Step(number, come_between)
        whole = one.exchange
        one.exchange = Exchange(step.of_store(one.store), step.of_bank(bank), clock=whole.now)
        await one.sync(**more)
        if not step.came:
            return found
        one.exchange = whole
        found.append(pushed(bank))
        for each in (one, other):
            assert counts(await each.sync()) == STILL
        assert {copy.content for name in NAMES if (copy := await bank.fetch(name))} == set(one.content.values())
    raise AssertionError("the exchange does not end")


async def insert(one: Machine, incident: Make) -> None:
    for name in NAMES:
        one.store.insert(incident(name), None, None)


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
async def test_each_incident_is_pushed_once_wherever_another_server_comes_between(
    machine: Any, incident: Make, bank: Bank, known: bool
) -> None:
    """What has just been pushed is not missing in the bank, nor out of date there, only because it was read before."""

    async def prepare(one: Machine) -> None:
        await insert(one, incident)
        if known:
            await one.sync()
            for name in NAMES:
                one.resolve(name, "a leak")

    found = await at_each_step(machine, bank, prepare)
    assert found == [list(NAMES)] * len(found)
    assert len(found) > 20, "places to come between"


async def test_a_bank_that_was_emptied_is_filled_once_or_twice_with_the_same(
    machine: Any, incident: Make, bank: Bank
) -> None:
    """Two that read all of it at once may both find it empty: that changes nothing and leaves nothing to do."""

    async def prepare(one: Machine) -> None:
        await insert(one, incident)
        await one.sync()
        bank.documents = {}

    for once in await at_each_step(machine, bank, prepare, full=True):
        assert once in (list(NAMES), sorted(NAMES * 2))


# Slow, dead, suspended


async def test_what_a_slow_server_pushes_nobody_takes_as_long_as_it_lives(
    machine: Any, incident: Make, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    one, other = (machine("a", clock=lambda: now) for _ in range(2))
    await insert(one, incident)
    monkeypatch.setattr(push, "RENEW", 0.001)

    async def take_long() -> None:
        nonlocal now
        for _ in range(5):
            now += push.LEASE * 0.7
            while not one.store.backlog(now + push.LEASE * 0.5).leased:  # until it was renewed
                await anyio.sleep(0.001)
            assert (await other.sync(impatient=False)).pushed == 0

    bank.meanwhile = take_long
    with anyio.fail_after(DEADLINE):
        assert (await one.sync()).pushed == len(NAMES)
    assert pushed(bank) == list(NAMES)


async def test_what_a_dead_server_was_pushing_is_taken_over(machine: Any, incident: Make, bank: Bank) -> None:
    now = 1e9
    one, other = (machine("a", clock=lambda: now) for _ in range(2))
    await insert(one, incident)
    one.store.lease("dead", 50, now, push.LEASE)
    assert (await other.sync(impatient=False)).pushed == 0
    now += push.LEASE
    assert (await other.sync(impatient=False)).pushed == len(NAMES)
    assert pushed(bank) == list(NAMES)


async def test_a_lease_lasts_from_when_the_file_was_free(
    machine: Any, incident: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited for the file does not begin with a lease that is half over."""
    now = 1e9
    one = machine("a", clock=lambda: now)
    await insert(one, incident)
    transaction = one.store.transaction

    def waited_for() -> Any:
        nonlocal now
        if not one.store._database._depth:
            now += push.LEASE
        return transaction()

    left: list[float | None] = []
    one.bank.meanwhile = lambda: anyio.to_thread.run_sync(lambda: left.append(one.store.backlog(now).next_due))
    monkeypatch.setattr(one.store, "transaction", waited_for)
    await one.sync()
    assert left == [push.LEASE]


async def test_a_server_that_was_suspended_pushes_nothing_that_others_have_taken_over(
    machine: Any, incident: Make, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr(push, "_BATCH_BYTES", 1)  # each incident is a request of its own, as large ones are
    one, other = (machine("a", clock=lambda: now) for _ in range(2))
    await insert(one, incident)

    async def suspend() -> None:
        nonlocal now
        now += push.LEASE
        assert (await other.sync()).pushed == len(NAMES)

    bank.meanwhile = suspend
    await one.sync()
    assert pushed(bank) == ["a1", *NAMES], "only what was on its way went twice"
    assert len(bank.documents) == len(NAMES)


async def test_a_push_that_arrives_after_a_newer_one_is_made_good_at_once(
    machine: Any, incident: Make, bank: Bank
) -> None:
    """As of a server that was suspended with its request on the way, longer than its lease."""
    now = 1e9
    one, other = (machine("a", clock=lambda: now) for _ in range(2))
    b = machine("b", clock=lambda: now)
    await insert(one, incident)

    async def suspend() -> None:
        nonlocal now
        now += push.LEASE
        await other.sync()
        other.resolve("a1", "a leak")
        other.store.delete("b2", 1)
        await other.sync()

    bank.meanwhile = suspend
    await one.sync()
    assert one.store.backlog(now).pending == 0
    report = await b.sync()
    assert (report.conflicts, b.content) == ([], one.content)
    assert (b.content.keys(), b.content["a1"].root_cause) == ({"a1", "c3"}, "a leak")
    for each in (one, other, b):
        assert counts(await each.sync()) == STILL
