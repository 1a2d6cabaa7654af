"""What an exchange may rely on in the outbox of any store: nothing pushed twice at once, nothing forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidentos.memory.cloud import Known, Tombstone
from incidentos.memory.errors import InvalidInput
from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.outbox import Entry
from incidentos.memory.ports import IncidentStore
from incidentos.memory.record import dumps
from incidentos.memory.stores.migrations import APPLICATION_ID, MIGRATIONS
from incidentos.memory.stores.sqlite import SqliteStore

AT = datetime(2026, 5, 3, 2, 14, 0, 123456, tzinfo=UTC)
NOW = 1_780_000_000.0
HELD = Known("digest", ("0123456789abcdef", "!fedcba9876543210"))
Make = Callable[..., Incident]
Again = Callable[[], IncidentStore]


def resolved(incident: Incident, cause: str = "a leak") -> Incident:
    return replace(incident, status=Status.RESOLVED, resolved_at=AT, resolution=Resolution(cause))


def lease(store: IncidentStore, owner: str = "me", now: float = NOW, limit: int = 50, **more: Any) -> list[str]:
    return sorted(entry.incident_id for entry in store.lease(owner, limit, now, 30, **more))


def push(store: IncidentStore, now: float = NOW) -> None:
    store.pushed("me", [(e.incident_id, e.revision, HELD) for e in store.lease("me", 50, now, 30)])


# Leases


def test_what_one_server_pushes_another_leaves_alone_until_the_lease_runs_out(
    store: IncidentStore, again: Again, incident: Make
) -> None:
    other = again()
    for name in ("a1", "b2", "c3"):
        store.insert(incident(name), None, None)
    assert store.lease("me", 2, NOW, 30) == [Entry("a1", 1, 0), Entry("b2", 1, 0)]
    assert lease(other, "you") == ["c3"]
    assert lease(other, "you", NOW + 29) == []
    assert store.renew("me", NOW + 29, 30) == {"a1", "b2"}
    assert lease(other, "you", NOW + 31) == ["c3"], "its own has run out, mine was renewed"
    assert lease(other, "you", NOW + 60) == ["a1", "b2"], "I was killed"


def test_a_lease_that_ran_out_is_renewed_unless_it_was_taken_over(
    store: IncidentStore, again: Again, incident: Make
) -> None:
    for name in ("a1", "b2"):
        store.insert(incident(name), None, None)
    assert lease(store) == ["a1", "b2"]
    assert lease(again(), "you", NOW + 31, limit=1) == ["a1"]
    assert store.renew("me", NOW + 32, 30) == {"b2"}
    assert lease(again(), "they", NOW + 60) == []


def test_a_released_lease_is_free_at_once(store: IncidentStore, again: Again, incident: Make) -> None:
    store.insert(incident(), None, None)
    assert lease(store) == ["a1"]
    store.release("me")
    assert lease(again(), "you") == ["a1"]


def test_a_clock_that_is_put_back_holds_nothing_up(store: IncidentStore, incident: Make) -> None:
    """Neither a lease nor a pause that was set by a clock which was a year ahead lasts a year."""
    year = timedelta(days=365).total_seconds()
    store.insert(incident(), None, None)
    assert lease(store, "me", NOW + year) == ["a1"]
    assert store.backlog(NOW).next_due == 0
    assert lease(store, "you", NOW) == ["a1"]
    store.postpone("you", NOW + year, 60)
    assert store.backlog(NOW).next_due == 0
    assert lease(store, "they", NOW) == ["a1"]


def test_a_server_that_waited_for_the_file_does_not_take_what_was_leased_meanwhile(
    store: IncidentStore, again: Again, incident: Make
) -> None:
    """Its clock was read before the other's, its turn came after it: that is no clock that was put back."""
    store.insert(incident(), None, None)
    assert lease(store, "me", NOW + 10) == ["a1"]
    assert lease(again(), "you", NOW) == []
    store.postpone("me", NOW + 10, 60)
    assert lease(again(), "you", NOW) == []


def test_a_clock_that_is_put_forward_pushes_early_and_nothing_worse(store: IncidentStore, incident: Make) -> None:
    store.insert(incident(), None, None)
    assert lease(store) == ["a1"]
    assert lease(store, "you", NOW + 1e9) == ["a1"]
    store.pushed("me", [("a1", 1, HELD)])
    store.release("me")
    assert store.backlog(NOW).pending == 0


# What becomes of an entry


def test_a_pushed_entry_goes_and_what_the_bank_holds_is_known(store: IncidentStore, incident: Make) -> None:
    store.insert(incident(), None, None)
    push(store)
    assert (store.backlog(NOW).pending, store.is_pending("a1"), store.known(["a1"])) == (0, False, {"a1": HELD})


def test_an_incident_that_changed_while_it_was_pushed_stays_and_waits_for_that_push(
    store: IncidentStore, again: Again, incident: Make
) -> None:
    """Else the older version could arrive after the newer one."""
    read = store.insert(incident(), None, None)
    entry = store.lease("me", 50, NOW, 30)[0]
    again().update(resolved(read), None, None, action="resolved")
    assert lease(store, "you") == []
    store.pushed("me", [("a1", entry.revision, HELD)])
    assert store.lease("you", 50, NOW, 30) == [Entry("a1", 2, 0)]


def test_a_late_push_gives_nobody_elses_lease_back(store: IncidentStore, again: Again, incident: Make) -> None:
    read = store.insert(incident(), None, None)
    assert lease(store) == ["a1"]
    assert lease(again(), "you", NOW + 31) == ["a1"]
    store.update(resolved(read), None, None, action="resolved")
    store.pushed("me", [("a1", 1, HELD)])
    store.refuse("a1", 1, "an answer to what is no longer there")
    assert lease(store, "they", NOW + 31) == []


def test_a_late_push_that_may_lie_over_a_newer_one_has_the_newer_one_pushed_again(
    store: IncidentStore, incident: Make
) -> None:
    read = store.insert(incident(), None, None)
    store.insert(incident("b2"), None, None)
    assert lease(store) == ["a1", "b2"]
    store.update(resolved(read), None, None, action="resolved")
    store.delete("b2", 1)
    store.pushed("you", [("a1", 2, HELD), ("b2", 2, HELD)])
    assert store.backlog(NOW).pending == 0
    store.pushed("me", [("a1", 1, HELD), ("b2", 1, HELD)])
    assert sorted(store.lease("they", 50, NOW, 30), key=lambda e: e.incident_id) == [
        Entry("a1", 2, 0),
        Entry("b2", 2, 0),
    ]


def test_a_failed_entry_pauses_and_is_tried_in_smaller_company(store: IncidentStore, incident: Make) -> None:
    for number in range(50):
        store.insert(incident(f"i{number:02}"), None, None)
    sizes = []
    now = NOW
    for _ in range(8):
        sizes.append(len(lease(store, "me", now)))
        store.postpone("me", now, 60)
        now += 3600
    assert sizes[0] == 50
    assert sizes[1:3] == [25, 25], "the other half has its second turn first"
    assert store.backlog(now).pending == 50
    assert lease(store, "you", now - 3600 + 1) != [], "those that have not failed in that hour"


def test_a_pause_lasts_and_the_impatient_take_it_all_the_same_but_once(store: IncidentStore, incident: Make) -> None:
    store.insert(incident(), None, None)
    assert lease(store) == ["a1"]
    store.postpone("me", NOW, 60)
    assert lease(store, "me", NOW + 59) == []
    assert store.backlog(NOW + 20).next_due == pytest.approx(40)
    assert lease(store, "me", NOW + 10, failed_before=NOW + 5) == ["a1"]
    store.postpone("me", NOW + 10, 60)
    assert lease(store, "me", NOW + 11, failed_before=NOW + 5) == []
    assert lease(store, "me", NOW + 71) == ["a1"]


def test_a_change_ends_the_pause(store: IncidentStore, incident: Make) -> None:
    read = store.insert(incident(), None, None)
    assert lease(store) == ["a1"]
    store.postpone("me", NOW, 600)
    store.update(resolved(read), None, None, action="resolved")
    assert store.lease("me", 50, NOW + 1, 30) == [Entry("a1", 2, 0)]


def test_a_refused_entry_is_set_aside_with_its_reason_until_it_is_retried_or_amended(
    store: IncidentStore, incident: Make
) -> None:
    for name in ("a1", "b2"):
        store.insert(incident(name), None, None)
    store.refuse("a1", 1, "too large")
    assert [(r.incident_id, r.reason) for r in store.refusals(9)] == [("a1", "too large")]
    backlog = store.backlog(NOW)
    assert (backlog.pending, backlog.refused, store.counts(None).pending_sync) == (1, 1, 1)
    assert (store.is_pending("a1"), lease(store)) == (False, ["b2"])
    assert (store.retry(), store.retry()) == (1, 0)
    assert lease(store, "you") == ["a1"]
    store.refuse("a1", 1, "too large")
    store.update(resolved(incident("a1")), None, None, action="resolved")
    assert store.refusals(9) == []
    store.refuse("a1", 1, "an answer to what is no longer there")
    assert store.refusals(9) == []


def test_the_backlog_is_the_same_after_a_restart(store: IncidentStore, again: Again, incident: Make) -> None:
    for name in ("a1", "b2", "c3"):
        store.insert(incident(name), None, None)
    store.delete("b2", 1)
    store.refuse("c3", 1, "no")
    store.close()
    later = again()
    assert lease(later) == ["a1", "b2"]
    assert isinstance(later.here(["b2"])["b2"], Tombstone)


# Deletions


def test_a_deletion_for_this_machine_alone_is_never_queued(store: IncidentStore, incident: Make) -> None:
    store.insert(incident(), None, None)
    store.delete("a1", 1, shared=False)
    store.queue(["a1"])
    store.queue_all()
    assert store.backlog(NOW).pending == 0
    assert store.here(["a1"])["a1"] == Tombstone("a1", 2, store.here(["a1"])["a1"].deleted_at, Status.OPEN, local=True)


def test_a_tombstone_says_what_the_incident_was(store: IncidentStore, incident: Make) -> None:
    store.insert(resolved(incident()), None, None)
    store.delete("a1", 1)
    found = store.here(["a1", "unknown"])
    assert (found.keys(), found["a1"].status, found["a1"].revision) == ({"a1"}, Status.RESOLVED, 2)


# What comes from the bank


def test_an_adopted_record_is_stored_as_it_is_and_not_pushed_back(store: IncidentStore, incident: Make) -> None:
    theirs = resolved(incident(revision=7))
    assert store.adopt(theirs, None, action="pulled", queue=False) == store.get("a1") == theirs
    assert (store.backlog(NOW).pending, [e.action for e in store.history("a1")]) == (0, ["pulled"])
    with pytest.raises(InvalidInput, match="meanwhile"):
        store.adopt(theirs, None, action="pulled", queue=False)


def test_an_adopted_record_replaces_ours_and_the_history_keeps_it(store: IncidentStore, incident: Make) -> None:
    ours = store.insert(incident(), None, None)
    theirs = resolved(incident(revision=2))
    assert store.adopt(theirs, 1, action="conflict", queue=False) == theirs
    assert [(e.action, e.previous) for e in store.history("a1")] == [("created", None), ("conflict", ours)]
    assert (store.backlog(NOW).pending, store.conflicts()) == (0, 1)


def test_a_record_whose_revision_had_to_be_raised_is_pushed_back(store: IncidentStore, incident: Make) -> None:
    """A writer who holds the replaced record must not pass for one who holds the new one."""
    store.insert(incident(revision=3), None, None)
    push(store)
    stored = store.adopt(resolved(incident(revision=2)), 3, action="conflict", queue=False)
    assert (stored.revision, store.is_pending("a1")) == (4, True)


def test_a_stale_adoption_is_refused(store: IncidentStore, incident: Make) -> None:
    read = store.insert(incident(), None, None)
    store.update(resolved(read), None, None, action="resolved")
    with pytest.raises(InvalidInput, match="somebody else"):
        store.adopt(resolved(incident(revision=9), "another"), 1, action="pulled", queue=False)
    with pytest.raises(InvalidInput, match="somebody else"):
        store.adopt_deletion(Tombstone("a1", 9, AT, Status.OPEN), 1)
    with pytest.raises(InvalidInput, match="resolved"):
        store.adopt(incident(revision=9), 2, action="pulled", queue=False)


def test_an_adopted_deletion_leaves_a_tombstone_that_is_not_pushed(store: IncidentStore, incident: Make) -> None:
    store.insert(incident(), None, None)
    store.adopt_deletion(Tombstone("a1", 5, AT, Status.OPEN), 1)
    assert (store.get("a1"), store.backlog(NOW).pending, store.here(["a1"])["a1"].revision) == (None, 0, 5)
    assert [e.action for e in store.history("a1")] == ["created", "deleted"]
    assert store.insert(incident(), None, None).revision == 6


def test_settling_drops_the_entry_and_takes_the_higher_revision(store: IncidentStore, incident: Make) -> None:
    store.insert(incident(), None, None)
    store.settle("a1", 4)
    assert (store.get("a1"), store.backlog(NOW).pending) == (replace(incident(), revision=4), 0)
    store.insert(incident("b2", revision=3), None, None)
    store.settle("b2", 2)
    assert (store.get("b2"), store.is_pending("b2")) == (incident("b2", revision=3), True)


def test_another_bank_knows_nothing_and_gets_everything(store: IncidentStore, incident: Make) -> None:
    for name in ("a1", "b2"):
        store.insert(incident(name), None, None)
    store.delete("b2", 1)
    push(store)
    store.note_state("cursor", "x")
    store.forget_bank()
    store.queue_all()
    assert (store.known(["a1", "b2"]), store.state("cursor"), lease(store)) == ({}, None, ["a1", "b2"])


def test_a_note_is_kept_replaced_and_dropped(store: IncidentStore, again: Again) -> None:
    for value in ("one", "two", None):
        store.note_state("cursor", value)
        assert again().state("cursor") == value


def test_a_file_from_before_the_shared_memory_keeps_its_backlog_and_its_deletions(
    tmp_path: Path, incident: Make
) -> None:
    path = tmp_path / "memory.db"
    gone = resolved(incident("gone", revision=4))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for migration in MIGRATIONS[:4]:
            migration(db)
        db.execute("INSERT INTO history VALUES (1, 'gone', 5, 'deleted', '2026-05-03T00:00:00Z', ?)", (dumps(gone),))
        db.execute("INSERT INTO deletion VALUES ('gone', 1, '2026-05-03T00:00:00Z')")
        db.execute("INSERT INTO outbox VALUES ('gone', 5, '', 1)")
        db.execute("UPDATE change_counter SET value = 1")
        db.execute("PRAGMA user_version = 4")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with closing(SqliteStore(path)) as store:
        at = datetime(2026, 5, 3, tzinfo=UTC)
        assert store.here(["gone"]) == {"gone": Tombstone("gone", 5, at, Status.RESOLVED)}
        assert lease(store) == ["gone"]
