"""An embedding server that speaks OpenAI's protocol and knows words, no meaning: the real Hindsight server asks it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_DIMENSIONS = 384


def embed(text: str) -> list[float]:
    """Each word adds or takes 1 in the dimension that its hash names; unit length."""
    vector = [0.0] * _DIMENSIONS
    for word in re.findall(r"\w+", text.casefold()) or ["(nothing)"]:
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % _DIMENSIONS] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector] if length else [1.0] + [0.0] * (_DIMENSIONS - 1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        found: list[dict[str, object]] = []
        for index, text in enumerate(texts):
            vector: object = embed(str(text))
            if asked.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack(f"<{_DIMENSIONS}f", *embed(str(text)))).decode()
            found.append({"object": "embedding", "index": index, "embedding": vector})
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body = json.dumps({"object": "list", "model": "words", "data": found, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> ThreadingHTTPServer:
    """A server on a free loopback port, running in a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
