"""What a user may rely on of the track record: predictions are judged by how it ended, and the figures learn from it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentos.commands.demo import sample
from incidentos.commands.doctor import doctor
from incidentos.memory.confidence import FLOOR
from incidentos.memory.errors import InvalidInput
from incidentos.memory.incident import FailureType, Incident, Provenance, Resolution, Status, Step, utcnow
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder, IncidentStore, Judgment, Prediction, PredictionCounts
from incidentos.memory.stores.migrations import APPLICATION_ID, MIGRATIONS
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.memory.track_record import MIN_JUDGED, SAME_MEANING, Recalibration, TrackRecord, judge
from incidentos.server import connect
from incidentos.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
AT = utcnow()
DNS_CAUSE = "CoreDNS answered SERVFAIL for every name"
DISK_CAUSE = "No space left on device: logs filled the volume"
VAGUE_CAUSE = "The rota of the gate keeper was forgotten"

Open = Callable[..., IncidentMemory]
Make = Callable[..., Incident]


def prediction(incident_id: str = "a1", cause: str | None = DNS_CAUSE, stated: float = 0.72, **more: Any) -> Prediction:
    fields: dict[str, Any] = {
        "failure_type": FailureType.OTHER if cause is None else FailureType.DNS, "matches": (), "engine": "memory",
        "raw_confidence": stated, "type_stated": False, **more,
    }  # fmt: skip
    return Prediction(incident_id=incident_id, at=AT, root_cause=cause, confidence=stated, **fields)


@pytest.fixture
def ended(incident: Make) -> Callable[..., Incident]:
    """An incident that ended with that cause; everything can be overridden."""

    def make(cause: str | None, **fields: Any) -> Incident:
        return incident(status=Status.RESOLVED, resolution=Resolution(cause), **fields)

    return make


# How a prediction is judged


def test_the_failure_types_of_the_two_causes_decide_where_both_are_known(ended: Make) -> None:
    assert judge(prediction(), ended("The resolver timed out: kube-dns was down"), 0.0) == Judgment(
        True, "failure type"
    )
    assert judge(prediction(), ended(DISK_CAUSE), 1.0) == Judgment(False, "failure type")


def test_a_stated_type_stands_for_the_words_of_the_cause(ended: Make) -> None:
    said = prediction(cause=VAGUE_CAUSE, failure_type=FailureType.DISK, type_stated=True)
    assert judge(said, ended(DISK_CAUSE)) == Judgment(True, "failure type")
    of_type = ended(VAGUE_CAUSE, failure_type=FailureType.DNS, failure_type_stated=True)
    assert judge(prediction(), of_type) == Judgment(True, "failure type")


def test_the_symptoms_of_an_incident_do_not_stand_for_its_cause(ended: Make) -> None:
    """An own classification of the whole text is no known type: alike symptoms may have two causes."""
    said = prediction(cause=VAGUE_CAUSE, failure_type=FailureType.DNS)
    assert judge(said, ended(DISK_CAUSE, failure_type=FailureType.DNS)) is None


def test_meaning_decides_where_a_type_is_unknown_and_nothing_does_without_it(ended: Make) -> None:
    assert judge(prediction(), ended(VAGUE_CAUSE), SAME_MEANING) == Judgment(True, "meaning")
    assert judge(prediction(), ended(VAGUE_CAUSE), SAME_MEANING - 0.01) == Judgment(False, "meaning")
    assert judge(prediction(), ended(VAGUE_CAUSE)) is None
    assert judge(prediction(), ended(None), 1.0) is None


@pytest.mark.parametrize("word", [True, False])
def test_the_word_of_the_resolver_stands_above_all_else(ended: Make, word: bool) -> None:
    assert judge(prediction(), ended(DISK_CAUSE), 0.0, word) == Judgment(word, "resolver")


@pytest.mark.parametrize("word", [True, False, None])
def test_what_named_no_cause_abstained_whatever_anyone_says(ended: Make, word: bool | None) -> None:
    assert judge(prediction(cause=None), ended(DISK_CAUSE), 1.0, word) == Judgment(None, "abstained")


# In the store


def test_a_judged_prediction_is_the_one_that_counts_from_then_on(store: IncidentStore) -> None:
    assert store.prediction_to_judge("a1") is None
    store.remember_prediction(prediction(stated=0.6, raw_confidence=0.7, type_stated=True, matches=("x", "y")))
    store.remember_prediction(prediction(stated=0.8))
    last = store.prediction_to_judge("a1")
    assert last is not None
    assert (last.prediction, last.judgment) == (prediction(stated=0.8), None)
    store.keep_judgment(last.number, Judgment(True, "meaning"))
    store.remember_prediction(prediction(stated=0.9))  # by an analysis that was under way
    assert store.prediction_to_judge("a1") == replace(last, judgment=Judgment(True, "meaning"))
    assert store.prediction_counts() == PredictionCounts(1, 1, 1, 0)
    store.keep_judgment(last.number, None)
    assert store.prediction_counts() == PredictionCounts(1, 0, 0, 0)


def test_another_process_learns_of_a_judgment(again: Callable[[], IncidentStore]) -> None:
    mine, theirs = again(), again()
    mine.remember_prediction(prediction())
    before = theirs.judgment_stamp()
    kept = mine.prediction_to_judge("a1")
    assert kept is not None
    stamps = [before]
    for judgment in (Judgment(True, "meaning"), Judgment(False, "resolver"), None):
        mine.keep_judgment(kept.number, judgment)
        stamps.append(theirs.judgment_stamp())
    assert stamps[1] != stamps[0]
    assert stamps[2] != stamps[1]
    assert stamps[3] == stamps[0]


def test_a_file_of_the_first_schema_keeps_its_predictions(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with closing(sqlite3.connect(path)) as db:
        MIGRATIONS[0](db)
        db.execute(
            "INSERT INTO prediction (incident_id, at, root_cause, failure_type, confidence, matches, engine)"
            " VALUES ('old', '2026-01-02T03:04:05Z', 'CoreDNS was down', 'dns-failure', 0.83, '[\"x\"]', 'memory')"
        )
        db.execute("PRAGMA user_version = 1")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.commit()
    store = SqliteStore(path)
    kept = store.prediction_to_judge("old")
    assert kept is not None
    assert kept.judgment is None
    said = kept.prediction
    assert (said.confidence, said.raw_confidence, said.matches, said.type_stated) == (0.83, 0.83, ("x",), False)
    assert store.prediction_counts() == PredictionCounts(1, 0, 0, 0)
    store.close()


# In the memory


@pytest.fixture
def memory(open_memory: Open, words: Callable[[], Embedder]) -> IncidentMemory:
    return open_memory(words())


def predicted(memory: IncidentMemory, title: str, cause: str | None = DNS_CAUSE, stated: float = 0.72) -> str:
    """An open incident for which that was predicted; its id."""
    told, _ = memory.open_incident(title, "")
    memory.learning.remember(prediction(told.id, cause, stated))
    return told.id


def judgment_of(memory: IncidentMemory, incident_id: str) -> Judgment | None:
    kept = memory.learning.prediction_of(incident_id)
    return kept.judgment if kept else None


def many_judged(memory: IncidentMemory, count: int, right: int, stated: float = 0.85) -> None:
    for number in range(count):
        memory.learning.remember(prediction(f"past-{number}", stated=stated))
        kept = memory.store.prediction_to_judge(f"past-{number}")
        assert kept is not None
        memory.store.keep_judgment(kept.number, Judgment(number < right, "resolver"))


def test_a_resolution_judges_the_last_prediction_and_an_amendment_judges_it_again(memory: IncidentMemory) -> None:
    its_id = predicted(memory, "lookups fail", DISK_CAUSE, 0.9)
    memory.learning.remember(prediction(its_id, DNS_CAUSE, 0.7))
    memory.resolve(its_id, "kube-dns was down", [Step("restart")], None)
    assert judgment_of(memory, its_id) == Judgment(True, "failure type")
    assert memory.store.judged_predictions(9)[0].stated == 0.7
    memory.resolve(its_id, "the disk was full, ENOSPC", [Step("clean up")], None)
    assert judgment_of(memory, its_id) == Judgment(False, "failure type")
    assert memory.store.prediction_counts() == PredictionCounts(1, 1, 0, 0)


def test_a_word_stands_until_the_cause_is_another_one(memory: IncidentMemory) -> None:
    its_id = predicted(memory, "lookups fail")
    memory.resolve(its_id, DISK_CAUSE, [Step("restart")], None, analysis_was_right=True)
    assert judgment_of(memory, its_id) == Judgment(True, "resolver")
    memory.resolve(its_id, DISK_CAUSE, [Step("restart"), Step("clean up")], "an alert")
    assert judgment_of(memory, its_id) == Judgment(True, "resolver")
    memory.resolve(its_id, DISK_CAUSE + " again", [Step("restart")], None)
    assert judgment_of(memory, its_id) == Judgment(False, "failure type")
    memory.resolve(its_id, DISK_CAUSE + " again", [Step("restart")], None, analysis_was_right=True)
    assert judgment_of(memory, its_id) == Judgment(True, "resolver")


def test_meaning_is_asked_of_the_model_where_the_types_do_not_tell(memory: IncidentMemory) -> None:
    same, other = predicted(memory, "gate shut", VAGUE_CAUSE), predicted(memory, "door shut", VAGUE_CAUSE)
    memory.resolve(same, "the rota of the keeper was forgotten", [Step("call her")], None)
    memory.resolve(other, "somebody lost a key", [Step("find it")], None)
    assert judgment_of(memory, same) == Judgment(True, "meaning")
    assert judgment_of(memory, other) == Judgment(False, "meaning")


def test_without_a_model_only_words_and_types_judge(open_memory: Open) -> None:
    memory = open_memory(None)
    vague, plain = predicted(memory, "gate shut", VAGUE_CAUSE), predicted(memory, "lookups fail")
    memory.resolve(vague, VAGUE_CAUSE, [Step("call her")], None)
    memory.resolve(plain, "kube-dns was down", [Step("restart")], None)
    assert judgment_of(memory, vague) is None
    assert judgment_of(memory, plain) == Judgment(True, "failure type")
    memory.resolve(vague, VAGUE_CAUSE, [Step("call her")], None, analysis_was_right=True)
    assert judgment_of(memory, vague) == Judgment(True, "resolver")


def test_a_prediction_that_named_no_cause_is_counted_as_abstained(memory: IncidentMemory) -> None:
    memory.resolve(predicted(memory, "gate shut", None, FLOOR), VAGUE_CAUSE, [Step("call her")], None)
    assert memory.store.prediction_counts() == PredictionCounts(1, 0, 0, 1)
    assert memory.store.judged_predictions(9) == []


def test_a_resolution_that_is_not_stored_judges_nothing(memory: IncidentMemory, monkeypatch: Any) -> None:
    its_id = predicted(memory, "lookups fail")
    stale = memory.get(its_id)
    memory.resolve(its_id, "kube-dns was down", [Step("restart")], None)
    monkeypatch.setattr(memory, "get", lambda _: stale)  # as another process that read it before
    with pytest.raises(InvalidInput, match="somebody else"):
        memory.resolve(its_id, DISK_CAUSE, [Step("clean up")], None)
    assert judgment_of(memory, its_id) == Judgment(True, "failure type")


def test_a_file_that_resolves_an_incident_judges_too_but_a_bulk_guess_does_not(memory: IncidentMemory) -> None:
    told, guessed = (memory.get(predicted(memory, title)) for title in ("lookups fail", "names are gone"))
    done = {"status": Status.RESOLVED, "source": "a file"}
    memory.import_batch(
        [
            replace(told, resolution=Resolution("kube-dns was down", (), None, Provenance.IMPORTED), **done),
            replace(guessed, resolution=Resolution("kube-dns was down", (), None, Provenance.INFERRED), **done),
        ],
        embed=True,
    )
    assert judgment_of(memory, told.id) == Judgment(True, "failure type")
    assert judgment_of(memory, guessed.id) is None


def test_the_recalibration_follows_judgments_of_another_process(
    open_memory: Open, words: Callable[[], Embedder]
) -> None:
    mine, theirs = open_memory(words()), open_memory(words())
    many_judged(theirs, MIN_JUDGED - 1, 10)
    assert not mine.learning.recalibration().in_force
    known = mine.learning.recalibration()
    assert mine.learning.recalibration() is known
    its_id = predicted(theirs, "lookups fail")
    theirs.resolve(its_id, DISK_CAUSE, [Step("clean up")], None)
    found = mine.learning.recalibration()
    assert (found.in_force, found.judged) == (True, MIN_JUDGED)
    assert found.apply(0.85) < 0.6


def test_the_track_record_says_in_a_sentence_how_it_stands(memory: IncidentMemory) -> None:
    assert memory.learning.track_record().summary == "none of 0 analysed incidents judged yet"
    predicted(memory, "still open")
    many_judged(memory, 20, 14)
    memory.resolve(predicted(memory, "gate shut", None, FLOOR), VAGUE_CAUSE, [Step("call her")], None)
    record = memory.learning.track_record()
    assert record.summary == (
        "20 judged of 22 analysed, 70% right where 85% was stated (1 more named no cause); figures are recalibrated "
        "from 30 judged on"
    )
    many_judged(memory, 40, 20)
    record = memory.learning.track_record()
    assert record.summary.endswith("figures are recalibrated on them")
    told = record.as_json()
    assert json.loads(json.dumps(told)) == told
    assert (told["predictions"], told["recalibration"]["in_force"]) == (42, True)


def test_a_record_of_nothing_is_empty() -> None:
    record = TrackRecord.of(PredictionCounts(0, 0, 0, 0), [])
    assert (record.stated, record.bands, record.recalibration) == (None, (), Recalibration())


# Through the server


async def told(client: Any, tool: str, **arguments: Any) -> tuple[dict[str, Any], str]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content, result.content[0].text


async def status(client: Any) -> Any:
    return json.loads((await client.read_resource("incidents://status")).contents[0].text)["track_record"]


@pytest.mark.slow
@pytest.mark.anyio
async def test_an_assistant_sees_how_its_analysis_came_out_and_then_recalibrated_figures(
    sample_home: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    home = sample_home()
    known = sample()[0]
    async with connect(home) as client:
        alert = {"title": f"{known.title} again", "description": known.description, "service": known.service}
        first, _ = await told(client, "analyze_incident", **alert)
        assert "root_cause" in first
        assert "Recalibrated" not in first["confidence_basis"]
        before = await status(client)
        assert (before["predictions"], before["judged"], before["reliability"]) == (1, 0, [])

        resolution = {"root_cause": known.root_cause, "mitigation_steps": ["rolled back"]}
        receipt, text = await told(client, "resolve_incident", incident_id=first["incident_id"], **resolution)
        assert receipt["analysis_was_right"] is True
        assert f"at {first['confidence']:.0%}: right, by " in receipt["earlier_analysis"]
        assert receipt["earlier_analysis"] in text
        receipt, text = await told(
            client, "resolve_incident", incident_id=first["incident_id"], analysis_was_right=False, **resolution
        )
        assert receipt["analysis_was_right"] is False
        assert receipt["earlier_analysis"].endswith("wrong, as you say.")
        after = await status(client)
        assert (after["predictions"], after["judged"], after["right"], after["abstained"]) == (1, 1, 0, 0)
        assert after["recalibration"]["in_force"] is False
        assert [(band["count"], band["right"]) for band in after["reliability"]] == [(1, 0)]

        unknown, _ = await told(client, "analyze_incident", title="The office plants have dried out")
        receipt, text = await told(
            client, "resolve_incident", incident_id=unknown["incident_id"], root_cause="a holiday",
            mitigation_steps=["watered them"],
        )  # fmt: skip
        assert "analysis_was_right" not in receipt
        assert "counts neither as right nor as wrong" in text
        assert (await status(client))["abstained"] == 1

        store = SqliteStore(home / "memory.db")  # another server of the user's on the same memory
        for number in range(40):
            store.remember_prediction(prediction(f"past-{number}", stated=0.85))
            kept = store.prediction_to_judge(f"past-{number}")
            assert kept is not None
            store.keep_judgment(kept.number, Judgment(number < 12, "resolver"))

        again, text = await told(client, "analyze_incident", **alert)
        basis = again["confidence_basis"]
        assert "on 41 judged analyses of this memory: " in basis
        assert basis in text
        assert f"Confidence: {again['confidence']:.0%}." in again["ai_analysis"]
        kept = store.prediction_to_judge(again["incident_id"])
        store.close()
        assert kept is not None
        assert kept.prediction.confidence == again["confidence"] < 0.6
        assert f"Recalibrated from {kept.prediction.raw_confidence:.0%} on 41 " in basis
        new, _ = await told(client, "analyze_incident", title="The kitchen tap drips")
        assert (new["confidence"], "Recalibrated" in new["confidence_basis"]) == (FLOOR, False)
        state = await status(client)
        assert (state["judged"], state["right"], state["recalibration"]["in_force"]) == (41, 12, True)

    assert doctor(Settings(INCIDENTOS_HOME=home), as_json=False) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "track record" in line)
    assert "41 judged of 44 analysed, 29% right where 8" in line
    assert "figures are recalibrated on them" in line
