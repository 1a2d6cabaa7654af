"""Which of two versions of an incident stands. The same two give the same outcome on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from incidentos.memory.cloud import Known, Shared, Tombstone, digest
from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.sync.merge import Decision, decide

AT = datetime(2026, 5, 3, 2, 14, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
Make = Callable[..., Incident]


@pytest.fixture
def opened(incident: Make) -> Incident:
    return incident()


@pytest.fixture
def resolved(incident: Make) -> Incident:
    return incident(status=Status.RESOLVED, resolved_at=AT, resolution=Resolution("a leak"), revision=2)


def deleted(revision: int = 2, at: datetime = LATER, status: Status = Status.OPEN, *, local: bool = False) -> Tombstone:
    return Tombstone("a1", revision, at, status, local)


def test_what_is_new_here_is_taken_and_a_deletion_of_what_is_not_here_is_nothing(opened: Incident) -> None:
    assert decide(None, opened, None) == Decision(theirs=True)
    assert decide(None, deleted(), None) == Decision(theirs=False, same=True)


def test_the_same_on_both_sides_is_nothing_to_do_whatever_the_revisions_say(opened: Incident) -> None:
    assert decide(opened, replace(opened, revision=9), None) == Decision(theirs=False, same=True)
    assert decide(deleted(), deleted(7, AT), None) == Decision(theirs=False, same=True)


def test_where_one_side_changed_it_that_side_is_right_whatever_the_clocks_say(resolved: Incident) -> None:
    before = Known(digest(resolved))
    amended = replace(resolved, title="amended", revision=3, updated_at=AT - timedelta(days=365))
    assert decide(resolved, amended, before) == Decision(theirs=True)
    assert decide(amended, resolved, before) == Decision(theirs=False)
    gone = deleted(3, AT - timedelta(days=365), Status.RESOLVED)
    assert decide(resolved, gone, before) == Decision(theirs=True)
    assert decide(gone, resolved, before) == Decision(theirs=False)


def test_resolved_beats_open_even_where_the_open_one_is_newer(opened: Incident, resolved: Incident) -> None:
    newer = replace(opened, title="still going on", updated_at=LATER, revision=9)
    assert decide(newer, resolved, None) == Decision(theirs=True, conflict=True)
    assert decide(resolved, newer, None) == Decision(theirs=False, conflict=True)
    assert decide(resolved, newer, Known(digest(resolved))) == Decision(theirs=False, conflict=True)


def test_of_two_resolved_ones_the_newer_update_stands(resolved: Incident) -> None:
    newer = replace(resolved, title="newer", updated_at=LATER)
    assert decide(resolved, newer, None) == Decision(theirs=True, conflict=True)
    assert decide(newer, resolved, Known("neither")) == Decision(theirs=False, conflict=True)


def test_a_deletion_counts_as_an_update_of_what_it_deleted(opened: Incident, resolved: Incident) -> None:
    amended = replace(opened, title="amended", updated_at=AT + timedelta(minutes=1))
    assert decide(amended, deleted(at=LATER), Known("neither")).theirs
    assert not decide(
        replace(amended, updated_at=LATER + timedelta(hours=1)), deleted(at=LATER), Known("neither")
    ).theirs
    assert not decide(resolved, deleted(at=LATER), Known("neither")).theirs, (
        "nobody who deleted it knew of the resolution"
    )
    assert decide(resolved, deleted(at=LATER, status=Status.RESOLVED), Known("neither")).theirs


def test_what_was_deleted_for_this_machine_alone_never_comes_back(resolved: Incident) -> None:
    newer = replace(resolved, revision=99, updated_at=LATER + timedelta(days=9))
    assert decide(deleted(local=True), newer, None) == Decision(theirs=False, same=True)


def test_a_page_that_was_read_before_our_own_push_does_not_undo_it(resolved: Incident) -> None:
    pushed = replace(resolved, title="pushed meanwhile", revision=3, updated_at=LATER)
    assert not decide(pushed, resolved, Known(digest(pushed))).theirs


def test_both_machines_settle_a_conflict_alike(opened: Incident, resolved: Incident) -> None:
    versions: list[Shared] = [
        opened,
        replace(opened, title="one"),
        replace(opened, title="two"),
        replace(opened, updated_at=LATER),
        resolved,
        replace(resolved, title="other"),
        replace(resolved, updated_at=LATER),
        deleted(),
        deleted(at=AT),
        deleted(status=Status.RESOLVED),
    ]
    for mine, yours in product(versions, versions):
        here, there = decide(mine, yours, Known("neither")), decide(yours, mine, Known("neither"))
        if digest(mine) != digest(yours):
            assert here.theirs != there.theirs, (mine, yours)
            assert here.conflict
            assert there.conflict
