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
from incidentos.memory.sync.exchange import Exchange

pytestmark = pytest.mark.anyio
Make = Callable[..., Incident]

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
