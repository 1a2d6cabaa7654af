"""A machine of the team: a data folder of its own, the command line and the MCP server of the real program on it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DEADLINE = 300
"""Seconds after which a command is given up: the real server makes facts of some 15 incidents a second, or fewer."""


@dataclass
class Machine:
    """`processes` is the test's `Processes` whose settings lead to Hindsight."""

    home: Path
    processes: Any

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `incidentos ARGUMENTS` to its end. `code` is the exit status that it must have; None: any."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=_DEADLINE)
        done = subprocess.CompletedProcess(arguments, process.returncode, out.decode(), err.decode())
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

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

    def show(self, incident_id: str) -> Any:
        """One record with its history."""
        return self.json("show", incident_id)

    def pending(self) -> int:
        """How many rows wait in the outbox, whatever became of them."""
        with closing(sqlite3.connect(f"file:{self.home / 'memory.db'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])

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
