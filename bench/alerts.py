"""Alerts of one template: is what the template brings taken for likeness?

    python bench/alerts.py

Eight rules for four services, in the form in which Alertmanager's receivers send them: labels of the environment, links, ids.
Each is resolved with a cause of its own and asked about 60 days later by the same alert, by the same rule for another service, by
another rule for the same service, and by another rule for another one; in a memory of that alert alone, and in one of all 32 (of which
the very alerts that are asked about are left out where they should not be found). Stated is the first match's probability, on average,
and how many of the answers would count. The alerts are made up here, no figure of the product was fitted to them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
from recall import memory_of
from sets import CACHE, RetrievalSet, fast_embedder

from incidentos.memory.failure_types import classify_incident
from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.probability import COUNTS_FROM
from incidentos.memory.recall import Scope

ASKED = datetime(2026, 1, 1, tzinfo=UTC)
STORED = ASKED - timedelta(days=60)
RULES = {
    "KubePodCrashLooping": "Pod is in waiting state (reason: CrashLoopBackOff).",
    "KubeMemoryOvercommit": "Cluster has overcommitted memory resource requests.",
    "HighErrorRate": "More than 5 % of the requests fail with 5xx for 10 minutes.",
    "HighLatencyP99": "The 99th percentile is above 2 s for 10 minutes.",
    "DiskWillFillIn4Hours": "The volume will be full within 4 hours.",
    "TargetDown": "More than 10 % of the targets are down.",
    "CertificateExpiresSoon": "The certificate expires within 7 days.",
    "QueueBacklog": "The oldest message is older than 15 minutes.",
}
SERVICES = ("cart", "auth", "orders", "search")
ASKS = ("the same rule, the same service", "the same rule", "the same service", "neither")


def fired(rule: str, service: str, at: datetime, pod: str) -> Incident:
    """The alert of a rule for a service."""
    description = f"""Labels:
 - alertname = {rule}
 - namespace = prod
 - service = {service}
 - pod = {service}-5d8f9c-{pod}
 - severity = critical
 - cluster = eu-west-1-prod
 - prometheus = monitoring/k8s
Annotations:
 - summary = {RULES[rule]}
 - description = {RULES[rule]} Seen on {service}-5d8f9c-{pod}.
 - runbook_url = https://runbooks.example.com/{rule.lower()}
Source: https://prometheus.example.com/graph?g0.expr={rule}"""
    found = Incident(
        f"{rule}-{service}", f"[FIRING:1] {rule} ({service} prod)", description, at, created_at=at, service=service
    )
    return replace(found, failure_type=classify_incident(found))


def resolved(rule: str, service: str) -> Incident:
    """The same, once it was over, with a cause that no other has."""
    past = fired(rule, service, STORED, "x7k2p")
    return replace(past, status=Status.RESOLVED, resolved_at=STORED, resolution=Resolution(f"what broke {past.id}"))


def stated(memory: IncidentMemory, rule: str, service: str, hidden: frozenset[str], named: bool) -> float:
    """The first match's probability."""
    about = replace(fired(rule, service, ASKED, "qq1zz"), id="asked", service=service if named else None)
    return memory.find(about.text, 12, Scope(exclude=hidden), about=about).matches[0].probability


def answers(cache: Path) -> Iterator[tuple[str, str, bool, float]]:
    """The memory, what was asked, whether the service was stated, and the probability of the first match."""
    embedder, kinds = fast_embedder(cache), list(product(RULES, SERVICES))
    past = [resolved(*kind) for kind in kinds]
    with memory_of(RetrievalSet("alerts", tuple(past), {}), embedder) as memory:
        for (number, (rule, service)), named in product(enumerate(kinds), (True, False)):
            other_rule, other_service = kinds[(number + 4) % 32][0], kinds[number - number % 4 + (number + 1) % 4][1]
            everything = {its.id for its in past}
            for ask, its_rule, its_service, hides in (
                (ASKS[0], rule, service, set()),
                (ASKS[1], rule, other_service, {f"{rule}-{other_service}"}),
                (ASKS[2], other_rule, service, {its for its in everything if its.startswith(f"{other_rule}-")}),
                (ASKS[3], other_rule, other_service, {
                    its for its in everything if its.startswith(f"{other_rule}-") or its.endswith(f"-{other_service}")
                }),
            ):  # fmt: skip
                yield "all 32", ask, named, stated(memory, its_rule, its_service, frozenset(hides), named)
                alone = frozenset(everything - {f"{rule}-{service}"})
                yield "that alert alone", ask, named, stated(memory, its_rule, its_service, alone, named)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    found = list(answers(parser.parse_args().cache))
    print("| memory | asked by | service stated | p on average | count |\n|---|---|---|---|---|")
    for memory, ask, named in product(("that alert alone", "all 32"), ASKS, (True, False)):
        p = np.array([its for *kind, its in found if kind == [memory, ask, named]])
        print(f"| {memory} | {ask} | {named} | {p.mean():.2f} | {(p >= COUNTS_FROM).sum()} of {len(p)} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
