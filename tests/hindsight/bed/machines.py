"""A machine of the team: a data folder of its own, the command line and the MCP server of the real program on it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incidentos.__main__ import main

_DEADLINE = 300
"""Seconds after which a command is given up: the real server makes facts of some 15 incidents a second, or fewer."""

_IN_TURN = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from incidentos.__main__ import main

told = []
for command in sys.argv[1:]:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            status = main([command])
        except SystemExit as end:
            status = int(end.code or 0)
    told.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(told))
"""


@contextmanager
def _in(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass
class Machine:
    """`processes` is the test's `Processes` whose settings lead to Hindsight."""

    home: Path
    processes: Any

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `incidentos ARGUMENTS` to its end, in this process, which saves its start; not for several threads.
        `code` is the exit status that it must have; None: any."""
        out, err = io.StringIO(), io.StringIO()
        with _in(self.processes.cwd, self.processes.environment(self.home)), redirect_stdout(out), redirect_stderr(err):
            try:
                status = main(arguments)
            except SystemExit as end:
                status = int(end.code or 0)
        return self._checked(arguments, status, out.getvalue(), err.getvalue(), code)

    def run_apart(self, *commands: str) -> tuple[list[subprocess.CompletedProcess[str]], str]:
        """Run the commands one after the other in a process of their own; with what that wrote to standard error when it
        ended."""
        process = self.processes.start("-c", _IN_TURN, *commands, home=self.home)
        out, err = process.communicate(timeout=_DEADLINE)
        assert process.returncode == 0, err.decode()
        told = zip(commands, json.loads(out), strict=True)
        return [subprocess.CompletedProcess((command,), *done) for command, done in told], err.decode()

    @staticmethod
    def _checked(
        arguments: Sequence[str], status: int, out: str, err: str, code: int | None
    ) -> subprocess.CompletedProcess[str]:
        assert code is None or status == code, (arguments, status, out, err)
        return subprocess.CompletedProcess(arguments, status, out, err)

    def start(self, *arguments: str) -> Any:
        """Start `incidentos ARGUMENTS` without waiting."""
        return self.processes.start("-m", "incidentos", *arguments, home=self.home)

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def sync(self, *arguments: str, code: int | None = 0) -> Any:
        return self.json("sync", *arguments, code=code)

    def import_(self, lines: Iterable[str], *, code: int = 0) -> Any:
        """Import rows of JSON Lines."""
        file = self.home.with_name(f"{self.home.name}-import.jsonl")
        file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return self.json("import", str(file), code=code)

    def export(self) -> dict[str, Any]:
        """Every record, by id."""
        rows = [json.loads(line) for line in self.run("export").stdout.splitlines()]
        found = {row["id"]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def pending(self) -> int:
        """How many rows wait in the outbox, whatever became of them."""
        with closing(sqlite3.connect(f"file:{self.home / 'memory.db'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def let_leases_run_out(self) -> None:
        """As if the half minute had gone by for which a killed sync holds up what it pushed."""
        with closing(sqlite3.connect(self.home / "memory.db")) as db, db:
            db.execute("UPDATE outbox SET leased_until = leased_at")

    def serve(self) -> Any:
        """Its MCP server over stdio, hands shaken."""
        return self.processes.serve(self.home)


def structured(result: Any) -> Any:
    """What a tool answered.

    Raises:
        AssertionError: it answered with an error.
    """
    assert not result.get("isError"), result
    return result["structuredContent"]


def status(wire: Any) -> Any:
    """incidents://status as the server tells it."""
    read = wire.ask("resources/read", {"uri": "incidents://status"})
    return json.loads(read["result"]["contents"][0]["text"])


def until(done: Callable[[], bool]) -> None:
    """Wait until it is so.

    Raises:
        AssertionError: it did not become so within a minute.
    """
    pause = threading.Event()
    for _ in range(600):
        if done():
            return
        pause.wait(0.1)
    raise AssertionError("it did not happen")


def connected(wire: Any) -> None:
    """Wait until the server is connected to the shared memory."""
    until(lambda: bool(status(wire)["hindsight"]["state"] == "up"))


MOVED = ("pulled", "pushed", "updated", "conflicts", "pending", "refused")
"""The counts of a sync that are all 0 where both sides hold the same."""

STILL = dict.fromkeys(MOVED, 0)


def moved(told: dict[str, Any]) -> dict[str, int]:
    """What a sync moved."""
    return {name: told[name] for name in MOVED}


def offline(machine: Machine) -> Machine:
    """The same machine while it knows no shared memory."""
    return Machine(machine.home, type(machine.processes)(machine.processes.cwd, {}, machine.processes.started))


def resolve(machine: Machine, incident_id: str, cause: str) -> None:
    """Resolve an incident where the shared memory does not hear of it yet."""
    wire = offline(machine).serve()
    structured(wire.call("resolve_incident", incident_id=incident_id, root_cause=cause, mitigation_steps=["Roll back"]))
    wire.process.stdin.close()
    wire.process.wait(60)


def causes(machine: Machine, incident_id: str) -> list[tuple[str, str | None]]:
    """The history of an incident: what happened, and the cause that stood there before."""
    return [
        (entry["action"], ((entry["previous"] or {}).get("resolution") or {}).get("root_cause"))
        for entry in machine.json("show", incident_id, code=None)["history"]
    ]
