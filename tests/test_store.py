"""What the memory may rely on in any `ports.IncidentStore`; an adapter joins by one entry in conftest's ADAPTERS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incidentos.memory.errors import InvalidInput, UnknownIncident
from incidentos.memory.incident import FailureType, Incident, Outcome, Resolution, Status, Step, normalise
from incidentos.memory.ports import Filter, IncidentStore, Prediction

AT = datetime(2026, 5, 3, 2, 14, 0, 123456, tzinfo=UTC)
MODEL = "words@test"
Make = Callable[..., Incident]
Again = Callable[[], IncidentStore]


def vectors(*rows: tuple[float, ...]) -> Any:
    return np.array(rows or ((1.0, 0.0),), dtype=np.float32)


def resolved(incident: Incident) -> Incident:
    return replace(incident, status=Status.RESOLVED, resolved_at=AT, resolution=Resolution("a leak"))


def everything(store: IncidentStore) -> Any:
    stored = [(s.incident, None if s.vectors is None else s.vectors.tolist()) for s in store.scan(MODEL)]
    histories = [store.history(incident.id) for incident, _ in stored]
    return stored, histories, store.counts(MODEL), store.last_event(), store.last_change()


# One incident


def test_an_incident_comes_back_as_it_was_stored_with_every_field(store: IncidentStore, incident: Make) -> None:
    given = incident(
        "INC0027946",
        description="quotes \"' 100% _ back\\slash\n\ttab · 接続プール枯渇 · réplication · 🔥",
        resolved_at=AT + timedelta(hours=1),
        service="auth-service",
        severity="SEV1",
        status=Status.RESOLVED,
        failure_type=FailureType.CONNECTION_POOL,
        failure_type_stated=True,
        source="a file",
        external_id="INC/0027946",
        url="https://example.com/i/1",
        resolution=Resolution("a leak", (Step("restart", "kubectl rollout restart", Outcome.WORKED),), "a limit"),
    )
    store.insert(given, None, None)
    assert store.get("INC0027946") == given


def test_a_text_of_a_megabyte_comes_back_whole(store: IncidentStore, incident: Make) -> None:
    given = incident(description="é🔥 line\n" * 125_000)
    store.insert(given, None, None)
    assert store.get("a1") == given


def test_an_id_that_nobody_stored_is_none(store: IncidentStore) -> None:
    assert store.get("a1") is None
    assert store.get_many(["a1", "b2"], MODEL) == []
    assert store.history("a1") == []


def test_a_taken_id_is_refused_and_the_first_incident_stays(store: IncidentStore, incident: Make) -> None:
    store.insert(incident(title="first"), vectors(), MODEL)
    before = everything(store)
    with pytest.raises(InvalidInput, match="taken"):
        store.insert(incident(title="second"), vectors(), MODEL)
    assert everything(store) == before


def test_an_update_keeps_the_replaced_record_in_the_history(store: IncidentStore, incident: Make) -> None:
    first = store.insert(incident(), None, None)
    second = store.update(resolved(first), None, None, action="resolved")
    store.update(replace(second, title="renamed"), None, None, action="amended")
    assert [(e.action, e.revision, e.previous) for e in store.history("a1")] == [
        ("created", 1, None),
        ("resolved", 2, first),
        ("amended", 3, second),
    ]


def test_an_update_from_a_stale_revision_is_refused(store: IncidentStore, incident: Make) -> None:
    read = store.insert(incident(), None, None)
    store.update(replace(read, title="mine"), None, None, action="amended")
    before = everything(store)
    with pytest.raises(InvalidInput, match="somebody else"):
        store.update(replace(read, title="yours"), None, None, action="amended")
    assert everything(store) == before


def test_an_update_of_an_unknown_incident_says_so(store: IncidentStore, incident: Make) -> None:
    with pytest.raises(UnknownIncident, match="'a1'"):
        store.update(incident(), None, None, action="amended")


def test_an_open_record_never_replaces_a_resolved_one(store: IncidentStore, incident: Make) -> None:
    done = store.update(resolved(store.insert(incident(), None, None)), None, None, action="resolved")
    with pytest.raises(InvalidInput, match="resolved"):
        store.update(replace(done, status=Status.OPEN), None, None, action="amended")
    assert store.get("a1") == done


def test_every_write_waits_in_the_outbox_once(store: IncidentStore, incident: Make) -> None:
    first = store.insert(incident(), None, None)
    store.insert(incident("b2"), None, None)
    store.update(resolved(first), None, None, action="resolved")
    counts = store.counts(MODEL)
    assert (counts.incidents, counts.open, counts.resolved, counts.pending_sync) == (2, 1, 1, 2)


# Transactions


@pytest.mark.parametrize("nested", [False, True])
def test_a_failure_in_the_middle_of_a_transaction_leaves_nothing(store: Any, incident: Make, nested: bool) -> None:
    kept = store.insert(incident("kept"), vectors(), MODEL)
    before = everything(store)
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.insert(incident("new"), vectors(), MODEL)
        store.update(resolved(kept), vectors(), MODEL, action="resolved")
        store.put_vectors([("kept", 2, vectors((0, 1)))], MODEL)
        store.remember_prediction(Prediction("new", AT, None, FailureType.OTHER, 0.2, (), "memory", 0.2))
        if nested:
            with store.transaction():
                raise ZeroDivisionError
        raise ZeroDivisionError
    assert everything(store) == before
    assert store.insert(incident("new"), None, None).id == "new"


def test_a_refused_write_undoes_the_transaction_that_it_ends(store: IncidentStore, incident: Make) -> None:
    store.insert(incident("kept"), None, None)
    with pytest.raises(InvalidInput), store.transaction():
        store.insert(incident("new"), None, None)
        store.insert(incident("kept"), None, None)
    assert store.get("new") is None


def test_what_a_transaction_writes_is_seen_by_others_only_when_it_ends(again: Again, incident: Make) -> None:
    writer, reader = again(), again()
    with writer.transaction():
        writer.insert(incident(), None, None)
        assert reader.get("a1") is None
        assert reader.changes_since(0) == []
    assert reader.get("a1") is not None


def test_threads_of_one_process_share_a_store(store: IncidentStore, incident: Make) -> None:
    def work(name: str) -> None:
        for number in range(25):
            store.insert(incident(f"{name}-{number}"), vectors(), MODEL)
            store.page(Filter(), limit=5, cursor=None)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.counts(MODEL).incidents == 100
    assert len({change.number for change in store.changes_since(0)}) == 100


# Several processes


def test_a_reader_learns_of_every_change_by_others_once(again: Again, incident: Make) -> None:
    mine, theirs = again(), again()
    first = mine.insert(incident("a1"), None, None)
    mine.insert(incident("b2"), None, None)
    seen = theirs.changes_since(0)
    assert [change.incident_id for change in seen] == ["a1", "b2"]
    assert theirs.changes_since(seen[-1].number) == []
    mine.update(resolved(first), None, None, action="resolved")
    mine.put_vectors([("b2", 1, vectors())], MODEL)
    later = theirs.changes_since(seen[-1].number)
    assert [change.incident_id for change in later] == ["a1", "b2"]
    assert later[-1].number == theirs.last_change()
    events = theirs.events_since(0, 10)
    assert [(e.incident_id, e.action) for e in events] == [("a1", "created"), ("b2", "created"), ("a1", "resolved")]
    assert theirs.events_since(events[0].number, 1) == events[1:2]
    assert theirs.last_event() == events[-1].number


INSERT_100 = """
from datetime import UTC, datetime
from incidentos.memory.incident import Incident
import numpy as np
store = open_store()
ready()
for number in range(100):
    incident = Incident(f"{args[1]}-{number}", "t", "d", datetime.now(UTC))
    store.insert(incident, np.ones((1, 4), dtype=np.float32), "words@test")
store.close()
"""


@pytest.mark.slow
def test_processes_that_store_at_once_lose_nothing(adapter: Any, again: Again, processes: Any, tmp_path: Path) -> None:
    processes.at_once(adapter.code + INSERT_100, (str(tmp_path), "a"), (str(tmp_path), "b"))
    store = again()
    wanted = {f"{name}-{number}" for name in "ab" for number in range(100)}
    assert {s.incident.id for s in store.scan("words@test") if s.vectors is not None} == wanted
    assert len({change.number for change in store.changes_since(0)}) == 200
    assert (store.counts("words@test").pending_sync, len(store.events_since(0, 999))) == (200, 200)


OPEN_NEW = """
import incidentos.memory.stores.sqlite
from incidentos.memory.ports import Filter
ready()
store = open_store()
print(store.page(Filter(), limit=1, cursor=None).total)
store.close()
"""


@pytest.mark.slow
def test_processes_that_open_a_new_file_at_once_all_get_it(adapter: Any, processes: Any, tmp_path: Path) -> None:
    for attempt in range(4):
        folder = str(tmp_path / str(attempt))
        outputs = processes.at_once(adapter.code + OPEN_NEW, *[(folder,)] * 4)
        assert [out.split() for out in outputs] == [["0"]] * 4


SAME_INCIDENT = """
from datetime import UTC, datetime
from incidentos.memory.incident import Incident, normalise
store = open_store()
ready()
for number in range(20):
    incident = Incident(f"{args[1]}-{number}", f"alert {number}", "same", datetime.now(UTC))
    same = lambda: store.find_open_by_text(normalise(incident.text), None)
    print(store.insert(incident, None, None, repeat_of=same).id)
store.close()
"""


def test_two_processes_that_are_told_the_same_incident_at_once_store_it_once(
    adapter: Any, again: Again, processes: Any, tmp_path: Path
) -> None:
    one, other = processes.at_once(adapter.code + SAME_INCIDENT, (str(tmp_path), "a"), (str(tmp_path), "b"))
    assert one.split() == other.split()
    assert again().counts(None).incidents == 20


def test_a_repeat_gives_the_incident_that_it_repeats_and_stores_nothing(store: IncidentStore, incident: Make) -> None:
    first = store.insert(incident("a1"), None, None)
    before = everything(store)
    assert store.insert(incident("b2"), vectors(), MODEL, repeat_of=lambda: "a1") == first
    assert everything(store) == before
    assert store.insert(incident("b2"), None, None, repeat_of=lambda: None).id == "b2"


# Reading


@pytest.fixture
def filled(store: IncidentStore, incident: Make) -> list[str]:
    """Twelve incidents, newest first: four of different hours, four of one moment, four without a date."""
    dates = [AT + timedelta(hours=h) for h in range(4)] + [AT - timedelta(days=1)] * 4 + [None] * 4
    for number, at in enumerate(dates):
        status = Status.RESOLVED if number % 3 == 0 else Status.OPEN
        service = "Auth" if number % 2 else None
        store.insert(incident(f"i{number}", created_at=at, status=status, service=service), None, None)
    return [f"i{n}" for n in (3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8)]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 12, 100])
def test_pages_give_every_incident_once_newest_first(store: IncidentStore, filled: list[str], limit: int) -> None:
    found: list[str] = []
    cursor = None
    while True:
        page = store.page(Filter(), limit=limit, cursor=cursor)
        assert (page.total, page.open, page.resolved) == (12, 8, 4)
        found += [incident.id for incident in page.incidents]
        if (cursor := page.cursor) is None:
            break
        assert len(page.incidents) == limit
    assert found == filled


def test_a_filter_counts_and_lists_only_what_it_selects(store: IncidentStore, filled: list[str]) -> None:
    page = store.page(Filter(status=Status.OPEN, service="auth"), limit=3, cursor=None)
    assert (page.total, page.open, page.resolved, len(page.incidents)) == (4, 4, 0, 3)
    rest = store.page(Filter(status=Status.OPEN, service="auth"), limit=3, cursor=page.cursor)
    assert [i.id for i in (*page.incidents, *rest.incidents)] == ["i1", "i7", "i5", "i11"]
    assert rest.cursor is None
    assert store.page(Filter(failure_type=FailureType.DNS), limit=3, cursor=None).total == 0


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "nonsense", "fHx8", "YWJj", "====", "é", "\ud800", "MjAyNnw5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "fA=="],
)
def test_a_cursor_that_no_page_gave_is_refused(store: IncidentStore, filled: list[str], cursor: str) -> None:
    with pytest.raises(InvalidInput, match="not a cursor"):
        store.page(Filter(), limit=3, cursor=cursor)


def test_ids_are_completed_literally_without_wildcards(store: IncidentStore, incident: Make) -> None:
    for incident_id in ("ab1", "a_1", "A_2", "a.3", "b4"):
        store.insert(incident(incident_id), None, None)
    assert store.ids_starting("a_", 9) == ["a_1"]
    assert store.ids_starting("%", 9) == []
    assert store.ids_starting("_", 9) == []
    assert store.ids_starting("a", 2) == ["a.3", "a_1"]
    assert store.ids_starting("", 9) == ["b4", "a.3", "A_2", "a_1", "ab1"]


@pytest.mark.parametrize("prefix", ["\x00", "\ud800", "a\x00", "'; DROP TABLE incident; --", "é" * 5000])
def test_any_text_may_be_completed(store: IncidentStore, incident: Make, prefix: str) -> None:
    store.insert(incident("a1"), None, None)
    assert store.ids_starting(prefix, 9) == []


def test_an_open_incident_is_found_by_its_normalised_text(store: IncidentStore, incident: Make) -> None:
    first = store.insert(incident("a1", "Pool  FULL", description="Now"), None, None)
    key = normalise("pool full\nnow")
    assert store.find_open_by_text(key, None) == "a1"
    store.update(resolved(first), None, None, action="resolved")
    assert store.find_open_by_text(key, None) is None


# Vectors


def test_vectors_come_back_for_their_own_model_alone(store: IncidentStore, incident: Make) -> None:
    store.insert(incident("a1"), vectors((1, 0), (0, 1)), MODEL)
    store.insert(incident("b2"), None, None)
    store.put_vectors([("a1", 1, vectors((0.5, 0.5, 0.5)))], "other@test")
    rows = {s.incident.id: s.vectors for s in store.scan(MODEL)}
    assert (rows["b2"], rows["a1"].tolist()) == (None, [[1, 0], [0, 1]])
    assert store.get_many(["a1"], "other@test")[0].vectors.tolist() == [[0.5, 0.5, 0.5]]
    assert [i.id for i in store.lacking_vectors(MODEL, 9)] == ["b2"]
    assert [i.id for i in store.lacking_vectors("third@test", 9)] == ["b2", "a1"]
    assert (store.counts(MODEL).without_vectors, store.counts("third@test").without_vectors) == (1, 2)


def test_vectors_of_a_revision_that_is_gone_are_not_stored(store: IncidentStore, incident: Make) -> None:
    first = store.insert(incident("a1"), vectors(), MODEL)
    store.update(replace(first, title="other words"), None, None, action="amended")
    assert [i.id for i in store.lacking_vectors(MODEL, 9)] == ["a1"], "vectors of the old text went with it"
    assert store.put_vectors([("a1", 1, vectors()), ("gone", 1, vectors()), ("a1", 2, vectors((0, 1)))], MODEL) == 1
    assert store.get_many(["a1"], MODEL)[0].vectors.tolist() == [[0, 1]]


def test_many_incidents_are_read_in_one_call(store: IncidentStore, incident: Make) -> None:
    with store.transaction():
        for number in range(1203):
            store.insert(incident(f"i{number}"), None, None)
    wanted = [f"i{number}" for number in range(1203)]
    assert {s.incident.id for s in store.get_many([*wanted, "unknown"], MODEL)} == set(wanted)


def test_a_scan_is_one_snapshot_and_holds_up_no_writer(store: IncidentStore, incident: Make) -> None:
    for number in range(3):
        store.insert(incident(f"i{number}"), None, None)
    scan = store.scan(MODEL)
    found = [next(scan).incident.id]
    store.insert(incident("later"), None, None)
    found += [s.incident.id for s in scan]
    assert found == ["i0", "i1", "i2"]


def test_occurrences_are_those_of_the_service_and_type_newest_first(
    store: IncidentStore, incident: Callable[..., Incident]
) -> None:
    """Whatever the spelling of the service; without those whose start is not known."""
    for number, (service, kind, at) in enumerate(
        [("api", FailureType.DNS, AT), ("API", FailureType.DNS, AT + timedelta(days=1)), ("api", FailureType.DISK, AT),
         ("web", FailureType.DNS, AT), ("api", FailureType.DNS, None)]
    ):  # fmt: skip
        store.insert(incident(f"i{number}", service=service, failure_type=kind, created_at=at), None, None)
    assert [found.id for found in store.occurrences("Api", FailureType.DNS, 9)] == ["i1", "i0"]
    assert [found.id for found in store.occurrences("api", FailureType.DNS, 1)] == ["i1"]
    assert [(o.service.casefold(), o.failure_type, o.count, o.last) for o in store.offenders(AT, Filter(), 9)] == [
        ("api", FailureType.DNS, 2, AT + timedelta(days=1))
    ]
    assert store.offenders(AT + timedelta(hours=1), Filter(), 9) == []
    assert store.offenders(AT, Filter(service="web"), 9) == []
