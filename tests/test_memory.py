"""What a user may rely on of the memory as the tools see it, whatever the embedding model does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incidentos.memory.embedding import background
from incidentos.memory.errors import EmbeddingError, InvalidInput, UnknownIncident
from incidentos.memory.incident import FailureType, Incident, Outcome, Provenance, Resolution, Status, Step
from incidentos.memory.index.fields import embedded_texts
from incidentos.memory.memory import Imported, IncidentMemory
from incidentos.memory.ports import Embedder, Filter
from incidentos.memory.recall import Scope

Open = Callable[..., IncidentMemory]
Make = Callable[..., Incident]

ALERT = "HikariPool-1 - Connection is not available, request timed out after 30000ms"
RESTART = Step("Restart the pods: `kubectl rollout restart deploy/auth`", "kubectl rollout restart deploy/auth")


@pytest.fixture
def memory(open_memory: Open, words: Callable[[], Embedder]) -> IncidentMemory:
    return open_memory(words())


def until_embedded(memory: IncidentMemory) -> None:
    """Wait for the background embedder; a deadline, no measurement."""
    pause = threading.Event()
    for _ in range(3000):
        if memory.embedder.state == "ready" and not memory.counts().without_vectors:
            return
        pause.wait(0.01)
    raise AssertionError("not embedded")


def found(memory: IncidentMemory, text: str, **scope: Any) -> list[str]:
    return [match.incident.id for match in memory.find(text, 10, Scope(**scope)).matches]


# Repeats


@pytest.mark.parametrize("again", ["db  POOL\n full\t", "DB pool full", "ＤＢ pool full"])
def test_an_open_incident_told_again_in_other_case_and_space_is_the_same(memory: IncidentMemory, again: str) -> None:
    first, repeated = memory.open_incident("DB pool", "full")
    assert not repeated
    assert memory.open_incident(again, "") == (first, True)
    assert memory.counts().incidents == 1


def test_an_incident_that_was_resolved_is_not_repeated_but_opened_anew(memory: IncidentMemory) -> None:
    first, _ = memory.open_incident("DB pool full", ALERT)
    memory.resolve(first.id, "a leak", [RESTART], None)
    second, repeated = memory.open_incident("DB pool full", ALERT)
    assert not repeated
    assert second.id != first.id


def test_words_that_mean_the_same_are_the_same_incident(open_memory: Open, real_embedder: Embedder) -> None:
    memory = open_memory(real_embedder)
    first, _ = memory.open_incident("DB connection pool at 95% on auth-service", ALERT, "auth-service")
    near = memory.open_incident("DB connection pool at 96% on auth-service", ALERT, "auth-service")
    assert near == (first, True)
    assert memory.open_incident("Certificate of api.example.com expired", "x509 errors", "auth-service")[1] is False


def test_nearly_the_same_words_about_another_service_are_another_incident(
    open_memory: Open, real_embedder: Embedder
) -> None:
    memory = open_memory(real_embedder)
    memory.open_incident("DB connection pool at 95%", ALERT, "auth-service")
    assert memory.open_incident("DB connection pool at 96%", ALERT, "checkout")[1] is False


def test_the_same_words_about_another_service_are_another_incident(memory: IncidentMemory) -> None:
    first, _ = memory.open_incident("DB connection pool at 95%", ALERT, "auth-service")
    second, repeated = memory.open_incident("DB connection pool at 95%", ALERT, "checkout")
    assert (repeated, second.service) == (False, "checkout")
    assert second.id != first.id


def test_a_service_that_is_told_later_is_not_lost(open_memory: Open, real_embedder: Embedder) -> None:
    """An open incident that names none is not taken for it, whether the words are the same or nearly so."""
    memory = open_memory(real_embedder)
    memory.open_incident("DB connection pool at 95%", ALERT)
    for percent in (95, 97):
        stored, _ = memory.open_incident(f"DB connection pool at {percent}%", ALERT, "auth")
        assert stored.service == "auth"
    assert memory.open_incident("DB connection pool at 95%", ALERT) == (stored, True)


# Resolving


def test_a_resolution_is_read_back_as_it_was_told_and_the_history_keeps_the_open_record(
    memory: IncidentMemory,
) -> None:
    opened, _ = memory.open_incident("DB pool full", ALERT, "auth", "SEV1")
    done, amended = memory.resolve(opened.id, "connections leaked by the audit log", [RESTART], "a pool limit")
    assert (done.status, done.revision, amended) == (Status.RESOLVED, 2, False)
    assert done.resolution == Resolution(
        "connections leaked by the audit log", (RESTART,), "a pool limit", Provenance.CONFIRMED
    )
    assert done.failure_type is FailureType.CONNECTION_POOL
    assert done.resolved_at is not None
    assert [(e.action, e.previous) for e in memory.history(opened.id)] == [("created", None), ("resolved", opened)]


def test_a_second_resolution_amends_and_keeps_the_first_and_its_date(memory: IncidentMemory) -> None:
    opened, _ = memory.open_incident("DB pool full", ALERT)
    first, _ = memory.resolve(opened.id, "a leak", [RESTART], None)
    second, amended = memory.resolve(opened.id, "a slow query", [], None)
    assert (amended, second.root_cause, second.revision) == (True, "a slow query", 3)
    assert second.resolved_at == first.resolved_at
    assert [(e.action, e.previous and e.previous.root_cause) for e in memory.history(opened.id)] == [
        ("created", None),
        ("resolved", None),
        ("amended", "a leak"),
    ]


def test_an_unknown_id_is_told_with_the_ids_that_come_close(memory: IncidentMemory) -> None:
    opened, _ = memory.open_incident("DB pool full", ALERT)
    with pytest.raises(UnknownIncident, match=f"Similar ids: {opened.id}"):
        memory.resolve(opened.id[:4] + "zzzz", "a leak", [RESTART], None)
    for malformed in ("..", "../x", "", "a/b", "\ud800", "x" * 129):
        with pytest.raises(InvalidInput, match="cannot be an incident id"):
            memory.get(malformed)


def test_what_was_resolved_a_moment_ago_is_found_by_its_cause(memory: IncidentMemory) -> None:
    memory.open_incident("unrelated", "disk full on node-3")
    opened, _ = memory.open_incident("logins fail", "503 everywhere")
    memory.resolve(opened.id, "expired intermediate certificate", [RESTART], None)
    assert found(memory, "intermediate certificate")[0] == opened.id


# Secrets

SECRETS = ("hunter2secret", "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefghijABCDEFGHIJ012345")


def test_a_secret_never_reaches_the_disk(memory: IncidentMemory, incident: Make, tmp_path: Path) -> None:
    told = " ".join(SECRETS[1:]) + f" postgres://auth:{SECRETS[0]}@pg-1/auth --password={SECRETS[0]}"
    opened, _ = memory.open_incident(f"login {told}", f"tried {told}", "auth", f"SEV1 {told}")
    memory.resolve(opened.id, told, [Step(f"run {told}", f"psql {told}", Outcome.WORKED)], told)
    imported = incident("imported", f"title {told}", description=told, url=f"https://u:{SECRETS[0]}@host/")
    memory.import_batch([replace(imported, resolution=Resolution(told, (Step(told),), told))], embed=True)
    memory.find(told, 5)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"[redacted" in on_disk
    assert (tmp_path / "memory.db-wal").stat().st_size > 0
    for secret in SECRETS:
        assert secret.encode() not in on_disk


# Importing


@pytest.fixture
def history(incident: Make) -> list[Incident]:
    causes = ["a leak", "an expired certificate", None]
    return [
        incident(
            f"INC{n}", f"alert {n}", description=f"symptom {n}", status=Status.RESOLVED,
            resolution=Resolution(cause, (RESTART,), None, Provenance.IMPORTED),
        )
        for n, cause in enumerate(causes)
    ]  # fmt: skip


def test_importing_the_same_again_changes_nothing(memory: IncidentMemory, history: list[Incident]) -> None:
    assert memory.import_batch(history, embed=True) == Imported(added=3)
    before = [(s.incident, memory.history(s.incident.id)) for s in memory.store.scan(None)]
    for _ in range(3):
        assert memory.import_batch(history, embed=True) == Imported(unchanged=3)
    assert [(s.incident, memory.history(s.incident.id)) for s in memory.store.scan(None)] == before
    assert memory.counts().without_vectors == 0


def test_a_changed_row_updates_the_incident_once(memory: IncidentMemory, history: list[Incident]) -> None:
    memory.import_batch(history, embed=False)
    changed = [replace(history[0], title="renamed"), *history[1:]]
    assert memory.import_batch(changed, embed=False) == Imported(updated=1, unchanged=2)
    assert memory.import_batch(changed, embed=False) == Imported(unchanged=3)
    assert memory.get("INC0").title == "renamed"
    assert [e.action for e in memory.history("INC0")] == ["imported", "imported"]


def test_the_last_of_two_rows_with_one_id_counts(memory: IncidentMemory, history: list[Incident]) -> None:
    twice = [history[0], replace(history[0], title="later")]
    assert memory.import_batch(twice, embed=False) == Imported(added=1, updated=1)
    assert memory.get("INC0").title == "later"


def test_what_a_person_confirmed_stands_against_any_file(memory: IncidentMemory, history: list[Incident]) -> None:
    memory.import_batch(history, embed=False)
    confirmed, _ = memory.resolve("INC0", "the true cause", [RESTART], None)
    outcome = memory.import_batch([replace(history[0], title="from the file")], embed=False)
    assert outcome == Imported(kept=("INC0",))
    assert memory.get("INC0") == confirmed


def test_an_open_row_never_reopens_a_resolved_incident(memory: IncidentMemory, history: list[Incident]) -> None:
    memory.import_batch(history, embed=False)
    opened = replace(history[1], status=Status.OPEN, resolution=None)
    assert memory.import_batch([opened], embed=False) == Imported(kept=("INC1",))
    assert memory.get("INC1").status is Status.RESOLVED


def test_a_dry_run_counts_the_same_and_writes_nothing(memory: IncidentMemory, history: list[Incident]) -> None:
    assert memory.import_batch(history, embed=True, dry_run=True) == Imported(added=3)
    assert (memory.counts().incidents, memory.store.last_event()) == (0, 0)
    memory.import_batch(history[:1], embed=False)
    event = memory.store.last_event()
    changed = [replace(history[0], title="renamed"), *history[1:]]
    assert memory.import_batch(changed, embed=True, dry_run=True) == Imported(added=2, updated=1)
    assert (memory.counts().incidents, memory.store.last_event()) == (1, event)


def test_a_batch_with_an_id_of_another_origin_is_refused_whole(memory: IncidentMemory, history: list[Incident]) -> None:
    memory.import_batch(history[:1], embed=False)
    stranger = replace(history[0], external_id="another tracker's")
    with pytest.raises(InvalidInput, match="already stands for"):
        memory.import_batch([history[1], stranger], embed=False)
    assert memory.counts().incidents == 1


# Recall


def test_what_another_process_stored_is_found_in_the_next_call(open_memory: Open, words: Any) -> None:
    mine, theirs = open_memory(words()), open_memory(words())
    assert found(mine, "certificate") == []
    told, _ = theirs.open_incident("certificate expired", "x509")
    assert found(mine, "certificate") == [told.id]
    theirs.resolve(told.id, "nobody renewed the wildcard", [RESTART], None)
    match = mine.find("wildcard", 1).matches[0]
    assert (match.incident.id, match.incident.status) == (told.id, Status.RESOLVED)


def test_a_scope_leaves_out_everything_else(memory: IncidentMemory, incident: Make) -> None:
    at = incident().created_at
    memory.import_batch(
        [
            incident("old", description="pool", created_at=at - timedelta(days=30), service="auth"),
            incident("new", description="pool", service="Auth", status=Status.RESOLVED),
            incident("undated", description="pool", created_at=None),
        ],
        embed=True,
    )
    assert set(found(memory, "pool")) == {"old", "new", "undated"}
    assert found(memory, "pool", status=Status.RESOLVED) == ["new"]
    assert set(found(memory, "pool", service="AUTH")) == {"old", "new"}
    assert found(memory, "pool", since=at) == ["new"]
    assert found(memory, "pool", before=at) == ["old"]
    assert found(memory, "pool", service="nobody") == []


def test_every_match_says_why_and_how_likely_it_is(memory: IncidentMemory) -> None:
    memory.open_incident("DB pool full", ALERT, "auth")
    match = memory.find("HikariPool-1 timed out", 5, Scope(service="auth")).matches[0]
    assert 0 < match.probability < 1
    assert any(reason.startswith("shares ") and "HikariPool-1" in reason for reason in match.why)
    assert "same service auth" in match.why


def test_any_text_may_be_asked_for(memory: IncidentMemory) -> None:
    memory.open_incident("DB pool full", ALERT)
    for text in ("", " ", "the of and", "\x00", "🔥" * 100, "x" * 1_000_000, "(?:" * 100, "%_'\";--"):
        assert len(memory.find(text, 5).matches) == 1
    assert memory.find("pool", 0).matches == ()


@pytest.fixture
def held_back(words: Callable[[], Embedder]) -> Iterator[tuple[Callable[[], Embedder], threading.Event]]:
    """A loader that waits until it is let go, as a model that takes long to load."""
    go = threading.Event()

    def load() -> Embedder:
        go.wait()
        return words()

    yield load, go
    go.set()


def test_recall_works_by_words_while_the_model_loads_and_by_meaning_after(
    open_memory: Open, held_back: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "GRACE", 0.0)  # seconds that a first call gives a model that loads
    load, go = held_back
    memory = open_memory(load, ready=False)
    told, _ = memory.open_incident("DB pool full", ALERT)
    recalled = memory.find("HikariPool", 5)
    assert [match.incident.id for match in recalled.matches] == [told.id]
    assert recalled.matches[0].hit.best is None
    assert len(recalled.degraded) == 1
    assert "still loading" in recalled.degraded[0]
    go.set()
    until_embedded(memory)
    recalled = memory.find("HikariPool", 5)
    assert recalled.degraded == ()
    assert recalled.matches[0].hit.best is not None


def test_recall_works_by_words_when_there_is_no_model_and_says_why(
    open_memory: Open, history: list[Incident], capsys: pytest.CaptureFixture[str]
) -> None:
    memory = open_memory(None)
    with pytest.raises(EmbeddingError, match="no model in this test"):
        memory.embedder.wait()
    told, _ = memory.open_incident("DB pool full", ALERT)
    assert memory.open_incident("db POOL full", ALERT) == (told, True)
    memory.resolve(told.id, "a leak", [RESTART], None)
    recalled = memory.find("HikariPool", 5)
    assert [match.incident.id for match in recalled.matches] == [told.id]
    assert recalled.degraded == ("Recall is by words alone: There is no model in this test.",)
    assert memory.import_batch(history, embed=False) == Imported(added=3)
    with pytest.raises(EmbeddingError):
        memory.import_batch(history, embed=True)
    captured = capsys.readouterr()
    assert (captured.out, "no model in this test" in captured.err) == ("", True)


def test_a_loader_that_fails_in_an_unforeseen_way_is_reported_without_its_words(open_memory: Open) -> None:
    def broken() -> Embedder:
        raise RuntimeError("secret internals")

    memory = open_memory(broken, ready=False)
    with pytest.raises(EmbeddingError, match="RuntimeError") as failure:
        memory.embedder.wait()
    assert "secret internals" not in str(failure.value)
    assert memory.find("pool", 5).matches == ()


def test_a_changed_model_embeds_everything_anew_and_never_meets_vectors_of_the_old_one(
    open_memory: Open, words: Callable[..., Embedder], history: list[Incident]
) -> None:
    old = open_memory(words())
    old.import_batch(history, embed=True)
    other = words("others", 32)
    new = open_memory(other)
    new.warm_up()
    until_embedded(new)
    for stored in new.store.scan(other.identity):
        assert np.array_equal(stored.vectors, other.embed(embedded_texts(stored.incident)))
    for stored in new.store.scan(words().identity):
        assert np.array_equal(stored.vectors, words().embed(embedded_texts(stored.incident)))
    own = new.find(history[1].text, 1).matches[0]
    assert (own.incident.id, own.hit.cosine) == ("INC1", pytest.approx(1, abs=1e-5))
    told, _ = new.open_incident("told to the new model", "only")
    match = next(m for m in old.find("told to the new model only", 9).matches if m.incident.id == told.id)
    assert match.hit.best is None or match.hit.best == pytest.approx(1, abs=0.05) or match.hit.best == 0


def test_totals_follow_every_write(memory: IncidentMemory) -> None:
    first, _ = memory.open_incident("one", "1")
    memory.open_incident("another", "2")
    memory.resolve(first.id, "a leak", [RESTART], None)
    page = memory.page(Filter(), 10, None)
    assert (page.total, page.open, page.resolved) == (2, 1, 1)
    assert memory.counts().pending_sync == 2
