"""Does the recalibration on the user's own history help, and how soon? A simulation; no data is needed.

Three worlds, in each of which a stated confidence p comes out right with another probability: half of p, p itself, and
1 − (1 − p) / 3. None of the first and the last is of the family that the map is fitted in, and that is meant: a user's
world is not either. A history is drawn from each, and after n judged predictions the map is compared with the truth:

    python bench/simulate_recalibration.py [--json PATH] [--widths]

The error is the mean of |stated − true| over the confidences that an answer with a root cause can have (0.60 to 0.97),
averaged over the runs. `--json` writes {"n": […], "worlds": {name: {"without": […], "with": […]}}}; `--widths` compares
other prior widths with ours, which is where ours come from.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from incidentos.memory.track_record import MIN_JUDGED, PRIOR_WIDTHS, Recalibration

WORLDS: dict[str, Callable[[float], float]] = {
    "base rate half of ours": lambda p: p / 2,
    "same as ours": lambda p: p,
    "much higher than ours": lambda p: 1 - (1 - p) / 3,
}
LOWEST, HIGHEST = 0.60, 0.97
STATED = np.linspace(LOWEST, HIGHEST, 38)
LENGTHS = (0, 10, 20, 29, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300)
RUNS = 20
WORST = {
    "30 of 30 right at 60%": [(0.6, True)] * 30,
    "30 of 30 right at 90%": [(0.9, True)] * 30,
    "30 of 30 wrong at 60%": [(0.6, False)] * 30,
    "30 of 30 wrong at 90%": [(0.9, False)] * 30,
    "high ones wrong, low ones right": [(0.95, False), (0.65, True)] * 15,
}

Widths = tuple[float, float]
History = list[tuple[float, bool]]


def history(true: Callable[[float], float], length: int, seed: int) -> History:
    """Confidences drawn evenly from what can be stated, each with whether it came out right in that world."""
    random = np.random.default_rng(seed)
    drawn = random.uniform(LOWEST, HIGHEST, length).round(2)
    return [(float(p), bool(random.random() < true(float(p)))) for p in drawn]


def error(found: Recalibration, true: Callable[[float], float]) -> float:
    """The mean distance of the recalibrated figures from the truth."""
    return float(np.mean([abs(found.apply(float(p)) - true(float(p))) for p in STATED]))


def curve(true: Callable[[float], float], lengths: tuple[int, ...], widths: Widths = PRIOR_WIDTHS) -> list[float]:
    """The error after each length of history, averaged over the runs."""
    runs = [history(true, max(lengths), seed) for seed in range(RUNS)]
    return [float(np.mean([error(Recalibration.fit(run[:n], widths), true) for run in runs])) for n in lengths]


def _print_curves(worlds: dict[str, dict[str, list[float]]]) -> None:
    print("Mean |stated − true| with the map (without it: the row of n = 0)")
    print(f"{'judged':>8}  " + "  ".join(f"{name:>24}" for name in worlds))
    for position, n in enumerate(LENGTHS):
        print(f"{n:>8}  " + "  ".join(f"{w['with'][position]:>24.3f}" for w in worlds.values()))


def _print_worst() -> None:
    stated = (0.60, 0.70, 0.80, 0.90, 0.97)
    print(f"\nThe map after exactly {MIN_JUDGED} judged predictions, at its worst")
    print(f"{'history':<34}" + "".join(f"{f'{p:.0%} →':>8}" for p in stated))
    for name, pairs in WORST.items():
        found = Recalibration.fit(pairs)
        print(f"{name:<34}" + "".join(f"{found.apply(p):>8.2f}" for p in stated))


def _print_widths() -> None:
    lengths = (30, 100, 300)
    print(f"\nOther prior widths (shift, slope): the error after {lengths} judged; and two of the worst cases")
    for shift in (0.35, 0.5, 0.7, 1.0, 1.4):
        for slope in (0.2, 0.4, 0.8):
            widths = (shift, slope)
            errors = [curve(true, lengths, widths) for true in WORLDS.values()]
            told = "   ".join(" ".join(f"{e:.3f}" for e in some) for some in errors)
            mean = " ".join(f"{e:.3f}" for e in np.mean(errors, axis=0))
            up, down = (
                Recalibration.fit(WORST[name], widths).apply(p)
                for name, p in (("30 of 30 right at 60%", 0.6), ("30 of 30 wrong at 90%", 0.9))
            )
            mark = "  <- ours" if widths == PRIOR_WIDTHS else ""
            print(f"{shift:.2f} {slope:.1f}   {told}   mean {mean}   60% → {up:.2f}, 90% → {down:.2f}{mark}")


def main() -> None:
    """Print the curves, and write them where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the curves there")
    parser.add_argument("--widths", action="store_true", help="compare other prior widths")
    asked = parser.parse_args()
    worlds = {
        name: {"without": [error(Recalibration(), true)] * len(LENGTHS), "with": curve(true, LENGTHS)}
        for name, true in WORLDS.items()
    }
    _print_curves(worlds)
    _print_worst()
    if asked.widths:
        _print_widths()
    if asked.json:
        asked.json.write_text(json.dumps({"n": LENGTHS, "worlds": worlds}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
