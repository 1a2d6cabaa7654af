"""Which texts of an incident are searched, and how much each of them weighs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..incident import Incident
from .tokens import terms

TITLE_WEIGHT = 3.0
"""A term of the title counts as this many of the text; measured on the dev judgments, 3 and 4 tie."""


def term_frequencies(incident: Incident) -> Counter[str]:
    """The weighted terms under which an incident is found: title, description, service, failure type, and how it
    was resolved."""
    found: Counter[str] = Counter()
    for term in terms(incident.title or ""):
        found[term] += TITLE_WEIGHT  # type: ignore[assignment] # a Counter of floats is still a Counter
    resolution = incident.resolution
    fields: Iterable[str | None] = (incident.description, incident.service)
    if resolution is not None:
        label = incident.failure_type.value.replace("-", " ")
        fields = (*fields, resolution.root_cause, *(step.text for step in resolution.steps), label)
    for text in fields:
        found.update(terms(text or ""))
    return found


def weighted_texts(incident: Incident) -> dict[str, float]:
    """The texts by which an incident is compared letter by letter, each with its weight."""
    rest = " ".join(filter(None, (incident.description, incident.service, incident.root_cause)))
    return {incident.title: TITLE_WEIGHT, rest: 1.0} if incident.title else {rest: 1.0}


def heading(incident: Incident) -> str:
    """The title, or what stands in its place."""
    return incident.title or incident.description[:80]
