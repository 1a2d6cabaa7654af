"""What a user may rely on when importing incidents from a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from incidentos.memory.embedding.background import BackgroundEmbedder
from incidentos.memory.errors import EmbeddingError, ImportFailed
from incidentos.memory.failure_types import LABELS
from incidentos.memory.importers import IMPORTERS, importer_for
from incidentos.memory.importers.csv import COLUMNS
from incidentos.memory.importers.files import LINE
from incidentos.memory.importers.original import MAX_BYTES
from incidentos.memory.incident import (
    ID_PATTERN,
    FailureType,
    Incident,
    Outcome,
    Provenance,
    Resolution,
    Status,
    Step,
)
from incidentos.memory.memory import Imported, IncidentMemory
from incidentos.memory.ports import BadRow, Embedder
from incidentos.memory.record import dumps, to_record
from incidentos.memory.stores.sqlite import SqliteStore

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SAMPLES = Path(__file__).resolve().parents[1] / "memory" / "samples" / "larkspur.jsonl"
AT = datetime(2026, 5, 3, 2, 14, 0, 123456, tzinfo=UTC)

Result = tuple[list[Incident], list[BadRow]]


def read(path: Path, kind: str | None = None, status: Status = Status.OPEN) -> Result:
    found = list(importer_for(path, kind).read(path, status))
    return [row for row in found if isinstance(row, Incident)], [row for row in found if isinstance(row, BadRow)]


def one(path: Path, status: Status = Status.OPEN) -> Incident:
    incidents, bad = read(path, status=status)
    assert (len(incidents), bad) == (1, [])
    return incidents[0]


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Writes a JSONL file: a mapping becomes its JSON, bytes stand as they are."""

    def write(*rows: Mapping[str, Any] | list[Any] | bytes, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows))
        return path

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV file as the text stands."""

    def write(text: str | bytes, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def original(tmp_path: Path) -> Callable[..., Path]:
    """Writes an incident_memory.json as the original system did, embeddings included."""

    def write(*records: Any) -> Path:
        path = tmp_path / "incident_memory.json"
        path.write_text(json.dumps(list(records), indent=2))
        return path

    return write


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[IncidentMemory]:
    def no_model() -> Embedder:
        raise EmbeddingError("No model in this test.")

    store = SqliteStore(tmp_path / "memory.db")
    memory = IncidentMemory(store, BackgroundEmbedder(no_model, store))
    yield memory
    memory.close()


def record(incident_id: str = "d56b2cad", **fields: Any) -> dict[str, Any]:
    return {
        "incident_id": incident_id,
        "title": "Pool exhausted",
        "description": "HikariPool timed out",
        "root_cause": None,
        "mitigation_steps": None,
        "embedding": [0.1] * 384,
        "created_at": "2025-06-01T02:14:00.123456",
        "resolved_at": None,
        "hindsight_synced": True,
    } | fields


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


# JSONL: our export

FULL = Incident(
    id="INC0027946",
    title="  Pool exhausted\nsecond line ",
    description="line one\r\nline\u2028two \ttab\n\n",
    updated_at=AT,
    created_at=AT,
    resolved_at=AT,
    service="auth-service",
    severity="SEV1",
    status=Status.RESOLVED,
    failure_type=FailureType.CONNECTION_POOL,
    failure_type_stated=True,
    source="servicenow",
    external_id="snow:INC0027946",
    url="https://example.com/1",
    revision=7,
    resolution=Resolution(
        "Leak in v4.18.2 (ünïcode, 日本語, 🔥)",
        (
            Step("Look", "kubectl get pods", Outcome.WORKED),
            Step("- 1. restart ", None, Outcome.FAILED),
            Step("restart", None, Outcome.UNKNOWN),
            Step("restart", None, Outcome.UNKNOWN),
        ),
        "N/A",
        Provenance.INFERRED,
    ),
)


@pytest.mark.parametrize(
    "incident",
    [
        FULL,
        Incident(id="d56b2cad", title=None, description="only a text", updated_at=AT),
        Incident(id="d56b2cad", title="x" * 2_000, description="", updated_at=AT, status=Status.RESOLVED),
        replace(FULL, failure_type=FailureType.DNS, failure_type_stated=False),
        replace(FULL, resolution=Resolution(None, (), None, Provenance.CONFIRMED)),
        replace(FULL, status=Status.OPEN, resolved_at=None, external_id=None),
    ],
)
def test_an_export_comes_back_exactly_as_it_was(incident: Incident, tmp_path: Path) -> None:
    """Export and import are lossless: white space, provenance, revision and times included."""
    path = tmp_path / "export.jsonl"
    path.write_text(dumps(incident) + "\n", "utf-8")
    assert one(path, Status.RESOLVED) == incident


def test_an_edited_export_is_still_checked(jsonl: Callable[..., Path]) -> None:
    """A record that a person changed is cleaned of what cannot be stored, and refused where it makes no
    sense."""
    good = to_record(FULL)
    incidents, bad = read(
        jsonl(
            good | {"title": "a\u0000b\ud800\u202ec"},
            good | {"id": "no such/id"},
            good | {"failure_type": "gremlins"},
            good | {"revision": 0},
            good | {"revision": 2**70},
            json.dumps(good).replace('"revision": 7', '"revision": 1e999').encode() + b"\n",
            good | {"title": None, "description": ""},
            good | {"status": []},
            good | {"updated_at": None},
            good | {"external_id": "another incident"},
        )
    )
    assert [incident.title for incident in incidents] == ["a\ufffdb\ufffdc"]
    assert [row.line for row in bad] == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert all(kind.value in bad[1].reason for kind in FailureType)
    assert "already stands for" in bad[-1].reason


# JSONL: loose rows


def test_a_row_that_says_little_stays_little(jsonl: Callable[..., Path]) -> None:
    """No title, cause, date, service or type is made up for a row that has none."""
    incident = one(jsonl({"id": "a1", "title": None, "description": "text", "category": "Config Errors"}))
    assert incident == Incident(id="a1", title=None, description="text", updated_at=incident.updated_at)


def test_every_field_of_a_loose_row_is_kept(jsonl: Callable[..., Path]) -> None:
    """All that a row says arrives: texts, times in UTC, steps with their commands and outcomes."""
    incident = one(
        jsonl(
            {
                "id": 4711,
                "title": "T",
                "description": "D",
                "root_cause": "C",
                "mitigation_steps": [
                    "1. Run `kubectl get pods`",
                    {"text": "t", "command": "c", "outcome": "unknown"},
                    " ",
                ],
                "mitigation": "Scaled up\nRestarted",
                "failed_steps": "Cleared the cache",
                "prevention": "P",
                "service": "S",
                "severity": 1,
                "status": "Closed",
                "failure_type": "DNS failure",
                "created_at": "2026-05-03T04:14:00+02:00",
                "resolved_at": "2026-05-04",
                "updated_at": "2026-05-05 01:02",
                "source": "src",
                "url": "https://example.com",
            }
        )
    )
    assert incident == Incident(
        id="4711",
        title="T",
        description="D",
        updated_at=datetime(2026, 5, 5, 1, 2, tzinfo=UTC),
        created_at=datetime(2026, 5, 3, 2, 14, tzinfo=UTC),
        resolved_at=datetime(2026, 5, 4, tzinfo=UTC),
        service="S",
        severity="1",
        status=Status.RESOLVED,
        failure_type=FailureType.DNS,
        failure_type_stated=True,
        source="src",
        url="https://example.com",
        resolution=Resolution(
            "C",
            (
                Step("Run `kubectl get pods`", "kubectl get pods", Outcome.UNKNOWN),
                Step("t", "c", Outcome.UNKNOWN),
                Step("Scaled up", None, Outcome.UNKNOWN),
                Step("Restarted", None, Outcome.UNKNOWN),
                Step("Cleared the cache", None, Outcome.FAILED),
            ),
            "P",
            Provenance.IMPORTED,
        ),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("INC0027946", "INC0027946"),
        ("moj:2020-02-12", "moj.2020-02-12"),
        ("a: /\\b", "a.b"),
        ("../../etc/passwd", "etc.passwd"),
        ("_x", "x"),
        ("障害", "id-" + hashlib.sha256("障害".encode()).hexdigest()[:12]),
        ("x" * 128, "x" * 128),
        ("x" * 200, "x" * 119 + "-" + hashlib.sha256(b"x" * 200).hexdigest()[:8]),
    ],
)
def test_an_id_becomes_a_valid_one_and_the_original_is_kept(
    given: str, expected: str, jsonl: Callable[..., Path]
) -> None:
    """The same foreign id always gives the same valid id; the foreign one stands in external_id where they
    differ."""
    incident = one(jsonl({"id": given, "title": "t"}))
    assert incident.id == expected
    assert incident.external_id == (None if given == expected else given)


def test_two_ids_that_look_alike_stay_two_incidents(jsonl: Callable[..., Path]) -> None:
    """Ids that would become one are told apart by a hash of the later one; a repeated id stays one, rows in
    order."""
    rows = [{"id": given, "title": "t"} for given in ("a:b", "a/b", "a.b", "a:b")]
    incidents, bad = read(jsonl(*rows))
    assert bad == []
    assert [(i.id, i.external_id) for i in incidents] == [
        ("a.b", "a:b"),
        ("a.b-" + hashlib.sha256(b"a/b").hexdigest()[:6], "a/b"),
        ("a.b-" + hashlib.sha256(b"a.b").hexdigest()[:6], "a.b"),
        ("a.b", "a:b"),
    ]
    ids = {i.id for i in incidents}
    spoilt = [{"id": "a:b", "title": 1}, *rows[1:3]]
    assert {i.id for i in read(jsonl(*spoilt))[0]} == ids - {"a.b"}, "a bad row holds its id for when it is put right"


def test_a_row_without_an_id_is_the_same_incident_in_every_import(jsonl: Callable[..., Path]) -> None:
    """Its id is made of title, description and date, so neither another import nor a cause added later
    doubles it."""
    row = {"title": "T", "description": "D", "created_at": "2026-05-03"}
    first = one(jsonl(row))
    assert first.id.startswith("row-")
    assert len(first.id) == len("row-") + 12
    assert first.external_id is None
    assert one(jsonl(row | {"root_cause": "C", "created_at": "2026-05-03T00:00Z"})).id == first.id
    assert one(jsonl(row | {"title": "U"})).id != first.id


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"category": "DNS Failure"}, (FailureType.DNS, True)),
        ({"category": "cache-failure"}, (FailureType.CACHE, True)),
        ({"category": "Database"}, (FailureType.OTHER, False)),
        ({"category": "Other"}, (FailureType.OTHER, False)),
        ({"category": ["x"]}, (FailureType.OTHER, False)),
        ({"failure_type": "latency", "category": "DNS failure"}, (FailureType.LATENCY, True)),
        ({"failure_type": "latency", "failure_type_stated": False}, (FailureType.LATENCY, False)),
    ],
)
def test_a_category_counts_only_where_it_is_one_of_our_failure_types(
    fields: dict[str, Any], expected: tuple[FailureType, bool], jsonl: Callable[..., Path]
) -> None:
    """A foreign category is not taken for a failure type unless it is the name of one."""
    incident = one(jsonl({"id": "a", "title": "t"} | fields))
    assert (incident.failure_type, incident.failure_type_stated) == expected


@pytest.mark.parametrize("kind", list(FailureType))
def test_every_failure_type_is_known_by_its_name_and_its_label(kind: FailureType, jsonl: Callable[..., Path]) -> None:
    """A failure type may be written as the value or as people say it, in any case."""
    for name in (kind.value, LABELS[kind], LABELS[kind].upper()):
        assert one(jsonl({"id": "a", "title": "t", "failure_type": name})).failure_type is kind


@pytest.mark.parametrize(
    ("fields", "default", "expected"),
    [
        ({}, Status.OPEN, Status.OPEN),
        ({}, Status.RESOLVED, Status.RESOLVED),
        ({"root_cause": "c"}, Status.OPEN, Status.RESOLVED),
        ({"mitigation": "m"}, Status.OPEN, Status.RESOLVED),
        ({"mitigation_steps": ["m"]}, Status.OPEN, Status.RESOLVED),
        ({"resolved_at": "2026-01-01"}, Status.OPEN, Status.RESOLVED),
        ({"root_cause": " ", "mitigation": "", "mitigation_steps": []}, Status.OPEN, Status.OPEN),
        ({"root_cause": "Unknown", "mitigation": "Won\u2019t Fix"}, Status.OPEN, Status.OPEN),
        ({"failed_steps": ["f"], "prevention": "p"}, Status.OPEN, Status.OPEN),
        ({"status": "In-Progress", "root_cause": "c"}, Status.RESOLVED, Status.OPEN),
        ({"status": "RESOLVED"}, Status.OPEN, Status.RESOLVED),
    ],
)
def test_the_status_follows_from_what_the_row_says(
    fields: dict[str, Any], default: Status, expected: Status, jsonl: Callable[..., Path]
) -> None:
    """A stated status counts; else a cause, a mitigation or a time of resolution means resolved; else the
    default."""
    assert one(jsonl({"id": "a", "title": "t"} | fields), default).status is expected


def test_steps_of_an_open_incident_have_not_worked_yet(jsonl: Callable[..., Path]) -> None:
    """What was tried on an incident that goes on is no evidence that it works."""
    incident = one(
        jsonl({"id": "a", "title": "t", "status": "open", "mitigation": "Restart", "failed_steps": ["Wait"]})
    )
    assert incident.resolution is not None
    assert [step.outcome for step in incident.resolution.steps] == [Outcome.UNKNOWN, Outcome.FAILED]


@pytest.mark.parametrize("said", [None, "confirmed", "imported", "inferred"])
def test_a_guess_stays_a_guess(said: str | None, jsonl: Callable[..., Path]) -> None:
    """That a row is a guess survives; everything else that a foreign file tells is imported, whatever it claims."""
    expected = Provenance.INFERRED if said == "inferred" else Provenance.IMPORTED
    for row in (
        {"root_cause": "c", "provenance": said},
        {"resolution": {"root_cause": "c", "provenance": said}},
    ):
        resolution = one(jsonl({"id": "a", "title": "t"} | row)).resolution
        assert resolution is not None
        assert resolution.provenance is expected


def test_a_long_title_is_kept_in_full_in_the_description(jsonl: Callable[..., Path]) -> None:
    """A title beyond 500 characters is cut with an ellipsis, and nothing of it is lost."""
    title = "word " * 120
    incident = one(jsonl({"id": "a", "title": title, "description": "D"}))
    assert incident.title is not None
    assert len(incident.title) <= 500
    assert incident.title.endswith("…")
    assert incident.description == f"{title.strip()}\n\nD"
    assert one(jsonl({"id": "a", "title": "x" * 500})).title == "x" * 500


def test_text_that_cannot_be_stored_is_cleaned(jsonl: Callable[..., Path]) -> None:
    """NUL bytes, control characters, lone surrogates and invisible characters do not cost the row, raw or
    escaped."""
    path = jsonl(
        {"id": "a", "title": "a\u0000b", "description": "c\ud83dd\u202ee\u0007", "service": "\u0001"},
        b'{"id": "b", "title": "raw\x00nul", "root_cause": "bell\x07"}\n',
    )
    incidents, bad = read(path)
    assert bad == []
    assert incidents[0].title == "a\ufffdb"
    assert incidents[0].description == "c\ufffdde\ufffd"
    assert incidents[1].title == "raw\ufffdnul"
    assert incidents[1].root_cause == "bell\ufffd"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'{"id": "b", "title": \n', "not valid JSON"),
        (b"not json\n", "not valid JSON"),
        (b"[1, 2]\n", "not a list"),
        (b'"text"\n', "not text"),
        (b"null\n", "not nothing"),
        (b"17\n", "not a number"),
        (b"true\n", "not true or false"),
        (b'{"id": "b", "title": NaN}\n', "NaN is not a JSON value"),
        (b'{"id": "b", "title": "t", "x": -Infinity}\n', "-Infinity is not a JSON value"),
        (b'{"id": "b", "title": 1e999}\n', "title must be text, not a number"),
        (b'{"id": ' + b"9" * 5_000 + b', "title": "t"}\n', "too many digits"),
        (b"[" * 200_000 + b"\n", "nested too deeply"),
        (b'{"id": "b", "title": "\xff\xfe"}\n', "not valid UTF-8"),
        ({"id": "b"}, "neither a title nor a description"),
        ({"id": "b", "title": " \u200b ", "description": ""}, "neither a title nor a description"),
        ({"id": "b", "title": 5}, "title must be text, not a number"),
        ({"id": True, "title": "t"}, "id must be text, not true or false"),
        ({"id": "b" * 2_001, "title": "t"}, "id has 2,001 characters"),
        ({"id": "b", "title": "t", "description": ["x"]}, "description must be text, not a list"),
        ({"id": "b", "title": "t", "description": "x" * 1_000_001}, "at most 1,000,000"),
        ({"id": "b", "title": "t" * 600, "description": "x" * 999_990}, "at most 1,000,000"),
        ({"id": "b", "title": "t", "root_cause": {}}, "root_cause must be text, not an object"),
        (
            {"id": "b", "title": "t", "mitigation_steps": {"a": 1}},
            "mitigation_steps must be text, not an object",
        ),
        ({"id": "b", "title": "t", "mitigation_steps": [3]}, "mitigation_steps must be a list of texts"),
        ({"id": "b", "title": "t", "mitigation_steps": [{"text": 3}]}, "text must be text, not a number"),
        (
            {"id": "b", "title": "t", "mitigation_steps": [{"text": "x", "outcome": "meh"}]},
            "worked, failed, unknown",
        ),
        (
            {"id": "b", "title": "t", "resolution": {"steps": 4}},
            "mitigation_steps must be text, not a number",
        ),
        ({"id": "b", "title": "t", "provenance": "rumour"}, "confirmed, imported, inferred"),
        ({"id": "b", "title": "t", "status": "sleeping"}, "Valid: open"),
        ({"id": "b", "title": "t", "failure_type": "gremlins"}, ", ".join(FailureType)),
        ({"id": "b", "title": "t", "created_at": "05/03/2026 02:14"}, "ISO 8601"),
        ({"id": "b", "title": "t", "created_at": 1_700_000_000}, "ISO 8601"),
        ({"id": "b", "title": "t", "resolved_at": "0001-01-01T00:00:00+14:00"}, "ISO 8601"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_is_kept(
    row: dict[str, Any] | bytes, reason: str, jsonl: Callable[..., Path]
) -> None:
    """One row that cannot be used costs that row only, and its line and fault are told in plain words."""
    incidents, bad = read(jsonl({"id": "a", "title": "first"}, b"\n", row, {"id": "c", "title": "last"}))
    assert [incident.id for incident in incidents] == ["a", "c"]
    assert [line.line for line in bad] == [3]
    assert reason in bad[0].reason


def test_a_reason_is_short_and_holds_no_secret(jsonl: Callable[..., Path]) -> None:
    """What is said about a bad row can be shown and logged."""
    secret = "ghp_" + "a1B2" * 9
    _, bad = read(jsonl({"title": "t", "created_at": secret}, {"title": "t", "created_at": "x" * 100_000}))
    assert secret not in bad[0].reason
    assert "redacted" in bad[0].reason
    assert all(len(row.reason) <= 600 for row in bad)


def test_a_truncated_file_keeps_all_but_its_last_line(jsonl: Callable[..., Path]) -> None:
    """A file that was cut off in the middle of a row loses that row, and the reason says what may have
    happened."""
    incidents, bad = read(jsonl({"id": "a", "title": "t"}, b'{"id": "b", "ti'))
    assert [incident.id for incident in incidents] == ["a"]
    assert bad[0].line == 2
    assert "cut off" in bad[0].reason


def test_a_line_of_any_length_is_survived(jsonl: Callable[..., Path]) -> None:
    """A line longer than memory should bear is skipped without being held."""
    incidents, bad = read(
        jsonl({"id": "a", "title": "t"}, b'{"x": "' + b"y" * (2 * LINE) + b'"}\n', {"id": "c", "title": "t"})
    )
    assert [incident.id for incident in incidents] == ["a", "c"]
    assert [(row.line, row.reason) for row in bad] == [(2, "The line is longer than 32 MB.")]


def test_a_byte_order_mark_windows_line_ends_and_duplicate_keys_do_no_harm(
    jsonl: Callable[..., Path],
) -> None:
    """Files from Windows are read as they are; of a key that stands twice the last counts."""
    incidents, bad = read(
        jsonl(b'\xef\xbb\xbf{"id": "a", "title": "x", "title": "t"}\r\n \r\n{"id": "b", "title": "t"}')
    )
    assert bad == []
    assert [(incident.id, incident.title) for incident in incidents] == [("a", "t"), ("b", "t")]


def test_a_file_is_read_as_a_stream(jsonl: Callable[..., Path], table: Callable[..., Path]) -> None:
    """The first incident is there before the rest of the file is read."""
    lines = jsonl({"id": "a", "title": "t"}, b"{broken\n" * 1_000)
    first = next(iter(importer_for(lines).read(lines, Status.OPEN)))
    assert isinstance(first, Incident)
    rows = table("id,title\na,t\n" + "broken\n" * 1_000)
    first = next(iter(importer_for(rows).read(rows, Status.OPEN)))
    assert isinstance(first, Incident)


# The original system's file


def test_the_original_systems_file_is_read(original: Callable[..., Path]) -> None:
    """Ids, texts, steps and times arrive; a set root cause means resolved; embeddings and sync flags are
    ignored."""
    incidents, bad = read(
        original(
            record(),
            record(
                "INC0027946",
                root_cause="Leak",
                mitigation_steps="1. Restart\n2. Roll back",
                resolved_at="2025-06-02T00:00:00",
            ),
            record("0a1b2c3d", root_cause="Other leak", mitigation_steps=["Restart"]),
            record("11111111", mitigation_steps="Restart", root_cause=" "),
        ),
        status=Status.RESOLVED,
    )
    assert bad == []
    assert [i.id for i in incidents] == ["d56b2cad", "INC0027946", "0a1b2c3d", "11111111"]
    assert [i.status for i in incidents] == [Status.OPEN, Status.RESOLVED, Status.RESOLVED, Status.OPEN]
    assert incidents[0].created_at == datetime(2025, 6, 1, 2, 14, 0, 123456, tzinfo=UTC)
    assert incidents[0].resolution is None
    assert incidents[1].resolution == Resolution(
        "Leak",
        (Step("Restart", None, Outcome.UNKNOWN), Step("Roll back", None, Outcome.UNKNOWN)),
        None,
        Provenance.IMPORTED,
    )
    assert incidents[3].resolution == Resolution(None, (Step("Restart"),), None, Provenance.IMPORTED)


def test_a_text_that_was_pasted_into_many_records_is_a_guess(original: Callable[..., Path]) -> None:
    """From three records with the same cause and steps on, their resolutions are marked inferred and never
    count."""
    same = {"root_cause": "Misconfigured load balancer", "mitigation_steps": "Check the config"}
    records = [record(f"0000000{n}", title=f"T{n}", **same) for n in range(3)]
    records.append(record("0000000a", root_cause=same["root_cause"], mitigation_steps="Drained node 4"))
    incidents, _ = read(original(*records))
    assert [i.resolution and i.resolution.provenance for i in incidents] == [Provenance.INFERRED] * 3 + [
        Provenance.IMPORTED
    ]
    incidents, _ = read(original(*records[1:]))
    assert {i.resolution and i.resolution.provenance for i in incidents} == {Provenance.IMPORTED}


def test_a_bad_record_of_the_original_is_named_by_its_place_in_the_list(
    original: Callable[..., Path],
) -> None:
    """Counting starts at 1."""
    incidents, bad = read(
        original(record(), "text", None, record("b", root_cause=5), record("c", created_at="yesterday"))
    )
    assert len(incidents) == 1
    assert [row.line for row in bad] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"incident_id": "a", "ti', "cut off"),
        (b'{"incidents": []}', "must be a JSON list"),
        (b'[{"title": "\xe9"}]', "not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[" + b"9" * 5_000 + b"]", "too many digits"),
    ],
)
def test_a_list_that_cannot_be_parsed_is_refused_as_a_whole(content: bytes, message: str, tmp_path: Path) -> None:
    """The message says what is wrong with the file."""
    path = tmp_path / "incident_memory.json"
    path.write_bytes(content)
    with pytest.raises(ImportFailed, match=message):
        read(path, "original")


def test_a_huge_list_is_refused_with_advice(tmp_path: Path) -> None:
    """Beyond 200 MB nothing is parsed, and the message says how to make the file smaller."""
    path = tmp_path / "incident_memory.json"
    path.write_bytes(b"[{}," + b" " * 20_000)
    os.truncate(path, MAX_BYTES + 1)  # a hole: it takes no room on the disk
    with pytest.raises(ImportFailed, match=r"larger than 200 MB.*embedding"):
        read(path, "original")


# CSV

SERVICENOW = (
    "Number;Short description;Description;CMDB CI;Priority;State;Opened-At;Closed_at;Close notes\n"
    'INC0027946;Pool exhausted;"two\nlines";auth;1 - Critical;Closed;'
    "2026-05-03 02:14;2026-05-03 03:00:30;Restarted\n"
    "INC0027947;Slow;;auth;2 - High;In Progress;2026-05-04 02:14:00;;\n"
)


def test_a_servicenow_export_is_read(table: Callable[..., Path]) -> None:
    """Columns are known under the names that trackers give them, in any case, with spaces or hyphens."""
    incidents, bad = read(table(SERVICENOW))
    assert bad == []
    first, second = incidents
    assert (first.id, first.title, first.description) == ("INC0027946", "Pool exhausted", "two\nlines")
    assert (first.service, first.severity, first.status) == ("auth", "1 - Critical", Status.RESOLVED)
    assert first.created_at == datetime(2026, 5, 3, 2, 14, tzinfo=UTC)
    assert first.resolved_at == datetime(2026, 5, 3, 3, 0, 30, tzinfo=UTC)
    assert first.resolution == Resolution(None, (Step("Restarted", None, Outcome.UNKNOWN),), None, Provenance.IMPORTED)
    assert (second.status, second.resolution, second.resolved_at, second.description) == (
        Status.OPEN,
        None,
        None,
        "",
    )


def test_a_jira_export_is_read(table: Callable[..., Path]) -> None:
    """A mere Done or Unresolved in the column Resolution is no mitigation; repeated columns do no harm."""
    incidents, bad = read(
        table(
            "Issue key,Issue id,Summary,Status,Priority,Resolution,Created,Resolved,Comment,Comment\n"
            "OPS-1,1,Disk full,Done,High,Done,2026-05-03T02:14:00.000+0000,2026-05-03,a,b\n"
            "OPS-2,2,Disk full again,To Do,High,Unresolved,2026-05-04T02:14:00.000+0000,,,\n"
            "OPS-3,3,Disk full,Done,High,Grew the volume,2026-05-05,,,\n"
        )
    )
    assert bad == []
    assert [i.id for i in incidents] == ["OPS-1", "OPS-2", "OPS-3"]
    assert [i.status for i in incidents] == [Status.RESOLVED, Status.OPEN, Status.RESOLVED]
    assert [i.resolution is None for i in incidents] == [True, True, False]


def test_pagerduty_and_opsgenie_headers_are_known(table: Callable[..., Path]) -> None:
    """Their names for the columns fit too."""
    duty = one(
        table(
            "incident_number,title,urgency,status,service_name,created_on,html_url\n7,T,high,triggered,S,2026-01-01,u\n"
        )
    )
    assert (duty.id, duty.severity, duty.service, duty.url, duty.status) == (
        "7",
        "high",
        "S",
        "u",
        Status.OPEN,
    )
    genie = one(table("AlertId,Message,Priority,Status,CreatedAt\nx-1,T,P1,closed,2026-01-01\n"))
    assert (genie.id, genie.title, genie.severity, genie.status) == ("x-1", "T", "P1", Status.RESOLVED)
    assert genie.created_at is not None


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_delimiter_and_the_byte_order_mark_are_found_out(
    delimiter: str, mark: bytes, end: str, table: Callable[..., Path]
) -> None:
    """Commas, semicolons, tabs and bars are told by the header, whatever stands in the cells or the file's
    name."""
    rows = [["Title", "ID", "Description"], ["Störung", "a1", '"a, b; c | d\t""e"""']]
    text = end.join(delimiter.join(row) for row in rows)
    incident = one(table(mark + text.encode(), name="export.txt"))
    assert (incident.id, incident.title, incident.description) == ("a1", "Störung", 'a, b; c | d\t"e"')


@pytest.mark.parametrize("field", sorted(COLUMNS))
def test_every_accepted_column_name_is_read(field: str, table: Callable[..., Path]) -> None:
    """A column is found under each of the names that the error message offers."""
    value = {
        "category": "latency",
        "failure_type": "latency",
        "provenance": "inferred",
        "status": "closed",
    }.get(field, "2026-01-02" if field.endswith("_at") else "said")
    others = {"title": "t", "description": "d", "cause": "c", "status": "open", "id": "i"}
    for alias in COLUMNS[field]:
        row = {name: other for name, other in others.items() if name not in COLUMNS[field]} | {alias: value}
        found = to_record(one(table(f"{','.join(row).upper()}\n{','.join(row.values())}\n")))
        expected = "resolved" if field == "status" else value
        assert f'"{expected}' in json.dumps(found), alias


def test_of_several_columns_for_one_thing_the_first_filled_one_counts(table: Callable[..., Path]) -> None:
    """An empty severity falls back to the priority of the row."""
    incidents, _ = read(table("id,title,priority,severity\na,t,P1,\nb,t,P1,SEV2\n"))
    assert [incident.severity for incident in incidents] == ["P1", "SEV2"]


def test_bad_rows_of_a_table_bear_the_line_they_begin_on(table: Callable[..., Path]) -> None:
    """Lines are those that an editor shows, also behind cells of several lines and blank rows."""
    incidents, bad = read(
        table(
            "id,title,created_at\n"
            'a,"two\nlines",\n'
            "\n"
            "b,too,many,cells\n"
            ",,\n"
            "few\n"
            "c,t,05/03/2026 02:14\n"
            'd,"x"y,\n'
            'e,"three\n\nlines",2026-05-03 02:14\n'
            "f,,\n"
        )
    )
    assert [incident.id for incident in incidents] == ["a", "e"]
    assert [row.line for row in bad] == [5, 7, 8, 9, 13]
    reasons = [row.reason for row in bad]
    assert "4 cells where the header has 3" in reasons[0]
    assert "1 cells where the header has 3" in reasons[1]
    assert "ISO 8601" in reasons[2]
    assert "doubled" in reasons[3]
    assert "neither a title nor a description" in reasons[4]


def test_a_quotation_mark_that_is_never_closed_is_told(table: Callable[..., Path]) -> None:
    """It never makes one incident of the rest of the file: what came before is kept, and the row is named."""
    incidents, bad = read(table('id,title\na,t\nb,"open\nc,t\nd,t\n'))
    assert [incident.id for incident in incidents] == ["a"]
    assert bad[0].line == 3
    assert "never closed" in bad[0].reason


def test_huge_cells_are_read_or_refused_one_by_one(table: Callable[..., Path]) -> None:
    """A cell far beyond Python's limit of 131,072 characters is read; one of over a million is one bad
    row."""
    incidents, bad = read(table(f"id,title,description\na,t,{'x' * 900_000}\nb,t,{'x' * 1_500_000}\nc,t,d\n"))
    assert [(incident.id, len(incident.description)) for incident in incidents] == [("a", 900_000), ("c", 1)]
    assert [row.line for row in bad] == [3]


def test_a_table_cleans_its_cells(table: Callable[..., Path]) -> None:
    """NUL bytes and control characters do not cost the row."""
    assert one(table("id,title\na,x\x00y\x07\n")).title == "x\ufffdy\ufffd"


def test_a_table_without_a_title_or_a_description_is_refused(table: Callable[..., Path]) -> None:
    """The message lists the columns that were found and those that would do."""
    with pytest.raises(ImportFailed, match=r"'Foo', 'Severity'.*short_description"):
        read(table("Foo,Severity\n1,2\n"))


def test_a_table_that_is_not_utf8_is_refused_before_anything_is_imported(table: Callable[..., Path]) -> None:
    """The message names the line and how to convert the file."""
    path = table(b"id,title\na,t\nb,St\xf6rung\n")
    with pytest.raises(ImportFailed, match=r"not UTF-8 \(line 3\).*iconv -f WINDOWS-1252"):
        next(iter(importer_for(path).read(path, Status.OPEN)))
    with pytest.raises(ImportFailed, match="not UTF-8"):
        read(table(b"id,title\na,t\xc3", name="cut.csv"))


def test_a_table_whose_header_cannot_be_read_is_refused(table: Callable[..., Path]) -> None:
    """A header row with a misplaced quotation mark is no header."""
    with pytest.raises(ImportFailed, match="header"):
        read(table('id,"title"x,description\na,t,d\n'))


def test_a_table_with_a_header_alone_has_no_incidents(table: Callable[..., Path]) -> None:
    """It is not an error."""
    assert read(table("id,title\n")) == ([], [])


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
