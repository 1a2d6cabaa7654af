"""Ranks the documents of a retrieval set for every query, and states how sure it is of the first.

    python bench/recall.py SET [--queries FILE] --out RUN.jsonl [--method METHOD]

SET is a set's name or its folder. Each line of the run is {"query_id", "ranking": up to 100 ids, "confidence"};
`score.py` of the sets computes the figures. The methods:

ours       what serves users: `IncidentMemory.find`
text       the same, without the time of the query: where a set states it, nearness in time counts
reference  as text, with the model as its authors publish it (float32) in the place of the quantised one
fused      the same hits in the order of `Recall.find`, that is by the fused score
bm25       without vectors, as it is while the embedding model loads: BM25 and the comparison by letters
semantic   the vectors alone
original   the method of the project's origin: cosine of title + text, confidence by counting matches of 0.40 and up
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from sets import CACHE, Question, RetrievalSet, bench_folder, fast_embedder, read_questions, read_set, set_folder
from sets import reference_embedder as reference

from incidentos.memory.embedding.background import BackgroundEmbedder
from incidentos.memory.failure_types import classify_incident
from incidentos.memory.incident import Incident, Status, utcnow
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.recall import Hit, Query, Scope
from incidentos.memory.stores.sqlite import SqliteStore

METHODS = ("ours", "text", "reference", "fused", "bm25", "semantic", "original")
DEPTH = 100
_IMPORT_BATCH = 200

Answer = tuple[list[str], float]
"""The ranking, as incident ids, and the confidence in the first of them."""


@contextmanager
def memory_of(documents: RetrievalSet, embedder: Embedder) -> Iterator[IncidentMemory]:
    """The set in a memory of its own, imported as a user's file is."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "memory.db")
        memory = IncidentMemory(store, BackgroundEmbedder(lambda: embedder, store))
        try:
            for start in range(0, len(documents.incidents), _IMPORT_BATCH):
                memory.import_batch(documents.incidents[start : start + _IMPORT_BATCH], embed=True)
            memory.embedder.wait()
            memory.warm_up()
            yield memory
        finally:
            memory.close()


def scope_of(question: Question, documents: RetrievalSet) -> Scope:
    """What the query allows to be found."""
    known = documents.incident_id
    return Scope(before=question.before, exclude=frozenset(known[d] for d in question.exclude if d in known))


def incident_of(question: Question) -> Incident:
    """The query as the incident that somebody is about to open, at the time that the set states."""
    incident = Incident(
        id="the-query",
        title=None,
        description=question.text,
        updated_at=question.created_at or utcnow(),
        created_at=question.created_at,
        status=Status.OPEN,
    )
    return replace(incident, failure_type=classify_incident(incident))


def ours(memory: IncidentMemory, question: Question, scope: Scope) -> Answer:
    """By `IncidentMemory.find`."""
    matches = memory.find(question.text, DEPTH, scope, about=incident_of(question)).matches
    return [m.incident.id for m in matches], matches[0].probability if matches else 0.0


def fused(memory: IncidentMemory, question: Question, scope: Scope) -> Answer:
    """By `Recall.find`."""
    vector = memory.embedder.wait().embed([question.text])[0]
    return _hits(memory.recall.find(Query(question.text, vector, question.created_at), DEPTH, scope))


def text(memory: IncidentMemory, question: Question, scope: Scope) -> Answer:
    """By `IncidentMemory.find`, without the time."""
    return ours(memory, replace(question, created_at=None), scope)


def bm25(memory: IncidentMemory, question: Question, scope: Scope) -> Answer:
    """By the words alone."""
    return _hits(memory.recall.find(Query(question.text, None), DEPTH, scope))


def semantic(memory: IncidentMemory, question: Question, scope: Scope) -> Answer:
    """By the vectors alone: a query without words leaves the lexical arm nothing to say."""
    embedder = memory.embedder.wait()
    return _hits(memory.recall.find(Query("", embedder.embed([question.text])[0]), DEPTH, scope))


def original(documents: RetrievalSet, cache: Path) -> Callable[[Question, Scope], Answer]:
    """The original method: cosine over all-MiniLM-L6-v2 (fp32) of title + text, and its ladder of confidence."""
    embedder = reference(cache)
    vectors = embedder.embed([f"{i.title or ''} {i.description}" for i in documents.incidents])
    ids = [i.id for i in documents.incidents]
    created = np.array([i.created_at.timestamp() if i.created_at else np.nan for i in documents.incidents])

    def answer(question: Question, scope: Scope) -> Answer:
        cosines = vectors @ embedder.embed([question.text])[0]
        allowed = np.array([i not in scope.exclude for i in ids])
        if scope.before is not None:
            allowed &= created < scope.before.timestamp()
        order = [int(n) for n in np.argsort(-cosines, kind="stable") if allowed[n]]
        found = int((cosines[allowed] >= 0.40).sum())
        confidence = 0.20 if found == 0 else 0.60 if found == 1 else min(0.97, 0.85 + 0.05 * (found - 2))
        return [ids[n] for n in order[:DEPTH]], confidence

    return answer


def _hits(hits: list[Hit]) -> Answer:
    """A ranking that states no confidence."""
    return [hit.incident.id for hit in hits], 0.0


def run(folder: Path, queries: Path, out: Path, method: str, cache: Path) -> int:
    """Write the run; return how many queries it answers."""
    documents, questions = read_set(folder), read_questions(queries)
    with out.open("w", encoding="utf-8") as lines:

        def write(answer: Callable[[Question, Scope], Answer]) -> None:
            for question in questions:
                ranking, confidence = answer(question, scope_of(question, documents))
                row = {
                    "query_id": question.id,
                    "ranking": [documents.set_id[i] for i in ranking],
                    "confidence": round(confidence, 6),
                }
                lines.write(json.dumps(row) + "\n")

        if method == "original":
            write(original(documents, cache))
        else:
            by = {"ours": ours, "text": text, "reference": text, "fused": fused, "bm25": bm25, "semantic": semantic}[
                method
            ]
            with memory_of(documents, (reference if method == "reference" else fast_embedder)(cache)) as memory:
                write(lambda question, scope: by(memory, question, scope))
    return len(questions)


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", help="a set's name, or its folder")
    parser.add_argument("--queries", type=Path, help="by default the set's own queries.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, default="ours")
    parser.add_argument("--bench", type=Path, help="the folder of the sets, by default ../shared/bench")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    args = parser.parse_args()
    folder = set_folder(args.set, bench_folder(args.bench))
    if folder is None:
        print(f"There is no retrieval set {args.set!r}: give its folder, or --bench FOLDER.", file=sys.stderr)
        return 2
    count = run(folder, args.queries or folder / "queries.jsonl", args.out, args.method, args.cache)
    print(f"{folder.name}: {count} queries by {args.method} → {args.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
