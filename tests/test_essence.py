"""An alert's envelope tells nothing: it is neither searched nor compared, and is stored as it came."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.index.essence import essence, told
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import COUNTS_FROM, OF_ANOTHER_SUBJECT, OF_ONE_RULE, Match

AT = datetime(2026, 1, 2, tzinfo=UTC)


def fired(rule: str, service: str, summary: str, pod: str = "x7k2p") -> Incident:
    """An alert in the form in which Alertmanager's receivers send it."""
    description = f"""Labels:
 - alertname = {rule}
 - namespace = prod
 - service = {service}
 - pod = {service}-5d8f9c-{pod}
 - severity = critical
 - cluster = eu-west-1-prod
 - prometheus = monitoring/k8s
Annotations:
 - summary = {summary}
 - runbook_url = https://runbooks.example.com/{rule.lower()}
Source: https://prometheus.example.com/graph?g0.expr={rule}"""
    return Incident(
        id="fired", title=f"[FIRING:1] {rule} ({service} prod)", description=description, updated_at=AT, created_at=AT,
        service=service,
    )  # fmt: skip


def test_labels_of_the_environment_links_and_ids_are_gone_and_what_broke_stays() -> None:
    text = essence(fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).").text)
    assert text.splitlines() == [
        "KubePodCrashLooping (cart prod)",
        "KubePodCrashLooping",
        "prod",
        "cart",
        "cart-5d8f9c-x7k2p",
        "Pod is waiting (CrashLoopBackOff).",
    ]


WEBHOOK = {
    "receiver": "team",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighCPU", "instance": "web1", "severity": "critical"},
            "annotations": {"summary": 'CPU above 90 % of "web"', "runbook_url": "https://x"},
            "startsAt": "2026-01-01T00:00:00Z",
            "generatorURL": "http://p",
        }
    ],
    "version": "4",
}
ZABBIX = """Problem: Free disk space is less than 5% on volume /data
Problem name: Free disk space is less than 5% on volume /data
Host: db-3
Severity: High
Original problem ID: 88213"""


@pytest.mark.parametrize(
    ("text", "holds", "lacks"),
    [
        (json.dumps(WEBHOOK), ["HighCPU", "web1", "CPU above 90"], ["runbook", "receiver", "critical", "2026"]),
        (json.dumps(WEBHOOK, indent=2), ["HighCPU", "web1", "CPU above 90"], ["runbook", "receiver", "critical", "{"]),
        (ZABBIX, ["less than 5%", "db-3"], ["High", "88213", "Severity"]),
        (
            'level=error ts=2026-01-01T00:00:00Z caller=main.go:33 msg="connection refused" addr=10.0.0.3:5432',
            ["connection refused", "10.0.0.3"],
            ["caller", "level", "2026"],
        ),
        ("**Summary:** Disk full\n**Severity:** critical\n**Runbook:** https://x\n**Host:** db-3", ["Disk full", "db-3"], ["https"]),
    ],
    ids=["webhook", "webhook, indented", "Zabbix", "logfmt", "Markdown"],
)  # fmt: skip
def test_the_forms_in_which_alerts_come(text: str, holds: Sequence[str], lacks: Sequence[str]) -> None:
    found = essence(text)
    assert all(part in found for part in holds), found
    assert not any(part in found for part in lacks), found


@pytest.mark.parametrize(
    "text",
    [
        "Checkout 500s\nRegion: EU. Error: connection refused. Since 10:02",
        "P1: payments down\nhttps://x.example/z?a=b&c=d e=f",
        "GET https://api.example/v1?source=a&level=2&status=5 fails: 500",
        "Summary: reads are slow\nDescription: we look into it\nSummary: fixed",
        "severity: critical\ncluster: eu",
        "",
        "[FIRING:1]",
        "level=error ts=2026 caller=x",
        "Steps: look at the graph.\n" * 40 + "severity: page\nrunbook_url: https://x\nalert: High",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    """A sentence with a colon, a link, a status page, a runbook that quotes a rule; and where nothing would be left, all."""
    assert essence(text) == text


@pytest.mark.parametrize(
    "piece", ['"a":"', "[P1] ", "a=", "[{", " ", '{"a": ', 'a: \\"', "- x :\t", "\n", '"level":"x",']
)
def test_a_hostile_text_is_read_to_its_end(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    assert isinstance(essence(text), str)
    assert isinstance(essence("{" + text), str)


def test_an_alert_with_words_of_its_own_is_no_rule_s_alone() -> None:
    alert = fired("HighErrorRate", "cart", "5xx above 5 %").text
    assert told(alert).by_rule
    assert not told(f"{alert}\nSeen in the log: panic: nil map in coupon.Apply since release 4.17").by_rule
    assert not told("HighErrorRate on cart").by_rule


# What the memory makes of it


def resolved(past: Incident, name: str) -> Incident:
    return replace(
        past, id=name, status=Status.RESOLVED, resolved_at=past.created_at, resolution=Resolution("a bad release")
    )


def stated(memory: IncidentMemory, about: Incident) -> Match:
    return memory.find(about.text, 12, about=about).matches[0]


@pytest.fixture
def memory(open_memory: Callable[..., IncidentMemory], real_embedder: Embedder) -> IncidentMemory:
    return open_memory(real_embedder)


@pytest.fixture
def with_one(memory: IncidentMemory) -> IncidentMemory:
    past = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).")
    memory.import_batch([resolved(replace(past, created_at=AT - timedelta(days=60)), "past")], embed=True)
    return memory


def test_another_alert_of_another_service_is_not_alike(with_one: IncidentMemory) -> None:
    """Two thirds of what both say is the envelope."""
    assert stated(with_one, fired("CertExpiresSoon", "billing", "Certificate expires within 7 days.")).probability < 0.2


def test_the_same_alert_says_which_rule_fired_and_not_why(with_one: IncidentMemory) -> None:
    again = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).", pod="qq1")
    assert COUNTS_FROM <= stated(with_one, again).probability <= OF_ONE_RULE
    elsewhere = fired("KubePodCrashLooping", "billing", "Pod is waiting (CrashLoopBackOff).", pod="qq1")
    assert stated(with_one, elsewhere).probability <= OF_ANOTHER_SUBJECT
    assert stated(with_one, replace(elsewhere, service=None)).probability <= OF_ANOTHER_SUBJECT
    assert stated(with_one, replace(again, service=None)).probability <= OF_ONE_RULE


def test_the_same_alert_within_the_hour_is_likelier_the_same(memory: IncidentMemory) -> None:
    past = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).")
    memory.import_batch([resolved(replace(past, created_at=AT - timedelta(minutes=20)), "past")], embed=True)
    again = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).", pod="qq1")
    assert stated(memory, again).probability > 0.8


def test_an_incident_is_stored_as_it_came(memory: IncidentMemory) -> None:
    alert = fired("HighErrorRate", "cart", "5xx above 5 %")
    kept, _ = memory.open_incident(alert.title or "", alert.description, "cart", None)
    assert memory.get(kept.id).description == alert.description
