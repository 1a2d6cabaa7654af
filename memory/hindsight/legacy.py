"""Older banks: facts that were written without a document for each incident.

The original system stored a sentence for each incident, with the id in its metadata, or only in its text, or, where the
extraction had dropped it, nowhere. A fact without an id stands for no incident: inventing ids once turned 556 records
into 2,987. So such a fact is counted and left alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ..cloud import Fact
from ..failure_types import classify_incident
from ..importers.original import BULK
from ..importers.rows import RowReader, told
from ..incident import ID_PATTERN, Incident, Provenance, Status

_IN_TEXT = re.compile(
    r"\bincident(?:[ _-]?id)?\s*[:#=]?\s*(?P<own>[0-9a-f]{8})(?![\w-])|\b(?P<imported>INC\d{4,12})\b",
    re.IGNORECASE,
)
"""What the original's texts call an incident: "Incident d56b2cad", "Incident ID: d56b2cad", "INC0027946"."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""What the server itself calls a document that was given no id."""

_SENTENCE = re.compile(
    r"^Incident ID\s*:?\s*[\w.-]+\s*:\s*(?P<title>.*?)\.\s*Description:\s*(?P<description>.*?)"
    r"(?:\.?\s*Root cause:\s*(?P<root_cause>.*?))?"
    r"(?:\.?\s*Mitigation that resolved it:\s*(?P<mitigation_steps>.*?))?"
    r"(?:\.?\s*Status:\s*(?P<status>\w+)\.?)?\s*$",
    re.DOTALL,
)
"""The sentence that the original wrote."""

_LONGEST_SENTENCE = 100_000
_GAP = re.compile(r"\s{100}")
"""Text with a gap like that is no sentence, and the pattern would try each place within the gap."""

_FIELDS = ("title", "description", "root_cause", "mitigation_steps", "status")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ids_in(document_id: str | None, metadata: Mapping[str, str], text: str) -> tuple[str, ...]:
    """The incidents that a fact may be about, the most trustworthy first: its document's id, the one in its metadata,
    those in its text. None is invented, and none is taken that could not be an incident's id."""
    found = []
    if document_id and not _UUID.fullmatch(document_id):
        found.append(document_id)
    found += [metadata.get("incident_id") or "", *_named_in(text)]
    return tuple(dict.fromkeys(one for one in found if ID_PATTERN.fullmatch(one)))


def incidents_of(facts: Iterable[Fact]) -> tuple[list[Incident], int]:
    """The incidents that the facts tell of, and how many facts name none, or more than one.

    The same facts give the same incidents, in whatever order they come: what is read twice must not look changed. A
    cause that three incidents share to the letter was pasted in bulk, and is a guess.
    """
    facts = list(facts)
    about: dict[str, list[Fact]] = {}
    in_chunk: dict[str, set[str]] = {}
    for fact in facts:
        if fact.chunk:
            in_chunk.setdefault(fact.chunk, set()).update(_ids_of(fact))
    skipped = 0
    for fact in facts:
        named = _ids_of(fact) or sorted(in_chunk.get(fact.chunk or "", ()))
        incident_id = named[0] if len(named) == 1 else None  # a fact about two incidents is none of either's record
        if incident_id is None:
            skipped += 1
        else:
            about.setdefault(incident_id, []).append(fact)
    rows = {incident_id: _row(some) for incident_id, some in about.items()}
    pasted = Counter(_resolution(row) for row in rows.values())
    incidents = []
    for incident_id, row in sorted(rows.items()):
        guess = pasted[_resolution(row)] >= BULK
        incident = _incident(
            incident_id, row, about[incident_id], Provenance.INFERRED if guess else Provenance.IMPORTED
        )
        if incident is None:
            skipped += len(about[incident_id])
        else:
            incidents.append(incident)
    return incidents, skipped


def _ids_of(fact: Fact) -> list[str]:
    given = fact.metadata.get("incident_id")
    if given is not None and ID_PATTERN.fullmatch(given) and told(given):
        return [given]
    return _named_in(fact.text)


def _named_in(text: str) -> list[str]:
    found = (
        (one["own"].lower() if one["own"].isascii() else "") if one["own"] else one["imported"].upper()
        for one in _IN_TEXT.finditer(text)
    )
    return list(dict.fromkeys(found))


def _row(facts: Sequence[Fact]) -> dict[str, str]:
    row: dict[str, str] = {}
    texts = sorted({fact.text.strip() for fact in facts if fact.text.strip()})
    sources: list[Mapping[str, str | None]] = [fact.metadata for fact in sorted(facts, key=_order)]
    sentences = (text for text in texts if len(text) <= _LONGEST_SENTENCE and not _GAP.search(text))
    sources += [match.groupdict() for match in map(_SENTENCE.match, sentences) if match]
    for source in sources:
        for name in _FIELDS:
            value = source.get(name)
            if name not in row and isinstance(value, str) and told(value):
                row[name] = value.strip()
    row.setdefault("description", "\n".join(texts))
    return row


def _order(fact: Fact) -> tuple[str, str]:
    return json.dumps(dict(fact.metadata), sort_keys=True), fact.text


def _resolution(row: Mapping[str, str]) -> str | None:
    cause = row.get("root_cause")
    return json.dumps([cause, row.get("mitigation_steps")]) if cause else None


def _incident(
    incident_id: str, row: Mapping[str, str], facts: Sequence[Fact], provenance: Provenance
) -> Incident | None:
    # In that system an incident is resolved when its root cause is set, and open if not.
    status = Status.RESOLVED if row.get("root_cause") else Status.OPEN
    told_of = {**{name: row[name] for name in _FIELDS if name in row}, "id": incident_id, "status": status.value}
    read = RowReader(Status.OPEN).read(0, {**told_of, "provenance": provenance.value})
    if not isinstance(read, Incident):
        return None
    last = max((fact.at for fact in facts if fact.at), default=_EPOCH)
    incident = replace(read, id=incident_id, updated_at=last, source="hindsight")
    return replace(incident, failure_type=classify_incident(incident))
