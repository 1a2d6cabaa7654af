"""Whatever is sent to the server gets a sane answer or an error that teaches, and the server lives on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def wire(module_processes: Any, sample_home: Callable[[], Path]) -> Any:
    """One server for all of these tests: each leaves it alive for the next."""
    return module_processes.serve(sample_home())


@pytest.fixture(autouse=True)
def alive(wire: Any) -> Any:
    """After each test the server still answers, and it has written nothing but protocol."""
    yield
    assert wire.call("list_incidents", limit=1)["structuredContent"]["total"] > 0
    assert wire.process.poll() is None


def refusal(answer: Any) -> str:
    assert answer["isError"] is True, answer
    return str(answer["content"][0]["text"])


@pytest.mark.parametrize("title", ["", " ", "\n\t ", "\u200b\ufeff", "x" * 501])
def test_a_title_that_is_empty_or_too_long_is_refused_with_what_is_valid(wire: Any, title: str) -> None:
    text = refusal(wire.call("analyze_incident", title=title))
    assert "analyze_incident was not run: 'title'" in text
    assert "The alert in a line" in text
    assert len(text) < 2000


@pytest.mark.slow
def test_a_description_of_200_kilobytes_is_analysed(wire: Any) -> None:
    log = "2026-05-03T02:14:00Z ERROR [pool-7] HikariPool-1 - Connection is not available, request timed out\n"
    answer = wire.call("analyze_incident", title="A pasted log of the checkout", description=log * 2100)
    assert answer["structuredContent"]["incident_id"]
    assert len(json.dumps(answer)) < 100_000


def test_a_description_over_the_limit_is_refused_without_being_echoed(wire: Any) -> None:
    text = refusal(wire.call("analyze_incident", title="t", description="x" * 1_000_001))
    assert "'description'" in text
    assert len(text) < 2000


@pytest.mark.parametrize(
    "text", ["disk\x00full", "\x1b[31mred\x1b[0m alert", "a\u202eb reversed", "tab\tand\r\nline", "🔥 接続プール"]
)
def test_text_that_no_terminal_should_get_is_cleaned_and_stored(wire: Any, text: str) -> None:
    answer = wire.call("analyze_incident", title=text, description=text)["structuredContent"]
    record = json.loads(
        wire.ask("resources/read", {"uri": f"incident://{answer['incident_id']}"})["result"]["contents"][0]["text"]
    )
    assert not set("\x00\x1b\u202e\r") & set(record["title"] + record["description"])


@pytest.mark.parametrize(
    "incident_id", ["../x", "..", "a/b", "-x", "a b", "%00", "\x00", "nobody", "'; DROP TABLE incident; --"]
)
def test_an_id_that_is_malformed_or_unknown_is_an_error_that_names_the_next_call(wire: Any, incident_id: str) -> None:
    text = refusal(
        wire.call("resolve_incident", incident_id=incident_id, root_cause="a cause", mitigation_steps=["a step"])
    )
    assert "id" in text
    assert "list_incidents" in text


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("find_similar", {"query": "pool", "limit": "4"}, "'limit': input should be a valid integer, got str '4'"),
        ("find_similar", {"query": "pool", "limit": True}, "'limit': input should be a valid integer, got bool True"),
        ("find_similar", {"query": "pool", "limit": 4.5}, "'limit'"),
        ("find_similar", {"query": "pool", "limit": 0}, "'limit': input should be greater than or equal to 1"),
        ("find_similar", {"query": "pool", "limit": 10**30}, "'limit'"),
        ("find_similar", {"query": ["pool"]}, "'query': input should be a valid string, got list"),
        ("find_similar", {"query": {"a": 1}}, "'query': input should be a valid string, got dict"),
        ("find_similar", {}, "'query' is missing"),
        ("find_similar", {"query": "pool", "status": "closed"}, "'open' or 'resolved'"),
        ("find_similar", {"query": "pool", "since": "yesterday"}, "ISO 8601"),
        ("find_similar", {"query": "pool", "servise": "auth"}, "did you mean 'service'?"),
        ("find_similar", {"query": "pool", "\ud83d\ude00": 1}, "is not an argument"),
        ("analyze_incident", {"title": 5}, "'title': input should be a valid string, got int 5"),
        ("analyze_incident", {"title": None}, "'title'"),
        ("analyze_incident", {"titel": "t"}, "did you mean 'title'?"),
        ("resolve_incident", {"incident_id": "a1", "root_cause": "c", "mitigation_steps": "restart"}, "valid list"),
        ("resolve_incident", {"incident_id": "a1", "root_cause": "c", "mitigation_steps": []}, "'mitigation_steps'"),
        ("resolve_incident", {"incident_id": "a1", "root_cause": "c", "mitigation_steps": [" "]}, "must not be empty"),
        ("resolve_incident", {"incident_id": "a1", "root_cause": " ", "mitigation_steps": ["s"]}, "'root_cause'"),
        ("resolve_incident", {"incident_id": "a1", "root_cause": "c", "mitigation_steps": ["s"] * 51}, "at most 50"),
        ("sync_memory", {"dry_run": "true"}, "'dry_run': input should be a valid boolean, got str 'true'"),
        ("sync_memory", {"dry_run": 1}, "'dry_run'"),
        ("sync_memory", {"direction": "sideways"}, "'push', 'pull' or 'both'"),
        ("list_incidents", {"cursor": "nonsense"}, "not a cursor"),
        ("list_incidents", {"cursor": "MjAyNnw5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"}, "not a cursor"),
        ("list_incidents", {"failure_type": "gremlins"}, "'dns-failure'"),
    ],
)
def test_wrong_arguments_are_never_coerced_or_dropped(
    wire: Any, tool: str, arguments: dict[str, Any], said: str
) -> None:
    text = refusal(wire.call(tool, **arguments))
    assert said.casefold() in text.casefold()
    assert len(text) < 2500


def test_an_unknown_tool_is_an_error_that_lists_the_tools(wire: Any) -> None:
    answer = wire.ask("tools/call", {"name": "delete_everything", "arguments": {}})
    assert answer["error"]["code"] == -32602
    assert "'delete_everything'" in answer["error"]["message"]
    assert "analyze_incident, find_similar" in answer["error"]["message"]


def test_an_unknown_method_is_an_error(wire: Any) -> None:
    assert wire.ask("incidents/purge")["error"]["code"] == -32601


@pytest.mark.parametrize("arguments", [[1], "text", 5, True])
def test_arguments_that_are_no_object_are_an_error(wire: Any, arguments: Any) -> None:
    assert wire.ask("tools/call", {"name": "find_similar", "arguments": arguments})["error"]["code"] == -32602


SURROGATE = '"\\ud800"'  # as JSON text: a lone half of a character
AT_SURROGATES = [
    '"method":"tools/call","params":{"name":"analyze_incident","arguments":{"title":"a \\ud800 b"}}',
    '"method":"tools/call","params":{"name":"find_similar","arguments":{"query":' + SURROGATE + "}}",
    '"method":"tools/call","params":{"name":"find_similar","arguments":{' + SURROGATE + ":1}}",
    '"method":"tools/call","params":{"name":' + SURROGATE + ',"arguments":{}}',
    '"method":"resources/read","params":{"uri":"incident://\\ud800"}',
    '"method":"prompts/get","params":{"name":' + SURROGATE + "}",
    '"method":"prompts/get","params":{"name":"triage","arguments":{"alert":"a \\ud800 b"}}',
    '"method":"prompts/get","params":{"name":"handoff","arguments":{' + SURROGATE + ':"x"}}',
    '"method":"prompts/get","params":{"name":"review","arguments":{"days":' + SURROGATE + "}}",
    '"method":"resources/list","params":{"cursor":' + SURROGATE + "}",
    '"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"postmortem"},'
    '"argument":{"name":"incident_id","value":' + SURROGATE + "}}",
]
NO_PROTOCOL = [
    b"",
    b"not json",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'{"jsonrpc":"2.0"}',
    b"\xff\xfe\x00",
    b'{"id":{}}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", AT_SURROGATES)
def test_half_a_character_is_answered_or_passed_over_and_harms_nothing(wire: Any, body: str) -> None:
    wire.send('{"jsonrpc":"2.0","id":90001,' + body + "}")
    number = wire.post("ping")
    seen = []
    while (message := wire.receive()).get("id") != number:
        seen.append(message)
    assert all(message.get("id") in (90001, None) for message in seen if "method" not in message)


def test_half_a_character_in_a_request_is_answered_or_refused(wire: Any) -> None:
    wire.send('{"jsonrpc":"2.0","id":90002,' + AT_SURROGATES[1] + "}")
    wire.answer(90002)


@pytest.mark.parametrize("line", NO_PROTOCOL)
def test_a_line_that_is_no_protocol_harms_nothing(wire: Any, line: bytes) -> None:
    wire.send(line)
    assert "result" in wire.ask("ping")


def test_a_line_of_a_megabyte_that_is_not_json_harms_nothing(wire: Any) -> None:
    wire.send(b"x" * (1 << 20))
    assert "result" in wire.ask("ping")


def test_many_calls_at_once_each_get_their_own_answer(wire: Any) -> None:
    numbers = {
        wire.post("tools/call", {"name": "find_similar", "arguments": {"query": f"alert {n}", "limit": n}}): n
        for n in range(1, 21)
    }
    while numbers:
        message = wire.receive()
        wanted = numbers.pop(message["id"])
        assert len(message["result"]["structuredContent"]["matches"]) == wanted
