"""The lexical arm: BM25 over an inverted index that is updated in place, a document at a time.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the non-negative
idf of Lucene, ln(1 + (N − n + 0.5) / (n + 0.5)). A posting keeps the raw frequency, and the length normalisation is
applied when a query is scored, so adding a document never touches the others.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .background import STRENGTH, background, rarity

K1 = 1.2
B = 0.75
"""The usual values of the two parameters (k1: saturation of repeated terms; b: how much length counts)."""

_TYPICAL_LENGTH = 250.0
"""Weighted terms of a usual incident with its resolution."""

Slots = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Postings = tuple[Slots, Floats, Floats]
"""The documents that hold a term, rising, with its impacts there and its frequencies."""

_KNOWN = 1 << 12
"""Terms whose frozen postings are kept at hand."""

_COMMON = 4
"""A term that one in so many frozen documents holds is common: adding a number to all of them, one after the other, takes
a third of finding those that hold it."""

_KEPT = 64
"""Common terms whose impacts are kept in that form, 4 bytes for each document and term; a language has few such terms."""


@dataclass(frozen=True, slots=True)
class FrozenPostings:
    """The postings of many documents as arrays that may lie in a memory-mapped file: nothing is built to read them.

    `keys` are the terms' keys (`term_key`), rising; the postings of `keys[i]` are `slots[offsets[i]:offsets[i + 1]]`
    (rising) with their `frequencies` and `impacts`; `lengths` are the documents' lengths, by slot. An impact is what the
    frequency gives with the length normalisation, by the average length at the time of freezing: 0 to 1.
    """

    keys: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]
    slots: Slots
    frequencies: Floats
    impacts: Floats
    lengths: Floats

    def find(self, terms: Sequence[str]) -> list[Postings | None]:
        """The postings of each term, or None where no document holds it."""
        keys = np.array([term_key(term) for term in terms], dtype=np.uint64)
        starts = self.offsets[np.searchsorted(self.keys, keys)].tolist()
        ends = self.offsets[np.searchsorted(self.keys, keys, side="right")].tolist()
        return [
            (self.slots[start:end], self.impacts[start:end], self.frequencies[start:end]) if start < end else None
            for start, end in zip(starts, ends, strict=True)
        ]

    def on_all(self, term: str) -> Floats:
        """The term's impact on every document, 0 where it does not occur, shape (documents,)."""
        impacts = np.zeros(len(self.lengths), dtype=np.float32)
        for found in filter(None, self.find([term])):
            impacts[found[0]] = found[1]
        return impacts


def term_key(term: str) -> np.uint64:
    """64 bits that stand for a term: two of a million terms share them with a chance of 3 in 100 million."""
    return np.uint64(int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "little"))


class LexicalIndex:
    """BM25 over documents that are known by a slot number, 0 upwards.

    Args:
        frozen: the postings of the first documents, whose slots come first. A document of these that is removed
            still counts in the statistics, until they are frozen anew.

    Not safe for use from several threads; the owner serialises.
    """

    def __init__(self, frozen: FrozenPostings | None = None) -> None:
        self._frozen = frozen
        self._known: dict[str, Postings | None] = {}  # since a query asks for each of its terms several times
        self._dense = lru_cache(maxsize=_KEPT)(frozen.on_all) if frozen else None
        self._first = len(frozen.lengths) if frozen else 0  # the slot of the first document that is not frozen
        self._number: dict[str, int] = {}  # term → its number, an index into the three lists below
        self._slots: list[array[int]] = []  # counted from `_first`
        self._frequencies: list[array[float]] = []
        self._holding: list[int] = []  # how many documents that are not removed hold the term
        self._terms_of: list[array[int] | None] = []  # document → the numbers of its terms; None once removed
        self._lengths = array("f")
        self._total_length = float(frozen.lengths.sum(dtype=np.float64)) if frozen else 0.0
        self._documents = self._first

    def __len__(self) -> int:
        """How many documents the statistics speak of."""
        return self._documents

    def add(self, slot: int, frequencies: Mapping[str, float]) -> None:
        """Add a document. Slots must be given in rising order, each once; frequencies may be weighted."""
        if slot != self._first + len(self._lengths):
            raise ValueError(f"slot {slot} is out of order; the next one is {self._first + len(self._lengths)}")
        numbers = array("I")
        for term, frequency in frequencies.items():
            number = self._number.get(term)
            if number is None:
                number = self._number[term] = len(self._slots)
                self._slots.append(array("i"))
                self._frequencies.append(array("f"))
                self._holding.append(0)
            self._slots[number].append(slot - self._first)
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
        place = slot - self._first
        numbers = self._terms_of[place] if place >= 0 else None
        if numbers is None:
            return
        self._terms_of[place] = None
        for number in numbers:
            self._holding[number] -= 1
        self._total_length -= self._lengths[place]
        self._documents -= 1

    def look_up(self, terms: Iterable[str]) -> None:
        """Find the frozen postings of all these terms at once, which takes a fifth of finding one after the other."""
        if self._frozen is None:
            return
        if len(self._known) > _KNOWN:
            self._known.clear()
        missing = [term for term in terms if term not in self._known]
        self._known.update(zip(missing, self._frozen.find(missing), strict=True))

    def _find(self, term: str) -> Postings | None:
        if term not in self._known:
            self.look_up([term])
        return self._known.get(term)

    def holds(self, slot: int, term: str) -> bool:
        """Whether the document holds the term."""
        slots: Slots | array[int] | None
        if slot < self._first:
            found = self._find(term)
            slots = found[0] if found else None
        else:
            number = self._number.get(term)
            slots = None if number is None else self._slots[number]
            slot -= self._first
        if slots is None:
            return False
        place = bisect_left(slots, slot)  # rising, as documents are added in that order
        return place < len(slots) and slots[place] == slot

    def idf(self, term: str) -> float:
        """How telling the term is among these documents, in nats; a term that none of them holds tells the most."""
        holding = self._holding_of(term) + STRENGTH * background().term(term)
        return math.log1p((self._documents + STRENGTH - holding + 0.5) / (holding + 0.5))

    def rarity(self, term: str) -> float:
        """The same on a scale that does not depend on how many documents there are."""
        return float(rarity(self._holding_of(term), self._documents, background().term(term)))

    def _holding_of(self, term: str) -> float:
        """How many documents hold the term."""
        number = self._number.get(term)
        holding = 0.0 if number is None else float(self._holding[number])
        return holding if (found := self._find(term)) is None else holding + len(found[0])

    def scores(self, query: Mapping[str, float]) -> Floats:
        """BM25 of every slot, shape (slots,), for weighted query terms; removed slots hold numbers of no meaning."""
        scores = np.zeros(self._first + len(self._lengths), dtype=np.float32)
        if not self._documents:
            return scores
        average = self._total_length / self._documents or 1.0
        old, new = scores[: self._first], scores[self._first :]
        scratch = np.empty_like(old)
        lengths = np.frombuffer(self._lengths, dtype=np.float32) if self._lengths else new
        for term, weight in query.items():
            factor = np.float32(weight * self.idf(term) * (K1 + 1))
            found = self._find(term)
            if found is not None and self._dense is not None and len(found[0]) * _COMMON >= self._first:
                old += np.multiply(self._dense(term), factor, out=scratch)
            elif found is not None:
                np.add.at(old, found[0].astype(np.intp), factor * found[1])  # by int32 it takes twice as long
            if (number := self._number.get(term)) is not None:
                place = np.frombuffer(self._slots[number], dtype=np.int32).astype(np.intp)
                frequencies = np.frombuffer(self._frequencies[number], dtype=np.float32)
                np.add.at(new, place, factor * _impacts(frequencies, lengths[place], average))
        return scores

    def shares(self, slots: npt.NDArray[np.intp], weights: Mapping[str, float]) -> Floats:
        """BM25 of these slots for terms of these weights, as a share of what a text full of them all would reach: 0 to 1,
        shape of `slots`. Lengths are told by a typical one, so that it does not depend on what else is stored."""
        wanted = slots.astype(np.int32)  # else numpy would convert the postings
        added = wanted - np.int32(self._first)
        lengths = np.empty(len(slots), dtype=np.float32)
        if self._frozen is not None:
            lengths[added < 0] = self._frozen.lengths[wanted[added < 0]]
        lengths[added >= 0] = np.frombuffer(self._lengths, dtype=np.float32)[added[added >= 0]] if self._lengths else 0
        frequencies = np.zeros((len(weights), len(slots)), dtype=np.float32)
        for its, term in zip(frequencies, weights, strict=True):
            if (found := self._find(term)) is not None:
                _put_frequencies(its, wanted, found[0], found[2])
            if (number := self._number.get(term)) is not None:
                _put_frequencies(its, added, *map(np.asarray, (self._slots[number], self._frequencies[number])))
        weighed = np.fromiter(weights.values(), dtype=np.float32, count=len(weights))
        shares: Floats = weighed @ _impacts(frequencies, lengths, _TYPICAL_LENGTH) / (weighed.sum() or np.float32(1))
        return shares

    def freeze(self, kept: npt.NDArray[np.bool_]) -> FrozenPostings:
        """The postings of the kept documents (shape (slots,)), their slots counted anew without the others."""
        renumbered = np.cumsum(kept, dtype=np.int64).astype(np.int32) - 1
        keys: list[npt.NDArray[np.uint64]] = []
        slots: list[Slots] = []
        frequencies: list[Floats] = []
        lengths: Floats = np.frombuffer(self._lengths, dtype=np.float32) if self._lengths else np.zeros(0, np.float32)
        if self._frozen is not None:
            keys.append(np.repeat(self._frozen.keys, np.diff(self._frozen.offsets)))
            slots.append(np.asarray(self._frozen.slots))
            frequencies.append(np.asarray(self._frozen.frequencies))
            lengths = np.concatenate([self._frozen.lengths, lengths])
        for key, its_slots, its_frequencies in self._added():
            keys.append(np.full(len(its_slots), key))
            slots.append(its_slots + self._first)
            frequencies.append(its_frequencies)
        all_keys = np.concatenate([np.zeros(0, np.uint64), *keys])
        all_slots = np.concatenate([np.zeros(0, np.int32), *slots])
        all_frequencies = np.concatenate([np.zeros(0, np.float32), *frequencies])
        of_kept = kept[all_slots]
        all_keys, all_slots, all_frequencies = all_keys[of_kept], all_slots[of_kept], all_frequencies[of_kept]
        order = np.argsort(all_keys, kind="stable")  # the slots of one term are rising already: old ones first
        sorted_keys = all_keys[order]
        unique, starts = np.unique(sorted_keys, return_index=True)
        its_lengths, its_slots, its_frequencies = lengths[kept], renumbered[all_slots[order]], all_frequencies[order]
        average = float(its_lengths.mean(dtype=np.float64)) if len(its_lengths) else 1.0
        return FrozenPostings(
            keys=unique,
            offsets=np.append(starts, len(sorted_keys)).astype(np.int64),
            slots=its_slots,
            frequencies=its_frequencies,
            impacts=_impacts(its_frequencies, its_lengths[its_slots], average or 1.0),
            lengths=its_lengths,
        )

    def _added(self) -> Iterator[tuple[np.uint64, Slots, Floats]]:
        for term, number in self._number.items():
            yield (
                term_key(term),
                np.frombuffer(self._slots[number], dtype=np.int32),
                np.frombuffer(self._frequencies[number], dtype=np.float32),
            )


def _impacts(frequencies: Floats, lengths: Floats, average: float) -> Floats:
    """What each posting gives before the term's weight, for documents of these lengths."""
    norm = K1 * (1 - B + np.float32(B / average) * lengths)
    impacts: Floats = frequencies / (frequencies + norm.astype(np.float32))
    return impacts


def _put_frequencies(into: Floats, wanted: Slots, slots: Slots, frequencies: Floats) -> None:
    """Fill in the frequencies of a term at the wanted slots, where its postings have them."""
    at = np.searchsorted(slots, wanted).clip(max=len(slots) - 1)
    held = slots[at] == wanted
    into[held] = frequencies[at[held]]
