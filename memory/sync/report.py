"""What an exchange is asked for, and what it says afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

import anyio.to_thread

Direction = Literal["push", "pull", "both"]
Progress = Callable[[int, int, str], Awaitable[None]]
"""Told how much is done, of how much (0 where nobody knows), and what that is."""

T = TypeVar("T")


@dataclass
class Report:
    """What an exchange did. `pulled` incidents are new here and `updated` ones changed here; `unchanged` were the same
    on both sides; `skipped` documents or facts could not be taken, each with its reason as far as it has an id.
    `conflicts` name the incident and whose version stays. `pending` and `refused` count the outbox afterwards, and `error`
    says why something could not be pushed although the rest was."""

    pulled: int = 0
    pushed: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    pending: int = 0
    refused: int = 0
    error: str | None = None
    conflicts: list[tuple[str, Literal["here", "there"]]] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)

    def remarks(self, most: int = 10) -> Iterator[str]:
        """What a person should know beyond the counts, a sentence each."""
        for incident_id, kept in self.conflicts[:most]:
            other = "the bank's" if kept == "here" else "this machine's"
            mine = "this machine's" if kept == "here" else "the bank's"
            yield f"Conflict on {incident_id}: {mine} version stays, {other} is in its history."
        for incident_id, reason in self.reasons[:most]:
            yield f"Skipped {incident_id}: {reason}."
        if nameless := self.skipped - len(self.reasons):
            yield f"Skipped {nameless} older facts that name no incident."
        if self.refused:
            yield f"{self.refused} are set aside, since Hindsight refuses them; `incidentos doctor` says why."
        if self.error:
            yield self.error


@dataclass
class Outlook:
    """What a dry run expects to find in the outbox once it has pulled: `waiting` incidents, and others that were `set_aside`
    and stay so. `meets` says that what is known of the bank would be forgotten first, since it was another one's."""

    waiting: set[str]
    set_aside: frozenset[str] = frozenset()
    meets: bool = False

    def queue(self, incident_ids: Iterable[str]) -> None:
        """These would get an entry, unless they have one that was set aside."""
        self.waiting.update(set(incident_ids) - self.set_aside)

    def settle(self, incident_id: str) -> None:
        """The bank would hold what is here."""
        self.waiting.discard(incident_id)


async def quiet(done: int, total: int, message: str) -> None:
    """A progress that nobody watches."""


async def off_loop(work: Callable[..., T], *values: object) -> T:
    """Run the work in a thread: a disk may be slow, and the event loop serves others meanwhile."""
    return await anyio.to_thread.run_sync(partial(work, *values))


def parts(items: Sequence[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """The items in order, in parts of at most that size together, or of a single item."""
    part: list[T] = []
    total = 0
    for item in items:
        its_size = size(item)
        if part and total + its_size > most:
            yield part
            part, total = [], 0
        part.append(item)
        total += its_size
    if part:
        yield part
