"""Growing pauses between attempts, and a breaker that stops asking what does not answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pauses:
    """Pauses in seconds: `first`, twice that, and so on up to `most`; each is drawn from its upper half, so that several
    servers that failed together do not come back together."""

    first: float
    most: float

    def after(self, failures: int) -> float:
        """The pause after that many earlier failures (0 for the first one)."""
        full = min(self.most, self.first * 2.0 ** min(failures, 30))
        return full * random.uniform(0.5, 1.0)  # not a secret


class Breaker:
    """Open while something does not answer, so that nobody waits for it in vain. Who opened it probes behind the scenes
    and closes it."""

    def __init__(self, pauses: Pauses, clock: Callable[[], float] = time.monotonic) -> None:
        self._pauses = pauses
        self._clock = clock
        self._failures = 0
        self._until = 0.0
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it is open, in a sentence; None while it is closed."""
        return self._reason

    @property
    def rest(self) -> float:
        """Seconds until it is worth a probe; 0 while it is closed."""
        return max(0.0, self._until - self._clock()) if self._reason is not None else 0.0

    def fail(self, reason: str, least: float = 0.0) -> None:
        """It did not answer; the pause grows with each failure in a row and is no shorter than `least` seconds."""
        self._until = self._clock() + max(self._pauses.after(self._failures), least)
        self._failures += 1
        self._reason = reason

    def succeed(self) -> None:
        """It answered."""
        self._failures, self._reason = 0, None
