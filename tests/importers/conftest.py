"""Files of each kind, and a memory to import them into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from incidentos.memory.embedding.background import BackgroundEmbedder
from incidentos.memory.errors import EmbeddingError
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.stores.sqlite import SqliteStore


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Writes a JSONL file: a mapping becomes its JSON, bytes stand as they are."""

    def write(*rows: Mapping[str, Any] | list[Any] | bytes, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows))
        return path

    return write


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV file as the text stands."""

    def write(text: str | bytes, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def original(tmp_path: Path) -> Callable[..., Path]:
    """Writes an incident_memory.json as the original system did, embeddings included."""

    def write(*records: Any) -> Path:
        path = tmp_path / "incident_memory.json"
        path.write_text(json.dumps(list(records), indent=2))
        return path

    return write


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[IncidentMemory]:
    def no_model() -> Embedder:
        raise EmbeddingError("No model in this test.")

    store = SqliteStore(tmp_path / "memory.db")
    memory = IncidentMemory(store, BackgroundEmbedder(no_model, store))
    yield memory
    memory.close()
