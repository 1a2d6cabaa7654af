"""How common words are in public incident reports: writes `memory/index/words.tsv`, which speaks for a memory that is too
small to tell.

    python bench/words.py [--data FOLDER] [--write]

Four collections of `../shared/data` are read; the status reports of GitHub are left out, so that `size.py` can ask how p
changes with incidents that the table has not seen. For each word it keeps the share of the reports that hold it: the mean
over the collections without the highest, since a word that one collection alone is full of is its author's manner and not
how incidents are told.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from texts import data_folder

from incidentos.memory.index.background import WORDS
from incidentos.memory.index.runs import plain_words

COLLECTIONS = ("danluu", "gcp_status", "icco_human", "team_postmortems")
FIELDS = ("title", "description", "root_cause", "mitigation")

LEAST = 0.003
"""The smallest share that is kept: rarer words tell so much that it does not matter how much exactly."""


def shares(path: Path) -> dict[str, float]:
    """The share of a collection's reports that hold each word; what is a number is no word."""
    held: Counter[bytes] = Counter()
    reports = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for report in reports:
        held.update(set(plain_words("\n".join(str(report.get(field) or "") for field in FIELDS))))
    return {word.decode(): count / len(reports) for word, count in held.items() if not word.isdigit()}


def common(folder: Path) -> dict[str, float]:
    """The shares over all collections, the most common word first."""
    each = [shares(folder / f"{name}.jsonl") for name in COLLECTIONS]
    found = {}
    for word in {word for its in each for word in its}:
        found[word] = sum(sorted(its.get(word, 0.0) for its in each)[:-1]) / (len(each) - 1)
    return dict(sorted(((w, s) for w, s in found.items() if s >= LEAST), key=lambda item: (-item[1], item[0])))


def main() -> int:
    """Return the exit status: 0 also where there is nothing to read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of the real incidents, by default ../shared/data")
    parser.add_argument("--write", action="store_true", help=f"write {WORDS.name}")
    args = parser.parse_args()
    data = data_folder(args.data)
    if data is None:
        print("Skipped: there are no real incidents at ../shared/data. Give their folder with --data.")
        return 0
    found = common(data)
    lines = [
        f"# The share of public incident reports that hold a word, by bench/words.py: {', '.join(COLLECTIONS)}.",
        *(f"{word}\t{share:.3f}" for word, share in found.items()),
    ]
    print(f"{len(found):,} words, {len(chr(10).join(lines)):,} bytes; the most common: {', '.join(list(found)[:12])}")
    if args.write:
        WORDS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
