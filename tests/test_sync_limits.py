"""What an exchange does where a disk is full, a bank is hostile, or a person only wants to know."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bed.team import AT, Bank, counts

from incidentos.memory.errors import StoreFull
from incidentos.memory.hindsight.documents import MAX_RECORD, to_document
from incidentos.memory.incident import Incident
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.memory.sync import pull
from incidentos.memory.sync.exchange import Exchange

pytestmark = pytest.mark.anyio
Make = Callable[..., Incident]


# Only asking


async def test_a_dry_run_before_a_new_bank_is_met_counts_everything_that_it_lacks(
    machine: Any, incident: Make, bank: Bank
) -> None:
    a = machine("a")
    for number in range(3):
        a.store.insert(incident(f"i{number}"), None, None)
    a.store.insert(incident("gone"), None, None)
    await a.sync()
    a.store.delete("gone", 1)
    await a.sync()
    bank.bank, bank.documents = "another", {}
    for direction in ("push", "both"):
        assert counts(await a.sync(direction, dry_run=True))[:2] == (0, 4)
    assert counts(await a.sync())[:2] == (0, 4), "three, and that one is gone"


async def test_a_dry_run_does_not_count_what_the_bank_holds_already(machine: Any, incident: Make) -> None:
    a, b = machine("a"), machine("b")
    for one in (a, b):
        one.store.insert(incident(), None, None)
    b.store.insert(incident("b2"), None, None)
    await a.sync()
    assert counts(await b.sync(dry_run=True))[:2] == (0, 1)
    assert b.store.state("bank") is None
    assert counts(await b.sync())[:2] == (0, 1)


# A full disk


@pytest.mark.slow
async def test_a_disk_that_is_full_leaves_nothing_half_written_and_the_next_sync_goes_on(
    machine: Any, incident: Make, bank: Bank
) -> None:
    a, b = machine("a"), machine("b")
    for number in range(60):
        a.store.insert(incident(f"i{number:02}", description=f"line {number}\n" * 900), None, None)
    await a.sync()
    b.store.insert(incident("mine"), None, None)
    bank.step = 10
    disk = b.store._database.connection
    pages = disk.execute("PRAGMA page_count").fetchone()[0]
    disk.execute(f"PRAGMA max_page_count = {pages + 80}")
    with pytest.raises(StoreFull, match="the disk is full"):
        await b.sync()
    came = b.content.keys() - {"mine"}
    assert 0 < len(came) < 60
    assert len(came) % 10 == 0, "whole pages only"
    assert all([event.action for event in b.store.history(one)] == ["pulled"] for one in came)
    assert b.store.known(sorted(came)).keys() == came
    assert (b.store.state("cursor"), b.store.state("read_whole")) == (None, None)
    assert (b.store.entries(), "mine" in bank.documents) == ({"mine": False}, False)
    disk.execute("PRAGMA max_page_count = 1000000")
    report = await b.sync()
    assert (report.pulled, report.pushed, report.pending) == (60 - len(came), 1, 0)
    assert b.content == {**a.content, "mine": b.content["mine"]}
    assert disk.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# A hostile bank


async def test_strangers_texts_are_redacted_before_the_store_is_locked(
    machine: Any, incident: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = machine("a"), machine("b")
    for number in range(5):
        a.store.insert(incident(f"i{number}"), None, None)
        b.store.insert(incident(f"i{number}", "another text"), None, None)
    await a.sync()
    made_safe, depths = pull._made_safe, []

    def watched(given: Incident) -> Incident:
        depths.append(b.store._database._depth)
        return made_safe(given)

    monkeypatch.setattr(pull, "_made_safe", watched)
    assert len((await b.sync()).conflicts) == 5
    assert depths == [0] * 10


@pytest.mark.slow
async def test_a_page_of_huge_records_lets_other_writers_in_between_them(
    machine: Any, incident: Make, bank: Bank, tmp_path: Path
) -> None:
    a = machine("a")
    for number in range(4):
        a.store.insert(incident(f"i{number}", description=f"{number} " * 400_000), None, None)
    await a.sync()
    parts: list[int] = []
    with closing(SqliteStore(tmp_path / "b.db")) as b, closing(SqliteStore(tmp_path / "b.db")) as other:

        def write(came: Any) -> None:
            parts.append(len(came))
            other.insert(incident(f"meanwhile-{len(parts)}"), None, None)

        assert (await Exchange(b, bank, write, lambda: 1e9).run("pull")).pulled == 4
        assert parts == [1, 1, 1, 1]


async def test_a_record_that_is_too_large_is_skipped_and_named_and_the_rest_arrives(
    machine: Any, incident: Make, bank: Bank
) -> None:
    document = to_document(incident())
    huge = {**document["metadata"], "record": document["metadata"]["record"] + " " * MAX_RECORD}
    bank.documents["a1"] = {**document, "metadata": huge, "created": AT, "updated": AT}
    bank.documents["b2"] = {**to_document(incident("b2")), "created": AT, "updated": AT}
    a = machine("a")
    report = await a.sync()
    assert (report.pulled, report.skipped, a.content.keys()) == (1, 1, {"b2"})
    assert "too large" in "".join(report.remarks())


async def test_an_incident_that_is_too_large_for_the_bank_is_set_aside_with_the_reason(
    machine: Any, incident: Make
) -> None:
    a = machine("a")
    a.store.insert(incident(description="é" * 400_000), None, None)
    a.store.insert(incident("b2"), None, None)
    report = await a.sync()
    assert (report.pushed, report.pending, report.refused) == (1, 0, 1)
    assert "shorten" in a.store.refusals(9)[0].reason
