"""What a user may rely on of the fast embedder and of search in a large memory: the reference's vectors, and the hits of
an exact search."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx as library
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentos.memory.embedding import onnx
from incidentos.memory.embedding.onnx import PARITY, PROBES, OnnxEmbedder, cached, load_or_make
from incidentos.memory.embedding.sentence_transformer import BUNDLED_MODEL, SentenceTransformerEmbedder
from incidentos.memory.index import products, projections
from incidentos.memory.index.fusion import Arm, fused, highest
from incidentos.memory.index.projections import Rough
from incidentos.memory.index.semantic import SemanticIndex
from incidentos.memory.ports import Embedder

OTHERS = ("disk full on db-1", "p99 latency of checkout is 7 s since the rollout", "x509: certificate has expired")


# The embedder


def test_the_vector_of_a_text_does_not_depend_on_what_is_embedded_with_it(real_embedder: Embedder) -> None:
    """Alone, in company, twice, empty or of another script: the same numbers."""
    texts = [*PROBES, *OTHERS, "", "データベース接続プール", OTHERS[0]]
    together = real_embedder.embed(texts)
    alone = np.array([real_embedder.embed([text])[0] for text in texts])
    assert np.array_equal(together, alone)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_the_fast_model_computes_what_the_reference_computes(tmp_path: Path, real_embedder: Embedder) -> None:
    """In float32 to three digits and more, in int8 to two, on texts that set no range."""
    reference = SentenceTransformerEmbedder(BUNDLED_MODEL)
    expected = reference.embed([*PROBES, *OTHERS])
    onnx._export(reference, tmp_path / "fp32.onnx")
    onnx._fuse(tmp_path / "fp32.onnx")
    plain = OnnxEmbedder(tmp_path / "fp32.onnx").embed([*PROBES, *OTHERS])
    assert ((plain * expected).sum(axis=1)).min() >= PARITY
    assert ((real_embedder.embed([*PROBES, *OTHERS]) * expected).sum(axis=1)).min() >= 0.98


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_damaged_model_file_is_not_used_and_goes(model_cache: Path, tmp_path: Path, damage: str) -> None:
    """One byte is enough; the sound file beside it is."""
    sound = next(cached(model_cache))
    content = bytearray(sound.read_bytes())
    content[len(content) // 2] ^= 1
    bad = {"flipped": bytes(content), "truncated": sound.read_bytes()[:-1], "empty": b""}[damage]
    (tmp_path / sound.name).write_bytes(bad)
    assert list(cached(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_damaged_model_file_is_made_anew_and_two_that_make_it_use_one(model_cache: Path, tmp_path: Path) -> None:
    """What a half-written cache costs is time alone, and nothing else is left in the folder."""
    sound = next(cached(model_cache))
    (tmp_path / sound.name).write_bytes(sound.read_bytes()[:1000])
    assert isinstance(made := load_or_make(tmp_path), OnnxEmbedder)
    assert [path.name for path in tmp_path.iterdir()] == [sound.name]
    assert np.array_equal(made.embed(OTHERS), load_or_make(model_cache).embed(OTHERS))
    reference = SentenceTransformerEmbedder(BUNDLED_MODEL)
    assert onnx.make(reference, tmp_path) == tmp_path / sound.name


@pytest.mark.slow
def test_without_room_for_the_fast_model_the_reference_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle of the export: it answers all the same, and leaves no half of a file."""

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx, "_export", full)
    assert isinstance(load_or_make(tmp_path), SentenceTransformerEmbedder)
    assert list(tmp_path.iterdir()) == []


def test_a_model_file_that_goes_while_the_server_runs_takes_nothing_from_it(model_cache: Path, tmp_path: Path) -> None:
    """Another version's server may tidy the folder before this one embeds its first batch."""
    file = tmp_path / next(cached(model_cache)).name
    shutil.copy(next(cached(model_cache)), file)
    embedder = OnnxEmbedder(file)
    file.unlink()
    assert np.array_equal(embedder.embed(PROBES), load_or_make(model_cache).embed(PROBES))


# A large memory


def clustered(rng: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    """Unit vectors as a language model gives them: some directions matter, and texts come in kinds."""
    kinds = rng.normal(size=(200, 384)) * np.linspace(3, 0.3, 384)
    found = kinds[rng.integers(0, len(kinds), count)] + rng.normal(size=(count, 384)) * 0.5
    unit: npt.NDArray[np.float32] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def in_memory(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.empty(shape, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [True, False])
def test_a_large_memory_finds_what_an_exact_search_finds(monkeypatch: pytest.MonkeyPatch, runtime: bool) -> None:
    """The projections put the nearest among the first few hundred, the exact cosines put them in order; what was added
    since is exact anyway."""
    rng = np.random.default_rng(5)
    rows, counts = clustered(rng, 13_000), rng.integers(1, 4, 4_000)
    index = SemanticIndex(384)
    ends = np.cumsum(counts)
    for slot, end in enumerate(ends):
        index.add(slot, rows[end - counts[slot] : end])
    kept = rng.random(len(counts)) < 0.9
    plain = SemanticIndex(384, index.freeze(kept, in_memory))
    monkeypatch.setattr(projections, "PROJECTED_FROM", 1)
    monkeypatch.setattr(projections, "DOCUMENTS_FROM", 1)
    if not runtime:
        monkeypatch.setattr(products, "_session", lambda: None)
    large = SemanticIndex(384, index.freeze(kept, in_memory))
    assert large.look() == 500
    assert plain.look() is None
    for memory in (large, plain):
        memory.add(int(kept.sum()), rows[-30:-28])
    for query in rows[-20:]:
        whole, best = plain.scores(query)
        rough_whole, rough_best = large.scores(query)
        assert rough_whole[-1] == pytest.approx(whole[-1], abs=1e-6)
        for rough, true in ((rough_whole, whole), (rough_best, best)):
            assert rough.mean() == pytest.approx(true.mean(), abs=0.01)
            assert rough.std() == pytest.approx(true.std(), rel=0.05)
        first = np.argsort(-best)[:20]
        assert set(first) <= set(highest(rough_best, 400))
        slots = np.sort(highest(rough_best, 400))
        exact_whole, exact_best = large.exact(slots, query)
        assert np.allclose(exact_whole, whole[slots], atol=1e-6)
        assert np.allclose(exact_best, best[slots], atol=1e-6)


@pytest.mark.slow
def test_very_few_documents_are_not_searched_by_projections() -> None:
    """However many vectors they have: the few that are looked at exactly would be too large a share."""
    rng = np.random.default_rng(6)
    rows, starts = clustered(rng, 5_000 * 8), np.arange(0, 5_000 * 8, 8)
    usual = projections.project(rows, starts, in_memory)
    assert usual is not None
    assert len(Rough(rows, starts, usual)._sample) < 5_000
    assert projections.project(rows, starts[::8], in_memory) is None


def test_bytes_tell_nearly_what_the_projections_tell() -> None:
    """The steps of bytes blur them by less than three hundredths of the spread, whatever the query."""
    rows, starts = clustered(np.random.default_rng(8), 16_000), np.arange(16_000)
    found = projections.project(rows, starts, in_memory)
    assert found is not None
    directions = found.directions / found.stretches
    assert np.allclose(directions.T @ directions, np.eye(projections.DIRECTIONS), atol=1e-4)
    for query in (*rows[:5], directions[:, 0], -directions[:, -1], np.zeros(384, np.float32)):
        true, (whole, best) = rows @ directions @ (query @ directions), found.scores(query)
        assert np.array_equal(whole, best)
        assert (whole - true).std() < 0.03 * true.std() + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 200), st.integers(0, 2**32 - 1), st.booleans())
def test_products_are_exact_with_and_without_the_runtime(k: int, n: int, seed: int, extreme: bool) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, products.MOST, k, dtype=np.uint8, endpoint=True)
    values = rng.integers(-128, 127, (k, n), dtype=np.int8, endpoint=True)
    if extreme:
        factors[:], values[:] = products.MOST, rng.choice(np.array([-128, 127], np.int8), values.shape)
    true = factors.astype(np.int32) @ values.astype(np.int32)
    assert np.array_equal(products.products(factors, values), true)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(products, "_session", lambda: None)
        assert np.array_equal(products.products(factors, values), true)


def test_the_operator_is_what_the_library_makes_of_it() -> None:
    def told(name: str, kind: int, *shape: str) -> library.ValueInfoProto:
        return library.helper.make_tensor_value_info(name, kind, shape)

    types = library.TensorProto
    graph = library.helper.make_graph(
        [library.helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
        "",
        [told("a", types.UINT8, "m", "k"), told("b", types.INT8, "k", "n")],
        [told("y", types.INT32, "m", "n")],
    )
    made = library.helper.make_model(graph, opset_imports=[library.helper.make_opsetid("", 13)], producer_name="")
    made.ir_version = 7
    assert library.load_model_from_string(products._MODEL) == made


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300_000), st.integers(1, 3_000), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_the_highest_scores_are_the_highest_however_many_are_alike(n: int, count: int, kinds: int, seed: int) -> None:
    """Ties, scores of minus infinity and sizes on both sides of the short cut."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=kinds)[rng.integers(0, kinds, n)].astype(np.float32)
    scores[rng.random(n) < rng.random()] = -np.inf
    found = highest(scores, count)
    assert len(found) == len(set(found)) == min(n, count)
    assert np.array_equal(np.sort(scores[found]), np.sort(scores)[-len(found) :])


def test_arms_are_added_in_standard_deviations_from_their_means() -> None:
    """Whatever the scale of an arm; slots out of scope do not shape it."""
    rng = np.random.default_rng(1)
    scores, allowed = rng.normal(3, 2, 5_000).astype(np.float32), np.arange(5_000) < 4_000
    scores[~allowed] = 1e6
    arm = Arm.of(scores, 2.0, allowed, 4_000, spread=2.0)
    total = fused([arm, arm])[allowed]
    seen = scores[allowed]
    assert np.allclose(total, 4 * (seen - seen.mean()) / seen.std(), atol=0.01)
    assert np.array_equal(fused([arm, arm], np.array([7, 3])), total[[7, 3]])
