"""The recall benchmark answers every query of a set, within what the query allows, in the form that is scored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCORE = ROOT.parent / "shared" / "bench" / "score.py"

DOCUMENTS = [
    (
        "kb:Pool/Exhausted",
        "Connection pool exhausted",
        "HikariPool-1 is not available, requests time out",
        "2024-01-01",
    ),
    ("kb:Pool Exhausted", "Pool exhausted again", "All connections of the pool are busy", "2024-03-01"),
    ("kb:dns", "DNS failure", "CoreDNS answers SERVFAIL for external names", "2024-02-01T10:00:00Z"),
    ("kb:cert", "Certificate expired", "Clients see x509: certificate has expired", None),
]
QUERIES: list[tuple[str, str, dict[str, Any]]] = [
    ("q:plain", "HikariPool-1 connection is not available", {}),
    ("q:exclude", "HikariPool-1 connection is not available", {"exclude": ["kb:Pool/Exhausted"]}),
    ("q:before", "connections of the pool are busy", {"before": "2024-02-15", "created_at": "2024-02-15T08:00:00Z"}),
    ("q:nothing", "certificate", {"before": "2000-01-01"}),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """Where the model and the vectors are kept; the model is there."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "models").symlink_to(model_cache, target_is_directory=True)
    return folder


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": id_, "title": title, "text": text, "metadata": {"created_at": at} if at else {}}
        for id_, title, text, at in DOCUMENTS
    ]
    queries = [{"_id": id_, "text": text, "metadata": metadata} for id_, text, metadata in QUERIES]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    qrels = "query-id\tcorpus-id\tscore\nq:plain\tkb:Pool/Exhausted\t2\nq:before\tkb:Pool/Exhausted\t1\n"
    (folder / "qrels" / "dev.tsv").write_text(qrels)
    return folder


def rank(folder: Path, tmp_path: Path, method: str, cache: Path) -> dict[str, dict[str, Any]]:
    """The run that `bench/recall.py` writes, by query."""
    out = tmp_path / f"{method}.jsonl"
    command = [ROOT / "bench" / "recall.py", folder, "--out", out, "--method", method, "--cache", cache]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["query_id"] for row in rows] == [id_ for id_, _, _ in QUERIES]
    return {row["query_id"]: row for row in rows}


@pytest.mark.slow
def test_every_query_gets_a_line_within_what_it_allows(small_set: Path, tmp_path: Path, cache: Path) -> None:
    """Each query is answered with the set's own ids, never one that it excludes or that is not older than it asks."""
    for method in ("ours", "bm25"):
        found = rank(small_set, tmp_path, method, cache)
        assert found.keys() == {id_ for id_, _, _ in QUERIES}
        everything = {id_ for id_, _, _, _ in DOCUMENTS}
        assert set(found["q:plain"]["ranking"]) == everything
        assert found["q:plain"]["ranking"][0] == "kb:Pool/Exhausted"
        assert set(found["q:exclude"]["ranking"]) == everything - {"kb:Pool/Exhausted"}
        assert set(found["q:before"]["ranking"]) == {"kb:Pool/Exhausted", "kb:dns"}
        assert found["q:nothing"]["ranking"] == []
        assert all(0 <= row["confidence"] <= 1 for row in found.values())
        assert found["q:nothing"]["confidence"] == 0


@pytest.mark.slow
def test_a_run_can_be_scored(small_set: Path, tmp_path: Path, cache: Path) -> None:
    """score.py of the sets reads a run, also one over the queries whose right answers it took away."""
    if not SCORE.is_file():
        pytest.skip(f"the sets' score.py is not at {SCORE}")

    def score(what: str, *arguments: str | Path) -> str:
        command = [sys.executable, str(SCORE), what, str(small_set), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    rank(small_set, tmp_path, "ours", cache)
    figures = json.loads(score("recall", tmp_path / "ours.jsonl"))
    assert figures["queries"] == 2
    assert figures["hit@1"] == 1.0
    novel = tmp_path / "novel-queries.jsonl"
    score("novel", "--out", novel)
    rows = [json.loads(line) for line in novel.read_text().splitlines()]
    assert [row["_id"] for row in rows] == ["q:plain", "q:before"]
    assert all("kb:Pool/Exhausted" in row["metadata"]["exclude"] for row in rows)


@pytest.mark.slow
def test_a_missing_set_is_named(tmp_path: Path) -> None:
    """A set that does not exist ends with status 2 and says which."""
    command = [sys.executable, str(ROOT / "bench" / "recall.py"), "no-such-set", "--out", str(tmp_path / "run.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no-such-set" in done.stderr


@pytest.mark.slow
def test_without_the_sets_the_benchmark_is_skipped(tmp_path: Path) -> None:
    """Where the sets are missing, `make bench` says so and is no failure."""
    command = [
        sys.executable,
        str(ROOT / "bench" / "run.py"),
        "--bench",
        str(tmp_path),
        "--out",
        str(tmp_path / "r.md"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("Skipped")
    assert not (tmp_path / "r.md").exists()
