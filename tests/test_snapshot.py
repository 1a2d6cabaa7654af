"""The index that is kept on disk: a start that reads it finds what a start that builds it finds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from incidentos.memory import recall as recall_module
from incidentos.memory.embedding.background import embed_incidents
from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.index import projections
from incidentos.memory.index.snapshot import load
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import matches_of
from incidentos.memory.recall import Hit, Query, Recall, Scope
from incidentos.memory.stores.sqlite import SqliteStore

Make = Callable[..., Incident]
WORDS = "pool hikari redis cache dns coredns disk inode cert x509 node pod deploy rollback latency p99 queue".split()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_module, "SNAPSHOT_FROM", 20)
    monkeypatch.setattr(recall_module, "_SNAPSHOT_AFTER", 0.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "memory.db")
    yield store
    store.close()


@pytest.fixture
def model(words: Callable[..., Embedder]) -> Embedder:
    return words()


def put(store: SqliteStore, model: Embedder, incident: Incident) -> None:
    vectors = embed_incidents(model, [incident])[0]
    store.insert(incident, vectors, model.identity)


def fill(store: SqliteStore, model: Embedder, incident: Make, count: int = 60) -> None:
    for n in range(count):
        title = " ".join(WORDS[(n * step + step) % len(WORDS)] for step in (1, 3, 5, 7))
        service = ("auth", "Checkout", None)[n % 3]
        put(store, model, incident(f"i{n:03}", title, description=f"{title} " * (n % 4), service=service))


def start(store: SqliteStore, model: Embedder, folder: Path) -> Recall:
    recall = Recall(store, folder)
    recall.use_model(model.identity, model.dimensions)
    recall.sync()
    return recall


def found(recall: Recall, model: Embedder, text: str = "hikari pool p99", scope: Scope = Scope()) -> list[Hit]:
    hits = recall.find(Query(text, model.embed([text])[0]), 30, scope)
    return [replace(h, score=round(h.score, 3), lexical=round(h.lexical, 4), cosine=None, best=None) for h in hits]


def test_a_start_from_a_snapshot_finds_the_same(
    store: SqliteStore, model: Embedder, incident: Make, tmp_path: Path
) -> None:
    """The same hits with the same scores, in every scope, as the index that was built from the store."""
    fill(store, model, incident)
    built = start(store, model, tmp_path / "index")
    scopes = [Scope(), Scope(service="checkout"), Scope(exclude=frozenset({"i001"})), Scope(status=Status.OPEN)]
    before = [found(built, model, scope=scope) for scope in scopes]
    assert built.keep()
    assert not built.keep(), "nothing has changed since"
    assert [found(built, model, scope=scope) for scope in scopes] == before
    read = start(store, model, tmp_path / "index")
    assert [found(read, model, scope=scope) for scope in scopes] == before


def test_what_came_after_the_snapshot_is_found_too(
    store: SqliteStore, model: Embedder, incident: Make, tmp_path: Path
) -> None:
    """New incidents, and old ones as they are now: once each, open ones no longer open."""
    fill(store, model, incident)
    assert start(store, model, tmp_path / "index").keep()
    put(store, model, incident("new", "hikari pool p99 zebra"))
    known = store.get("i007")
    assert known is not None
    fixed = replace(known, status=Status.RESOLVED, resolution=Resolution("a zebra crossed"))
    store.update(fixed, embed_incidents(model, [fixed])[0], model.identity, action="resolved")
    read = start(store, model, tmp_path / "index")
    assert len(read) == 61
    assert {hit.incident.id for hit in found(read, model, "zebra")[:2]} == {"new", "i007"}
    ids = [hit.incident.id for hit in found(read, model)]
    assert len(ids) == len(set(ids))
    assert "i007" not in {hit.incident.id for hit in found(read, model, scope=Scope(status=Status.OPEN))}
    assert read.keep()
    again = start(store, model, tmp_path / "index")
    assert found(again, model, "zebra")[:2] == found(read, model, "zebra")[:2]
    assert len(list((tmp_path / "index").iterdir())) == 1, "the older snapshot is gone"


@pytest.mark.parametrize(
    "damage", ["truncated", "flipped", "no manifest", "garbage manifest", "missing array", "former format"]
)
def test_a_damaged_snapshot_is_passed_over(
    store: SqliteStore, model: Embedder, incident: Make, tmp_path: Path, damage: str
) -> None:
    """The index is built from the store instead, silently and rightly."""
    fill(store, model, incident)
    recall = start(store, model, tmp_path / "index")
    before = found(recall, model)
    assert recall.keep()
    snapshot = next((tmp_path / "index").glob("snapshot-*"))
    slots = snapshot / "slots.npy"
    if damage == "truncated":
        slots.write_bytes(slots.read_bytes()[:-8])
    elif damage == "flipped":
        data = bytearray(slots.read_bytes())
        data[-3] ^= 0xFF
        slots.write_bytes(data)
    elif damage == "no manifest":
        (snapshot / "manifest.json").unlink()
    elif damage == "garbage manifest":
        (snapshot / "manifest.json").write_text('{"format": 1, "model": ')
    elif damage == "former format":
        manifest = json.loads((snapshot / "manifest.json").read_text())
        (snapshot / "manifest.json").write_text(json.dumps({**manifest, "format": manifest["format"] - 1}))
    else:
        (snapshot / "keys.npy").unlink()
    assert found(start(store, model, tmp_path / "index"), model) == before


@pytest.mark.parametrize(
    "damage",
    [{"event": 10**30}, {"event": -1}, {"change": -1}, {"change": math.inf}, {"change": None}, "[" * 100_000],
)
def test_a_manifest_that_no_store_can_have_written_is_passed_over(
    store: SqliteStore, model: Embedder, incident: Make, tmp_path: Path, damage: dict[str, object] | str
) -> None:
    """The index is built from the store, whose every incident is found."""
    fill(store, model, incident)
    recall = start(store, model, tmp_path / "index")
    before = found(recall, model)
    assert recall.keep()
    path = next((tmp_path / "index").glob("snapshot-*")) / "manifest.json"
    path.write_text(damage if isinstance(damage, str) else json.dumps({**json.loads(path.read_text()), **damage}))
    assert load(path.parents[1], model.identity) is None
    assert found(start(store, model, tmp_path / "index"), model) == before


@pytest.mark.parametrize("name", ["rows", "headings", "projected"])
@pytest.mark.parametrize(
    ("was", "now"),
    [
        (rb"'fortran_order': False", b"'fortran_order': True "),
        (rb"'descr': '[<|][fi]", b"'descr': '>u"),
        (rb"\(", b"(1,"),
    ],
)
def test_a_damaged_header_of_the_vectors_is_noticed(
    store: SqliteStore,
    words: Callable[..., Embedder],
    incident: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    was: bytes,
    now: bytes,
) -> None:
    """The vectors bear no checksum, but how they are read does: a file of the same size is not read in another way."""
    for limit in ("PROJECTED_FROM", "DOCUMENTS_FROM"):
        monkeypatch.setattr(projections, limit, 1)
    monkeypatch.setattr(projections, "DIRECTIONS", 4)
    model = words()
    fill(store, model, incident)
    assert start(store, model, tmp_path / "index").keep()
    assert load(tmp_path / "index", model.identity) is not None
    path = next((tmp_path / "index").glob("snapshot-*")) / f"{name}.npy"
    data = path.read_bytes()
    header = re.sub(was, now, data[:128], count=1)
    header = header[:127].rstrip(b" \n").ljust(127) + b"\n" if len(header) > 128 else header
    assert header != data[:128]
    path.write_bytes(header + data[128:])
    assert load(tmp_path / "index", model.identity) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e20])
def test_a_damaged_vector_hides_its_own_incident_and_no_other(
    store: SqliteStore, model: Embedder, incident: Make, tmp_path: Path, value: float
) -> None:
    """The matrix bears no checksum. A row that is no unit vector counts as none, and the scores of all others stay sane;
    the snapshot that is made of it is sound again."""
    fill(store, model, incident)
    recall = start(store, model, tmp_path / "index")
    before = found(recall, model)
    assert recall.keep()
    path = next((tmp_path / "index").glob("snapshot-*")) / "rows.npy"
    rows = np.load(path, mmap_mode="r+")
    rows[-1, :3] = value
    rows.flush()
    del rows
    read = start(store, model, tmp_path / "index")
    now = Query("hikari pool p99", model.embed(["hikari pool p99"])[0])
    hits = read.find(now, 60)
    assert {hit.incident.id for hit in hits[:3]} == {hit.incident.id for hit in before[:3]}
    for match in matches_of(hits):
        assert math.isfinite(match.hit.score)
        assert 0 < match.probability < 1
    assert read.nearest_open(model.embed(["hikari pool p99"])[0], None, -1.0)
    for number in range(20):
        put(store, model, incident(f"n{number:03}", "zebra crossing"))
    assert read.find(now, 5)
    assert read.keep()
    kept = np.load(next((tmp_path / "index").glob("snapshot-*")) / "rows.npy")
    assert np.abs(kept).max() <= 1.01


def test_a_snapshot_of_another_past_is_not_believed(
    store: SqliteStore, model: Embedder, incident: Make, tmp_path: Path
) -> None:
    """Where a backup was put back and lived on, the snapshot of the lost future is passed over."""
    fill(store, model, incident)
    assert start(store, model, tmp_path / "index").keep()
    other = SqliteStore(tmp_path / "restored.db")
    fill(other, model, incident, 70)
    recall = start(other, model, tmp_path / "index")
    assert len(recall) == 70
    other.close()


def test_another_model_never_reads_a_snapshot_of_this_one(
    store: SqliteStore, model: Embedder, words: Callable[..., Embedder], incident: Make, tmp_path: Path
) -> None:
    fill(store, model, incident)
    assert start(store, model, tmp_path / "index").keep()
    other = words("other")
    recall = start(store, other, tmp_path / "index")
    assert recall.not_embedded == 60
    assert not recall.keep(), "an index that is not fully embedded is not kept"


def test_a_folder_that_cannot_be_written_leaves_the_index_as_it_is(
    store: SqliteStore, model: Embedder, incident: Make, tmp_path: Path
) -> None:
    """Keeping fails with OSError, and recall goes on."""
    fill(store, model, incident)
    (tmp_path / "file").write_text("not a folder")
    recall = start(store, model, tmp_path / "file" / "index")
    with pytest.raises(OSError, match="file"):
        recall.keep()
    assert len(found(recall, model)) == 30
