"""What an alert says, without its envelope.

A monitoring system sends an alert in the same form whatever broke: labels of the environment, links to a graph and a runbook,
times, ids. In a memory of a thousand such alerts all that is common and tells nothing; in one of ten it would make any two of them
alike. So texts are searched, embedded and compared without it, and are stored as they came.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_LEAST_FIELDS, _LEAST_ENVELOPE, _LEAST_SHARE = 3, 2, 1 / 3
"""Fields with a known name, those of an envelope among them, and their share of the lines, from which on a text is read as an
alert's: "Region: EU" alone is somebody's sentence, and a runbook that quotes a rule is no alert."""

_OWN_WORDS = 40
"""Characters outside of fields, the first line not counted, up to which nobody has added anything."""

_READ = 20_000
"""Characters that are read for fields; a longer text goes on as it is."""

_ENVELOPE = frozenset(
    # Labels of the environment, of the rule, and of who is told.
    "severity priority urgency prometheus job receiver cluster env environment region team owner tier stage monitor grafanafolder "
    "datasource refid ruleuid orgid replica tags notify notificationtype assignedto escalationpolicy account awsaccount alarmarn "
    "datacenter dc "
    # Links.
    "runbook runbookurl runbooklink generatorurl externalurl dashboard dashboardurl panel panelurl silence silenceurl source "
    "sourceurl imageurl graph graphurl link links url view monitorstatus logs logsurl "
    # Times and ids.
    "startsat endsat starts ends started fingerprint groupkey version status state truncatedalerts eventid incidentid alertid "
    "problemid originalproblemid triggerid monitorid timestamp time ts date datetime datelocaltime statechange period "
    "duration unit statistic treatmissingdata traceid spanid requestid correlationid level loglevel logger caller pid thread "
    "threadname".split()
)
_CONTENT = frozenset(
    "alertname alert alarm name problemname title summary description message msg error err reason text body details service host "
    "hostname instance pod container namespace node deployment statefulset daemonset app application component device mountpoint "
    "interface queue topic database index value metricname metricnamespace dimensions operationaldata additionalinfo "
    "reasonforstatechange condition threshold".split()
)
_SECTIONS = frozenset(
    "labels annotations alerts grouplabels commonlabels commonannotations alarmdetails alertdetails details monitoredmetric "
    "statechangeactions additionalinfo values firing resolved threshold links".split()
)

_LINE = re.compile(
    r"[ \t]*(?:[-*•·>][ \t]+)?[*_`\"]{0,3}([A-Za-z@][\w @./-]{0,30}?)[*_`\"]{0,3}[ \t]*[:=](?!//|=)[ \t]*(.*)"
)
_JSON = re.compile(r'"([A-Za-z@][\w @./-]{0,30})"\s*:\s*("(?:[^"\\]|\\.)*"|-?[\d.]+|true|false|null|(?=[\[{]))\s*,?')
_LOGFMT = re.compile(r'(?<![\w"./-])([A-Za-z]\w{0,30})=("(?:[^"\\]|\\.)*"|[^\s,;"{}()]+),?')
_STRUCTURE = re.compile(r"[\[\]{}]+")
_MARKS = re.compile(
    r"(?:\s*(?:\[(?:firing|resolved|alert|alerting|triggered|problem|critical|warning|no ?data|ok|p\d|sev-?\d)(?::\d+)?\]"
    r"|(?:firing|triggered|problem|alarm|alert)\s*:))+\s*",
    re.IGNORECASE,
)


class Told(NamedTuple):
    """What a text says without an alert's envelope, and whether it is an alert to which nobody has added a word."""

    text: str
    by_rule: bool


def essence(text: str) -> str:
    """The text without the fields of an alert that tell nothing of what broke, and without the names of those that do. A
    text that is no alert's comes back as it is but for marks such as "[FIRING:1]", and so does one of which nothing would be left."""
    return told(text).text


@lru_cache(maxsize=1_000)
def told(text: str) -> Told:
    """The essence of a text, and whether a rule alone speaks in it."""
    marks = _MARKS.match(text)
    bare = text[marks.end() :] if marks else text
    if not bare.strip():
        return Told(text, False)
    read, rest = bare[:_READ], bare[_READ:]
    if read.count("=") + read.count(":") < _LEAST_FIELDS:
        return Told(bare, False)
    envelope = content = own = 0

    def value_of(field: re.Match[str]) -> str:
        nonlocal envelope, content
        name = _plain(field[1])
        if name in _ENVELOPE:
            envelope += 1
            return " "
        if name in _CONTENT or (name in _SECTIONS and not field[2]):
            content += 1
            value = field[2].strip('"')
            return f" {value}\n" if value else " "
        return field[0]

    if read.lstrip()[:1] in "[{":
        read = _STRUCTURE.sub("\n", _JSON.sub(value_of, read))
    lines: list[str] = []
    for line in _LOGFMT.sub(value_of, _JSON.sub(value_of, read)).split("\n"):
        field = _LINE.fullmatch(line)
        name, value = (_plain(field[1]), field[2]) if field else (_plain(line.strip(" *_#:")), "")
        if field and name in _ENVELOPE:
            envelope += 1
        elif name in _SECTIONS and not value:
            content += field is not None
        elif field and name in _CONTENT:
            content += 1
            lines.append(value)
        elif line.strip(" \t{}[],"):
            own += len(line) if lines else 0  # the first line is the title
            lines.append(line)
    fields = envelope + content
    found = "\n".join(line.strip(" \t,") for line in lines).strip()
    if not found or envelope < _LEAST_ENVELOPE or fields < max(_LEAST_FIELDS, _LEAST_SHARE * len(lines)):
        return Told(bare, False)
    return Told(found + rest, by_rule=own + len(rest) <= _OWN_WORDS)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
