"""Alerts made up in the forms of JSON in which monitoring systems send them by default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from alert_forms import MESSAGES, Alert, Firing, Form, annotations, datadog_body, datadog_title, grafana, labels


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def alertmanager_webhook(fired: Firing) -> Alert:
    """The JSON of its webhook."""
    its, says = labels(fired), annotations(fired)
    alert = {"status": "firing", "labels": its, "annotations": says, "startsAt": fired.time, "endsAt": "0001-01-01T00:00:00Z",
             "generatorURL": "https://prometheus.example.com/graph", "fingerprint": fired.id(16)}  # fmt: skip
    return fired.rule, _json({
        "receiver": "team", "status": "firing", "alerts": [alert], "groupLabels": {"alertname": fired.rule}, "commonLabels": its,
        "commonAnnotations": says, "externalURL": "https://alertmanager.example.com", "version": "4",
        "groupKey": f'{{}}:{{alertname="{fired.rule}"}}', "truncatedAlerts": 0,
    })  # fmt: skip


def grafana_webhook(fired: Firing) -> Alert:
    """The JSON of its webhook, which holds the text once more."""
    its, says = {**labels(fired), "grafana_folder": "Shop"}, annotations(fired)
    title, text = grafana(fired)
    alert = {
        "status": "firing", "labels": its, "annotations": says, "startsAt": fired.time, "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": f"https://grafana.example.com/alerting/grafana/{fired.id(10)}/view", "fingerprint": fired.id(16),
        "silenceURL": "https://grafana.example.com/alerting/silence/new", "dashboardURL": "", "panelURL": "",
        "values": {"A": float(fired.figure), "C": 1},
        "valueString": f"[ var='A' labels={{service={fired.service}}} value={fired.figure} ]",
    }  # fmt: skip
    return title, _json({
        "receiver": "team", "status": "firing", "alerts": [alert], "groupLabels": {"alertname": fired.rule}, "commonLabels": its,
        "commonAnnotations": says, "externalURL": "https://grafana.example.com/", "version": "1", "groupKey": "{}:{}",
        "truncatedAlerts": 0, "orgId": 1, "title": title, "state": "alerting", "message": text,
    })  # fmt: skip


def datadog_webhook(fired: Firing) -> Alert:
    """The JSON that its webhooks send unless somebody changes it."""
    return datadog_title(fired), _json({
        "body": datadog_body(fired), "last_updated": f"{fired.seconds}000", "event_type": "query_alert_monitor",
        "title": datadog_title(fired), "date": f"{fired.seconds}000", "org": {"id": "415600", "name": "Shop"}, "id": fired.id(16),
    })  # fmt: skip


def _reference(kind: str, name: str, its: str) -> dict[str, str]:
    return {"html_url": f"https://shop.pagerduty.com/{kind}/{its}", "id": its, "self": f"https://api.pagerduty.com/{kind}/{its}",
            "summary": name, "type": f"{kind}_reference"}  # fmt: skip


def pagerduty_webhook(fired: Firing) -> Alert:
    """The third version of its webhooks."""
    title, its = f"{fired.rule} on {fired.service}: {fired.says}", f"P{fired.id(6).upper()}"
    return title, _json({"event": {
        "id": f"01{fired.id(16).upper()}", "event_type": "incident.triggered", "resource_type": "incident", "occurred_at": fired.time,
        "agent": _reference("service", fired.service, "PF9KMXH"), "client": {"name": "Prometheus"},
        "data": {
            "id": its, "type": "incident", "self": f"https://api.pagerduty.com/incidents/{its}", "number": fired.number,
            "html_url": f"https://shop.pagerduty.com/incidents/{its}", "status": "triggered", "incident_key": fired.id(32),
            "created_at": fired.time, "title": title, "service": _reference("service", fired.service, "PF9KMXH"),
            "assignees": [_reference("user", "Ada Lovelace", "PTUXL6G")],
            "escalation_policy": _reference("escalation_policy", "Shop by day and by night", "PUS0KTE"),
            "teams": [_reference("team", "Shop engineering", "PFCVPS0")],
            "priority": _reference("priority", "P1", "PSO75BM"), "urgency": "high",
            "conference_bridge": {"conference_number": "+1 555 0100,,98#", "conference_url": "https://example.com/bridge"},
            "resolve_reason": None,
        },
    }})  # fmt: skip


def opsgenie_webhook(fired: Firing) -> Alert:
    """The JSON of its webhook when an alert is created."""
    return f"{fired.rule} on {fired.service}", _json({
        "action": "Create",
        "alert": {
            "alertId": f"{fired.uuid}-{fired.seconds}", "message": f"{fired.rule} on {fired.service}", "tags": ["prod", fired.service],
            "tinyId": str(fired.number), "alias": fired.key, "createdAt": fired.seconds * 1000, "updatedAt": fired.seconds * 10**9,
            "username": "Prometheus", "userId": fired.uuid, "entity": fired.service, "team": "shop", "priority": "P1",
            "source": "Prometheus", "description": fired.says,
        },
        "source": {"name": "Prometheus", "type": "api"}, "integrationName": "Prometheus of the shop", "integrationId": fired.uuid,
        "integrationType": "API",
    })  # fmt: skip


def sentry_issue(fired: Firing) -> Alert:
    """The webhook of an issue alert: what an exception said, not a figure over a threshold."""
    title = f"{fired.rule}Error: {fired.says}"
    return title, _json({
        "id": str(fired.number), "project": fired.service, "project_name": fired.service, "project_slug": fired.service,
        "logger": None, "level": "error", "culprit": f"{fired.service}.views in {fired.key}", "message": fired.says,
        "url": f"https://shop.sentry.io/issues/{fired.number}/", "triggering_rules": ["Tell the shop"],
        "event": {"event_id": fired.id(32), "title": title, "level": "error", "timestamp": float(fired.seconds), "platform": "python",
                  "environment": "prod"},
    })  # fmt: skip


def sentry_metric(fired: Firing) -> Alert:
    """The webhook of a metric alert."""
    return f"Critical: {fired.rule}", _json({
        "action": "critical", "actor": {"type": "application", "id": "sentry", "name": "Sentry"}, "installation": {"uuid": fired.uuid},
        "data": {
            "description_text": f"{fired.figure} events in the last 10 minutes\nFilter: level:error",
            "description_title": f"Critical: {fired.rule}", "web_url": f"https://shop.sentry.io/alerts/rules/{fired.number}/",
            "metric_alert": {
                "id": str(fired.number), "identifier": str(fired.number), "organization_id": "5", "projects": [fired.service],
                "status": 20, "status_method": 3, "type": 2, "title": fired.rule, "date_closed": None, "date_created": fired.time,
                "date_detected": fired.time, "date_started": fired.time,
                "alert_rule": {
                    "id": "7", "name": fired.rule, "organization_id": "5", "projects": [fired.service], "aggregate": "count()",
                    "dataset": "events", "query": "level:error", "status": 0, "time_window": 10, "threshold_type": 0,
                    "resolution": 1, "threshold_period": 1, "environment": None, "created_by": None, "date_created": fired.time,
                    "triggers": [{"id": "1", "label": "critical", "alert_threshold": 90, "date_created": fired.time, "actions": []}],
                },
            },
        },
    })  # fmt: skip


def newrelic_webhook(fired: Firing) -> Alert:
    """The default payload of a workflow."""
    title = f"{fired.service} query result is > 90.0 for 5 minutes on '{fired.rule}'"
    return title, _json({
        "id": fired.uuid, "issueUrl": f"https://radar-api.service.newrelic.com/accounts/1/issues/{fired.uuid}?notifier=WEBHOOK",
        "title": title, "priority": "CRITICAL", "impactedEntities": [fired.service], "totalIncidents": 1, "state": "ACTIVATED",
        "trigger": "STATE_CHANGE", "isCorrelated": False, "createdAt": fired.seconds * 1000, "updatedAt": fired.seconds * 1000,
        "sources": ["newrelic"], "alertPolicyNames": ["Golden signals of the shop"], "alertConditionNames": [fired.rule],
        "workflowName": "Tell the shop's on-call", "owner": "N/A",
    })  # fmt: skip


def _cloudwatch_message(fired: Firing) -> dict[str, Any]:
    name = f"{fired.service}-{fired.key}"
    return {
        "AlarmName": name, "AlarmDescription": fired.says, "AWSAccountId": "123456789012",
        "AlarmConfigurationUpdatedTimestamp": "2025-06-28T01:45:48.392+0000", "NewStateValue": "ALARM", "OldStateValue": "OK",
        "NewStateReason": f"Threshold Crossed: 1 out of the last 1 datapoints [{fired.figure}] was greater than the threshold (90.0).",
        "StateChangeTime": fired.time, "Region": "EU (Ireland)",
        "AlarmArn": f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}", "OKActions": [],
        "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:on-call"], "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": fired.rule, "Namespace": "AWS/ECS", "StatisticType": "Statistic", "Statistic": "AVERAGE", "Unit": None,
            "Dimensions": [{"value": fired.service, "name": "ServiceName"}], "Period": 300, "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 90.0, "TreatMissingData": "missing",
            "EvaluateLowSampleCountPercentile": "",
        },
    }  # fmt: skip


def cloudwatch_json(fired: Firing) -> Alert:
    """What it hands to SNS."""
    return f'ALARM: "{fired.service}-{fired.key}" in EU (Ireland)', _json(_cloudwatch_message(fired))


def sns(fired: Firing) -> Alert:
    """What SNS hands on."""
    title = f'ALARM: "{fired.service}-{fired.key}" in EU (Ireland)'
    return title, _json({
        "Type": "Notification", "MessageId": fired.uuid, "TopicArn": "arn:aws:sns:eu-west-1:123456789012:on-call", "Subject": title,
        "Message": json.dumps(_cloudwatch_message(fired)), "Timestamp": fired.time, "SignatureVersion": "1",
        "Signature": f"{fired.id(40)}==", "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/cert.pem",
        "UnsubscribeURL": f"https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&its={fired.id()}",
    })  # fmt: skip


def azure(fired: Firing) -> Alert:
    """The common alert schema, of a metric."""
    group = "/subscriptions/11111111-aaaa-4aaa-8aaa-111111111111/resourcegroups/shop/providers"
    resource = f"{group}/microsoft.web/sites/{fired.service}"
    return f"Fired:Sev1 Azure Monitor Alert {fired.rule} on {fired.service}", _json({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": f"/subscriptions/1/providers/Microsoft.AlertsManagement/alerts/{fired.uuid}", "alertRule": fired.rule,
                "severity": "Sev1", "signalType": "Metric", "monitorCondition": "Fired", "monitoringService": "Platform",
                "alertTargetIDs": [resource], "configurationItems": [fired.service], "originAlertId": f"{fired.uuid}_shop_{fired.number}",
                "firedDateTime": fired.time, "description": fired.says, "essentialsVersion": "1.0", "alertContextVersion": "1.0",
            },
            "alertContext": {
                "properties": None, "conditionType": "SingleResourceMultipleMetricCriteria",
                "condition": {
                    "windowSize": "PT5M", "windowStartTime": fired.time, "windowEndTime": fired.time,
                    "allOf": [{
                        "metricName": fired.rule, "metricNamespace": "Microsoft.Web/sites", "operator": "GreaterThan",
                        "threshold": "90", "timeAggregation": "Average", "metricValue": float(fired.figure),
                        "dimensions": [{"name": "Instance", "value": fired.service}], "webTestName": None,
                    }],
                },
            },
            "customProperties": None,
        },
    })  # fmt: skip


def gcp(fired: Firing) -> Alert:
    """The webhook of a Google Cloud alerting policy."""
    project = "projects/shop-prod/alertPolicies/4416258801778683037"
    summary = f"{fired.rule} for shop-prod {fired.service} with metric labels {{}} is above the threshold of 90.000 with a value of {fired.figure}."
    return f"[ALERT - Critical] {fired.rule}", _json({
        "incident": {
            "incident_id": f"0.{fired.id(12)}", "scoping_project_id": "shop-prod", "scoping_project_number": 123456,
            "url": f"https://console.cloud.google.com/monitoring/alerting/incidents/0.{fired.id(12)}?project=shop-prod",
            "started_at": fired.seconds, "ended_at": None, "state": "open", "severity": "Critical", "summary": summary,
            "apigee_url": "https://console.cloud.google.com/apigee", "observed_value": fired.figure, "threshold_value": "90",
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": fired.service, "location": "europe-west1"}},
            "resource_type_display_name": "Cloud Run Revision", "resource_id": "", "resource_name": f"shop-prod {fired.service}",
            "resource_display_name": fired.service,
            "metric": {"type": f"run.googleapis.com/{fired.key}", "displayName": fired.rule, "labels": {}},
            "metadata": {"system_labels": {}, "user_labels": {}}, "policy_name": fired.rule, "policy_user_labels": {"team": "shop"},
            "documentation": {"content": fired.says, "mime_type": "text/markdown", "subject": f"[ALERT] {fired.rule}"},
            "condition": {
                "name": f"{project}/conditions/4416258801778682826", "displayName": fired.rule,
                "conditionThreshold": {
                    "filter": f'metric.type="run.googleapis.com/{fired.key}" resource.type="cloud_run_revision"',
                    "aggregations": [{"alignmentPeriod": "60s", "perSeriesAligner": "ALIGN_RATE"}], "comparison": "COMPARISON_GT",
                    "thresholdValue": 90, "duration": "300s", "trigger": {"count": 1},
                },
            },
            "condition_name": fired.rule,
        },
        "version": "1.2",
    })  # fmt: skip


def uptime_kuma(fired: Firing) -> Alert:
    """The JSON of its webhook: a monitor is rule and service in one."""
    name, seen = f"{fired.service} {fired.key}", "Request failed with status code 503"
    return f"[{name}] [\N{LARGE RED CIRCLE} Down] {seen}", _json({
        "heartbeat": {
            "monitorID": 89, "status": 0, "time": fired.time, "msg": seen, "important": True, "duration": fired.number, "ping": None,
            "retries": 1, "timezone": "Europe/Berlin", "timezoneOffset": "+02:00", "localDateTime": fired.time,
        },
        "monitor": {
            "id": 89, "name": name, "description": None, "pathName": name, "parent": None, "childrenIDs": [],
            "url": f"https://{fired.service}.example.com/health", "method": "GET", "hostname": None, "port": None, "maxretries": 1,
            "weight": 2000, "active": True, "forceInactive": False, "type": "http", "timeout": 16, "interval": 20, "retryInterval": 20,
            "resendInterval": 0, "keyword": None, "expiryNotification": False, "ignoreTls": False, "upsideDown": False,
            "packetSize": 56, "maxredirects": 10, "accepted_statuscodes": ["200-299"], "dns_resolve_type": "A",
            "dns_resolve_server": "1.1.1.1", "notificationIDList": {"2": True}, "tags": [], "maintenance": False,
        },
        "msg": f"[{name}] [\N{LARGE RED CIRCLE} Down] {seen}",
    })  # fmt: skip


def pingdom(fired: Firing) -> Alert:
    """The JSON of its webhook."""
    name = f"{fired.service} {fired.key}"
    return f"{name} is DOWN", _json({
        "check_id": 803318, "check_name": name, "check_type": "HTTP", "tags": ["prod"], "previous_state": "UP", "current_state": "DOWN",
        "check_params": {
            "basic_auth": False, "encryption": True, "full_url": f"https://{fired.service}.example.com/health", "port": 443,
            "header": "User-Agent:Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "ipv6": False, "url": "/health",
            "hostname": f"{fired.service}.example.com",
        },
        "importance_level": "HIGH", "state_changed_timestamp": fired.seconds, "state_changed_utc_time": fired.time,
        "long_description": "HTTP Server Error 503 Service Unavailable", "description": "HTTP Error 503", "version": 1,
        "first_probe": {"ip": "185.70.76.23", "ipv6": "", "location": "Athens, Greece"},
        "second_probe": {"ip": "64.141.100.136", "ipv6": "", "location": "Calgary, Canada"},
    })  # fmt: skip


def splunk(fired: Firing) -> Alert:
    """The JSON of its webhook: the first row of what the search found."""
    sid = f"scheduler__admin__search__RMD{fired.id(12)}_at_{fired.seconds}_{fired.number}"
    return f"Splunk Alert: {fired.rule}", _json({
        "sid": sid, "search_name": fired.rule, "app": "search", "owner": "admin",
        "results_link": f"https://splunk.example.com:8000/app/search/@go?sid={sid}",
        "result": {"service": fired.service, "sourcetype": "access_combined", "count": str(fired.number)},
    })  # fmt: skip


FORMS: Mapping[str, Form] = MappingProxyType({
    **MESSAGES, "Alertmanager, webhook": alertmanager_webhook, "Grafana, webhook": grafana_webhook, "Datadog, webhook": datadog_webhook,
    "PagerDuty, webhook": pagerduty_webhook, "Opsgenie, webhook": opsgenie_webhook, "Sentry, issue": sentry_issue,
    "Sentry, metric": sentry_metric, "New Relic, webhook": newrelic_webhook, "CloudWatch, JSON": cloudwatch_json,
    "CloudWatch by SNS": sns, "Azure Monitor, JSON": azure, "Google Cloud, webhook": gcp, "Uptime Kuma, webhook": uptime_kuma,
    "Pingdom, webhook": pingdom, "Splunk, webhook": splunk,
})  # fmt: skip
"""Each form, by its sender's name, those of lines among them."""
