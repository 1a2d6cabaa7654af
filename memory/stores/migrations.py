"""The numbered migrations of the SQLite file. One that has shipped is never edited: a change is a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

APPLICATION_ID = 0x494E434F
"""Marks the file as ours ("INCO"), so that a stranger's database is never migrated by mistake."""


def _m001_incidents(db: sqlite3.Connection) -> None:
    for statement in (
        # `change` is the number of the write that last touched the row; a reader that keeps an index asks for
        # the rows above the number it has seen. `text_key` is a hash of the normalised text, for repeats.
        """CREATE TABLE incident (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            change INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('open', 'resolved')),
            service TEXT COLLATE NOCASE,
            failure_type TEXT NOT NULL,
            created_at TEXT NOT NULL DEFAULT '',
            updated_at TEXT NOT NULL,
            text_key BLOB NOT NULL,
            record TEXT NOT NULL)""",
        "CREATE UNIQUE INDEX incident_change ON incident (change)",
        "CREATE INDEX incident_newest ON incident (created_at, seq)",
        "CREATE INDEX incident_open_text ON incident (text_key) WHERE status = 'open'",
        "CREATE INDEX incident_facets ON incident (status, failure_type, service)",
        "CREATE TABLE change_counter (value INTEGER NOT NULL)",
        "INSERT INTO change_counter VALUES (0)",
        # One row per incident and model: all its vectors end to end, little-endian float32.
        """CREATE TABLE vector (
            seq INTEGER NOT NULL REFERENCES incident (seq) ON DELETE CASCADE,
            model TEXT NOT NULL,
            dimensions INTEGER NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (seq, model)) WITHOUT ROWID""",
        """CREATE TABLE history (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            incident_id TEXT NOT NULL,
            revision INTEGER NOT NULL,
            action TEXT NOT NULL,
            at TEXT NOT NULL,
            previous TEXT)""",
        "CREATE INDEX history_incident ON history (incident_id, number)",
        """CREATE TABLE outbox (
            incident_id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL,
            queued_at TEXT NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE prediction (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            incident_id TEXT NOT NULL,
            at TEXT NOT NULL,
            root_cause TEXT,
            failure_type TEXT NOT NULL,
            confidence REAL NOT NULL,
            matches TEXT NOT NULL,
            engine TEXT NOT NULL)""",
        "CREATE INDEX prediction_incident ON prediction (incident_id, number)",
    ):
        db.execute(statement)


def _m002_deletions(db: sqlite3.Connection) -> None:
    for statement in (
        # A tombstone bears a number of the same counter as `incident.change`, so that a reader that keeps an index
        # learns of the deletion as it learns of any other change.
        """CREATE TABLE deletion (
            incident_id TEXT PRIMARY KEY,
            change INTEGER NOT NULL UNIQUE,
            at TEXT NOT NULL)""",
        "ALTER TABLE outbox ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0",
    ):
        db.execute(statement)


def _m003_judgments(db: sqlite3.Connection) -> None:
    for statement in (
        # `raw_confidence` is the figure before it was recalibrated; what is there by now never was.
        "ALTER TABLE prediction ADD COLUMN raw_confidence REAL NOT NULL DEFAULT 0",
        "UPDATE prediction SET raw_confidence = confidence",
        "ALTER TABLE prediction ADD COLUMN type_stated INTEGER NOT NULL DEFAULT 0",
        # `judged_at` NULL: not judged. `verdict` NULL with a `judged_at`: it had named no cause.
        "ALTER TABLE prediction ADD COLUMN judged_at TEXT",
        "ALTER TABLE prediction ADD COLUMN verdict INTEGER CHECK (verdict IN (0, 1))",
        "ALTER TABLE prediction ADD COLUMN judged_by TEXT",
        "CREATE INDEX prediction_judged ON prediction (judged_at) WHERE judged_at IS NOT NULL",
    ):
        db.execute(statement)


def _m004_recurrence(db: sqlite3.Connection) -> None:
    # What a service had of a failure type, by when it began, without a look at each row.
    db.execute("CREATE INDEX incident_recurrence ON incident (service, failure_type, created_at)")


def _m005_shared_memory(db: sqlite3.Connection) -> None:
    for statement in (
        # Times are milliseconds since 1970. Each deadline stands beside the moment at which it was set: a clock that is
        # put back must not turn seconds into years.
        "ALTER TABLE outbox ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE outbox ADD COLUMN failed_at INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE outbox ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE outbox ADD COLUMN lease TEXT",
        "ALTER TABLE outbox ADD COLUMN leased_at INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE outbox ADD COLUMN leased_until INTEGER NOT NULL DEFAULT 0",
        # Why the shared memory will never take it; NULL: it waits to be pushed.
        "ALTER TABLE outbox ADD COLUMN refused TEXT",
        # `shared` 0: the incident was deleted on this machine alone.
        "ALTER TABLE deletion ADD COLUMN shared INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE deletion ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE deletion ADD COLUMN status TEXT NOT NULL DEFAULT 'open'",
        "UPDATE deletion SET (revision, status) = (SELECT h.revision, json_extract(h.previous, '$.status') FROM history h"
        " WHERE h.incident_id = deletion.incident_id AND h.action = 'deleted' ORDER BY h.number DESC LIMIT 1)",
        # What the bank holds of an incident, as last seen from here.
        "CREATE TABLE shared (incident_id TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE sync_state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ):
        db.execute(statement)


def _m006_lineage(db: sqlite3.Connection) -> None:
    # The versions that were superseded by what the bank holds, or by what is here: see `cloud.Known`.
    db.execute("ALTER TABLE shared ADD COLUMN lineage TEXT NOT NULL DEFAULT ''")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _m001_incidents,
    _m002_deletions,
    _m003_judgments,
    _m004_recurrence,
    _m005_shared_memory,
    _m006_lineage,
)
"""In order; the file's `user_version` says how many it has been through."""
