"""A proxy in front of the real Hindsight server that can spoil its answers in every way that a network knows."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VENDOR_BODY = "vendor-body-51c0"
VENDOR_HEADER = "vendor-header-9e77"
"""What stands in every spoilt answer, and must not be shown to a user."""

STATUSES = (401, 403, 404, 409, 422, 429, 500)
FAULTS = (*(str(status) for status in STATUSES), "HTML", "empty reply", "half a body", "no answer")
"""The ways to spoil an answer. `no answer` lasts for `Proxy.hang` seconds, then the connection is closed."""

_LENGTH = "Content-Length"


@dataclass(frozen=True)
class Request:
    """One request as it came in. `status` is what was answered; None where the proxy spoilt it without a status."""

    method: str
    path: str
    body: bytes
    at: float
    fault: str | None
    status: int | None

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Proxy:
    """Listens on a free loopback port. `rule` is asked for each request, in the order of their arrival, and names the
    fault to answer with, or None to pass the request on; it may do anything else meanwhile."""

    upstream: int
    rule: Callable[[str, str], str | None] = lambda method, path: None
    hang: float = 60.0
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the client went away, as it may
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def spoil(self, fault: str | None) -> None:
        """Answer everything with that fault from now on; None: pass everything on."""
        self.rule = lambda method, path: fault

    def writes(self) -> list[Request]:
        """The requests that were passed on and store memories."""
        return [
            r for r in list(self.requests) if r.fault is None and r.method == "POST" and r.path.endswith("/memories")
        ]

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = _body(handler)
        with self._lock:
            fault = self.rule(handler.command, handler.path.split("?")[0])
        status: int | None = None
        try:
            status = self._pass_on(handler, body) if fault is None else self._spoil(handler, fault)
        finally:
            self.requests.append(Request(handler.command, handler.path, body, time.monotonic(), fault, status))

    def _pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> int | None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=300)
        try:
            kept = {k: v for k, v in handler.headers.items() if k.lower() not in ("connection", "transfer-encoding")}
            upstream.request(handler.command, handler.path, body, kept | ({_LENGTH: str(len(body))} if body else {}))
            answer = upstream.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):  # the server is not there: the proxy isn't, either
            handler.close_connection = True
            return None
        finally:
            upstream.close()
        handler.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                handler.send_header(name, value)
        handler.send_header(_LENGTH, str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        return answer.status

    def _spoil(self, handler: BaseHTTPRequestHandler, fault: str) -> int | None:
        if fault in ("empty reply", "no answer"):
            if fault == "no answer":
                self._ended.wait(self.hang)
            handler.close_connection = True
            return None
        html = fault == "HTML"
        status = int(fault) if fault.isdigit() else 200
        told = handler.headers.get("Authorization", "")  # careless servers do echo it
        content = (
            f"<html><body>{VENDOR_BODY} Please log in. {told}</body></html>"
            if html
            else json.dumps({"detail": f"{VENDOR_BODY} {told}", "results": []})
        ).encode()
        handler.send_response_only(status)
        handler.send_header("Content-Type", "text/html" if html else "application/json")
        handler.send_header("X-Vendor", f"{VENDOR_HEADER} {told}")
        if status == 429:
            handler.send_header("Retry-After", "1")
        handler.send_header(_LENGTH, str(len(content)))
        handler.end_headers()
        if fault == "half a body":
            handler.wfile.write(content[: len(content) // 2])
            handler.close_connection = True
        else:
            handler.wfile.write(content)
        return status


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
        return handler.rfile.read(int(handler.headers.get(_LENGTH) or 0))
    parts = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)
