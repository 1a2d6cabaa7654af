"""What the memory makes of alerts: how likely they are the last one, and which repeat an open one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sent_alerts import AT, CLOUDWATCH, fired

from incidentos.memory.incident import FailureType, Incident, Resolution, Status
from incidentos.memory.index.alerts import essence
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import COUNTS_FROM, OF_ANOTHER_SUBJECT, OF_ONE_SUBJECT, Match


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


def test_the_account_of_a_cloud_tells_two_open_alarms_apart(memory: IncidentMemory) -> None:
    _, repeated = memory.open_incident("ALARM", CLOUDWATCH)
    assert not repeated
    _, repeated = memory.open_incident("ALARM", CLOUDWATCH.replace("123456789012", "999988887777"))
    assert not repeated


@pytest.mark.parametrize(
    "label", ["persistentvolumeclaim", "horizontalpodautoscaler", "job_name", "exported_namespace"]
)
def test_a_label_of_one_s_own_tells_what_an_alert_is_about(memory: IncidentMemory, label: str) -> None:
    """The service and the job are the kubelet's then."""

    def of(value: str) -> Incident:
        its = fired("KubePersistentVolumeFillingUp", "kubelet", "The volume fills up.", pod="x7k2p")
        return replace(
            its,
            description=f"{its.description}\n - {label} = {value}".replace(" - pod = kubelet-5d8f9c-x7k2p\n", ""),
            service=None,
        )

    memory.import_batch([resolved(replace(of("data-cart"), created_at=AT - timedelta(days=60)), "past")], embed=True)
    assert stated(memory, of("data-billing")).probability <= OF_ANOTHER_SUBJECT
    assert stated(memory, of("data-cart")).probability == pytest.approx(OF_ONE_SUBJECT, abs=0.05)


def test_a_secret_that_json_hides_is_not_compared() -> None:
    text = essence(
        r'{"error":"login pass\u0077ord=hunter2hunter2","level":"error","ts":"2026-01-01","severity":"high"}'
    )
    assert "hunter2" not in text


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


def test_a_text_that_no_tokenizer_takes_is_embedded_all_the_same(real_embedder: Embedder) -> None:
    """One such text would keep all that wait with it from being embedded."""
    lone, plain = real_embedder.embed(["disk full \ud83d on db-3", "disk full on db-3"])
    assert float(lone @ plain) > 0.8
