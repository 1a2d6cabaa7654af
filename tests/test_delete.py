"""A delete is deliberate, seen at once by every process on the memory, and undone only by a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incidentos.memory import recall as recall_module
from incidentos.memory.embedding.background import embed_incidents
from incidentos.memory.errors import InvalidInput, UnknownIncident
from incidentos.memory.incident import FailureType, Incident, Resolution, Status
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder, Filter, IncidentStore, Prediction
from incidentos.memory.recall import Query, Recall
from incidentos.memory.record import dumps
from incidentos.memory.stores.migrations import APPLICATION_ID, MIGRATIONS
from incidentos.memory.stores.sqlite import SqliteStore

MODEL = "words@test"
VECTORS = np.array([[1.0, 0.0]], dtype=np.float32)
Make = Callable[..., Incident]
Again = Callable[[], IncidentStore]
Open = Callable[..., IncidentMemory]


def found(recall: Recall, text: str = "pool exhausted") -> list[str]:
    return [hit.incident.id for hit in recall.find(Query(text, None), 50)]


def state(store: IncidentStore) -> Any:
    kept = [stored.incident for stored in store.scan(None)]
    histories = [store.history(incident.id) for incident in kept]
    return kept, histories, store.counts(MODEL), store.last_change(), store.last_event(), store.changes_since(0)


# The store


def test_a_deleted_incident_is_in_no_answer_of_the_store(store: IncidentStore, incident: Make) -> None:
    store.insert(incident("a1"), VECTORS, MODEL)
    kept = store.insert(incident("b2", "another"), VECTORS, MODEL)
    assert store.delete("a1", 1) == incident("a1")
    assert store.get("a1") is None
    assert [s.incident for s in store.get_many(["a1", "b2"], MODEL)] == [kept]
    assert [s.incident for s in store.scan(MODEL)] == [kept]
    page = store.page(Filter(), limit=10, cursor=None)
    assert (page.incidents, page.total, page.open) == ((kept,), 1, 1)
    assert store.ids_starting("a", 10) == []
    assert store.find_open_by_text("pool exhausted hikaripool-1 is empty", None) is None


def test_the_counts_are_those_of_what_is_left_and_the_deletion_waits_for_the_shared_memory(
    store: IncidentStore, incident: Make
) -> None:
    store.insert(incident("a1"), VECTORS, MODEL)
    store.insert(incident("b2", "another"), None, None)
    store.delete("a1", 1)
    counts = store.counts(MODEL)
    assert (counts.incidents, counts.open, counts.resolved) == (1, 1, 0)
    assert (counts.without_vectors, counts.pending_sync) == (1, 2)
    store.delete("b2", 1)
    counts = store.counts(MODEL)
    assert (counts.incidents, counts.without_vectors, counts.pending_sync) == (0, 0, 2)


def test_the_history_says_that_it_was_deleted_and_keeps_the_record(store: IncidentStore, incident: Make) -> None:
    first = store.insert(incident(), None, None)
    done = replace(first, status=Status.RESOLVED, resolution=Resolution("a leak"))
    done = store.update(done, None, None, action="resolved")
    store.delete("a1", 2)
    assert [(e.action, e.revision, e.previous) for e in store.history("a1")] == [
        ("created", 1, None), ("resolved", 2, first), ("deleted", 3, done),
    ]  # fmt: skip
    assert [event.action for event in store.events_since(0, 10)] == ["created", "resolved", "deleted"]


def test_a_deletion_is_a_change_that_every_reader_is_told(store: IncidentStore, again: Again, incident: Make) -> None:
    reader = again()
    store.insert(incident("a1"), None, None)
    store.insert(incident("b2", "another"), None, None)
    seen = reader.last_change()
    store.delete("a1", 1)
    assert [change.incident_id for change in reader.changes_since(seen)] == ["a1"]
    assert reader.changes_since(seen)[-1].number == reader.last_change()
    assert [change.incident_id for change in reader.changes_since(0)] == ["b2", "a1"]


def test_only_what_was_read_is_deleted(store: IncidentStore, again: Again, incident: Make) -> None:
    """Somebody resolves it while a person thinks about the question: the resolution does not go unseen."""
    read = store.insert(incident(), None, None)
    resolved = replace(read, status=Status.RESOLVED, resolution=Resolution("a leak"))
    again().update(resolved, None, None, action="resolved")
    with pytest.raises(InvalidInput, match="changed by somebody else"):
        store.delete("a1", read.revision)
    assert store.get("a1") == replace(resolved, revision=2)


@pytest.mark.parametrize("deleted_before", [False, True])
def test_what_is_not_there_cannot_be_deleted(store: IncidentStore, incident: Make, deleted_before: bool) -> None:
    store.insert(incident("b2"), None, None)
    if deleted_before:
        store.insert(incident("a1"), None, None)
        store.delete("a1", 1)
    before = state(store)
    with pytest.raises(UnknownIncident, match="'a1'"):
        store.delete("a1", 1)
    assert state(store) == before


def test_a_deletion_in_a_transaction_that_fails_never_was(store: IncidentStore, again: Again, incident: Make) -> None:
    store.insert(incident("a1"), VECTORS, MODEL)
    recall = Recall(store)
    assert found(recall) == ["a1"]
    before = state(store)
    with pytest.raises(RuntimeError, match="power"), store.transaction():
        store.delete("a1", 1)
        store.insert(incident("b2"), None, None)
        raise RuntimeError("power")
    assert state(store) == state(again()) == before
    assert store.counts(MODEL).without_vectors == 0
    assert found(recall) == ["a1"]


def test_a_write_by_somebody_who_still_holds_it_does_not_bring_it_back(store: IncidentStore, incident: Make) -> None:
    """Neither an update nor vectors that were made meanwhile."""
    read = store.insert(incident(), None, None)
    store.delete("a1", 1)
    with pytest.raises(UnknownIncident):
        store.update(read, VECTORS, MODEL, action="amended")
    assert store.put_vectors([("a1", 1, VECTORS)], MODEL) == 0
    assert store.get("a1") is None


def test_a_record_that_was_stored_again_is_not_taken_for_the_deleted_one(store: IncidentStore, incident: Make) -> None:
    """Its revision goes on, so a writer who still holds the deleted record is refused."""
    read = store.insert(incident(title="first"), None, None)
    store.delete("a1", 1)
    new = store.insert(incident(title="second"), None, None)
    assert (new, store.get("a1")) == (replace(incident(title="second"), revision=3), new)
    assert [change.incident_id for change in store.changes_since(0)] == ["a1"]
    assert store.counts(None).pending_sync == 1
    with pytest.raises(InvalidInput, match="changed by somebody else"):
        store.update(read, None, None, action="amended")
    assert store.put_vectors([("a1", 1, VECTORS)], MODEL) == 0
    assert [(e.action, e.revision) for e in store.history("a1")] == [("created", 1), ("deleted", 2), ("created", 3)]
    store.delete("a1", 3)
    assert store.get("a1") is None


def test_the_file_says_which_pending_entries_are_deletions_and_holds_no_vector_of_them(
    tmp_path: Path, incident: Make
) -> None:
    path = tmp_path / "memory.db"
    with closing(SqliteStore(path)) as store:
        for name in ("a1", "b2", "c3"):
            store.insert(incident(name), VECTORS, MODEL)
        store.remember_prediction(
            Prediction("a1", incident().updated_at, None, FailureType.OTHER, 0.2, (), "memory", 0.2)
        )
        for name in ("a1", "b2"):
            store.delete(name, 1)
        store.insert(incident("b2"), VECTORS, MODEL)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT incident_id, deleted FROM outbox ORDER BY 1").fetchall() == [
            ("a1", 1), ("b2", 0), ("c3", 0),
        ]  # fmt: skip
        assert db.execute("SELECT incident_id FROM deletion").fetchall() == [("a1",)]
        assert db.execute("SELECT count(*) FROM vector").fetchone() == (2,)
        assert db.execute("SELECT count(*) FROM prediction").fetchone() == (1,), "it may be brought back"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_file_of_the_first_schema_is_brought_up_to_date_with_what_it_holds(tmp_path: Path, incident: Make) -> None:
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        MIGRATIONS[0](db)
        db.execute(
            "INSERT INTO incident VALUES (1, 'a1', 1, 1, 'open', NULL, 'other', '', '', x'00', ?)", (dumps(incident()),)
        )
        db.execute("INSERT INTO outbox VALUES ('a1', 1, '')")
        db.execute("UPDATE change_counter SET value = 1")
        db.execute("PRAGMA user_version = 1")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with closing(SqliteStore(path)) as store:
        assert store.get("a1") == incident()
        assert store.counts(None).pending_sync == 1
        store.delete("a1", 1)
        assert [change.number for change in store.changes_since(0)] == [2]


# Recall, in every process


def test_what_one_store_deletes_another_no_longer_finds(store: IncidentStore, again: Again, incident: Make) -> None:
    mine, theirs = Recall(store), Recall(again())
    for name in ("a1", "b2", "c3"):
        store.insert(incident(name), None, None)
    assert sorted(found(mine)) == sorted(found(theirs)) == ["a1", "b2", "c3"]
    store.delete("b2", 1)
    assert sorted(found(mine)) == sorted(found(theirs)) == ["a1", "c3"]
    assert (len(theirs), theirs.not_embedded) == (2, 2)
    query = Query("pool exhausted", None)
    scores = [[(hit.incident.id, hit.lexical) for hit in r.find(query, 9)] for r in (theirs, Recall(store))]
    assert sorted(scores[0]) == sorted(scores[1]), "its words no longer count either"
    assert theirs.shared_terms({"pool": "pool"}, "b2") == []
    store.insert(incident("b2", "zebra"), None, None)
    assert found(theirs, "zebra")[0] == "b2"
    for name in ("a1", "b2", "c3"):
        store.delete(name, 3 if name == "b2" else 1)
    assert found(mine) == found(theirs) == []


def test_a_deletion_while_the_index_is_built_is_seen(store: IncidentStore, incident: Make) -> None:
    """The scan has read it already when it goes."""
    for name in ("a1", "b2"):
        store.insert(incident(name), None, None)
    scan = store.scan

    class Overtaken:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def scan(self, model: str | None) -> Any:
            yield from scan(model)
            store.delete("a1", 1)

    assert found(Recall(Overtaken())) == ["b2"]


def test_another_process_sees_the_deletion_of_this_one(
    store: IncidentStore, adapter: Any, incident: Make, processes: Any, tmp_path: Path
) -> None:
    """A reader that has its index already, and is told nothing but to search again."""
    for name in ("a1", "b2"):
        store.insert(incident(name), None, None)
    code = (
        "import sys\nargs = sys.argv[1:]\n" + adapter.code + "from incidentos.memory.recall import Query, Recall\n"
        "recall = Recall(open_store())\n"
        "for _ in range(2):\n"
        "    print(*sorted(h.incident.id for h in recall.find(Query('pool', None), 9)), flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    reader = processes.start("-c", code, str(tmp_path))
    assert reader.stdout.readline().split() == [b"a1", b"b2"]
    store.delete("a1", 1)
    reader.stdin.write(b"again\n")
    reader.stdin.flush()
    assert reader.stdout.readline().split() == [b"b2"]
    assert reader.communicate(timeout=60)[1] == b""


def fill(store: SqliteStore, model: Embedder, incident: Make, count: int) -> Recall:
    """Stores i0000 and so on, embedded; an index that was kept beside the file."""
    made = [incident(f"i{number:04}", f"pool {number}") for number in range(count)]
    with store.transaction():
        for one, its_vectors in zip(made, embed_incidents(model, made), strict=True):
            store.insert(one, its_vectors, model.identity)
    recall = start(store, model)
    assert recall.keep()
    return recall


def start(store: SqliteStore, model: Embedder) -> Recall:
    recall = Recall(store, store.path.parent / "index")
    recall.use_model(model.identity, model.dimensions)
    recall.sync()
    return recall


@pytest.fixture
def kept_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_module, "SNAPSHOT_FROM", 20)
    monkeypatch.setattr(recall_module, "_SNAPSHOT_AFTER", 0.0)


@pytest.mark.usefixtures("kept_index")
def test_an_index_that_was_kept_before_a_deletion_shows_it(
    tmp_path: Path, words: Callable[..., Embedder], incident: Make
) -> None:
    """In the process that kept it, in the next that loads it, and in what that one keeps."""
    model = words()
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        kept = fill(store, model, incident, 30)
        store.delete("i0007", 1)
        loaded = start(store, model)
        assert found(loaded) == found(kept)
        assert (len(loaded), "i0007" in found(loaded)) == (29, False)
        assert "i0007" not in loaded.nearest_open(model.embed(["pool 7"])[0], None, 0.9)
        assert loaded.keep()
        later = start(store, model)
        assert sorted(found(later)) == sorted(found(kept))
        store.insert(incident("i0007", "pool 7"), None, None)
        assert "i0007" in found(later)
        assert "i0007" in found(start(store, model))


@pytest.mark.usefixtures("kept_index")
def test_an_index_of_which_most_was_deleted_is_built_anew(
    tmp_path: Path, words: Callable[..., Embedder], incident: Make
) -> None:
    """Also in a start that finds the old index on the disk: it does not come back to it for ever."""
    model = words()
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        kept = fill(store, model, incident, 1040)
        with store.transaction():
            for number in range(1030):
                store.delete(f"i{number:04}", 1)
        left = [f"i{number:04}" for number in range(1030, 1040)]
        assert sorted(found(kept)) == sorted(found(start(store, model))) == left


# The memory


def test_who_asks_for_a_deleted_incident_is_told_when_it_was_deleted(open_memory: Open) -> None:
    memory = open_memory()
    opened, _ = memory.open_incident("DB pool full", "")
    assert memory.delete(opened.id, 1) == opened
    at = f"{memory.store.history(opened.id)[-1].at:%Y-%m-%d %H:%M}"
    for ask in (memory.get, memory.history, lambda i: memory.delete(i, 1), lambda i: memory.resolve(i, "x", [], None)):
        with pytest.raises(UnknownIncident, match=f"{opened.id}.*It was deleted on {at} UTC"):
            ask(opened.id)
    with pytest.raises(UnknownIncident) as unknown:
        memory.get("nobody")
    assert "deleted" not in str(unknown.value)


def test_the_same_alert_after_a_deletion_is_a_new_incident(open_memory: Open, words: Callable[..., Embedder]) -> None:
    memory = open_memory(words())
    first, _ = memory.open_incident("DB pool full", "HikariPool-1")
    memory.delete(first.id, 1)
    second, repeats = memory.open_incident("DB pool full", "HikariPool-1")
    assert not repeats
    assert second.id != first.id
    assert [match.incident.id for match in memory.find("DB pool full", 5).matches] == [second.id]


def test_a_deleted_incident_that_is_imported_again_is_as_it_was(open_memory: Open, incident: Make) -> None:
    memory = open_memory()
    done = incident(
        status=Status.RESOLVED, resolution=Resolution("a leak"), failure_type=FailureType.DNS, failure_type_stated=True
    )
    memory.import_batch([done], embed=False)
    memory.delete("a1", 1)
    assert memory.import_batch([done], embed=False, dry_run=True).added == 1
    assert memory.import_batch([done], embed=False).added == 1
    assert memory.get("a1") == replace(done, revision=3)
    assert memory.import_batch([done], embed=False).unchanged == 1
    assert [e.action for e in memory.history("a1")] == ["imported", "deleted", "imported"]
