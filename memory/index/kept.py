"""Keeps the results of a function for what it was last asked, within a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Asked = TypeVar("Asked", bound=Hashable)
Result = TypeVar("Result")


class Kept(Generic[Asked, Result]):
    """A function that remembers what it gave. Safe for use from several threads.

    Args:
        of: the function; what it gives must not be changed.
        size: the size of what it is asked.
        most: the size of all that is kept; what was asked longest ago goes first.
    """

    def __init__(self, of: Callable[[Asked], Result], size: Callable[[Asked], int], most: int) -> None:
        self._of, self._size, self._most = of, size, most
        self._kept: dict[Asked, Result] = {}  # the last used ones last
        self._sum = 0
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Result:
        """What the function gives."""
        with self._lock:
            if asked in self._kept:
                found = self._kept[asked] = self._kept.pop(asked)
                return found
        found = self._of(asked)
        with self._lock:
            if asked not in self._kept:
                self._kept[asked] = found
                self._sum += self._size(asked)
                while self._sum > self._most:
                    first = next(iter(self._kept))
                    del self._kept[first]
                    self._sum -= self._size(first)
        return found
