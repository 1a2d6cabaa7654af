"""Alerts in the forms in which they are sent."""

from __future__ import annotations

from datetime import UTC, datetime

from alert_forms import labelled

from incidentos.memory.incident import Incident

AT = datetime(2026, 1, 2, tzinfo=UTC)

CLOUDWATCH = """ALARM: "cpu-high" in EU (Ireland)
You are receiving this email because your Amazon CloudWatch Alarm "cpu-high" in the EU (Ireland) region has entered the ALARM state.

View this alarm in the AWS Management Console:
https://eu-west-1.console.aws.amazon.com/cloudwatch

Alarm Details:
- Name: cpu-high
- State Change: OK -> ALARM
- Reason for State Change: Threshold Crossed: 1 datapoint [92.1] was greater than the threshold (80.0).
- Timestamp: Tuesday 10 January, 2026 10:00:00 UTC
- AWS Account: 123456789012
- Alarm Arn: arn:aws:cloudwatch:eu-west-1:123456789012:alarm:cpu-high

Monitored Metric:
- MetricName: CPUUtilization
- Period: 300 seconds"""


def fired(rule: str, service: str, summary: str, pod: str = "x7k2p") -> Incident:
    """An alert in the form in which Alertmanager's receivers send it."""
    labels = {
        "alertname": rule,
        "namespace": "prod",
        "service": service,
        "pod": f"{service}-5d8f9c-{pod}",
        "severity": "critical",
        "cluster": "eu-west-1-prod",
        "prometheus": "monitoring/k8s",
    }
    runbook = f"https://runbooks.example.com/{rule.lower()}"
    description = labelled(rule, labels, {"summary": summary, "runbook_url": runbook})
    return Incident(
        id="fired", title=f"[FIRING:1] {rule} ({service} prod)", description=description, updated_at=AT, created_at=AT,
        service=service,
    )  # fmt: skip
