"""What a query's own shape does to what is found: its service, its first sentence, what was just stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from incidentos.memory.embedding.recent import RecentVectors
from incidentos.memory.errors import EmbeddingError
from incidentos.memory.incident import Incident, Status
from incidentos.memory.index.fields import embedded_texts
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import COUNTS_FROM

Open = Callable[..., IncidentMemory]
Make = Callable[..., Incident]

ALERT = "HikariPool-1 - Connection is not available, request timed out after 30000ms"


@pytest.fixture
def memory(open_memory: Open, words: Callable[[], Embedder]) -> IncidentMemory:
    return open_memory(words())


def test_another_trouble_of_one_service_is_not_taken_for_the_last_one(
    open_memory: Open, real_embedder: Embedder, incident: Make
) -> None:
    """That both name the service says where, and not what. To say which it is never counts against the right one."""
    memory = open_memory(real_embedder)
    past = incident(title="Kafka broker down", description="", service="kafka", status=Status.RESOLVED)
    past = replace(past, created_at=past.updated_at - timedelta(days=30))
    memory.import_batch([past], embed=True)

    def p(service: str | None) -> float:
        asked = incident("b2", title="Kafka consumer lag", description="", service=service)
        return memory.find(asked.text, 5, about=asked).matches[0].probability

    assert COUNTS_FROM > p("kafka") > p(None) > p("checkout")


def test_the_first_sentence_of_a_long_text_finds_the_heading(memory: IncidentMemory, incident: Make) -> None:
    memory.import_batch([incident(title=ALERT, description="the pods restart")], embed=True)
    rest = "Ask the owner of the service before you do anything to it, and look into the log of the last hour. " * 5
    alone, with_rest = (memory.find(text, 5).matches[0].hit for text in (ALERT, f"{ALERT}\n{rest}"))
    assert alone.closeness.title == with_rest.closeness.title == pytest.approx(1.0, abs=1e-3)
    assert alone.cosine is not None
    assert with_rest.cosine is not None
    assert with_rest.cosine < alone.cosine


def test_what_was_just_stored_is_not_embedded_again_to_ask_for_it(
    open_memory: Open, words: Callable[[], Embedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, embedder = open_memory(words()), words()
    embedded: list[str] = []
    embed = type(embedder).embed
    monkeypatch.setattr(type(embedder), "embed", lambda self, texts: embedded.extend(texts) or embed(self, texts))
    stored, _ = memory.open_incident(ALERT, "The pods restart. Nobody can pay.")
    memory.find(stored.text, 5, about=stored)
    assert embedded
    assert sorted(set(embedded)) == sorted(set(embedded_texts(stored)))
    assert len(embedded) == len(embedded_texts(stored))
    embedded.clear()
    memory.find("Something else. And more of it", 5)
    assert embedded == ["Something else. And more of it", "Something else."]


def test_vectors_of_one_model_are_not_given_for_another(words: Callable[..., Embedder]) -> None:
    recent, one, other = RecentVectors(), words("one"), words("other", 32)
    (of_one,), (of_other,) = recent.of(one, ["pool"]), recent.of(other, ["pool"])
    assert of_one is not None
    assert of_other is not None
    assert (len(of_one), len(of_other)) == (64, 32)
    assert recent.of(None, ["pool", "pool is empty"]) == [None, None]


def test_a_model_that_fails_leaves_a_query_to_its_words(
    words: Callable[..., Embedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, recent = words(), RecentVectors()

    def fail(_: object, texts: object) -> None:
        raise EmbeddingError("no memory left")

    monkeypatch.setattr(type(embedder), "embed", fail)
    assert recent.of(embedder, ["pool", "pool is empty"]) == [None, None]
