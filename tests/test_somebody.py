"""What somebody adds to an alert in a field that alerts have, too; another service; and what was redacted."""

from __future__ import annotations

import json

import pytest
from alert_payloads import FORMS
from sent_alerts import fired
from test_vendors import BY_RULE, FIRED, text_of

from incidentos.memory.index.alerts import same_service, told
from incidentos.memory.redaction import redact

ALERT = fired("HighErrorRate", "cart", "5xx above 5 %").text
JSON = {"alertname": "X", "status": "firing", "fingerprint": "a1", "severity": "critical", "service": "cart"}


@pytest.mark.parametrize(
    "line",
    [
        "value: 503s from the payment gateway",
        "database: orders-db is down since failover",
        "host: web-3 lost its network card",
        "name: redis failover",
        "summary: redis failed over at noon",
        "description: redis failed over at noon",
        "Caller: deploy-v2.3",
    ],
)
@pytest.mark.parametrize("form", BY_RULE)
def test_words_in_a_field_beside_the_rule_s_are_somebody_s(form: str, line: str) -> None:
    title, text = FORMS[form](FIRED)
    for place in (f"{title}\n{text}\n{line}", f"{title}\n{line}\n{text}", f"{line}\n{title}\n{text}"):
        found = told(place)
        assert found.rule is None, place
        assert line.split(": ")[1] in found.text


@pytest.mark.parametrize("its", ["503", "v2.3.1"])
@pytest.mark.parametrize("form", BY_RULE)
def test_a_figure_that_somebody_put_above_an_alert_is_kept(form: str, its: str) -> None:
    assert its in told(f"{its}\n{text_of(form)}").text


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({**JSON, "analysis": "redis failed over at noon, maxmemory was unset"}),
        json.dumps({**JSON, "summary": "errors"})[:-1] + ', "summary": "redis failed over"}',
        json.dumps({**JSON, "database": "redis failed over at noon"}),
    ],
)
def test_a_sentence_in_json_is_somebody_s_and_a_name_given_twice_loses_nothing(text: str) -> None:
    found = told(f"X\n{text}")
    assert found.rule is None
    assert "redis failed over" in found.text
    assert told(f"X\n{json.dumps(JSON)}").rule == "x"


def test_a_stated_service_is_the_same_only_by_its_whole_name() -> None:
    assert same_service("cart", "Cart-Service")
    assert same_service("CartService", "cart_svc")
    alert = told(ALERT)
    for one, other in (("payments-api", "api"), ("cart-redis", "cart"), ("orders", "orders-db"), ("web-1", "web-2")):
        assert not alert.is_about(alert, one, other)
        assert not alert.is_about(alert, other, one)


def test_what_was_redacted_is_no_likeness() -> None:
    for text in ("login fails, password=hunter2secret token=zzz111yyy222", 'env: "password": "hunter2secret"'):
        kept = redact(text)
        assert "[redacted: " in kept
        assert "redacted" not in told(kept).text
    alert = json.dumps({**JSON, "labels": {"secret": "edge-tls-cert"}})
    assert told(f"X\n{redact(alert)}").rule == "x"
