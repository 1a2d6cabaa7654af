"""Incidents of one service: the same trouble again, and other trouble. Do the figures tell one from the other?

    python bench/pairs.py

`pairs.jsonl` was written for this benchmark. Each of its groups is a resolved incident of a service, the record, and six
others as they were noticed: three that turned out to be the same trouble (in much the same words, in quite other words, under
the same title) and three that turned out to be another (under a title of the same form, under another title, and either under
the same title or an everyday one). Both sides are of the same lengths.

Each of the six is asked of four memories, with its service and without, and by its title alone, too: of the record alone; of
all groups' records; of these and the other trouble of every service; and of all records but the one that it belongs to. The
first match is judged; it is right where it is the record and the trouble the same. The retrieval sets say little of this: what is removed from them to
make a query novel seldom leaves other trouble of the same service behind.

The two halves of the file, business services and platforms, were written apart and know some troubles both, so each has
memories of its own.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from recall import memory_of
from sets import CACHE, RetrievalSet, fast_embedder

from incidentos.memory.failure_types import classify_incident
from incidentos.memory.incident import Incident, Outcome, Provenance, Resolution, Status, Step
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import Match, matches_of
from incidentos.memory.recall import Query, Scope

PAIRS = Path(__file__).with_name("pairs.jsonl")
ASKED = datetime(2026, 1, 1, tzinfo=UTC)
STORED = ASKED - timedelta(days=60)
"""So long before that nearness in time says nothing."""

MEMORIES = ("the record alone", "all records", "other trouble, too", "without the record")

Group = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PairAnswer:
    """The first match for one of the six of a group. `alike` says whether it is the same trouble as the record, `place` which
    of the three it is, `same_title` whether it has the record's, but for numbers."""

    group: int
    alike: bool
    place: int
    same_title: bool
    memory: str
    service_stated: bool
    title_alone: bool
    match: Match
    right: bool


def read_groups() -> list[Group]:
    """The groups of the file."""
    return [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]


def record(number: int, group: Group) -> Incident:
    """The resolved incident of a group."""
    its = group["record"]
    steps = tuple(Step(text, None, Outcome.WORKED) for text in its["steps"])
    return replace(
        noticed(group, its, f"record-{number}", STORED),
        status=Status.RESOLVED,
        resolved_at=STORED,
        resolution=Resolution(its["root_cause"], steps, None, Provenance.CONFIRMED),
    )


def noticed(group: Group, text: Mapping[str, str], name: str, at: datetime = ASKED) -> Incident:
    """An incident of the group's service as it was noticed."""
    found = Incident(name, text["title"], text["description"], at, created_at=at, service=group["service"])
    return replace(found, failure_type=classify_incident(found))


def answers(embedder: Embedder, *, vectors: bool = True) -> Iterator[PairAnswer]:
    """Ask all of them, of each memory, with and without the service."""
    groups = read_groups()
    middle = len(groups) // 2
    for half in (range(middle), range(middle, len(groups))):
        yield from _half(groups, half, embedder, vectors=vectors)


def _half(groups: Sequence[Group], half: range, embedder: Embedder, *, vectors: bool) -> Iterator[PairAnswer]:
    records = {number: record(number, groups[number]) for number in half}
    others = [
        noticed(groups[number], text, f"other-{number}-{place}", STORED)
        for number in half
        for place, text in enumerate(groups[number]["unlike"])
    ]

    def ask(memory: IncidentMemory, name: str, number: int) -> Iterator[PairAnswer]:
        for kind in ("alike", "unlike"):
            for place, text in enumerate(groups[number][kind]):
                hidden = {f"other-{number}-{place}"} if kind == "unlike" else set()
                hidden |= {f"record-{number}"} if name == MEMORIES[3] else set()
                same_title = _words(text["title"]) == _words(groups[number]["record"]["title"])
                whole, title = text, {**text, "description": ""}
                for stated, asked in product((True, False), (whole, title) if text["description"] else (whole,)):
                    about = noticed(groups[number], asked, "asked")
                    about = about if stated else replace(about, service=None)
                    match = first(memory, about, Scope(exclude=frozenset(hidden)), vectors=vectors)
                    right = kind == "alike" and match.incident.id == f"record-{number}"
                    yield PairAnswer(
                        number, kind == "alike", place, same_title, name, stated, asked is title, match, right
                    )

    for number in half:
        with memory_of(_as_set([records[number]]), embedder) as memory:
            yield from ask(memory, MEMORIES[0], number)
    of_all = [*records.values()]
    for name, stored in ((MEMORIES[1], of_all), (MEMORIES[2], [*of_all, *others]), (MEMORIES[3], of_all)):
        with memory_of(_as_set(stored), embedder) as memory:
            for number in half:
                yield from ask(memory, name, number)


def first(memory: IncidentMemory, about: Incident, scope: Scope, *, vectors: bool) -> Match:
    """The first match."""
    if vectors:
        return memory.find(about.text, 12, scope, about=about).matches[0]
    hits = memory.recall.find(Query(about.text, None, about.created_at), 24, scope)
    return matches_of(hits, about.failure_type, about.service)[0]


def figures(p: Sequence[float], right: Sequence[bool]) -> dict[str, float]:
    """AUROC, ECE in ten bins and Brier, as `score.py confidence` computes them; how many are stated at 85 % or more, and what
    share of these is right."""
    stated, true = np.array(p), np.array(right, dtype=bool)
    bins = np.minimum((stated * 10).astype(int), 9)
    ece = sum(abs(float((stated - true)[bins == at].sum())) for at in range(10)) / len(stated)
    above, below = stated[true], stated[~true]
    auroc = np.mean((above[:, None] > below) + (above[:, None] == below) / 2) if len(above) and len(below) else np.nan
    sure = stated >= 0.85
    return {
        "auroc": float(auroc),
        "ece": ece,
        "brier": float(np.mean((stated - true) ** 2)),
        "sure": int(sure.sum()),
        "right": float(true[sure].mean()) if sure.any() else np.nan,
    }


KINDS: Mapping[str, Callable[[PairAnswer], bool]] = {
    "the same trouble, much the same words": lambda a: a.alike and a.place == 0,
    "the same, other words": lambda a: a.alike and a.place == 1,
    "the same, the same title": lambda a: a.alike and a.place == 2,
    "other trouble, a title of that form": lambda a: not a.alike and a.place == 0,
    "other, the same title": lambda a: not a.alike and a.place == 2 and a.same_title,
    "other, any title": lambda a: not a.alike and a.place > 0 and not a.same_title,
}
HEAD = ("memory", "answers", "AUROC", "ECE", "Brier", "right where 85 % or more is stated", *KINDS)


def rows(found: Sequence[PairAnswer], p: Sequence[float]) -> list[list[str]]:
    """A row for each memory: the figures, and p on average for each kind of text."""
    stated, table = np.array(p), []
    for name in MEMORIES:
        its = np.array([answer.memory == name for answer in found])
        told = figures(stated[its], [answer.right for answer in found if answer.memory == name])
        means = [f"{stated[its & np.array([kind(a) for a in found])].mean():.2f}" for kind in KINDS.values()]
        sure = f"{told['right']:.0%} of {told['sure']}" if told["sure"] else "none"
        auroc = "–" if np.isnan(told["auroc"]) else f"{told['auroc']:.3f}"
        table.append([name, str(int(its.sum())), auroc, f"{told['ece']:.3f}", f"{told['brier']:.3f}", sure, *means])
    return table


def _words(title: str) -> str:
    return re.sub(r"\d+", "", title).casefold()


def _as_set(incidents: Sequence[Incident]) -> RetrievalSet:
    return RetrievalSet("pairs", tuple(incidents), {})


def main() -> int:
    """Print what the served model states; it was fitted to these, see `fit_confidence.py` for the cross-validated figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    parser.add_argument("--words", action="store_true", help="recall by words alone")
    args = parser.parse_args()
    found = list(answers(fast_embedder(args.cache), vectors=not args.words))
    for title_alone in (False, True):
        its = [answer for answer in found if answer.title_alone is title_alone]
        for row in (HEAD, *rows(its, [answer.match.probability for answer in its])):
            print(" | ".join(row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
