"""Loads the embedding model behind the server's back, and embeds what was stored without it.

A server has to answer `initialize` at once, and importing torch takes seconds. So a thread loads the model, and from
then on gives vectors to whatever lacks them: incidents stored before it was ready, incidents that another process
stored with another model, and, after the model was changed, all of them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Literal

from ..errors import EmbeddingError, IncidentOSError
from ..incident import Incident
from ..index.fields import embedded_texts
from ..ports import Embedder, IncidentStore, Vectors

State = Literal["idle", "loading", "ready", "failed"]

GRACE = 1.5
"""Seconds after the start within which a call waits for the model. From its cache it loads in less."""

_BATCH = 16
"""Incidents of one write transaction: small, so that a store by the user never waits long behind it."""


def embed_incidents(embedder: Embedder, incidents: list[Incident]) -> list[Vectors]:
    """The vectors of each incident, shape (texts of the incident, dimensions), in one pass of the model."""
    texts = [embedded_texts(incident) for incident in incidents]
    vectors = embedder.embed([text for some in texts for text in some])
    found: list[Vectors] = []
    start = 0
    for some in texts:
        found.append(vectors[start : start + len(some)])
        start += len(some)
    return found


class BackgroundEmbedder:
    """An embedder that is on its way.

    Args:
        load: makes the embedder; runs once, in a thread of its own.
        store: whose incidents are given vectors once the model is there.
    """

    def __init__(self, load: Callable[[], Embedder], store: IncidentStore) -> None:
        self._load = load
        self._store = store
        self._embedder: Embedder | None = None
        self._error: str | None = None
        self._loaded = threading.Event()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._started = 0.0

    @property
    def state(self) -> State:
        """Where it stands. `idle` until somebody starts it."""
        if self._embedder is not None:
            return "ready"
        if self._error is not None:
            return "failed"
        return "loading" if self._thread is not None else "idle"

    @property
    def error(self) -> str | None:
        """Why loading failed, in a sentence for the user."""
        return self._error

    def start(self) -> None:
        """Begin to load, once; returns at once."""
        with self._start_lock:
            if self._thread is None and not self._stopping.is_set():
                self._started = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="incidentos-embedding", daemon=True)
                self._thread.start()

    def current(self) -> Embedder | None:
        """The embedder if it is ready."""
        return self._embedder

    def current_or_soon(self) -> Embedder | None:
        """The embedder if it is ready, or is within the grace after the start: a first call that comes with the
        start of the server is worth half a second more, and no later call waits."""
        self.start()
        if self._embedder is None and (left := self._started + GRACE - time.monotonic()) > 0:
            self._loaded.wait(left)
        return self._embedder

    def wait(self) -> Embedder:
        """The embedder, once it is ready.

        Raises:
            EmbeddingError: it cannot be loaded.
        """
        self.start()
        self._loaded.wait()
        if self._embedder is None:
            raise EmbeddingError(self._error or "The embedding model was not loaded: the program is stopping.")
        return self._embedder

    def catch_up(self) -> None:
        """Say that there may be incidents without vectors."""
        self._wake.set()

    def stop(self) -> None:
        """Let the thread end at the next chance; does not wait, since a model that loads cannot be interrupted."""
        self._stopping.set()
        self._wake.set()

    def _run(self) -> None:
        try:
            self._embedder = self._load()
        except EmbeddingError as exc:
            self._error = str(exc)
        except Exception as exc:  # noqa: BLE001 - a thread's exception would go nowhere
            self._error = f"The embedding model cannot be loaded ({type(exc).__name__})."
        self._loaded.set()
        if self._embedder is None:
            print(f"incidentos: {self._error}", file=sys.stderr, flush=True)
            return
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._embed_missing(self._embedder)
            except IncidentOSError as exc:  # tried again with the next incident
                print(f"incidentos: embedding in the background: {exc}", file=sys.stderr, flush=True)

    def _embed_missing(self, embedder: Embedder) -> None:
        while not self._stopping.is_set():
            missing = self._store.lacking_vectors(embedder.identity, _BATCH)
            if not missing:
                return
            # One at a time: a user's query waits for the model behind one incident, not behind a batch.
            found = [(i.id, i.revision, embed_incidents(embedder, [i])[0]) for i in missing]
            self._store.put_vectors(found, embedder.identity)
