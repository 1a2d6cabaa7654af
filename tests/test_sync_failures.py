"""Any step of an exchange may fail or be the last one: nothing is lost, doubled or held up by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import anyio
import pytest
from bed.team import Bank, counts

from incidentos.memory.errors import CloudDenied, CloudFailed, CloudRefused, CloudUnreachable
from incidentos.memory.incident import Incident

pytestmark = pytest.mark.anyio
Make = Callable[..., Incident]


async def test_a_dry_run_counts_and_changes_nothing(machine: Any, incident: Make, bank: Bank) -> None:
    a, b = machine("a"), machine("b")
    a.store.insert(incident(), None, None)
    assert counts(await a.sync(dry_run=True)) == (0, 1, 0, 0, 1)
    assert bank.documents == {}
    await a.sync()
    assert counts(await b.sync(dry_run=True)) == (1, 0, 0, 0, 0)
    assert (b.content, b.store.state("bank")) == ({}, None)


async def test_a_push_that_arrived_but_was_not_answered_is_pushed_again_and_doubles_nothing(
    machine: Any, incident: Make, bank: Bank
) -> None:
    a = machine("a")
    a.store.insert(incident(), None, None)

    def break_off() -> None:
        bank.after = lambda: None
        raise CloudUnreachable("broken off")

    bank.after = break_off
    with pytest.raises(CloudUnreachable):
        await a.sync()
    assert a.store.backlog(1e9).pending == 1
    assert a.store.state("last_error") == "broken off"
    assert counts(await a.sync()) == (0, 0, 0, 0, 0), "the next look finds it there"
    assert (len(bank.documents), a.store.state("last_error")) == (1, None)


async def test_one_that_is_refused_is_set_aside_and_the_others_go(machine: Any, incident: Make, bank: Bank) -> None:
    def refuse(call: str, ids: Sequence[str]) -> None:
        if call == "push" and "i7" in ids:
            raise CloudRefused("too odd")

    a = machine("a")
    for number in range(20):
        a.store.insert(incident(f"i{number}"), None, None)
    bank.trouble = refuse
    report = await a.sync()
    assert (report.pushed, report.pending, report.refused) == (19, 0, 1)
    assert [(r.incident_id, r.reason) for r in a.store.refusals(9)] == [("i7", "too odd")]
    assert (await a.sync()).pushed == 0, "it is not tried again by itself"
    bank.trouble = lambda call, ids: None
    a.store.retry()
    assert (await a.sync()).pushed == 1


async def test_one_that_fails_for_ever_does_not_hold_up_the_others(machine: Any, incident: Make, bank: Bank) -> None:
    now = 1e9

    def fail(call: str, ids: Sequence[str]) -> None:
        if call == "push" and "i7" in ids:
            raise CloudFailed("no memory left", 1.0)  # named a time: not asked again at once

    a = machine("a", clock=lambda: now)
    for number in range(20):
        a.store.insert(incident(f"i{number}"), None, None)
    bank.trouble = fail
    for _ in range(12):
        with suppress(CloudFailed):
            await a.sync(impatient=False)
        now += 3600
    assert bank.documents.keys() == {f"i{n}" for n in range(20)} - {"i7"}
    assert a.store.backlog(now).pending == 1
    a.store.insert(incident("later"), None, None)
    report = await a.sync(impatient=False)
    assert (report.pushed, report.pending, report.error) == (1, 1, "no memory left")


async def test_a_server_that_fails_once_is_asked_again_at_once(machine: Any, incident: Make, bank: Bank) -> None:
    def fail_first(call: str, ids: Sequence[str]) -> None:
        if call == "push" and len(bank.pushes) == 1:
            raise CloudFailed("deadlock detected")

    a = machine("a")
    for number in range(20):
        a.store.insert(incident(f"i{number}"), None, None)
    bank.trouble = fail_first
    report = await a.sync()
    assert (report.pushed, report.pending, report.error) == (20, 0, None)


async def test_a_server_that_names_a_time_is_left_alone_until_then(machine: Any, incident: Make, bank: Bank) -> None:
    def busy(call: str, ids: Sequence[str]) -> None:
        if call == "push":
            raise CloudFailed("too much to do", 30.0)

    a = machine("a")
    a.store.insert(incident(), None, None)
    bank.trouble = busy
    with pytest.raises(CloudFailed):
        await a.sync(impatient=False)
    assert len(bank.pushes) == 1


async def test_a_proxy_that_refuses_everything_sets_nothing_aside(machine: Any, incident: Make, bank: Bank) -> None:
    def refuse(call: str, ids: Sequence[str]) -> None:
        if call == "push":
            raise CloudRefused("no")

    ticks = count(10**9)
    a = machine("a", clock=lambda: float(next(ticks)))
    for number in range(20):
        a.store.insert(incident(f"i{number}"), None, None)
    bank.trouble = refuse
    with pytest.raises(CloudRefused):
        await a.sync()
    assert (a.store.backlog(1e9).pending, a.store.backlog(1e9).refused) == (20, 0)
    bank.trouble = lambda call, ids: None
    assert (await a.sync()).pushed == 20


async def test_a_record_from_before_a_pattern_was_known_is_pushed_redacted_and_once(
    machine: Any, incident: Make, bank: Bank
) -> None:
    a = machine("a")
    a.store.insert(incident(description="password: " + "hunter" + "22"), None, None)
    assert (await a.sync()).pushed == 1
    assert "hunter" not in str(bank.documents)
    for _ in range(3):
        assert counts(await a.sync()) == (0, 0, 0, 0, 0)


async def test_a_refused_key_leaves_the_backlog_as_it_is(machine: Any, incident: Make, bank: Bank) -> None:
    def deny(call: str, ids: Sequence[str]) -> None:
        raise CloudDenied("no")

    a = machine("a")
    a.store.insert(incident(), None, None)
    bank.trouble = deny
    with pytest.raises(CloudDenied):
        await a.sync()
    assert [entry.attempts for entry in a.store.lease("x", 9, 1e9, 30)] == [0]


async def test_a_pull_that_breaks_off_goes_on_where_it_was(machine: Any, incident: Make, bank: Bank) -> None:
    a, b = machine("a"), machine("b")
    for number in range(60):
        a.store.insert(incident(f"i{number}"), None, None)
    await a.sync()
    bank.step, seen = 20, 0

    def break_off(call: str, ids: Sequence[str]) -> None:
        nonlocal seen
        seen += call == "page"
        if seen == 3:
            raise CloudUnreachable("broken off")

    bank.trouble = break_off
    with pytest.raises(CloudUnreachable):
        await b.sync()
    assert (len(b.content), b.store.state("cursor")) == (40, None)
    report = await b.sync()
    assert (report.pulled, b.content) == (20, a.content)


async def test_a_cancelled_push_gives_its_leases_back(machine: Any, incident: Make, bank: Bank) -> None:
    a = machine("a")
    for number in range(60):
        a.store.insert(incident(f"i{number}"), None, None)
    with anyio.CancelScope() as scope:
        bank.after = scope.cancel
        await a.sync()
    assert scope.cancelled_caught
    bank.after = lambda: None
    assert a.store.backlog(1e9).leased == 0
    await a.sync()
    assert len(bank.documents) == 60


async def test_two_servers_on_one_file_push_each_incident_once(machine: Any, incident: Make, bank: Bank) -> None:
    one, other = machine("a"), machine("a")
    for number in range(120):
        one.store.insert(incident(f"i{number}"), None, None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.sync)
        tasks.start_soon(other.sync)
    pushed = [incident_id for ids in bank.pushes for incident_id in ids]
    assert sorted(pushed) == sorted(set(pushed))
    assert (len(bank.documents), one.store.backlog(1e9).pending) == (120, 0)


async def test_a_push_alone_does_not_overwrite_what_a_colleague_changed(machine: Any, incident: Make) -> None:
    a, b = machine("a"), machine("b")
    a.store.insert(incident(), None, None)
    for one in (a, b):
        await one.sync()
    a.resolve("a1", "by a", hours=9)
    await a.sync("push")
    b.resolve("a1", "by b", hours=1)
    assert (await b.sync("push")).conflicts == [("a1", "there")]
    await a.sync("pull")
    assert a.content == b.content
    assert b.losers("a1") == ["by b"]


async def test_the_bank_is_never_called_inside_a_transaction(machine: Any, incident: Make, bank: Bank) -> None:
    """A slow bank must not keep every other writer waiting."""
    a, b = machine("a"), machine("b")

    def look(call: str, ids: Sequence[str]) -> None:
        for one in (a, b):
            with one.store.transaction():  # of another connection's thread, it would wait and fail
                assert one.store._database._depth == 1

    for number in range(60):
        a.store.insert(incident(f"i{number}"), None, None)
    bank.trouble = look
    for one in (a, b, a):
        await one.sync(full=True)
    assert a.content == b.content
