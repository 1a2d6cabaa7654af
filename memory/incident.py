"""The domain: an incident, its resolution and the steps that were taken. Frozen values, no behaviour beyond them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from .errors import InvalidInput

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A valid incident id, whole string. 8 hex digits when this program chooses it; `INC0027946` and the like when
imported. `..` cannot occur at the start, so an id is safe as a path segment."""


class Status(StrEnum):
    """Whether the incident is still going on."""

    OPEN = "open"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """What a step did for the incident that it was tried on."""

    WORKED = "worked"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Provenance(StrEnum):
    """Where a resolution comes from. Only confirmed and imported ones are evidence."""

    CONFIRMED = "confirmed"  # a person said so, through resolve_incident
    IMPORTED = "imported"  # it stood in a file that was imported
    INFERRED = "inferred"  # a bulk guess: shown as a guess, never raises a confidence


class FailureType(StrEnum):
    """What kind of failure an incident is."""

    CONNECTION_POOL = "connection-pool-exhaustion"
    DATABASE = "database-degradation"
    CACHE = "cache-failure"
    DNS = "dns-failure"
    MEMORY = "memory-leak"
    CPU = "cpu-saturation"
    DISK = "disk-exhaustion"
    LOAD_BALANCER = "load-balancer-misconfiguration"
    DEPLOYMENT = "failed-deployment"
    CERTIFICATE = "expired-certificate"
    THIRD_PARTY = "third-party-outage"
    LATENCY = "latency"
    NETWORK = "network"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done against an incident."""

    text: str
    command: str | None = None
    outcome: Outcome = Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an incident ended. `root_cause` is None where the source names a fix but no cause."""

    root_cause: str | None
    steps: tuple[Step, ...] = ()
    prevention: str | None = None
    provenance: Provenance = Provenance.CONFIRMED

    @property
    def is_evidence(self) -> bool:
        """Whether a confidence may rest on it."""
        return self.provenance is not Provenance.INFERRED


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as it stands in the memory.

    Times are UTC. `created_at` and `resolved_at` are None where the source does not give them; `updated_at` is when
    this memory last changed the record. `revision` counts the record's versions from 1. `failure_type_stated` is
    False where the type is our own classification of the text. `external_id` is the id in the system the incident
    came from, where that differs from `id`.
    """

    id: str
    title: str | None
    description: str
    updated_at: datetime
    created_at: datetime | None = None
    resolved_at: datetime | None = None
    service: str | None = None
    severity: str | None = None
    status: Status = Status.OPEN
    failure_type: FailureType = FailureType.OTHER
    failure_type_stated: bool = False
    source: str | None = None
    external_id: str | None = None
    url: str | None = None
    revision: int = 1
    resolution: Resolution | None = field(default=None)

    @property
    def label(self) -> str:
        """The title, or the start of the description where the source gave no title: for display only."""
        if self.title:
            return self.title
        first = next((line.strip() for line in self.description.splitlines() if line.strip()), "(no text)")
        return first if len(first) <= 100 else first[:99].rstrip() + "…"

    @property
    def root_cause(self) -> str | None:
        """The root cause of the resolution, if there is one."""
        return self.resolution.root_cause if self.resolution else None

    @property
    def text(self) -> str:
        """Title and description: what the incident looked like before anyone knew its cause."""
        return f"{self.title}\n{self.description}" if self.title else self.description


def check_id(incident_id: str) -> str:
    """Return the id if it is well formed.

    Raises:
        InvalidInput: it is not; the message says what an id looks like.
    """
    if not ID_PATTERN.fullmatch(incident_id):
        shown = incident_id if len(incident_id) <= 40 else incident_id[:40] + "…"
        raise InvalidInput(
            f"{shown!r} cannot be an incident id: an id starts with a letter or digit and has at most 128 letters, "
            "digits, dots, underscores and hyphens, such as 'd56b2cad' or 'INC0027946'. "
            "Call list_incidents for the ids that exist."
        )
    return incident_id


def normalise(text: str) -> str:
    """The text as it is compared for repeats: compatibility-composed, case-folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def utcnow() -> datetime:
    """The current time in UTC, to the microsecond."""
    return datetime.now(UTC)
