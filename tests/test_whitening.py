"""What a user may rely on in whitened cosines: the model's own figures or none, and no damaged vector among them."""

from __future__ import annotations

import numpy as np
import pytest

from incidentos.memory.embedding.sentence_transformer import BUNDLED_MODEL, BUNDLED_SHA256
from incidentos.memory.index.cosines import of_all
from incidentos.memory.index.semantic import FrozenVectors, SemanticIndex
from incidentos.memory.index.whitening import Whitening, whitening
from incidentos.memory.ports import Embedder, Vectors

IDENTITY = f"{BUNDLED_MODEL}@{BUNDLED_SHA256[:16]}"


def unit(vectors: Vectors) -> Vectors:
    found: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def some(seed: int, *shape: int) -> Vectors:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("made_as", ["", "+int8-2+texts-3"])
def test_the_bundled_weights_have_a_whitening_however_they_are_run(made_as: str) -> None:
    found = whitening(IDENTITY + made_as)
    assert found is not None
    assert found.mean.shape == (384,)
    assert found.matrix.shape == (384, 384)
    assert np.allclose(found.matrix, found.matrix.T, atol=1e-3), "it turns no direction into another"
    assert np.linalg.eigvalsh(found.matrix).min() > 0, "it loses no direction"


@pytest.mark.parametrize(
    "model",
    [None, "", "words@test", f"{BUNDLED_MODEL}@0123456789abcdef", BUNDLED_SHA256[:16], f"m@../{BUNDLED_SHA256[:13]}"],
)
def test_a_model_of_other_weights_has_none(model: str | None) -> None:
    assert whitening(model) is None


def test_a_whitened_cosine_is_the_cosine_of_whitened_vectors() -> None:
    white = Whitening(some(1, 8) / 10, some(2, 8, 8))
    rows, query = unit(some(3, 5, 8)), unit(some(4, 1, 8))[0]
    starts = np.array([0, 2, 3])
    expected = of_all(
        unit((rows - white.mean) @ white.matrix), starts, unit((query - white.mean)[None] @ white.matrix)[0]
    )
    for found, wanted in zip(white.of_all(rows, starts, query), expected, strict=True):
        assert np.allclose(found, wanted, atol=1e-5)


def test_what_is_no_vector_has_the_cosine_0_and_moves_no_other() -> None:
    white = Whitening(some(1, 8) / 10, some(2, 8, 8))
    rows, query = unit(some(3, 4, 8)), unit(some(4, 1, 8))[0]
    damaged = rows.copy()
    damaged[1], damaged[3] = 0, np.nan
    sound, found = (white.of_all(its, np.arange(4), query)[1] for its in (rows, damaged))
    assert found[[1, 3]].tolist() == [0, 0]
    assert np.allclose(found[[0, 2]], sound[[0, 2]], atol=1e-6)
    assert white.of_all(rows, np.arange(4), np.zeros(8, dtype=np.float32))[1].tolist() == [0] * 4


def test_a_kept_index_gives_the_whitened_cosines_of_a_new_one() -> None:
    white = Whitening(some(1, 8) / 10, some(2, 8, 8))
    each = [unit(some(10 + slot, 1 + slot % 3, 8)) for slot in range(6)]
    new = SemanticIndex(8)
    for slot, vectors in enumerate(each):
        new.add(slot, vectors)
    first = each[:4]
    starts = np.cumsum([0, *map(len, first)])[:-1]
    kept = SemanticIndex(8, FrozenVectors(np.vstack(first), starts, np.zeros((4, 8), dtype=np.float16)))
    for slot, vectors in enumerate(each[4:], 4):
        kept.add(slot, vectors)
    query, slots = unit(some(4, 1, 8))[0], np.array([0, 2, 3, 5])
    for one, other in zip(new.exact(slots, query, white.of_all), kept.exact(slots, query, white.of_all), strict=True):
        assert np.allclose(one, other, atol=1e-6)


@pytest.mark.slow
def test_incidents_that_have_nothing_to_do_with_each_other_have_little_in_common(real_embedder: Embedder) -> None:
    texts = (
        "Checkout returns 500 since the rollout of v2.41; pods are OOMKilled every four minutes",
        "Certificate of api.example.com expired at midnight, clients refuse the handshake",
        "The primary database ran out of connections, HikariPool times out after 30 s",
        "CoreDNS answers SERVFAIL for every external name; the upstream resolver is unreachable",
        "Disk of the build host is full of old images, jobs fail with no space left on device",
    )
    white = whitening(real_embedder.identity)
    assert white is not None
    rows, starts = real_embedder.embed(texts), np.arange(len(texts))
    others = ~np.eye(len(texts), dtype=np.bool_)
    plain, after = (
        np.array([measure(rows, starts, row)[0] for row in rows])[others].mean() for measure in (of_all, white.of_all)
    )
    assert after < plain / 2
