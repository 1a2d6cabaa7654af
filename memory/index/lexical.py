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
from collections.abc import Collection, Iterator, Mapping, Sequence
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
Range = tuple[int, int]
"""Where a term's postings begin and end."""

_KNOWN = 1 << 12
"""Terms of which it is kept at hand where their frozen postings are."""

_COMMON = 4
"""A term that one in so many frozen documents holds is common: adding a number to all of them, one after the other, takes
a third of finding those that hold it."""

_FEW = 10_000
"""Documents of which the postings of all terms are scored at once. Those of more would not stay in the processor's cache."""

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

    def find(self, terms: Sequence[str]) -> list[Range]:
        """Where the postings of each term are; an empty range where no document holds it."""
        if not len(self.keys):
            return [(0, 0)] * len(terms)
        keys = np.array([term_key(term) for term in terms], dtype=np.uint64)
        starts = self.offsets[np.searchsorted(self.keys, keys)].tolist()
        ends = self.offsets[np.searchsorted(self.keys, keys, side="right")].tolist()
        return list(zip(starts, ends, strict=True))

    def on_all(self, term: str) -> Floats:
        """The term's impact on every document, 0 where it does not occur, shape (documents,)."""
        impacts = np.zeros(len(self.lengths), dtype=np.float32)
        start, end = self.find([term])[0]
        impacts[self.slots[start:end]] = self.impacts[start:end]
        return impacts


def _no_postings() -> FrozenPostings:
    slots, floats = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
    return FrozenPostings(np.zeros(0, dtype=np.uint64), np.zeros(1, dtype=np.int64), slots, floats, floats, floats)


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
        self._frozen = frozen = frozen or _no_postings()
        self._known: dict[str, Range] = {}  # since a query asks for each of its terms several times
        self._dense = lru_cache(maxsize=_KEPT)(frozen.on_all)
        self._first = len(frozen.lengths)  # the slot of the first document that is not frozen
        self._number: dict[str, int] = {}  # term → its number, an index into the three lists below
        self._slots: list[array[int]] = []  # counted from `_first`
        self._frequencies: list[array[float]] = []
        self._holding: list[int] = []  # how many documents that are not removed hold the term
        self._terms_of: list[array[int] | None] = []  # document → the numbers of its terms; None once removed
        self._lengths = array("f")
        self._total_length = float(frozen.lengths.sum(dtype=np.float64))
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

    def holds(self, slot: int, term: str) -> bool:
        """Whether the document holds the term."""
        slots: Slots | array[int]
        if slot < self._first:
            start, end = self._known.get(term) or self._find([term])[0]
            slots = self._frozen.slots[start:end]
        elif (number := self._number.get(term)) is not None:
            slots = self._slots[number]
            slot -= self._first
        else:
            return False
        place = bisect_left(slots, slot)  # rising, as documents are added in that order
        return place < len(slots) and slots[place] == slot

    def idf(self, terms: Collection[str]) -> dict[str, float]:
        """How telling each term is among these documents, in nats; one that none of them holds tells the most."""
        count, share_of, found = self._documents + STRENGTH, background().term, {}
        for term, own in zip(terms, self._holding_of(terms), strict=True):
            holding = own + STRENGTH * share_of(term)
            found[term] = math.log1p((count - holding + 0.5) / (holding + 0.5))
        return found

    def rarity(self, terms: Collection[str]) -> dict[str, float]:
        """The same on a scale that does not depend on how many documents there are."""
        holding = np.array(self._holding_of(terms), dtype=np.float64)
        shares = np.array([*map(background().term, terms)], dtype=np.float64)
        return dict(zip(terms, rarity(holding, self._documents, shares).tolist(), strict=True))

    def _find(self, terms: Collection[str]) -> list[Range]:
        """Where the frozen postings of each term are; looked for all at once, in a fifth of the time."""
        if len(self._known) > _KNOWN:
            self._known.clear()
        if missing := [term for term in terms if term not in self._known]:
            self._known.update(zip(missing, self._frozen.find(missing), strict=True))
        return [self._known[term] for term in terms]

    def _holding_of(self, terms: Collection[str]) -> list[int]:
        """How many documents hold each term."""
        numbers = map(self._number.get, terms)
        added = [0 if number is None else self._holding[number] for number in numbers]
        return [end - start + more for (start, end), more in zip(self._find(terms), added, strict=True)]

    def scores(self, weights: Mapping[str, float]) -> Floats:
        """BM25 of every slot, shape (slots,), for terms of these weights, their idf among them; removed slots hold numbers
        of no meaning."""
        scores = np.zeros(self._first + len(self._lengths), dtype=np.float32)
        old, new = scores[: self._first], scores[self._first :]
        factors = np.fromiter(weights.values(), dtype=np.float32, count=len(weights)) * np.float32(K1 + 1)
        scratch = np.empty_like(old)
        for term, factor, (start, end) in zip(weights, factors, self._find(weights), strict=True):
            if start < end and (end - start) * _COMMON >= self._first:
                old += np.multiply(self._dense(term), factor, out=scratch)
            elif start < end:
                at = self._frozen.slots[start:end].astype(np.intp)  # by int32 the sum takes twice as long
                np.add.at(old, at, factor * self._frozen.impacts[start:end])
        lengths = np.asarray(self._lengths)
        average = self._total_length / max(1, self._documents) or 1.0

        def add(slots: Slots, frequencies: Floats, factor: Floats | np.float32) -> None:
            at = slots.astype(np.intp)
            np.add.at(new, at, factor * _impacts(frequencies, lengths[at], average))

        if len(lengths) < _FEW:
            added = self._added_postings(weights)
            add(added.slots, added.frequencies, np.repeat(factors, added.ends - added.starts))
        else:
            for term, factor in zip(weights, factors, strict=True):
                if (number := self._number.get(term)) is not None:
                    add(np.asarray(self._slots[number]), np.asarray(self._frequencies[number]), factor)
        return scores

    def shares(self, slots: npt.NDArray[np.intp], weights: Mapping[str, float]) -> Floats:
        """BM25 of these slots for terms of these weights, as a share of what a text full of them all would reach: 0 to 1,
        shape of `slots`. Lengths are told by a typical one, so that it does not depend on what else is stored."""
        wanted = slots.astype(np.int32)  # else numpy would convert the postings
        split = wanted < self._first
        lengths = np.empty(len(slots), dtype=np.float32)
        frequencies = np.empty((len(weights), len(slots)), dtype=np.float32)
        lengths[split] = self._frozen.lengths[wanted[split]]
        frequencies[:, split] = self._frozen_postings(weights).of(wanted[split])
        added = wanted[~split] - np.int32(self._first)
        lengths[~split] = np.asarray(self._lengths)[added]
        frequencies[:, ~split] = self._added_postings(weights).of(added)
        weighed = np.fromiter(weights.values(), dtype=np.float32, count=len(weights))
        shares: Floats = weighed @ _impacts(frequencies, lengths, _TYPICAL_LENGTH) / (weighed.sum() or np.float32(1))
        return shares

    def _frozen_postings(self, terms: Collection[str]) -> _Postings:
        ranges = np.array(self._find(terms), dtype=np.intp).reshape(-1, 2)
        return _Postings(self._frozen.slots, self._frozen.frequencies, ranges[:, 0], ranges[:, 1])

    def _added_postings(self, terms: Collection[str]) -> _Postings:
        """Those of the documents that are not frozen, whose slots count from the first of them."""
        numbers = [self._number.get(term) for term in terms]
        slots = [b"" if number is None else self._slots[number] for number in numbers]
        frequencies = [b"" if number is None else self._frequencies[number] for number in numbers]
        counts = np.array([len(its) for its in slots], dtype=np.intp)
        ends = np.cumsum(counts)
        return _Postings(
            np.frombuffer(b"".join(slots), dtype=np.int32),
            np.frombuffer(b"".join(frequencies), dtype=np.float32),
            ends - counts,
            ends,
        )

    def freeze(self, kept: npt.NDArray[np.bool_]) -> FrozenPostings:
        """The postings of the kept documents (shape (slots,)), their slots counted anew without the others."""
        renumbered = np.cumsum(kept, dtype=np.int64).astype(np.int32) - 1
        frozen = self._frozen
        keys = [np.repeat(frozen.keys, np.diff(frozen.offsets))]
        slots = [np.asarray(frozen.slots)]
        frequencies = [np.asarray(frozen.frequencies)]
        lengths = np.concatenate([frozen.lengths, np.asarray(self._lengths)])
        for key, its_slots, its_frequencies in self._added():
            keys.append(np.full(len(its_slots), key))
            slots.append(its_slots + self._first)
            frequencies.append(its_frequencies)
        all_keys, all_slots, all_frequencies = np.concatenate(keys), np.concatenate(slots), np.concatenate(frequencies)
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


@dataclass(frozen=True, slots=True)
class _Postings:
    """The postings of some terms, which stand in the arrays from `starts` to `ends`, shape (terms,) each."""

    slots: Slots
    frequencies: Floats
    starts: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]

    def of(self, wanted: Slots) -> Floats:
        """The frequency of each term in these documents, shape (terms, wanted)."""
        if not len(self.slots) or not len(wanted):
            return np.zeros((len(self.starts), len(wanted)), dtype=np.float32)
        at = np.zeros((len(self.starts), len(wanted)), dtype=np.intp)
        for its, start, end in zip(at, self.starts.tolist(), self.ends.tolist(), strict=True):
            if start < end:
                its[:] = self.slots[start:end].searchsorted(wanted)
        at += self.starts[:, None]
        inside = at < self.ends[:, None]
        held = inside & (self.slots.take(at, mode="clip") == wanted)
        found: Floats = np.where(held, self.frequencies.take(at, mode="clip"), np.float32(0))
        return found
