"""Keeps one real Hindsight server for as long as its standard input is open, and leaves nothing behind.

`python keeper.py HINDSIGHT_API MODE PORT KEY` runs as a process of its own in a session of its own: a Ctrl-C in the
terminal of the tests does not reach it, but the end of its input does, however the tests end. It prints `ready`, and
obeys lines: `kill` ends the server by SIGKILL (its database stays), `start` starts it again on the same data.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bed.embeddings import serve

_NOBODY = 65534
_START = 120.0
"""Seconds that a start may take; it is some 8 on an idle machine."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on. It is taken seconds later, so it is none of those that the
    system hands out meanwhile to whoever asks for any port."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Keeper:
    def __init__(self, program: str, mode: str, port: int, key: str) -> None:
        self.program = program
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="hindsight-test-"))
        self.api: subprocess.Popen[bytes] | None = None
        self.embeddings = serve()
        self.as_nobody: list[str] = []
        if os.name == "posix" and os.getuid() == 0:  # PostgreSQL refuses to run as root
            os.chown(self.folder, _NOBODY, _NOBODY)
            self.as_nobody = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
            # Python and the checkout may lie in root's own folder, which is closed to everybody else.
            self.as_nobody += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HINDSIGHT_", "INCIDENTOS_"))},
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),  # PostgreSQL's starter leaves a folder behind with each start
            "HINDSIGHT_API_DATABASE_URL": f"pg0://test:{free_port()}",
            "HINDSIGHT_API_HOST": "127.0.0.1",  # it binds every interface unless told otherwise
            "HINDSIGHT_API_PORT": str(port),
            "HINDSIGHT_API_WORKER_ID": "test",
            "HINDSIGHT_API_LLM_PROVIDER": mode,
            # What it observes of a hundred incidents keeps it busy for minutes after their test; `Bank.observe` asks for it.
            "HINDSIGHT_API_ENABLE_AUTO_CONSOLIDATION": "false",
            "HINDSIGHT_API_RERANKER_PROVIDER": "rrf",
            "HINDSIGHT_API_EMBEDDINGS_PROVIDER": "openai",
            "HINDSIGHT_API_EMBEDDINGS_OPENAI_MODEL": "words",
            "HINDSIGHT_API_EMBEDDINGS_OPENAI_API_KEY": "unused",
            "HINDSIGHT_API_EMBEDDINGS_OPENAI_BASE_URL": f"http://127.0.0.1:{self.embeddings.server_port}/v1",
            "HINDSIGHT_API_TENANT_EXTENSION": "hindsight_api.extensions.builtin.tenant:ApiKeyTenantExtension",
            "HINDSIGHT_API_TENANT_API_KEY": key,
        }

    @property
    def log(self) -> Path:
        return self.folder / "api.log"

    def start(self) -> None:
        """Start the server, or start it again, and wait until it answers."""
        self.kill()
        with self.log.open("ab") as log:
            self.api = subprocess.Popen(
                [*self.as_nobody, self.program],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + _START
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2).close()
                return
            if self.api.poll() is not None:
                break
            time.sleep(0.1)
        tail = self.log.read_text(errors="replace")[-3000:]
        raise SystemExit(f"the Hindsight server did not start:\n{tail}")

    def kill(self) -> None:
        """End the server as the kernel would for want of memory."""
        if self.api is not None:
            self.api.kill()
            self.api.wait()

    def close(self) -> None:
        """Stop the server, then its database, then remove the folder."""
        self.kill()  # its data is thrown away: there is nothing to end gracefully
        for pid in self._postgres():  # a daemon of its own, which outlives the server
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGQUIT)  # PostgreSQL's immediate shutdown
            end = time.monotonic() + 10
            while time.monotonic() < end and _runs(pid):
                time.sleep(0.05)
        self.embeddings.shutdown()
        for _ in range(50):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.1)

    def _postgres(self) -> list[int]:
        found = []
        for file in self.folder.rglob("postmaster.pid"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                found.append(int(file.read_text().splitlines()[0]))
        return found


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def main() -> None:
    program, mode, port, key = sys.argv[1:]
    keeper = Keeper(program, mode, int(port), key)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        keeper.start()
        print("ready", flush=True)
        for line in sys.stdin:
            if line.strip() == "kill":
                keeper.kill()
            elif line.strip() == "start":
                keeper.start()
            print("done", flush=True)
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
