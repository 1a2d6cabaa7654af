"""The store on SQLite: one file, write-ahead log, shared by as many servers as the user's assistants start."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput, UnknownIncident
from ..incident import FailureType, Incident, Status, normalise, utcnow
from ..ports import Change, Counts, Event, Filter, HistoryEntry, Offender, Page, StoredVectors, Vectors
from ..record import dumps, format_time, loads, parse_time
from .database import Database
from .outbox import OutboxTable
from .predictions import PredictionTable

_IN_LIST = 500


class SqliteStore(OutboxTable, PredictionTable):
    """`ports.IncidentStore` on one SQLite file, created with its folder if it is missing.

    Raises:
        StoreError: the file cannot be opened; the subclass says why.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self.path = path

    def transaction(self) -> AbstractContextManager[None]:
        return self._database.transaction()

    # Writing

    def insert(
        self,
        incident: Incident,
        vectors: Vectors | None,
        model: str | None,
        *,
        action: str = "created",
        repeat_of: Callable[[], str | None] | None = None,
    ) -> Incident:
        with self.transaction():
            existing = self.get(known) if repeat_of and (known := repeat_of()) else None
            if existing is not None:
                return existing
            if self._database.connection.execute("SELECT 1 FROM incident WHERE id = ?", (incident.id,)).fetchone():
                raise InvalidInput(f"The id {incident.id!r} is taken by another incident.")
            return self._add(incident, vectors, model, action)

    def update(self, incident: Incident, vectors: Vectors | None, model: str | None, *, action: str) -> Incident:
        stored = replace(incident, revision=incident.revision + 1)
        with self.transaction():
            return self._replace(stored, incident.revision, vectors, model, action)

    def delete(self, incident_id: str, revision: int, *, shared: bool = True) -> Incident:
        with self.transaction():
            return self._remove(incident_id, revision, revision + 1, shared=shared)

    def put_vectors(self, items: Iterable[tuple[str, int, Vectors]], model: str) -> int:
        stored = 0
        with self.transaction():
            for incident_id, revision, vectors in items:
                row = self._database.connection.execute(
                    "UPDATE incident SET change = ? WHERE id = ? AND revision = ? RETURNING seq",
                    (self._next_change(), incident_id, revision),
                ).fetchone()
                if row is not None:
                    self._put(row[0], vectors, model)
                    stored += 1
        return stored

    # Reading

    def get(self, incident_id: str) -> Incident | None:
        row = self._database.one("SELECT record FROM incident WHERE id = ?", incident_id)
        return loads(row[0]) if row else None

    def get_many(self, incident_ids: Sequence[str], model: str | None) -> list[StoredVectors]:
        found: list[StoredVectors] = []
        for start in range(0, len(incident_ids), _IN_LIST):
            some = incident_ids[start : start + _IN_LIST]
            marks = ",".join("?" * len(some))
            found += map(
                _stored,
                self._database.all(
                    "SELECT i.record, v.dimensions, v.data FROM incident i LEFT JOIN vector v"
                    f" ON v.seq = i.seq AND v.model = ? WHERE i.id IN ({marks})",
                    model,
                    *some,
                ),
            )
        return found

    def scan(self, model: str | None) -> Iterator[StoredVectors]:
        with self._database.reader() as db:
            for row in db.execute(
                "SELECT i.record, v.dimensions, v.data FROM incident i LEFT JOIN vector v"
                " ON v.seq = i.seq AND v.model = ? ORDER BY i.seq",
                (model,),
            ):
                yield _stored(row)

    def page(self, wanted: Filter, *, limit: int, cursor: str | None) -> Page:
        where, values = _where(wanted)
        counts = dict(
            self._database.all(f"SELECT status, count(*) FROM incident WHERE {where} GROUP BY status", *values)
        )
        if cursor is not None:
            where += " AND (created_at, seq) < (?, ?)"
            values = [*values, *_read_cursor(cursor)]
        rows = self._database.all(
            f"SELECT record, created_at, seq FROM incident WHERE {where} ORDER BY created_at DESC, seq DESC LIMIT ?",
            *values,
            limit + 1,
        )
        more = len(rows) > limit
        rows = rows[:limit]
        return Page(
            incidents=tuple(loads(row[0]) for row in rows),
            cursor=_write_cursor(rows[-1][1], rows[-1][2]) if more else None,
            total=sum(counts.values()),
            open=counts.get("open", 0),
            resolved=counts.get("resolved", 0),
        )

    def occurrences(self, service: str, failure_type: FailureType, limit: int) -> list[Incident]:
        rows = self._database.all(
            "SELECT record FROM incident INDEXED BY incident_recurrence WHERE service = ? AND failure_type = ?"
            " AND created_at > '' ORDER BY created_at DESC, seq DESC LIMIT ?",
            service,
            failure_type.value,
            limit,
        )
        return [loads(row[0]) for row in rows]

    def offenders(self, since: datetime, wanted: Filter, limit: int) -> list[Offender]:
        where, values = _where(wanted)
        rows = self._database.all(
            "SELECT service, failure_type, count(*), max(created_at) FROM incident WHERE created_at >= ?"
            f" AND service IS NOT NULL AND failure_type <> 'other' AND {where}"
            " GROUP BY service, failure_type HAVING count(*) > 1 ORDER BY 3 DESC, 4 DESC LIMIT ?",
            format_time(since),
            *values,
            limit,
        )
        return [
            Offender(service, FailureType(kind), count, parse_time(last, "created_at") or since)
            for service, kind, count, last in rows
        ]

    def ids_starting(self, prefix: str, limit: int) -> list[str]:
        if not prefix.isascii():  # no id is like that, and SQLite takes no lone surrogates
            return []
        # Not LIKE: `_` and `%` are wildcards there, and an id may hold the former.
        rows = self._database.all(
            "SELECT id FROM incident WHERE substr(id, 1, ?) = ? ORDER BY seq DESC LIMIT ?", len(prefix), prefix, limit
        )
        return [row[0] for row in rows]

    def history(self, incident_id: str) -> list[HistoryEntry]:
        rows = self._database.all(
            "SELECT number, incident_id, revision, action, at, previous FROM history WHERE incident_id = ?"
            " ORDER BY number",
            incident_id,
        )
        return [
            HistoryEntry(
                number, its_id, revision, action, parse_time(at, "at") or utcnow(), loads(record) if record else None
            )
            for number, its_id, revision, action, at, record in rows
        ]

    def changes_since(self, number: int) -> list[Change]:
        return [
            Change(*row)
            for row in self._database.all(
                "SELECT change, id FROM incident WHERE change > ?1 UNION ALL"
                " SELECT change, incident_id FROM deletion WHERE change > ?1 ORDER BY change",
                number,
            )
        ]

    def last_change(self) -> int:
        row = self._database.one("SELECT value FROM change_counter")
        return int(row[0]) if row else 0

    def events_since(self, number: int, limit: int) -> list[Event]:
        rows = self._database.all(
            "SELECT number, incident_id, action FROM history WHERE number > ? ORDER BY number LIMIT ?", number, limit
        )
        return [Event(*row) for row in rows]

    def last_event(self) -> int:
        row = self._database.one("SELECT COALESCE(MAX(number), 0) FROM history")
        return int(row[0]) if row else 0

    def event_stamp(self, number: int) -> str:
        row = self._database.one("SELECT incident_id || ' ' || at FROM history WHERE number = ?", number)
        return str(row[0]) if row else ""

    def lacking_vectors(self, model: str, limit: int) -> list[Incident]:
        with self._database.reader() as db:
            rows = db.execute(
                "SELECT record FROM incident i WHERE NOT EXISTS"
                " (SELECT 1 FROM vector v WHERE v.seq = i.seq AND v.model = ?) ORDER BY i.seq DESC LIMIT ?",
                (model, limit),
            ).fetchall()
        return [loads(row[0]) for row in rows]

    def find_open_by_text(self, normalised: str, service: str | None) -> str | None:
        row = self._database.one(
            "SELECT id FROM incident WHERE text_key = ?1 AND status = 'open'"
            " AND (service = ?2 OR ?2 IS NULL) ORDER BY seq DESC LIMIT 1",
            _text_key(normalised),
            service,
        )
        return str(row[0]) if row else None

    def counts(self, model: str | None) -> Counts:
        row = self._database.one(
            "SELECT count(*), count(*) FILTER (WHERE status = 'open'), (SELECT count(*) FROM outbox WHERE refused IS NULL),"
            " (SELECT count(*) FROM vector WHERE model = ?) FROM incident",
            model,
        )
        total, open_, pending, embedded = row or (0, 0, 0, 0)
        return Counts(total, open_, total - open_, pending, total - embedded)

    def close(self) -> None:
        self._database.close()

    # Within

    def _add(self, incident: Incident, vectors: Vectors | None, model: str | None, action: str) -> Incident:
        incident = self._revived(incident)
        seq = self._database.connection.execute(
            "INSERT INTO incident (id, change, revision, status, service, failure_type, created_at, updated_at,"
            " text_key, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (incident.id, self._next_change(), *_columns(incident)),
        ).lastrowid
        self._after_write(seq, incident, vectors, model, action, previous=None)
        return incident

    def _replace(
        self, stored: Incident, replaces: int, vectors: Vectors | None, model: str | None, action: str
    ) -> Incident:
        seq, previous, record = self._as_it_was_read(stored.id, replaces)
        if previous.status is Status.RESOLVED and stored.status is Status.OPEN:
            raise InvalidInput(f"Incident {stored.id} is resolved; an open record does not replace it.")
        self._database.connection.execute(
            "UPDATE incident SET change = ?, revision = ?, status = ?, service = ?, failure_type = ?,"
            " created_at = ?, updated_at = ?, text_key = ?, record = ? WHERE seq = ?",
            (self._next_change(), *_columns(stored), seq),
        )
        self._database.connection.execute("DELETE FROM vector WHERE seq = ?", (seq,))
        self._after_write(seq, stored, vectors, model, action, previous=record)
        return stored

    def _remove(self, incident_id: str, revision: int, deletion: int, *, shared: bool) -> Incident:
        seq, gone, record = self._as_it_was_read(incident_id, revision)
        self._database.connection.execute("DELETE FROM incident WHERE seq = ?", (seq,))  # its vectors follow
        at = self._note(incident_id, deletion, "deleted", record)
        self._database.connection.execute(
            "INSERT INTO deletion (incident_id, change, at, shared, revision, status) VALUES (?, ?, ?, ?, ?, ?)",
            (incident_id, self._next_change(), at, shared, deletion, gone.status.value),
        )
        if not shared:
            self._database.connection.execute("DELETE FROM outbox WHERE incident_id = ?", (incident_id,))
        return gone

    def _next_change(self) -> int:
        row = self._database.connection.execute(
            "UPDATE change_counter SET value = value + 1 RETURNING value"
        ).fetchone()
        return int(row[0])

    def _as_it_was_read(self, incident_id: str, revision: int) -> tuple[int, Incident, str]:
        """The row's number, incident and record, if it still is at the revision at which the caller read it."""
        row = self._database.one("SELECT seq, record FROM incident WHERE id = ?", incident_id)
        if row is None:
            raise UnknownIncident(incident_id)
        stored = loads(row[1])
        if stored.revision != revision:
            raise InvalidInput(
                f"Incident {incident_id} was changed by somebody else in the meantime (revision {stored.revision}, you "
                f"had {revision}). Read it again and repeat the change."
            )
        return row[0], stored, row[1]

    def _revived(self, incident: Incident) -> Incident:
        """The incident without its tombstone, if it has one. Its revision then goes on from the deletion's, so that
        nobody who still holds the deleted record takes this one for it."""
        db = self._database.connection
        if not db.execute("DELETE FROM deletion WHERE incident_id = ?", (incident.id,)).rowcount:
            return incident
        (last,) = db.execute("SELECT MAX(revision) FROM history WHERE incident_id = ?", (incident.id,)).fetchone()
        return replace(incident, revision=max(incident.revision, last + 1))

    def _after_write(
        self,
        seq: int | None,
        incident: Incident,
        vectors: Vectors | None,
        model: str | None,
        action: str,
        previous: str | None,
    ) -> None:
        assert seq is not None
        if vectors is not None and model is not None:
            self._put(seq, vectors, model)
        self._note(incident.id, incident.revision, action, previous)

    def _note(self, incident_id: str, revision: int, action: str, previous: str | None) -> str | None:
        """Write down what happened, for the history and for the shared memory; returns the time."""
        now = format_time(utcnow())
        self._database.connection.execute(
            "INSERT INTO history (incident_id, revision, action, at, previous) VALUES (?, ?, ?, ?, ?)",
            (incident_id, revision, action, now, previous),
        )
        # The lease stays, if there is one: what is being pushed must arrive before what has just been written.
        self._database.connection.execute(
            "INSERT INTO outbox (incident_id, revision, queued_at, deleted) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (incident_id) DO UPDATE SET revision = ?2, queued_at = ?3, deleted = ?4, attempts = 0,"
            " failed_at = 0, due_at = 0, refused = NULL",
            (incident_id, revision, now, action == "deleted"),
        )
        return now

    def _put(self, seq: int, vectors: Vectors, model: str) -> None:
        self._database.connection.execute(
            "INSERT OR REPLACE INTO vector (seq, model, dimensions, data) VALUES (?, ?, ?, ?)",
            (seq, model, vectors.shape[1], np.ascontiguousarray(vectors, dtype="<f4").tobytes()),
        )


def _columns(incident: Incident) -> tuple[object, ...]:
    return (
        incident.revision,
        incident.status.value,
        incident.service,
        incident.failure_type.value,
        format_time(incident.created_at) or "",
        format_time(incident.updated_at),
        _text_key(normalise(incident.text)),
        dumps(incident),
    )


def _text_key(normalised: str) -> bytes:
    return hashlib.sha256(normalised.encode()).digest()


def _stored(row: tuple[Any, ...]) -> StoredVectors:
    record, dimensions, data = row
    vectors = None if data is None else np.frombuffer(data, dtype="<f4").reshape(-1, dimensions)
    return StoredVectors(loads(record), vectors)


def _where(wanted: Filter) -> tuple[str, list[object]]:
    tests = {
        "status = ?": wanted.status and wanted.status.value,
        "service = ?": wanted.service,
        "failure_type = ?": wanted.failure_type and wanted.failure_type.value,
    }
    used = {test: value for test, value in tests.items() if value is not None}
    return " AND ".join(used) or "1", list(used.values())


def _write_cursor(created_at: str, seq: int) -> str:
    return base64.urlsafe_b64encode(f"{created_at}|{seq}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[str, int]:
    try:
        created_at, seq = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().split("|")
        if not 0 <= (number := int(seq)) < 1 << 63:  # what SQLite can hold
            raise ValueError(seq)
        return created_at, number
    except ValueError:
        raise InvalidInput(
            f"{cursor[:60]!r} is not a cursor of this list. Leave cursor out for the first page, and then pass the "
            "cursor that the page before gave."
        ) from None
