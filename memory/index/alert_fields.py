"""The fields of alerts: which are of the envelope, by name and value, and which say what broke."""

from __future__ import annotations

import re
from collections.abc import Sequence


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LINKS = words(
    "runbook runbookurl runbooklink generatorurl externalurl dashboard dashboardurl panel panelurl silence silenceurl source "
    "sourceurl imageurl graph graphurl logsurl"
)
TIMES = words("startsat endsat starts ends started timestamp time ts date datetime datelocaltime period duration")
STATES = words("status state statechange severity priority urgency level loglevel")
IDS = words(
    "prometheus receiver grafanafolder datasource refid ruleuid orgid account alarmarn fingerprint groupkey truncatedalerts eventid "
    "incidentid alertid problemid originalproblemid triggerid monitorid traceid spanid requestid correlationid"
)
_LOOKS = {"caller": re.compile(r"[\w./@$-]+:\d+"), "pid": re.compile(r"\d+")}
"""Fields of a log line that are of the envelope where they look so: a caller may be a release as well."""
PLACES = words("cluster env environment region datacenter dc awsaccount")
SUBJECTS = (
    "pod", "deployment", "statefulset", "daemonset", "database", "queue", "topic", "app", "application", "component", "service", "host",
    "hostname", "node", "instance", "device", "mountpoint", "interface", "container", "job",
)  # fmt: skip
"""Labels that say what an alert is about, those that say most first: a service before its instances, whose addresses change."""

RULES = ("alertname", "alarmname", "problemname", "name")
OF_RULE = frozenset({"alertname", "alarmname", "problemname", "alert", "alarm", "title", "severity"})
TEXTS = words("summary description")
ONCE = TEXTS | {"title", "alert", "alarm"}
"""Fields that a rule writes once for each alert: what they hold beyond that is somebody's."""

OBSERVED = words(
    "message msg error err reason text body details logs log output note notes comment cause rootcause impact"
)
"""Fields that no rule writes: what they hold was seen."""

CONTENT = words(
    "alert alarm title namespace index value values metricname metricnamespace dimensions operationaldata additionalinfo "
    "reasonforstatechange condition"
).union(SUBJECTS, RULES, TEXTS, OBSERVED)
SECTIONS = words(
    "labels annotations alerts grouplabels commonlabels commonannotations alarmdetails alertdetails details monitoredmetric "
    "statechangeactions additionalinfo values firing resolved alertsfiring alertsresolved threshold links source"
)
LISTS = words("labels annotations")
LISTED = ("labels", "annotations")
"""How the names end under which JSON holds what the rule has, whatever its names: `commonLabels`."""

MACHINES = words("alertname generatorurl fingerprint originalproblemid alarmarn")
"""Fields that no person writes."""

CHANGING = re.compile(
    r".*(?:value|values|count|duration|usage|percent|seconds|bytes|total)|age|time|size|rate|info|current|operationaldata|description"
    r"|summary|id|uid|podtemplatehash|containerid"
)
"""Labels that differ each time the same alert fires."""

OF_SCRAPER = re.compile(r"kube-state-metrics|exporter|kubelet|apiserver")
"""Who gives the figures of workloads or hosts: a service, job or app of that name is not what the alert is about. Of
kube-state-metrics the instance is its own, too."""

STATE = re.compile(
    r"firing|resolved|triggered|critical|crit|warning|warn|info|information|error|err|fatal|debug|major|minor|disaster"
    r"|average|high|medium|moderate|low|ok|alarm|alert|alerting|problem|no ?data|page|ticket|p\d|sev-?\d|\d"
    r"|(?:ok|alarm|insufficient.data) -> (?:ok|alarm|insufficient.data)"
)
MONTHS = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?"
)
_TIME_WORD = re.compile(
    rf"{MONTHS}|mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
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
MARKUP = ' \t*_`"'
LINE = re.compile(r"([-*•·>][ \t]+)?[*_`\"]{0,3}([A-Za-z@][\w @./-]{0,30}?)[*_`\"]{0,3}[ \t]*([:=])(?!//|=)[ \t]*(.*)")
PAIR = re.compile(r'([A-Za-z]\w{0,30})=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:,|(?=\s)|$)')
SENTENCES = re.compile(
    r"Problem (?:started|has been resolved) (?:at|in) .{0,80}|You are receiving this email because .{0,600}"
    r"|\[?\d{1,4}\]? (?:Firing|Resolved)|\d{1,4} alerts? for .{0,400}|View In Alertmanager|Sent by Alertmanager"
    r"|View this alarm in the AWS .{0,80}|- The alarm is in the .{0,300}|-+"
)
MARKS = re.compile(
    r"(?:\s*(?:\[(?:firing|resolved|alert|alerting|triggered|problem|critical|warning|no ?data|ok|p\d|sev-?\d)(?::\d+)?\]"
    r"|(?:firing|triggered|problem|alarm|alert)\s*:))+\s*",
    re.IGNORECASE,
)
OF_REPLICA = re.compile(
    r"-(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,10}-[a-z0-9]{5}$|-(?=[a-z\d]*\d[a-z])[b-df-hj-np-tv-xz24-9]{5}$"
)
"""What Kubernetes adds to the name of a workload for each of its pods. It takes neither vowels nor the digits 0, 1 and 3 for that, so
that no word comes out; a `node1` or `srv42` is somebody's name for a host."""


def is_envelope(name: str, value: str) -> bool:
    """Whether name and value are an envelope's."""
    if name in LINKS:
        return not value or is_link(value, () if not name.startswith("source") else _MONITOR)
    if name in TIMES:
        found = re.findall(r"[a-z]+", value.lower())
        return not value or (any(map(str.isdigit, value)) and all(map(_TIME_WORD.fullmatch, found)))
    if name in STATES:
        return not value or STATE.fullmatch(value.lower()) is not None
    if name in _LOOKS:
        return not value or bool(_LOOKS[name].fullmatch(value))
    if name in IDS:
        return len(value.split()) <= 1 and (not value or "/" in value or any(map(str.isdigit, value)))
    return name in PLACES and len(value.split()) <= 1


def is_link(text: str, of: Sequence[str] = _MONITOR) -> bool:
    """Whether a text is a link and no more, to one of these (any, where there are none)."""
    bare = text.strip("<>()[] ").lower()
    return bare.startswith(("http://", "https://")) and " " not in bare and (not of or any(part in bare for part in of))


def plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
