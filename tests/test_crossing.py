"""Pushes that cross: whoever writes over whom, in whatever order, nobody's work goes unseen and all end with the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bed.team import AT, Bank, Machine, counts

from incidentos.memory.cloud import Known, digest
from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.sync import merge
from incidentos.memory.sync.merge import Decision, decide, lineage, lineage_after

pytestmark = pytest.mark.anyio
Make = Callable[..., Incident]


async def both(machine: Any, incident: Make) -> tuple[Machine, Machine]:
    """Two machines that hold the same open incident."""
    a, b = machine("a"), machine("b")
    a.store.insert(incident(), None, None)
    await a.sync()
    await b.sync()
    return a, b


@pytest.mark.parametrize("kind", ["open", "resolved"])
async def test_what_was_deleted_here_alone_and_stored_again_does_not_pass_for_newer_than_what_was_kept_away(
    machine: Any, incident: Make, kind: str
) -> None:
    a, b = await both(machine, incident)
    if kind == "resolved":
        a.resolve("a1", "the old cause")
        await a.sync()
        await b.sync()
    old = b.content["a1"]
    b.store.delete("a1", old.revision, shared=False)
    a.resolve("a1", "the new cause", hours=9)
    await a.sync()
    await b.sync()
    b.store.insert(old, None, None, action="imported")
    for one in (b, a, b):
        await one.sync()
    assert a.content == b.content
    assert a.content["a1"].root_cause == "the new cause"


@pytest.mark.parametrize("newer", ["a", "b"])
@pytest.mark.parametrize("amendments", [0, 3])
async def test_an_older_resolution_that_was_pushed_over_a_newer_one_does_not_win(
    machine: Any, incident: Make, bank: Bank, newer: str, amendments: int
) -> None:
    """However often the older one was amended: a count of writes says nothing about who knew what."""
    a, b = await both(machine, incident)
    for number in range(amendments):
        a.resolve("a1", f"a's draft {number}", hours=1)
    a.resolve("a1", "by a", hours=9 if newer == "a" else 2)
    b.resolve("a1", "by b", hours=5)
    bank.meanwhile = b.sync  # a has looked and seen nothing; b's arrives before a's
    await a.sync()
    reports = [await one.sync() for one in (b, a, b)]
    assert a.content == b.content
    assert a.content["a1"].root_cause == f"by {newer}"
    assert "by a" in b.losers("a1") or "by b" in b.losers("a1")
    assert [len(r.conflicts) for r in reports] == ([1, 0, 0] if newer == "a" else [1, 1, 0])
    assert "by a" in a.losers("a1") or newer == "a", "who wrote what lost is told, too"
    for one in (a, b) * 5:
        assert counts(await one.sync()) == (0, 0, 0, 0, 0)


async def test_an_older_deletion_that_was_pushed_over_a_newer_resolution_does_not_win(
    machine: Any, incident: Make, bank: Bank
) -> None:
    a, b = await both(machine, incident)
    a.store.delete("a1", 1)
    b.resolve("a1", "by b", hours=5)
    bank.meanwhile = b.sync
    await a.sync()
    for one in (b, a, b):
        await one.sync()
    assert a.content == b.content
    assert a.content["a1"].root_cause == "by b"
    assert counts(await a.sync()) == counts(await b.sync()) == (0, 0, 0, 0, 0)


async def test_several_changes_in_a_row_are_no_conflict_with_who_saw_the_first(machine: Any, incident: Make) -> None:
    """Although the clock of who made them is years behind."""
    a, b = await both(machine, incident)
    for number in range(5):
        a.resolve("a1", f"version {number}", hours=-9999 + number)
        await a.sync()
    assert counts(await b.sync()) == (0, 0, 1, 0, 0)
    b.resolve("a1", "by b", hours=-20000)
    await b.sync()
    assert counts(await a.sync()) == (0, 0, 1, 0, 0)
    assert a.content["a1"].root_cause == "by b"


async def test_a_document_of_an_older_program_is_merged_as_before(machine: Any, incident: Make, bank: Bank) -> None:
    a, b = await both(machine, incident)
    a.resolve("a1", "by a")
    await a.sync()
    del bank.documents["a1"]["metadata"]["supersedes"]
    assert counts(await b.sync()) == (0, 0, 1, 0, 0)
    assert a.content == b.content


def test_a_lineage_names_the_newest_versions_and_not_the_version_itself() -> None:
    mine = "f" * 64
    long = tuple(f"{number:016x}" for number in range(99))
    assert lineage(mine, None) == ()
    assert lineage(mine, Known(mine, long[:3])) == long[:3]
    found = lineage(mine, Known("e" * 64, (*long, mine[:16])))
    assert found == ("e" * 16, *long[: merge.MOST - 1])


def test_who_lost_is_marked_for_everybody(incident: Make) -> None:
    opened = incident()
    older = replace(opened, status=Status.RESOLVED, resolution=Resolution("older"), updated_at=AT)
    newer = replace(older, resolution=Resolution("newer"), updated_at=AT + timedelta(hours=1))
    base = (digest(opened)[:16],)
    decision = decide(newer, older, Known(digest(newer), base), base)
    assert decision == Decision(theirs=False, conflict=True)
    told = lineage_after(newer, older, Known(digest(newer), base), base, decision)
    assert told == ("!" + digest(older)[:16], *base)
    assert decide(older, newer, Known(digest(older), base), told) == Decision(theirs=True, conflict=True)


@pytest.mark.parametrize("seed", range(25))
async def test_machines_that_write_and_cross_at_random_end_with_the_same(
    machine: Any, incident: Make, bank: Bank, seed: int
) -> None:
    """Three machines with clocks of their own, one of them far off."""
    dice = random.Random(seed)
    team = [machine(name) for name in "abc"]
    offset = {id(one): dice.choice([0, 0, -3000, 3000]) for one in team}

    def write(one: Machine, hour: int) -> None:
        at = AT + timedelta(hours=hour + offset[id(one)], seconds=dice.randrange(999))
        known = one.store.get("a1")
        kind = dice.choice(["open", "resolve", "resolve", "delete"])
        if known is None:
            one.store.insert(incident(title=f"stored at {at}", updated_at=at), None, None)
        elif kind == "delete":
            one.store.delete("a1", known.revision)
        elif kind == "open" and known.status is Status.OPEN:
            one.store.update(replace(known, title=f"amended {at}", updated_at=at), None, None, action="amended")
        else:
            done = replace(known, status=Status.RESOLVED, resolution=Resolution(f"cause {at}"), updated_at=at)
            one.store.update(done, None, None, action="resolved")

    for hour in range(14):
        for one in dice.sample(team, 2):
            write(one, hour)
        one, other = dice.sample(team, 2)
        direction = dice.choice(["both", "push", "pull", "both"])
        if dice.random() < 0.6:
            bank.meanwhile = other.sync
            await one.sync(direction)
        else:
            foreseen, done = await one.sync(direction, dry_run=True), await one.sync(direction)
            assert counts(foreseen)[:4] == counts(done)[:4], "a dry run says what will be done"
        bank.meanwhile = None
    for _ in range(5):
        for one in team:
            await one.sync()
    assert team[0].content == team[1].content == team[2].content
    for one in team:
        assert counts(await one.sync()) == (0, 0, 0, 0, 0)
        assert counts(await one.sync(full=True)) == (0, 0, 0, 0, 0)
