"""Our own export comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from importers.reading import AT, one, read

from incidentos.memory.incident import FailureType, Incident, Outcome, Provenance, Resolution, Status, Step
from incidentos.memory.record import dumps, to_record

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
