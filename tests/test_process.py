"""What a user may rely on of the server as a process: clean pipes, clean ends, nothing lost, nothing left behind."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from incidentos.memory.embedding.onnx import OnnxEmbedder, cached
from incidentos.memory.stores.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 60
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
pytestmark = pytest.mark.slow


def until(done: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(DEADLINE * 50):
        if done():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen")


def status(wire: Any) -> Any:
    read = wire.ask("resources/read", {"uri": "incidents://status"})
    return json.loads(read["result"]["contents"][0]["text"])


def embedded(wire: Any) -> bool:
    return bool(status(wire)["embedding"]["not_embedded"] == 0)


def stored(home: Path) -> set[str]:
    with closing(SqliteStore(home / "memory.db")) as store:
        return {s.incident.id for s in store.scan(None)}


def protocol_only(wire: Any) -> None:
    if wire.process.poll() is not None:
        wire.join()
    for line in wire.lines:
        assert json.loads(line)["jsonrpc"] == "2.0"


# Starting


@pytest.mark.parametrize(
    "command",
    [
        (str(ROOT / "server.py"),),
        ("-m", "incidentos"),
        ("-m", "incidentos", "serve"),
    ],
    ids=["server.py", "module", "serve"],
)
def test_every_way_to_start_it_serves(processes: Any, home: Path, command: tuple[str, ...]) -> None:
    wire = processes.serve(home, *command)
    assert len(wire.ask("tools/list")["result"]["tools"]) == 5
    protocol_only(wire)


def test_the_installed_command_serves(processes: Any, home: Path) -> None:
    script = Path(sys.executable).with_name("incidentos")
    if not script.exists():
        pytest.skip("the project is not installed with its script in this environment")
    process = processes.start(home=home, executable=str(script))
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (0, b""), err.decode()


def test_a_warm_server_never_loads_torch(processes: Any, home: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux shows what a process has loaded, in /proc")
    wire = processes.serve(home)
    wire.call("analyze_incident", title="pool exhausted")
    until(lambda: embedded(wire))
    maps = Path(f"/proc/{wire.process.pid}/maps").read_text()
    assert "onnxruntime" in maps
    assert "libtorch" not in maps


@pytest.mark.parametrize("trouble", ["a file in the way", "garbage"])
def test_a_memory_that_cannot_be_opened_ends_the_server_with_a_sentence(
    processes: Any, home: Path, trouble: str
) -> None:
    (home / "memory.db").write_bytes(b"garbage" * 1000)
    place = home if trouble == "garbage" else home / "memory.db" / "home"
    process = processes.start("-m", "incidentos", home=place)
    assert process.wait(DEADLINE) == 2, "although its input stays open"
    err = process.stderr.read().decode()
    assert err.startswith("incidentos: ")
    assert len(err.splitlines()) == 1
    assert process.stdout.read() == b""


# Standard output


def test_a_print_in_a_tool_never_reaches_the_protocol(processes: Any, home: Path) -> None:
    code = (
        "import os, subprocess, sys\nfrom incidentos.memory.memory import IncidentMemory\n"
        "find = IncidentMemory.find\n"
        "def noisy(*args, **kw):\n"
        "    print('noise one'); print('noise two', flush=True); os.write(1, b'noise three')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"noise four\")'])\n"
        "    return find(*args, **kw)\n"
        "IncidentMemory.find = noisy\n"
        "from incidentos.__main__ import main\nsys.exit(main([]))\n"
    )
    wire = processes.serve(home, "-c", code)
    for _ in range(3):
        assert not wire.call("find_similar", query="pool").get("isError")
    wire.process.stdin.close()
    assert wire.process.wait(DEADLINE) == 0
    protocol_only(wire)
    assert not any(b"noise" in line for line in wire.lines)


# Ending


def test_the_end_of_input_ends_the_server_with_0_and_one_file(processes: Any, home: Path) -> None:
    wire = processes.serve(home)
    told = wire.call("analyze_incident", title="pool exhausted")["structuredContent"]["incident_id"]
    wire.process.stdin.close()
    assert wire.process.wait(DEADLINE) == 0
    assert not list(home.glob("memory.db-*")), "the write-ahead log is folded in"
    assert stored(home) == {told}
    protocol_only(wire)


def test_input_that_ends_at_once_ends_the_server_with_0(processes: Any, home: Path) -> None:
    done = processes.run("-m", "incidentos", home=home)
    assert (done.returncode, done.stdout) == (0, "")


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in a call"])
def test_a_signal_ends_the_server_with_its_memory_closed(
    processes: Any, home: Path, number: signal.Signals, code: int, busy: bool
) -> None:
    wire = processes.serve(home)
    told = wire.call("analyze_incident", title="pool exhausted")["structuredContent"]["incident_id"]
    until(lambda: embedded(wire))
    if busy:
        for index in range(20):
            wire.post("tools/call", {"name": "find_similar", "arguments": {"query": f"alert {index} " * 500}})
    wire.process.send_signal(number)
    assert wire.process.wait(DEADLINE) == code
    assert not list(home.glob("memory.db-*"))
    assert stored(home) == {told}
    protocol_only(wire)


@posix
def test_a_signal_while_the_model_is_being_made_ends_the_server_at_once(processes: Any, tmp_path: Path) -> None:
    cold = tmp_path / "cold"
    wire = processes.serve(cold)
    wire.process.send_signal(signal.SIGTERM)
    assert wire.process.wait(DEADLINE) == 143


# Losing power


@posix
def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(
    processes: Any, home: Path, model_cache: Path
) -> None:
    wire = processes.serve(home)
    for number in range(200):
        wire.post("tools/call", {"name": "analyze_incident", "arguments": {"title": f"alert number {number}"}})
    acknowledged: dict[str, str] = {}
    while len(acknowledged) < 60:
        message = wire.receive()
        if "structuredContent" in message.get("result", {}):
            answer = message["result"]["structuredContent"]
            acknowledged[answer["incident_id"]] = answer["status"]
    wire.process.kill()
    wire.process.wait(DEADLINE)
    again = processes.serve(home)
    assert not again.call("find_similar", query="alert number 7").get("isError")
    until(lambda: embedded(again))
    model = OnnxEmbedder(next(iter(cached(model_cache)))).identity
    with closing(SqliteStore(home / "memory.db")) as store:
        found = {s.incident.id: s for s in store.scan(model)}
        assert acknowledged.keys() <= found.keys()
        for incident_id, entry in found.items():
            assert entry.incident.title.startswith("alert number ")
            assert entry.vectors is not None
            assert entry.vectors.shape[1] == 384
            assert [e.action for e in store.history(incident_id)] == ["created"]
        counts = store.counts(model)
        assert (counts.pending_sync, counts.without_vectors) == (len(found), 0)


# Several servers


def test_what_one_server_stores_the_other_finds_in_its_next_call(processes: Any, home: Path) -> None:
    one, other = processes.serve(home), processes.serve(home)
    until(lambda: embedded(one) and embedded(other))
    for mine, theirs, title in ((one, other, "certificate of the proxy expired"), (other, one, "disk of node-3 full")):
        told = mine.call("analyze_incident", title=title)["structuredContent"]["incident_id"]
        matches = theirs.call("find_similar", query=title, limit=1)["structuredContent"]["matches"]
        assert [match["incident_id"] for match in matches] == [told]
        again = theirs.call("analyze_incident", title=title)["structuredContent"]
        assert again["duplicate_of"] == told
        steps = {"root_cause": f"the cause of {title}", "mitigation_steps": ["mended"]}
        theirs.call("resolve_incident", incident_id=told, **steps)
        match = mine.call("find_similar", query=title, limit=1)["structuredContent"]["matches"][0]
        assert (match["incident_id"], match["resolved"]) == (told, True)


def test_servers_that_start_at_once_on_a_new_home_all_serve(processes: Any, home: Path) -> None:
    running = [processes.start("-m", "incidentos", home=home) for _ in range(3)]
    for process in running:
        process.stdin.close()
        process.stdin = None
    for process in running:
        _, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, err.decode()
