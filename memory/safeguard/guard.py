"""What a safeguard is."""

from __future__ import annotations

from dataclasses import dataclass

NO_WAY_BACK = "No way back"
"""How a `way_back` begins where nothing takes the step back."""


@dataclass(frozen=True, slots=True)
class Safeguard:
    """`check`: a read-only command that shows what the step would hit, or None. `look`: what to look at (in its output,
    where there is one). `way_back`: how to take it back, or that there is none."""

    check: str | None
    look: str
    way_back: str
