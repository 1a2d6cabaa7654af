"""What an alert says, without its envelope.

A monitoring system sends an alert in the same form whatever broke: labels of the environment, links to a graph and a runbook,
times, ids. In a memory of a thousand such alerts all that is common and tells nothing; in one of ten it would make any two of them
alike. So texts are searched, embedded and compared without it, and are stored as they came. A field is dropped where its name and
its value are an envelope's: `Status: firing` is, `Status: replica 4000 s behind` says what broke.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ..redaction import redact
from ..text import storable
from .tokens import terms

_LEAST_FIELDS, _LEAST_ENVELOPE, _LEAST_SHARE = 3, 2, 1 / 3
"""Fields with a known name, those of an envelope among them, and their share of the lines, from which on a text is read as an
alert's: "Region: EU" alone is somebody's sentence, and a runbook that quotes a rule is no alert."""

_LONGEST = 8_000
"""Characters of a text that is read for fields; a longer one is no alert."""

_MOST_BROKEN, _DEEPEST = 20, 50
"""Pieces that look like JSON and are none, after which no further one is tried; and how deep one is read."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LINKS = _words(
    "runbook runbookurl runbooklink generatorurl externalurl dashboard dashboardurl panel panelurl silence silenceurl source "
    "sourceurl imageurl graph graphurl logsurl"
)
_TIMES = _words("startsat endsat starts ends started timestamp time ts date datetime datelocaltime period duration")
_STATES = _words("status state statechange severity priority urgency level loglevel")
_IDS = _words(
    "prometheus receiver grafanafolder datasource refid ruleuid orgid account alarmarn fingerprint groupkey truncatedalerts eventid "
    "incidentid alertid problemid originalproblemid triggerid monitorid traceid spanid requestid correlationid caller pid"
)
_PLACES = _words("cluster env environment region datacenter dc awsaccount")
_SUBJECTS = (
    "pod", "deployment", "statefulset", "daemonset", "database", "queue", "topic", "app", "application", "component", "service", "host",
    "hostname", "node", "instance", "device", "mountpoint", "interface", "container", "job",
)  # fmt: skip
"""Labels that say what an alert is about, those that say most first: a service before its instances, whose addresses change."""

_RULES = ("alertname", "alarmname", "problemname", "name")
_OF_RULE = frozenset({"alertname", "alarmname", "problemname", "alert", "alarm", "title", "severity"})
_TEXTS = _words("summary description")
_OBSERVED = _words(
    "message msg error err reason text body details logs log output note notes comment cause rootcause impact"
)
"""Fields that no rule writes: what they hold was seen."""

_CONTENT = _words(
    "alert alarm title namespace index value values metricname metricnamespace dimensions operationaldata additionalinfo "
    "reasonforstatechange condition"
).union(_SUBJECTS, _RULES, _TEXTS, _OBSERVED)
_SECTIONS = _words(
    "labels annotations alerts grouplabels commonlabels commonannotations alarmdetails alertdetails details monitoredmetric "
    "statechangeactions additionalinfo values firing resolved alertsfiring alertsresolved threshold links"
)
_MACHINES = _words("alertname generatorurl fingerprint originalproblemid alarmarn")
"""Fields that no person writes."""

_CHANGING = re.compile(
    r".*(?:value|values|count|duration|usage|percent|seconds|bytes|total)|age|time|size|rate|info|current|operationaldata|description"
    r"|summary|id|uid|podtemplatehash|containerid"
)
"""Labels that differ each time the same alert fires."""

_OF_SCRAPER = re.compile(r"kube-state-metrics|exporter|kubelet|apiserver")
"""Who gives the figures of workloads or hosts: a service, job or app of that name is not what the alert is about. Of
kube-state-metrics the instance is its own, too."""

_STATE = re.compile(
    r"firing|resolved|triggered|critical|crit|warning|warn|info|information|error|err|fatal|debug|major|minor|disaster"
    r"|average|high|medium|moderate|low|ok|alarm|alert|alerting|problem|no ?data|page|ticket|p\d|sev-?\d|\d"
    r"|(?:ok|alarm|insufficient.data) -> (?:ok|alarm|insufficient.data)"
)
_TIME_WORD = re.compile(
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
    r"|mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
    r"|t|z|utc|gmt|cest|cet|[ap]m|at|on|ago|h|m|s|min|seconds?|minutes?|hours?"
)
_MONITOR = (
    "grafana",
    "prometheus",
    "alertmanager",
    "runbook",
    "zabbix",
    "console.aws",
    "/graph",
    "/alerting",
    "/alerts",
)
_MARKUP = ' \t*_`"'
_LINE = re.compile(r"([-*•·>][ \t]+)?[*_`\"]{0,3}([A-Za-z@][\w @./-]{0,30}?)[*_`\"]{0,3}[ \t]*([:=])(?!//|=)[ \t]*(.*)")
_PAIR = re.compile(r'([A-Za-z]\w{0,30})=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:,|(?=\s)|$)')
_SENTENCES = re.compile(
    r"Problem (?:started|has been resolved) (?:at|in) .{0,80}|You are receiving this email because .{0,600}"
    r"|View this alarm in the AWS .{0,80}|- The alarm is in the .{0,300}|-+"
)
_MARKS = re.compile(
    r"(?:\s*(?:\[(?:firing|resolved|alert|alerting|triggered|problem|critical|warning|no ?data|ok|p\d|sev-?\d)(?::\d+)?\]"
    r"|(?:firing|triggered|problem|alarm|alert)\s*:))+\s*",
    re.IGNORECASE,
)
_OF_REPLICA = re.compile(r"-[0-9a-f]{6,10}-[a-z0-9]{5}$|-(?=[a-z]*\d)[a-z0-9]{5}$")
_GENERIC = _words("service svc")
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
        if any(self.labels[label] != other.labels[label] for label in shared - _OF_RULE.union(_SUBJECTS)):
            return False
        for label in _SUBJECTS:
            if label in shared:
                return same_name(self.labels[label], other.labels[label])
        for stated, labels in ((service, other.labels), (its_service, self.labels)):
            named = [labels[label] for label in _SUBJECTS if label in labels]
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


@lru_cache(maxsize=1_000)
def _told(text: str) -> Told:
    marks = _MARKS.match(text)
    bare = text[marks.end() :] if marks else text
    if not bare.strip():
        return Told(text)
    if bare.count("=") + bare.count(":") < _LEAST_FIELDS:
        return Told(bare)
    reader = _Reader()
    reader.read(bare.replace("\N{NO-BREAK SPACE}", " "))
    found, fields = "\n".join(filter(None, reader.lines)).strip(), reader.envelope + reader.content
    if not found or reader.envelope < _LEAST_ENVELOPE or fields < max(_LEAST_FIELDS, _LEAST_SHARE * len(reader.lines)):
        return Told(bare)
    if reader.decoded:  # what JSON hides is neither stored nor redacted yet
        found = redact(storable(found))
    return Told(found, reader.rule(), MappingProxyType(reader.of_workload()), frozenset(reader.places))


def told(text: str) -> Told:
    """What a text says."""
    return _told(text) if len(text) <= _LONGEST else Told(text)


class _Reader:
    """Reads the fields of a text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.envelope = self.content = 0
        self.labels: dict[str, str] = {}
        self.places: set[str] = set()
        self._seen: Counter[str] = Counter()
        self._rules: dict[str, str] = {}
        self._own, self._title, self.decoded = 0, "", False

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
                        self.decoded = True
                        self._structure("", value, 0)
                        at = stop
                        continue
            self._line(line.strip())
            at += len(line) + 1

    def rule(self) -> str | None:
        """The name of the rule that wrote all of it."""
        said = set(terms(" ".join(self.lines[1:] if self._title else self.lines)))
        beyond = [term for term in set(terms(self._title)) - said if term.isalpha()]
        most = 3 if self._seen["alarmarn"] else 1  # CloudWatch names the region, anybody a word such as "critical"
        if not self._seen.keys() & _MACHINES or len(beyond) > most or self._own:
            return None
        return next((self._rules[name].casefold() for name in _RULES if name in self._rules), None)

    def of_workload(self) -> dict[str, str]:
        """The labels without those of who watches; where nothing says that a machine wrote them, those with known names."""
        known = self.labels
        if not self._seen.keys() & _MACHINES:
            known = {label: value for label, value in known.items() if label in _SUBJECTS}
        foreign = {label for label in ("service", "job", "app") if _OF_SCRAPER.search(known.get(label, ""))}
        if any("kube-state" in known[label] for label in foreign):
            foreign.add("instance")
        return {label: value for label, value in known.items() if label not in foreign}

    def _line(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found and self._field(_plain(found[2]), found[4].strip(_MARKUP)):
            return
        if len(pairs := list(_PAIR.finditer(line))) > 1 and not _PAIR.sub("", line).strip():
            for pair in pairs:
                self._take(pair[1], pair[2].strip('"'))
        elif line.strip(_MARKUP + "#:[]{},"):
            if _plain(line) in _SECTIONS or _SENTENCES.fullmatch(line) or _is_link(line):
                return
            if not self.lines:
                self._title = line
            elif found and found[1] and found[3] == "=" and " " not in found[2] and len(found[4].split()) < 3:
                self._label(_plain(found[2]), found[4])  # of the user's own rules
            else:
                self._own += len(terms(line))
            self.lines.append(line)

    def _structure(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, dict | list) and depth < _DEEPEST:
            for key, its in value.items() if isinstance(value, dict) else ((name, its) for its in value):
                self._structure(key, its, depth + 1)
        elif value is not None:
            self._take(name, str(value) if depth < _DEEPEST else "")

    def _take(self, name: str, value: str) -> None:
        """Take a field of a pair or of JSON, whatever its name."""
        if not self._field(_plain(name), value):
            self._label(_plain(name), value)
            self.lines.append(f"{name} {value}".strip())

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
            if name in _OBSERVED or (name in _TEXTS and self._seen[name] > max(0, self._seen["alertname"] - 1)):
                self._own += len(terms(value))
            self._label(name, _OF_REPLICA.sub("", value) if name == "pod" else value)
        else:
            return False
        self._seen[name] += 1
        return True

    def _label(self, name: str, value: str) -> None:
        if (
            (len(value.split()) == 1 or name == "dimensions")
            and name not in _OBSERVED
            and not _CHANGING.fullmatch(name)
        ):
            self.labels.setdefault(name, value.casefold())


def _is_envelope(name: str, value: str) -> bool:
    """Whether name and value are an envelope's."""
    if name in _LINKS:
        return not value or _is_link(value, () if not name.startswith("source") else _MONITOR)
    if name in _TIMES:
        words = re.findall(r"[a-z]+", value.lower())
        return not value or (any(map(str.isdigit, value)) and all(map(_TIME_WORD.fullmatch, words)))
    if name in _STATES:
        return not value or _STATE.fullmatch(value.lower()) is not None
    if name in _IDS:
        return len(value.split()) <= 1 and (not value or "/" in value or any(map(str.isdigit, value)))
    return name in _PLACES and len(value.split()) <= 1


def _is_link(text: str, of: Sequence[str] = _MONITOR) -> bool:
    """Whether a text is a link and no more, to one of these (any, where there are none)."""
    bare = text.strip("<>()[] ").lower()
    return bare.startswith(("http://", "https://")) and " " not in bare and (not of or any(part in bare for part in of))


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
