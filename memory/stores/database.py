"""The connection to a SQLite file: opened, migrated, locked, and its errors turned into ours."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreTooNew
from .migrations import APPLICATION_ID, MIGRATIONS

BUSY_TIMEOUT = 15.0
"""Seconds that a writer waits for another one. Our own transactions last milliseconds, an import's batch a second."""


class Database:
    """One connection that the threads of a process share, one at a time.

    `synchronous=FULL`: what was committed survives a power cut, not only a killed process, but for what is written
    `at_leisure`.

    Raises:
        StoreError: the file cannot be opened; the subclass says why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # its owner's alone
        except OSError as exc:
            raise StoreError(
                f"{path} cannot be made: {exc.strerror}. Set INCIDENTOS_HOME to a folder you own."
            ) from exc
        with self.errors():
            self.connection = self.connect()
            try:
                self._migrate()
            except BaseException:  # raised again: nobody else knows of the connection
                self.connection.close()
                raise

    @contextmanager
    def transaction(self, *, at_leisure: bool = False) -> Iterator[None]:
        """Everything written inside the block is committed together, or, if it raises, not at all. May be nested.

        With `at_leisure` the disk is not waited for: a killed process loses nothing, a power cut may lose what no later
        transaction has followed, and nothing else.
        """
        with self._lock, self.errors():
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            if at_leisure:
                self.connection.execute("PRAGMA synchronous = NORMAL")
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                self._depth = 1
                yield
                self.connection.execute("COMMIT")
            except BaseException:  # raised again: an interrupt, too, ends the transaction
                if self.connection.in_transaction:  # a full disk rolls back by itself
                    self.connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0
                if at_leisure:
                    self.connection.execute("PRAGMA synchronous = FULL")

    def one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        with self._lock, self.errors():
            row: tuple[Any, ...] | None = self.connection.execute(sql, values).fetchone()
            return row

    def all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, self.errors():
            return self.connection.execute(sql, values).fetchall()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Map SQLite's errors to ours, once for the whole adapter."""
        try:
            yield
        except sqlite3.Error as exc:
            name = getattr(exc, "sqlite_errorname", None) or ""
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise StoreBusy(
                    f"Another process kept {self.path.name} locked for {BUSY_TIMEOUT:.0f} seconds. "
                    "Nothing was written; try again, and run `incidentos doctor` if it happens again."
                ) from exc
            if name.startswith(("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM")):
                raise StoreFull(
                    f"{self.path} cannot be written ({name}): the disk is full, or the file or its folder is "
                    "read-only. Nothing was stored. Free some space or set INCIDENTOS_HOME."
                ) from exc
            if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise StoreCorrupt(
                    f"{self.path} is damaged or not a database ({name}). Nothing was changed. Move it aside and "
                    "import your latest export, or try `sqlite3 FILE .recover`."
                ) from exc
            raise StoreError(f"The memory's database failed ({name or type(exc).__name__}: {exc}).") from exc

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self.connection.close()

    def connect(self) -> sqlite3.Connection:
        """A connection to the file."""
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        return db

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection for what reads long, and must not hold up this process's other calls."""
        with self.errors(), closing(self.connect()) as db:
            yield db

    def _migrate(self) -> None:
        # Tables first: a process that makes the file at this moment commits its tables and its mark together.
        foreign = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = self.connection.execute("PRAGMA application_id").fetchone()[0]
        if application != APPLICATION_ID and (application or foreign):
            raise StoreCorrupt(f"{self.path} is a database of another program. Move it, or set INCIDENTOS_HOME.")
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:  # SQLite does not wait by itself where two processes switch a new file to WAL at once
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        if self.connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
            return
        with self.transaction():
            version = self.connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise StoreTooNew(
                    f"{self.path} was written by a newer IncidentOS (schema {version}; this one knows "
                    f"{len(MIGRATIONS)}). Upgrade incidentos; nothing was changed."
                )
            for migration in MIGRATIONS[version:]:
                migration(self.connection)
            self.connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
