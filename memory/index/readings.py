"""What the close look reads of the documents, kept for the next query that finds the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..incident import Incident
from .alerts import unmarked
from .background import telling_at_large
from .fields import heading, weighted_texts, whole
from .runs import Runs, runs
from .tokens import terms

KEPT = 300
"""Readings that are kept, the last used ones; mostly 10 KB each."""

_LONGEST_KEPT = 8_000
"""Characters of an incident, its resolution included, whose reading is kept: few have as many, and KEPT of these would take
15 MB."""

_LONGEST = 20_000
"""Characters of an incident that are searched for passages."""

_LONGEST_CAUSE = 500
"""Characters of a root cause that are compared; a longer one would hold a bit of everything."""


@dataclass(frozen=True)
class Reading:
    """An incident as it is compared with queries; each part is made when it is first asked for."""

    incident: Incident

    @cached_property
    def texts(self) -> list[tuple[Runs, float]]:
        """The runs of its texts, each with its weight."""
        return [(runs(text), weight) for text, weight in weighted_texts(self.incident).items()]

    @cached_property
    def heading(self) -> Runs:
        """The runs of its heading."""
        return runs(heading(self.incident))

    @cached_property
    def terms(self) -> Sequence[str]:
        """The terms of its text, in order."""
        return terms(whole(self.incident)[:_LONGEST])

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The terms of its text and of its root cause."""
        return frozenset([*self.terms, *terms(unmarked(self.incident.root_cause or "")[:_LONGEST_CAUSE])])

    @cached_property
    def telling(self) -> Mapping[str, float]:
        """How telling each term of its text is at large, in nats."""
        return {term: telling_at_large(term) for term in self.terms}

    @cached_property
    def told(self) -> float:
        """How much its text tells, in nats."""
        return sum(self.telling.values())

    @cached_property
    def names(self) -> frozenset[str]:
        """The terms of its heading and of its service."""
        return frozenset(terms(f"{heading(self.incident)} {self.incident.service or ''}"))


class Readings:
    """The readings of documents by slot, which stands for one revision of a document: what is changed gets another slot.

    Args:
        read: gives the incidents of these ids, in any order, without those that are no longer there.

    Not safe for use from several threads; the owner serialises.
    """

    def __init__(self, read: Callable[[Sequence[str]], Iterable[Incident]]) -> None:
        self._read = read
        self._kept: dict[int, Reading] = {}  # the last used ones last

    def of(self, wanted: Mapping[int, str]) -> dict[int, Reading]:
        """The readings of documents, whose ids are given by slot, without those that are no longer there."""
        found = {slot: self._kept.pop(slot) for slot in wanted if slot in self._kept}
        slot_of = {incident_id: slot for slot, incident_id in wanted.items() if slot not in found}
        found.update((slot_of[incident.id], Reading(incident)) for incident in self._read(list(slot_of)))
        self._kept.update(item for item in found.items() if _length(item[1].incident) <= _LONGEST_KEPT)
        for slot in list(self._kept)[:-KEPT]:
            del self._kept[slot]
        return found


def _length(incident: Incident) -> int:
    """The characters of all that is kept of an incident."""
    found = len(incident.text)
    if (how := incident.resolution) is not None:
        found += len(how.root_cause or "") + len(how.prevention or "")
        found += sum(len(step.text) + len(step.command or "") for step in how.steps)
    return found
