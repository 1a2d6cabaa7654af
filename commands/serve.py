"""`incidentos serve`: the MCP server, over stdio or HTTP."""

from __future__ import annotations

import sys

import anyio

from ..memory.errors import InvalidInput
from ..settings import Settings

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def serve(settings: Settings, http: str | None) -> int:
    """Serve until the client or a signal ends it."""
    from ..server import IncidentServer

    server = IncidentServer(settings)
    if http is None:
        anyio.run(server.serve_stdio)
        return 0
    host, port = _address(http)
    import uvicorn

    print(f"incidentos: serving on http://{host}:{port}/mcp", file=sys.stderr, flush=True)
    # A listening client would hold the server open for good: two seconds of grace on SIGTERM.
    uvicorn.run(server.http_app(host), host=host, port=port, log_level="warning", timeout_graceful_shutdown=2)
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidInput(f"--http takes HOST:PORT, such as 127.0.0.1:8765, not {text!r}.")
    if host not in _LOOPBACK:
        raise InvalidInput(
            f"--http serves this machine only (127.0.0.1, localhost or [::1]), not {host!r}: there is no login yet, and "
            "an incident memory must not stand open on a network."
        )
    return host, int(port)
