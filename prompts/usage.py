"""What the language model did and cost: for `incidents://status`, and on disk for the doctor, who is another process."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..memory.incident import utcnow


@dataclass(frozen=True, slots=True)
class Usage:
    """Figures since the file was begun. `seconds` is what the last usable answer took, repair included; times are
    ISO 8601 in UTC. `answered` + `failed` = calls; a call while Groq is left alone counts as neither."""

    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float | None = None
    answered_at: str | None = None
    error: str | None = None
    error_at: str | None = None


_USAGE = TypeAdapter(Usage)


class UsageLog:
    """Keeps `Usage` in a small file, which the servers of one memory share. A file that cannot be written is done
    without: it is for looking at."""

    def __init__(self, path: Path | None, now: Callable[[], datetime] = utcnow) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._kept = self._read()
        self._new = Usage()

    @property
    def usage(self) -> Usage:
        """The figures, as far as this process knows."""
        return _sum(self._kept, self._new)

    def used(self, prompt_tokens: int, completion_tokens: int) -> None:
        """A reply was paid for."""
        self._add(Usage(prompt_tokens=max(0, prompt_tokens), completion_tokens=max(0, completion_tokens)))

    def answered(self, seconds: float) -> None:
        """A call gave a usable answer."""
        self._add(Usage(answered=1, seconds=round(seconds, 3), answered_at=self._instant()))

    def failed(self, error: str) -> None:
        """A call gave none; `error` is the user's line."""
        self._add(Usage(failed=1, error=error, error_at=self._instant()))

    def keep(self) -> None:
        """Add what is new to the file."""
        if self._path is None:
            return
        with self._lock, contextlib.suppress(OSError):
            whole = _sum(self._read(), self._new)
            scratch = self._path.with_suffix(f".{os.getpid()}.tmp")
            scratch.write_text(json.dumps(asdict(whole), ensure_ascii=False), encoding="utf-8")
            scratch.replace(self._path)
            self._kept, self._new = whole, Usage()

    def as_json(self) -> dict[str, Any]:
        """The figures, without those that there are none of."""
        return {name: value for name, value in asdict(self.usage).items() if value is not None}

    def _add(self, more: Usage) -> None:
        with self._lock:
            self._new = _sum(self._new, more)

    def _instant(self) -> str:
        return self._now().isoformat(timespec="seconds").replace("+00:00", "Z")

    def _read(self) -> Usage:
        if self._path is not None:
            with contextlib.suppress(OSError, ValidationError, UnicodeDecodeError):
                return _USAGE.validate_json(self._path.read_text(encoding="utf-8"))
        return Usage()


def _sum(before: Usage, after: Usage) -> Usage:
    """Counts added up; of the rest, what is later."""
    return Usage(
        answered=before.answered + after.answered,
        failed=before.failed + after.failed,
        prompt_tokens=before.prompt_tokens + after.prompt_tokens,
        completion_tokens=before.completion_tokens + after.completion_tokens,
        seconds=before.seconds if after.seconds is None else after.seconds,
        answered_at=after.answered_at or before.answered_at,
        error=after.error or before.error,
        error_at=after.error_at or before.error_at,
    )
