"""How well `risk_of` judges real commands: precision and recall of "destructive", and the worst of errors.

    python bench/risk.py [-v] [folder]

The folder is by default ../shared/bench next to the checkout; -v lists the errors of the half "tuned". The
commands stand in the code blocks of `alert2runbook/corpus.jsonl`. The texts belong to their authors, so the
repository keeps only labels: document id, the first 16 hex digits of the SHA-256 of the stripped command, and
the label that was given by hand. All labels were set before any tuning, and only errors of the half "tuned"
(the SHA-256 of the document id is even) are looked at while tuning. `risk_labels_fresh.tsv` holds 101 more, drawn by
chance (half of them among commands with a dangerous-looking word) and labelled before they were first judged: at that
first look recall was 19/20 and precision 19/19. The one that was missed is mended since, so "fresh" is fresh no more.

Exit status 1 below recall 0.98 or precision 0.9 in either half, when a destructive command is called
read-only, or when a labelled command is not found; 2 without the corpus.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from incidentos.memory.risk import Risk, risk_of

ROOT = Path(__file__).resolve().parents[1]
LABELS = ROOT / "tests" / "data" / "risk_labels.tsv"
FRESH = ROOT / "tests" / "data" / "risk_labels_fresh.tsv"
MIN_RECALL, MIN_PRECISION = 0.98, 0.9

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.S | re.M)
_NOT_COMMANDS = frozenset(
    [
        "yaml",
        "yml",
        "json",
        "ruby",
        "promql",
        "mermaid",
        "hcl",
        "python",
        "terraform",
        "ini",
        "jsonnet",
        "math",
        "plantuml",
        "js",
        "log",
    ]
)


def commands(text: str) -> Iterator[str]:
    """The command lines of a runbook's code blocks: lines joined, no `$` prompt, SQL by statement."""
    for _, lang, body in _FENCE.findall(text):
        if lang.lower() in _NOT_COMMANDS:
            continue
        body = re.sub(r"\\\n[ \t]*", " ", body)
        if lang.lower() == "sql":
            for statement in re.split(r";[ \t]*(?:\n|$)", body):
                if statement.strip():
                    yield re.sub(r"\s+", " ", statement.strip())
            continue
        lines = [line.strip() for line in body.split("\n")]
        prompted = any(line.startswith("$ ") for line in lines)  # then the other lines are output
        for line in lines:
            if line and (line.startswith("$ ") or not prompted):
                yield re.sub(r"^[$] ", "", line).strip()


def digest(text: str) -> str:
    """What stands in the label file for a command."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def half(document: str) -> str:
    """Which half a document belongs to."""
    return "held out" if int(hashlib.sha256(document.encode()).hexdigest(), 16) % 2 else "tuned"


def main() -> int:
    """Print the figures; return the exit status."""
    given = [a for a in sys.argv[1:] if a != "-v"]
    folder = Path(given[0]) if given else ROOT.parent / "shared" / "bench"
    corpus = folder / "alert2runbook" / "corpus.jsonl"
    if not corpus.is_file():
        print(f"no corpus at {corpus}", file=sys.stderr)
        return 2
    found: dict[tuple[str, str], str] = {}
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            for command in commands(document["text"]):
                found[document["_id"], digest(command)] = command
    failed = False
    table: Counter[tuple[str, Risk, Risk]] = Counter()
    rows = [(row, "") for row in LABELS.read_text(encoding="utf-8").splitlines()[1:]]
    rows += [(row, "fresh") for row in FRESH.read_text(encoding="utf-8").splitlines()[1:]]
    for row, part in rows:
        document_id, sha, label = row.split("\t")
        text = found.get((document_id, sha))
        if text is None:
            print(f"not found: {document_id} {sha}")
            failed = True
            continue
        truth, said = Risk(label), risk_of(text)
        table[part or half(document_id), truth, said] += 1
        shown = (part or half(document_id)) == "tuned" and "-v" in sys.argv
        if truth is not said and shown:
            print(f"{truth} called {said}: {text}")
    for name in ("tuned", "held out", "fresh"):
        count = {(t, s): table[name, t, s] for t in Risk for s in Risk}
        hit = count[Risk.DESTRUCTIVE, Risk.DESTRUCTIVE]
        real = sum(count[Risk.DESTRUCTIVE, s] for s in Risk)
        called = sum(count[t, Risk.DESTRUCTIVE] for t in Risk)
        recall, precision = hit / max(real, 1), hit / max(called, 1)
        silent = count[Risk.DESTRUCTIVE, Risk.READ_ONLY]
        print(f"\n{name}: {sum(count.values())} commands")
        print(
            f"destructive: recall {recall:.3f} ({hit}/{real}), precision {precision:.3f} ({hit}/{called}), "
            f"called read-only {silent}"
        )
        print("label \\ said".ljust(14) + "".join(s.rjust(13) for s in Risk))
        for t in Risk:
            print(t.ljust(14) + "".join(str(count[t, s]).rjust(13) for s in Risk))
        failed |= recall < MIN_RECALL or precision < MIN_PRECISION or silent > 0
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
