"""The predictions in the SQLite file: kept by an analysis, judged by a resolution."""

from __future__ import annotations

import json

from ..incident import FailureType, utcnow
from ..ports import JudgedFigure, Judgment, KeptPrediction, Prediction, PredictionCounts
from ..record import format_time, parse_time
from .database import Database

_RIGHT_OR_WRONG = "judged_at IS NOT NULL AND verdict IS NOT NULL"


class PredictionTable:
    """The part of `SqliteStore` that is about predictions."""

    _database: Database

    def remember_prediction(self, prediction: Prediction) -> None:
        with self._database.transaction(at_leisure=True):  # the answer waits for it, and the incident is on the disk
            self._database.connection.execute(
                "INSERT INTO prediction (incident_id, at, root_cause, failure_type, confidence, matches, engine,"
                " raw_confidence, type_stated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    prediction.incident_id,
                    format_time(prediction.at),
                    prediction.root_cause,
                    prediction.failure_type.value,
                    prediction.confidence,
                    json.dumps(prediction.matches),
                    prediction.engine,
                    prediction.raw_confidence,
                    prediction.type_stated,
                ),
            )

    def prediction_to_judge(self, incident_id: str) -> KeptPrediction | None:
        row = self._database.one(
            "SELECT number, incident_id, at, root_cause, failure_type, confidence, matches, engine, raw_confidence,"
            " type_stated, judged_at, verdict, judged_by FROM prediction WHERE incident_id = ?"
            " ORDER BY judged_at IS NULL, number DESC LIMIT 1",
            incident_id,
        )
        if row is None:
            return None
        number, its_id, at, cause, kind, stated, matches, engine, raw, type_stated, judged_at, verdict, by = row
        return KeptPrediction(
            number,
            Prediction(
                incident_id=its_id,
                at=parse_time(at, "at") or utcnow(),
                root_cause=cause,
                failure_type=FailureType(kind),
                confidence=stated,
                matches=tuple(json.loads(matches)),
                engine=engine,
                raw_confidence=raw,
                type_stated=bool(type_stated),
            ),
            None if judged_at is None else Judgment(None if verdict is None else bool(verdict), by),
        )

    def keep_judgment(self, number: int, judgment: Judgment | None) -> None:
        at = None if judgment is None else format_time(utcnow())
        verdict, by = (None, None) if judgment is None else (judgment.right, judgment.by)
        with self._database.transaction():
            self._database.connection.execute(
                "UPDATE prediction SET judged_at = ?, verdict = ?, judged_by = ? WHERE number = ?",
                (at, verdict, by, number),
            )

    def judged_predictions(self, limit: int) -> list[JudgedFigure]:
        rows = self._database.all(
            f"SELECT raw_confidence, confidence, verdict FROM prediction WHERE {_RIGHT_OR_WRONG}"
            " ORDER BY judged_at DESC, number DESC LIMIT ?",
            limit,
        )
        return [JudgedFigure(raw, stated, bool(verdict)) for raw, stated, verdict in rows]

    def prediction_counts(self) -> PredictionCounts:
        row = self._database.one(
            "SELECT (SELECT count(DISTINCT incident_id) FROM prediction), count(verdict), COALESCE(sum(verdict), 0),"
            " count(*) - count(verdict) FROM prediction WHERE judged_at IS NOT NULL"
        )
        return PredictionCounts(*(row or (0, 0, 0, 0)))

    def judgment_stamp(self) -> str:
        row = self._database.one(
            "SELECT count(*) || ' ' || COALESCE(max(judged_at), '') FROM prediction WHERE judged_at IS NOT NULL"
        )
        return str(row[0]) if row else ""
