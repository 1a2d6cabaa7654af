"""Does the probability of a match depend on how large the memory is? It should not, where nothing relevant is added.

    python bench/size.py [--bench FOLDER] [--data FOLDER]

Dev queries are asked of a memory of 50 incidents that holds their right answers, and again after 4,950 incidents of
another kind were added: GitHub's status reports, which `words.tsv` has not seen, recombined (`texts.py`). The pairs of a
query and its right answer are compared. Then the same with the records of `pairs.jsonl` and what is the same trouble.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pairs
from fit_confidence import judgments
from recall import incident_of, memory_of
from sets import CACHE, Question, RetrievalSet, bench_folder, fast_embedder, read_questions, read_set
from texts import data_folder, incidents, read_parts

from incidentos.memory.incident import Incident

SETS = ("alert2runbook", "paraphrase-known-item")
SMALL, LARGE = 50, 5000
QUERIES = 40

Pair = tuple[str, str]
"""The ids of a query and an incident."""


def probabilities(memory_holds: list[Incident], asked: Sequence[Incident], cache: Path) -> dict[Pair, float]:
    """p of the first matches of each incident that is asked about."""
    held = RetrievalSet("size", tuple(memory_holds), {incident.id: incident.id for incident in memory_holds})
    with memory_of(held, fast_embedder(cache)) as memory:
        return {
            (about.id, match.incident.id): match.probability
            for about in asked
            for match in memory.find(about.text, 50, about=about).matches
        }


def compare(
    name: str,
    records: list[Incident],
    asked: Sequence[Incident],
    right: Collection[Pair],
    added: list[Incident],
    cache: Path,
) -> None:
    """Print how far p of the right answers moves."""
    small = [*records, *added[: SMALL - len(records)]]
    few = probabilities(small, asked, cache)
    many = probabilities([*small, *added[SMALL:]], asked, cache)
    moved = np.array([abs(few[pair] - many.get(pair, 0.0)) for pair in right if pair in few])
    print(
        f"{name}: {len(asked)} queries, {len(moved)} right answers; |p in {SMALL:,} − p in {LARGE:,}|: median "
        f"{np.median(moved):.3f}, 90 % below {np.quantile(moved, 0.9):.3f}, most {moved.max():.3f}; "
        f"below 0.1: {(moved < 0.1).mean():.0%}",
        flush=True,
    )


def main() -> int:
    """Return the exit status: 0 also where there is nothing to measure on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, help="the folder of the sets, by default ../shared/bench")
    parser.add_argument("--data", type=Path, help="the folder of the real incidents, by default ../shared/data")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    args = parser.parse_args()
    bench, data = bench_folder(args.bench), data_folder(args.data)
    if bench is None or data is None:
        print("Skipped: there are no retrieval sets at ../shared/bench, or no real incidents at ../shared/data.")
        return 0
    added = list(incidents(read_parts(data, "github_status.jsonl"), LARGE - SMALL))
    for name in SETS:
        documents, relevant = read_set(bench / name), judgments(bench / name)
        asked = [q for q in read_questions(bench / name / "queries.jsonl") if q.id in relevant]
        random.Random(0).shuffle(asked)
        by_id = {documents.set_id[incident.id]: incident for incident in documents.incidents}
        small: dict[str, Incident] = {}
        questions: list[Question] = []
        for question in asked:
            right = [by_id[given] for given in sorted(relevant[question.id]) if given in by_id]
            if len(questions) < QUERIES and len(small) + len(right) <= SMALL:
                questions.append(question)
                small |= {incident.id: incident for incident in right}
        pairs_of_name = {
            (question.id, by_id[given].id)
            for question in questions
            for given in relevant[question.id]
            if given in by_id
        }
        about = [replace(incident_of(question), id=question.id) for question in questions]
        compare(name, list(small.values()), about, pairs_of_name, added, args.cache)
    groups = list(enumerate(pairs.read_groups()))[:SMALL]
    about = [pairs.noticed(its, text, f"{n}-{place}") for n, its in groups for place, text in enumerate(its["alike"])]
    records = [pairs.record(number, group) for number, group in groups]
    right = {(asked.id, f"record-{asked.id.split('-')[0]}") for asked in about}
    compare("reports of one service", records, about, right, added, args.cache)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
