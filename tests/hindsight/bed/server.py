"""The real Hindsight server as the tests hold it: where it is installed, how it is started, killed and stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .keeper import free_port

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = ROOT / ".hindsight-venv"
"""Where `make test` installs the server: an environment of its own, 1.4 GB."""

KEY = "hsk-7b1f0c44d2e94a6f-secret"
"""The key that the servers of the tests ask for; it must show up in nothing that a user sees."""

PROGRAM = ENVIRONMENT / "bin" / "hindsight-api"


def why_missing() -> str | None:
    """Why the server cannot be run here, or None."""
    if sys.platform == "win32":
        return "the real Hindsight server needs a POSIX system"
    if not (ENVIRONMENT / ".installed").exists() or not PROGRAM.exists():
        return f"the real Hindsight server is not installed in {ENVIRONMENT.name}; `make test` does that"
    return None


class HindsightServer:
    """One running server. `mode` is its language model: `none` keeps each text as it is; `mock` makes facts of it."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("keeper.py")), str(PROGRAM), mode, str(self.port), KEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            RuntimeError: it did not start; why stands on standard error.
        """
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self.stop()
            raise RuntimeError(f"the Hindsight server ({self.mode}) did not start; see standard error")

    def kill(self) -> None:
        """End it by SIGKILL; its database keeps what was committed."""
        self._tell("kill")

    def start_again(self) -> None:
        """Start it again on the same port and data, and wait until it answers."""
        self._tell("start")

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"done\n"

    def stop(self) -> None:
        """Stop it with everything that belongs to it, and remove its data."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(60)
