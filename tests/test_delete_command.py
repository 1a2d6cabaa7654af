"""`incidentos delete` removes what a person or a program means to remove, for every running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from incidentos.memory.incident import Incident, Resolution, Status
from incidentos.memory.stores.sqlite import SqliteStore

Make = Callable[..., Incident]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def place(tmp_path: Path, incident: Make) -> Path:
    """A home with two incidents."""
    (tmp_path / "home").mkdir()
    with closing(SqliteStore(tmp_path / "home" / "memory.db")) as store:
        store.insert(incident("a1", "pool \x1b[31mexhausted"), None, None)
        store.insert(incident("b2", "another"), None, None)
    return tmp_path / "home"


@pytest.fixture
def incidentos(processes: Any, place: Path) -> Command:
    return lambda *arguments, stdin="": processes.run("-m", "incidentos", *arguments, home=place, stdin=stdin)


def ids(place: Path) -> list[str]:
    with closing(SqliteStore(place / "memory.db")) as store:
        return [stored.incident.id for stored in store.scan(None)]


@pytest.mark.slow
def test_delete_with_yes_says_what_went_and_show_says_that_it_did(incidentos: Command, place: Path) -> None:
    done = incidentos("delete", "a1", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()[:4]] == [
        ["id", "a1"], ["label", "pool [31mexhausted"], ["status", "open"], ["history", "1 entry"],
    ]  # fmt: skip
    assert "Deleted." in done.stdout
    assert ids(place) == ["b2"]
    shown = incidentos("show", "a1")
    assert shown.returncode == 1
    assert "was deleted at 20" in shown.stderr
    assert json.loads(shown.stdout)["id"] == "a1"
    shown = incidentos("show", "a1", "--json")
    assert (shown.returncode, shown.stderr) == (1, "")
    record = json.loads(shown.stdout)
    assert [entry["action"] for entry in record["history"]] == ["created", "deleted"]
    assert record["history"][1]["at"] == record["deleted_at"]


@pytest.mark.slow
def test_delete_tells_a_program_what_went(incidentos: Command, place: Path) -> None:
    done = incidentos("delete", "b2", "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["deleted"], told["history"], told["incident"]["title"]) == (0, True, 1, "another")
    assert ids(place) == ["a1"]


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_without_yes_and_without_a_terminal_nothing_goes(
    incidentos: Command, place: Path, options: tuple[str, ...]
) -> None:
    """Whatever stands in its input."""
    done = incidentos("delete", "a1", *options, stdin="y\ny\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("incidentos: Nothing was deleted: there is no terminal")
    assert "incidentos delete a1 --yes" in done.stderr
    assert "\x1b" not in done.stderr
    assert ids(place) == ["a1", "b2"]


@pytest.mark.slow
def test_an_id_that_cannot_be_deleted_is_a_sentence_and_exit_status_2(incidentos: Command, place: Path) -> None:
    incidentos("delete", "a1", "--yes")
    for name, said in (("nobody", "No incident has"), ("../x", "cannot be an incident id"), ("a1", "was deleted on")):
        done = incidentos("delete", name, "--yes")
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert ids(place) == ["b2"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.parametrize(
    ("typed", "options", "deleted"),
    [("y\n", (), True), ("YES\n", ("--json",), True), ("\n", (), False), ("n\n", ("--json",), False),
     ("\x04", (), False)],
)  # fmt: skip
def test_a_person_is_asked_and_anything_but_yes_is_a_no(
    processes: Any, place: Path, typed: str, options: tuple[str, ...], deleted: bool
) -> None:
    ours, theirs = os.openpty()
    try:
        os.write(ours, typed.encode())
        done = subprocess.run(
            [sys.executable, "-m", "incidentos", "delete", "a1", *options],
            stdin=theirs, capture_output=True, text=True, timeout=60, env=processes.environment(place),
            cwd=place, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == (0 if deleted else 1), done.stderr
    assert "[y/N]" in done.stderr
    assert "exhausted" in (done.stderr if options else done.stdout), "the person sees what it is about"
    if options:
        assert json.loads(done.stdout)["deleted"] is deleted
    else:
        assert ("Deleted." in done.stdout, "Nothing was deleted." in done.stdout) == (deleted, not deleted)
    assert ids(place) == (["b2"] if deleted else ["a1", "b2"])


@pytest.mark.slow
def test_what_show_prints_of_a_deleted_incident_brings_it_back(processes: Any, home: Path, incident: Make) -> None:
    given = incident(description="接続プール · \x9b31m", status=Status.RESOLVED, resolution=Resolution("a leak"))
    with closing(SqliteStore(home / "memory.db")) as store:
        store.insert(given, None, None)
    assert processes.run("-m", "incidentos", "delete", "a1", "--yes", home=home).returncode == 0
    line = processes.run("-m", "incidentos", "show", "a1", home=home).stdout
    assert line.isascii()
    (home / "back.jsonl").write_text(line, encoding="utf-8")
    assert processes.run("-m", "incidentos", "import", str(home / "back.jsonl"), home=home).returncode == 0
    shown = json.loads(processes.run("-m", "incidentos", "show", "a1", "--json", home=home).stdout)
    assert (shown["title"], shown["resolution"]["root_cause"], shown["revision"]) == (given.title, "a leak", 3)
    assert [entry["action"] for entry in shown["history"]] == ["created", "deleted", "imported"]


@pytest.mark.slow
def test_running_servers_no_longer_show_what_the_command_deleted(processes: Any, home: Path) -> None:
    one, other = processes.serve(home), processes.serve(home)
    told = one.call("analyze_incident", title="certificate of the proxy expired")["structuredContent"]["incident_id"]
    query = {"query": "certificate of the proxy expired"}
    for server in (one, other):
        matches = server.call("find_similar", **query)["structuredContent"]["matches"]
        assert [match["incident_id"] for match in matches] == [told]
    assert processes.run("-m", "incidentos", "delete", told, "--yes", home=home).returncode == 0
    for server in (one, other):
        assert server.call("find_similar", **query)["structuredContent"]["matches"] == []
        assert server.call("list_incidents")["structuredContent"]["total"] == 0
        read = server.ask("resources/read", {"uri": f"incident://{told}"})
        assert "It was deleted on" in read["error"]["message"]
        resolved = server.call("resolve_incident", incident_id=told, root_cause="x", mitigation_steps=["y"])
        assert resolved["isError"]
        assert "It was deleted on" in resolved["content"][0]["text"]
    again = one.call("analyze_incident", title="certificate of the proxy expired")["structuredContent"]
    assert again.get("duplicate_of") is None
    assert again["incident_id"] != told
    assert processes.run("-m", "incidentos", "show", told, home=home).returncode == 1


@pytest.mark.slow
def test_a_client_is_told_that_the_list_of_resources_is_another_one(processes: Any, place: Path) -> None:
    server = processes.serve(place)
    server.ask("resources/list")
    with closing(SqliteStore(place / "memory.db")) as store:
        store.delete("a1", 1)
    while server.receive().get("method") != "notifications/resources/list_changed":
        pass
    listed = {resource["uri"] for resource in server.ask("resources/list")["result"]["resources"]}
    assert ("incident://a1" in listed, "incident://b2" in listed) == (False, True)
