"""How fast the server starts and answers, and what it takes: the figures of the budgets.

    python bench/latency.py [--incidents 10000] [--vectors real|synthetic] [--calls 200] [--starts 10] [--json]
                            [--append bench/latency.jsonl] [--home FOLDER]

Everything is measured on real processes over stdio, beside a trivial server of the same SDK that has one tool; so
that a slow or busy machine shows in both. `--vectors synthetic` gives the stored incidents vectors of other texts
with a little noise instead of embedding each (hours for a million); queries are embedded by the real model always.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from sets import CACHE, fast_embedder
from texts import Parts, base_texts, data_folder, incidents, read_parts, synthetic_vectors, text_of

from incidentos.memory.embedding.onnx import load_or_make
from incidentos.memory.recall import SNAPSHOT_FROM
from incidentos.memory.redaction import redact
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.server import connect
from incidentos.settings import DATABASE_NAME, Settings
from incidentos.wiring import build_memory

TRIVIAL = """
import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

async def list_tools(ctx, params):
    return types.ListToolsResult(tools=[types.Tool(name="nothing", input_schema={"type": "object"})])

async def call_tool(ctx, params):
    return types.CallToolResult(content=[types.TextContent(type="text", text="ok")])

server = Server("trivial", version="1", on_list_tools=list_tools, on_call_tool=call_tool)

async def main():
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""
"""The floor: the same SDK and API as ours, with nothing behind it."""

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}
_IMPORT_BATCH = 200
_STORE_BATCH = 1000
_READY_DEADLINE = 3600.0


def fill(home: Path, parts: Parts, count: int, synthetic: bool) -> float:
    """Store the incidents; returns how many a second."""
    begun = time.perf_counter()
    made = incidents(parts, count)
    if synthetic:
        embedder = fast_embedder()
        base = embedder.embed(base_texts(parts))
        begun = time.perf_counter()
        store = SqliteStore(home / DATABASE_NAME)
        number = 0
        while some := list(islice(made, _STORE_BATCH)):
            with store.transaction():
                for incident in some:
                    store.insert(incident, synthetic_vectors(base, number), embedder.identity, action="imported")
                    number += 1
        store.close()
    else:
        memory = build_memory(Settings(INCIDENTOS_HOME=home))  # type: ignore[call-arg] # pydantic's alias
        memory.embedder.wait()
        begun = time.perf_counter()
        while some := list(islice(made, _IMPORT_BATCH)):
            memory.import_batch(some, embed=True)
        memory.close()
    return count / (time.perf_counter() - begun)


def filled(home: Path, parts: Parts, count: int, synthetic: bool) -> dict[str, float]:
    """What `fill` and `first_run` gave: now, or when an earlier run did that in this home, which is taken as it is.

    Raises:
        SystemExit: the home holds something else.
    """
    note, asked = home / "filled.json", {"incidents": count, "synthetic": synthetic}
    if note.exists():
        there = json.loads(note.read_text(encoding="utf-8"))
        took: dict[str, float] = there.pop("took")
        if there != asked:
            raise SystemExit(f"{home} holds {there}, not {asked}. Give another folder.")
        return took
    if (home / DATABASE_NAME).exists():
        raise SystemExit(f"{home} holds a memory that was not filled to its end. Give another folder.")
    print(f"storing {count:,} incidents …", file=sys.stderr, flush=True)
    took = {"stored_per_s" if synthetic else "imported_per_s": fill(home, parts, count, synthetic)}
    print("building the index …", file=sys.stderr, flush=True)
    took["index_built_s"] = first_run(home)
    note.write_text(json.dumps({**asked, "took": took}), encoding="utf-8")
    return took


def first_run(home: Path) -> float:
    """What a first server does: it builds the index, and keeps that of a large memory for the next start. Returns the
    seconds that building took.

    Raises:
        SystemExit: it was not kept, so that what follows would measure no second start.
    """
    memory = build_memory(Settings(INCIDENTOS_HOME=home))  # type: ignore[call-arg] # pydantic's alias
    memory.embedder.wait()
    begun = time.perf_counter()
    memory.warm_up()
    taken = time.perf_counter() - begun
    memory.tidy()
    large = len(memory.recall) >= SNAPSHOT_FROM
    memory.close()
    if large and not any((home / "index").glob("snapshot-*")):
        raise SystemExit("The first run did not keep its index.")
    return taken


def start_time(command: list[str], environment: dict[str, str]) -> float:
    """Milliseconds from the spawn to the answer to `initialize`."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
    process.stdin.flush()
    line = process.stdout.readline()
    taken = time.perf_counter() - begun
    process.stdin.close()
    process.stdout.close()
    if process.wait(60) and not line:
        raise SystemExit(f"{' '.join(command)} did not answer.")
    return 1000 * taken


def starts(trivial: Path, home: Path, runs: int) -> dict[str, float]:
    """Both servers in turn; the first start of each is not counted, since it writes the byte code."""
    environment = {**os.environ, "INCIDENTOS_HOME": str(home)}
    commands = {
        "ours": [sys.executable, "-m", "incidentos", "serve"],
        "trivial": [sys.executable, str(trivial)],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            one = start_time(command, environment)
            if run:
                taken[name].append(one)
    ours, floor = (statistics.median(taken[name]) for name in ("ours", "trivial"))
    return {"start_ms": ours, "start_trivial_ms": floor, "start_ratio": ours / floor}


async def timed(count: int, call: Callable[[int], Awaitable[Any]]) -> dict[str, float]:
    """Milliseconds of a call: median and 99th percentile."""
    taken: list[float] = []
    for number in range(count):
        begun = time.perf_counter()
        result = await call(number)
        taken.append(1000 * (time.perf_counter() - begun))
        if result.is_error:
            raise SystemExit(f"A call failed: {result.content[0].text}")
    taken.sort()
    return {"median_ms": statistics.median(taken), "p99_ms": taken[min(len(taken) - 1, int(0.99 * len(taken)))]}


def query_text(parts: Parts, number: int) -> str:
    """What find_similar is asked."""
    return "\n".join(text_of(parts, number, 1001))


async def serve(home: Path, parts: Parts, calls: int) -> dict[str, Any]:
    """What a client of our server meets, from its start on: a second one, since `first_run` and `starts` went before."""
    figures: dict[str, Any] = {}
    begun = time.perf_counter()
    async with connect(home) as client:
        with anyio.fail_after(_READY_DEADLINE):
            while True:
                result = await client.call_tool("find_similar", {"query": "connection pool exhausted"})
                if not result.structured_content.get("degraded"):
                    break
                await anyio.sleep(0.02)
        figures["semantic_ready_ms"] = 1000 * (time.perf_counter() - begun)

        async def find(number: int) -> Any:
            return await client.call_tool("find_similar", {"query": query_text(parts, number)})

        async def analyze(number: int) -> Any:
            title, description = text_of(parts, number, 1002)
            return await client.call_tool("analyze_incident", {"title": title, "description": description})

        for number in range(5):
            await find(10_000 + number)
        figures["find_similar"] = await timed(calls, find)
        figures["analyze_incident"] = await timed(calls, analyze)
        process = server_process()
        figures["rss_mb"], figures["peak_rss_mb"] = resident(process)
        figures["torch_loaded"] = has_loaded(process, "libtorch")
    return figures


def embedding_time(parts: Parts, calls: int) -> float:
    """Median milliseconds that the server's embedder takes for the queries of find_similar, in this process."""
    embedder = load_or_make(CACHE / "models")
    taken: list[float] = []
    for number in range(-5, calls):
        text = redact(query_text(parts, number))
        begun = time.perf_counter()
        embedder.embed([text])
        if number >= 0:
            taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


async def floor(trivial: Path, calls: int) -> dict[str, float]:
    """A call of the trivial server's tool."""
    command = StdioServerParameters(command=sys.executable, args=[str(trivial)], env=dict(os.environ))
    async with Client(command) as client:
        for _ in range(5):
            await client.call_tool("nothing", {})
        return await timed(calls, lambda _: client.call_tool("nothing", {}))


def server_process() -> int | None:
    """The process id of our server, a child of this process; None where /proc does not say."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and b"incidentos" in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except (OSError, IndexError, ValueError):
            continue
    return None


def resident(process: int | None) -> tuple[float | None, float | None]:
    """Resident memory of a process in megabytes (10⁶ bytes), now and at its highest."""
    if process is None:
        return None, None
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return int(kilobytes["VmRSS"]) * 1024 / 1e6, int(kilobytes["VmHWM"]) * 1024 / 1e6


def has_loaded(process: int | None, library: str) -> bool | None:
    """Whether the process has mapped a shared library of that name; None where /proc does not say. A process that
    imports torch maps libtorch."""
    return None if process is None else library in Path(f"/proc/{process}/maps").read_text()


def machine() -> dict[str, Any]:
    """What it was measured on: the processor's name and how many cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": names[0] if names else platform.processor() or platform.machine(), "cores": cores}


def append(file: Path, row: dict[str, Any]) -> None:
    """Put a row into a file of JSON lines, in the place of the one with as many incidents; fewest incidents first."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [known for known in map(json.loads, lines) if known["incidents"] != row["incidents"]]
    rows = sorted([*rows, row], key=lambda known: known["incidents"])
    file.write_text("".join(json.dumps(known) + "\n" for known in rows), encoding="utf-8")


def measure(parts: Parts, count: int, synthetic: bool, calls: int, runs: int, kept: Path | None) -> dict[str, Any]:
    """All figures, in the kept home or a temporary one."""
    load_or_make(CACHE / "models")
    with tempfile.TemporaryDirectory(prefix="incidentos-latency-") as folder:
        home, trivial = kept or Path(folder), Path(folder) / "trivial_server.py"
        home.mkdir(parents=True, exist_ok=True)
        shutil.copytree(CACHE / "models", home / "models", dirs_exist_ok=True)
        trivial.write_text(TRIVIAL, encoding="utf-8")
        took = filled(home, parts, count, synthetic)
        size = sum(path.stat().st_size for path in home.glob(f"{DATABASE_NAME}*"))
        print("starting servers …", file=sys.stderr, flush=True)
        figures: dict[str, Any] = {
            "incidents": count,
            "vectors": "synthetic" if synthetic else "real",
            "calls": calls,
            **took,
            "database_mb": size / 1e6,
            **starts(trivial, home, runs),
        }
        print("calling …", file=sys.stderr, flush=True)
        figures |= anyio.run(serve, home, parts, calls)
        figures["embed_query_ms"] = embedding_time(parts, calls)
        figures["trivial_call"] = anyio.run(floor, trivial, calls)
    return figures | machine()


def rounded(value: Any) -> Any:
    """Figures to three digits that count."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> int:
    """Return the exit status: 0 also where there are no texts to measure with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--vectors", choices=("real", "synthetic"), default="real")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--data", type=Path, help="the folder of the real incidents, by default ../shared/data")
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", help="fill and keep this home, and take it filled next time"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    parser.add_argument("--append", type=Path, metavar="FILE", help="put the figures into this file of JSON lines")
    args = parser.parse_args()
    folder = data_folder(args.data)
    if folder is None:
        print("Skipped: there are no incidents at ../shared/data. Give a folder with --data.", file=sys.stderr)
        return 0
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # for the servers: without byte code a start takes twice as long
    parts = read_parts(folder)
    figures = rounded(measure(parts, args.incidents, args.vectors == "synthetic", args.calls, args.starts, args.home))
    if args.append:
        append(args.append, figures)
    if args.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        print(
            f"{name:20} " + (", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value))
        )
    if args.vectors == "synthetic":
        print("The vectors of the stored incidents are synthetic (of other texts, with noise); queries are embedded.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
