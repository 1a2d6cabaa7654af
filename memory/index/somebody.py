"""Tells what somebody has written from what a machine did, in the text of an alert."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .alert_fields import CONTENT, OF_REPLICA, ONCE, RULES, STATE, words
from .tokens import terms

_STATES = re.compile(
    f"(?:{STATE.pattern})|down|up|unreachable|unknown|crit|recovery|opened|open|fired|active|raised|detected|incident|issue"
    "|monitor|notification|values?"
)
"""Words that say of an alert no more than that it is one."""

_FROM_MACHINES = words("metricname metricnamespace dimensions operationaldata reasonforstatechange")
"""Fields of alarms that no person writes and no form names."""

_PROSE = 3
"""Words in a row from which on the value of a label is a sentence."""

_WORD = re.compile(r"[^\W\d_][\w'’-]*[.,;:!?]?")
_QUERIED = re.compile(r"\b[A-Z]\d?=")
_RELEASE = re.compile(r"v\d[\w.]*|\d+\.\d+\.\d[\w.]*")


@dataclass(frozen=True, slots=True)
class Field:
    """A field as it was written: in which manner (after a colon, an equals sign, in the braces of JSON), and whether among a rule's
    labels and annotations."""

    name: str
    value: str
    manner: str
    listed: bool


def is_foreign(field: Field, of_form: bool, manners: Collection[str], named: bool) -> bool:
    """Whether a rule does not write a field with a known name so, and what it holds may be somebody's words.

    Args:
        field: the field.
        of_form: whether the text has a vendor's form, which has the fields that it has.
        manners: how the fields are written that no person writes.
        named: whether the rule's name is in one of those.
    """
    if of_form:
        return field.manner != "{" and field.name not in _FROM_MACHINES
    if manners and field.manner not in manners:
        return True
    if field.listed or field.name in _FROM_MACHINES:
        return False
    if field.name in RULES:
        return named and field.name == "name" and " " in field.value
    return field.name in CONTENT - ONCE and is_prose(field.value)


def is_prose(value: str) -> bool:
    """Whether a value is words, and not a name or an expression."""
    return sum(bool(_WORD.fullmatch(word)) for word in value.split()) >= _PROSE


def beyond(line: str, said: Collection[str]) -> list[str]:
    """The words of a line that are neither said elsewhere nor states; the figures, where it has no words or they are a release's."""
    found = [one.strip(".,;!?()[]*\"'").lower() for one in _QUERIED.sub("", line).replace(":", " ").split()]
    bare = not any(map(str.isalpha, terms(line)))
    return [
        word
        for word in found
        if not _STATES.fullmatch(word)
        and any(
            term not in said and (bare or term.isalpha() or _RELEASE.fullmatch(word))
            for term in terms(OF_REPLICA.sub("", word))
        )
    ]


def figures_beyond(line: str, said: Collection[str]) -> bool:
    """Whether a line has a number that is not said elsewhere."""
    return any(
        term.isalnum() and any(map(str.isdigit, term)) and term not in said
        for word in line.split()
        for term in terms(OF_REPLICA.sub("", word))
    )
