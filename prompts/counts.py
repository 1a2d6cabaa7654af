"""Counts that a text tells in words: what of them is ours to say, and what must stand in the evidence."""

from __future__ import annotations

import re

_UNITS = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_VALUES = {word: value for value, word in enumerate([*_UNITS, *_TEENS], 1)}
_VALUES |= {word: value * 10 for value, word in enumerate(_TENS, 2)} | {"dozen": 12}
_SCALES = {"hundred": 100, "thousand": 1000}

_N = rf"(?:\d+|{'|'.join([*_UNITS, *_TEENS, *_TENS])}|(?:a )?dozen)"
_OCCASIONS = r"(?:times|cases|incidents|occasions|outages|attempts|tries|occurrences)"
_DID = r"(?:work(?:ed|s)?|help(?:ed|s)?|fail(?:ed|s)?|held|fixed|resolved|solved|happened|occurred|recurred|came back|seen)"
_OFTEN = rf"(?:once|twice|thrice|{_N} times|every time|each time)"
_OURS = re.compile(
    rf"\b{_N} (?:out )?(?:of|in) (?:the |its |all )?(?:last |past )?{_N} (?:\w+ )?{_OCCASIONS}\b|\b{_DID} (?:\w+ )?{_N} (?:out )?of {_N}\b"
    rf"|\b{_DID} {_OFTEN}\b|\b{_OFTEN} (?:before|already|in the past)\b"
    rf"|\b{_N} (?:similar|past|earlier|previous|prior) (?:incidents?|cases?|outages?|times)\b|\bbased on {_N}\b"
    rf"|\b{_N} (?:in|out of) ten\b"
)
_BOTH = re.compile(
    r"\bboth (?:of the )?(?:similar|past|earlier|previous|prior|leading) (?:incidents?|cases?|outages?)\b"
)
_TWICE = re.compile(r"\b(?:twice|thrice)\b")
_SPELLED = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(_UNITS)}))?|(?P<small>{'|'.join([*_UNITS, *_TEENS, 'dozen'])}))"
    rf"(?:[- ](?P<scale>hundred|thousand))?\b"
)
_AS_FIGURE = {"twice": r"\b(?:twice|2 times|two times|2x)\b", "thrice": r"\b(?:thrice|3 times|three times|3x)\b"}


def tells_our_counts(plain: str, incidents: int) -> bool:
    """Whether a normalised text says how often something worked, failed or happened, or of how many incidents: those
    figures are filled in from the records. "Both past incidents" may be said where there are two."""
    return _OURS.search(plain) is not None or (incidents != 2 and _BOTH.search(plain) is not None)


def unknown_counts(plain: str, told: str) -> list[str]:
    """The counts in words of a normalised text that the evidence holds neither so nor as a figure. One to nine are how
    people count, as single digits are, and pass; "twice" is a claim."""
    unknown = [word for word in _TWICE.findall(plain) if re.search(_AS_FIGURE[word], told) is None]
    for found in _SPELLED.finditer(plain):
        value = _VALUES[found["tens"] or found["small"]] + (_VALUES[found["unit"]] if found["unit"] else 0)
        value *= _SCALES.get(found["scale"] or "", 1)
        if value > 9 and re.search(rf"(?<![\d.]){value}(?!\d)|\b{re.escape(found[0])}\b", told) is None:
            unknown.append(found[0])
    return unknown
