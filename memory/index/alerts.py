"""What an alert says, without its envelope.

A monitoring system sends an alert in the same form whatever broke: labels of the environment, links to a graph and a runbook,
times, ids. In a memory of a thousand such alerts all that is common and tells nothing; in one of ten it would make any two of them
alike. So texts are searched, embedded and compared without it, and are stored as they came. A field is dropped where its name and
its value are an envelope's: `Status: firing` is, `Status: replica 4000 s behind` says what broke.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType

from ..redaction import redact
from ..text import storable
from .alert_fields import MARKS, OF_REPLICA, OF_RULE, SUBJECTS, words
from .alert_reader import Reader
from .kept import Kept
from .repeats import gist

_FEWEST_MARKS = 3
"""Colons and equals signs of a text that may have fields."""

_LONGEST_TITLE, _LONGEST_KEPT, LONGEST = 500, 8_000, 100_000
"""Characters of a title, of a text whose reading is kept in mind beside those of long ones, and of one that is read at all: a group of
a hundred alerts is, and a longer text is no alert."""

_KEPT, _OF_EACH = 6_000_000, 1_000
"""Characters of the texts, of short ones and of long ones, whose readings are kept in mind, and as how many more each of them counts.
The open incidents that an alert may repeat, 200 at most, are read one by one while others wait; a group of a hundred alerts has
28,000 characters."""

_TITLE = re.compile(
    r"\[(?:FIRING|RESOLVED)(?::\d{1,4})?\] ((?:[A-Z]+[a-z\d]+){2,}\w*)((?: [\w./:-]+)*) \(([\w./:-]+(?: [\w./:-]+)*)\)"
)
"""The title that Alertmanager and Grafana make: the names of what fired, then in brackets what else all of it shares."""

_REDACTED = re.compile(r"\[redacted: [\w -]{1,40}\]")
_REDACTED_VALUE = re.compile(rf"(\\*\")(\s*:\s*){_REDACTED.pattern}")
_GENERIC = words("service svc")
_GENERIC_END = re.compile(r"(?<=[a-z\d])(?:Service|Svc)$")
_OF_SERVICE = re.compile(r"[-_][^-_.:]*\d\S*|[.:]\S+")
"""What a host or a pod has after the name of its service: `-db1`, `-0`, `:8080`, `.example.com`."""


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
            return same_service(service, its_service)
        if self.places and other.places and self.places != other.places:
            return False
        shared = self.labels.keys() & other.labels.keys()
        if any(self.labels[label] != other.labels[label] for label in shared - OF_RULE.union(SUBJECTS)):
            return False
        for label in SUBJECTS:
            if label in shared:
                mine, theirs = self.labels[label].split(), other.labels[label].split()
                few, many = sorted((mine, theirs), key=len)
                return all(any(_same_subject(one, its) for its in many) for one in few)
        for stated, labels in ((service, other.labels), (its_service, self.labels)):
            named = [labels[label] for label in SUBJECTS if label in labels]
            if stated and named:
                return any(_is_of_service(name, stated) for label in named for name in (label, *label.split()))
        return True

    def repeats(self, other: Told) -> bool:
        """Whether it says what the other says and no more, once their meaning is the same (a model reads the first thousand
        characters only, and alerts share long beginnings): of the same rule, with the same labels in the same places, and in the same
        words, but for what is new each time (`repeats.gist`). Somebody's own words have to come in the same order, too."""
        if self.rule != other.rule or self.places != other.places or self.labels != other.labels:
            return False
        measured, in_order = bool(self.rule or self.labels), self.rule is None
        return _print((self.text, measured, in_order)) == _print((other.text, measured, in_order))


def same_service(one: str, other: str) -> bool:
    """Whether two names are one service's, however it is written: `cart`, `cart-service` and `Cart`."""
    return _plain_service(one) == _plain_service(other)


def _plain_service(name: str) -> str:
    parts = re.split(r"[\W_]+", _GENERIC_END.sub("", name.strip()).casefold())
    return "-".join(part for part in parts if part and part not in _GENERIC) or name.casefold()


def _same_subject(one: str, other: str) -> bool:
    """Whether the values of one label are the same thing: `db-1`, `db-1.example.com` and `db-1:9100`."""
    short, long = sorted((one, other), key=len)
    return same_service(short, long) or (long.startswith(short) and long[len(short)] in ".:")


def _is_of_service(name: str, service: str) -> bool:
    """Whether a label's value is the service or something of it: `cart` has `cart-db1`, and `cart-redis` is another one."""
    plain = _plain_service(service)
    return same_service(name, service) or (name.startswith(plain) and bool(_OF_SERVICE.fullmatch(name[len(plain) :])))


def unmarked(text: str) -> str:
    """The text without the marks of what was redacted, which any two texts with a secret share. What JSON is stays that."""
    if "[redacted: " not in text:
        return text
    return _REDACTED.sub("", _REDACTED_VALUE.sub(r"\1\2\1\1", text))


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
        found = unmarked(redact(storable(found)))
    return Told(found, reader.rule(), MappingProxyType(reader.labels()), frozenset(reader.places))


def _size(text: str) -> int:
    return len(text) + _OF_EACH


def _print_of(asked: tuple[str, bool, bool]) -> bytes:
    found: Sequence[str] = gist(*asked[:2])
    return blake2b("\n".join(found if asked[2] else sorted(set(found))).encode(errors="replace")).digest()


_told = Kept(_read, _size, _KEPT)
_told_long = Kept(_read, _size, _KEPT)
_print = Kept(_print_of, lambda asked: _size(asked[0]), _KEPT)
"""What a text's gist is compared by: of a text, of whether figures are none of it, and of whether its order counts."""


def told(text: str) -> Told:
    """What a text says, without the marks of what was redacted."""
    bare = unmarked(text)
    text = bare if bare.strip() else text
    if len(text) <= _LONGEST_KEPT:
        return _told(text)
    return _told_long(text) if len(text) <= LONGEST else Told(text)
