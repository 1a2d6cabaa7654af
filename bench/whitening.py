"""What the vectors of public incident reports have in common: writes `memory/index/whitening-….npy` for the bundled model.

    python bench/whitening.py [--data FOLDER] [--write]

The texts of four collections of `../shared/data` are embedded as incidents are stored (the whole, its heading, its chunks, its
cause); the status reports of GitHub are left out, as in `words.py`. Each collection weighs the same, whatever its size, so
that none's manner counts as everybody's. The file holds their mean, and below it the matrix W = U (Λ / mean(Λ) + SHRINKAGE)^-½
Uᵀ of their covariance U Λ Uᵀ, in float16, shape (1 + dimensions, dimensions).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sets import CACHE, fast_embedder
from texts import data_folder
from words import COLLECTIONS

from incidentos.memory.importers.rows import RowReader
from incidentos.memory.incident import Incident, Status
from incidentos.memory.index.fields import embedded_texts
from incidentos.memory.index.whitening import file_of

SHRINKAGE = 0.03
"""Added to each direction's variance, as a share of their mean: of 384 directions and two thousand texts the smallest variances
are the luck of the texts. Measured, 1, .3, .1 and .03 give Brier .1316, .1311, .1306 and .1303."""


def texts_of(path: Path) -> list[str]:
    """The texts of a collection that are embedded."""
    reader = RowReader(Status.RESOLVED)
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    read = [reader.read(number, row) for number, row in enumerate(rows, 1)]
    return [text for incident in read if isinstance(incident, Incident) for text in embedded_texts(incident)]


def main() -> int:
    """Return the exit status: 0 also where there is nothing to read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of the real incidents, by default ../shared/data")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    parser.add_argument("--write", action="store_true", help="write the file")
    args = parser.parse_args()
    data = data_folder(args.data)
    if data is None:
        print("Skipped: there are no real incidents at ../shared/data. Give their folder with --data.")
        return 0
    embedder = fast_embedder(args.cache)
    each = [embedder.embed(texts_of(data / f"{name}.jsonl")).astype(np.float64) for name in COLLECTIONS]
    mean = np.mean([vectors.mean(axis=0) for vectors in each], axis=0)
    covariance = np.mean([(vectors - mean).T @ (vectors - mean) / len(vectors) for vectors in each], axis=0)
    variances, directions = np.linalg.eigh(covariance)
    scale = (np.maximum(variances, 0) / variances.mean() + SHRINKAGE) ** -0.5
    matrix = (directions * scale) @ directions.T
    largest = np.sort(variances)[::-1] / variances.sum()
    print(
        f"{sum(map(len, each)):,} vectors; the mean has length {np.linalg.norm(mean):.2f}; the first 8, 32 and 128 of "
        f"{len(variances)} directions hold {largest[:8].sum():.0%}, {largest[:32].sum():.0%} and {largest[:128].sum():.0%}"
    )
    file = file_of(embedder.identity)
    assert file is not None, "the bundled model names its weights"
    if args.write:
        np.save(file, np.vstack([mean, matrix]).astype(np.float16))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
