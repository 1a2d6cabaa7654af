"""An alert's envelope tells nothing: it is neither searched nor compared, and is stored as it came."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from sent_alerts import CLOUDWATCH, fired

from incidentos.memory.index.alerts import essence, told
from incidentos.prompts.technologies import named


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
        (json.dumps(WEBHOOK), ["HighCPU", "web1", 'CPU above 90 % of "web"'], ["runbook", "critical", "2026"]),
        (json.dumps(WEBHOOK, indent=2), ["HighCPU", "web1", "CPU above 90"], ["runbook", "critical", "{"]),
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
        "DataSource: orders-db",
        "Account: acme",
        "State: FULL -> INIT",
        "Period: 100 saturated",
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
        "[a](b",
        "[Triggered on {a:b,",
        "*** a",
        "AbCd",
        "Severity: high\nruns: x\n",
        '{"Message":"{}","TopicArn":"a","MessageId":"b"}\n',
    ],
)
@pytest.mark.parametrize(
    "start",
    [
        "",
        "{",
        "a:b:c:d ",
        "a:b:c:d\nhttp://",
        "a:b:c:d\nYou are receiving this email because ",
        "[FIRING:1] ",
        "%%%\n[Monitor Status](https://x/monitors/1)\n",
    ],
)
def test_a_hostile_text_is_read_to_its_end(start: str, piece: str) -> None:
    """Of one whose reading is kept, of the longest that is read for fields, and of a longer one."""
    for length in (7_900, 99_000, 200_000):
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
    text = essence(
        r'{"message":"cut off \ud83d \u202e","\ud800k":"v","level":"error","ts":"2026-01-01","severity":"high"}'
    )
    assert text.encode()  # no lone surrogate
    assert "\u202e" not in text


def test_json_of_any_depth_is_read() -> None:
    deep = (
        '{"status":"firing","severity":"critical","alertname":"x","a":' + '{"a":' * 980 + '{"date":"1 jan"}' + "}" * 981
    )
    assert isinstance(essence(deep), str)


def test_a_long_text_of_which_little_is_an_alert_s_stays_as_it_is() -> None:
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
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + "\nredis down", False),
        (fired("HighErrorRate", "cart", "5xx above 5 %").text + "\n - note = coupon release panics", False),
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
