"""What a user may rely on when importing loose rows of JSON Lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from importers.reading import one, read

from incidentos.memory.failure_types import LABELS
from incidentos.memory.importers import importer_for
from incidentos.memory.importers.files import LINE
from incidentos.memory.incident import FailureType, Incident, Outcome, Provenance, Resolution, Status, Step


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
