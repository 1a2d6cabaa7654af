"""Which texts of an incident are searched or embedded, all without an alert's envelope, and how much each of them weighs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from ..incident import Incident
from ..ports import Vectors
from ..text import chunks
from .alerts import essence, unmarked
from .tokens import terms

TITLE_WEIGHT = 3.0
"""A term of the title counts as this many of the text; measured on the dev judgments, 3 and 4 tie."""


def term_frequencies(incident: Incident) -> Counter[str]:
    """The weighted terms under which an incident is found: title, description, service, failure type, and how it
    was resolved."""
    found: Counter[str] = Counter()
    title, description = parts(incident)
    for term in terms(title):
        found[term] += TITLE_WEIGHT  # type: ignore[assignment] # a Counter of floats is still a Counter
    resolution = incident.resolution
    fields: Iterable[str | None] = (description, incident.service)
    if resolution is not None:
        label = incident.failure_type.value.replace("-", " ")
        fields = (*fields, resolution.root_cause, *(step.text for step in resolution.steps), label)
    for text in fields:
        found.update(terms(unmarked(text or "")))
    return found


def weighted_texts(incident: Incident) -> dict[str, float]:
    """The texts by which an incident is compared letter by letter, each with its weight."""
    title, description = parts(incident)
    rest = " ".join(filter(None, (description, incident.service, unmarked(incident.root_cause or ""))))
    return {title: TITLE_WEIGHT, rest: 1.0} if title else {rest: 1.0}


def heading(incident: Incident) -> str:
    """The title, or what stands in its place."""
    return essence(incident.title) if incident.title else whole(incident)[:80]


def whole(incident: Incident) -> str:
    """Title and description."""
    return essence(incident.text)


def parts(incident: Incident) -> tuple[str, str]:
    """Title, empty where there is none, and description."""
    title = essence(incident.title) if incident.title else ""
    return title, whole(incident).removeprefix(title).lstrip("\n")


LAYOUT = "texts-4"
"""Which texts of an incident are embedded, in which order. A part of the identity of every model, so that vectors that
were laid out otherwise are made anew."""

_HEADING_ROW = 1


def embedded_texts(incident: Incident) -> list[str]:
    """The texts of an incident's vectors: the whole of it, its heading, the chunks of a long one, then how it was
    resolved (as one text, since a query may be about a cause as well as about symptoms)."""
    resolution = incident.resolution
    text = whole(incident)
    found = [text, heading(incident), *chunks(text)]
    if resolution is not None and resolution.root_cause:
        found.append(unmarked(f"{resolution.root_cause}\n" + "\n".join(step.text for step in resolution.steps)))
    return found


def heading_vector(vectors: Vectors) -> Vectors | None:
    """The heading's of an incident's vectors."""
    return vectors[_HEADING_ROW] if len(vectors) > _HEADING_ROW else None


def searched_vectors(vectors: Vectors) -> Vectors:
    """The vectors that are searched, the whole text's first: the heading's finds nothing that they do not
    (`bench/README.md`), and is only compared with what they find."""
    return np.delete(vectors, _HEADING_ROW, axis=0) if len(vectors) > _HEADING_ROW else vectors
