"""The pictures of the README: SVG from figures, the same bytes each time.

Every picture is 800 pixels wide on a white ground of its own, so that it reads alike in GitHub's light and dark mode.
Texts stay texts, to be found and read aloud. The colours are of Okabe and Ito's palette, which people with any colour
vision tell apart; where lines cross, their style differs, too.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

BLUE, ORANGE, GREY, INK, PALE, DARK = "#0072B2", "#D55E00", "#A0A8B0", "#24292F", "#D5DAE0", "#57606A"

BUDGETS = {10_000: 8, 100_000: 20, 1_000_000: 60}
"""Milliseconds that the median of find_similar may take on two cores, by the number of incidents."""

_SURE = (0.6, 0.85)
"""Stated probabilities that are marked on the curve of risk: the steps of the original's ladder."""

_BINS = 10
_FEWEST = 10
"""Answers from which on a share of wrong ones is drawn; of fewer it says nothing."""

_POINTS = 200
"""Points of a line, at most: more are not seen in 800 pixels, and make the file large."""

_MILLISECONDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}%")

_WIDTH = 800 / 96
"""Inches, as a browser counts them."""

_FONT = "DejaVu Sans"
_FONTS = f"'{_FONT}', Verdana, sans-serif"
"""The first comes with matplotlib, which measures with it, and with most of Linux; Verdana, which Windows and macOS
have, is as wide."""

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": _FONT,
    "font.size": 10,
    "grid.color": "#E4E7EB",
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "svg.fonttype": "none",
    "svg.hashsalt": "incidentos",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

Pairs = Sequence[Sequence[float]]
"""Judged answers: the probability that was stated (0 to 1), and 1 where it was right or else 0."""

Floats = npt.NDArray[np.float64]


def latency(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """How long a call takes, by the number of incidents.

    Left, both tools over stdio beside the budgets; right, what of find_similar's median is the embedding of the query.

    Args:
        rows: as `latency.py` writes them, at least one, in any order.
        path: of the picture.
    """
    rows = sorted(rows, key=lambda row: row["incidents"])
    sizes = [row["incidents"] for row in rows]
    median = [row["find_similar"]["median_ms"] for row in rows]
    p99 = [row["find_similar"]["p99_ms"] for row in rows]
    analyze = [row["analyze_incident"]["median_ms"] for row in rows]
    budgets = {size: limit for size, limit in BUDGETS.items() if size in sizes}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 4))
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        left.plot(sizes, analyze, "o-", color=ORANGE, markersize=5)
        left.plot(sizes, p99, "--", color=BLUE, linewidth=1)
        left.plot(sizes, median, "o-", color=BLUE, markersize=5)
        left.plot(list(budgets), list(budgets.values()), "_", color=INK, markersize=22, markeredgewidth=2.5)
        for size, limit in budgets.items():
            if size != sizes[-1]:  # the last one's stands with the names of the lines
                _beside(left, f"budget {limit} ms", (size, limit - 0.08 * limit), INK, 14)
        ends = [("analyze_incident", analyze[-1], ORANGE), ("find_similar, p99", p99[-1], BLUE)]
        ends += [("find_similar", median[-1], BLUE)]
        ends += [(f"budget {limit} ms", limit, INK) for size, limit in budgets.items() if size == sizes[-1]]
        bottom, top = 0.7 * min(*median, *budgets.values()), 1.3 * max(*analyze, *p99, *budgets.values(), 1)
        places = _apart([math.log(value) for _, value, _ in ends], 0.055 * math.log(top / bottom))
        for (name, _, colour), at in zip(ends, places, strict=True):
            _beside(left, name, (sizes[-1], math.exp(at)), colour, 14)
        left.set(xlabel="incidents in memory", ylabel="time of a call (ms)")
        left.set(xscale="log", yscale="log", xlim=(sizes[0] / 1.5, sizes[-1] * 1.5), ylim=(bottom, top))
        left.set_xticks(sizes, [_short(size) for size in sizes])
        left.set_yticks([tick for tick in _MILLISECONDS if bottom <= tick <= top])
        left.yaxis.set_major_formatter(_PLAIN)
        left.minorticks_off()
        left.set_title("Median over stdio; dashed: 99th percentile")
        _embedding_share(right, rows)
        _save(figure, path)


def _embedding_share(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    whole = np.array([row["find_similar"]["median_ms"] for row in rows])
    embedding = np.minimum([row["embed_query_ms"] for row in rows], whole)
    places = np.arange(len(rows))
    axes.bar(places, embedding, width=0.62, color=GREY)
    axes.bar(places, whole - embedding, width=0.62, bottom=embedding, color=BLUE)
    for place, part, height in zip(places, embedding, whole, strict=True):
        axes.annotate(f"{part / height:.0%}", (place, height), (0, 3), textcoords="offset points", ha="center")
    for line, (text, colour) in enumerate(
        (("search, protocol", BLUE), ("embedding the query,", DARK), ("and its share", DARK))
    ):
        axes.text(0.03, 0.95 - 0.065 * line, text, transform=axes.transAxes, color=colour, va="center")
    axes.set(xlabel="incidents in memory", ylabel="median of find_similar (ms)", ylim=(0, 1.35 * max(whole)))
    axes.set_xticks(places, [_short(row["incidents"]) for row in rows])
    axes.grid(visible=False, axis="x")
    axes.set_title("What it is spent on")


def reliability(series: Mapping[str, Pairs], path: Path) -> None:
    """Whether a stated probability is what comes true, and what it buys to hold back the doubtful answers.

    Left, the share of right answers against the probability stated, in ten bins; a dot's area is the number of answers.
    Right, the share of wrong ones among the answers stated at t or more, against the share of queries that get one, for
    every t.

    Args:
        series: the judged answers of one or two ways of stating, by name; ours first.
        path: of the picture.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 4.4))
        left, right = figure.subplots(1, 2)
        left.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        left.text(0.03, 0.83, "grey: it comes true as stated", transform=left.transAxes, color=DARK, va="center")
        curves = []
        for number, ((name, pairs), colour) in enumerate(zip(series.items(), (BLUE, ORANGE), strict=False)):
            stated, correct = np.array(pairs, dtype=float).T
            at, share, count = reliability_bins(stated, correct)
            left.plot(at, share, color=colour, linewidth=1)
            left.scatter(at, share, s=12 + 500 * count / len(stated), color=colour, alpha=0.8, linewidths=0, zorder=3)
            for axes, text in ((left, f"{name}: {len(stated):,} answers"), (right, name)):
                axes.text(0.03, 0.95 - 0.06 * number, text, transform=axes.transAxes, color=colour, va="center")
            curves.append((risk_coverage(stated, correct), colour))
        worst = max(curves, key=lambda curve: curve[0][2][-1])
        for curve, colour in curves:
            _risk(right, *curve, colour, above=colour == worst[1])
        for axes, x, y, title in (
            (left, "probability stated", "share that was right", "What was stated, what came true"),
            (right, "share of the queries answered", "share of the answers that was wrong", "Answering only when sure"),
        ):
            axes.set(xlabel=x, ylabel=y, xlim=(0, 1.04), ylim=(0, 1.04))
            axes.xaxis.set_major_formatter(_PERCENT)
            axes.yaxis.set_major_formatter(_PERCENT)
            axes.set_title(title)
        right.set_ylim(0, 1.35 * max(0.1, *(float(risk.max()) for (_, _, risk), _ in curves)))  # room for the names
        _save(figure, path)


def _risk(axes: Axes, threshold: Floats, coverage: Floats, risk: Floats, colour: str, *, above: bool) -> None:
    some = _thinned(len(risk))
    axes.plot(coverage[some], risk[some], color=colour)
    for t in _SURE:
        place = int(np.searchsorted(-threshold, -t, side="right")) - 1  # the last that is still stated at t
        if place >= 0:
            at = (coverage[place], risk[place])
            offset, side = ((-5, 5), "right") if above else ((6, -12), "left")  # the curve rises to the right
            axes.plot(*at, "o", color=colour, markersize=6)
            axes.annotate(f"≥ {t:.0%}", at, offset, textcoords="offset points", ha=side, color=colour)


def reliability_bins(stated: Floats, correct: Floats) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Mean stated probability, share of right answers, and number of answers, of each of ten equal bins that holds
    any."""
    bins = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    used = count > 0
    at, share = (np.bincount(bins, weights=of, minlength=_BINS)[used] / count[used] for of in (stated, correct))
    return at, share, count[used]


def risk_coverage(stated: Floats, correct: Floats) -> tuple[Floats, Floats, Floats]:
    """For each distinct stated probability t, falling: t, the share of answers stated at t or more, and the share of
    those that was wrong. Begins where they are ten."""
    order = np.argsort(-stated, kind="stable")
    falling, wrong = stated[order], np.cumsum(1 - correct[order])
    last = np.append(
        np.flatnonzero(np.diff(falling)), len(falling) - 1
    )  # what is stated alike stands or falls together
    last = last[last + 1 >= min(_FEWEST, len(falling))]
    given = last + 1.0
    return falling[last], given / len(falling), wrong[last] / given


def recalibration(data: Mapping[str, Any], path: Path) -> None:
    """What learning from judged predictions does to the calibration error: a panel for each world.

    Args:
        data: `n`, the numbers of judged predictions; `worlds`, by name, each with its calibration errors (0 to 1)
            `without` and `with` recalibration, as many as `n`.
        path: of the picture.
    """
    worlds = data["worlds"]
    highest = max(max(errors[kind]) for errors in worlds.values() for kind in ("without", "with"))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 3.4))
        panels = figure.subplots(1, len(worlds), sharey=True, squeeze=False)[0]
        for axes, (name, errors) in zip(panels, worlds.items(), strict=True):
            axes.plot(data["n"], errors["without"], "--", color=ORANGE, clip_on=False)
            axes.plot(data["n"], errors["with"], color=BLUE, clip_on=False)
            axes.set_title(name)
        first = panels[0]
        first.text(0.04, 0.95, "dashed: as shipped", transform=first.transAxes, color=ORANGE, va="center")
        first.text(0.04, 0.87, "recalibrated", transform=first.transAxes, color=BLUE, va="center")
        first.set(ylabel="calibration error", ylim=(0, 1.35 * highest))
        first.yaxis.set_major_formatter(_PERCENT)
        figure.supxlabel("judged predictions", size=10)
        _save(figure, path)


def replay(data: Mapping[str, Any], path: Path) -> None:
    """How a memory that starts empty comes to answer: what became of the answers so far, after each of the incidents.

    Args:
        data: `n`, the numbers of incidents; `right`, `wrong` and `abstained`, as many each: how many of the answers up
            to there, as counts or as shares.
        path: of the picture.
    """
    kinds = {"right": BLUE, "abstained": PALE, "wrong": ORANGE}
    some = _thinned(len(data["n"]))
    n = np.array(data["n"])[some]
    counts = np.array([data[kind] for kind in kinds], dtype=float)[:, some]
    shares = counts / counts.sum(axis=0)
    last = shares[:, -1]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 3.6))
        axes = figure.subplots()
        axes.stackplot(n, shares, colors=list(kinds.values()), linewidth=0)
        for kind, share, at in zip(kinds, last, _apart(np.cumsum(last) - last / 2, 0.07), strict=True):
            _beside(axes, f"{kind} {share:.0%}", (n[-1], at), DARK if kind == "abstained" else kinds[kind], 6)
        axes.set(xlabel="incidents replayed, oldest first", ylabel="share of the answers so far")
        axes.set(xlim=(n[0], n[-1]), ylim=(0, 1))
        axes.yaxis.set_major_formatter(_PERCENT)
        _save(figure, path)


def _beside(axes: Axes, text: str, at: tuple[float, float], colour: str, points: float) -> None:
    """A text that many points to the right of a place, also outside the axes."""
    axes.annotate(
        text, at, (points, 0), textcoords="offset points", va="center", color=colour, annotation_clip=False
    )  # fmt: skip


def _apart(wanted: Sequence[float] | Floats, least: float) -> list[float]:
    """Places of labels: the wanted ones, moved as far as it takes that no two lie nearer than `least`."""
    order = np.argsort(wanted, kind="stable")
    places = np.array(wanted, dtype=float)[order]
    for _ in range(100):  # the labels are three or four; what is lacking shrinks with every round
        for low in range(len(places) - 1):
            lacking = least - (places[low + 1] - places[low])
            if lacking > 0:
                places[low : low + 2] += (-lacking / 2, lacking / 2)
    found = np.empty_like(places)
    found[order] = places
    return [float(place) for place in found]


def _thinned(count: int) -> npt.NDArray[np.intp]:
    """The numbers of the points that are drawn: evenly chosen, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, _POINTS)).round().astype(np.intp))


def _short(count: int) -> str:
    """A number of incidents on an axis: 500, 10k, 1M."""
    return f"{count / 1e6:g}M" if count >= 1_000_000 else f"{count / 1000:g}k" if count >= 1000 else str(count)


def _save(figure: Figure, path: Path) -> None:
    """Write the picture, without a date and the version of what drew it: either would change the bytes."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(buffer.getvalue().replace(f"'{_FONT}'", _FONTS), encoding="utf-8", newline="\n")
