"""The forms in which monitoring systems send alerts: which of their fields name the rule, its subject, and what the rule says.

A form is known by fields that no person writes. What its table does not name is read as in any other text, and if it has words they
are somebody's own: a form that a vendor extends is at worst taken for a person's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .alert_fields import plain, words

PLACE = "place"
"""The label of what tells two environments apart: a project, an account, a region."""

STARS = "stars"
"""The field that a line between stars is."""

_LONGEST_NAME, _DEEPEST_PATH = 40, 8
"""Characters of a name, and names of a path, beyond which none is a vendor's."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the fields of a form are, by their paths: their names without marks and capitals, a dot between.

    `marks` are those that must be there, each with what its value looks like (anything, where that is empty), `rule` those that name
    the rule, `labels` those of its subject with the labels that they stand for, `tags` those that hold labels (`service:cart`), `says`
    what the rule or its check says, `opens` those that hold an alert themselves, `drops` the envelope and `free` what is read as any
    text, both with all that is below, `person` what they hold where a person wrote it, and `words` what its titles add.
    """

    name: str
    marks: Mapping[str, str]
    rule: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    says: frozenset[str] = frozenset()
    opens: frozenset[str] = frozenset()
    drops: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    person: Mapping[str, str] = field(default_factory=dict)
    words: frozenset[str] = frozenset()

    def is_of(self, values: Mapping[str, str]) -> bool:
        """Whether the fields are those of this form."""
        return all(path in values and re.match(mark, values[path]) for path, mark in self.marks.items())

    def is_envelope(self, path: str) -> bool:
        """Whether a field is of the envelope."""
        return _is_below(path, self.drops)

    def speaks(self, path: str) -> bool:
        """Whether a field says something: not of the envelope."""
        return path in self.says or path in self.labels or path in self.rule

    def is_free(self, path: str) -> bool:
        """Whether a field is read as any text, and no word of it is somebody's own for that."""
        return _is_below(path, self.free)


def _is_below(path: str, above: frozenset[str]) -> bool:
    while path and path not in above:
        path = path.rpartition(".")[0]
    return bool(path)


def form_of(forms: Collection[Form], values: Mapping[str, str]) -> Form | None:
    """The form whose fields these are, by their paths."""
    return next((form for form in forms if form.is_of(values)), None)


def leaves(value: Any) -> Iterator[tuple[str, str, str]]:
    """The fields of a decoded payload in their order: path, name as it stands there, and value. A list adds nothing to a path, and a
    dictionary of a name and a value is a field of that name."""
    ahead: list[tuple[str, int, str, Any]] = [("", 0, "", value)]
    while ahead:
        path, depth, name, its = ahead.pop()
        if isinstance(its, list):
            ahead += [(path, depth, name, one) for one in reversed(its)]
        elif isinstance(its, dict):
            pair = {plain(key): one for key, one in its.items()} if len(its) == 2 else {}
            if pair.keys() in ({"name", "value"}, {"key", "value"}) and not any(
                isinstance(one, dict | list) for one in pair.values()
            ):
                its = {str(pair.get("name", pair.get("key"))): pair["value"]}
            for key, one in reversed(its.items()):
                short = plain(key) if len(key) <= _LONGEST_NAME and depth < _DEEPEST_PATH else "?"
                ahead.append((f"{path}.{short}" if path and depth else short, depth + 1, key, one))
        elif its is not None and its != "":
            yield path if depth <= _DEEPEST_PATH else "?", name, str(its)


def _paths(text: str, under: str = "") -> frozenset[str]:
    """Paths as they are compared; of those that begin with a stroke, none is under another."""
    whole = (path[1:] if path.startswith("/") else f"{under}.{path}".lstrip(".") for path in text.split())
    return frozenset(".".join(map(plain, path.split("."))) for path in whole)


def _form(name: str, marks: str, *, under: str = "", rule: str = "", **others: str) -> Form:
    """A form from lists of paths, all of them under one; `labels` and `person` are written `path=label`."""

    def pairs(text: str) -> Mapping[str, str]:
        found = (one.partition("=") for one in text.split())
        return MappingProxyType({next(iter(_paths(path, under))): value for path, _, value in found})

    return Form(
        name=name,
        marks=pairs(marks),
        rule=tuple(next(iter(_paths(path, under))) for path in rule.split()),
        labels=pairs(others.get("labels", "")),
        tags=_paths(others.get("tags", ""), under),
        says=_paths(others.get("says", ""), under),
        opens=_paths(others.get("opens", ""), under),
        drops=_paths(others.get("drops", ""), under),
        free=_paths(others.get("free", ""), under),
        person=pairs(others.get("person", "")),
        words=words(others.get("words", "")),
    )


PAYLOADS = (
    _form(
        "alertmanager", "receiver groupKey alerts.labels.alertname", says="title", opens="message",
        free="alerts groupLabels commonLabels commonAnnotations",
        drops="receiver status externalURL version groupKey truncatedAlerts state orgId "
        "alerts.status alerts.startsAt alerts.endsAt alerts.values alerts.valueString alerts.orgId",
    ),
    _form(
        "sns", "TopicArn MessageId Message", opens="Message", says="Subject",
        drops="Type MessageId TopicArn Timestamp SignatureVersion Signature SigningCertURL UnsubscribeURL MessageAttributes",
    ),
    _form(
        "cloudwatch", "AlarmName AlarmArn NewStateValue", rule="AlarmName",
        labels=f"AWSAccountId={PLACE} Region={PLACE}", says="AlarmDescription NewStateReason",
        drops="AlarmConfigurationUpdatedTimestamp NewStateValue OldStateValue StateChangeTime AlarmArn OKActions AlarmActions "
        "InsufficientDataActions Trigger.StatisticType Trigger.Statistic Trigger.Unit Trigger.Period Trigger.EvaluationPeriods "
        "Trigger.DatapointsToAlarm Trigger.ComparisonOperator Trigger.Threshold Trigger.TreatMissingData "
        "Trigger.EvaluateLowSampleCountPercentile",
    ),
    _form("datadog", "body=%%% event_type last_updated org.id", rule="title", opens="body", drops="id event_type last_updated date org"),
    _form(
        "pagerduty", "event_type resource_type data.incident_key data.escalation_policy.id", under="event", rule="data.title",
        labels="data.service.summary=service", person="agent.type=user_reference",
        drops="id event_type resource_type occurred_at agent client data.id data.type data.self data.html_url data.number data.status "
        "data.incident_key data.created_at data.service data.assignees data.escalation_policy data.teams data.priority data.urgency "
        "data.conference_bridge data.incident_type",
    ),
    _form(
        "opsgenie", "action alert.alertId alert.tinyId", rule="alert.message", labels="alert.entity=component", tags="alert.tags", opens="alert.description", person="source.type=web",
        drops="action alert.alertId alert.tinyId alert.alias alert.createdAt alert.updatedAt alert.insertedAt alert.username alert.userId "
        "alert.team alert.teams alert.recipients alert.responders alert.priority alert.source source integrationName integrationId "
        "integrationType escalationId escalationName escalationNotify",
    ),
    _form(
        "sentry issue", "project_slug culprit event.event_id", labels="project=component", says="message culprit event.title",
        drops="id project_name project_slug logger level url triggering_rules event.event_id event.id event.level event.timestamp "
        "event.received event.platform event.type event.version event.sdk event.modules event.contexts event.key_id event.hashes "
        "event.grouping_config event._ref event._ref_version event._metrics event.nodestore_insert",
    ),
    _form(
        "sentry", "title identifier alert_rule.aggregate alert_rule.dataset", under="data.metric_alert", rule="alert_rule.name",
        labels="projects=component alert_rule.projects=component",
        says="alert_rule.aggregate alert_rule.query title /data.description_text /data.description_title", words="critical",
        drops="/action /actor /installation /data.web_url id identifier organization_id status status_method type date_closed date_created date_detected date_started alert_rule",
    ),
    _form(
        "newrelic", "issueUrl alertPolicyNames alertConditionNames", rule="alertConditionNames", labels="impactedEntities=component",
        says="title alertPolicyNames",
        drops="id issueUrl priority totalIncidents state trigger isCorrelated createdAt updatedAt sources workflowName owner",
    ),
    _form(
        "azure", "alertId alertRule monitorCondition essentialsVersion", under="data.essentials", rule="alertRule",
        labels="configurationItems=component", says="description", words="fired azure monitor alert",
        drops="alertId severity signalType monitorCondition monitoringService alertTargetIDs originAlertId firedDateTime "
        "resolvedDateTime essentialsVersion alertContextVersion alertTargetResourceGroup alertTargetResourceType investigationLink "
        "/schemaId /data.alertContext.conditionType /data.alertContext.condition.windowSize "
        "/data.alertContext.condition.windowStartTime /data.alertContext.condition.windowEndTime "
        "/data.alertContext.condition.allOf.operator /data.alertContext.condition.allOf.threshold "
        "/data.alertContext.condition.allOf.timeAggregation /data.alertContext.condition.allOf.metricValue "
        "/data.alertContext.condition.allOf.linkToSearchResultsUI /data.alertContext.condition.allOf.linkToSearchResultsAPI",
    ),
    _form(
        "gcp", "incident_id policy_name condition_name scoping_project_id", under="incident", rule="policy_name",
        labels=f"resource_display_name=component scoping_project_id={PLACE} resource.labels.project_id={PLACE}",
        says="summary documentation.content documentation.subject condition_name condition.displayName metric.displayName",
        drops="incident_id scoping_project_number url started_at ended_at state severity apigee_url observed_value threshold_value "
        "resource.type resource_type_display_name resource_id resource_name metric.type metadata condition documentation.mime_type /version",
    ),
    _form(
        "uptimekuma", "heartbeat.monitorID heartbeat.status monitor.name", rule="monitor.name", labels="monitor.name=component monitor.hostname=host",
        tags="monitor.tags", says="msg heartbeat.msg monitor.url", drops="heartbeat monitor",
    ),
    _form(
        "pingdom", "check_id check_name previous_state current_state", rule="check_name", labels="check_params.hostname=host",
        tags="tags", says="long_description description",
        drops="check_id check_type check_params previous_state current_state importance_level state_changed_timestamp "
        "state_changed_utc_time first_probe second_probe version",
    ),
    _form("splunk", "sid search_name results_link", rule="search_name", words="splunk alert", drops="sid app owner results_link"),
)  # fmt: skip
"""Of JSON."""


def _text(name: str, marks: Mapping[str, str], **others: str) -> Form:
    return replace(_form(name, "", **others), marks=MappingProxyType(dict(marks)))


_NAGIOS_TITLE = "problem recovery service host alert check_mk check mk"
MESSAGES = (
    _text(
        "nagios", {"notificationtype": r"[A-Z]+$", "state": r"[A-Z]+$", "datetime": r".*\d"}, rule="service", labels="host=host",
        says="info additionalinfo", drops="stars notificationtype state address datetime", words=f"nagios {_NAGIOS_TITLE}",
    ),
    _text(
        "icinga", {STARS: "(?:Service|Host) Monitoring on ", "info": "", "when": r"\d{4}-", "host": ""}, rule="service",
        labels="host=host", says="info", drops="stars when ipv4 ipv6", words=_NAGIOS_TITLE,
    ),
    _text(
        "checkmk", {"host": "", "event": r"[A-Z]{2,8} (?:->|→) [A-Z]{2,8}$", "datetime": r".*\d"}, rule="service", labels="host=host",
        says="summary details", drops="event address datetime servicemetrics hostmetrics metrics omdsite hosttags relativetime",
        words=_NAGIOS_TITLE,
    ),
    _text(
        "zabbix", {"originalproblemid": r"\d+$", "problemname": ""}, rule="problemname", labels="host=host", says="operationaldata",
        drops="severity originalproblemid", words="problem",
    ),
    _text(
        "cloudwatch", {"alarmarn": "arn:aws", "statechange": r"[A-Z_]+ -> [A-Z_]+"}, rule="name", says="description reasonforstatechange",
        drops="statechange timestamp alarmarn period statistic unit treatmissingdata ok alarm insufficientdata",
    ),
)  # fmt: skip
"""Of lines. The field `stars` is a line between stars."""

DATADOG = Form("datadog", {})
"""Of an event of a monitor, which is known by what stands between its lines and not by fields."""
