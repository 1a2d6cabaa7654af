"""Runs every recall benchmark and writes `bench/results.md`: what `make bench` does.

    python bench/run.py [--bench FOLDER] [--out FILE] [--sets NAME …] [--method NAME …]

Each set is ranked by each method (`recall.py`) and scored by the sets' own `score.py`, run as it stands. Then the
queries are asked again with every right answer removed, and `score.py confidence` compares what was stated with what
was right. The dev halves only: the other halves are judged elsewhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recall import METHODS
from recall import run as rank
from sets import CACHE, SETS, bench_folder

RESULTS = Path(__file__).resolve().parent / "results.md"
STATED = ("ours", "original")
"""The methods whose confidence is measured; the others state none of their own."""

USUAL = tuple(method for method in METHODS if method != "reference")
"""What is measured if nothing is named: the reference embeds every text once more, which takes a quarter of an hour."""

_NAMES = {
    "ours": "IncidentOS (`find_similar`)",
    "text": "the same, without the time of the query",
    "reference": "the same without the time, by the float32 model",
    "fused": "the same hits in the order of the fused score",
    "bm25": "words and letters alone (while the model loads)",
    "semantic": "embeddings alone",
    "original": "the original method: cosine of title + text",
}
_RECALL = ("ndcg@10", "recall@5", "mrr", "hit@1")

Figures = Mapping[str, Any]


def score(bench: Path, what: str, *arguments: str | Path) -> Figures:
    """What `score.py` prints; `novel` prints nothing."""
    command = [sys.executable, str(bench / "score.py"), what, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"score.py {what} failed: {done.stderr.strip()}")
    figures: Figures = json.loads(done.stdout) if done.stdout.strip() else {}
    return figures


def measure(
    bench: Path, sets: Sequence[str], methods: Sequence[str], cache: Path
) -> tuple[dict[tuple[str, str], Figures], dict[tuple[str, str], Figures]]:
    """The figures of ranking and of confidence, by (method, set)."""
    ranking: dict[tuple[str, str], Figures] = {}
    confidence: dict[tuple[str, str], Figures] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in sets:
            folder, novel = bench / name, Path(temporary) / f"{name}.novel.jsonl"
            score(bench, "novel", folder, "--out", novel)
            for method in methods:
                print(f"{name}: {method} …", file=sys.stderr, flush=True)
                out, out_novel = Path(temporary) / "run.jsonl", Path(temporary) / "novel-run.jsonl"
                rank(folder, folder / "queries.jsonl", out, method, cache)
                ranking[method, name] = score(bench, "recall", folder, out)
                if method in STATED:
                    rank(folder, novel, out_novel, method, cache)
                    confidence[method, name] = score(bench, "confidence", folder, out, out_novel)
    return ranking, confidence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(
    sets: Sequence[str],
    methods: Sequence[str],
    ranking: Mapping[tuple[str, str], Figures],
    confidence: Mapping[tuple[str, str], Figures],
) -> str:
    """The results as Markdown; no date and no machine in it, since neither changes a figure."""
    queries = {name: next(ranking[method, name]["queries"] for method in methods) for name in sets}
    quality = [
        [_NAMES[method], *("/".join(f"{ranking[method, name][k]:.3f}" for k in _RECALL) for name in sets)]
        for method in methods
    ]
    parts = [
        "# Results",
        "Written by `make bench` (`python bench/run.py`); what each figure means stands in `README.md` beside this file.",
        "## Ranking",
        "nDCG@10 / recall@5 / MRR / hit@1 on the judged (dev) half of the queries.",
        table(["method", *(f"{name} ({queries[name]})" for name in sets)], quality),
    ]
    stated = [method for method in methods if method in STATED]
    if stated:
        parts += [
            "## Confidence",
            "Each dev query once as it is and once with every right answer removed. AUROC: does a higher figure mean "
            "right more often; ECE and Brier: is the stated figure the share that is right (0 is perfect); the last "
            "column: of the answers stated at 85 % or more, how many there were and how many were right.",
        ]
        rows = []
        for name in sets:
            for method in stated:
                f = confidence[method, name]
                sure = f["right_when_stated>=0.85"]
                rows.append(
                    [
                        name,
                        _NAMES[method].split(":")[0],
                        f"{f['right']:.3f}",
                        f"{f['auroc']:.3f}",
                        f"{f['ece']:.3f}",
                        f"{f['brier']:.3f}",
                        f"{f['stated>=0.85']} of {f['answers']}" + ("" if sure is None else f", {sure:.0%} right"),
                    ]
                )
        parts.append(table(["set", "method", "right", "AUROC", "ECE", "Brier", "stated ≥ 85 %"], rows))
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Return the exit status: 0 also where there are no sets to measure on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, help="the folder of the sets, by default ../shared/bench")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="NAME")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=USUAL, metavar="NAME")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    args = parser.parse_args()
    bench = bench_folder(args.bench)
    if bench is None:
        print("Skipped: there are no retrieval sets at ../shared/bench. Give their folder with --bench.")
        return 0
    sets = [name for name in args.sets if (bench / name / "corpus.jsonl").is_file()]
    if not sets:
        print(f"Skipped: none of the sets {', '.join(args.sets)} is in {bench}.")
        return 0
    text = report(sets, args.method, *measure(bench, sets, args.method, args.cache))
    args.out.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
