"""Draws the pictures of the README from the figures that are committed beside this file.

    python bench/pictures.py [--figures FOLDER] [--out FOLDER]

A picture whose figures are not there is left as it is.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import charts

HERE = Path(__file__).resolve().parent

PICTURES = {
    "latency.jsonl": (charts.latency, "latency.svg"),
    "confidence.json": (charts.reliability, "reliability.svg"),
    "recalibration.json": (charts.recalibration, "recalibration.svg"),
    "replay.json": (charts.replay, "replay.svg"),
}
"""The file of figures, what draws them, and the picture."""


def read(file: Path) -> Any:
    """The figures of a JSON file, or a list of those of each line."""
    text = file.read_text(encoding="utf-8")
    return (
        [json.loads(line) for line in text.splitlines() if line.strip()]
        if file.suffix == ".jsonl"
        else json.loads(text)
    )


def main() -> int:
    """Return the exit status, always 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, default=HERE, help="where the figures lie")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs", help="where the pictures go")
    args = parser.parse_args()
    for name, (draw, picture) in PICTURES.items():
        if (args.figures / name).is_file():
            draw(read(args.figures / name), args.out / picture)
            print(f"{picture}: drawn from {name}")
        else:
            print(f"{picture}: left as it is, there is no {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
