"""What a user may rely on where readings of incidents are kept between searches: none is stale, and they take little room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from incidentos.memory.incident import Incident, Outcome, Status, Step
from incidentos.memory.index import readings
from incidentos.memory.index.readings import Readings
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder

Open = Callable[..., IncidentMemory]


def test_an_incident_that_another_server_resolved_is_found_as_it_is_now(
    open_memory: Open, words: Callable[[], Embedder]
) -> None:
    here, there = open_memory(words()), open_memory(words())
    opened, _ = here.open_incident("DB pool full", "connections wait")
    assert here.find("DB pool full", 1).matches[0].incident.status is Status.OPEN
    there.resolve(opened.id, "a leak in checkout", [Step("Restart it", None, Outcome.WORKED)], None)
    found = here.find("DB pool full", 1).matches[0].incident
    assert found.root_cause == "a leak in checkout"
    there.delete(opened.id, found.revision)
    assert here.find("DB pool full", 1).matches == ()


def test_a_reading_is_made_once_and_only_so_many_short_ones_are_kept(
    incident: Callable[..., Incident], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "KEPT", 3)
    stored = {f"i{slot}": incident(f"i{slot}") for slot in range(5)}
    stored["long"] = incident("long", description="x" * 1_000_000)
    read: list[str] = []

    def from_store(ids: Sequence[str]) -> list[Incident]:
        read.extend(ids)
        return [stored[incident_id] for incident_id in ids if incident_id in stored]

    kept = Readings(from_store)
    assert {slot: its.incident.id for slot, its in kept.of({0: "i0", 1: "i1", 9: "gone"}).items()} == {0: "i0", 1: "i1"}
    kept.of({2: "i2", 0: "i0", 3: "i3"})
    assert read == ["i0", "i1", "gone", "i2", "i3"]
    kept.of({0: "i0", 1: "i1", 7: "i0"})  # i1 was used longest ago; i0 has changed, and so has another slot
    assert read[5:] == ["i1", "i0"]
    kept.of({5: "long"})
    kept.of({5: "long", 0: "i0"})
    assert read[7:] == ["long", "long"]
