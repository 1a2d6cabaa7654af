"""An open incident is taken for another's repeat only where nothing that tells them apart would be lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from alert_forms import labelled
from alert_payloads import FORMS
from test_vendors import AGAIN, BY_RULE, FIRED, text_of

from incidentos.memory.index.alerts import told
from incidentos.memory.index.kept import Kept
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder


def crash(pod: str) -> str:
    its = {"alertname": "KubePodCrashLooping", "pod": pod, "cluster": "prod"}
    return labelled("x", its, {"summary": "Pod is crash looping.", "description": f"{pod} restarts."})


def group(pods: list[str]) -> str:
    alerts = [{"labels": {"alertname": "PodDown", "pod": pod}, "fingerprint": str(at)} for at, pod in enumerate(pods)]
    return json.dumps({"receiver": "t", "groupKey": "g", "alerts": alerts})


def shard(its: int | None) -> str:
    return json.dumps(
        {"alertname": "ShardDown", "status": "firing", "fingerprint": "a1", "severity": "high", "shard": its}
    )


KAFKA = [f"kafka-{number}" for number in range(40)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *((crash(f"{host}1"), crash(f"{host}2")) for host in ("etcd-node", "es-data", "web-prod", "pg-srv4")),
        (group(KAFKA), group([*KAFKA[:35], *(f"zookeeper-{number}" for number in range(5))])),
        (shard(3), shard(None)),
        (shard(3), shard(4)),
        ("Disk full on db-1\nwrites fail", "Disk full on db-2\nwrites fail"),
        ("signature mismatch on endpoint A", "signature mismatch on endpoint B"),
        ("signature mismatch on endpoint b", "signature mismatch on endpoint a"),
        ("Replica 3 of shard 7 is unassigned", "Replica 7 of shard 3 is unassigned"),
        ("Deploy of 4.17 failed", "Deploy of 4.18 failed"),
        ("Job failed with exit code 1", "Job failed with exit code 137"),
        ("Error rate not above 5 % on cart", "Error rate above 5 % on cart"),
        ("Failover of db-1 to db-2", "Failover of db-2 to db-1"),
        (crash("kafka-0"), crash("kafka-0") + "\nBroker 3 was OOMKilled"),
        ("Backup of 2026-01-03 is corrupt", "Backup of 2026-01-05 is corrupt"),
        ("Order 1700000001 fails to ship", "Order 1700000002 fails to ship"),
        ("The 02:00 backup failed", "The 14:00 backup failed"), ("500s on checkout", "503s on checkout"), ("C++ build red", "C build red"),
    ],
)  # fmt: skip
def test_a_host_a_number_a_letter_or_a_word_more_makes_it_another_incident(one: str, other: str) -> None:
    assert not told(other).repeats(told(one))
    assert not told(one).repeats(told(other))
    assert told(one).repeats(told(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (crash("cart-7bd4f8-qq1zz"), crash("cart-5d8f9c-x7k2p")),
        ("cart-7bd4f8-qq1zz is slow since 10:02", "cart-5d8f9c-x7k2p is slow since 11:40"),
        ("Disk 91 % full on db-1, 40 GB left", "Disk is 93% full on db-1, 38 GB left!"),
        ("Replica lags 5s on Jan 2, 2026 at 10:02 UTC", "Replica lags 30 s on Feb 11, 2026 at 03:15 UTC"),
        ("pool full on checkout", "Pool full on checkout again"),
    ],
)
def test_the_same_with_other_times_figures_and_pods_is_a_repeat(one: str, other: str) -> None:
    assert told(other).repeats(told(one))


@pytest.mark.parametrize("form", BY_RULE)
def test_an_alert_that_fires_again_with_other_ids_and_figures_is_a_repeat(form: str) -> None:
    assert told(text_of(form, AGAIN)).repeats(told(text_of(form)))


def test_a_mail_of_another_service_is_stored(
    open_memory: Callable[..., IncidentMemory], real_embedder: Embedder
) -> None:
    memory = open_memory(real_embedder)
    for service in ("mail", "search"):
        _, repeated = memory.open_incident(*FORMS["PagerDuty, e-mail"](replace(FIRED, service=service)))
        assert not repeated


def test_what_was_asked_last_is_kept_within_the_bound() -> None:
    asked: list[str] = []

    def of(text: str) -> str:
        asked.append(text)
        return text.upper()

    kept = Kept(of, len, 6)
    assert [kept(text) for text in ("aaa", "bbb", "aaa", "ccc", "aaa", "bbb")] == [
        "AAA",
        "BBB",
        "AAA",
        "CCC",
        "AAA",
        "BBB",
    ]
    assert asked == ["aaa", "bbb", "ccc", "bbb"]
