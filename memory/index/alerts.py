"""What an alert says, without its envelope.

A monitoring system sends an alert in the same form whatever broke: labels of the environment, links to a graph and a runbook,
times, ids. In a memory of a thousand such alerts all that is common and tells nothing; in one of ten it would make any two of them
alike. So texts are searched, embedded and compared without it, and are stored as they came. A field is dropped where its name and
its value are an envelope's: `Status: firing` is, `Status: replica 4000 s behind` says what broke.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from ..redaction import redact
from ..text import storable
from .alert_fields import MARKS, OF_REPLICA, OF_RULE, SUBJECTS, words
from .alert_reader import Reader
from .tokens import terms

_FEWEST_MARKS = 3
"""Colons and equals signs of a text that may have fields."""

_LONGEST_TITLE, _LONGEST_KEPT, LONGEST = 500, 8_000, 100_000
"""Characters of a title, of a text whose reading is kept in mind for long, and of one that is read at all: a group of a hundred alerts
is, and a longer text is no alert."""

_TITLE = re.compile(
    r"\[(?:FIRING|RESOLVED)(?::\d{1,4})?\] ((?:[A-Z]+[a-z\d]+){2,}\w*)((?: [\w./:-]+)*) \(([\w./:-]+(?: [\w./:-]+)*)\)"
)
"""The title that Alertmanager and Grafana make: the names of what fired, then in brackets what else all of it shares."""

_GENERIC = words("service svc")
_SAME_WORDS = 0.7


@dataclass(frozen=True, slots=True)
class Told:
    """What a text says.

    `text` is it without an alert's envelope, and as it is where it is no alert's. `rule` names the rule that wrote it, None where
    somebody wrote it or added a word. `labels` are the values of its labels, and `places` the environments, clusters and regions that
    were in its envelope.
    """

    text: str
    rule: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    places: frozenset[str] = frozenset()

    def is_about(self, other: Told, service: str | None = None, its_service: str | None = None) -> bool:
        """Whether two alerts are about the same: by what was stated of the service; or else in the same places, with no label of the
        user's own that differs, and by the most particular one that both name, or by the service that one states and the
        other's labels; and where nothing tells them apart."""
        if service and its_service:
            return same_name(service, its_service)
        if self.places and other.places and self.places != other.places:
            return False
        shared = self.labels.keys() & other.labels.keys()
        if any(self.labels[label] != other.labels[label] for label in shared - OF_RULE.union(SUBJECTS)):
            return False
        for label in SUBJECTS:
            if label in shared:
                return same_name(self.labels[label], other.labels[label])
        for stated, labels in ((service, other.labels), (its_service, self.labels)):
            named = [labels[label] for label in SUBJECTS if label in labels]
            if stated and named:
                return any(same_name(stated, name) for name in named)
        return True

    def repeats(self, other: Told) -> bool:
        """Whether it says what the other says, once their meaning is the same: in most of its words (a model reads the first
        thousand characters only, and alerts share long beginnings), in every label, since a label is a word, and of the same rule."""
        if self.places != other.places or (self.rule and other.rule and self.rule != other.rule):
            return False
        if any(self.labels[label] != other.labels[label] for label in self.labels.keys() & other.labels.keys()):
            return False
        mine, theirs = set(terms(self.text)), set(terms(other.text))
        return len(mine & theirs) >= _SAME_WORDS * len(mine | theirs)


def same_name(one: str, other: str) -> bool:
    """Whether one says what the other says, or more of it: `cart`, `cart-service` and `Cart`."""
    mine, theirs = (frozenset(terms(name)) - _GENERIC for name in (one, other))
    if not mine or not theirs:
        return one.casefold() == other.casefold()
    return mine <= theirs or theirs <= mine


def essence(text: str) -> str:
    """The text without an alert's envelope and without the names of well-known fields. A text that is no alert's comes back as it
    is but for marks such as "[FIRING:1]", and so does one of which nothing would be left."""
    return told(text).text


def _read(text: str) -> Told:
    marks = MARKS.match(text)
    bare = text[marks.end() :] if marks else text
    if not bare.strip():
        return Told(text)
    if len(text) <= _LONGEST_TITLE and (title := _TITLE.fullmatch(text.strip())):
        shared = " ".join(OF_REPLICA.sub("", word) for word in f"{title[2]} {title[3]}".casefold().split())
        return Told(bare, title[1].casefold(), MappingProxyType({"titled": shared}))
    as_it_is = Told(bare if len(text) <= _LONGEST_KEPT else text)
    if bare.count("=") + bare.count(":") < _FEWEST_MARKS and not bare.startswith("["):
        return as_it_is
    reader = Reader()
    reader.read(bare.replace("\N{NO-BREAK SPACE}", " "))
    found = reader.text()
    if not found or not reader.is_alert:
        return as_it_is
    if reader.decoded:  # what JSON hides is neither stored nor redacted yet
        found = redact(storable(found))
    return Told(found, reader.rule(), MappingProxyType(reader.labels()), frozenset(reader.places))


_told = lru_cache(maxsize=1_000)(_read)
_told_long = lru_cache(maxsize=50)(_read)


def told(text: str) -> Told:
    """What a text says."""
    if len(text) <= _LONGEST_KEPT:
        return _told(text)
    return _told_long(text) if len(text) <= LONGEST else Told(text)
