"""How common words are at large: a memory too small to tell is told, and a large one goes by what it holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.index.background import STRENGTH, WORDS, background, rarity
from incidentos.memory.index.runs import runs
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder

Make = Callable[..., Incident]


def test_the_table_holds_each_word_once_the_most_common_first() -> None:
    rows = [line.split("\t") for line in WORDS.read_text(encoding="utf-8").splitlines()[1:]]
    shares = [float(share) for _, share in rows]
    assert len({word for word, _ in rows}) == len(rows) > 1000
    assert shares == sorted(shares, reverse=True)
    assert all(0 < share < 1 for share in shares)


def test_a_common_word_tells_less_than_a_rare_one_before_anything_is_stored() -> None:
    told = [rarity(0.0, 0, background().term(term)) for term in ("servic", "fail", "dns", "inotify")]
    assert told == sorted(told)
    assert told[-1] > 3 * told[0]


def test_a_run_within_words_and_one_across_two_words_are_known() -> None:
    common, rare = background().runs(runs("the fail")[:-1]), background().runs(runs("zqx vwk"))
    assert common.min() > rare.max() > 0
    assert common.max() < 1


def test_a_run_at_the_end_of_a_text_is_no_common_one() -> None:
    last = runs("the")[-1:]
    assert background().runs(last) == background().runs(np.array([1], dtype=np.uint32))


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.2, 0.9])
def test_what_a_memory_holds_as_often_as_others_tells_the_same_in_any_size(rate: float) -> None:
    told = [rarity(rate * documents, documents, rate) for documents in (0, 1, 50, 5_000, 1_000_000)]
    assert told == pytest.approx([told[0]] * 5)


def test_a_large_memory_goes_by_what_it_holds() -> None:
    documents = 100 * STRENGTH
    assert rarity(0.5 * documents, documents, 0.0005) == pytest.approx(rarity(0.5, 1, 0.5), abs=0.05)


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("Dashboards in eu-3 show no data, remote write returns 500s, some ingesters not healthy in ring", True),
        ("grafana blank panels eu-3", True),
        ("mimir compactor out of disk, no space left on device", False),
        ("the certificate of mimir has expired", False),
    ],
)
def test_a_memory_of_one_incident_knows_the_same_trouble_in_other_words(
    open_memory: Callable[..., IncidentMemory], real_embedder: Embedder, incident: Make, text: str, alike: bool
) -> None:
    past: Any = incident(
        "ring",
        "Mimir ingester ring unhealthy, two ingesters lost",
        description="Two of six ingesters left the hash ring after node drain in eu-3; distributors reject writes: at least "
        "2 live replicas required, could only find 1. Grafana panels for eu-3 empty.",
        service="mimir",
        status=Status.RESOLVED,
        resolution=Resolution("Both ingesters were on the drained node"),
    )
    memory = open_memory(real_embedder)
    memory.import_batch([past], embed=True)
    later = past.created_at + timedelta(minutes=30)
    about = incident("now", None, description=text, service="mimir", status=Status.OPEN, created_at=later)
    p = memory.find(text, 5, about=about).matches[0].probability
    assert p > 0.57 if alike else p < 0.3
