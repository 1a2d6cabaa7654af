"""What an assistant gets of a shared memory, over stdio: recall of what others resolved, receipts, syncs, status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bed.bank import Bank
from bed.history import history
from bed.machines import Machine, connected, status, structured, until
from bed.proxy import Proxy
from bed.server import KEY, HindsightServer

pytestmark = pytest.mark.slow

Machines = Callable[[str, str | None], Machine]
DEADLINE = 60


def end(wire: Any) -> None:
    wire.process.stdin.close()
    assert wire.process.wait(DEADLINE) == 0
    assert wire.process.stderr.read() == b""


def test_what_one_assistant_resolves_the_other_recalls_without_a_sync(
    hindsight: HindsightServer, bank: str, machine: Machines
) -> None:
    here, there, shared = machine("here", hindsight.url), machine("there", hindsight.url), Bank(hindsight.url, bank)
    mine, theirs = here.serve(), there.serve()
    connected(theirs)
    title = "Zanzibar gateway answers 502 after the rollout of the quota service"
    told = structured(mine.call("analyze_incident", title=title))["incident_id"]
    structured(
        mine.call(
            "resolve_incident",
            incident_id=told,
            root_cause="the quota service held one lock for all tenants",
            mitigation_steps=["Roll back: `kubectl rollout undo deployment/quota`"],
        )
    )
    until(lambda: shared.incidents().get(told, {}).get("status") == "resolved" if here.pending() == 0 else False)
    if hindsight.mode == "mock":
        shared.observe()  # the server's own conclusions are found beside the facts
    answer = structured(theirs.call("find_similar", query=title))
    assert [match["incident_id"] for match in answer["matches"]] == [told]
    assert answer["matches"][0]["root_cause"] == "the quota service held one lock for all tenants"
    assert there.export() == here.export(), "it is here now, whole"
    analysed = structured(theirs.call("analyze_incident", title=f"{title}, again"))
    assert told in [match["incident_id"] for match in analysed["similar_past_incidents"]]
    end(mine)
    end(theirs)


def test_a_start_pushes_what_waits_and_pulls_what_is_new(
    hindsight: HindsightServer, bank: str, machine: Machines
) -> None:
    here, there = machine("here", hindsight.url), machine("there", hindsight.url)
    here.import_(history(10, prefix="a"))
    there.import_(history(10, seed=7, prefix="b")[1:3])
    end_of = Bank(hindsight.url, bank)
    wire = here.serve()
    until(lambda: here.pending() == 0)
    other = there.serve()
    until(lambda: there.pending() == 0 and len(there.export()) == 12)
    assert end_of.incidents() == there.export()
    end(wire)
    end(other)


def test_the_tool_syncs_and_its_counts_are_those_of_the_command(
    hindsight: HindsightServer, bank: str, machine: Machines
) -> None:
    here, there = machine("here", hindsight.url), machine("there", hindsight.url)
    here.import_(history(20))
    here.sync()
    wire = there.serve()
    dry = structured(wire.call("sync_memory", dry_run=True))
    assert dry["pushed"] == dry["conflicts"] == 0
    told = structured(wire.call("sync_memory"))
    assert told["pending"] == told["conflicts"] == told["skipped"] == 0
    assert there.export() == here.export()
    again = structured(wire.call("sync_memory"))
    assert (again["pulled"], again["pushed"], again["updated"], again["conflicts"]) == (0, 0, 0, 0)
    state = status(wire)["hindsight"]
    assert (state["connected"], state["bank"], state["pending"], state["refused"]) == (True, bank, 0, [])
    assert KEY not in str(state)
    end(wire)


def test_a_receipt_says_where_the_record_stands_with_hindsight(none_server: HindsightServer, machine: Machines) -> None:
    here = machine("here", none_server.url)
    wire = here.serve()
    told = structured(wire.call("analyze_incident", title="the disk of node-3 is full"))["incident_id"]
    result = wire.call("resolve_incident", incident_id=told, root_cause="logs", mitigation_steps=["Delete old logs"])
    receipt = structured(result)
    assert "indsight" in str(receipt)
    assert "not connected" not in str(receipt)
    end(wire)


def test_doctor_proves_the_key_and_counts_both_sides(
    none_server: HindsightServer, bank: str, machine: Machines
) -> None:
    here = machine("here", none_server.url)
    here.import_(history(7))
    here.sync()
    here.import_(history(9))
    told = here.json("doctor")
    lines = [f for f in told["findings"] if "hindsight" in f["subject"].casefold()]
    text = str(lines) + str([f for f in told["findings"] if f["subject"] == "outbox"])
    assert {f["level"] for f in lines} <= {"ok", "note"}
    assert bank in text
    assert "7" in text
    assert "9" in text
    assert "2" in text
    wrong = machine("wrong", none_server.url)
    wrong.processes.settings["HINDSIGHT_API_KEY"] = "hsk-this-is-not-the-key"
    told = wrong.json("doctor", code=1)
    problems = [f for f in told["findings"] if f["level"] == "problem"]
    assert len(problems) == 1
    assert "HINDSIGHT_API_KEY" in str(problems[0])
    assert "hsk-this-is-not-the-key" not in str(told)


def test_secrets_in_an_incident_never_reach_the_shared_memory(
    none_server: HindsightServer, machine: Machines, proxies: Callable[[HindsightServer], Proxy]
) -> None:
    proxy = proxies(none_server)
    here = machine("here", proxy.url)
    secret = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    wire = here.serve()
    structured(wire.call("analyze_incident", title="deploy failed", description=f"the log says token={secret} expired"))
    structured(wire.call("find_similar", query=f"password: hunter2hunter2 and {secret}"))
    until(lambda: here.pending() == 0)
    end(wire)
    assert proxy.writes()
    sent = b"".join(request.body + request.path.encode() for request in proxy.requests)
    assert secret.encode() not in sent
    assert b"hunter2hunter2" not in sent


def test_deleting_asks_before_it_touches_the_shared_memory(
    none_server: HindsightServer, bank: str, machine: Machines
) -> None:
    here = machine("here", none_server.url)
    here.import_(['{"id": "inc-1", "title": "pool exhausted", "root_cause": "a leak"}'])
    here.sync()
    done = here.run("delete", "inc-1", code=2)
    assert "--yes" in done.stderr
    here.sync()
    assert Bank(none_server.url, bank).incidents().keys() == here.export().keys() == {"inc-1"}
