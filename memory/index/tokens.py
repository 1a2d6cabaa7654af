"""Splits the texts of incidents into the terms that are searched.

Identifiers matter more here than in prose: `HikariPool-1` must be found by `hikari`, `auth-service` by `auth`, and
both by their full form. So a compound yields itself and its parts, and so does camelCase.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import Stemmer

_COMPOUND = re.compile(r"[^\W_]+(?:[._\-/:@'’]+[^\W_]+|_+[^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
# Latin letters with accents are letters like any other: "réplication" is one word, not three pieces.
_UPPER, _LOWER = "A-ZÀ-Þ", "a-zß-ɏ"
_CAMEL = re.compile(
    rf"[{_UPPER}]+(?=[{_UPPER}][{_LOWER}])|[{_UPPER}]?[{_LOWER}]+|[{_UPPER}]+|\d+|[^\W\d_{_UPPER}{_LOWER}]+"
)
_MAX_COMPOUND = 64
"""A longer run of word characters is a blob (base64, a minified line): only its parts are of use, if anything."""

_LONGEST_KNOWN = 80
"""Characters of a word whose terms are kept in mind, between two white spaces."""

STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "having",
        "he",
        "her",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "itself",
        "may",
        "me",
        "might",
        "more",
        "most",
        "my",
        "no",
        "nor",
        "not",
        "of",
        "on",
        "one",
        "or",
        "our",
        "out",
        "over",
        "own",
        "shall",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "through",
        "to",
        "too",
        "under",
        "until",
        "up",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "s",
        "t",
    ]
)

_stem = Stemmer.Stemmer("english").stemWord


@lru_cache(maxsize=1 << 16)
def _terms_of(compound: str) -> tuple[str, ...]:
    whole = compound.lower()
    found: list[str] = []
    parts = _PART.findall(compound)
    if len(parts) > 1 and len(whole) <= _MAX_COMPOUND:
        found.append(whole)
    for part in parts:
        lower = part.lower()
        if lower in STOP_WORDS:
            continue
        found.append(lower if any(c.isdigit() for c in lower) else _stem(lower))
        pieces = _CAMEL.findall(part)
        if len(pieces) > 1 and len(part) <= _MAX_COMPOUND:
            found += [
                piece if piece.isdigit() else _stem(piece)
                for piece in map(str.lower, pieces)
                if len(piece) > 1 and piece not in STOP_WORDS
            ]
    return tuple(found)


def _read(word: str) -> tuple[str, ...]:
    return tuple(term for compound in _COMPOUND.findall(word) for term in _terms_of(compound))


_known = lru_cache(maxsize=1 << 16)(_read)


def terms(text: str) -> list[str]:
    """The terms of a text, in order, repeats included; stop words are left out, English words are stemmed."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    # No compound spans white space, and a word that was read before costs less to look up than to match.
    return [term for word in text.split() for term in (_known(word) if len(word) <= _LONGEST_KNOWN else _read(word))]


def surface_forms(text: str) -> dict[str, str]:
    """Each term of the text with the word it was first read from, for showing to a person."""
    found: dict[str, str] = {}
    for compound in _COMPOUND.findall(unicodedata.normalize("NFKC", text)):
        for part in (compound, *_PART.findall(compound)):
            for term in _terms_of(part)[:1]:
                found.setdefault(term, part)
    return found
