"""Alerts made up in the forms in which monitoring systems write them by default; `alert_payloads.py` has those of JSON.

Each form is a function of what fired: the rule, the service, when, and a number that no other alert has, from which the ids, links
and figures come that are new each time. It gives the alert's title and its text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired for a service: `number` makes ids, links and figures, `says` is the rule's own sentence."""

    rule: str
    service: str
    says: str
    at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    number: int = 17

    @property
    def key(self) -> str:
        """The rule's name as one word, `high-error-rate`."""
        return "-".join("".join(f" {c}" if c.isupper() else c for c in self.rule).lower().split())

    @property
    def host(self) -> str:
        """Where the service runs."""
        return f"{self.service}-db1"

    @property
    def figure(self) -> str:
        """What was measured."""
        return f"{90 + self.number % 9}.{self.number % 7}"

    def id(self, digits: int = 8) -> str:
        """An identifier of that many hex digits."""
        return f"{(self.number * 2654435761 + 977) % 16**digits:0{digits}x}"

    @property
    def uuid(self) -> str:
        """A longer one."""
        return f"{self.id()}-{self.id(4)}-4{self.id(3)}-8{self.id(3)}-{self.id(12)}"

    @property
    def time(self) -> str:
        """ISO 8601."""
        return self.at.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def seconds(self) -> int:
        """Since 1970."""
        return int(self.at.timestamp())


Alert = tuple[str, str]
"""Title and text."""


def labels(fired: Firing) -> dict[str, str]:
    """What Prometheus attaches."""
    pod = f"{fired.service}-5d8f9c-{fired.id()[:5]}"
    return {"alertname": fired.rule, "namespace": "prod", "service": fired.service, "pod": pod, "severity": "critical",
            "cluster": "eu-west-1-prod", "prometheus": "monitoring/k8s"}  # fmt: skip


def annotations(fired: Firing) -> dict[str, str]:
    """What the rule says."""
    return {"summary": fired.says, "description": f"{fired.says} Seen on {labels(fired)['pod']}.",
            "runbook_url": f"https://runbooks.example.com/{fired.key}"}  # fmt: skip


def labelled(rule: str, its: Mapping[str, str], says: Mapping[str, str]) -> str:
    """An alert's text as Alertmanager's receivers for chat and tickets have it, of its labels and annotations."""
    return f"""Labels:
{_listed(its)}
Annotations:
{_listed(says)}
Source: https://prometheus.example.com/graph?g0.expr={rule}"""


def _listed(values: Mapping[str, str], mark: str = " - ") -> str:
    return "\n".join(f"{mark}{name} = {value}" for name, value in values.items())


def alertmanager(fired: Firing) -> Alert:
    """As its receivers for chat and tickets have it."""
    return f"[FIRING:1] {fired.rule} ({fired.service} prod)", labelled(fired.rule, labels(fired), annotations(fired))


def alertmanager_mail(fired: Firing) -> Alert:
    """The text of its e-mail."""
    return (
        f"[FIRING:1] {fired.rule} ({fired.service} prod critical)",
        f"""1 alert for alertname={fired.rule}

View In Alertmanager

[1] Firing
Labels
{_listed(labels(fired), "")}
Annotations
{_listed(annotations(fired), "")}
Source

Sent by Alertmanager""",
    )


def alertmanager_slack(fired: Firing) -> Alert:
    """The default of Slack's receiver: a title alone."""
    return f"[FIRING:1] {fired.rule} ({fired.service} prod {labels(fired)['pod']} critical)", ""


def grafana(fired: Firing) -> Alert:
    """The text of its unified alerting, as Slack gets it."""
    its = {**labels(fired), "grafana_folder": "Shop"}
    return (
        f"[FIRING:1] {fired.rule} Shop ({fired.service} critical)",
        f"""**Firing**

Value: A={fired.figure}, C=1
Labels:
{_listed(its)}
Annotations:
{_listed(annotations(fired))}
Source: https://grafana.example.com/alerting/grafana/{fired.id(10)}/view
Silence: https://grafana.example.com/alerting/silence/new?alertmanager=grafana
Dashboard: https://grafana.example.com/d/{fired.key}
Panel: https://grafana.example.com/d/{fired.key}?viewPanel=2""",
    )


def datadog_body(fired: Firing) -> str:
    """The text of a monitor's event."""
    monitor = sum(map(ord, fired.rule))
    its = f"https://app.datadoghq.com/monitors/{monitor}?to_ts={fired.seconds}000&group=service%3A{fired.service}"
    return f"""%%%
{fired.says} Look at the dashboard of {fired.service} first. @slack-on-call

[![Metric Graph](https://p.datadoghq.com/snapshot/{fired.id(12)}.png)]({its})

**trace.{fired.key}** over **env:prod,service:{fired.service}** was **> 90.0** on average during the **last 5m**.

The monitor was last triggered at {fired.at:%a %b %d %Y %H:%M:%S} UTC.

- - -

[[Monitor Status]({its})] · [[Edit Monitor](https://app.datadoghq.com/monitors/{monitor}/edit)] · [[Related Logs]({its})]
%%%"""


def datadog_title(fired: Firing) -> str:
    """The title of a monitor's event."""
    return f"[Triggered on {{env:prod,service:{fired.service}}}] {fired.rule}"


def datadog(fired: Firing) -> Alert:
    """An event of a monitor, as it is read in Datadog."""
    return datadog_title(fired), datadog_body(fired)


def pagerduty_mail(fired: Firing) -> Alert:
    """The text of its e-mail."""
    return (
        f"[PagerDuty Alert] You have 1 TRIGGERED Incidents ([{fired.id(5)}])",
        f"""Hello Ada Lovelace,

You are assigned 1 triggered incident in PagerDuty:
Please visit the following URL to manage this incident.
https://shop.pagerduty.com/incidents

Incident #{fired.number}
Opened on: {fired.at:%b %d, %Y at %H:%M} UTC
Service: {fired.service}
Description: {fired.rule} on {fired.service}: {fired.says}
Link: https://shop.pagerduty.com/incidents/P{fired.id(6).upper()}
Escalation Policy: Shop by day and by night

You can disable these messages by adjusting your notification methods:
https://shop.pagerduty.com/users/PTUXL6G""",
    )


def nagios(fired: Firing) -> Alert:
    """Its e-mail of a service."""
    check = fired.rule
    return (
        f"** PROBLEM Service Alert: {fired.host}/{check} is CRITICAL **",
        f"""***** Nagios *****

Notification Type: PROBLEM

Service: {check}
Host: {fired.host}
Address: 10.0.{fired.number % 9}.3
State: CRITICAL

Date/Time: {fired.at:%a %b %d %H:%M:%S} UTC {fired.at:%Y}

Additional Info:

{check.upper()} CRITICAL - {fired.says} value={fired.figure}""",
    )


def icinga(fired: Firing) -> Alert:
    """The e-mail of its second version."""
    check = fired.key
    return (
        f"[PROBLEM] {check} on {fired.host} is CRITICAL!",
        f"""***** Service Monitoring on icinga1 *****

{check} on {fired.host} is CRITICAL!

Info:    CRITICAL - {fired.says} value={fired.figure}

When:    {fired.at:%Y-%m-%d %H:%M:%S} +0000
Service: {check}
Host:    {fired.host}
IPv4:    10.0.{fired.number % 9}.3

https://icinga.example.com/icingadb/service?name={check}&host.name={fired.host}""",
    )


def checkmk(fired: Firing) -> Alert:
    """Its e-mail of a service."""
    return (
        f"Check_MK: {fired.host}/{fired.rule} OK -> CRIT",
        f"""Host:                {fired.host} ({fired.service})
Service:             {fired.rule}
Event:               OK -> CRIT
Address:             10.0.0.3
Date / Time:         {fired.at:%a %b %d %H:%M:%S} UTC {fired.at:%Y}
Summary:             {fired.says} value {fired.figure}CRIT
Service Metrics:     value={fired.figure};80;90""",
    )


def zabbix(fired: Firing) -> Alert:
    """Its default message."""
    return (
        f"Problem: {fired.says}",
        f"""Problem started at {fired.at:%H:%M:%S} on {fired.at:%Y.%m.%d}
Problem name: {fired.says}
Host: {fired.host}
Severity: High
Operational data: {fired.figure} %
Original problem ID: {fired.number}
https://zabbix.example.com/tr_events.php?triggerid=17&eventid={fired.number}""",
    )


def cloudwatch(fired: Firing) -> Alert:
    """Its e-mail."""
    name = f"{fired.service}-{fired.key}"
    arn = f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"
    return (
        f'ALARM: "{name}" in EU (Ireland)',
        f"""You are receiving this email because your Amazon CloudWatch Alarm "{name}" in the EU (Ireland) region has entered the ALARM state, because "Threshold Crossed: 1 datapoint [{fired.figure}] was greater than the threshold (90.0)." at "{fired.at:%A %d %B, %Y %H:%M:%S} UTC".

View this alarm in the AWS Management Console:
https://eu-west-1.console.aws.amazon.com/cloudwatch/deeplink.js?region=eu-west-1#alarmsV2:alarm/{name}

Alarm Details:
- Name:                       {name}
- Description:                {fired.says}
- State Change:               OK -> ALARM
- Reason for State Change:    Threshold Crossed: 1 datapoint [{fired.figure}] was greater than the threshold (90.0).
- Timestamp:                  {fired.at:%A %d %B, %Y %H:%M:%S} UTC
- AWS Account:                123456789012
- Alarm Arn:                  {arn}

Threshold:
- The alarm is in the ALARM state when the metric is GreaterThanThreshold 90.0 for at least 1 of the last 1 period(s) of 300 seconds.

Monitored Metric:
- MetricNamespace:                     AWS/ECS
- MetricName:                          {fired.rule}
- Dimensions:                          [ServiceName = {fired.service}]
- Period:                              300 seconds
- Statistic:                           Average
- Unit:                                not specified
- TreatMissingData:                    missing

State Change Actions:
- OK:
- ALARM: [arn:aws:sns:eu-west-1:123456789012:on-call]
- INSUFFICIENT_DATA:""",
    )


Form = Callable[[Firing], Alert]
MESSAGES: Mapping[str, Form] = MappingProxyType({
    "Alertmanager, text": alertmanager, "Alertmanager, e-mail": alertmanager_mail, "Alertmanager, Slack's title": alertmanager_slack,
    "Grafana, text": grafana, "Datadog, event": datadog, "PagerDuty, e-mail": pagerduty_mail, "Nagios, e-mail": nagios,
    "Icinga, e-mail": icinga, "Checkmk, e-mail": checkmk, "Zabbix, message": zabbix, "CloudWatch, e-mail": cloudwatch,
})  # fmt: skip
"""Each form, by its sender's name."""
