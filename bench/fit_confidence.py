"""Fits the probability of a match to the dev judgments, and measures it: writes `memory/probability.toml`.

    python bench/fit_confidence.py [--bench FOLDER] [--write] [--out FILE] [--json FILE]

Every dev query of the sets is asked as it is and once with every right answer removed (`score.py novel`), by the code
that serves users. A logistic regression over `Evidence` of the first match is fitted to all sets at once, and the same
for recall by words alone. The same is fitted to `pairs.jsonl` for reports of one's own, which tell their cause apart (`pairs.py`).
Without `--write` nothing but the figures is made.

The figures are cross-validated: the queries are dealt into ten parts, and a part is judged by the model that was fitted
to the other nine, so no query is judged by a model that has seen it, with or without its right answer. That is done for
ten deals, and mean ± standard deviation over them is stated, since the luck of one deal moves the last digit. `score.py`
itself computes the figures, over the sets together; beside them the original's ladder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pairs
from recall import incident_of, memory_of, original, scope_of
from run import score
from run import table as table_of
from scipy.optimize import minimize
from sets import CACHE, bench_folder, fast_embedder, read_questions, read_set
from threadpoolctl import threadpool_limits

from incidentos.memory.incident import Incident, Resolution
from incidentos.memory.probability import CEILING, Match, matches_of, probability
from incidentos.memory.recall import Query

SETS = ("alert2runbook", "paraphrase-known-item", "incident-links")
"""rootcause-issre is left out: its labels are near the majority class, whatever the text."""

RECORDS = {"same_failure_type": 0.8, "same_service": 0.5, "elsewhere": 0.5}
"""Log-odds that are a judgment: the sets state neither. A guess from words is no stated type and adds nothing."""

FEATURES = {
    "with_vectors": ("held", "agreement", "lead_title", "nearness"),
    "words_alone": ("held", "agreement", "nearness"),
}
REPORTS = {
    "reports": ("rest", "beyond", "letters", "same_service"),
    "reports_words_alone": ("beyond", "letters", "same_service"),
}
WEIGHT_OF_PAIR, WEIGHT_OF_TITLE, WEIGHT_OF_JUDGED = 1 / 8, 1 / 16, 0.6
"""How much an answer to the pairs tells, of which there are eight for each text, one to its title alone, and one to a query of the
judged sets, for which there are two."""

NEARNESS_OF_REPORTS = 2.0
"""Log-odds that the same hour adds to a report that is alike: a judgment, as the pairs lie far apart in time."""

TARGET = Path(__file__).resolve().parents[1] / "memory" / "probability.toml"
STRENGTH = 1.0
"""Inverse of the penalty on the weights, per standard deviation of a feature."""

MOST_NEARNESS = 4.5
"""Log-odds that the same hour adds at most. The only set that states times, of one operator's status reports, would give it
5; an alert that is alike by chance, minutes after another, must not be made certain by it."""

FOLDS = DEALS = 10

SURE = 0.85
"""Stated probability from which an answer is called sure, as in `score.py`."""

_LETTERS = str.maketrans("0123456789", "ghijklmnop")

HEAD = ("", "right", "AUROC", "ECE", "Brier", "right where 85 % or more is stated", "answerable ones that reach it")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one query: its first match, and whether that is right."""

    set_name: str
    query_id: str
    novel: bool
    document: str
    match: Match
    right: bool


def answers(bench: Path, cache: Path, *, vectors: bool) -> tuple[list[Answer], list[Answer]]:
    """Ask everything: the answers, and the same as if each document had a cause of its own, apart from its text, so that the
    brief ones are reports."""
    found: tuple[list[Answer], list[Answer]] = ([], [])
    for name in SETS:
        folder = bench / name
        documents, relevant = read_set(folder), judgments(folder)
        with tempfile.TemporaryDirectory() as temporary, memory_of(documents, fast_embedder(cache)) as memory:
            novel = Path(temporary) / "novel.jsonl"
            score(bench, "novel", folder, "--out", novel)
            for is_novel, queries in ((False, folder / "queries.jsonl"), (True, novel)):
                for question in read_questions(queries):
                    if question.id not in relevant:
                        continue
                    about, scope = incident_of(question), scope_of(question, documents)
                    if vectors:
                        matches: Sequence[Match] = memory.find(question.text, 12, scope, about=about).matches
                    else:
                        query = Query(question.text, None, question.created_at)
                        matches = matches_of(memory.recall.find(query, 24, scope), about.failure_type)
                    for some, match in zip(found, (matches[0], _with_causes(matches, about)[0]), strict=True):
                        document = documents.set_id[match.incident.id]
                        right = not is_novel and document in relevant[question.id]
                        some.append(Answer(name, question.id, is_novel, document, match, right))
        print(f"{name}: asked", file=sys.stderr, flush=True)
    return found


def _with_causes(matches: Sequence[Match], about: Incident) -> list[Match]:
    """The same hits, each with a made-up word for a cause, so that no two share one."""
    words = [hashlib.sha256(m.incident.id.encode()).hexdigest()[:12].translate(_LETTERS) for m in matches]
    hits = [
        replace(m.hit, incident=replace(m.incident, resolution=Resolution(word)))
        for m, word in zip(matches, words, strict=True)
    ]
    return matches_of(hits, about.failure_type)


def judgments(folder: Path) -> dict[str, set[str]]:
    """The relevant documents of each judged query."""
    relevant: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, _ = line.split("\t")
        relevant.setdefault(query, set()).add(document)
    return relevant


def table(found: Sequence[Answer | pairs.PairAnswer], names: Sequence[str]) -> npt.NDArray[np.float64]:
    """The evidence, shape (answers, names)."""
    return np.array([[float(getattr(answer.match.evidence, name) or 0.0) for name in names] for answer in found])


def fit(
    features: npt.NDArray[np.float64],
    right: npt.NDArray[np.bool_],
    most_of_last: float = math.inf,
    weight: float | npt.NDArray[np.float64] = 1.0,
) -> tuple[float, npt.NDArray[np.float64]]:
    """Intercept and weights of the greatest likelihood, less the penalty. No weight is negative: what speaks for a match in
    words never speaks against it in the figure.

    Args:
        features: the evidence, shape (answers, features).
        right: which answers are.
        most_of_last: what the last weight may come to.
        weight: how much an answer tells, shape (answers,) or one for all.
    """
    spread = features.std(axis=0)
    spread[spread == 0] = 1.0
    scaled = features / spread

    def loss(guess: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        sure = 1 / (1 + np.exp(-(guess[0] + scaled @ guess[1:])))
        p = CEILING * sure
        slope = np.where(right, -1 / p, 1 / (1 - p)) * p * (1 - sure)
        likelihood = (weight * np.log(np.where(right, p, 1 - p))).sum()
        penalised = np.append(0.0, guess[1:] / STRENGTH)
        return penalised @ guess / 2 - likelihood, penalised + np.append(
            (weight * slope).sum(), (weight * slope) @ scaled
        )

    most = [math.inf] * (len(spread) - 1) + [most_of_last * spread[-1]]
    bounds = [(-math.inf, math.inf), *((0.0, bound) for bound in most)]
    found = minimize(loss, np.zeros(1 + len(spread)), jac=True, bounds=bounds)
    if not found.success:
        raise SystemExit(f"The weights could not be fitted: {found.message}")
    return float(found.x[0]), found.x[1:] / spread


def stated(features: npt.NDArray[np.float64], intercept: float, weights: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """The probabilities."""
    return np.asarray(CEILING / (1 + np.exp(-(intercept + features @ weights))))


def cross_validated(
    features: npt.NDArray[np.float64],
    right: npt.NDArray[np.bool_],
    queries: Sequence[Hashable],
    seed: int = 0,
    most_of_last: float = math.inf,
    weight: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """The probability of each answer, by the model that was fitted, as `fit` does, without the answers to its query; the seed
    deals the parts."""
    weights = np.ones(len(right)) if weight is None else weight
    known = sorted(set(queries))  # type: ignore[type-var] # each caller's are of one kind
    part = dict(zip(known, np.random.default_rng(seed).permutation(len(known)) % FOLDS, strict=True))
    of = np.array([part[query] for query in queries])
    result = np.zeros(len(right))
    for number in range(FOLDS):
        others = of != number
        model = fit(features[others], right[others], most_of_last, weights[others])
        result[of == number] = stated(features[of == number], *model)
    return result


def figures(bench: Path, found: Sequence[Answer], confidence: Sequence[float]) -> dict[str, Any]:
    """What `score.py confidence` says of the answers of all sets together."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "qrels").mkdir()
        lines = ["query\tdocument\tgrade"]
        for name in SETS:
            lines += [
                f"{name}/{query}\t{document}\t1"
                for query, documents in judgments(bench / name).items()
                for document in sorted(documents)
            ]
        (folder / "qrels" / "dev.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for novel in (False, True):
            rows = [
                {"query_id": f"{a.set_name}/{a.query_id}", "ranking": [a.document], "confidence": float(p)}
                for a, p in zip(found, confidence, strict=True)
                if a.novel is novel
            ]
            (folder / f"{novel}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
        return dict(score(bench, "confidence", folder, folder / "False.jsonl", folder / "True.jsonl"))


def ladder(bench: Path, cache: Path) -> tuple[list[Answer], list[float]]:
    """The original's answers and what its ladder states."""
    found: list[Answer] = []
    confidence: list[float] = []
    for name in SETS:
        folder = bench / name
        documents, relevant = read_set(folder), judgments(folder)
        answer = original(documents, cache)
        known = documents.incident_id
        for question in read_questions(folder / "queries.jsonl"):
            if question.id not in relevant:
                continue
            for novel in (False, True):
                removed = frozenset(known[d] for d in relevant[question.id] if d in known) if novel else frozenset()
                scope = scope_of(question, documents)
                ranking, sure = answer(question, replace(scope, exclude=scope.exclude | removed))
                document = documents.set_id[ranking[0]]
                right = not novel and document in relevant[question.id]
                found.append(Answer(name, question.id, novel, document, None, right))  # type: ignore[arg-type]
                confidence.append(sure)
    return found, confidence


def _between(
    documents: npt.NDArray[np.float64], reports: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """What is stated between the two, as `memory.probability.probability` does, shape of each (answers,)."""
    of_document, of_report = (np.log(p / (CEILING - p)) for p in (documents, reports))
    return np.asarray(CEILING / (1 + np.exp(-((1 - shares) * of_document + shares * of_report))))


def row(name: str, bench: Path, found: Sequence[Answer], deals: Sequence[Sequence[float]]) -> list[str]:
    """One row of the table: mean ± standard deviation over what was stated in each deal."""
    measured = [figures(bench, found, confidence) for confidence in deals]
    asked = np.array([not answer.novel for answer in found])
    reach = np.mean([np.mean(np.array(confidence)[asked] >= SURE) for confidence in deals])
    sure = np.mean([each["stated>=0.85"] for each in measured])
    right = [share for each in measured if (share := each["right_when_stated>=0.85"]) is not None]
    told = f"{np.mean(right):.1%} of {sure:.0f}" if right else "none"
    cells = [f"{measured[0]['right']:.3f}"]
    for key in ("auroc", "ece", "brier"):
        values = [each[key] for each in measured]
        cells.append(f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else ""))
    return [name, *cells, told, f"{reach:.0%}"]


def write(models: dict[str, tuple[float, npt.NDArray[np.float64]]]) -> None:
    """The data file that serves users."""
    parts = [
        "# Written by bench/fit_confidence.py: the log-odds are intercept + the sum of weight × evidence (memory/probability.py)."
    ]
    for name, (intercept, weights) in models.items():
        parts += ["", f"[{name}]", f"intercept = {intercept:.3f}"]
        features = {**FEATURES, **REPORTS}[name]
        parts += [f"{feature} = {weight:.3f}" for feature, weight in zip(features, weights, strict=True)]
        if name in REPORTS:
            parts.append(f"nearness = {NEARNESS_OF_REPORTS:.3f}")
    parts += ["", "[records]  # a judgment, not a fit: the sets state neither"]
    parts += [f"{name} = {weight}" for name, weight in RECORDS.items()]
    TARGET.write_text("\n".join(parts) + "\n", encoding="utf-8")


def main() -> int:
    """Return the exit status: 0 also where there are no sets to fit to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, help="the folder of the sets, by default ../shared/bench")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    parser.add_argument("--out", type=Path, help="write the table, as Markdown")
    parser.add_argument("--json", type=Path, help="write what was stated and whether it was right, for the picture")
    args = parser.parse_args()
    bench = bench_folder(args.bench)
    if bench is None:
        print("Skipped: there are no retrieval sets at ../shared/bench. Give their folder with --bench.")
        return 0
    threadpool_limits(1)  # the regressions are so small that threads only wait for each other
    models = {}
    documents: dict[str, tuple[list[Answer], npt.NDArray[np.float64]]] = {}
    rows: list[list[str]] = []
    pictured: dict[str, list[list[float]]] = {}
    for name, features in FEATURES.items():
        found, with_causes = answers(bench, args.cache, vectors=name == "with_vectors")
        right = np.array([answer.right for answer in found])
        evidence, queries = table(found, features), [(answer.set_name, answer.query_id) for answer in found]
        deals = [cross_validated(evidence, right, queries, seed, MOST_NEARNESS) for seed in range(DEALS)]
        models[name] = fit(evidence, right, MOST_NEARNESS)
        of_causes = np.array([answer.right for answer in with_causes])
        documents[name] = (
            with_causes,
            cross_validated(table(with_causes, features), of_causes, queries, most_of_last=MOST_NEARNESS),
        )
        rows.append(row(f"IncidentOS, {name.replace('_', ' ')}", bench, found, [deal.tolist() for deal in deals]))
        if name == "with_vectors":
            pictured["IncidentOS"] = [[round(float(p), 4), int(y)] for p, y in zip(deals[0], right, strict=True)]
            seen = stated(evidence, *models[name])
            rows.append(row("fitted to all of them, which it has seen", bench, found, [seen.tolist()]))
    found, sure = ladder(bench, args.cache)
    rows.append(row("the original's ladder", bench, found, [sure]))
    report = "\n\n".join(
        (
            "# Confidence",
            f"Written by `bench/fit_confidence.py`. {len(found)} answers: the dev queries of {', '.join(SETS)}, each once "
            f"as it is and once with every right answer removed. IncidentOS is cross-validated in {FOLDS} parts, by query: "
            f"mean ± standard deviation over {DEALS} deals of the queries.",
            table_of(HEAD, rows),
        )
    )
    of_pairs: list[str] = []
    for (name, features), (judged, as_documents) in zip(REPORTS.items(), documents.values(), strict=True):
        asked = list(pairs.answers(fast_embedder(args.cache), vectors=name == "reports"))
        right = np.array([answer.right for answer in [*asked, *judged]])
        evidence = table([*asked, *judged], features)
        shares = [answer.match.evidence.report for answer in judged]
        weight = np.array(
            [WEIGHT_OF_TITLE if a.title_alone else WEIGHT_OF_PAIR for a in asked]
            + [WEIGHT_OF_JUDGED * share for share in shares]
        )
        queries = [("pairs", str(a.group)) for a in asked] + [(a.set_name, a.query_id) for a in judged]
        p = cross_validated(evidence, right, queries, weight=weight)
        models[name] = fit(evidence, right, weight=weight)
        told = name.replace("_", ", ", 1).replace("_", " ").capitalize()
        for title_alone in (False, True):
            its = [number for number, answer in enumerate(asked) if answer.title_alone is title_alone]
            of_pairs += [
                f"## {told}" + (", asked by the title alone" if title_alone else ""),
                table_of(pairs.HEAD, pairs.rows([asked[number] for number in its], p[its].tolist())),
            ]
        between = _between(as_documents, p[len(asked) :], np.array(shares))
        of_pairs += [
            f"## {told}: the judged sets, as if each document had a cause apart",
            table_of(HEAD, [row("IncidentOS", bench, judged, [between.tolist()])]),
        ]
        if name == "reports":
            its_whole = [answer for answer in asked if not answer.title_alone]
            served = [probability(replace(answer.match.evidence, report=0.0)) for answer in its_whole]
            of_pairs += [
                "## Reports, if they were judged as documents",
                table_of(pairs.HEAD, pairs.rows(its_whole, served)),
            ]
        print(f"{name}: asked", file=sys.stderr, flush=True)
    about_pairs = (
        "The pairs of `bench/pairs.py`, by the model of reports, which is fitted to them and to the brief documents of the judged "
        "sets; cross-validated by query and group (one deal). The last six columns are means of p."
    )
    report = "\n\n".join((report, about_pairs, *of_pairs))
    print(report)
    if args.out:
        args.out.write_text(report + "\n", encoding="utf-8")
    pictured["the original's ladder"] = [[p, int(a.right)] for p, a in zip(sure, found, strict=True)]
    if args.write:
        write(models)
    if args.json:
        args.json.write_text(json.dumps(pictured) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
