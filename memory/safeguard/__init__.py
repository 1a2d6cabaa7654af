"""What to see before a destructive step, and how it is taken back, derived from the step's own command.

`split` reads a command line into its parts without losing how they are written, `derive` finds the part that destroys and
what it would hit; `programs`, `cluster` and `statements` know the read-only counterpart of each kind of command. What is
derived is itself judged: a check that is not read-only is never shown.
"""

from __future__ import annotations

from functools import lru_cache

from ..risk import Risk, risk_of
from .derive import derive
from .guard import NO_WAY_BACK, Safeguard

__all__ = ["NO_WAY_BACK", "Safeguard", "safeguard_of"]

_MAX_LENGTH = 4_000

_UNREAD = Safeguard(
    None,
    "This command is not one that can be read here: see what it would hit (its dry run, its list, its source)",
    f"{NO_WAY_BACK} that is known: take a copy or a snapshot of it first.",
)
_NO_COMMAND = Safeguard(
    None,
    "List exactly what it would remove or end, and have it confirmed by a second person",
    f"{NO_WAY_BACK} that is known: take a copy or a snapshot of it first.",
)


def safeguard_of(command: str | None, text: str = "") -> Safeguard:
    """The check to run before a destructive step, and its way back.

    Args:
        command: what is to be run; None where the step is only words.
        text: the words of the step.

    Any text is accepted. `check` is None where no read-only command shows what would be hit; then `look` says what to
    look at. `way_back` begins with `NO_WAY_BACK` where there is none.
    """
    if not command or not command.strip():
        return _NO_COMMAND
    return _safeguard_of(command) if len(command) <= _MAX_LENGTH else _UNREAD


@lru_cache(maxsize=512)  # a playbook's commands come again and again, and to parse one takes milliseconds
def _safeguard_of(command: str) -> Safeguard:
    found = derive(command.strip())
    if found is None:
        return _UNREAD
    if found.check is not None and risk_of(found.check) is not Risk.READ_ONLY:
        return Safeguard(None, found.look, found.way_back)
    return found
