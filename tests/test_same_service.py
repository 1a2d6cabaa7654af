"""Other trouble of one service is told apart from the same trouble, by what the descriptions say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from incidentos.memory.incident import Incident, Outcome, Resolution, Status, Step
from incidentos.memory.index.background import background, rarity
from incidentos.memory.index.closeness import CloseLook
from incidentos.memory.index.grams import Grams
from incidentos.memory.index.readings import Reading
from incidentos.memory.index.tokens import terms
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import COUNTS_FROM, Match

Make = Callable[..., Incident]

ARGO = (
    "Argo CD apps stuck OutOfSync",
    "sync fails: rpc error Unavailable, repo-server pods restart with exit code 137",
    "argocd",
)
REDIS = ("Redis OOM on cache-1", "OOM command not allowed when used memory > maxmemory", "redis")
CERTIFICATE = ("TLS certificate expired", "api.example.com: x509 certificate has expired", "ingress")


@pytest.fixture
def asked(open_memory: Callable[..., IncidentMemory], real_embedder: Embedder, incident: Make) -> Callable[..., Match]:
    """The match of a memory of one incident of two months ago, with vectors or without."""

    def ask(past: tuple[str, str, str], title: str, description: str, *, vectors: bool = True) -> Match:
        stored: Any = incident(
            "past",
            past[0],
            description=past[1],
            service=past[2],
            status=Status.RESOLVED,
            resolution=Resolution("What it was"),
        )
        memory = open_memory(real_embedder) if vectors else open_memory()
        memory.import_batch([stored], embed=vectors)
        later = stored.created_at + timedelta(days=60)
        about = incident("now", title, description=description, service=past[2], created_at=later)
        return memory.find(about.text, 5, about=about).matches[0]

    return ask


@pytest.mark.parametrize(
    ("past", "title", "description"),
    [
        (ARGO, "Argo CD sync failing", "repo-server pods exit 137 again, rpc error Unavailable"),
        (REDIS, "cache-1 rejects writes", "clients get: OOM command not allowed, used memory at the limit"),
        (
            CERTIFICATE,
            "API clients see errors",
            "handshake fails, the certificate of api.example.com is not valid any more",
        ),
    ],
)
def test_the_same_trouble_again_counts(asked: Callable[..., Match], past: Any, title: str, description: str) -> None:
    assert asked(past, title, description).probability >= COUNTS_FROM


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize(
    ("past", "title", "description"),
    [
        (ARGO, "Argo CD login loops", "SSO redirect returns to the login page"),
        (
            ARGO,
            "Argo CD apps stuck OutOfSync",
            "the webhook of the git host is not delivered since the firewall change",
        ),
        (REDIS, "Redis failover on cache-1", "sentinel promoted cache-2, clients get READONLY"),
        (CERTIFICATE, "TLS certificate warning", "browser warns of mixed content on the shop's front page"),
    ],
)
def test_other_trouble_of_the_service_does_not(
    asked: Callable[..., Match], past: Any, title: str, description: str, vectors: bool
) -> None:
    match = asked(past, title, description, vectors=vectors)
    assert match.evidence.same_service
    assert match.probability < COUNTS_FROM - 0.15


@pytest.fixture
def beyond(incident: Make) -> Callable[..., float]:
    """What a text and a past incident share beyond the names."""

    def share(text: str, **past: Any) -> float:
        telling = {term: rarity(0.0, 0, background().term(term)) for term in terms(text)}
        return CloseLook(text, telling, Grams(()), [Reading(incident("past", **past))], [None], [None]).at(0).beyond

    return share


SEALED = {"title": "Vault sealed on vault-2", "description": "auto-unseal fails with AccessDenied", "service": "vault"}


def test_the_names_that_both_state_are_no_evidence(beyond: Callable[..., float]) -> None:
    assert beyond("Vault audit disk full on vault-2\naudit.log at 91 % of the volume", **SEALED) < 0.05
    assert beyond("Vault down\nunseal fails: AccessDenied", **SEALED) > 0.5
    assert beyond("Vault sealed on vault-2", **SEALED) == 0.0  # nothing but names
    assert beyond("", **SEALED) == beyond("?!\n\n", **SEALED) == 0.0


def test_what_it_was_in_the_end_is_compared_too(beyond: Callable[..., float]) -> None:
    asked = "Vault down\nthe KMS key policy was changed"
    assert (
        beyond(asked, **SEALED, resolution=Resolution("the KMS key policy lost the node role"))
        > beyond(asked, **SEALED) + 0.3
    )


def test_neither_a_talkative_query_nor_a_long_record_makes_much_of_what_is_shared(beyond: Callable[..., float]) -> None:
    text, more = "Vault down\nauto-unseal fails with AccessDenied", " the dashboards of several teams look strange" * 3
    alike = beyond(text, **SEALED)
    assert alike / 2 < beyond(text + more, **SEALED) < alike
    everything = SEALED["description"] + " " + " ".join(f"word{n} errors timeout login" for n in range(200))
    assert beyond(text, **{**SEALED, "description": everything}) < alike / 2
    lengthy = Resolution(
        "a bad deploy. " * 40 + "auto-unseal fails with AccessDenied", (Step(text, None, Outcome.FAILED),)
    )
    assert beyond(text, **{**SEALED, "description": "all is red", "resolution": lengthy}) < 0.1
    assert beyond("Login fails\nerrors, timeout", **{**SEALED, "description": everything}) < 0.15
