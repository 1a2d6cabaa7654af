"""The memory as the tools see it: take in an incident, recall, resolve, import. Store, index and embedder in step."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from .embedding.background import BackgroundEmbedder, embed_incidents
from .embedding.recent import RecentVectors
from .errors import EmbeddingError, IncidentOSError, InvalidInput, UnknownIncident
from .failure_types import LABELS, classify, classify_incident
from .incident import FailureType, Incident, Provenance, Resolution, Status, Step, check_id, normalise, utcnow
from .index.alerts import LONGEST, told
from .index.closeness import opening
from .index.fields import embedded_texts
from .index.tokens import surface_forms
from .learning import Learning
from .ports import Counts, Embedder, Filter, HistoryEntry, IncidentStore, Offender, Page, Vectors
from .probability import COUNTS_FROM, Match, matches_of
from .recall import Query, Recall, Scope
from .recurrence import MOST_OCCURRENCES
from .redaction import redact, redact_incident
from .risk import risk_of

SAME_INCIDENT = 0.97
"""Cosine from which a text is the incident that is already open; the original system's threshold."""

_TIDY_PAUSE = 600.0
"""Seconds before the index is kept again after that has failed."""

_QUERY_CHARACTERS = 20_000
"""A query beyond this is cut: the embedding reads the first thousand, and the most telling words stand early."""


_SPARE = 12
"""Hits beyond the limit that are looked at, since service and failure type can still move them up."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What recall found, and what it had to do without (sentences for the user)."""

    matches: tuple[Match, ...]
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an imported batch."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: tuple[str, ...] = ()

    def __add__(self, other: Imported) -> Imported:
        return Imported(
            self.added + other.added,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.kept + other.kept,
        )


class IncidentMemory:
    """The memory of one server process. Safe for use from several threads."""

    def __init__(self, store: IncidentStore, embedder: BackgroundEmbedder, snapshots: Path | None = None) -> None:
        self.store = store
        self.embedder = embedder
        self.recall = Recall(store, snapshots)
        self.learning = Learning(store, embedder)
        self._tidy_after = 0.0
        self._recent = RecentVectors()

    # Taking in

    def open_incident(
        self, title: str, description: str, service: str | None = None, severity: str | None = None
    ) -> tuple[Incident, bool]:
        """Store a new open incident, or find the open one that it repeats.

        Returns:
            The incident as stored, and whether it was there before.
        """
        now = utcnow()
        incident = redact_incident(
            Incident(
                id=secrets.token_hex(4),
                title=title,
                description=description,
                service=service,
                severity=severity,
                created_at=now,
                updated_at=now,
                source="analyze_incident",
            )
        )
        incident = replace(incident, failure_type=classify_incident(incident))
        vectors, model = self._vectors(incident)
        if vectors is not None and model is not None:
            self._recent.keep(model, embedded_texts(incident), vectors)

        def repeat_of() -> str | None:
            known = self.store.find_open_by_text(normalise(incident.text), incident.service)
            if known is not None or vectors is None:
                return known
            mine = told(incident.text)
            near = self.recall.nearest_open(vectors[0], incident.service, SAME_INCIDENT)
            others = filter(None, map(self.store.get, near))
            return next((other.id for other in others if mine.repeats(told(other.text))), None)

        while self.store.get(incident.id) is not None:  # 1 in 4 billion for each incident stored
            incident = replace(incident, id=secrets.token_hex(4))
        with self.recall.lock:
            self.recall.sync()  # what is slow about it must not happen within the transaction
            stored = self.store.insert(incident, vectors, model, repeat_of=repeat_of)
        if vectors is None:
            self.embedder.catch_up()
        return stored, stored.id != incident.id

    def resolve(
        self,
        incident_id: str,
        root_cause: str,
        steps: Sequence[Step],
        prevention: str | None,
        analysis_was_right: bool | None = None,
    ) -> tuple[Incident, bool]:
        """Store how an incident ended, as a person tells it, and judge by it, or by the person's word, what was predicted.
        A second call amends; the history keeps the first.

        Returns:
            The incident as read back from the store, and whether this was an amendment.

        Raises:
            UnknownIncident: no incident has the id.
        """
        before = self.get(incident_id)
        now = utcnow()
        resolved = redact_incident(
            replace(
                before,
                status=Status.RESOLVED,
                resolved_at=before.resolved_at or now,
                updated_at=now,
                resolution=Resolution(root_cause, tuple(steps), prevention, Provenance.CONFIRMED),
            )
        )
        resolved = replace(resolved, failure_type=classify_incident(resolved))
        again = before.status is Status.RESOLVED
        vectors, model = self._vectors(resolved)
        judged = self.learning.judge(before, resolved, analysis_was_right)
        with self.store.transaction():
            self.store.update(resolved, vectors, model, action="amended" if again else "resolved")
            self.learning.keep(judged)
        if vectors is None:
            self.embedder.catch_up()
        return self.get(incident_id), again

    def delete(self, incident_id: str, revision: int, *, shared: bool = True) -> Incident:
        """Remove what was read at that revision; the history keeps the record. Returns what was removed. With `shared`
        the shared memory loses it, too; else it keeps it, and this machine does not take it back.

        Raises:
            UnknownIncident: no incident has the id.
            InvalidInput: it was changed since it was read.
        """
        return self.store.delete(self.get(incident_id).id, revision, shared=shared)

    def import_batch(self, incidents: Sequence[Incident], *, embed: bool, dry_run: bool = False) -> Imported:
        """Store the incidents of a file in one transaction. Importing the same again changes nothing.

        A known id is updated where the file says something else. But an open record never replaces a resolved one,
        and what a person confirmed stands against any file; those ids are named in `kept`. With `dry_run` nothing
        is written.

        Raises:
            InvalidInput: an id stands for an incident of another origin; nothing of the batch is stored.
            EmbeddingError: `embed` is set and there is no embedding model.
        """
        prepared = [redact_incident(incident) for incident in incidents]
        prepared = [replace(incident, failure_type=classify_incident(incident)) for incident in prepared]
        embedder = self.embedder.wait() if embed and not dry_run else None
        added = updated = unchanged = 0
        kept: list[str] = []
        fresh: list[tuple[Incident, Incident | None]] = []
        in_batch: dict[str, Incident] = {}
        for incident in prepared:
            known = in_batch.get(incident.id) or self.store.get(incident.id)
            if known is not None and known.external_id != incident.external_id:
                raise InvalidInput(f"The id {incident.id!r} already stands for {known.external_id or known.id!r}.")
            if known is not None and _content(known) == _content(incident):
                unchanged += 1
                continue
            if known is not None and _stands(known, incident):
                kept.append(incident.id)
                continue
            if known is None:
                added += 1
            else:
                updated += 1
            in_batch[incident.id] = incident
            fresh.append((incident, known))
        if not dry_run:
            vectors = (
                embed_incidents(embedder, [incident for incident, _ in fresh]) if embedder else [None] * len(fresh)
            )
            model = embedder.identity if embedder else None
            judged = [self.learning.judge(known, incident) if known else None for incident, known in fresh]
            with self.store.transaction():
                for (incident, known), its_vectors, its_judgment in zip(fresh, vectors, judged, strict=True):
                    if known is None:
                        self.store.insert(incident, its_vectors, model, action="imported")
                    else:
                        current = self.get(incident.id)
                        self.store.update(
                            replace(incident, revision=current.revision), its_vectors, model, action="imported"
                        )
                        self.learning.keep(its_judgment)
        return Imported(added, updated, unchanged, tuple(kept))

    # Recalling

    def find(
        self,
        text: str,
        limit: int,
        scope: Scope = Scope(),
        *,
        about: Incident | None = None,
        explained: int = 50,
        also: frozenset[str] = frozenset(),
    ) -> Recalled:
        """The incidents that resemble the text, best first.

        Args:
            text: what is looked for.
            limit: how many at most.
            scope: which incidents may be found.
            about: the incident that the text describes: it is not found itself, and its service and failure type
                count as evidence.
            explained: how many of the first matches say why they were found, besides those that count; it costs a look at
                their texts.
            also: what the shared memory recalled; the likely ones of them come on top of the limit.
        """
        said = told(redact(text if len(text) <= LONGEST else text[:_QUERY_CHARACTERS]))
        text = said.text[:_QUERY_CHARACTERS]
        if about is not None:
            scope = replace(scope, exclude=scope.exclude | {about.id})
        service = about.service if about else scope.service
        kind = about.failure_type if about else classify(None, text)
        embedder = self._use_embedder()
        vector, its_opening = self._recent.of(embedder, (text, opening(text)))
        query = Query(text, vector, about.created_at if about else None, its_opening)
        alert = None if said.rule is None else said
        matches = matches_of(self.recall.find(query, limit + _SPARE, scope, also), kind, service, alert)
        spare = [m for m in matches[limit:] if m.incident.id in also and m.probability >= COUNTS_FROM]
        words = self.recall.by_telling(surface_forms(text))
        matches = [
            replace(match, why=self._why(words, kind, match)) if position < explained or match.counts else match
            for position, match in enumerate([*matches[:limit], *spare])
        ]
        return Recalled(tuple(matches), tuple(self._degraded(embedder)))

    def _why(self, words: Mapping[str, str], kind: FailureType, match: Match) -> tuple[str, ...]:
        why: list[str] = []
        if shared := self.recall.shared_terms(words, match.incident.id):
            why.append("shares " + ", ".join(shared))
        if match.hit.best is not None:
            why.append(f"meaning {match.hit.best:.2f}")
        if match.evidence.same_service:
            why.append(f"same service {match.incident.service}")
        if kind is not FailureType.OTHER and kind is match.incident.failure_type:
            why.append(f"same failure type: {LABELS[kind]}")
        return tuple(why)

    def _degraded(self, embedder: Embedder | None) -> Iterable[str]:
        """What a recall with that embedder has to do without, a sentence each."""
        if self.embedder.state == "failed":
            yield f"Recall is by words alone: {self.embedder.error}"
        elif embedder is None:
            yield "Recall is by words alone: the embedding model is still loading. Ask again in a few seconds."
        else:
            if lacking := self.recall.not_embedded:
                yield f"{lacking} incidents are not embedded yet and are found by their words alone; it goes on behind."
                self.embedder.catch_up()

    # Reading

    def get(self, incident_id: str) -> Incident:
        """The incident.

        Raises:
            InvalidInput: the id is malformed.
            UnknownIncident: no incident has it.
        """
        incident = self.store.get(check_id(incident_id))
        if incident is None:
            past = [entry for entry in self.store.history(incident_id) if entry.action == "deleted"]
            if past:
                when = f"{past[-1].at:%Y-%m-%d %H:%M} UTC"
                raise UnknownIncident(incident_id, f"It was deleted on {when}; `incidentos show` prints what it was.")
            near = self.store.ids_starting(incident_id[:4], 3)
            raise UnknownIncident(incident_id, f"Similar ids: {', '.join(near)}." if near else "")
        return incident

    def page(self, wanted: Filter, limit: int, cursor: str | None) -> Page:
        """One page of incidents, newest first."""
        return self.store.page(wanted, limit=limit, cursor=cursor)

    def occurrences(self, service: str, failure_type: FailureType) -> list[Incident]:
        """The newest `MOST_OCCURRENCES` incidents of a service and failure type, newest first."""
        return self.store.occurrences(service, failure_type, MOST_OCCURRENCES)

    def offenders(self, since: datetime, wanted: Filter = Filter(), limit: int = 5) -> list[Offender]:
        """What came more than once since then, most often first."""
        return self.store.offenders(since, wanted, limit)

    def history(self, incident_id: str) -> list[HistoryEntry]:
        """Everything that happened to an incident, oldest first."""
        return self.store.history(self.get(incident_id).id)

    def counts(self) -> Counts:
        """How much is stored, and how much of it the current model has not embedded."""
        embedder = self.embedder.current()
        return self.store.counts(embedder.identity if embedder else None)

    def warm_up(self) -> None:
        """Load the index, what finds secrets, and the SQL parser that judges commands, now rather than in the first call."""
        self._use_embedder()
        self.recall.sync()
        if self.recall.not_embedded:  # the index knows; the store would have to read every vector to tell
            self.embedder.catch_up()
        redact("")
        risk_of("psql -c 'SELECT 1'")

    def tidy(self) -> None:
        """Keep the index of a large memory for the next start, when it is worth it."""
        if time.monotonic() < self._tidy_after:
            return
        try:
            self.recall.keep()
        except (OSError, IncidentOSError):  # no room, a busy store: the next start builds the index again
            self._tidy_after = time.monotonic() + _TIDY_PAUSE

    def close(self) -> None:
        """Stop what runs behind and release the file."""
        self.embedder.stop()
        self.store.close()

    def _vectors(self, incident: Incident) -> tuple[Vectors | None, str | None]:
        """The incident's vectors and their model, or nothing while there is no model."""
        embedder = self._use_embedder()
        if embedder is not None:
            with contextlib.suppress(EmbeddingError):  # it is stored all the same, and embedded later if it can be
                return embed_incidents(embedder, [incident])[0], embedder.identity
        return None, None

    def _use_embedder(self) -> Embedder | None:
        embedder = self.embedder.current_or_soon()
        if embedder is not None:
            self.recall.use_model(embedder.identity, embedder.dimensions)
        return embedder


def _stands(known: Incident, incoming: Incident) -> bool:
    """Whether what is stored stands against what a file says of the same incident."""
    if known.status is Status.RESOLVED and incoming.status is Status.OPEN:
        return True
    mine, theirs = known.resolution, incoming.resolution
    if mine is None or mine.provenance is not Provenance.CONFIRMED:
        return False
    if theirs is None or theirs.provenance is not Provenance.CONFIRMED:
        return True
    return incoming.updated_at <= known.updated_at  # an old export does not undo a later amendment


def _content(incident: Incident) -> Incident:
    """The incident without what only this store knows of it."""
    return replace(incident, revision=0, updated_at=datetime.min)
