"""Alerts of one template: is what the template brings taken for likeness?

    python bench/alerts.py

Eight rules for four services, in the form in which Alertmanager's receivers send them: labels of the environment, links, ids.
Each is resolved with a cause of its own and asked about 60 days later by the same alert, by the same rule for another service, by
another rule for the same service, and by another rule for another one; in a memory of that alert alone, and in one of all 32 (of which
the very alerts that are asked about are left out where they should not be found). Stated is the first match's probability, on average,
and how many of the answers would count. Then three of the rules for two services in the form of each monitoring system
(`alert_forms.py`, `alert_payloads.py`), in a memory of that alert alone: p on average, the service stated / not stated. The alerts are
made up, no figure of the product was fitted to them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
from alert_forms import Firing, Form, alertmanager
from alert_payloads import FORMS
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


def fired(rule: str, service: str, at: datetime, number: int, form: Form = alertmanager) -> Incident:
    """The alert of a rule for a service."""
    title, description = form(Firing(rule, service, RULES[rule], at, number))
    found = Incident(f"{rule}-{service}", title, description, at, created_at=at, service=service)
    return replace(found, failure_type=classify_incident(found))


def resolved(rule: str, service: str, form: Form = alertmanager) -> Incident:
    """The same, once it was over, with a cause that no other has."""
    past = fired(rule, service, STORED, 17, form)
    return replace(past, status=Status.RESOLVED, resolved_at=STORED, resolution=Resolution(f"what broke {past.id}"))


def stated(
    memory: IncidentMemory, rule: str, service: str, hidden: frozenset[str], named: bool, form: Form = alertmanager
) -> float:
    """The first match's probability."""
    about = replace(fired(rule, service, ASKED, 4711, form), id="asked", service=service if named else None)
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


def by_form(cache: Path) -> Iterator[tuple[str, str, bool, float]]:
    """The form, what was asked, whether the service was stated, and the probability of the only match: three rules, two services."""
    embedder, kinds = fast_embedder(cache), list(product(list(RULES)[2::2], SERVICES[:2]))
    for name, form in FORMS.items():
        for number, (rule, service) in enumerate(kinds):
            past = RetrievalSet("alert", (resolved(rule, service, form),), {})
            other_rule, other_service = kinds[(number + 2) % len(kinds)][0], kinds[number ^ 1][1]
            asked = ((rule, service), (rule, other_service), (other_rule, service), (other_rule, other_service))
            with memory_of(past, embedder) as memory:
                for (ask, its), named in product(zip(ASKS, asked, strict=True), (True, False)):
                    yield name, ask, named, stated(memory, *its, frozenset(), named, form)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    cache = parser.parse_args().cache
    found = list(answers(cache))
    print("| memory | asked by | service stated | p on average | count |\n|---|---|---|---|---|")
    for memory, ask, named in product(("that alert alone", "all 32"), ASKS, (True, False)):
        p = np.array([its for *kind, its in found if kind == [memory, ask, named]])
        print(f"| {memory} | {ask} | {named} | {p.mean():.2f} | {(p >= COUNTS_FROM).sum()} of {len(p)} |")
    print(f"\n| form | {' | '.join(ASKS)} |\n|---|---|---|---|---|")
    found = list(by_form(cache))
    for form in FORMS:
        stated_and_not = (
            " / ".join(
                f"{np.mean([p for *kind, p in found if kind == [form, ask, named]]):.2f}" for named in (True, False)
            )
            for ask in ASKS
        )
        print(f"| {form} | {' | '.join(stated_and_not)} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
