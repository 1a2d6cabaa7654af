"""A local HTTP server that speaks Groq's protocol, its faults included, and a memory with something to say."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from incidentos.memory.embedding.background import BackgroundEmbedder
from incidentos.memory.errors import EmbeddingError
from incidentos.memory.incident import Incident, utcnow
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.prompts.evidence import Draft
from incidentos.prompts.groq import Access
from incidentos.prompts.usage import UsageLog
from incidentos.prompts.writer import GroqWriter
from incidentos.server import connect
from incidentos.tools.analyze import RECALLED, draft_of, look_back, weigh

KEY = "gsk_T3stKeyThatIsNoSecret0123456789abcdefghijklmnop"
STRICT = {"openai/gpt-oss-120b", "openai/gpt-oss-20b"}
JSON_ONLY = {"plain/json-only"}
ALERT = (
    "DB connection pool at 95%, API p99 latency at 6.2s, auth service returning 503s",
    "HikariPool-1 - Connection is not available, request timed out after 30000ms (total=20, active=20, idle=0)\n"
    "Started 10 minutes after the release of v4.19.0. CPU of the database is at 9%.",
)

Behaviour = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """One request. What is out of order is refused as Groq refuses it; the rest goes to the scripted behaviour."""

    protocol_version = "HTTP/1.1"
    server: GroqServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def error(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        body = {"error": {"message": message, "type": "invalid_request_error", "code": code}}
        self.send(status, body, headers)

    def complete(self, text: str | None, finish_reason: str = "stop", **message: Any) -> None:
        """A chat completion whose message has that text."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, **message},
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        usage = {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500}
        body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        self.send(200, {**body, "usage": usage})

    def hang_up(self) -> None:
        """End the connection as it is."""
        self.close_connection = True
        self.connection.close()

    def _authorised(self) -> bool:
        if self.headers.get("authorization") == f"Bearer {KEY}":
            return True
        self.error(401, "Invalid API Key", "invalid_api_key")
        return False

    def do_GET(self) -> None:
        model = self.path.removeprefix("/openai/v1/models/").replace("%2F", "/")
        self.server.requests.append({"path": self.path})
        if behaviour := self.server.next():
            behaviour(self, {})
        elif self._authorised():
            if model in STRICT | JSON_ONLY:
                self.send(200, {"id": model, "object": "model", "created": 1, "owned_by": "test"})
            else:
                self.error(
                    404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found"
                )

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self._authorised():
            if refusal := _out_of_order(self.path, request):
                self.error(*refusal)
            else:
                (self.server.next() or self.server.otherwise)(self, request)


def _out_of_order(path: str, request: dict[str, Any]) -> tuple[int, str, str] | None:
    """What Groq would refuse in a request."""
    model, form = request["model"], request.get("response_format", {"type": "text"})
    if path != "/openai/v1/chat/completions":
        return 404, f"Unknown request URL: POST {path}", "unknown_url"
    if model not in STRICT | JSON_ONLY:
        return 404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found"
    if form["type"] == "json_schema":
        if model not in STRICT:
            return 400, "This model does not support response format `json_schema`.", ""
        if fault := _not_strict(form["json_schema"]["schema"]):
            return 400, f"invalid JSON schema for response_format: {fault}", ""
    if form["type"] == "json_object" and "json" not in json.dumps(request["messages"]).lower():
        return 400, "'messages' must contain the word 'json' in some form", ""
    return None


def _not_strict(schema: dict[str, Any]) -> str | None:
    """What constrained decoding would refuse in a schema."""
    if "$ref" in schema or "$defs" in schema:
        return "references"
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "additionalProperties must be false"
        if set(schema["required"]) != set(schema["properties"]):
            return "every property must be required"
        return next(filter(None, map(_not_strict, schema["properties"].values())), None)
    return _not_strict(schema["items"]) if schema.get("type") == "array" else None


class GroqServer(ThreadingHTTPServer):
    """Answers each request with the next behaviour of its script, and with a faithful reply once that is through."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.script: list[Behaviour] = []
        self.otherwise: Behaviour = faithful
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def asked(self) -> str:
        """The user's message of the last question."""
        text: str = self.requests[-1]["messages"][1]["content"]
        return text

    def next(self) -> Behaviour | None:
        return self.script.pop(0) if self.script else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that has gone is what some tests are about

    @staticmethod
    def reply_to(message: str) -> dict[str, Any]:
        return said_in(message)

    def end(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
        self._thread.join(10)


def said_in(message: str) -> dict[str, Any]:
    """A reply that a faithful model would give: the leading cause, and the steps as they stand in the evidence."""
    cause = re.search(r"LEADING .*\ncause: (.*)", message) or re.search(r"^cause: (.*)", message, re.MULTILINE)
    title = re.search(r"^title: (.*)", message, re.MULTILINE)
    steps = []
    for found in re.finditer(
        r"^- (read-only|reversible|destructive) \| (.*?) ((?:\[[^\]]+\])+)(?:\n  \$ (.*))?", message, re.M
    ):
        risk, action, sources, command = found.groups()
        steps.append(
            {
                "action": action[:300],
                "command": command or "",
                "expect": "",
                "risk": risk,
                "sources": re.findall(r"\[([^\]]+)\]", sources),
            }
        )
    return {
        "hypothesis": (cause[1] if cause else title[1] if title else "unknown")[:300],
        "why": "Those symptoms follow from it.",
        "steps": steps[:6],
        "prevention": "Alert on it.",
    }


def faithful(handler: Handler, request: dict[str, Any]) -> None:
    handler.complete(json.dumps(said_in(request["messages"][1]["content"])))


@pytest.fixture
def groq() -> Iterator[GroqServer]:
    server = GroqServer()
    yield server
    server.end()


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def reply_to() -> Callable[[str], dict[str, Any]]:
    return said_in


@pytest.fixture
def writer_on(groq: GroqServer, tmp_path: Path) -> Callable[..., GroqWriter]:
    """A writer on the local server; deadline, model and address can be chosen."""

    def make(
        model: str = "openai/gpt-oss-120b", deadline: float = 5.0, url: str | None = None, key: str = KEY
    ) -> GroqWriter:
        access = Access(SecretStr(key), model, url or groq.url, deadline)
        return GroqWriter(access, UsageLog(tmp_path / "groq.json"))

    return make


@pytest.fixture
def groq_settings(groq: GroqServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the environment of a server that is started next to the local Groq."""

    def set_(deadline: float = 5.0, key: str = KEY, url: str | None = None, model: str = "openai/gpt-oss-120b") -> None:
        monkeypatch.setenv("GROQ_API_KEY", key)
        monkeypatch.setenv("GROQ_BASE_URL", url or groq.url)
        monkeypatch.setenv("INCIDENTOS_GROQ_MODEL", model)
        monkeypatch.setenv("INCIDENTOS_GROQ_DEADLINE", str(deadline))

    return set_


@pytest.fixture
def analyzed(groq_settings: Callable[..., None]) -> Callable[..., Any]:
    """Analyses an alert through a server of its own over stdio: the structured answer, the text, the seconds it took."""

    async def call(home: Path, deadline: float, **given: str) -> Any:
        groq_settings(deadline, **given)
        async with connect(home) as client:
            begun = time.monotonic()
            arguments = {"title": ALERT[0], "description": ALERT[1], "service": "auth-service"}
            result = await client.call_tool("analyze_incident", arguments)
            took = time.monotonic() - begun
        assert not result.is_error, result.content[0].text
        return result.structured_content, result.content[0].text, took

    return call


@pytest.fixture(scope="session")
def sample_incidents() -> list[Incident]:
    from incidentos.commands.demo import sample

    return sample(now_is_near=False)


@pytest.fixture(scope="session")
def sample_file(tmp_path_factory: pytest.TempPathFactory, sample_incidents: list[Incident]) -> Path:
    """The whole sample, without vectors; copy it, do not write to it."""
    path = tmp_path_factory.mktemp("sample") / "memory.db"
    with closing(_without_model(path)) as memory:
        memory.import_batch(sample_incidents, embed=False)
    return path


@pytest.fixture
def sample_memory(open_memory: Callable[..., IncidentMemory], sample_file: Path, tmp_path: Path) -> IncidentMemory:
    """The whole sample, found by words alone: the same on every machine."""
    shutil.copy(sample_file, tmp_path / "memory.db")
    return open_memory(None)


@pytest.fixture
def draft_for(sample_memory: IncidentMemory) -> Callable[..., Draft]:
    """The memory's own answer to an alert."""
    return lambda title, description="", service=None: draft_of_alert(sample_memory, title, description, service)


def draft_of_alert(memory: IncidentMemory, title: str, description: str, service: str | None) -> Draft:
    incident, _ = memory.open_incident(title, description, service, "SEV1")
    recalled = memory.find(incident.text, RECALLED, about=incident)
    now = utcnow()
    verdict = weigh(recalled.matches, now)
    return draft_of(incident, recalled, verdict, look_back(memory, incident, recalled, verdict, now))


@pytest.fixture(scope="session")
def draft(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Draft:
    """The memory's own answer to a typical alert, made once."""
    path = tmp_path_factory.mktemp("draft") / "memory.db"
    shutil.copy(sample_file, path)
    with closing(_without_model(path)) as memory:
        return draft_of_alert(memory, *ALERT, "auth-service")


def _without_model(path: Path) -> IncidentMemory:
    def failing() -> Any:
        raise EmbeddingError("There is no model in this test.")

    store = SqliteStore(path)
    return IncidentMemory(store, BackgroundEmbedder(failing, store))
