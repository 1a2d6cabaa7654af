"""The real Hindsight server, once for each way of taking in a text, and machines that are connected to it."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bed.machines import Machine
from bed.proxy import Proxy
from bed.server import KEY, HindsightServer, why_missing

from incidentos.memory.embedding.onnx import OnnxEmbedder
from incidentos.memory.ports import Vectors

MODES = ("none", "mock")
"""`none`: a text stays one fact. `mock`: it becomes several facts in other words, as in the cloud."""


def _server(mode: str) -> Iterator[HindsightServer]:
    if reason := why_missing():
        if os.environ.get("INCIDENTOS_REQUIRE_HINDSIGHT"):
            pytest.fail(f"INCIDENTOS_REQUIRE_HINDSIGHT is set, but {reason}")
        pytest.skip(reason)
    server = HindsightServer(mode)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def none_server() -> Iterator[HindsightServer]:
    yield from _server("none")


@pytest.fixture(scope="session")
def mock_server() -> Iterator[HindsightServer]:
    yield from _server("mock")


@pytest.fixture(params=MODES)
def hindsight(request: pytest.FixtureRequest) -> HindsightServer:
    """The real server, in both modes."""
    found: HindsightServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(scope="module", autouse=True)
def read_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """In these files the model reads a text once on a machine, in none of their processes again: the same history goes to
    and fro in most tests, and its vectors are not what they are about."""
    assert request.config.cache is not None
    folder = Path(request.config.cache.mkdir("vectors"))
    embed = OnnxEmbedder.embed

    def recalled(self: OnnxEmbedder, texts: Sequence[str]) -> Vectors:
        files = {text: folder / f"{digest(self.identity, text)}.npy" for text in texts}
        if new := [text for text, file in files.items() if not file.exists()]:
            for text, vector in zip(new, embed(self, new), strict=True):
                whole = files[text].with_suffix(f".{os.getpid()}")
                with whole.open("wb") as out:
                    np.save(out, vector)
                whole.replace(files[text])  # another process of the tests may read it now
        found = [np.load(files[text]) for text in texts]
        return np.array(found, dtype=np.float32).reshape(-1, self.dimensions)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OnnxEmbedder, "embed", recalled)
        yield


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@pytest.fixture
def bank() -> str:
    """The name of a bank that nobody has used."""
    return f"bank-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def proxies() -> Iterator[Callable[[HindsightServer], Proxy]]:
    """Puts a proxy in front of a server."""
    made: list[Proxy] = []

    def make(server: HindsightServer) -> Proxy:
        made.append(Proxy(server.port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def machine(
    processes: Any, another_home: Callable[[str], Path], bank: str
) -> Iterator[Callable[[str, str | None], Machine]]:
    """Makes a machine with an empty memory that is connected to the URL, or to nothing; all share one bank."""
    made: list[Any] = []

    def make(name: str, url: str | None) -> Machine:
        settings = {"HINDSIGHT_API_KEY": KEY, "HINDSIGHT_BASE_URL": url, "INCIDENTOS_HINDSIGHT_BANK": bank}
        own = type(processes)(processes.cwd, settings if url else {})
        made.append(own)
        return Machine(another_home(name), own)

    yield make
    for own in made:
        own.end()
