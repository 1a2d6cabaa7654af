"""The original system's `incident_memory.json`: one JSON list of records, their embeddings among them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ..errors import ImportFailed
from ..incident import Incident, Provenance, Status
from ..ports import BadRow
from .files import opened
from .rows import RowReader, told

MAX_BYTES = 200_000_000
"""A list has to be parsed as a whole. The original wrote about 8 KB a record, so this is 25,000 of them."""

BULK = 3
"""From this many records with the same cause and the same steps on, the text was pasted, not written."""

_LIST = re.compile(r"\[\s*[{\]]")
_TAKEN = frozenset(
    ("incident_id", "title", "description", "root_cause", "mitigation_steps", "created_at", "resolved_at")
)


class OriginalMemory:
    """`ports.Importer` of the original system's file. The line of a bad row is its place in the list, from 1
    on.

    In that system an incident is resolved when its root cause is set, and open if not, so `default_status` is
    not asked for. Embeddings and sync flags are ignored.

    Its script `bulk_resolve` classified open incidents by the first keyword that matched and pasted one
    canned cause and fix per class. Nobody verified these texts, and 250 copies of a guess are no evidence.
    One by one they look like a person's words; but a person does not write the same cause and the same steps,
    byte for byte, three times. So from 3 records with the same pair on the resolution is marked `inferred`,
    else `imported`.
    """

    name = "original"

    def recognises(self, path: Path, head: str) -> bool:
        """Whether it begins as a JSON list of objects, whatever its name."""
        return _LIST.match(head.lstrip()) is not None

    def read(self, path: Path, default_status: Status) -> Iterator[Incident | BadRow]:
        """The incidents in the list's order.

        Raises:
            ImportFailed: the file cannot be read, is larger than MAX_BYTES, or is no JSON list.
        """
        records = _load(path)
        pairs = [_cause_and_steps(record) for record in records]
        times = Counter(pairs)
        reader = RowReader(default_status)
        for place, (record, pair) in enumerate(zip(records, pairs, strict=True), start=1):
            if not isinstance(record, dict):
                yield reader.read(place, record)
                continue
            row = {name: value for name, value in record.items() if name in _TAKEN}
            row["status"] = Status.OPEN if pair is None else Status.RESOLVED
            row["provenance"] = Provenance.INFERRED if times[pair] >= BULK else Provenance.IMPORTED
            yield reader.read(place, row)


def _cause_and_steps(record: object) -> str | None:
    """The cause and the steps as one text to compare; None where no cause is set."""
    if not isinstance(record, dict):
        return None
    cause, steps = record.get("root_cause"), record.get("mitigation_steps")
    return json.dumps([cause, steps]) if isinstance(cause, str) and told(cause) else None


def _load(path: Path) -> list[object]:
    with opened(path) as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ImportFailed(
            f"{path} is larger than {MAX_BYTES // 10**6} MB. The embeddings in it are not needed: drop them, "
            "for instance with jq 'map(del(.embedding))', or split the list."
        )
    try:
        records = json.loads(raw.decode("utf-8-sig"), strict=False, object_hook=_without_embedding)
    except UnicodeDecodeError as exc:
        raise ImportFailed(f"{path} is not UTF-8 (at byte {exc.start + 1}). Save it as UTF-8 first.") from exc
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise ImportFailed(f"{path} is not valid JSON: {exc.msg} in {where}. It may be cut off.") from exc
    except RecursionError as exc:
        raise ImportFailed(f"{path} cannot be read: its JSON is nested too deeply.") from exc
    except ValueError as exc:
        raise ImportFailed(f"{path} cannot be read: a number in it has too many digits.") from exc
    if not isinstance(records, list):
        raise ImportFailed(f"{path} must be a JSON list of incidents. One object a line is the kind jsonl.")
    return records


def _without_embedding(record: dict[str, object]) -> dict[str, object]:
    record.pop("embedding", None)  # while parsing: 384 floats a record are most of the file
    return record
