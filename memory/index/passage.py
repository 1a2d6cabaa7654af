"""How much of what a query asks for stands close together in a text, and not scattered over a long one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def best_passage(weights: Mapping[str, float], text: Sequence[str], window: int) -> float:
    """The weight of the distinct terms in the passage of the text (so many of its terms in a row) that holds the most,
    as a share of all weights: 0 to 1."""
    total = sum(weights.values())
    if total <= 0:
        return 0.0
    found = [(place, term) for place, term in enumerate(text) if term in weights]
    within: dict[str, int] = {}
    held = best = 0.0
    first = 0
    for place, term in found:
        while found[first][0] <= place - window:
            leaving = found[first][1]
            within[leaving] -= 1
            if not within[leaving]:
                held -= weights[leaving]
            first += 1
        times = within.get(term, 0)
        within[term] = times + 1
        if not times:
            held += weights[term]
            best = max(best, held)
    return min(1.0, best / total)
