"""Push and pull between machines and a bank: everything arrives, nothing twice, and any step may be the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

import anyio
import pytest
from bed.team import AT, Bank, counts

from incidentos.memory.errors import CloudDenied, CloudError, CloudFailed, CloudRefused, CloudUnreachable
from incidentos.memory.hindsight.documents import DELETED, to_document
from incidentos.memory.incident import Incident, Status

pytestmark = pytest.mark.anyio
Make = Callable[..., Incident]


# Both ways


async def test_what_one_machine_pushes_another_pulls_field_by_field(machine: Any, incident: Make, bank: Bank) -> None:
    a, b = machine("a"), machine("b")
    for number in range(120):
        a.store.insert(incident(f"i{number}", description=f"é🔥\t {number}\n" * number), None, None)
    a.resolve("i7", "a leak")
    bank.step = 33
    assert counts(await a.sync()) == (0, 120, 0, 0, 0)
    assert counts(await b.sync()) == (120, 0, 0, 0, 0)
    assert a.content == b.content
    assert [len(ids) for ids in bank.pushes] == [50, 50, 20]


async def test_ten_syncs_are_as_one(machine: Any, incident: Make, bank: Bank) -> None:
    a, b = machine("a"), machine("b")
    for number in range(70):
        a.store.insert(incident(f"i{number}"), None, None)
    await a.sync()
    await b.sync()
    documents, content = dict(bank.documents), a.content
    for _ in range(10):
        for one in (a, b):
            report = await one.sync()
            assert counts(report) == (0, 0, 0, 0, 0)
            assert report.unchanged == 70
    assert (bank.documents, a.content, b.content) == (documents, content, content)


async def test_the_same_file_imported_on_two_machines_meets_without_a_conflict(machine: Any, incident: Make) -> None:
    a, b = machine("a"), machine("b")
    for one in (a, b):
        one.store.insert(incident(), None, None)
    await a.sync()
    assert counts(await b.sync()) == (0, 0, 0, 0, 0)


async def test_two_machines_that_resolve_amend_and_delete_end_up_with_the_same(machine: Any, incident: Make) -> None:
    a, b = machine("a"), machine("b")
    for name in ("one", "two", "three", "four"):
        a.store.insert(incident(name), None, None)
    await a.sync()
    await b.sync()
    a.resolve("one", "by a")
    b.resolve("two", "by b")
    b.resolve("two", "by b, amended", hours=2)
    a.store.delete("three", 1)
    b.store.insert(incident("five"), None, None)
    for one in (a, b, a):
        await one.sync()
    assert a.content == b.content
    assert a.content.keys() == {"one", "two", "four", "five"}
    assert (a.content["one"].root_cause, a.content["two"].root_cause) == ("by a", "by b, amended")
    for one in (a, b):
        assert counts(await one.sync()) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("newer", ["a", "b"])
async def test_a_conflict_is_settled_alike_on_both_and_the_loser_is_kept(
    machine: Any, incident: Make, newer: str
) -> None:
    a, b = machine("a"), machine("b")
    a.store.insert(incident(), None, None)
    await a.sync()
    await b.sync()
    a.resolve("a1", "by a", hours=2 if newer == "a" else 1)
    b.resolve("a1", "by b", hours=2 if newer == "b" else 1)
    await a.sync()
    report = await b.sync()
    assert report.conflicts == [("a1", "here" if newer == "b" else "there")]
    for one in (a, b, a):
        await one.sync()
    assert a.content == b.content
    assert a.content["a1"].root_cause == f"by {newer}"
    assert b.losers("a1") == ["by a" if newer == "b" else "by b"]


async def test_a_resolved_record_is_never_reopened(machine: Any, incident: Make) -> None:
    a, b = machine("a"), machine("b")
    a.store.insert(incident(), None, None)
    await a.sync()
    b.store.insert(incident(title="another text", updated_at=AT + timedelta(days=9)), None, None)
    a.resolve("a1", "a leak")
    for one in (a, b, a):
        await one.sync()
    assert a.content == b.content
    assert a.content["a1"].status is Status.RESOLVED


# Deletions


async def test_a_deletion_reaches_everybody_and_stays(machine: Any, incident: Make, bank: Bank) -> None:
    a, b = machine("a"), machine("b")
    a.store.insert(incident(description="what nobody should read any more"), None, None)
    await a.sync()
    await b.sync()
    a.store.delete("a1", 1)
    for one in (a, b, a, b):
        await one.sync(full=True)
    assert (a.content, b.content) == ({}, {})
    assert "nobody" not in str(bank.documents)
    assert bank.documents["a1"]["tags"] == ["incidentos", DELETED]


async def test_a_deletion_here_alone_is_not_undone_and_nobody_else_sees_it(machine: Any, incident: Make) -> None:
    a, b = machine("a"), machine("b")
    a.store.insert(incident(), None, None)
    await a.sync()
    await b.sync()
    b.store.delete("a1", 1, shared=False)
    a.resolve("a1", "a leak")
    for one in (a, b, a, b):
        await one.sync(full=True)
    assert (a.content.keys(), b.content) == ({"a1"}, {})


async def test_a_deleted_incident_that_is_stored_again_comes_back_for_everybody(machine: Any, incident: Make) -> None:
    a, b = machine("a"), machine("b")
    a.store.insert(incident(), None, None)
    for one in (a, b):
        await one.sync()
    a.store.delete("a1", 1)
    for one in (a, b):
        await one.sync()
    b.store.insert(incident(updated_at=AT + timedelta(days=400)), None, None)
    for one in (b, a, b):
        await one.sync()
    assert a.content == b.content
    assert a.content.keys() == {"a1"}


# Failures


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


# Odd banks


async def test_a_bank_that_was_emptied_is_filled_again_by_a_full_sync(machine: Any, incident: Make, bank: Bank) -> None:
    a = machine("a")
    for name in ("a1", "b2"):
        a.store.insert(incident(name), None, None)
    await a.sync()
    del bank.documents["a1"]
    assert (await a.sync()).pushed == 0
    assert (await a.sync(full=True)).pushed == 1
    assert bank.documents.keys() == {"a1", "b2"}


async def test_another_bank_gets_everything(machine: Any, incident: Make, bank: Bank) -> None:
    a = machine("a")
    a.store.insert(incident(), None, None)
    await a.sync()
    bank.bank, bank.documents = "another", {}
    assert (await a.sync()).pushed == 1


async def test_a_secret_in_the_bank_does_not_come_in_and_is_taken_out_there(
    machine: Any, incident: Make, bank: Bank
) -> None:
    a, b = machine("a"), machine("b")
    secret = "password: " + "hunter" + "22"
    a.store.adopt(incident(description=secret), None, action="pulled", queue=True)
    bank.documents["a1"] = {**to_document(incident(description=secret)), "created": AT, "updated": AT}
    await b.sync()
    assert "[redacted: " in b.content["a1"].description
    assert secret not in str(bank.documents)
    for one in (b, a, b):
        await one.sync()
    assert counts(await b.sync()) == (0, 0, 0, 0, 0)


async def test_what_a_stranger_puts_into_the_bank_cannot_drive_a_terminal_or_break_the_store(
    machine: Any, incident: Make, bank: Bank
) -> None:
    bank.documents["a1"] = {
        **to_document(incident(title="\x1b[2J\ud800 gone \u202e", description="\x00")),
        "created": AT,
        "updated": AT,
    }
    a = machine("a")
    await a.sync()
    assert a.content["a1"].title == "\ufffd[2J\ufffd gone "
    assert a.content["a1"].description == "\ufffd"
    await a.sync()
    assert counts(await a.sync()) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"record": "{}"}, "checksum"),
        ({"record": None}, "no record"),
        ({"sha256": "0"}, "checksum"),
    ],
)
async def test_a_document_that_cannot_be_trusted_is_skipped_and_named(
    machine: Any, incident: Make, bank: Bank, change: dict[str, Any], problem: str
) -> None:
    document = to_document(incident())
    bank.documents["a1"] = {**document, "metadata": {**document["metadata"], **change}, "created": AT, "updated": AT}
    report = await machine("a").sync()
    assert (report.pulled, report.skipped) == (0, 1)
    assert problem in dict(report.reasons)["a1"]


async def test_a_failure_is_told_with_an_error_of_ours(machine: Any, bank: Bank) -> None:
    def fail(call: str, ids: Sequence[str]) -> None:
        raise CloudUnreachable("nobody there")

    bank.trouble = fail
    with pytest.raises(CloudError, match="nobody there"):
        await machine("a").sync()
