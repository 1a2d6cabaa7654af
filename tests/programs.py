"""Programs as the tests run them: a server at the end of two pipes, and processes of which none is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEADLINE = 60
"""Seconds after which a test gives up on a process: far beyond what any of them needs."""


class Wire:
    """A server at the end of two pipes, spoken to in lines of JSON as they stand."""

    def __init__(self, process: Any) -> None:
        self.process = process
        self.lines: list[bytes] = []
        self._arrived: queue.Queue[bytes] = queue.Queue()
        self._number = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def join(self) -> None:
        """Wait for the end of the server's output."""
        self._reader.join(DEADLINE)

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)
            self._arrived.put(line)
        self._arrived.put(b"")

    def send(self, line: str | bytes) -> None:
        self.process.stdin.write((line.encode() if isinstance(line, str) else line) + b"\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        line = self._arrived.get(timeout=DEADLINE)
        assert line, f"the server ended: {self.process.stderr.read().decode()}"
        return json.loads(line)

    def answer(self, number: int) -> Any:
        """The answer to a request; what comes in before it is passed over."""
        while (message := self.receive()).get("id") != number or "method" in message:
            pass
        return message

    def post(self, method: str, params: Any = None) -> int:
        """Send a request without waiting; its number."""
        self._number += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params or {}}))
        return self._number

    def ask(self, method: str, params: Any = None) -> Any:
        return self.answer(self.post(method, params))

    def call(self, tool: str, **arguments: Any) -> Any:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]

    def shake_hands(self) -> Any:
        client = {"name": "test", "version": "1"}
        answer = self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        self.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
        return answer["result"]


@dataclass
class Processes:
    """Starts Python processes and leaves none behind."""

    cwd: Path
    settings: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self, home: Path | None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("INCIDENTOS_", "GROQ_", "HINDSIGHT_"))}
        kept |= {**self.settings, **self.variables}
        return kept if home is None else {**kept, "INCIDENTOS_HOME": str(home)}

    def start(self, *arguments: str, home: Path | None = None, executable: str = sys.executable) -> Any:
        process = subprocess.Popen(
            [executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.cwd,
            env=self.environment(home),
        )
        self.started.append(process)
        return process

    def serve(self, home: Path, *command: str) -> Wire:
        """A server that has shaken hands."""
        wire = Wire(self.start(*(command or ("-m", "incidentos", "serve")), home=home))
        wire.shake_hands()
        return wire

    def run(self, *arguments: str, home: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `python ARGUMENTS` to its end."""
        process = self.start(*arguments, home=home)
        out, err = process.communicate(stdin.encode(), timeout=DEADLINE)
        return subprocess.CompletedProcess(arguments, process.returncode, out.decode(), err.decode())

    def at_once(self, code: str, *arguments: Sequence[str]) -> list[str]:
        """Run the code in a process for each list of arguments, all let go at the same moment; their outputs.

        The code finds its arguments in `args`, and calls `ready()` once everything slow is behind it.
        """
        prelude = (
            "import sys\nargs = sys.argv[1:]\ndef ready():\n    print('ready', flush=True)\n    sys.stdin.readline()\n"
        )
        running = [self.start("-c", prelude + code, *some) for some in arguments]
        for process in running:
            line = process.stdout.readline()
            assert line == b"ready\n", process.stderr.read().decode()
        for process in running:
            process.stdin.write(b"go\n")
            process.stdin.flush()
        outputs = []
        for process in running:
            out, err = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, err.decode()
            outputs.append(out.decode())
        return outputs

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what was never sent to a process that ended
                        pipe.close()
