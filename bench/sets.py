"""What the recall benchmarks share: finding and reading the retrieval sets, and an embedder that remembers.

The sets stand in `../shared/bench` next to the checkout (`--bench FOLDER` names another place). They hold texts of
other authors, so nothing of them is kept in the repository; `bench/.cache` (ignored by git) keeps vectors only.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from incidentos.memory.embedding.onnx import DIMENSIONS, RECIPE, load_or_make
from incidentos.memory.embedding.sentence_transformer import (
    BUNDLED_MODEL,
    BUNDLED_SHA256,
    SentenceTransformerEmbedder,
)
from incidentos.memory.importers.rows import RowReader
from incidentos.memory.incident import Incident, Status
from incidentos.memory.index.fields import LAYOUT
from incidentos.memory.ports import Embedder, Vectors
from incidentos.memory.record import parse_time

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(__file__).resolve().parent / ".cache"
SETS = ("alert2runbook", "incident-links", "paraphrase-known-item", "rootcause-issre")

_BATCH = 256
"""Texts that are embedded, and kept, at a time."""


@dataclass(frozen=True, slots=True)
class Question:
    """One query: what may not be found (`exclude`, ids as the set writes them; `before`, only older documents), and
    when it was asked (`created_at`), where the set says so."""

    id: str
    text: str
    created_at: datetime | None = None
    before: datetime | None = None
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """A corpus as incidents. `set_id` maps an incident's id back to the one that the set's judgments use."""

    name: str
    incidents: tuple[Incident, ...]
    set_id: dict[str, str]

    @property
    def incident_id(self) -> dict[str, str]:
        """The incident's id of each document."""
        return {given: incident_id for incident_id, given in self.set_id.items()}


def bench_folder(given: Path | None = None) -> Path | None:
    """The folder of the retrieval sets and `score.py`, or None where it is missing."""
    folder = given or ROOT.parent / "shared" / "bench"
    return folder if (folder / "score.py").is_file() else None


def set_folder(name: str, bench: Path | None = None) -> Path | None:
    """The folder of one set: `name` is a set's name or a folder itself; None where there is none."""
    candidates = [Path(name), *([bench / name] if bench else [])]
    return next((folder for folder in candidates if (folder / "corpus.jsonl").is_file()), None)


def read_set(folder: Path) -> RetrievalSet:
    """The corpus of a set: each document a resolved incident, read as the importer reads a row of any file."""
    reader = RowReader(Status.RESOLVED)
    incidents: list[Incident] = []
    set_id: dict[str, str] = {}
    for number, document in enumerate(_lines(folder / "corpus.jsonl"), 1):
        metadata = document.get("metadata") or {}
        row = {
            "id": document["_id"],
            "title": document.get("title"),
            "description": document["text"],
            "status": "resolved",
            "service": metadata.get("service"),
            "created_at": metadata.get("created_at"),
        }
        incident = reader.read(number, row)
        if not isinstance(incident, Incident):
            raise SystemExit(f"{folder / 'corpus.jsonl'}, line {number}: {incident.reason}")
        incidents.append(incident)
        set_id[incident.id] = document["_id"]
    return RetrievalSet(folder.name, tuple(incidents), set_id)


def read_questions(path: Path) -> list[Question]:
    """The queries of a file, in its order."""
    found: list[Question] = []
    for query in _lines(path):
        metadata = query.get("metadata") or {}
        found.append(
            Question(
                id=query["_id"],
                text=query["text"],
                created_at=parse_time(metadata.get("created_at"), "created_at"),
                before=parse_time(metadata.get("before"), "before"),
                exclude=tuple(metadata.get("exclude") or ()),
            )
        )
    return found


class CachingEmbedder:
    """An embedder that keeps each vector on the disk, under the model's identity and the SHA-256 of the text.

    Args:
        identity: of the model, known before it is loaded, so that a full cache needs no model.
        dimensions: of one vector.
        load: makes the model; called at the first text that is not in the cache.
        file: the cache, an SQLite database; made where it is missing.
    """

    def __init__(self, identity: str, dimensions: int, load: Callable[[], Embedder], file: Path) -> None:
        self._identity, self._dimensions, self._load = identity, dimensions, load
        self._model: Embedder | None = None
        file.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(file, isolation_level=None, timeout=60, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # a cache: what is lost is made again
        self._db.execute("CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID")

    @property
    def identity(self) -> str:
        """The wrapped model's."""
        return self._identity

    @property
    def dimensions(self) -> int:
        """The wrapped model's."""
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors of the texts, shape (texts, dimensions), from the cache where they are in it."""
        model = self._identity.removesuffix(f"+{LAYOUT}")  # which texts an incident has changes no text's vector
        keys = [hashlib.sha256(f"{model}\n{text}".encode()).digest() for text in texts]
        known: dict[bytes, Vectors] = {}
        missing: dict[bytes, str] = {}
        for key, text in zip(keys, texts, strict=True):
            row = self._db.execute("SELECT data FROM vector WHERE key = ?", (key,)).fetchone()
            if row:
                known[key] = np.frombuffer(row[0], dtype="<f4")
            else:
                missing[key] = text
        if missing and self._model is None:
            self._model = self._load()
            if self._model.identity != self._identity:
                raise SystemExit(f"the embedding model is {self._model.identity}, not {self._identity}")
        order = list(missing)
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            assert self._model is not None
            made = self._model.embed([missing[key] for key in some])
            known.update(zip(some, made, strict=True))
            rows = [(key, np.ascontiguousarray(known[key], dtype="<f4").tobytes()) for key in some]
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        found = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row_number, key in enumerate(keys):
            found[row_number] = known[key]
        return found


def fast_embedder(cache: Path = CACHE) -> CachingEmbedder:
    """The model that serves users: the bundled one on ONNX Runtime, int8."""
    identity = f"{BUNDLED_MODEL}@{BUNDLED_SHA256[:16]}+{RECIPE}+{LAYOUT}"
    return CachingEmbedder(identity, DIMENSIONS, lambda: load_or_make(cache / "models"), cache / "vectors.db")


def reference_embedder(cache: Path = CACHE) -> CachingEmbedder:
    """The same model as its authors publish it: sentence-transformers, fp32."""
    identity = f"{BUNDLED_MODEL}@{BUNDLED_SHA256[:16]}+{LAYOUT}"
    return CachingEmbedder(identity, DIMENSIONS, SentenceTransformerEmbedder, cache / "vectors.db")


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]
