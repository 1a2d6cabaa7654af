"""What the tests share: an embedder of words, the real model's cache, servers, clients and processes of their own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import DEADLINE, Processes

from incidentos.commands.demo import sample
from incidentos.memory.embedding.background import BackgroundEmbedder
from incidentos.memory.embedding.onnx import OnnxEmbedder, load_or_make
from incidentos.memory.errors import EmbeddingError
from incidentos.memory.incident import Incident
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder, IncidentStore, Vectors
from incidentos.memory.stores.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[1]
AT = datetime(2026, 5, 3, 2, 14, 0, 123456, tzinfo=UTC)
IN_MEMORY = Path("/dev/shm")
"""A folder of the main memory, on Linux. A run writes some 200 MB; a container may have 64 MB there."""


def pytest_configure() -> None:
    """Files of the tests go to the main memory where there is room: each store waits for the disk with each write, and a
    power cut, which that is for, is not among what the tests bring about."""
    if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > 2 << 30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


class WordEmbedder:
    """A test adapter of `ports.Embedder`: each word is hashed to one of 64 dimensions. It knows words, no meaning."""

    def __init__(self, name: str = "words", dimensions: int = 64) -> None:
        self._identity = f"{name}@test"
        self._dimensions = dimensions

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def dimensions(self) -> int:
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.casefold()) or ["(nothing)"]:
                digest = hashlib.sha256(f"{self._identity}:{word}".encode()).digest()
                found[row, int.from_bytes(digest[:4], "big") % self._dimensions] += 1 if digest[4] % 2 else -1
            norm = float(np.linalg.norm(found[row]))
            found[row] = found[row] / norm if norm else np.eye(self._dimensions, dtype=np.float32)[0]
        return found


@pytest.fixture
def words() -> Callable[..., Embedder]:
    return WordEmbedder


@pytest.fixture
def incident() -> Callable[..., Incident]:
    """Makes an incident; everything can be overridden."""

    def make(incident_id: str = "a1", title: str | None = "pool exhausted", **fields: Any) -> Incident:
        given: dict[str, Any] = {"description": "HikariPool-1 is empty", "created_at": AT, "updated_at": AT, **fields}
        return Incident(id=incident_id, title=title, **given)

    return make


@pytest.fixture(scope="session")
def open_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], SqliteStore]:
    """Opens the store at a path. A new one begins as a copy of an empty one: to make the tables anew, safe from a power
    cut, would take most tests longer than all they do with them."""
    empty = tmp_path_factory.mktemp("empty") / "memory.db"
    SqliteStore(empty).close()

    def open_(path: Path) -> SqliteStore:
        if not path.exists():
            shutil.copy(empty, path)
        return SqliteStore(path)

    return open_


@dataclass(frozen=True)
class Adapter:
    """One store: how to open the same data again, here and as source code in another process."""

    open: Callable[[Path], IncidentStore]
    code: str


ADAPTERS = {
    "sqlite": Adapter(
        lambda folder: SqliteStore(folder / "memory.db"),
        "from pathlib import Path\nfrom incidentos.memory.stores.sqlite import SqliteStore\n"
        "def open_store(): return SqliteStore(Path(args[0]) / 'memory.db')\n",
    ),
}


@pytest.fixture(params=list(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return ADAPTERS[request.param]


@pytest.fixture
def again(adapter: Adapter, tmp_path: Path) -> Iterator[Callable[[], IncidentStore]]:
    """Opens the data once more, as another process of the user would."""
    opened: list[IncidentStore] = []

    def open_() -> IncidentStore:
        opened.append(adapter.open(tmp_path))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(again: Callable[[], IncidentStore]) -> IncidentStore:
    return again()


@pytest.fixture
def open_memory(tmp_path: Path, open_store: Callable[[Path], SqliteStore]) -> Iterator[Callable[..., IncidentMemory]]:
    """Opens the memory at a path as another server would. `embedder` is an Embedder, a function that loads one, or
    None for a model that cannot be loaded; with `ready` the call returns once it is there."""
    opened: list[IncidentMemory] = []

    def failing() -> Embedder:
        raise EmbeddingError("There is no model in this test.")

    def open_(embedder: Any = None, *, path: Path | None = None, ready: bool = True) -> IncidentMemory:
        store = open_store(path or tmp_path / "memory.db")
        load = failing if embedder is None else embedder if callable(embedder) else lambda: embedder
        memory = IncidentMemory(store, BackgroundEmbedder(load, store))
        opened.append(memory)
        memory.embedder.start()
        if ready and embedder is not None:
            memory.embedder.wait()
        return memory

    yield open_
    for memory in opened:
        memory.close()
        thread = memory.embedder._thread  # nothing may outlive the test
        if thread is not None:
            thread.join(DEADLINE)


@pytest.fixture(scope="session")
def model_cache(request: pytest.FixtureRequest) -> Path:
    """A folder with the bundled model in its fast form, made once on a machine (some 15 s) and kept by pytest."""
    assert request.config.cache is not None
    folder = Path(request.config.cache.mkdir("model"))
    assert isinstance(load_or_make(folder), OnnxEmbedder)
    return folder


@pytest.fixture(scope="session")
def real_embedder(model_cache: Path) -> Embedder:
    return load_or_make(model_cache)


@pytest.fixture
def home(tmp_path: Path, model_cache: Path) -> Path:
    """An INCIDENTOS_HOME of its own, whose model cache is warm."""
    return warm_home(tmp_path / "home", model_cache)


@pytest.fixture
def another_home(tmp_path: Path, model_cache: Path) -> Callable[[str], Path]:
    return lambda name: warm_home(tmp_path / name, model_cache)


@pytest.fixture(scope="session")
def sample_database(tmp_path_factory: pytest.TempPathFactory, real_embedder: Embedder) -> Path:
    """A third of the memory of the fictional shop Larkspur, embedded; copy it, do not write to it."""
    path = tmp_path_factory.mktemp("sample") / "memory.db"
    store = SqliteStore(path)
    memory = IncidentMemory(store, BackgroundEmbedder(lambda: real_embedder, store))
    memory.import_batch(sample()[::3], embed=True)
    memory.close()
    thread = memory.embedder._thread
    assert thread is not None
    thread.join(DEADLINE)
    return path


@pytest.fixture(scope="session")
def sample_home(
    tmp_path_factory: pytest.TempPathFactory, model_cache: Path, sample_database: Path
) -> Callable[[], Path]:
    """Makes an INCIDENTOS_HOME with the sample in it."""

    def make() -> Path:
        folder = warm_home(tmp_path_factory.mktemp("server") / "home", model_cache)
        shutil.copy(sample_database, folder / "memory.db")
        return folder

    return make


def warm_home(folder: Path, model_cache: Path) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "models").symlink_to(model_cache, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def module_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    found = Processes(tmp_path_factory.mktemp("processes"))
    yield found
    found.end()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path)
    yield found
    found.end()


@pytest.fixture
def bank() -> Any:
    """The bank of a team, in this process."""
    from bed.team import Bank

    return Bank()


@pytest.fixture
def machine(tmp_path: Path, bank: Any, open_store: Callable[[Path], SqliteStore]) -> Iterator[Callable[..., Any]]:
    """Makes a machine of the team, by name."""
    from bed.team import Machine

    made: list[Any] = []

    def make(name: str, **more: Any) -> Any:
        made.append(Machine(open_store(tmp_path / f"{name}.db"), bank, **more))
        return made[-1]

    yield make
    for one in made:
        one.store.close()
