"""Ids of imported incidents: the source's own where it is valid, else always the same one made of it."""

from __future__ import annotations

import hashlib
import re

from ..errors import InvalidInput
from ..incident import ID_PATTERN

_LONGEST = 128
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._-]+")


def digest(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def valid_id(given: str) -> str:
    """The id itself if it is a valid one; else with a dot for each run of characters that may not stand in
    one, and cut where it is too long, with 8 digits of its hash so that ids with a common beginning stay
    apart."""
    if ID_PATTERN.fullmatch(given):
        return given
    made = _NOT_IN_AN_ID.sub(".", given).lstrip("._-") or f"id-{digest(given)[:12]}"
    return made if len(made) <= _LONGEST else f"{made[: _LONGEST - 9]}-{digest(given)[:8]}"


class Ids:
    """The ids of one file, each with the source's id that it stands for."""

    def __init__(self) -> None:
        self._stands_for: dict[str, str] = {}

    def of(self, given: str) -> str:
        """A valid id for the source's id. Where another one of the file was given that id before, the later
        gets six digits of its hash.

        Raises:
            InvalidInput: the hashes collide too, which takes a person who wants them to.
        """
        valid = valid_id(given)
        for digits in (0, 6, 12, 24):
            suffix = f"-{digest(given)[:digits]}" if digits else ""
            found = valid[: _LONGEST - len(suffix)] + suffix
            if self._stands_for.setdefault(found, given) == given:
                return found
        raise InvalidInput(f"The id {given!r} cannot be told apart from others in this file.")

    def take(self, found: str, given: str) -> None:
        """Note an id that a record already has.

        Raises:
            InvalidInput: it stands for something else in this file.
        """
        known = self._stands_for.setdefault(found, given)
        if known != given:
            raise InvalidInput(f"The id {found!r} already stands for {known!r} in this file.")
