"""Which files are imports, and what importing real ones into a memory does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from importers.reading import read, record

from incidentos.memory.errors import ImportFailed
from incidentos.memory.importers import IMPORTERS, importer_for
from incidentos.memory.incident import ID_PATTERN, Status
from incidentos.memory.memory import Imported, IncidentMemory
from incidentos.memory.record import to_record

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SAMPLES = Path(__file__).resolve().parents[2] / "memory" / "samples" / "larkspur.jsonl"

# The real files


@pytest.mark.parametrize(
    ("name", "count", "resolved"),
    [
        ("team_postmortems", 107, None),
        ("github_status", 801, 0),
        ("gcp_status", 157, 0),
        ("danluu", 190, 0),
        ("icco_human", 243, 0),
    ],
)
def test_public_postmortems_are_read_whole_and_nothing_is_invented(name: str, count: int, resolved: int | None) -> None:
    """Every row of a real file becomes one incident, with a valid and distinct id, and what it does not say
    is None."""
    path = DATA / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not part of the checkout")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    incidents, bad = read(path)
    assert bad == []
    assert len(incidents) == count == len({incident.id for incident in incidents})
    for row, incident in zip(rows, incidents, strict=True):
        assert ID_PATTERN.fullmatch(incident.id)
        assert incident.external_id == row["id"]
        assert (incident.title is None) == (row["title"] is None)
        assert (incident.created_at is None) == (row["created_at"] is None)
        assert (incident.service, incident.url, incident.source) == (
            row["service"],
            row["url"],
            row["source"],
        )
        assert incident.resolved_at is None
        assert incident.severity is None
        assert incident.root_cause == row["root_cause"]
        assert not incident.failure_type_stated
        assert (incident.resolution is None) == (row["root_cause"] is None and row["mitigation"] is None)
        assert (incident.status is Status.RESOLVED) == (incident.resolution is not None)
    if resolved is not None:
        assert sum(incident.status is Status.RESOLVED for incident in incidents) == resolved
    again, _ = read(path)
    assert [i.id for i in again] == [i.id for i in incidents]


@pytest.mark.slow
def test_importing_real_files_twice_changes_nothing(memory: IncidentMemory) -> None:
    """A second import of the same file finds every incident unchanged, whatever the time of the import."""
    path = DATA / "team_postmortems.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not part of the checkout")
    assert memory.import_batch(read(path)[0], embed=False) == Imported(added=107)
    assert memory.import_batch(read(path)[0], embed=False) == Imported(unchanged=107)


def test_the_samples_of_the_demo_are_read_with_their_resolutions() -> None:
    """Rows with a resolution object like the export's keep its steps, commands and outcomes."""
    rows = [json.loads(line) for line in SAMPLES.read_text("utf-8").splitlines() if line.strip()]
    incidents, bad = read(SAMPLES)
    assert bad == []
    assert any(row.get("resolution") for row in rows)
    for row, incident in zip(rows, incidents, strict=True):
        found = to_record(incident)
        assert (found["id"], found["failure_type"]) == (row["id"], row["failure_type"])
        assert found["resolution"] == row.get("resolution")


# Which importer


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    """Also under a name that says nothing."""
    contents = {
        "jsonl": '{"id": "a", "title": "t"}\n{"id": "b", "title": "t"}\n',
        "original": '\n[\n  {"incident_id": "a", "title": "t"}]',
        "csv": "number\tsummary\n1\tt\n",
    }
    for name, content in contents.items():
        path = tmp_path / "file.dat"
        path.write_text(content)
        assert importer_for(path).name == name
    path.write_text(json.dumps({"title": "x" * 10_000}) + "\n")
    assert importer_for(path).name == "jsonl"
    (tmp_path / "list.jsonl").write_text('[{"incident_id": "a"}]')
    assert importer_for(tmp_path / "list.jsonl").name == "original"
    assert {importer.name for importer in IMPORTERS} == set(contents)


def test_a_named_kind_wins_over_what_the_file_looks_like(tmp_path: Path) -> None:
    """`kind` forces the reading."""
    path = tmp_path / "file.csv"
    path.write_text('{"id": "a", "title": "t"}\n')
    assert importer_for(path, "jsonl").name == "jsonl"
    assert importer_for(path, "csv").name == "csv"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n\n", "is empty"),
        (b"SQLite format 3\x00" + bytes(4_000), "binary"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + bytes(range(256)) * 4, "binary"),
        ("id,title\n".encode("utf-16"), "UTF-16"),
        ("id,title\n".encode("utf-16-le"), "binary"),
        (b"Dear team, nothing here.\n", "jsonl, original, csv"),
        (b'{\n  "id": "a"\n}\n', "jsonl, original, csv"),
        (b"<html><title>x</title></html>", "jsonl, original, csv"),
    ],
)
def test_a_file_that_is_no_import_is_refused_in_plain_words(content: bytes, message: str, tmp_path: Path) -> None:
    """Empty, binary and unknown files are told apart, and the kinds that exist are named."""
    path = tmp_path / "file.dat"
    path.write_bytes(content)
    with pytest.raises(ImportFailed, match=message):
        importer_for(path)


def test_what_is_no_file_is_refused_in_plain_words(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe, an impossible name and an unknown kind each have their own
    sentence."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImportFailed, match="There is no file"):
        importer_for(tmp_path / "missing.csv")
    with pytest.raises(ImportFailed, match="There is no file"):
        importer_for(Path("nul\0name"))
    with pytest.raises(ImportFailed, match="cannot be reached"):
        importer_for(tmp_path / ("x" * 5_000))
    with pytest.raises(ImportFailed, match="is a folder"):
        importer_for(tmp_path)
    with pytest.raises(ImportFailed, match="no regular file"):
        importer_for(tmp_path / "pipe")
    with pytest.raises(ImportFailed, match=r"'xml'.*Valid: jsonl, original, csv"):
        importer_for(tmp_path, "xml")


def test_a_file_that_vanishes_before_it_is_read_is_an_import_failure(tmp_path: Path) -> None:
    """Whatever the operating system says comes as ImportFailed, from every importer."""
    for importer in IMPORTERS:
        with pytest.raises(ImportFailed, match="cannot be read"):
            list(importer.read(tmp_path / "gone", Status.OPEN))


# Into the memory


def test_importing_again_changes_nothing_and_news_updates(
    memory: IncidentMemory,
    jsonl: Callable[..., Path],
    original: Callable[..., Path],
    table: Callable[..., Path],
) -> None:
    """Every kind of file can be imported twice; rows without ids and repeated ids included; news is an
    update."""
    paths = [
        jsonl({"title": "no id", "description": "d"}, {"id": "a:b", "title": "t"}, {"id": "a:b", "title": "t"}),
        original(record(), record("INC0027946", root_cause="Leak", mitigation_steps="Restart")),
        table("title,description\nno id either,x\n"),
    ]
    counts = [memory.import_batch(read(path)[0], embed=False) for path in paths]
    assert counts == [Imported(added=2, unchanged=1), Imported(added=2), Imported(added=1)]
    counts = [memory.import_batch(read(path)[0], embed=False) for path in paths]
    assert counts == [Imported(unchanged=3), Imported(unchanged=2), Imported(unchanged=1)]
    news = jsonl({"title": "no id", "description": "d", "root_cause": "found"})
    assert memory.import_batch(read(news)[0], embed=False) == Imported(updated=1)
