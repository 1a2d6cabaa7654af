"""What an alert says, without its envelope.

A monitoring system sends an alert in the same form whatever broke: labels of the environment, links to a graph and a runbook,
times, ids. In a memory of a thousand such alerts all that is common and tells nothing; in one of ten it would make any two of them
alike. So texts are searched, embedded and compared without it, and are stored as they came. A field is dropped where its name and
its value are an envelope's: `Status: firing` is, `Status: replica 4000 s behind` says what broke.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .tokens import terms

_LEAST_FIELDS, _LEAST_ENVELOPE, _LEAST_SHARE = 3, 2, 1 / 3
"""Fields with a known name, those of an envelope among them, and their share of the lines, from which on a text is read as an
alert's: "Region: EU" alone is somebody's sentence, and a runbook that quotes a rule is no alert."""

_OWN_WORDS = 12
"""Characters outside of fields up to which nobody has added anything: a dash, a quotation mark, "see above"."""

_READ, _KEPT = 20_000, 8_000
"""Characters that are read for fields, a longer text goes on as it is; and those of a text whose reading is kept."""

_MOST_BROKEN = 20
"""Pieces that look like JSON and are none, after which no further one is tried."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LINKS = _words(
    "runbook runbookurl runbooklink generatorurl externalurl dashboard dashboardurl panel panelurl silence silenceurl source "
    "sourceurl imageurl graph graphurl logsurl"
)
_TIMES = _words("startsat endsat starts ends started timestamp time ts date datetime datelocaltime period duration")
_STATES = _words("status state statechange severity priority urgency level loglevel")
_IDS = _words(
    "prometheus receiver team owner tier stage grafanafolder datasource refid ruleuid orgid account awsaccount alarmarn fingerprint "
    "groupkey truncatedalerts eventid incidentid alertid problemid originalproblemid triggerid monitorid traceid spanid requestid "
    "correlationid caller pid statistic treatmissingdata"
)
_PLACES = _words("cluster env environment region datacenter dc namespacecluster")
_SUBJECTS = (
    "service", "app", "application", "component", "deployment", "statefulset", "daemonset", "pod", "host", "hostname", "instance",
    "node", "device", "mountpoint", "interface", "database", "queue", "topic", "job",
)  # fmt: skip
_RULES = ("alertname", "alarmname", "problemname", "name")
_CONTENT = _words(
    "alert alarm summary description message msg error err reason text body title container namespace index value values metricname "
    "metricnamespace dimensions operationaldata additionalinfo reasonforstatechange condition details"
).union(_SUBJECTS, _RULES)
_SECTIONS = _words(
    "labels annotations alerts grouplabels commonlabels commonannotations alarmdetails alertdetails details monitoredmetric "
    "statechangeactions additionalinfo values firing resolved threshold links"
)
_MACHINES = _words("alertname generatorurl fingerprint originalproblemid alarmarn")
"""Fields that no person writes."""

_STATE = re.compile(
    r"firing|resolved|triggered|active|open|critical|crit|warning|warn|info|information|error|err|fatal|debug|major|minor|disaster"
    r"|average|high|medium|moderate|low|ok|alarm|alert|alerting|problem|no ?data|unknown|page|ticket|p\d|sev-?\d|\d|\w+ -> \w+"
)
_TIME_WORD = re.compile(
    r"jan\w*|feb\w*|mar\w*|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*|mon\w*|tue\w*|wed\w*|thu\w*|fri\w*|sat\w*|sun\w*"
    r"|t|z|utc|gmt|cest|cet|[ap]m|at|on|ago|h|m|s|min|seconds?|minutes?|hours?"
)
_MARKUP = ' \t*_`"'
_LINE = re.compile(
    r"[ \t]*(?:[-*•·>][ \t]+)?[*_`\"]{0,3}([A-Za-z@][\w @./-]{0,30}?)[*_`\"]{0,3}[ \t]*([:=])(?!//|=)[ \t]*(.*)"
)
_PAIR = re.compile(r'\s*([A-Za-z]\w{0,30})=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:,|(?=\s)|$)')
_SENTENCES = re.compile(
    r"\s*(?:Problem (?:started|has been resolved) (?:at|in) .{0,80}|You are receiving this email because .{0,600}"
    r"|View this alarm in the AWS .{0,80}|- The alarm is in the .{0,300}|-+"
    r"|https?://\S*(?:console\.aws|grafana|prometheus|alertmanager|runbook|zabbix)\S*)\s*"
)
_MARKS = re.compile(
    r"(?:\s*(?:\[(?:firing|resolved|alert|alerting|triggered|problem|critical|warning|no ?data|ok|p\d|sev-?\d)(?::\d+)?\]"
    r"|(?:firing|triggered|problem|alarm|alert)\s*:))+\s*",
    re.IGNORECASE,
)
_OF_REPLICA = re.compile(r"(?:-[0-9a-f]{6,10})?-[a-z0-9]{5}$")


@dataclass(frozen=True, slots=True)
class Told:
    """What a text says.

    `text` is it without an alert's envelope, and as it is where it is no alert's. `rule` names the rule that wrote it, None where
    somebody wrote it or added a word. `subjects` are what its labels say it is about, by the label, and `places` the environments,
    clusters and regions that were in its envelope.
    """

    text: str
    rule: str | None = None
    subjects: Mapping[str, str] = field(default_factory=dict)
    places: frozenset[str] = frozenset()

    def is_about(self, other: Told) -> bool:
        """Whether two alerts are about the same: their labels say so of the service, or else of all that both name."""
        for label in _SUBJECTS[:3]:
            if label in self.subjects and label in other.subjects:
                return same_name(self.subjects[label], other.subjects[label])
        return self.has_labels_of(other)

    def has_labels_of(self, other: Told) -> bool:
        """Whether no label that two alerts name tells them apart."""
        return all(
            self.subjects[label] == other.subjects[label] for label in self.subjects.keys() & other.subjects.keys()
        )


def same_name(one: str, other: str) -> bool:
    """Whether one says what the other says, or more of it: `cart`, `cart-service` and `Cart`."""
    mine, theirs = frozenset(terms(one)), frozenset(terms(other))
    return mine <= theirs or theirs <= mine


def essence(text: str) -> str:
    """The text without an alert's envelope and without the names of its fields. A text that is no alert's comes back as it is
    but for marks such as "[FIRING:1]", and so does one of which nothing would be left."""
    return told(text).text


def told(text: str) -> Told:
    """What a text says."""
    return _kept(text) if len(text) <= _KEPT else _told(text)


@lru_cache(maxsize=1_000)
def _kept(text: str) -> Told:
    return _told(text)


def _told(text: str) -> Told:
    marks = _MARKS.match(text)
    bare = text[marks.end() :] if marks else text
    if not bare.strip():
        return Told(text)
    if bare.count("=", 0, _READ) + bare.count(":", 0, _READ) < _LEAST_FIELDS:
        return Told(bare)
    reader = _Reader()
    reader.read(bare[:_READ])
    found, fields = "\n".join(filter(None, reader.lines)).strip(), reader.envelope + reader.content
    if not found or reader.envelope < _LEAST_ENVELOPE or fields < max(_LEAST_FIELDS, _LEAST_SHARE * len(reader.lines)):
        return Told(bare)
    return Told(found + bare[_READ:], reader.rule(len(bare) - _READ), reader.subjects, frozenset(reader.places))


class _Reader:
    """Reads the fields of a text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.envelope = self.content = 0
        self.subjects: dict[str, str] = {}
        self.places: set[str] = set()
        self._rules: dict[str, str] = {}
        self._own, self._title, self._by_machine = 0, "", False

    def read(self, text: str) -> None:
        """Read it line by line; what is JSON as that."""
        decoder, at, broken = json.JSONDecoder(), 0, 0
        while at < len(text):
            end = text.find("\n", at)
            line = text[at:] if end < 0 else text[at:end]
            bare = line.lstrip()
            if bare[:1] in ("{", "[") and broken < _MOST_BROKEN:
                try:
                    value, stop = decoder.raw_decode(text, at + len(line) - len(bare))
                except (ValueError, RecursionError):
                    broken += 1
                else:
                    if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
                        self._structure("", value)
                        at = stop
                        continue
            self._line(line)
            at += len(line) + 1

    def rule(self, more: int) -> str | None:
        """The name of the rule that wrote all of it; `more` characters were not read."""
        said = set(terms(" ".join(self.lines[1:] if self._title else self.lines)))
        its_title = set(terms(self._title))
        own_title = bool(its_title) and len(its_title & said) < len(its_title) / 2
        if not self._by_machine or own_title or self._own + max(0, more) > _OWN_WORDS:
            return None
        return next((self._rules[name].casefold() for name in _RULES if name in self._rules), None)

    def _line(self, line: str) -> None:
        if (found := _LINE.fullmatch(line)) and self._field(_plain(found[1]), found[3].strip(_MARKUP)):
            return
        if len(pairs := list(_PAIR.finditer(line))) > 1 and not _PAIR.sub("", line).strip():
            for pair in pairs:
                if not self._field(_plain(pair[1]), value := pair[2].strip('"')):
                    self.lines.append(value)
        elif line.strip(_MARKUP + "#:[]{},"):
            if _plain(line) in _SECTIONS or _SENTENCES.fullmatch(line):
                return
            if not self.lines:
                self._title = line
            elif not (found and found[2] == "="):  # a label that is not known, perhaps of the user's own rules
                self._own += len(line)
            self.lines.append(line)

    def _structure(self, name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, its in value.items():
                self._structure(_plain(key), its)
        elif isinstance(value, list):
            for its in value:
                self._structure(name, its)
        elif value is not None and not self._field(name, str(value)):
            self.lines.append(str(value))

    def _field(self, name: str, value: str) -> bool:
        """Take a field with a known name; whether it was one."""
        if _is_envelope(name, value):
            self.envelope += 1
            if name in _PLACES:
                self.places.add(value.casefold())
        elif name in _SECTIONS and not value:
            self.content += 1
        elif name in _CONTENT:
            self.content += 1
            self.lines.append(value)
            if name in _RULES:
                self._rules.setdefault(name, value)
            if name in _SUBJECTS:
                self.subjects.setdefault(
                    name, _OF_REPLICA.sub("", value.casefold()) if name == "pod" else value.casefold()
                )
        else:
            return False
        self._by_machine = self._by_machine or name in _MACHINES
        return True


def _is_envelope(name: str, value: str) -> bool:
    """Whether name and value are an envelope's."""
    if name in _LINKS:
        return not value or ("://" in value and len(value.split()) <= 3)
    if name in _TIMES:
        words = re.findall(r"[a-z]+", value.lower())
        return not value or (any(map(str.isdigit, value)) and all(map(_TIME_WORD.fullmatch, words)))
    if name in _STATES:
        return not value or _STATE.fullmatch(value.lower()) is not None
    return name in _IDS | _PLACES and len(value.split()) <= 1


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
