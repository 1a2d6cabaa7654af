"""Made-up incidents of realistic texts, as many as wanted: real ones, recombined with a fixed seed.

The real ones stand in `../shared/data`; their texts belong to their authors, so nothing of them is kept here.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sets import ROOT

from incidentos.memory.failure_types import classify
from incidentos.memory.incident import Incident, Outcome, Provenance, Resolution, Status, Step
from incidentos.memory.ports import Vectors

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SHORTEST, _LONGEST = 60, 400
_LEAST = 300
"""Characters of a text, at least; with at most three sentences more it stays below about 1,500, mostly 300 to 800."""

_NOISE = 0.02
"""Standard deviation of the noise of a synthetic vector, per dimension: a cosine of about 0.93 to its base."""

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What texts are made of."""

    titles: tuple[str, ...]
    sentences: tuple[str, ...]
    services: tuple[str, ...]


def data_folder(given: Path | None = None) -> Path | None:
    """The folder of the real incidents, or None where it is missing."""
    folder = given or ROOT.parent / "shared" / "data"
    return folder if any(folder.glob("*.jsonl")) else None


def read_parts(folder: Path, files: str = "*.jsonl") -> Parts:
    """The titles, sentences and services of the real incidents in these files of the folder."""
    titles: dict[str, None] = {}
    sentences: dict[str, None] = {}
    services: dict[str, None] = {}
    for path in sorted(folder.glob(files)):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found = [s.strip() for s in _SENTENCE.split(row["description"]) if _SHORTEST <= len(s.strip()) <= _LONGEST]
            sentences.update(dict.fromkeys(found))
            if title := row.get("title") or (found[0] if found else None):
                titles[title[:200]] = None
            if row.get("service"):
                services[row["service"][:100]] = None
    return Parts(tuple(titles), tuple(sentences), tuple(services))


def text_of(parts: Parts, number: int, seed: int) -> tuple[str, str]:
    """The title and description of the text with that number; the same ones each time."""
    chance = random.Random(f"{seed}:{number}")
    title = chance.choice(parts.titles)
    chosen = [chance.choice(parts.sentences) for _ in range(chance.randint(1, 3))]
    while len(title) + sum(map(len, chosen)) < _LEAST:
        chosen.append(chance.choice(parts.sentences))
    return f"{title} #{number}", " ".join(chosen)


def incidents(parts: Parts, count: int, seed: int = 7) -> Iterator[Incident]:
    """That many resolved incidents, an hour apart."""
    for number in range(count):
        title, description = text_of(parts, number, seed)
        chance = random.Random(number)
        at = _EPOCH + timedelta(hours=number)
        steps = (
            Step(chance.choice(parts.sentences), None, Outcome.WORKED),
            Step("Restart the deployment", "kubectl rollout restart deployment/api", Outcome.UNKNOWN),
        )
        cause = chance.choice(parts.sentences)
        yield Incident(
            id=f"made-{number:07d}",
            title=title,
            description=description,
            updated_at=at,
            created_at=at,
            resolved_at=at + timedelta(minutes=40),
            service=chance.choice(parts.services),
            status=Status.RESOLVED,
            failure_type=classify(None, cause),
            failure_type_stated=True,
            source="bench",
            resolution=Resolution(cause, steps, None, Provenance.IMPORTED),
        )


def synthetic_vectors(base: Vectors, number: int) -> Vectors:
    """Vectors of an incident that nothing embedded: three of the base texts' with a little noise, at unit
    length, shape (3, dimensions); one for its text, one for its heading and one for its resolution."""
    chance = np.random.default_rng(number)
    chosen = base[chance.integers(0, len(base), 3)]
    noisy = chosen + chance.normal(0, _NOISE, chosen.shape).astype(np.float32)
    unit: Vectors = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
    return unit


def base_texts(parts: Parts, most: int = 2000) -> Sequence[str]:
    """The texts whose vectors synthetic ones are made of."""
    return [" ".join(text_of(parts, number, 0)) for number in range(most)]
