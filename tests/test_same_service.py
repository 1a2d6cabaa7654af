"""Other trouble of one service is told apart from the same trouble, by what the descriptions say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from incidentos.memory.incident import Incident, Resolution, Status
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


def test_the_names_that_both_state_are_no_evidence(incident: Make) -> None:
    def beyond(text: str, **past: Any) -> float:
        telling = {term: rarity(0.0, 0, background().term(term)) for term in terms(text)}
        return CloseLook(text, telling, Grams(()), [Reading(incident("past", **past))], [None], [None]).at(0).beyond

    sealed = {
        "title": "Vault sealed on vault-2",
        "description": "auto-unseal fails with AccessDenied",
        "service": "vault",
    }
    assert beyond("Vault audit disk full on vault-2\naudit.log at 91 % of the volume", **sealed) < 0.05
    assert beyond("Vault down\nunseal fails: AccessDenied", **sealed) > 0.6
    assert beyond("Vault down\nclients fail", **{**sealed, "resolution": Resolution("clients were down")}) > 0.3
    assert beyond("Vault sealed on vault-2", **sealed) == 0.0  # nothing but names
    assert beyond("", **sealed) == beyond("?!\n\n", **sealed) == 0.0


def test_a_long_record_is_searched_by_passages(incident: Make) -> None:
    """A pasted log holds a bit of everything, here and there."""
    filler = "something quite different happened over there " * 60
    text = "grafana blank\nredis evicts keys while kafka rebalances"
    telling = dict.fromkeys(terms(text), 3.0)

    def beyond(description: str) -> float:
        past = Reading(incident("past", "a title", description=description))
        return CloseLook(text, telling, Grams(()), [past], [None], [None]).at(0).beyond

    together = beyond(filler + "redis evicts keys while kafka rebalances" + filler)
    assert together > beyond(f"redis {filler} evicts keys {filler} kafka {filler} rebalances") + 0.2
