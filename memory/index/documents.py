"""What the index knows of each document besides its text and vectors, by slot: whom a search may find, and how near in
time each lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from ..incident import Incident, Status
from .columns import Column

Mask = npt.NDArray[np.bool_]

_TIME_REACH, _TIME_BLUR = 7 * 86400.0, 3600.0
"""Seconds: beyond the reach time says nothing, and below the blur all is at once."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which incidents may be found; None means any. `before` and `since` are about `created_at`, and leave out
    incidents that have none."""

    status: Status | None = None
    service: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FrozenDocuments:
    """The columns of many documents, by slot: id (ASCII bytes), whether it is open, whether it has vectors, when it was
    created (seconds since 1970, NaN where unknown), and the number of its service (−1 for none)."""

    ids: npt.NDArray[np.bytes_]
    open: Mask
    embedded: Mask
    created: npt.NDArray[np.float64]
    service: npt.NDArray[np.int32]


class Documents:
    """The documents, each known by its slot, 0 upwards. One that is removed keeps its slot and is dead.

    Args:
        frozen: the first documents, whose slots come first.
        services: their services, by number.
    """

    def __init__(self, frozen: FrozenDocuments | None = None, services: Sequence[str] = ()) -> None:
        self.ids: list[str] = []
        self._live: Column[np.bool_] = Column(np.bool_)
        self._open: Column[np.bool_] = Column(np.bool_)
        self._embedded: Column[np.bool_] = Column(np.bool_)
        self._created: Column[np.float64] = Column(np.float64)
        self._service: Column[np.int32] = Column(np.int32)
        self._services = {service: number for number, service in enumerate(services)}
        if frozen is not None:
            self.ids = frozen.ids.astype(str).tolist()
            self._live.extend(np.ones(len(self.ids), dtype=np.bool_))
            self._open.extend(frozen.open)
            self._embedded.extend(frozen.embedded)
            self._created.extend(frozen.created)
            self._service.extend(frozen.service)
        self.slot_of = {incident_id: slot for slot, incident_id in enumerate(self.ids)}
        """The slots of those that are alive."""

    def __len__(self) -> int:
        """How many are alive."""
        return len(self.slot_of)

    @property
    def services(self) -> list[str]:
        """The services, by number."""
        return list(self._services)

    @property
    def live(self) -> Mask:
        """Which slots are alive, shape (slots,); not to be written to."""
        return self._live.view

    @property
    def any_embedded(self) -> bool:
        """Whether any slot has vectors."""
        return bool(self._embedded.view.any())

    @property
    def not_embedded(self) -> int:
        """How many that are alive have no vectors."""
        return int(np.count_nonzero(self._live.view & ~self._embedded.view))

    def add(self, incident: Incident, embedded: bool) -> int:
        """Add a document; returns its slot."""
        slot = len(self.ids)
        self.ids.append(incident.id)
        self.slot_of[incident.id] = slot
        self._live.append(True)
        self._open.append(incident.status is Status.OPEN)
        self._embedded.append(embedded)
        self._created.append(incident.created_at.timestamp() if incident.created_at else math.nan)
        self._service.append(self._number(incident.service))
        return slot

    def remove(self, incident_id: str) -> int | None:
        """Remove a document; returns the slot that it had, None where there was none."""
        slot = self.slot_of.pop(incident_id, None)
        if slot is not None:
            self._live.view[slot] = False
        return slot

    def chosen(self, scope: Scope) -> Mask:
        """Which slots are in scope and alive, shape (slots,)."""
        chosen: Mask = self._live.view.copy()
        if scope.status is not None:
            chosen &= self._open.view == (scope.status is Status.OPEN)
        if scope.service:
            chosen &= self._service.view == self._services.get(scope.service.casefold(), -2)
        if scope.since is not None:
            chosen &= self._created.view >= scope.since.timestamp()
        if scope.before is not None:
            chosen &= self._created.view < scope.before.timestamp()
        for incident_id in scope.exclude:
            if (slot := self.slot_of.get(incident_id)) is not None:
                chosen[slot] = False
        return chosen

    def open_at(self, service: str | None) -> npt.NDArray[np.intp]:
        """The slots of open incidents of that service; of all, where it is None."""
        chosen = self._live.view & self._open.view
        if service:
            chosen &= self._service.view == self._number(service)
        return np.flatnonzero(chosen)

    def nearness(self, at: datetime) -> npt.NDArray[np.float32]:
        """Nearness in time, shape (slots,): 1 within the same hour, 0 from a week on and where the time is unknown."""
        created, now = self._created.view, at.timestamp()
        within = np.flatnonzero((created > now - _TIME_REACH) & (created < now + _TIME_REACH))
        gap = np.abs(created[within] - now)
        nearness = np.zeros(len(created), dtype=np.float32)
        nearness[within] = 1 - np.log1p(gap / _TIME_BLUR) / math.log1p(_TIME_REACH / _TIME_BLUR)
        return nearness

    def freeze(self, kept: Mask) -> FrozenDocuments:
        """The columns of the kept documents (shape (slots,))."""
        return FrozenDocuments(
            np.array([i for i, keep in zip(self.ids, kept.tolist(), strict=True) if keep], dtype=np.bytes_),
            self._open.view[kept],
            self._embedded.view[kept],
            self._created.view[kept],
            self._service.view[kept],
        )

    def _number(self, service: str | None) -> int:
        if not service:
            return -1
        return self._services.setdefault(service.casefold(), len(self._services))
