"""What a user with a Groq key sees: through the real server over stdio, in the settings, in the status, in the doctor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from incidentos.server import IncidentServer, connect
from incidentos.settings import Settings

pytestmark = pytest.mark.anyio

ALERT = {
    "title": "DB connection pool at 95%, API p99 latency at 6.2s, auth service returning 503s",
    "service": "auth-service",
}
ENGINE = "groq:openai/gpt-oss-120b"


def with_more_steps(handler: Any, request: dict[str, Any]) -> None:
    """A faithful reply with a step of its own and a destructive one called harmless."""
    said = handler.server.reply_to(request["messages"][1]["content"])
    own = {"action": "Pin the image", "command": "kubectl -n shop set image deploy/auth auth=auth:1", "expect": ""}
    evil = {"action": "Check the space", "command": "kubectl delete namespace shop", "expect": ""}
    extra = [{**step, "risk": "read-only", "sources": []} for step in (evil, own)]
    handler.complete(json.dumps({**said, "steps": [*extra, *said["steps"]]}))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_answer_is_worded_by_groq_and_says_so(
    mode: str, groq: Any, groq_settings: Any, sample_home: Callable[[], Path], key: str
) -> None:
    """Text and structured answer state the same; what the model added is marked; its order and risks are ours."""
    groq.otherwise = with_more_steps
    groq_settings()
    home = sample_home()
    async with connect(home, mode=mode) as client:
        result = await client.call_tool("analyze_incident", ALERT)
        status = json.loads((await client.read_resource("incidents://status")).contents[0].text)["groq"]
    answer, text = result.structured_content, result.content[0].text
    assert answer["engine"] == ENGINE, answer["degraded"]
    assert f"(answered by {ENGINE})" in text
    assert answer["ai_analysis"].startswith("Based on ")
    assert f"Confidence: {answer['confidence']:.0%}." in answer["ai_analysis"]
    assert answer["ai_analysis"] in text
    assert answer["root_cause"] in answer["ai_analysis"]
    steps = answer["suggested_actions"]
    unverified = [step for step in steps if step.get("unverified")]
    assert {step["command"] for step in unverified} == {
        "kubectl -n shop set image deploy/auth auth=auth:1",
        "kubectl delete namespace shop",
    }
    assert text.count("UNVERIFIED") == 2
    for number, step in enumerate(steps, 1):
        assert f"{number}. [{step['risk']}] {step['action']}" in text
        assert bool(step["sources"]) is not step.get("unverified", False)
    useful = [step for step in steps if not step["action"].startswith("Skip (failed")]
    assert useful[0]["risk"] == "read-only"
    destructive = [step["risk"] == "destructive" for step in useful]
    assert destructive == sorted(destructive)
    assert next(s for s in steps if s["command"] == "kubectl delete namespace shop")["risk"] == "destructive"
    assert (status["state"], status["model"], status["answered"]) == ("answers", "openai/gpt-oss-120b", 1)
    assert status["prompt_tokens"] == 1200
    assert key not in json.dumps([answer, status]) + text
    assert key.encode() not in b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())


@pytest.mark.slow
async def test_a_model_that_knows_json_alone_words_answers_too(
    groq: Any, groq_settings: Any, sample_home: Callable[[], Path]
) -> None:
    groq_settings(model="plain/json-only")
    async with connect(sample_home()) as client:
        for title in ("auth pool exhausted", "DNS lookups fail with SERVFAIL"):
            result = await client.call_tool("analyze_incident", {"title": title})
            assert result.structured_content["engine"] == "groq:plain/json-only", result.structured_content["degraded"]
    assert len(groq.requests) == 3


@pytest.mark.slow
async def test_a_reply_is_mended_once(groq: Any, groq_settings: Any, sample_home: Callable[[], Path]) -> None:
    """The faults are named, the conversation goes on, and the second reply is the answer."""

    def filler(handler: Any, request: dict[str, Any]) -> None:
        said = handler.server.reply_to(request["messages"][1]["content"])
        handler.complete(json.dumps({**said, "why": "It appears that the pool is full. Please check your logs."}))

    groq.script = [filler]
    groq_settings()
    async with connect(sample_home()) as client:
        result = await client.call_tool("analyze_incident", ALERT)
    assert result.structured_content["engine"] == ENGINE
    assert "appears" not in result.structured_content["ai_analysis"]
    roles = [message["role"] for message in groq.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "- why: leave out 'it appears'" in groq.requests[1]["messages"][-1]["content"]


@pytest.mark.slow
async def test_a_dead_groq_costs_its_deadline_twice_and_then_nothing(
    groq: Any, groq_settings: Any, sample_home: Callable[[], Path]
) -> None:
    groq.otherwise = lambda handler, _: handler.server.over.wait(30)
    groq_settings(deadline=1.0)
    lines = []
    async with connect(sample_home()) as client:
        for number in range(4):
            result = await client.call_tool("analyze_incident", {"title": f"auth pool exhausted, case {number}"})
            assert result.structured_content["engine"] == "memory"
            lines += [line for line in result.structured_content["degraded"] if "Groq" in line]
        status = json.loads((await client.read_resource("incidents://status")).contents[0].text)["groq"]
    assert [line.startswith("Groq did not answer within 1 s") for line in lines] == [True, True, False, False]
    assert all(line.startswith("Groq is left alone for another ") for line in lines[2:])
    assert len(groq.requests) <= 2  # the first deadline also bears the import of the SDK, on a busy machine all of it
    assert (status["state"], status["failed"]) == ("left alone", 2)
    assert 0 < status["left_alone_for_seconds"] <= 30


@pytest.mark.slow
def test_a_cancelled_call_lets_go_of_groq(groq: Any, processes: Any, sample_home: Callable[[], Path], key: str) -> None:
    """The client's cancellation closes the connection, and the server goes on."""
    asked, gone = threading.Event(), threading.Event()

    def wait(handler: Any, _: Any) -> None:
        asked.set()
        handler.connection.settimeout(20)
        if handler.connection.recv(1) == b"":
            gone.set()

    groq.script = [wait]
    processes.variables = {"GROQ_API_KEY": key, "GROQ_BASE_URL": groq.url, "INCIDENTOS_GROQ_DEADLINE": "30"}
    wire = processes.serve(sample_home())
    number = wire.post("tools/call", {"name": "analyze_incident", "arguments": ALERT})
    assert asked.wait(20)
    wire.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}))
    assert gone.wait(10)
    answer = wire.call("analyze_incident", title="another pool exhausted")
    assert answer["structuredContent"]["engine"] == ENGINE


@pytest.mark.slow
@pytest.mark.parametrize("log", ["debug", "info"])
def test_the_key_is_in_no_log_of_the_server(
    log: str, groq: Any, processes: Any, sample_home: Callable[[], Path], key: str
) -> None:
    """Even where the vendor's SDK is told to log all it can, and Groq refuses the key."""
    for given in (key, "gsk_wrongWrong0123456789wrongWrong01"):
        processes.variables = {"GROQ_API_KEY": given, "GROQ_BASE_URL": groq.url, "GROQ_LOG": log}
        wire = processes.serve(sample_home())
        said = json.dumps(wire.call("analyze_incident", **ALERT))
        wire.process.stdin.close()
        wire.process.wait(20)
        wire.join()
        out, err = b"".join(wire.lines).decode(), wire.process.stderr.read().decode()
        assert "HTTP Request" in err
        assert given not in said + out + err


@pytest.mark.slow
def test_without_a_key_nothing_is_said_of_groq_and_nothing_is_imported_of_it(
    processes: Any, sample_home: Callable[[], Path]
) -> None:
    """The memory's own answer is no lesser one, so no answer nags."""
    wire = processes.serve(sample_home())
    answer = wire.call("analyze_incident", **ALERT)
    assert answer["structuredContent"]["engine"] == "memory"
    assert "groq" not in json.dumps(answer).lower()
    assert "unverified" not in json.dumps(answer).lower()


@pytest.mark.slow
async def test_the_connection_to_groq_ends_with_the_server(
    groq: Any, groq_settings: Any, sample_home: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, draft: Any
) -> None:
    groq_settings()
    monkeypatch.setenv("INCIDENTOS_HOME", str(sample_home()))
    server = IncidentServer(Settings())
    async with server._lifespan(server.protocol):
        writer: Any = server.desk.writer
        await writer.write(draft)
        client = await writer._groq._client_of_this_loop()
        assert not client.is_closed()
    assert client.is_closed()


# The doctor


def doctor(processes: Any, home: Path, **variables: str) -> tuple[int, dict[str, Any], str]:
    processes.variables = variables
    done = processes.run("-m", "incidentos", "doctor", "--json", home=home)
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    return done.returncode, findings, done.stdout + done.stderr


@pytest.mark.slow
def test_the_doctor_proves_the_key(groq: Any, processes: Any, home: Path, key: str) -> None:
    code, findings, _ = doctor(processes, home, GROQ_API_KEY=key, GROQ_BASE_URL=groq.url)
    assert (code, findings["Groq"]["level"]) == (0, "ok")
    assert "the key works, openai/gpt-oss-120b is there" in findings["Groq"]["detail"]
    assert [request["path"] for request in groq.requests] == ["/openai/v1/models/openai%2Fgpt-oss-120b"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"GROQ_API_KEY": "gsk_wrongWrong0123456789wrongWrong01"}, "Groq refused the key (401)"),
        ({"INCIDENTOS_GROQ_MODEL": "llama-9"}, "Groq has no model llama-9"),
        ({"GROQ_BASE_URL": "http://127.0.0.1:1"}, "127.0.0.1 cannot be reached"),
    ],
)
def test_the_doctor_says_what_does_not_hold(
    variables: dict[str, str], said: str, groq: Any, processes: Any, home: Path, key: str
) -> None:
    (home / "groq.json").write_text(
        json.dumps({"failed": 3, "error": "Groq failed on its side (503).", "error_at": "2026-01-01T00:00:00Z"})
    )
    given = {"GROQ_API_KEY": key, "GROQ_BASE_URL": groq.url, **variables}
    code, findings, out = doctor(processes, home, **given)
    assert (code, findings["Groq"]["level"]) == (1, "problem")
    assert findings["Groq"]["detail"].startswith(said)
    assert findings["Groq's last error"]["detail"] == "2026-01-01T00:00:00Z: Groq failed on its side (503)."
    assert given["GROQ_API_KEY"] not in out


@pytest.mark.slow
def test_the_doctor_asks_nobody_without_a_key(groq: Any, processes: Any, home: Path) -> None:
    code, findings, _ = doctor(processes, home, GROQ_BASE_URL=groq.url)
    assert (code, findings["Groq"]["level"]) == (0, "note")
    assert groq.requests == []


# The settings


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    """The settings of an environment and of a `.env` file in the working directory."""

    def make(dotenv: str = "", **environment: str) -> Settings:
        for name in ("GROQ_API_KEY", "GROQ_BASE_URL", "INCIDENTOS_GROQ_MODEL", "INCIDENTOS_GROQ_DEADLINE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        (tmp_path / ".env").write_text(dotenv)
        return Settings()

    return make


def test_a_strangers_env_file_cannot_redirect_the_key_and_the_incidents(settings: Callable[..., Settings]) -> None:
    """An assistant starts the server in whatever repository is open."""
    found = settings("GROQ_BASE_URL=https://evil.example\nINCIDENTOS_GROQ_MODEL=some/model\n", GROQ_API_KEY="gsk_mine")
    assert found.groq_base_url == "https://api.groq.com"
    assert found.groq_model == "some/model"
    assert settings(GROQ_BASE_URL="https://proxy.example/groq").groq_base_url == "https://proxy.example/groq"


@pytest.mark.parametrize("key", ["", " ", "\t\n"])
def test_a_blank_key_is_none(settings: Callable[..., Settings], key: str) -> None:
    assert settings(GROQ_API_KEY=key).groq_api_key is None


@pytest.mark.parametrize("seconds", ["0", "-1", "61", "nan", "soon"])
def test_a_deadline_is_a_reasonable_number_of_seconds(settings: Callable[..., Settings], seconds: str) -> None:
    with pytest.raises(ValidationError):
        settings(INCIDENTOS_GROQ_DEADLINE=seconds)


def test_the_key_is_not_shown_where_settings_are_printed(settings: Callable[..., Settings]) -> None:
    found = settings(GROQ_API_KEY="gsk_mine")
    assert "gsk_mine" not in f"{found!r} {found} {found.model_dump()}"
