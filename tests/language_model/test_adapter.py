"""How Groq is asked: the form of the reply, what is tried again, what is remembered, and where the key never stands."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest

from incidentos.prompts import faults
from incidentos.prompts.breaker import Breaker
from incidentos.prompts.faults import ModelFault
from incidentos.prompts.groq import _retry_after
from incidentos.prompts.reply import Reply, parse_reply, strict_schema
from incidentos.prompts.usage import UsageLog

pytestmark = pytest.mark.anyio

Behaviour = Callable[[Any, Any], None]


def refuse(status: int, **headers: str) -> Behaviour:
    return lambda handler, _: handler.error(status, "no", "", headers)


# The form of the reply


async def test_a_model_that_knows_schemas_is_held_to_the_whole_form(groq: Any, writer_on: Any, draft: Any) -> None:
    """Constrained decoding: strict, without references, every field required. The local server refuses anything else."""
    writer = writer_on()
    written = await writer.write(draft)
    await writer.aclose()
    assert written.analysis.startswith("Based on ")
    [request] = groq.requests
    assert request["response_format"]["json_schema"]["strict"] is True
    assert request["reasoning_effort"] == "low"
    assert groq.headers[0]["x-stainless-retry-count"] == "0"


async def test_a_model_that_knows_json_alone_is_found_out_once(groq: Any, writer_on: Any, draft: Any) -> None:
    writer = writer_on(model="plain/json-only")
    for _ in range(3):
        await writer.write(draft)
    await writer.aclose()
    forms = [request["response_format"]["type"] for request in groq.requests]
    assert forms == ["json_schema", "json_object", "json_object", "json_object"]
    assert "reasoning_effort" not in groq.requests[0]
    assert '"hypothesis"' in groq.requests[-1]["messages"][0]["content"]
    assert writer.status()["structured_output"] == "JSON mode"


async def test_a_refusal_that_names_no_reason_is_remembered_once_json_alone_works(
    groq: Any, writer_on: Any, draft: Any
) -> None:
    groq.script = [refuse(400)]
    writer = writer_on()
    for _ in range(2):
        await writer.write(draft)
    await writer.aclose()
    forms = [request["response_format"]["type"] for request in groq.requests]
    assert forms == ["json_schema", "json_object", "json_object"]


def test_the_form_is_the_reply_s_own() -> None:
    schema = strict_schema()
    assert list(schema["properties"]) == list(Reply.model_fields)
    step = schema["properties"]["steps"]["items"]
    assert step["properties"]["risk"]["enum"] == ["read-only", "reversible", "destructive"]
    assert (schema["additionalProperties"], step["additionalProperties"]) == (False, False)


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ('{"hypothesis":"h","why":"w","steps":[],"prevention":null}', True),
        ('```json\n{"hypothesis":"h","why":"w","steps":[],"prevention":"p"}\n```', True),
        ('{"hypothesis":"h","why":"w","steps":[],"prevention":"p","extra":1}', True),
        ('Here it is: {"hypothesis":"h","why":"w","steps":[],"prevention":"p"}', False),
        ('{"hypothesis":"h","why":"w","steps":[{"action":"a"}],"prevention":"p"}', False),
        ('{"hypothesis":"h","why":"w","steps":"none","prevention":"p"}', False),
        ('{"hypothesis":1,"why":"w","steps":[],"prevention":"p"}', False),
        ("null", False),
        ("", False),
    ],
)
def test_a_reply_is_read_in_its_form_or_not_at_all(text: str, readable: bool) -> None:
    assert (parse_reply(text) is not None) is readable


# Trying again


@pytest.mark.parametrize("status", [408, 409, 429, 498, 500, 502, 503])
async def test_what_may_pass_is_tried_again(status: int, groq: Any, writer_on: Any, draft: Any) -> None:
    groq.script = [refuse(status)]
    writer = writer_on()
    written = await writer.write(draft)
    await writer.aclose()
    assert written.actions
    assert len(groq.requests) == 2


async def test_a_connection_that_was_dropped_is_made_anew(groq: Any, writer_on: Any, draft: Any) -> None:
    groq.script = [lambda handler, _: handler.hang_up()]
    writer = writer_on()
    await writer.write(draft)
    await writer.aclose()
    assert len(groq.requests) == 2


async def test_a_retry_after_is_waited_for_where_it_fits(groq: Any, writer_on: Any, draft: Any) -> None:
    at: list[float] = []

    def later(handler: Any, request: Any) -> None:
        at.append(time.monotonic())
        handler.server.otherwise = original
        handler.error(429, "slow down", "", {"retry-after": "0.6"})

    original = groq.otherwise

    def now(handler: Any, request: Any) -> None:
        at.append(time.monotonic())
        original(handler, request)

    groq.script = [later, now]
    writer = writer_on()
    await writer.write(draft)
    await writer.aclose()
    assert at[1] - at[0] >= 0.6


async def test_a_retry_after_beyond_the_deadline_is_not_waited_for(groq: Any, writer_on: Any, draft: Any) -> None:
    """The user has the answer at once, and the next call does not ask in vain."""
    groq.otherwise = refuse(429, **{"retry-after": "120"})
    writer = writer_on(deadline=30)
    begun = time.monotonic()
    for said in ("asked again in 120 s", "left alone for another 1[12]"):
        with pytest.raises(ModelFault, match=said):
            await writer.write(draft)
    await writer.aclose()
    assert time.monotonic() - begun < 10
    assert len(groq.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "9" * 30}, 86_400),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_a_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert _retry_after(headers) == seconds


def test_a_retry_after_may_be_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=100)
    assert 90 <= (_retry_after({"retry-after": format_datetime(at, usegmt=True)}) or 0) <= 100


# Ending early


async def test_a_cancelled_call_lets_go_of_groq_at_once(groq: Any, writer_on: Any, draft: Any) -> None:
    asked, gone = threading.Event(), threading.Event()

    def wait(handler: Any, _: Any) -> None:
        asked.set()
        handler.connection.settimeout(10)
        if handler.connection.recv(1) == b"":
            gone.set()

    groq.otherwise = wait
    writer = writer_on(deadline=20)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.write, draft)
        assert await anyio.to_thread.run_sync(asked.wait, 20)
        tasks.cancel_scope.cancel()
    assert tasks.cancel_scope.cancelled_caught
    assert await anyio.to_thread.run_sync(gone.wait, 5)
    await writer.aclose()
    assert "error" not in writer.status()


def test_each_event_loop_has_a_client_of_its_own_which_is_closed(groq: Any, writer_on: Any, draft: Any) -> None:
    writer = writer_on()
    clients = []

    async def once() -> None:
        await writer.write(draft)
        client = await writer._groq._client_of_this_loop()
        assert client is await writer._groq._client_of_this_loop()
        clients.append(client)
        await writer.aclose()
        assert client.is_closed()

    for _ in range(2):
        asyncio.run(once())
    assert clients[0] is not clients[1]


# The key


async def test_the_key_stands_in_one_header_and_nowhere_else(
    groq: Any, writer_on: Any, draft: Any, key: str, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """Not in the request's text, a log at its most talkative, an error, the status or the file of figures."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpcore", "httpx", "groq"):
        caplog.set_level(logging.DEBUG, logger=name)
    groq.script = [refuse(500), refuse(401)]
    writer = writer_on()
    with pytest.raises(ModelFault) as met:
        await writer.write(draft)
    await writer.aclose()
    assert groq.headers[0]["authorization"] == f"Bearer {key}"
    assert key not in json.dumps(groq.requests)
    seen = [str(met.value), repr(met.value), repr(writer._access), json.dumps(writer.status())]
    seen += [writer._log._path.read_text(), *capfd.readouterr()]
    # The vendor's own transport would log headers at DEBUG, which nothing of ours turns on; it masks this one.
    seen += [
        record.getMessage() for record in caplog.records if record.name.startswith(("groq", "httpx", "incidentos"))
    ]
    assert not [text for text in seen if key in text]


async def test_an_alert_that_holds_the_key_is_sent_without_it(groq: Any, writer_on: Any, draft_for: Any) -> None:
    key = "short-key-1"
    writer = writer_on(key=key)
    with pytest.raises(ModelFault):  # the local server knows another key
        await writer.write(draft_for(f"auth fails since we set it to {key}", "", None))
    await writer.aclose()
    assert "since we set it to" in groq.asked
    assert key not in json.dumps(groq.requests)


async def test_a_redirect_takes_the_incident_nowhere(groq: Any, writer_on: Any, draft: Any) -> None:
    """307 would repeat the whole request at another address."""
    groq.script = [lambda handler, _: handler.send(307, b"", {"location": f"{groq.url}/openai/v1/chat/completions"})]
    writer = writer_on()
    with pytest.raises(ModelFault):
        await writer.write(draft)
    await writer.aclose()
    assert len(groq.requests) == 1


# Proving the key


async def test_a_key_is_proved_without_a_token_spent(groq: Any, writer_on: Any) -> None:
    writer = writer_on()
    await writer._groq.prove()
    await writer.aclose()
    assert [request["path"].replace("%2F", "/") for request in groq.requests] == [
        "/openai/v1/models/openai/gpt-oss-120b"
    ]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"key": "gsk_wrong0123456789wrong0123456789"}, faults.REFUSED_KEY),
        ({"model": "llama-9"}, faults.NO_MODEL),
        ({"url": "http://127.0.0.1:1"}, faults.UNREACHABLE),
    ],
)
async def test_what_does_not_hold_is_said(given: dict[str, str], fault: faults.Fault, writer_on: Any) -> None:
    writer = writer_on(**given)
    with pytest.raises(ModelFault) as met:
        await writer._groq.prove()
    await writer.aclose()
    assert met.value.fault is fault


# The breaker and the figures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a(fault: faults.Fault, retry_after: float | None = None) -> ModelFault:
    facts = {"model": "m", "host": "h", "deadline": "8", "status": 500, "seconds": 15, "faults": "x"}
    return ModelFault(fault, retry_after=retry_after, **facts)


def test_a_refused_key_is_not_shown_again_for_five_minutes() -> None:
    clock = Clock()
    breaker = Breaker(8, clock)
    breaker.failed(a(faults.REFUSED_KEY))
    with pytest.raises(ModelFault, match="another 300 s, after this: Groq refused the key"):
        breaker.admit()
    clock.now += 301
    breaker.admit()


def test_a_dead_groq_costs_two_deadlines_and_then_none_and_one_call_tries_it_again() -> None:
    clock = Clock()
    breaker = Breaker(8, clock)
    for _ in range(2):
        breaker.admit()
        breaker.failed(a(faults.TOO_LATE))
    assert breaker.seconds_left == 30
    clock.now += 31
    breaker.admit()  # the trial
    with pytest.raises(ModelFault):
        breaker.admit()  # the others wait for how it goes
    breaker.failed(a(faults.TOO_LATE))
    assert breaker.seconds_left == 60
    clock.now += 61
    breaker.admit()
    breaker.succeeded()
    breaker.admit()
    assert breaker.seconds_left == 0


def test_a_trial_that_was_cancelled_leaves_the_way_open_after_its_time() -> None:
    clock = Clock()
    breaker = Breaker(8, clock)
    breaker.failed(a(faults.FORBIDDEN))
    clock.now += 301
    breaker.admit()
    clock.now += 9
    breaker.admit()


@pytest.mark.parametrize("fault", [faults.UNGROUNDED, faults.NO_FORM, faults.CUT_OFF, faults.TOO_LARGE])
def test_a_reply_that_was_no_good_closes_nothing(fault: faults.Fault) -> None:
    breaker = Breaker(8, Clock())
    for _ in range(5):
        breaker.failed(a(fault))
        breaker.admit()


def test_no_pause_is_longer_than_five_minutes() -> None:
    breaker = Breaker(8, Clock())
    breaker.failed(a(faults.RATE_LIMIT, 86_400))
    assert breaker.seconds_left == 300
    for _ in range(50):
        breaker.failed(a(faults.SERVER_FAILED))
    assert breaker.seconds_left == 300


async def test_figures_are_kept_for_the_doctor(groq: Any, writer_on: Any, draft: Any) -> None:
    writer = writer_on()
    await writer.write(draft)
    groq.otherwise = refuse(422)
    with pytest.raises(ModelFault):
        await writer.write(draft)
    await writer.aclose()
    usage = UsageLog(writer._log._path).usage
    assert (usage.answered, usage.failed, usage.prompt_tokens, usage.completion_tokens) == (1, 1, 1200, 300)
    assert usage.seconds is not None
    assert usage.error is not None
    assert usage.error.startswith("Groq did not accept the request")


def test_two_servers_on_one_memory_add_up(tmp_path: Any) -> None:
    one, other = UsageLog(tmp_path / "groq.json"), UsageLog(tmp_path / "groq.json")
    for log in (one, other, one):
        log.used(10, 1)
        log.answered(0.5)
        log.keep()
    other.failed("no")
    other.keep()
    usage = UsageLog(tmp_path / "groq.json").usage
    assert (usage.answered, usage.failed, usage.prompt_tokens, usage.error) == (3, 1, 30, "no")
    assert [path.name for path in tmp_path.iterdir()] == ["groq.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"answered": "many"}', "\udcff"])
def test_a_damaged_file_of_figures_is_begun_anew(content: str, tmp_path: Any) -> None:
    path = tmp_path / "groq.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    log = UsageLog(path)
    log.answered(1.0)
    log.keep()
    assert UsageLog(path).usage.answered == 1
