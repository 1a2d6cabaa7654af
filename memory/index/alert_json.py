"""Finds JSON in a text, which may be hostile."""

from __future__ import annotations

import json
from typing import Any

_MOST_BROKEN = 20
"""Pieces that look like JSON and are none, after which no further one is tried."""


class Objects:
    """Reads the objects of JSON in a text, and the lists of them.

    `twice` is how many of them give a name two values, which no machine does; both are kept, as a list.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._broken = self._lost = 0
        self.twice = 0
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object)

    def at(self, start: int) -> tuple[Any, int] | None:
        """What begins there, and where it ends; None where it is neither an object nor a list of them."""
        text = self._text
        if text[start : start + 1] not in ("{", "[") or self._broken >= _MOST_BROKEN or self._lost > len(text):
            return None
        twice = self.twice
        try:
            value, stop = self._decoder.raw_decode(text, start)
        except json.JSONDecodeError as fault:
            self._broken, self._lost = self._broken + 1, self._lost + fault.pos - start
        except (ValueError, RecursionError):
            self._broken, self._lost = self._broken + 1, self._lost + len(text) // 4
        else:
            if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
                return value, stop
        self.twice = twice
        return None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            values: dict[str, list[Any]] = {}
            for name, its in pairs:
                values.setdefault(name, []).append(its)
            for name, all_its in values.items():
                if any(its != all_its[0] for its in all_its):
                    found[name] = all_its
                    self.twice += 1
        return found
