"""What a user may rely on when importing the file of the original system."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from importers.reading import read, record

from incidentos.memory.errors import ImportFailed
from incidentos.memory.importers.original import MAX_BYTES
from incidentos.memory.incident import Outcome, Provenance, Resolution, Status, Step


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
