"""The letters of a text: its plain words, and its runs of four characters, spaces included."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Runs = npt.NDArray[np.uint32]
"""Runs of four bytes, each as one number."""

_LONGEST = 100_000
"""Bytes of a text that are read."""

_PLAIN = bytes(byte if byte >= 0x80 or chr(byte).isalnum() else 0x20 for byte in bytes(range(256)).lower())
"""Lower case, all but letters and digits a space; the bytes of other scripts stay as they are."""


def plain_words(text: str) -> list[bytes]:
    """The words of a text in lower case, in order, in UTF-8."""
    return text.encode("utf-8", "replace")[:_LONGEST].translate(_PLAIN).split()


def runs(text: str) -> Runs:
    """Every run of a text, in order, repeats included; none where it has neither letters nor digits."""
    letters = b" %s  " % b" ".join(plain_words(text))
    return np.ndarray((len(letters) - 3,), "<u4", letters, 0, (1,)).astype(np.uint32)  # one that starts at each byte
