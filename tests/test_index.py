"""What a user may rely on in search: the terms of a text, BM25, exact cosine, and chunks that lose nothing."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentos.memory.index import lexical
from incidentos.memory.index.background import STRENGTH, background
from incidentos.memory.index.columns import Column
from incidentos.memory.index.lexical import K1, B, LexicalIndex
from incidentos.memory.index.semantic import SemanticIndex
from incidentos.memory.index.tokens import STOP_WORDS, surface_forms, terms
from incidentos.memory.text import CHUNK, MAX_CHUNKS, chunks

# BM25

WORDS = st.sampled_from("pool db dns oom cert disk cache node".split())
DOCUMENT = st.lists(WORDS, max_size=12).map(Counter)
STEP = st.one_of(st.tuples(st.just("add"), DOCUMENT), st.tuples(st.just("remove"), st.integers(0, 30)))


def naive_bm25(documents: Mapping[int, Counter[str]], query: Mapping[str, float]) -> dict[int, float]:
    """The formula of Robertson and Zaragoza with Lucene's idf, term by term, over the documents that are left; for the idf,
    as if STRENGTH incident reports at large were among them."""
    count = len(documents)
    average = sum(d.total() for d in documents.values()) / count if count else 1.0
    found = dict.fromkeys(documents, 0.0)
    for slot, document in documents.items():
        for term, weight in query.items():
            holding = sum(term in other for other in documents.values()) + STRENGTH * background().term(term)
            idf = math.log(1 + (count + STRENGTH - holding + 0.5) / (holding + 0.5))
            frequency = document[term]
            norm = K1 * (1 - B + B * document.total() / (average or 1.0))
            if frequency:
                found[slot] += weight * idf * (K1 + 1) * frequency / (frequency + norm)
    return found


@settings(max_examples=80, deadline=None)
@given(st.lists(STEP, max_size=25), DOCUMENT)
def test_the_lexical_index_gives_bm25_whatever_was_added_and_removed(
    steps: list[tuple[str, object]], query: Counter[str]
) -> None:
    index = LexicalIndex()
    left: dict[int, Counter[str]] = {}
    slots = 0
    for action, value in steps:
        if action == "add":
            assert isinstance(value, Counter)
            index.add(slots, value)
            left[slots] = value
            slots += 1
        elif isinstance(value, int) and value < slots:
            index.remove(value)
            left.pop(value, None)
        assert len(index) == len(left)
        idf = index.idf(query)
        scores = index.scores({term: weight * idf[term] for term, weight in query.items()})
        assert scores.shape == (slots,)
        for slot, wanted in naive_bm25(left, query).items():
            assert scores[slot] == pytest.approx(wanted, rel=1e-4, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.lists(DOCUMENT, min_size=1, max_size=8), st.integers(0, 8), DOCUMENT)
def test_the_share_of_a_perfect_match_is_the_same_whatever_else_is_stored(
    documents: list[Counter[str]], frozen: int, query: Counter[str]
) -> None:
    first = LexicalIndex()
    for slot, document in enumerate(documents[:frozen]):
        first.add(slot, document)
    index = LexicalIndex(first.freeze(np.ones(len(documents[:frozen]), dtype=np.bool_)))
    for slot, document in enumerate(documents[frozen:], len(documents[:frozen])):
        index.add(slot, document)
    shares = index.shares(np.arange(len(documents)), query)
    for share, document in zip(shares, documents, strict=True):
        alone = LexicalIndex()
        alone.add(0, document)
        assert share == pytest.approx(float(alone.shares(np.array([0]), query)[0]), abs=1e-6)
        assert (share > 0) == any(document[term] and weight for term, weight in query.items())
        assert share < 1


def test_a_rarer_term_counts_more_and_an_unknown_one_most() -> None:
    index = LexicalIndex()
    for slot, words in enumerate(("pool db", "pool", "pool cert")):
        index.add(slot, Counter(words.split()))
    idf = index.idf(["pool", "db", "never seen"])
    assert idf["pool"] < idf["db"] < idf["never seen"]
    assert index.scores({"never seen": 1.0}).tolist() == [0, 0, 0]


def test_many_documents_are_scored_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    index = LexicalIndex()
    for slot, words in enumerate(("pool db", "pool", "pool cert", "db db disk")):
        index.add(slot, Counter(words.split()))
    of_few = index.scores({"pool": 1.0, "db": 2.0, "never seen": 3.0})
    monkeypatch.setattr(lexical, "_FEW", 0)
    assert index.scores({"pool": 1.0, "db": 2.0, "never seen": 3.0}).tolist() == of_few.tolist()


def test_a_document_out_of_order_is_refused() -> None:
    index = LexicalIndex()
    index.add(0, {"pool": 1})
    with pytest.raises(ValueError, match="out of order"):
        index.add(2, {"pool": 1})


# Cosine


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 4), max_size=30),
    st.integers(1, 8),
    st.integers(0, 2**32 - 1),
)
def test_the_semantic_index_gives_the_cosines_that_numpy_gives(counts: list[int], dimensions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def unit(rows: int) -> np.ndarray:
        found = rng.normal(size=(rows, dimensions)).astype(np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    index = SemanticIndex(dimensions)
    stored = [unit(count) if count else None for count in counts]
    for slot, rows in enumerate(stored):
        index.add(slot, rows)
    query = unit(1)[0]
    whole, best = index.scores(query)
    assert whole.shape == best.shape == (len(counts),)
    for slot, rows in enumerate(stored):
        cosines = [0.0] if rows is None else [float(row @ query) for row in rows]
        assert whole[slot] == pytest.approx(cosines[0], abs=1e-5)
        assert best[slot] == pytest.approx(max(cosines), abs=1e-5)


def test_a_column_holds_what_was_appended_however_often_it_grew() -> None:
    column: Column[np.float32] = Column(np.float32, 3)
    rows = np.arange(600, dtype=np.float32).reshape(200, 3)
    for row in rows[:100]:
        column.append(row)
    column.extend(rows[100:])
    assert len(column) == 200
    assert np.array_equal(column.view, rows)


# Terms


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("HikariPool-1 - Connection is not available", ["hikari", "pool", "HikariPool", "hikaripool-1", "connections"]),
        ("auth-service is down", ["auth", "service", "auth-service", "AUTH-SERVICE", "services"]),
        ("idle_in_transaction_session_timeout = 30s", ["transactions", "timeouts", "idle_in_transaction_session_timeout"]),
        ("upgrade to v2.41.3", ["v2.41.3", "V2.41.3"]),
        ("returning 503s since 02:14", ["503", "503s", "02:14"]),
        ("java.lang.OutOfMemoryError: Java heap space", ["OutOfMemoryError", "memory", "java.lang.outofmemoryerror", "heap"]),
        ("x509: certificate has expired", ["x509", "certificates", "expired", "expire"]),
        ("pods evicted on ip-10-0-3-17.eu-west-1.compute", ["ip-10-0-3-17.eu-west-1.compute", "compute", "pod"]),
        ("user@example.com got ORA-00060", ["ora-00060", "00060", "example"]),
        ("die Zertifikatsprüfung schlägt fehl", ["Zertifikatsprüfung", "ZERTIFIKATSPRÜFUNG", "schlägt"]),
        ("la réplication est en retard", ["réplication", "re\u0301plication", "Réplication"]),
        ("接続プール 枯渇", ["接続プール", "枯渇"]),
        ("ＤＮＳ ﬁles", ["DNS", "files"]),
        ("DB接続エラー", ["DB接続エラー", "接続エラー", "db"]),
    ],
)  # fmt: skip
def test_an_identifier_is_found_by_its_whole_and_by_its_parts(text: str, queries: list[str]) -> None:
    held = set(terms(text))
    for query in queries:
        assert held & set(terms(query)), f"{query!r} does not find {text!r}: {sorted(held)}"


@pytest.mark.parametrize(
    ("text", "query"),
    [("the pool is on a host", "the is on a"), ("v2.41", "v3"), ("Résumé", "sum"), ("réplication", "plication")],
)
def test_a_text_is_not_found_by_what_it_does_not_say(text: str, query: str) -> None:
    assert not set(terms(text)) & set(terms(query))


@given(st.text())
def test_any_text_has_terms_and_none_is_empty_or_a_stop_word(text: str) -> None:
    found = terms(text)
    assert all(found)
    assert not STOP_WORDS & set(terms(" ".join(sorted(STOP_WORDS))))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_the_words_shown_for_a_match_stand_in_the_text(text: str) -> None:
    composed = unicodedata.normalize("NFKC", text)
    for term, word in surface_forms(text).items():
        assert word in composed
        assert term in terms(text)


@pytest.mark.slow
def test_a_megabyte_of_one_word_is_read_without_a_compound_of_that_length() -> None:
    found = terms("ab-" * 300_000)
    assert max(map(len, found)) <= 64


# Chunks


@given(st.text(alphabet="ab .\né🔥", max_size=4 * CHUNK))
def test_the_chunks_of_a_text_are_the_text(text: str) -> None:
    found = chunks(text)
    if len(text) <= CHUNK:
        assert found == []
    else:
        assert "".join(found) == text
        assert all(0 < len(chunk) <= CHUNK for chunk in found)


def test_the_chunks_of_a_very_long_text_cover_its_beginning_up_to_the_limit() -> None:
    text = "One sentence of a log. " * 50_000
    found = chunks(text)
    assert len(found) == MAX_CHUNKS
    assert text.startswith("".join(found))
    assert all(len(chunk) > CHUNK // 2 for chunk in found)
    assert all(chunk.endswith(".") for chunk in found)
