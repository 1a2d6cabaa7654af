"""The README's pictures say what the figures say, and the same figures give the same bytes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="matplotlib, of the development group, draws the pictures")

BENCH = Path(__file__).resolve().parents[1] / "bench"

LATENCY = [
    {
        "incidents": size,
        "find_similar": {"median_ms": median, "p99_ms": 2 * median},
        "analyze_incident": {"median_ms": 3 * median},
        "embed_query_ms": 5.0,
    }
    for size, median in ((1_000_000, 50.0), (1000, 6.0), (10_000, 10.0))
]
CONFIDENCE = {
    "ours": [[p / 100, int(p % 7 != 0)] for p in range(100)],
    "a ladder": [[0.2, 0], [0.6, 1], [0.85, 0], [0.85, 1]] * 25,
}
RECALIBRATION = {"n": [0, 30, 60], "worlds": {"a kind world": {"without": [0.1] * 3, "with": [0.1, 0.05, 0.02]}}}
REPLAY = {"n": [1, 2, 3, 4], "right": [0, 1, 2, 2], "wrong": [0, 0, 0, 1], "abstained": [1, 1, 1, 1]}

DRAWN: list[tuple[str, Any, list[str]]] = [
    (
        "latency",
        LATENCY,
        ["1k", "10k", "1M", "budget 8 ms", "budget 60 ms", "find_similar", "analyze_incident", "83%", "50%", "10%"],
    ),
    ("reliability", CONFIDENCE, ["ours: 100 answers", "a ladder: 100 answers", "≥ 60%", "≥ 85%", "probability stated"]),
    ("recalibration", RECALIBRATION, ["a kind world", "judged predictions", "calibration error", "0%"]),
    ("replay", REPLAY, ["right 50%", "wrong 25%", "abstained 25%"]),
]


@pytest.fixture
def charts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    import charts

    return charts


def texts(picture: Path) -> list[str]:
    """What can be read in an SVG."""
    return [text.text or "" for text in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(("name", "figures", "labels"), DRAWN, ids=[name for name, _, _ in DRAWN])
def test_a_picture_names_what_it_shows(charts: Any, tmp_path: Path, name: str, figures: Any, labels: list[str]) -> None:
    draw: Callable[[Any, Path], None] = getattr(charts, name)
    draw(figures, tmp_path / "docs" / "first.svg")
    assert set(labels) <= set(texts(tmp_path / "docs" / "first.svg"))


@pytest.mark.parametrize(("name", "figures"), [(name, figures) for name, figures, _ in DRAWN])
def test_the_same_figures_give_the_same_bytes(charts: Any, tmp_path: Path, name: str, figures: Any) -> None:
    for file in ("first.svg", "second.svg"):
        getattr(charts, name)(figures, tmp_path / file)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


def test_thousands_of_points_still_make_a_small_file(charts: Any, tmp_path: Path) -> None:
    chance = random.Random(1)
    stated = [chance.random() for _ in range(5000)]
    pairs = [[p, int(chance.random() < p)] for p in stated]
    charts.reliability({"ours": pairs, "theirs": pairs[::-1]}, tmp_path / "reliability.svg")
    n = list(range(1, 5001))
    charts.replay({"n": n, "right": n, "wrong": n, "abstained": n}, tmp_path / "replay.svg")
    assert all(file.stat().st_size < 60_000 for file in tmp_path.iterdir())


def test_reliability_counts_every_answer_in_the_bin_of_what_was_stated(charts: Any) -> None:
    import numpy as np

    at, share, count = charts.reliability_bins(np.array([0.0, 0.05, 0.62, 0.68, 1.0]), np.array([0, 1, 1, 1, 0]))
    assert at.tolist() == pytest.approx([0.025, 0.65, 1.0])
    assert share.tolist() == [0.5, 1.0, 0.0]
    assert count.tolist() == [2, 2, 1]


def test_answers_that_are_stated_alike_are_given_or_held_back_together(charts: Any) -> None:
    import numpy as np

    stated = np.repeat([0.9, 0.5, 0.2], [10, 20, 10])
    correct = np.concatenate([np.ones(10), np.ones(10), np.zeros(10), np.zeros(10)])
    threshold, coverage, risk = charts.risk_coverage(stated, correct)
    assert threshold.tolist() == [0.9, 0.5, 0.2]
    assert coverage.tolist() == [0.25, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0.0, 1 / 3, 0.5])


@pytest.mark.slow
def test_pictures_are_drawn_for_the_figures_that_are_there_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "latency.jsonl").write_text("".join(json.dumps(row) + "\n" for row in LATENCY))
    command = [sys.executable, BENCH / "pictures.py", "--figures", tmp_path, "--out", tmp_path / "docs"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [file.name for file in (tmp_path / "docs").iterdir()] == ["latency.svg"]
    assert "replay.svg: left as it is, there is no replay.json" in done.stdout


@pytest.mark.slow
def test_a_new_latency_run_replaces_the_row_of_as_many_incidents(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    from latency import append

    file = tmp_path / "latency.jsonl"
    for size, rate in ((10_000, 1.0), (1000, 2.0), (10_000, 3.0)):
        append(file, {"incidents": size, "rate": rate})
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert rows == [{"incidents": 1000, "rate": 2.0}, {"incidents": 10_000, "rate": 3.0}]
