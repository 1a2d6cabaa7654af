"""The lexical arm: BM25 over an inverted index that is updated in place, a document at a time.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the non-negative
idf of Lucene, ln(1 + (N − n + 0.5) / (n + 0.5)). A posting keeps the raw frequency, and the length normalisation is
applied when a query is scored, so adding a document never touches the others.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

K1 = 1.2
B = 0.75
"""The usual values of the two parameters (k1: saturation of repeated terms; b: how much length counts)."""


class LexicalIndex:
    """BM25 over documents that are known by a slot number, 0 upwards.

    Not safe for use from several threads; the owner serialises.
    """

    def __init__(self) -> None:
        self._number: dict[str, int] = {}  # term → its number, an index into the three lists below
        self._slots: list[array[int]] = []
        self._frequencies: list[array[float]] = []
        self._holding: list[int] = []  # how many documents that are not removed hold the term
        self._terms_of: list[array[int] | None] = []  # slot → the numbers of its terms; None once removed
        self._lengths = array("f")
        self._total_length = 0.0
        self._documents = 0

    def __len__(self) -> int:
        """How many documents are searchable."""
        return self._documents

    def add(self, slot: int, frequencies: Mapping[str, float]) -> None:
        """Add a document. Slots must be given in rising order, each once; frequencies may be weighted."""
        if slot != len(self._lengths):
            raise ValueError(f"slot {slot} is out of order; the next one is {len(self._lengths)}")
        numbers = array("I")
        for term, frequency in frequencies.items():
            number = self._number.get(term)
            if number is None:
                number = self._number[term] = len(self._slots)
                self._slots.append(array("i"))
                self._frequencies.append(array("f"))
                self._holding.append(0)
            self._slots[number].append(slot)
            self._frequencies[number].append(frequency)
            self._holding[number] += 1
            numbers.append(number)
        length = float(sum(frequencies.values()))
        self._terms_of.append(numbers)
        self._lengths.append(length)
        self._total_length += length
        self._documents += 1

    def remove(self, slot: int) -> None:
        """Take a document out of the statistics. Its postings stay, so its scores have no meaning from here on."""
        numbers = self._terms_of[slot]
        if numbers is None:
            return
        self._terms_of[slot] = None
        for number in numbers:
            self._holding[number] -= 1
        self._total_length -= self._lengths[slot]
        self._documents -= 1

    def holds(self, slot: int, term: str) -> bool:
        """Whether the document holds the term."""
        number = self._number.get(term)
        if number is None:
            return False
        slots = self._slots[number]  # rising, as documents are added in that order
        place = bisect_left(slots, slot)
        return place < len(slots) and slots[place] == slot

    def idf(self, term: str) -> float:
        """How telling the term is, in nats; a term that no document holds is the most telling of all."""
        number = self._number.get(term)
        holding = 0 if number is None else self._holding[number]
        return math.log1p((self._documents - holding + 0.5) / (holding + 0.5))

    def scores(self, query: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """BM25 of every slot, shape (slots,), for weighted query terms; removed slots hold numbers of no meaning."""
        found = np.zeros(len(self._lengths), dtype=np.float32)
        if not self._documents:
            return found
        lengths = np.frombuffer(self._lengths, dtype=np.float32)
        average = self._total_length / self._documents or 1.0
        for term, weight in query.items():
            number = self._number.get(term)
            if number is None:
                continue
            slots = np.frombuffer(self._slots[number], dtype=np.int32)
            frequency = np.frombuffer(self._frequencies[number], dtype=np.float32)
            saturated = frequency / (frequency + K1 * (1 - B + (B / average) * lengths[slots]))
            found[slots] += np.float32(weight * self.idf(term) * (K1 + 1)) * saturated
        return found
