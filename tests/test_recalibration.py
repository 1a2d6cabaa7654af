"""What a user may rely on of the recalibration: it moves figures towards how often they came out right."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentos.memory.confidence import CEILING, FLOOR, weigh
from incidentos.memory.incident import utcnow
from incidentos.memory.track_record import LOWEST, MIN_JUDGED, WINDOW, Recalibration, reliability

ROOT = Path(__file__).resolve().parents[1]
AT = utcnow()


def history(*told: tuple[float, bool, int]) -> list[tuple[float, bool]]:
    return [(stated, right) for stated, right, times in told for _ in range(times)]


HISTORIES = st.lists(st.tuples(st.floats(0.2, 0.97), st.booleans()), min_size=MIN_JUDGED, max_size=120)


@settings(max_examples=30)
@given(HISTORIES)
def test_of_two_figures_the_higher_one_is_never_the_lower_one_after(pairs: list[tuple[float, bool]]) -> None:
    found = Recalibration.fit(pairs)
    mapped = [found.apply(float(c)) for c in np.linspace(0.0, 1.0, 41)]
    assert all(one <= other for one, other in itertools.pairwise(mapped))
    assert all(LOWEST <= c <= CEILING for c in mapped)
    assert found == Recalibration.fit(pairs)


@given(st.lists(st.tuples(st.floats(0.2, 0.97), st.booleans()), max_size=MIN_JUDGED - 1), st.floats(0, 1))
def test_below_30_judged_a_figure_stays_what_it_is(pairs: list[tuple[float, bool]], confidence: float) -> None:
    found = Recalibration.fit(pairs)
    assert not found.in_force
    assert found.apply(confidence) == confidence


@pytest.mark.parametrize(
    ("pairs", "at", "low", "high"),
    [
        (history((0.6, True, 30)), 0.6, 0.75, 0.90),
        (history((0.9, True, 30)), 0.9, 0.93, CEILING),
        (history((0.9, False, 30)), 0.9, 0.08, 0.25),
        (history((0.9, False, 30)), 0.6, 0.08, 0.25),
        (history((0.6, False, 30)), 0.9, 0.25, 0.60),
        (history((0.95, False, 15), (0.65, True, 15)), 0.95, 0.45, 0.60),
    ],
)
def test_thirty_that_all_came_out_one_way_move_a_figure_far_but_not_wild(
    pairs: list[tuple[float, bool]], at: float, low: float, high: float
) -> None:
    assert low <= Recalibration.fit(pairs).apply(at) <= high


def test_only_the_newest_500_count() -> None:
    newest = history((0.8, True, WINDOW))
    assert Recalibration.fit([*newest, *history((0.8, False, 400))]) == Recalibration.fit(newest)


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.0])
def test_a_history_whose_base_rate_is_another_one_converges(factor: float) -> None:
    """The truth is a multiple of what is stated, which no map of this family hits exactly."""
    grid = np.linspace(0.6, 0.97, 20)

    def error(found: Recalibration) -> float:
        return float(np.mean([abs(found.apply(float(c)) - factor * c) for c in grid]))

    errors: dict[int, list[float]] = {30: [], 300: []}
    for seed in range(8):
        random = np.random.default_rng(seed)
        drawn = random.uniform(0.6, 0.97, 300)
        pairs = [(float(c), bool(random.random() < factor * c)) for c in drawn]
        for n, found in errors.items():
            found.append(error(Recalibration.fit(pairs[:n])))
    without = error(Recalibration())
    early, late = np.mean(errors[30]), np.mean(errors[300])
    assert early < max(0.08, without / 2)
    assert late < 0.04
    assert late < early


def test_the_reliability_table_says_what_was_stated_and_how_often_it_was_right() -> None:
    table = reliability(history((0.65, True, 3), (0.65, False, 1), (0.9, True, 1), (0.95, False, 1), (1.0, True, 2)))
    assert [(b.low, b.high, b.count) for b in table] == [(0.6, 0.7, 4), (0.9, 1.0, 4)]
    assert (table[0].stated, table[0].right) == (pytest.approx(0.65), 0.75)
    assert (table[1].stated, table[1].right) == (pytest.approx(0.9625), 0.75)
    assert reliability([]) == ()


def test_a_verdict_without_a_root_cause_stays_at_its_floor() -> None:
    nothing = weigh([], AT)
    assert Recalibration.fit(history((0.9, False, 40))).recalibrate(nothing) == nothing
    assert nothing.confidence == FLOOR


@pytest.mark.slow
def test_the_simulation_writes_a_curve_for_each_world(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    script = str(ROOT / "bench" / "simulate_recalibration.py")
    done = subprocess.run([sys.executable, script, "--json", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(path.read_text(encoding="utf-8"))
    assert len(told["worlds"]) == 3
    for world in told["worlds"].values():
        assert len(world["with"]) == len(world["without"]) == len(told["n"])
    unlike = told["worlds"]["base rate half of ours"]
    assert unlike["with"][-1] < unlike["without"][-1] / 8
