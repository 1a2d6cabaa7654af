"""When two incidents had the same kind of cause."""

from __future__ import annotations

from functools import lru_cache

from .failure_types import classify
from .incident import FailureType, Incident
from .index.tokens import terms

_OVERLAP = 0.4
"""Root causes without a stated failure type are one cause where they share this much of the shorter one's terms."""


Cause = tuple[FailureType, frozenset[str]]
"""What a cause is compared by: its type and its terms."""


def same_cause(one: Incident, other: Incident) -> bool:
    """Whether two resolved incidents had the same kind of cause: of the same failure type, or, where a cause names none,
    causes that say much the same."""
    return are_same((type_of_cause(one), terms_of_cause(one)), (type_of_cause(other), terms_of_cause(other)))


def are_same(one: Cause, other: Cause) -> bool:
    """As `same_cause`, for many."""
    (kind, mine), (other_kind, theirs) = one, other
    if kind is not FailureType.OTHER and other_kind is not FailureType.OTHER:
        return kind is other_kind
    shorter = min(len(mine), len(theirs))
    return shorter > 0 and len(mine & theirs) / shorter >= _OVERLAP


def terms_of_cause(incident: Incident) -> frozenset[str]:
    """The terms of its cause; none where it has none."""
    return _terms_of(incident.root_cause or "")


def type_of_cause(incident: Incident) -> FailureType:
    """The stated type, or the one that the cause itself speaks of. That the symptoms use the same words proves no
    common cause."""
    return incident.failure_type if incident.failure_type_stated else _type_of(incident.root_cause)


# A query compares each of its hits with the others, so each cause is read many times.


@lru_cache(maxsize=1024)
def _type_of(cause: str | None) -> FailureType:
    return classify(None, "", cause)


@lru_cache(maxsize=1024)
def _terms_of(cause: str) -> frozenset[str]:
    return frozenset(terms(cause))
