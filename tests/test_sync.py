"""Push and pull between machines and a bank: everything arrives, nothing twice, and any step may be the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from bed.team import AT, Bank, counts

from incidentos.memory.errors import CloudError, CloudUnreachable
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
