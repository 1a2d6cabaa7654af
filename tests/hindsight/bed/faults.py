"""What a user sees while Hindsight fails, collected from the real program into a table for docs/hindsight-faults.md."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .machines import Machine, status, structured, until
from .proxy import Proxy

HEADING = """# What you see while Hindsight fails

Written by `INCIDENTOS_WRITE_DOCS=1 python -m pytest tests/hindsight/test_faults.py`, which runs the real program against
a real Hindsight server behind a proxy that spoils every answer in one way; the test fails where this page is not what
the program says. URL and BANK stand for what is set. In every row `find_similar` answered with the matches of this
machine, what waited in the outbox still waits there afterwards, and neither the key nor the other side's own text is shown.

| Hindsight answers | `find_similar`, under `degraded` | `incidentos sync` | `incidentos doctor` |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Seen:
    """What one fault looks like. `sync_code` is the command's exit status; `raw` is everything that was printed."""

    fault: str
    degraded: tuple[str, ...]
    matches: int
    sync_code: int
    sync: str
    doctor_code: int
    doctor: str
    pending: int
    raw: str

    def row(self) -> str:
        cells = (
            self.fault,
            " ".join(self.degraded),
            f"{self.sync} (exit {self.sync_code})",
            f"{self.doctor} (exit {self.doctor_code})",
        )
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def see(fault: str, machine: Machine, url: str) -> Seen:
    """Ask, sync and examine while everything is spoilt; the machine has a memory and something to push."""

    bank = machine.processes.settings["INCIDENTOS_HINDSIGHT_BANK"]

    def plain(text: str) -> str:
        text = text.replace(url, "URL").replace(url.removeprefix("http://"), "URL").replace(bank, "BANK")
        return re.sub(r"[ \n]+", " ", text).strip().removeprefix("connecting to URL ")

    (sync, doctor), late = machine.run_apart("sync", "doctor")
    wire = machine.serve()
    until(lambda: status(wire)["hindsight"]["state"] != "connecting")
    result = wire.call("find_similar", query="pool exhausted")
    answer = structured(result)
    wire.process.stdin.close()
    wire.process.wait(60)
    err = wire.process.stderr.read().decode()
    lines = re.findall(r"^PROBLEM +(Hindsight: .*(?:\n +-> .*)?)", doctor.stdout, re.MULTILINE)
    return Seen(
        fault=fault,
        degraded=tuple(
            plain(line) for line in answer["degraded"] if "Hindsight" in line
        ),  # the model may be loading, too
        matches=len(answer["matches"]),
        sync_code=sync.returncode,
        sync=plain(f"{sync.stdout}\n{sync.stderr}"),
        doctor_code=doctor.returncode,
        doctor=plain("\n".join(lines[:1]).replace("->", "→")),
        pending=machine.pending(),
        raw="\n".join((str(result), err, late, sync.stdout, sync.stderr, doctor.stdout, doctor.stderr)),
    )


def closed(proxy: Proxy) -> str:
    """The address of a proxy that has gone away."""
    proxy.close()
    return proxy.url


def page(rows: list[Seen]) -> str:
    return HEADING + "".join(seen.row() + "\n" for seen in rows)
