"""The alert of any monitoring system is known as its rule's, as long as nobody has added a word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from alert_forms import Firing, nagios
from alert_payloads import FORMS, datadog_webhook, opsgenie_webhook, pagerduty_webhook, sentry_issue, sns

from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.index.alerts import LONGEST, essence, told
from incidentos.memory.index.tokens import terms
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.ports import Embedder
from incidentos.memory.probability import COUNTS_FROM, OF_ANOTHER_RULE, OF_ANOTHER_SUBJECT, OF_ONE_SUBJECT

FIRED = Firing("HighErrorRate", "cart", "More than 5 % of the requests fail with 5xx.")
AGAIN = replace(FIRED, at=datetime(2026, 3, 9, 14, 47, 23, tzinfo=UTC), number=4711)
ANYBODYS = {"PagerDuty, e-mail", "Sentry, issue"}
"""The title of an incident in a mail may be anybody's, and an exception says what broke: neither is a rule's alone."""

BY_RULE = sorted(FORMS.keys() - ANYBODYS)


def text_of(form: str, fired: Firing = FIRED) -> str:
    return "\n".join(filter(None, FORMS[form](fired)))


@pytest.mark.parametrize("form", BY_RULE)
def test_an_alert_is_known_as_its_rule_s(form: str) -> None:
    """Of one rule it is always the same; of another one another."""
    rule = told(text_of(form)).rule
    assert rule is not None
    assert told(text_of(form, AGAIN)).rule == rule
    assert told(text_of(form, replace(FIRED, rule="QueueBacklog", says="The oldest message is old."))).rule not in (
        None,
        rule,
    )


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"PagerDuty, e-mail"}))
def test_what_is_new_each_time_is_gone_but_for_what_was_measured(form: str) -> None:
    """Ids, times and links; the service and the rule's sentence stay."""
    first, second = (
        set(terms(re.sub(r"-5d8f9c-\w+", "", essence(text_of(form, fired)).lower()))) for fired in (FIRED, AGAIN)
    )
    assert {term for term in first ^ second if not re.fullmatch(r"[\d.]+(?:crit)?|crit", term)} == set()
    assert "cart" in first
    assert FIRED.says not in text_of(form) or set(terms(FIRED.says.lower())) <= first


@pytest.mark.parametrize("form", BY_RULE)
@pytest.mark.parametrize(
    "word",
    [
        "redis evicted the sessions after the failover",
        "redis down",
        "cart panics",
        "release 4.17",
        "Note: since release 4.17",
        "db-3 is full",
        "Seen: panic: nil map in coupon.Apply",
        "Error: x509: certificate of pay.example.com has expired",
        '{"level":"error","msg":"pool timed out"}',
        '{"hikari_waiting": 212}',
    ],
)
def test_a_word_that_somebody_adds_is_kept_and_the_alert_no_rule_s_alone(form: str, word: str) -> None:
    title, text = FORMS[form](FIRED)
    places = [
        f"{title}\n{text}\n{word}",
        f"{title}\n{text}\n\n{word}",
        f"{title}\n{word}\n{text}",
        f"{word}\n{title}\n{text}",
    ]
    if form != "Datadog, event":  # that ends with the name of the monitor, which is whatever somebody called it
        places.append(f"{title} {word}\n{text}")
    for place in places:
        found = told(place)
        assert found.rule is None, place
        assert set(terms(re.sub(r'Note|Seen|Error|level|"error"|msg', "", word))) <= set(terms(found.text)), place


@pytest.mark.parametrize("form", BY_RULE)
def test_what_an_alert_is_about_is_read_off_its_fields(form: str) -> None:
    here, there = told(text_of(form)), told(text_of(form, replace(AGAIN, service="auth")))
    assert here.is_about(told(text_of(form, AGAIN)))
    assert not here.is_about(there)
    if "Slack" not in form:
        assert here.is_about(replace(there, labels={}, places=here.places), None, "cart")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_an_alert_repeats_itself_and_no_other(form: str) -> None:
    """Of another rule, or about another service, it is another incident."""
    first = told(text_of(form))
    other = replace(AGAIN, rule="QueueBacklog", says="The oldest message is older than 15 minutes.")
    assert told(text_of(form, replace(FIRED, at=AGAIN.at))).repeats(first)
    assert not told(text_of(form, other)).repeats(first)
    assert not told(text_of(form, replace(AGAIN, service="auth"))).repeats(first)


@pytest.mark.slow
@pytest.mark.parametrize("form", BY_RULE)
def test_of_open_alerts_each_repeat_is_known_and_no_other_swallowed(
    open_memory: Callable[..., IncidentMemory], real_embedder: Embedder, form: str
) -> None:
    memory = open_memory(real_embedder)
    backlog = replace(FIRED, rule="QueueBacklog", says="The oldest message is older than 15 minutes.")
    kinds = (FIRED, replace(FIRED, service="auth"), backlog, replace(backlog, service="auth"))
    opened = [memory.open_incident(*FORMS[form](fired)) for fired in kinds]
    assert [repeated for _, repeated in opened] == [False] * 4
    for (first, _), fired in zip(opened, kinds, strict=True):
        kept, repeated = memory.open_incident(*FORMS[form](replace(fired, at=AGAIN.at)))
        assert (kept.id, repeated) == (first.id, True)


@pytest.mark.slow
@pytest.mark.parametrize("form", BY_RULE)
def test_the_same_alert_again_says_which_rule_fired_and_not_why(
    open_memory: Callable[..., IncidentMemory], real_embedder: Embedder, form: str
) -> None:
    memory = open_memory(real_embedder)
    title, text = FORMS[form](FIRED)
    how = Resolution("a bad release")
    past = Incident(
        "past", title, text, FIRED.at, created_at=FIRED.at, status=Status.RESOLVED, resolved_at=FIRED.at, resolution=how
    )
    memory.import_batch([past], embed=True)
    for fired, least, most in (
        (AGAIN, COUNTS_FROM, OF_ONE_SUBJECT),
        (replace(AGAIN, rule="QueueBacklog", says="The oldest message is older than 15 minutes."), 0, OF_ANOTHER_RULE),
        (replace(AGAIN, service="auth"), 0, OF_ANOTHER_SUBJECT),
    ):
        about = Incident("now", *FORMS[form](fired), AGAIN.at, created_at=AGAIN.at)
        assert least <= memory.find(about.text, 12, about=about).matches[0].probability <= most


@pytest.mark.parametrize(
    "text",
    [
        "Checkout is down\nService: checkout\nStatus: down\nImpact: customers cannot pay\nHost: web-3",
        "Cart 500s\nHost: web1\nInfo: redis is down since the failover\nWhen: 2026-01-02 03:04\nService: cart",
        "*** URGENT ***\nInfo: orders are stuck\nWhen: 2026-01-02 03:04\nHost: db1\nImpact: no orders",
        "Event: the failover of db-1 to db-2\nHost: db-1\nDate: 2026-01-02\nSummary: replication did not come back",
        "Notification type: mail\nState: nothing is delivered\nDate: today\nService: smtp",
        "The alarm in eu-west-1 is flapping\nName: cart\nState change: every two minutes\nPeriod: since noon",
        "[Triggered by deploy] checkout returns 500\nStatus: investigating\nOwner: Ada\nImpact: no orders",
        "%%%\nthe percent signs come from our template engine\n%%%\nservice: mail\nimpact: broken letters",
        "[FIRING:1] cart is broken (since the release of noon)",
        '{"title": "checkout is slow", "body": "since noon", "event_type": "note", "last_updated": "noon", "org": {"id": "shop"}}',
    ],
)
def test_what_people_write_is_no_rule_s_and_loses_no_word(text: str) -> None:
    found = told(text)
    assert found.rule is None
    assert set(terms(text.replace("[FIRING:1]", ""))) <= set(terms(found.text)) | {
        "2026-01-02",
        "2026",
        "01",
        "02",
        "03",
        "04",
    }
    assert "down" not in text or "down" in found.text


def changed(form: Callable[[Firing], tuple[str, str]], change: Callable[[dict[str, Any]], None]) -> str:
    title, text = form(FIRED)
    payload = json.loads(text)
    change(payload)
    return f"{title}\n{json.dumps(payload)}"


def test_a_person_who_opened_the_incident_is_no_rule() -> None:
    def by_hand(payload: dict[str, Any]) -> None:
        payload["event"]["agent"]["type"] = "user_reference"

    assert told(changed(pagerduty_webhook, by_hand)).rule is None
    assert told(changed(opsgenie_webhook, lambda payload: payload["source"].update(type="web"))).rule is None


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload["alert"].update(note="we saw redis fail over"),
        lambda payload: payload["alert"].update(details={"seen": "redis failed over at noon"}),
        lambda payload: payload.update(comment="redis"),
    ],
)
def test_a_field_with_words_that_a_vendor_does_not_send_is_somebody_s(change: Callable[[dict[str, Any]], None]) -> None:
    found = told(changed(opsgenie_webhook, change))
    assert found.rule is None
    assert "redis" in found.text


def test_a_field_that_a_form_does_not_know_stays_with_its_value() -> None:
    found = told(changed(opsgenie_webhook, lambda payload: payload["alert"].update(details={"replica_lag": 4000})))
    assert "replica_lag 4000" in found.text


def test_what_is_handed_on_is_read_as_deep_as_it_lies() -> None:
    """A message of a queue that holds a message of a queue; anything else in one is nobody's rule."""
    title, text = sns(FIRED)
    inner = {**json.loads(text), "Message": text}
    assert told(f"{title}\n{json.dumps(inner)}").rule == told(f"{title}\n{text}").rule
    for depth in range(5):
        text = json.dumps({**inner, "Message": text})
        assert isinstance(essence(text), str), depth
    other = json.dumps({**inner, "Message": "The nightly export found 3 broken rows."})
    assert told(other).rule is None
    assert "3 broken rows" in told(other).text


def test_a_payload_may_stand_in_one_line_or_between_fences() -> None:
    title, text = pagerduty_webhook(FIRED)
    line = json.dumps(json.loads(text))
    for its in (line, f"```json\n{text}\n```"):
        assert told(f"{title}\n{its}").rule == told(f"{title}\n{text}").rule


def test_the_name_of_a_monitor_is_in_its_title_or_its_number_stands_for_it() -> None:
    title, text = datadog_webhook(FIRED)
    assert told(f"{title}\n{text}").rule == "higherrorrate"
    body = json.loads(text)["body"]
    assert told(body).rule == f"monitor {sum(map(ord, FIRED.rule))}"


def test_an_exception_says_what_broke_and_loses_its_envelope() -> None:
    found = told("\n".join(sentry_issue(FIRED)))
    assert found.rule is None
    assert FIRED.says in found.text
    assert not {"triggering_rules", "python", "url"} & set(found.text.split())


def test_a_host_that_does_not_answer_is_a_rule_s_too() -> None:
    _, text = nagios(FIRED)
    found = told(text.replace("Service: HighErrorRate\n", "").replace("CRITICAL", "DOWN"))
    assert found.rule == "host of nagios"
    assert found.labels == {"host": "cart-db1"}


@pytest.mark.parametrize(
    "form", ["Alertmanager, text", "Alertmanager, webhook", "Grafana, webhook", "CloudWatch, JSON"]
)
def test_a_large_group_is_read_and_says_what_all_of_it_is_about(form: str) -> None:
    """Up to 100,000 characters; no pod of it is taken for the one that it is about."""
    services = [f"shop{number}" for number in range(30)]
    texts = [FORMS[form](replace(FIRED, service=service, number=number))[1] for number, service in enumerate(services)]
    title, together = FIRED.rule, "\n".join(texts)
    assert 8_000 < len(together) < LONGEST
    found = told(f"{title}\n{together}")
    assert len(found.text) < len(together) / 2
    assert "https" not in found.text
    if "CloudWatch" not in form:
        assert found.rule == "higherrorrate"
    other = told(f"{title}\n" + "\n".join(texts[15:]))
    assert not found.repeats(other)
    assert not other.repeats(told(f"{title}\n{texts[0]}"))


def test_a_large_group_that_fires_again_says_no_more_than_a_small_one(
    open_memory: Callable[..., IncidentMemory], real_embedder: Embedder
) -> None:
    """Where it is longer than a query is, too: it is read before it is cut."""
    memory = open_memory(real_embedder)

    def of(at: datetime, name: str) -> Incident:
        alerts = [
            json.loads(FORMS["Alertmanager, webhook"](replace(FIRED, number=number, at=at))[1]) for number in range(30)
        ]
        alerts[0]["alerts"] = [alert for its in alerts for alert in its["alerts"]]
        return Incident(name, FIRED.rule, json.dumps(alerts[0], indent=1), at, created_at=at)

    how = Resolution("a bad release")
    past = replace(of(FIRED.at, "past"), status=Status.RESOLVED, resolved_at=FIRED.at, resolution=how)
    about = of(AGAIN.at, "now")
    assert len(about.text) > 20_000
    memory.import_batch([past], embed=True)
    assert memory.find(about.text, 12, about=about).matches[0].probability <= OF_ONE_SUBJECT


def test_a_long_text_that_is_no_alert_stays_as_it_is() -> None:
    text = (
        "[ALERT] what we did that night\n" + "Status: critical\nSeverity: high\n" + "we looked at the graph.\n" * 2_000
    )
    assert essence(text) == text
    longer = FORMS["Alertmanager, text"](FIRED)[1] * 300
    assert essence(longer) == longer
