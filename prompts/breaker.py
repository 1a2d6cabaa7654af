"""Keeps a dead or refused language model from costing every call its whole deadline."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Literal

from .faults import CUT_OFF, DECLINED, EMPTY, NO_FORM, PAUSED, TOO_LARGE, UNCHECKED, UNGROUNDED, ModelFault

_IN_A_ROW = 2
"""Failures of the way to the model in a row from which it is left alone."""

_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 300.0
"""Seconds of the pause after `_IN_A_ROW` failures; it doubles with each failure more."""

_OF_ONE_CALL = frozenset(fault.name for fault in (TOO_LARGE, CUT_OFF, EMPTY, DECLINED, NO_FORM, UNGROUNDED, UNCHECKED))
"""Faults of one question or its reply: the next alert is another one, so they close nothing."""


State = Literal["not asked yet", "answers", "failed last", "left alone"]


class Breaker:
    """Says whether the model may be asked now.

    A fault with a pause of its own (a refused key) closes the way at once, one that may pass (a timeout) when it comes
    twice in a row. Once the pause is over, one call tries it; the others wait for how that goes.

    Args:
        trial: seconds that one call may take.
        clock: the time in seconds.
    """

    def __init__(self, trial: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._trial = trial
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._failures = 0
        self._last: ModelFault | None = None
        self._state: State = "not asked yet"

    @property
    def state(self) -> State:
        """How the last call went, and whether the next one is let through."""
        return "left alone" if self.seconds_left else self._state

    @property
    def seconds_left(self) -> int:
        """How long the model is still left alone; 0 where it may be asked."""
        return max(0, math.ceil(self._until - self._clock())) if self._last else 0

    def admit(self) -> None:
        """Let a call through.

        Raises:
            ModelFault: the model is left alone; the message says why and for how long.
        """
        with self._lock:
            if self._last is None:
                return
            if left := self.seconds_left:
                raise ModelFault(PAUSED, seconds=left, faults=self._last.told)
            self._until = self._clock() + self._trial  # this call is the trial

    def succeeded(self) -> None:
        """The model answered."""
        with self._lock:
            self._failures, self._last, self._state = 0, None, "answers"

    def failed(self, fault: ModelFault) -> None:
        """The model did not answer, or not usably."""
        with self._lock:
            self._state = "failed last"
            if fault.fault.name in _OF_ONE_CALL:  # it is there
                self._failures, self._last = 0, None
                return
            self._failures += 1
            pause = max(fault.fault.pause, min(fault.retry_after or 0.0, _LONGEST_PAUSE))
            if not pause and self._failures >= _IN_A_ROW:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(10, self._failures - _IN_A_ROW))
            if pause:
                self._last, self._until = fault, self._clock() + pause
            else:
                self._last = None
