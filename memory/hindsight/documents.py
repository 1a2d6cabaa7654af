"""The form in which an incident lies in a Hindsight bank, and back.

One document for each incident, under its id. The text is for a reader and for the extraction of facts, so it is prose in
which every part names what it is about. The metadata carries the whole record as JSON, so that a pull is exact, field by
field; it is ASCII, since a database may refuse a zero byte and a proxy may mangle the rest. The tags tell our documents
from whatever else lies in the bank, and the living from the deleted.

A deletion is a document, too: the same id, with nothing in it of what the incident was. A document that is simply gone
could not be told from one that a colleague has not pushed yet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..cloud import Copy, Lineage, Shared, Tombstone
from ..errors import InvalidInput
from ..failure_types import LABELS
from ..incident import ID_PATTERN, Incident, Outcome, Status, Step, check_id
from ..record import format_time, from_record, parse_time, to_record
from ..text import clean

OURS, LIVING, DELETED = "incidentos", "incidentos:incident", "incidentos:deleted"
"""Tags: of every document of ours, of the incidents, of the tombstones."""

CONTEXT = "the record of a production incident"

MAX_PROSE = 20_000
"""Characters of a description in the readable text; the record has it whole. Beyond, an extraction costs more than it
finds."""

MAX_RECORD = 2_000_000
"""Characters of a record that is pushed or read back: twice the longest description that a tool takes. A stranger's may not
keep this machine busy."""

_PACKED, _PACKED_FROM = "zlib:", 16_000
"""What a compressed record begins with, and from how many characters on a record is compressed."""

_MAX_FIELD = 4_000
_ANCESTOR = re.compile(r"!?(?:[0-9a-f]{16}|deleted)")
_MAX_LINEAGE = 2_000


def to_document(shared: Shared, supersedes: Lineage = ()) -> dict[str, Any]:
    """The item of a retain request.

    Raises:
        InvalidInput: the id is malformed; or the record is larger than any that colleagues would read.
    """
    check_id(shared.id)
    if isinstance(shared, Tombstone):
        at = format_time(shared.deleted_at) or ""
        record = json.dumps(
            {"id": shared.id, "revision": shared.revision, "deleted_at": at, "status": shared.status.value}
        )
        metadata = {"status": "deleted"}
        text, timestamp, tags = f"Incident {shared.id} was deleted from the memory on {at}.", at, [OURS, DELETED]
    else:
        record = json.dumps(to_record(shared), separators=(",", ":"))
        metadata = {
            "title": _field(shared.label),
            "root_cause": _field(shared.root_cause or ""),
            "mitigation_steps": _field("; ".join(map(_step, shared.resolution.steps if shared.resolution else ()))),
            "status": shared.status.value,
        }
        at = format_time(shared.resolved_at or shared.created_at) or "unset"
        text, timestamp, tags = prose(shared), at, [OURS, LIVING]
    if len(record) > MAX_RECORD:
        raise InvalidInput(
            f"Its record has {len(record):,} characters, and the shared memory takes {MAX_RECORD:,}: shorten what it quotes."
        )
    checksum = hashlib.sha256(record.encode()).hexdigest()
    return {
        "document_id": shared.id,
        "content": text,
        "context": CONTEXT,
        "timestamp": timestamp,
        "metadata": {
            "incident_id": shared.id,
            **metadata,
            "sha256": checksum,
            "record": _packed(record),
            "supersedes": " ".join(filter(_ANCESTOR.fullmatch, supersedes)),
        },
        "tags": tags,
    }


def prose(incident: Incident) -> str:
    """The incident as a text that reads well and extracts well."""
    resolution = incident.resolution
    facts = [f"Status: {incident.status.value}."]
    if incident.service:
        facts.append(f"Service: {incident.service}.")
    if incident.severity:
        facts.append(f"Severity: {incident.severity}.")
    facts.append(f"Failure type: {LABELS[incident.failure_type]}.")
    if incident.created_at:
        facts.append(f"Began: {format_time(incident.created_at)}.")
    if incident.resolved_at:
        facts.append(f"Resolved: {format_time(incident.resolved_at)}.")
    parts = [f"Incident {incident.id}: {incident.label}", " ".join(facts)]
    if incident.description:
        parts.append(f"What happened in incident {incident.id}: {incident.description[:MAX_PROSE]}")
    if resolution is not None:
        guess = "" if resolution.is_evidence else " (a guess, never confirmed)"
        if resolution.root_cause:
            parts.append(f"Root cause of incident {incident.id}{guess}: {resolution.root_cause}")
        for outcome, heading in (
            (Outcome.WORKED, "What worked"),
            (Outcome.UNKNOWN, "What was done"),
            (Outcome.FAILED, "What did not help"),
        ):
            if lines := [f"- {_step(step)}" for step in resolution.steps if step.outcome is outcome]:
                parts.append(f"{heading} in incident {incident.id}:\n" + "\n".join(lines))
        if resolution.prevention:
            parts.append(f"What prevents it: {resolution.prevention}")
    return clean("\n\n".join(parts))


def from_document(document_id: str, tags: Sequence[str], metadata: Mapping[str, Any]) -> Copy | None:
    """What a document of the bank stands for; None where it is none of ours."""
    if OURS not in tags:
        return None
    if not ID_PATTERN.fullmatch(document_id):
        return Copy(repr(document_id)[:60], None, "its id cannot be that of an incident")
    try:
        record = _unpacked(metadata.get("record"))
    except _TooLarge:
        return Copy(document_id, None, f"its record is too large (more than {MAX_RECORD:,} characters)")
    if record is None:
        return Copy(document_id, None, "its document holds no record that can be read")
    if hashlib.sha256(record.encode()).hexdigest() != metadata.get("sha256"):
        return Copy(document_id, None, "its record does not match its checksum")
    try:
        content = _content(json.loads(record), deleted=DELETED in tags)
    except (InvalidInput, ValueError, RecursionError) as exc:
        # What is wrong is told without the value: it is a stranger's text, and it has not been redacted.
        told = (
            clean(str(exc)).partition(", not ")[0].partition(": ")[0]
            if isinstance(exc, InvalidInput)
            else "it is not JSON"
        )
        return Copy(document_id, None, f"its record cannot be read ({told[:80].rstrip('. ')})")
    if content.id != document_id:
        return Copy(document_id, None, "its record is that of another incident")
    return Copy(document_id, content, supersedes=_lineage(metadata.get("supersedes")))


def _lineage(told: object) -> Lineage | None:
    if not isinstance(told, str):
        return None
    return tuple(filter(_ANCESTOR.fullmatch, told[:_MAX_LINEAGE].split()))


def _packed(record: str) -> str:
    """The record as it is, or a large one compressed: every recalled fact carries it over the network."""
    if len(record) <= _PACKED_FROM:
        return record
    return _PACKED + base64.b64encode(zlib.compress(record.encode())).decode()


class _TooLarge(Exception):
    """The record is larger than MAX_RECORD."""


def _unpacked(packed: object) -> str | None:
    if not isinstance(packed, str):
        return None
    if len(packed) > MAX_RECORD:
        raise _TooLarge
    if not packed.startswith(_PACKED):
        return packed
    try:
        reader = zlib.decompressobj()
        record = reader.decompress(base64.b64decode(packed.removeprefix(_PACKED), validate=True), MAX_RECORD)
        if reader.unconsumed_tail:
            raise _TooLarge
        return record.decode("ascii") if reader.eof else None
    except (ValueError, zlib.error):
        return None


_MAX_REVISION = 1 << 40
"""Below what a record may have (`record.MAX_REVISION`), so that what comes from a bank can still be changed here."""


def _content(record: Any, *, deleted: bool) -> Shared:
    if not isinstance(record, dict):
        raise InvalidInput("a record must be an object.")
    if isinstance(known := record.get("revision"), int) and known > _MAX_REVISION:
        raise InvalidInput("its revision is higher than any that changes lead to.")
    if not deleted:
        return from_record(record)
    at = parse_time(record.get("deleted_at"), "deleted_at")
    revision = record.get("revision")
    if at is None or not isinstance(revision, int) or isinstance(revision, bool) or not 1 <= revision < 1 << 53:
        raise InvalidInput("a deletion has a time and a revision.")
    return Tombstone(check_id(str(record.get("id"))), revision, at, Status(str(record.get("status"))))


def _step(step: Step) -> str:
    return f"{step.text} `{step.command}`" if step.command and step.command not in step.text else step.text


def _field(text: str) -> str:
    text = " ".join(clean(text).split())
    return text if len(text) <= _MAX_FIELD else text[: _MAX_FIELD - 1] + "…"
