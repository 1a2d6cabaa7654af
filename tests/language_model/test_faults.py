"""Whatever goes wrong with the language model, the answer is there, in time, the memory's own, with one line that says
what to do. Each fault is a real one, on a real socket."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from incidentos.prompts import faults
from incidentos.prompts.faults import STANDS, TABLE, Fault, ModelFault

pytestmark = pytest.mark.anyio

DEADLINE = 0.9
GRACE = 5.0
"""What an answer may take beyond the deadline. Half a second is promised, the rest is for a busy machine; a server that
hangs here does so for 30 s."""

ROOT = Path(__file__).resolve().parents[2]


def status(code: int, error: str = "", **headers: str) -> Callable[[Any, Any], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.error(code, f"error {code}", error, named)


def text(body: str, finish_reason: str = "stop", **message: Any) -> Callable[[Any, Any], None]:
    return lambda handler, _: handler.complete(body, finish_reason, **message)


def raw(code: int, body: bytes, kind: str = "application/json", **headers: str) -> Callable[[Any, Any], None]:
    return lambda handler, _: handler.send(code, body, {"content-type": kind, **headers})


def hang(handler: Any, _: Any) -> None:
    handler.server.over.wait(30)


def drip(handler: Any, _: Any) -> None:
    """A byte now and then: no read ever times out."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "100000")
    handler.end_headers()
    while not handler.server.over.wait(0.1):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def drop(handler: Any, _: Any) -> None:
    handler.hang_up()


def drop_within(handler: Any, _: Any) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.hang_up()


def full_of(what: dict[str, Any]) -> Callable[[Any, Any], None]:
    """A faithful reply with some fields replaced."""

    def behave(handler: Any, request: dict[str, Any]) -> None:
        handler.complete(json.dumps({**handler.server.reply_to(request["messages"][1]["content"]), **what}))

    return behave


PAGE = b"<html><body>Sign in to the company's network</body></html>"


@dataclass(frozen=True)
class Case:
    """A fault as it is met: what the server does each time it is asked, and how often it is asked then."""

    fault: Fault
    behaviour: Callable[[Any, Any], None] | None = None
    asked: int = 1
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def deadline(self) -> float:
        """Short where the deadline is what ends the call; else long enough for a busy machine."""
        return DEADLINE if self.fault is faults.TOO_LATE else 20.0


CASES: dict[str, Case] = {
    "a key with a line break": Case(faults.BAD_KEY, asked=0, settings=(("key", "gsk_a\nb"),)),
    "a key with an umlaut": Case(faults.BAD_KEY, asked=0, settings=(("key", "gsk_ä"),)),
    "an address in the clear": Case(faults.BAD_ADDRESS, asked=0, settings=(("url", "http://groq.example"),)),
    "no address": Case(faults.BAD_ADDRESS, asked=0, settings=(("url", "api.groq.com"),)),
    "half an address": Case(faults.BAD_ADDRESS, asked=0, settings=(("url", "https://[::1"),)),
    "no port": Case(faults.BAD_ADDRESS, asked=0, settings=(("url", "https://groq.example:port"),)),
    "401": Case(faults.REFUSED_KEY, settings=(("key", "gsk_wrong0123456789wrong0123456789"),)),
    "403": Case(faults.FORBIDDEN, status(403)),
    "403 as a page": Case(faults.FORBIDDEN, raw(403, PAGE, "text/html")),
    "404": Case(faults.NO_MODEL, settings=(("model", "llama-9"),)),
    "a retired model": Case(faults.NO_MODEL, status(400, "model_decommissioned")),
    "413": Case(faults.TOO_LARGE, status(413)),
    "a context too long": Case(faults.TOO_LARGE, status(400, "context_length_exceeded")),
    "422": Case(faults.NOT_ACCEPTED, status(422)),
    "400, with a schema and without": Case(faults.NOT_ACCEPTED, status(400), asked=2),
    "429 for a minute": Case(faults.RATE_LIMIT, status(429, retry_after="60")),
    "429 for ever again": Case(faults.RATE_LIMIT, status(429, retry_after="0"), asked=3),
    "498": Case(faults.NO_CAPACITY, status(498), asked=3),
    "500": Case(faults.SERVER_FAILED, status(500), asked=3),
    "502 as a page": Case(faults.SERVER_FAILED, raw(502, PAGE, "text/html"), asked=3),
    "503": Case(faults.SERVER_FAILED, status(503), asked=3),
    "no answer": Case(faults.TOO_LATE, hang),
    "an answer in drops": Case(faults.TOO_LATE, drip),
    "nobody there": Case(faults.UNREACHABLE, asked=0, settings=(("url", "http://127.0.0.1:1"),)),
    "dropped before the answer": Case(faults.DROPPED, drop, asked=3),
    "dropped within the answer": Case(faults.DROPPED, drop_within, asked=3),
    "HTML": Case(faults.NOT_GROQ, raw(200, PAGE, "text/html")),
    "HTML that claims to be JSON": Case(faults.NOT_GROQ, raw(200, PAGE)),
    "a redirect to a page": Case(faults.NOT_GROQ, raw(302, b"", location="http://127.0.0.1:1/login")),
    "404 as a page": Case(faults.NOT_GROQ, raw(404, PAGE, "text/html")),
    "a truncated body": Case(faults.NOT_GROQ, raw(200, b'{"choices": [{"message": {"cont')),
    "JSON of something else": Case(faults.NOT_GROQ, raw(200, b'["hello"]')),
    "bytes that are no text": Case(faults.NOT_GROQ, raw(200, b"\xff\xfe\x00{}")),
    "cut off": Case(faults.CUT_OFF, text('{"hypothesis": "The po', "length")),
    "no choices": Case(faults.EMPTY, raw(200, b'{"choices": []}')),
    "no text": Case(faults.EMPTY, text("  ")),
    "null": Case(faults.EMPTY, lambda handler, _: handler.complete(None)),
    "a refusal": Case(faults.DECLINED, text("", refusal="I cannot help with that.")),
    "a content filter": Case(faults.DECLINED, text("{}", "content_filter")),
    "prose": Case(faults.NO_FORM, text("I'm sorry, but I can't help with that."), asked=2),
    "truncated JSON": Case(faults.NO_FORM, text('{"hypothesis": "The pool", "why": "'), asked=2),
    "JSON without the fields": Case(faults.NO_FORM, text('{"answer": 42}'), asked=2),
    "JSON nested without end": Case(faults.NO_FORM, text('{"hypothesis":' * 5000), asked=2),
    "JSON that did not hold at Groq": Case(faults.NO_FORM, status(400, "json_validate_failed"), asked=2),
    "an unknown id": Case(
        faults.UNGROUNDED,
        full_of({"steps": [{"action": "Look", "command": "", "expect": "", "risk": "read-only", "sources": ["INC-9"]}]}),
        asked=2,
    ),
    "filler": Case(faults.UNGROUNDED, full_of({"why": "It appears that the pool is full."}), asked=2),
    "a figure from nowhere": Case(faults.UNGROUNDED, full_of({"why": "The pool of 4711 is full."}), asked=2),
    "a confidence of its own": Case(faults.UNGROUNDED, full_of({"why": "I have 99% confidence."}), asked=2),
    "another cause": Case(faults.UNGROUNDED, full_of({"hypothesis": "an expired TLS certificate"}), asked=2),
    "no step": Case(faults.UNGROUNDED, full_of({"steps": []}), asked=2),
}  # fmt: skip


def test_every_fault_of_the_table_is_met_here() -> None:
    """But for two that only IncidentOS itself can bring about, and which have tests of their own."""
    assert {case.fault.name for case in CASES.values()} == {f.name for f in TABLE} - {"left alone", "not checked"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
async def test_a_fault_ends_in_one_line_that_says_what_to_do(
    name: str, groq: Any, writer_on: Any, draft: Any, reply_to: Any, key: str
) -> None:
    """In time, after as many questions as the fault is worth, without the key, and without what was received."""
    case = CASES[name]
    if case.behaviour:
        groq.otherwise = case.behaviour
    writer = writer_on(deadline=case.deadline, **dict(case.settings))
    begun = time.monotonic()
    try:
        with pytest.raises(ModelFault) as met:
            await writer.write(draft)
        took = time.monotonic() - begun
    finally:
        await writer.aclose()
    said = str(met.value)
    assert met.value.fault is case.fault, said
    assert took < case.deadline + GRACE
    assert len(groq.requests) == case.asked
    assert said.endswith(STANDS)
    assert said.count("\n") == 0
    assert len(said) < 400
    assert "{" not in said
    for secret in (key, dict(case.settings).get("key", key), "Sign in", "error 4", "error 5", "Traceback"):
        assert secret not in said
    assert met.value.__cause__ is None
    assert writer.status()["error"] == met.value.told


async def test_a_mistake_of_our_own_costs_no_answer(groq: Any, writer_on: Any, draft: Any, monkeypatch: Any) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("ours")

    monkeypatch.setattr("incidentos.prompts.writer.check", broken)
    writer = writer_on()
    try:
        with pytest.raises(ModelFault, match="KeyError"):
            await writer.write(draft)
    finally:
        await writer.aclose()


ONE_OF_EACH = {case.fault.name: name for name, case in CASES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH.values())
async def test_through_the_server_the_memorys_own_answer_comes_with_that_line(
    name: str, groq: Any, sample_home: Callable[[], Path], analyzed: Any, key: str
) -> None:
    """Over stdio, with the real client: the same answer as without a key, in time, and the line in both forms."""
    case = CASES[name]
    if case.behaviour:
        groq.otherwise = case.behaviour
    deadline = max(case.deadline, 5.0)  # the first question of a process also imports the SDK
    answer, said, took = await analyzed(sample_home(), deadline, **dict(case.settings))
    assert answer["engine"] == "memory"
    assert answer["ai_analysis"].startswith(("Based on ", "No similar incident in memory."))
    assert answer["suggested_actions"]
    lines = [line for line in answer["degraded"] if STANDS in line]
    assert len(lines) == 1
    assert f"Note: {lines[0]}" in said
    expected = case.fault.told.split("{")[0]
    assert lines[0].startswith(expected)
    assert key not in said
    # The first call of a process also loads what the memory itself needs; that is not Groq's.
    assert took < deadline + 10
    assert groq.requests or case.asked == 0


def table() -> str:
    rows = [
        f"| {fault.name} | {fault.shows_as} | {fault.told} | {'yes' if fault.retried else 'no'} | {pause(fault)} |"
        for fault in TABLE
    ]
    return "\n".join(
        [
            "# When Groq fails",
            "",
            "Whatever happens, `analyze_incident` answers with the memory's own analysis (`engine` is `memory`), at the",
            "latest when the deadline of 8 s (`INCIDENTOS_GROQ_DEADLINE`) has passed, and `degraded` holds one line. This",
            "table is written from `prompts/faults.py`; `tests/language_model/test_faults.py` brings each fault about on a",
            "real socket and compares this page.",
            "",
            f'Each line ends in "{STANDS}" Words in braces are filled in.',
            "",
            "| fault | how it is met | what the user reads | tried again within the deadline | then left alone for |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def pause(fault: Fault) -> str:
    if fault is faults.RATE_LIMIT:
        return "15 s, or as long as Groq asks for, at most 5 minutes"
    if fault.pause:
        return f"{fault.pause:g} s"
    if fault in (faults.NO_CAPACITY, faults.SERVER_FAILED, faults.TOO_LATE, faults.UNREACHABLE, faults.DROPPED):
        return "30 s after two in a row, doubling up to 5 minutes"
    return "not at all"


def test_the_page_of_faults_says_what_the_program_says() -> None:
    page = ROOT / "docs" / "groq-faults.md"
    if os.environ.get("INCIDENTOS_WRITE_GOLDEN"):
        page.write_text(table(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == table(), "run with INCIDENTOS_WRITE_GOLDEN=1 to write it anew"


def test_the_lines_that_the_readme_shows_are_those_that_are_read() -> None:
    facts = {"model": "openai/gpt-oss-120b", "host": "api.groq.com", "deadline": "8", "seconds": 60, "faults": "filler"}
    shown = {
        faults.REFUSED_KEY: {},
        faults.NO_MODEL: {"model": "llama-3.3-70b-versatile"},
        faults.RATE_LIMIT: {},
        faults.TOO_LATE: {},
        faults.UNGROUNDED: {},
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for fault, others in shown.items():
        assert f"| {fault.told.format(**{**facts, **others})} |" in readme
