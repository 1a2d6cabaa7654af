"""The outbox in the SQLite file, and what is known of the bank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from ..cloud import Known, Shared, Tombstone
from ..errors import InvalidInput
from ..incident import Incident, Status, utcnow
from ..outbox import Backlog, Entry, Refusal
from ..ports import Vectors
from ..record import dumps, format_time, loads, parse_time
from .database import Database

_IN_LIST = 500
_MOST = 50
_PAUSE_VOID, _LEASE_VOID = "(:now < 2 * failed_at - due_at)", "(:now < 2 * leased_at - leased_until)"
"""A clock that was put back makes a deadline that was set later void, instead of far away. Put back by more than the
deadline's own length, that is: whoever waited for the file's lock brings a time from before the other's lease."""

_DUE = f"(due_at <= :now OR {_PAUSE_VOID} OR failed_at < :since)"
_FREE = f"(lease IS NULL OR leased_until <= :now OR {_LEASE_VOID})"


class OutboxTable:
    """The part of `SqliteStore` that is about the shared memory."""

    _database: Database

    def transaction(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _replace(
        self, stored: Incident, replaces: int, vectors: Vectors | None, model: str | None, action: str
    ) -> Incident:
        raise NotImplementedError

    def _add(self, incident: Incident, vectors: Vectors | None, model: str | None, action: str) -> Incident:
        raise NotImplementedError

    def _remove(self, incident_id: str, revision: int, deletion: int, *, shared: bool) -> Incident:
        raise NotImplementedError

    def get(self, incident_id: str) -> Incident | None:
        raise NotImplementedError

    # Pushing

    def lease(self, owner: str, limit: int, now: float, seconds: float, *, failed_before: float = 0) -> list[Entry]:
        at = _ms(now)
        given = {"now": at, "since": _ms(failed_before), "owner": owner, "until": at + _ms(seconds)}
        ready = f"refused IS NULL AND {_DUE} AND {_FREE}"
        with self.transaction():
            db = self._database.connection
            first = db.execute(f"SELECT min(attempts) FROM outbox WHERE {ready}", given).fetchone()[0]
            if first is None:
                return []
            # Whatever failed before is tried in ever smaller company, until the one that spoils it stands alone.
            few = max(1, min(limit, _MOST >> min(first, 6)))
            rows = db.execute(
                "UPDATE outbox SET lease = :owner, leased_at = :now, leased_until = :until WHERE incident_id IN"
                f" (SELECT incident_id FROM outbox WHERE {ready} AND attempts = :first ORDER BY queued_at, incident_id"
                " LIMIT :few) RETURNING incident_id, revision, attempts",
                {**given, "first": first, "few": few},
            ).fetchall()
        return [Entry(*row) for row in rows]

    def renew(self, owner: str, now: float, seconds: float) -> set[str]:
        at = _ms(now)
        with self.transaction():
            rows = self._database.connection.execute(
                "UPDATE outbox SET leased_at = ?, leased_until = ? WHERE lease = ? RETURNING incident_id",
                (at, at + _ms(seconds), owner),
            ).fetchall()
        return {row[0] for row in rows}

    def release(self, owner: str) -> None:
        self._write("UPDATE outbox SET lease = NULL WHERE lease = ?", owner)

    def pushed(self, owner: str, held: Iterable[tuple[str, int, Known | None]]) -> None:
        with self.transaction():
            for incident_id, revision, known in held:
                db = self._database.connection
                db.execute("DELETE FROM outbox WHERE incident_id = ? AND revision <= ?", (incident_id, revision))
                db.execute("UPDATE outbox SET lease = NULL WHERE incident_id = ? AND lease = ?", (incident_id, owner))
                if known is not None:
                    self._queue_where("id = ? AND revision > ?", (incident_id, revision))
                    self.note_known({incident_id: known})

    def postpone(self, owner: str, now: float, seconds: float) -> None:
        at = _ms(now)
        self._write(
            "UPDATE outbox SET attempts = attempts + 1, failed_at = ?, due_at = ?, lease = NULL WHERE lease = ?",
            *(at, at + _ms(seconds), owner),
        )

    def refuse(self, incident_id: str, revision: int, reason: str) -> None:
        self._write(
            "UPDATE outbox SET refused = ? WHERE incident_id = ? AND revision <= ?", reason, incident_id, revision
        )

    def refusals(self, limit: int) -> list[Refusal]:
        return [
            Refusal(*row)
            for row in self._database.all(
                "SELECT incident_id, refused FROM outbox WHERE refused IS NOT NULL ORDER BY incident_id LIMIT ?", limit
            )
        ]

    def retry(self) -> int:
        with self.transaction():
            return self._database.connection.execute(
                "UPDATE outbox SET refused = NULL, attempts = 0, due_at = 0 WHERE refused IS NOT NULL"
            ).rowcount

    def backlog(self, now: float) -> Backlog:
        at = _ms(now)
        rows = self._database.all("SELECT refused IS NOT NULL, count(*) FROM outbox GROUP BY 1")
        counts = {bool(refused): int(count) for refused, count in rows}
        leased = f"SELECT count(*) FROM outbox WHERE refused IS NULL AND NOT {_FREE.replace(':now', '?1')}"
        next_due = (
            f"SELECT min(max(CASE WHEN {_PAUSE_VOID} THEN 0 ELSE due_at END, CASE WHEN lease IS NULL OR {_LEASE_VOID}"
            " THEN 0 ELSE leased_until END)) FROM outbox WHERE refused IS NULL"
        ).replace(":now", "?1")
        row = self._database.one(f"SELECT ({leased}), ({next_due})", at)
        held, due = row or (0, None)
        return Backlog(
            pending=counts.get(False, 0),
            leased=held,
            refused=counts.get(True, 0),
            next_due=None if due is None else max(0, due - at) / 1000,
        )

    def queue(self, incident_ids: Sequence[str]) -> None:
        with self.transaction():
            for some in _parts(incident_ids):
                self._queue_where(f"id IN ({_marks(some)})", some)

    def queue_all(self) -> None:
        with self.transaction():
            self._queue_where("1", ())

    def _queue_where(self, which: str, values: Sequence[str | int]) -> None:
        now = format_time(utcnow())
        db = self._database.connection
        db.execute(
            "INSERT OR IGNORE INTO outbox (incident_id, revision, queued_at, deleted)"
            f" SELECT id, revision, ?, 0 FROM incident WHERE {which}",
            (now, *values),
        )
        db.execute(
            "INSERT OR IGNORE INTO outbox (incident_id, revision, queued_at, deleted) SELECT id, revision, ?, 1 FROM"
            f" (SELECT incident_id AS id, revision FROM deletion WHERE shared) WHERE {which}",
            (now, *values),
        )

    def is_pending(self, incident_id: str) -> bool:
        return (
            self._database.one("SELECT 1 FROM outbox WHERE incident_id = ? AND refused IS NULL", incident_id)
            is not None
        )

    def entries(self) -> dict[str, bool]:
        rows = self._database.all("SELECT incident_id, refused IS NOT NULL FROM outbox")
        return {incident_id: bool(refused) for incident_id, refused in rows}

    def shareable(self) -> set[str]:
        return self.ids() | {row[0] for row in self._database.all("SELECT incident_id FROM deletion WHERE shared")}

    # What is here, and what the bank is known to hold

    def here(self, incident_ids: Sequence[str]) -> dict[str, Shared]:
        found: dict[str, Shared] = {}
        for some in _parts(incident_ids):
            for (record,) in self._database.all(f"SELECT record FROM incident WHERE id IN ({_marks(some)})", *some):
                incident = loads(record)
                found[incident.id] = incident
            for incident_id, at, shared, revision, status in self._database.all(
                f"SELECT incident_id, at, shared, revision, status FROM deletion WHERE incident_id IN ({_marks(some)})",
                *some,
            ):
                when = parse_time(at, "at") or utcnow()
                found[incident_id] = Tombstone(incident_id, revision, when, Status(status), local=not shared)
        return found

    def ids(self) -> set[str]:
        return {row[0] for row in self._database.all("SELECT id FROM incident")}

    def known(self, incident_ids: Sequence[str]) -> dict[str, Known]:
        found: dict[str, Known] = {}
        for some in _parts(incident_ids):
            for incident_id, its_digest, lineage in self._database.all(
                f"SELECT incident_id, digest, lineage FROM shared WHERE incident_id IN ({_marks(some)})", *some
            ):
                found[incident_id] = Known(its_digest, tuple(lineage.split()))
        return found

    def note_known(self, held: Mapping[str, Known]) -> None:
        with self.transaction():
            self._database.connection.executemany(
                "INSERT INTO shared (incident_id, digest, lineage) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (incident_id) DO UPDATE SET digest = ?2, lineage = ?3",
                [(incident_id, known.digest, " ".join(known.lineage)) for incident_id, known in held.items()],
            )

    # Pulling

    def settle(self, incident_id: str, revision: int) -> None:
        with self.transaction():
            db = self._database.connection
            incident = self.get(incident_id)
            if incident is not None and incident.revision < revision:
                raised = replace(incident, revision=revision)
                db.execute(
                    "UPDATE incident SET revision = ?, record = ? WHERE id = ?", (revision, dumps(raised), incident_id)
                )
            if incident is None or incident.revision <= revision:
                db.execute("DELETE FROM outbox WHERE incident_id = ?", (incident_id,))

    def adopt(self, incident: Incident, replaces: int | None, *, action: str, queue: bool) -> Incident:
        with self.transaction():
            if replaces is None:
                if self.get(incident.id) is not None:
                    raise InvalidInput(f"Incident {incident.id} was stored meanwhile.")
                stored = self._add(incident, None, None, action)
            else:
                stored = self._replace(
                    replace(incident, revision=max(incident.revision, replaces + 1)), replaces, None, None, action
                )
            if not queue and stored.revision == incident.revision:
                self._database.connection.execute("DELETE FROM outbox WHERE incident_id = ?", (incident.id,))
        return stored

    def adopt_deletion(self, tombstone: Tombstone, replaces: int) -> None:
        with self.transaction():
            self._remove(tombstone.id, replaces, max(tombstone.revision, replaces + 1), shared=True)
            self._database.connection.execute("DELETE FROM outbox WHERE incident_id = ?", (tombstone.id,))

    def keep_loser(self, incident: Incident) -> None:
        self._write(
            "INSERT INTO history (incident_id, revision, action, at, previous) VALUES (?, ?, 'conflict', ?, ?)",
            *(incident.id, incident.revision, format_time(utcnow()), dumps(incident)),
        )

    def conflicts(self) -> int:
        row = self._database.one("SELECT count(*) FROM history WHERE action = 'conflict'")
        return int(row[0]) if row else 0

    def state(self, name: str) -> str | None:
        row = self._database.one("SELECT value FROM sync_state WHERE name = ?", name)
        return str(row[0]) if row else None

    def note_state(self, name: str, value: str | None) -> None:
        if value is None:
            self._write("DELETE FROM sync_state WHERE name = ?", name)
        else:
            self._write("INSERT OR REPLACE INTO sync_state VALUES (?, ?)", name, value)

    def forget_bank(self) -> None:
        with self.transaction():
            self._write("DELETE FROM shared")
            self._write("DELETE FROM sync_state")

    def _write(self, sql: str, *values: object) -> None:
        with self.transaction():
            self._database.connection.execute(sql, values)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _IN_LIST] for start in range(0, len(values), _IN_LIST))
