"""Learning from how it came out: predictions are kept, judged when the incident is resolved, and recalibrate the next."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from .embedding.background import BackgroundEmbedder
from .errors import EmbeddingError, StoreError
from .incident import Incident
from .ports import IncidentStore, Judgment, KeptPrediction, Prediction
from .track_record import WINDOW, Recalibration, TrackRecord, judge


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgment that is made but not yet kept."""

    number: int
    judgment: Judgment | None


class Learning:
    """What one memory learns of its own predictions. Safe for use from several threads."""

    def __init__(self, store: IncidentStore, embedder: BackgroundEmbedder) -> None:
        self._store = store
        self._embedder = embedder
        self._known: tuple[str, Recalibration] | None = None

    def remember(self, prediction: Prediction) -> None:
        """Keep what an analysis said, to be judged when the incident is resolved. Where that fails (a full disk) it is
        given up: the answer is worth more."""
        with contextlib.suppress(StoreError):
            self._store.remember_prediction(prediction)

    def judge(self, before: Incident, resolved: Incident, word: bool | None = None) -> Judged | None:
        """Judge what was predicted for the incident by how it ended; None where there is nothing to say anew.

        Nothing is written, since the meaning may take the model some milliseconds: `keep` belongs into the transaction
        that stores the resolution. An earlier judgment stands where the cause is the same and no new word is given.

        Args:
            before: the record that the resolution replaces.
            resolved: the record as it is going to be stored.
            word: whether the person who resolved it says that the prediction was right.
        """
        if resolved.resolution is None or not resolved.resolution.is_evidence:
            return None
        kept = self._store.prediction_to_judge(resolved.id)
        if kept is None or (kept.judgment and word is None and before.root_cause == resolved.root_cause):
            return None
        judgment = judge(kept.prediction, resolved, word=word)
        if judgment is None and (meaning := self._meaning(kept.prediction.root_cause, resolved.root_cause)) is not None:
            judgment = judge(kept.prediction, resolved, meaning)
        return Judged(kept.number, judgment)

    def keep(self, judged: Judged | None) -> None:
        """Store what `judge` gave, if it gave anything."""
        if judged is not None:
            self._store.keep_judgment(judged.number, judged.judgment)

    def prediction_of(self, incident_id: str) -> KeptPrediction | None:
        """What was predicted for the incident and how it was judged, read from the store."""
        return self._store.prediction_to_judge(incident_id)

    def recalibration(self) -> Recalibration:
        """What the history makes of a confidence; fitted anew when a judgment has come in, here or elsewhere."""
        stamp = self._store.judgment_stamp()
        known = self._known
        if known is None or known[0] != stamp:
            newest = self._store.judged_predictions(WINDOW)
            known = self._known = (stamp, Recalibration.fit([(figure.raw, figure.right) for figure in newest]))
        return known[1]

    def track_record(self) -> TrackRecord:
        """How the predictions came out so far."""
        return read_track_record(self._store)

    def _meaning(self, predicted: str | None, true: str | None) -> float | None:
        """The cosine of the two causes, or None while there is no model."""
        embedder = self._embedder.current()
        if embedder is None or not predicted or not true:
            return None
        try:
            one, other = embedder.embed([predicted, true])
        except EmbeddingError:
            return None
        return float(one @ other)


def read_track_record(store: IncidentStore) -> TrackRecord:
    """How the predictions in a store came out so far."""
    return TrackRecord.of(store.prediction_counts(), store.judged_predictions(WINDOW))
