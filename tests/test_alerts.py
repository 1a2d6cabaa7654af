"""An alert's envelope tells nothing: it is neither searched nor compared, and is stored as it came."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from incidentos.memory.incident import FailureType, Incident, Resolution, Status
from incidentos.memory.index.alerts import essence, told
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import COUNTS_FROM, OF_ANOTHER_SUBJECT, OF_ONE_SUBJECT, Match
from incidentos.prompts.technologies import named

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


@pytest.mark.parametrize(
    ("text", "holds", "lacks"),
    [
        (json.dumps(WEBHOOK), ["HighCPU", "web1", 'CPU above 90 % of "web"'], ["runbook", "team", "critical", "2026"]),
        (json.dumps(WEBHOOK, indent=2), ["HighCPU", "web1", "CPU above 90"], ["runbook", "team", "critical", "{"]),
        (ZABBIX, ["less than 5%", "db-3"], ["High", "88213", "Severity", "10:02"]),
        (CLOUDWATCH, ["cpu-high", "92.1", "CPUUtilization"], ["receiving", "https", "arn", "Tuesday", "300"]),
        (
            'level=error ts=2026-01-01T00:00:00Z caller=main.go:33 msg="connection refused" addr=10.0.0.3:5432',
            ["connection refused", "10.0.0.3"],
            ["caller", "level", "2026"],
        ),
        ("**Alert:** Disk full\n**Severity:** critical\n**Runbook:** <https://x|open>\n**Host:** db-3", ["Disk full", "db-3"], ["https", "*"]),
        (
            '{"ts":"2026-01-01T00:00:00Z","level":"error","msg":"T\\u00e4gliche Last\\nist hoch"}',
            ["Tägliche", "Last\nist"],
            ["error", "2026"],
        ),
    ],
    ids=["webhook", "webhook, indented", "Zabbix", "CloudWatch", "logfmt", "Slack", "JSON log"],
)  # fmt: skip
def test_the_forms_in_which_alerts_come(text: str, holds: Sequence[str], lacks: Sequence[str]) -> None:
    found = essence(text)
    assert all(part in found for part in holds), found
    assert not any(part in found for part in lacks), found


@pytest.mark.parametrize(
    "line",
    [
        "Status: all checkouts return 500",
        "State: Slave_SQL_Running No, error 1062 duplicate key on orders",
        "Started: 02:10, right after deploy of 4.17",
        "Logs: panic: assignment to entry in nil map in coupon.Apply",
        "Source: db-1",
        "Link: eth0 flaps every 10 s",
        "Unit: cart.service failed, oom-kill",
        "URL: https://shop.example/checkout",
        "Tags: service:checkout, error:pool_timeout",
        "Version: 4.17.2 (canary)",
        'expr: sum(rate(http_requests_total{status="500",source="edge"}[5m])) > 5',
        "https://shop.example/pay?level=2&source=x",
    ],
)
def test_a_field_that_says_what_broke_is_kept_whatever_its_name(line: str) -> None:
    """Only where the value is an envelope's, too: a link, a time, a state, an id."""
    text = f"Cart returns 500\nService: cart\nEnvironment: prod\nSeverity: critical\nStatus: firing\n{line}"
    assert line.split(": ", 1)[-1] in essence(text)
    assert "critical" not in essence(text)
    assert told(text).rule is None


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
        "[2026-01-01 00:00] arr[0] {x} is nil at foo[3]: level=error ts=1 caller=x",
        "Steps: look at the graph.\n" * 40 + "severity: page\nrunbook_url: https://x\nalert: High",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    """A sentence with a colon, a link, a status page, a runbook that quotes a rule; and where nothing would be left, all."""
    assert essence(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        '"a":"',
        "[P1] ",
        "a=",
        "[{",
        " ",
        "\t",
        '{"a": ',
        'a: \\"',
        "- x :\t",
        "\n",
        '"level":"x",',
        '{"a"\n',
        "a-",
        "x.service ",
        "grafana",
    ],
)
@pytest.mark.parametrize(
    "start", ["", "{", "a:b:c:d ", "a:b:c:d\nhttp://", "a:b:c:d\nYou are receiving this email because "]
)
def test_a_hostile_text_is_read_to_its_end(start: str, piece: str) -> None:
    """Of the longest that is read for fields, and of a long one."""
    for length in (7_900, 200_000):
        text = start + piece * ((length - len(start)) // len(piece)) + "x"
        assert isinstance(essence(text), str)
        assert isinstance(named(text), dict)


def test_a_name_that_is_not_known_stays_with_its_value() -> None:
    """In JSON and in pairs as in lines: `replica_lag_seconds` is what broke."""
    record = '{"level":"error","ts":"2026-01-01T00:00:00Z","service":"orders","replica_lag_seconds":4000,"certificate_expired":true}'
    assert essence(record) == "orders\nreplica_lag_seconds 4000\ncertificate_expired True"
    pairs = "level=error ts=2026-01-01T00:00:00Z caller=main.go:33 hikari_idle=0 hikari_waiting=212"
    assert essence(pairs) == "hikari_idle 0\nhikari_waiting 212"


def test_what_json_hides_is_storable() -> None:
    """A log line that was cut within an emoji, a character that changes the direction of text."""
    text = essence(r'{"message":"cut off \ud83d \u202e","level":"error","ts":"2026-01-01","severity":"high"}')
    assert text.encode()  # no lone surrogate
    assert "\u202e" not in text


def test_json_of_any_depth_is_read() -> None:
    deep = (
        '{"status":"firing","severity":"critical","alertname":"x","a":' + '{"a":' * 980 + '{"date":"1 jan"}' + "}" * 981
    )
    assert isinstance(essence(deep), str)


def test_a_long_text_is_no_alert() -> None:
    """So nothing is read for fields again and again in a memory of long records."""
    text = fired("HighErrorRate", "cart", "5xx above 5 %").text + "\n" + "lag: 4 s\n" * 1000
    assert essence(text) == text


OWN = "panic: nil map in coupon.Apply"


@pytest.mark.parametrize(
    ("text", "by_rule"),
    [
        (fired("HighErrorRate", "cart", "5xx above 5 %").text, True),
        (json.dumps(WEBHOOK), True),
        (ZABBIX, True),
        (CLOUDWATCH, True),
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + f"\n{OWN}", False),
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + "\nredis is down", False),
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + f"\nLogs: {OWN}", False),
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + "\nError: x509: certificate of pay.example.com has expired", False),
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + '\n{"level":"error","msg":"pool timed out"}', False),
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + "\nERROR pool size=10 active=10 waiting=200 timed out", False),
        ("HighErrorRate on cart after redis failover\n" + fired("HighErrorRate", "cart", "5xx above 5 %").description, False),
        (f"cart panics with a nil map since release 4.17\n{fired('HighErrorRate', 'cart', '5xx').description}", False),
        ("HighErrorRate on cart", False),
        ("Card payments fail\nEnvironment: production\nSeverity: SEV1\nDescription: since 02:10 all card payments fail", False),
        ('time=2026-01-01T00:00:00Z level=error msg="failed to connect" caller=x.go:1', False),
    ],
)  # fmt: skip
def test_a_rule_alone_speaks_only_where_nobody_has_added_a_word(text: str, by_rule: bool) -> None:
    assert (told(text).rule is not None) is by_rule


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
    assert COUNTS_FROM <= stated(with_one, again).probability <= OF_ONE_SUBJECT
    elsewhere = fired("KubePodCrashLooping", "billing", "Pod is waiting (CrashLoopBackOff).", pod="qq1")
    assert stated(with_one, elsewhere).probability <= OF_ANOTHER_SUBJECT
    assert stated(with_one, replace(elsewhere, service=None)).probability <= OF_ANOTHER_SUBJECT
    assert stated(with_one, replace(again, service=None)).probability <= OF_ONE_SUBJECT


def test_the_same_alert_within_the_hour_is_likelier_the_same(memory: IncidentMemory) -> None:
    past = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).")
    soon = resolved(replace(past, created_at=AT - timedelta(minutes=20)), "past")
    memory.import_batch([replace(soon, resolution=Resolution("redis evicted the sessions"))], embed=True)
    again = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).", pod="qq1")
    assert stated(memory, again).probability > 0.8
    other = fired("KubePodCrashLooping", "billing", "Pod is waiting (CrashLoopBackOff).", pod="qq1")
    assert stated(memory, replace(other, service=None)).probability <= OF_ANOTHER_SUBJECT


@pytest.mark.parametrize(
    ("change", "most"),
    [
        ({"title": "Cart pods crash looping in prod"}, OF_ONE_SUBJECT),
        ({"service": "cart-service"}, OF_ONE_SUBJECT),
        ({"title": "KubePodCrashLooping cart-7bd4f8-qq1zz", "service": None}, OF_ONE_SUBJECT),
        ({"service": "billing"}, OF_ANOTHER_SUBJECT),
    ],
)
def test_what_an_alert_is_about_is_read_off_its_labels(
    with_one: IncidentMemory, change: dict[str, str], most: float
) -> None:
    """However the title is worded and the service spelled."""
    again = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).", pod="qq1zz")
    assert stated(with_one, replace(again, **change)).probability == pytest.approx(most, abs=0.02)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("service = cart", "service = search"),
        ("cluster = eu-west-1-prod", "cluster = eu-west-1-staging"),
        ("instance = db-3", "instance = db-12"),
        ("summary = 5xx", "summary = certificate of the payment gateway has expired, x509 handshakes fail; not 5xx"),
    ],
)
def test_an_alert_of_something_else_is_not_taken_for_a_repeat(memory: IncidentMemory, was: str, now: str) -> None:
    alert = fired("HighErrorRate", "cart", "5xx above 5 %").description + "\n - instance = db-3"
    other = alert.replace(was, now)
    assert other != alert
    first, _ = memory.open_incident("[FIRING:1] HighErrorRate", alert)
    second, repeated = memory.open_incident("[FIRING:1] HighErrorRate", other)
    assert not repeated
    assert second.id != first.id
    again, repeated = memory.open_incident("[FIRING:2] HighErrorRate", alert.replace("g0.expr", "g1.expr"))
    assert repeated
    assert again.id == first.id


def test_of_many_alerts_that_are_open_each_repeat_is_known(memory: IncidentMemory) -> None:
    """The nearest open one may be another host's."""
    alert = fired("HostHighCpuLoad", "web", "CPU above 80 %").description

    def opened(host: int, value: str) -> tuple[str, bool]:
        its = f"{alert}\n - instance = 10.0.0.{host}:9100\n - value = {value}"
        kept, repeated = memory.open_incident("[FIRING:1] HostHighCpuLoad", its)
        return kept.id, repeated

    first = [opened(host, "93.2") for host in range(1, 7)]
    assert not any(repeated for _, repeated in first)
    assert [opened(host, "87.5") for host in range(1, 7)] == [(name, True) for name, _ in first]


@pytest.mark.parametrize("label", ["partition", "persistentvolumeclaim", "nodename", "tenant", "exported_instance"])
def test_any_label_tells_two_open_alerts_apart(memory: IncidentMemory, label: str) -> None:
    alert = fired("KafkaLag", "orders", "The consumer lags.").description
    _, repeated = memory.open_incident("KafkaLag", f"{alert}\n - {label} = data-3")
    assert not repeated
    _, repeated = memory.open_incident("KafkaLag", f"{alert}\n - {label} = data-7")
    assert not repeated


def test_what_scrapes_for_kubernetes_is_not_the_workload(with_one: IncidentMemory) -> None:
    """kube-state-metrics brings service, job and instance of its own into every alert of a workload."""

    def of_workload(workload: str) -> Incident:
        its = fired("KubePodCrashLooping", workload, "Pod is waiting (CrashLoopBackOff).", pod="qq1zz")
        scraped = its.description.replace(f"service = {workload}", "service = kube-prometheus-stack-kube-state-metrics")
        return replace(its, title="KubePodCrashLooping", description=scraped, service=None)

    moved = fired("KubePodCrashLooping", "cart", "Pod is waiting (CrashLoopBackOff).", pod="qq1zz")
    for address in ("10.0.0.3:8080", "10.0.0.4:8080"):
        its = replace(moved, service=None, description=f"{moved.description}\n - instance = {address}")
        assert stated(with_one, its).probability == pytest.approx(OF_ONE_SUBJECT, abs=0.05)
    assert stated(with_one, of_workload("cart")).probability == pytest.approx(OF_ONE_SUBJECT, abs=0.05)
    assert stated(with_one, of_workload("invoice-worker")).probability <= OF_ANOTHER_SUBJECT


def test_the_failure_type_is_not_read_off_the_envelope(memory: IncidentMemory) -> None:
    alert = fired("QueueBacklog", "cart", "Messages wait.").description.replace(
        "eu-west-1-prod", "redis-dns-postgres-prod"
    )
    kept, _ = memory.open_incident("QueueBacklog", alert)
    assert kept.failure_type is FailureType.OTHER


def test_an_incident_is_stored_as_it_came(memory: IncidentMemory) -> None:
    alert = fired("HighErrorRate", "cart", "5xx above 5 %")
    kept, _ = memory.open_incident(alert.title or "", alert.description, "cart", None)
    assert memory.get(kept.id).description == alert.description
