"""What the shared memory costs: a push and a pull of a whole history, and find_similar while Hindsight is well, slow or down.

    python bench/hindsight.py [--incidents 1019] [--modes none mock] [--calls 200] [--rounds 3] [--json]

It needs the real server (`make .hindsight-venv/.installed`). Incidents are real texts recombined where ../shared/data is
there, else the sample memory's. `none` and `mock` are the server's two ways of taking in a text: whole, or as facts.
find_similar is measured over stdio in servers on copies of one memory, one server for each state and round, in turn, so
that a busy machine shows in all of them; `worst_ms` holds what the first calls wait until the server has noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from sets import CACHE, ROOT
from texts import data_folder, incidents, read_parts

from incidentos.memory.embedding.onnx import load_or_make
from incidentos.memory.record import dumps

sys.path.insert(0, str(ROOT / "tests" / "hindsight"))  # the launcher and the proxy are the tests'

from bed.bank import Bank
from bed.history import history
from bed.proxy import Proxy
from bed.server import KEY, HindsightServer, why_missing

STATES = ("offline", "well", "500", "nothing listens", "no answer", "2 s late")
"""What find_similar meets; `offline` is a machine that knows no shared memory."""

_QUERIES = (
    "connection pool exhausted, requests time out",
    "x509 certificate has expired at the edge",
    "DNS lookups answer NXDOMAIN in one namespace",
    "pods are killed for want of memory after the rollout",
    "the payment provider answers 503",
)


def lines(count: int, data: Path | None) -> list[str]:
    """The incidents as lines that `incidentos import` reads."""
    folder = data_folder(data)
    if folder is None:
        return history(count)
    return [dumps(incident) for incident in islice(incidents(read_parts(folder), count), count)]


def environment(home: Path, url: str | None, bank: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("INCIDENTOS_", "GROQ_", "HINDSIGHT_"))}
    kept["INCIDENTOS_HOME"] = str(home)
    if url:
        kept |= {"HINDSIGHT_API_KEY": KEY, "HINDSIGHT_BASE_URL": url, "INCIDENTOS_HINDSIGHT_BANK": bank}
    return kept


def run(home: Path, url: str | None, bank: str, *arguments: str) -> tuple[float, Any]:
    """Seconds of a command, and its JSON."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "incidentos", *arguments, "--json"],
        env=environment(home, url, bank), capture_output=True, text=True, check=False, cwd=home,
    )  # fmt: skip
    taken = time.perf_counter() - begun
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"incidentos {' '.join(arguments)} failed: {done.stderr}")
    return taken, json.loads(done.stdout)


def exported(home: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "incidentos", "export"],
        env=environment(home, None, ""), capture_output=True, text=True, check=True, cwd=home,
    )  # fmt: skip
    return sorted(done.stdout.splitlines())


@contextmanager
def homes(*names: str) -> Iterator[list[Path]]:
    """Folders for memories, with the model in them, for as long as the block lasts."""
    load_or_make(CACHE / "models")
    with tempfile.TemporaryDirectory(prefix="incidentos-hindsight-") as folder:
        made = [Path(folder) / name for name in names]
        for home in made:
            home.mkdir(mode=0o700)
            (home / "models").symlink_to(CACHE / "models", target_is_directory=True)
        yield made


def exchange(server: HindsightServer, rows: list[str]) -> dict[str, Any]:
    """Push everything, pull it into an empty memory, and sync ten times more."""
    with homes("here", "there") as (here, there):
        file, bank = here.parent / "history.jsonl", f"bench-{server.mode}"
        file.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        run(here, None, bank, "import", str(file))
        pushed_s, pushed = run(here, server.url, bank, "sync", "--direction", "push")
        pulled_s, pulled = run(there, server.url, bank, "sync", "--direction", "pull")
        shared = Bank(server.url, bank)
        before = len(shared.documents()), shared.facts()
        more = [run((here, there)[turn % 2], server.url, bank, "sync") for turn in range(10)]
        names = ("pushed", "pulled", "updated", "conflicts", "pending")
        return {
            "mode": server.mode,
            "incidents": len(rows),
            "pushed": pushed["pushed"],
            "push_s": pushed_s,
            "pulled": pulled["pulled"],
            "pull_s": pulled_s,
            "identical": exported(here) == exported(there),
            "documents": before[0],
            "facts": before[1],
            "ten_more_syncs": {name: sum(told[name] for _, told in more) for name in names},
            "a_sync_more_s": statistics.median(seconds for seconds, _ in more),
            "the_same_after": (len(shared.documents()), shared.facts()) == before,
        }


async def find(home: Path, url: str | None, bank: str, calls: int) -> tuple[list[float], list[float]]:
    """Milliseconds of find_similar in one server: the first 20 calls, and those after."""
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "incidentos", "serve"], env=environment(home, url, bank), cwd=str(home)
    )
    taken: list[float] = []
    async with Client(command) as client:
        for _ in range(500):
            result = await client.call_tool("find_similar", {"query": "warm up"})
            if not any("model" in line for line in result.structured_content["degraded"]):
                break
            await anyio.sleep(0.02)
        for number in range(20 + calls):
            begun = time.perf_counter()
            result = await client.call_tool("find_similar", {"query": f"{_QUERIES[number % 5]}, node-{number}"})
            taken.append(1000 * (time.perf_counter() - begun))
            if result.is_error:
                raise SystemExit(f"A call failed: {result.content[0].text}")
    return taken[:20], taken[20:]


def recall(server: HindsightServer, rows: list[str], calls: int, rounds: int) -> dict[str, dict[str, float]]:
    """find_similar in each state, in turn."""
    bank = "bench-recall"
    first: dict[str, list[float]] = {state: [] for state in STATES}
    later: dict[str, list[float]] = {state: [] for state in STATES}
    with homes("base") as (base,):
        file = base.parent / "history.jsonl"
        file.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        run(base, None, bank, "import", str(file))
        run(base, server.url, bank, "sync")
        for turn in range(rounds):
            for state in STATES:
                home = base.parent / f"{state}-{turn}"
                shutil.copytree(base, home, symlinks=True)
                proxy = Proxy(server.port)
                if state == "nothing listens":
                    proxy.close()
                elif state == "2 s late":
                    proxy.rule = lambda method, path: time.sleep(2.0)
                elif state not in ("offline", "well"):
                    proxy.spoil(state)
                url = None if state == "offline" else server.url if state == "well" else proxy.url
                some, rest = anyio.run(find, home, url, bank, calls)
                first[state] += some
                later[state] += rest
                if state != "nothing listens":
                    proxy.close()
    floor = statistics.median(later["offline"])
    return {
        state: {
            "median_ms": statistics.median(taken),
            "p99_ms": sorted(taken)[int(0.99 * len(taken))],
            "worst_ms": max(first[state] + taken),
            "times_offline": statistics.median(taken) / floor,
        }
        for state, taken in later.items()
    }


def rounded(value: Any) -> Any:
    """Figures to three digits that count."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> int:
    """Return the exit status: 0 also where the real server is not installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=1019)
    parser.add_argument("--modes", nargs="*", choices=("none", "mock"), default=["none", "mock"])
    parser.add_argument("--calls", type=int, default=200, help="of find_similar, for each state and round; 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="the folder of the real incidents, by default ../shared/data")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    args = parser.parse_args()
    if reason := why_missing():
        print(f"Skipped: {reason}.", file=sys.stderr)
        return 0
    rows = lines(args.incidents, args.data)
    figures: dict[str, Any] = {"exchange": []}
    for mode in dict.fromkeys([*args.modes, *(["none"] if args.calls else [])]):
        server = HindsightServer(mode)
        try:
            server.wait()
            if mode in args.modes:
                print(f"exchanging {len(rows):,} incidents, mode {mode} …", file=sys.stderr, flush=True)
                figures["exchange"].append(rounded(exchange(server, rows)))
            if mode == "none" and args.calls:
                print("calling find_similar …", file=sys.stderr, flush=True)
                figures["find_similar"] = rounded(recall(server, rows, args.calls, args.rounds))
        finally:
            server.stop()
    if args.json:
        print(json.dumps(figures))
        return 0
    for told in figures["exchange"]:
        print("\n".join(f"{name:<16} {value}" for name, value in told.items()) + "\n")
    for state, found in figures.get("find_similar", {}).items():
        print(f"{state:<16} " + ", ".join(f"{name} {value}" for name, value in found.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
