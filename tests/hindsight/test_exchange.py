"""What one machine stores, the others have: whole, once, and the same however often they sync."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bed.bank import Bank
from bed.history import history
from bed.machines import STILL, Machine, causes, moved, offline, resolve, structured
from bed.server import KEY, HindsightServer

pytestmark = pytest.mark.slow

Machines = Callable[[str, str | None], Machine]

SIZE = {"none": 210, "mock": 110}
"""How many incidents are exchanged: several pages and batches. Where facts are made of the texts, the real server takes four
times as long. `bench/hindsight.py` exchanges 1,019 in both modes."""


def test_a_history_arrives_whole_and_ten_more_syncs_change_nothing(
    hindsight: HindsightServer, bank: str, machine: Machines
) -> None:
    size = SIZE[hindsight.mode]
    here, there, shared = machine("here", hindsight.url), machine("there", hindsight.url), Bank(hindsight.url, bank)
    offline(here).import_(history(size))
    records = here.export()
    assert len(records) == size

    told = here.sync("--direction", "push")
    assert moved(told) == STILL | {"pushed": size}
    assert shared.documents().keys() == records.keys()
    told = there.sync("--direction", "pull")
    assert moved(told) == STILL | {"pulled": size}
    assert there.export() == records, "field by field"

    facts = shared.facts()
    for turn in range(10):
        told = (here, there)[turn % 2].sync(*(["--full"] if turn > 7 else []))
        assert moved(told) == STILL, turn
    assert here.export() == there.export() == records
    assert shared.incidents() == records
    assert shared.facts() == facts


def test_two_machines_hold_the_same_after_each_has_resolved_amended_and_deleted(
    hindsight: HindsightServer, bank: str, machine: Machines
) -> None:
    here, there = machine("here", hindsight.url), machine("there", hindsight.url)
    offline(here).import_(
        [f'{{"id": "inc-{n}", "title": "pool {n} exhausted", "status": "open"}}' for n in range(8)]
        + [f'{{"id": "old-{n}", "title": "disk {n} full", "root_cause": "logs"}}' for n in range(4)]
    )
    here.sync()
    there.sync()
    for mine, name in ((here, "here"), (there, "there")):
        alone = offline(mine)
        first = 0 if name == "here" else 4
        wire = alone.serve()
        for number in (first, first + 1):
            structured(
                wire.call(
                    "resolve_incident",
                    incident_id=f"inc-{number}",
                    root_cause=f"a leak, says {name}",
                    mitigation_steps=["Restart it: `systemctl restart app`"],
                    failed_steps=["Waited"],
                    prevention="Alert on the pool",
                )
            )
        structured(
            wire.call(
                "resolve_incident", incident_id=f"inc-{first}", root_cause=f"amended by {name}", mitigation_steps=["Roll back"]
            )
        )  # fmt: skip
        structured(wire.call("analyze_incident", title=f"a new incident, seen by {name} only"))
        wire.process.stdin.close()
        wire.process.wait(60)
        alone.run("delete", f"inc-{first + 3}", "--yes")
        alone.run("delete", f"old-{0 if name == 'here' else 1}", "--yes")
    here.sync()
    there.sync()
    told = here.sync()
    assert told["conflicts"] == 0
    records = here.export()
    assert there.export() == records
    assert len(records) == 8 + 4 + 2 - 4
    assert records["inc-0"]["resolution"]["root_cause"] == "amended by here"
    assert records["inc-4"]["resolution"]["root_cause"] == "amended by there"
    assert records["inc-5"]["resolution"]["steps"][1]["outcome"] == "failed"
    assert Bank(hindsight.url, bank).incidents() == records
    assert moved(there.sync()) == moved(here.sync("--full")) == STILL


@pytest.mark.parametrize("first", ["here", "there"], ids=["the older is pushed first", "the newer is pushed first"])
def test_two_resolutions_of_one_incident_settle_on_the_newer_and_keep_the_older_in_history(
    hindsight: HindsightServer, machine: Machines, first: str
) -> None:
    here, there = machine("here", hindsight.url), machine("there", hindsight.url)
    offline(here).import_(['{"id": "inc-1", "title": "pool exhausted", "status": "open"}'])
    here.sync()
    there.sync()
    resolve(here, "inc-1", "the older cause")
    resolve(there, "inc-1", "the newer cause")
    one, other = (here, there) if first == "here" else (there, here)
    counts = [one.sync(), other.sync(), one.sync(), other.sync()]
    assert here.export() == there.export()
    assert here.export()["inc-1"]["resolution"]["root_cause"] == "the newer cause"
    assert [told["conflicts"] for told in counts] == [0, 1, 0, 0] or sum(told["conflicts"] for told in counts) >= 1
    listed = [entry["incident_id"] for told in counts for entry in told["conflict_list"]]
    assert set(listed) == {"inc-1"}
    assert ("conflict", "the older cause") in causes(here, "inc-1") + causes(there, "inc-1")
    assert any(cause == "the older cause" for _, cause in causes(here, "inc-1")), "who wrote it still finds it"
    assert moved(one.sync()) == moved(other.sync()) == STILL


@pytest.mark.parametrize("first", ["here", "there"], ids=["resolved is pushed first", "open is pushed first"])
def test_a_resolved_record_stands_against_a_newer_open_one(
    hindsight: HindsightServer, machine: Machines, first: str
) -> None:
    here, there = machine("here", hindsight.url), machine("there", hindsight.url)
    offline(here).import_(['{"id": "inc-1", "title": "pool exhausted", "status": "open"}'])
    here.sync()
    there.sync()
    resolve(here, "inc-1", "a leak")
    offline(there).import_(['{"id": "inc-1", "title": "pool exhausted, still", "status": "open"}'])
    one, other = (here, there) if first == "here" else (there, here)
    for each in (one, other, one, other):
        each.sync()
    assert here.export() == there.export()
    assert here.export()["inc-1"]["status"] == "resolved"
    assert here.export()["inc-1"]["resolution"]["root_cause"] == "a leak"
    assert moved(one.sync()) == moved(other.sync()) == STILL


def test_deleting_here_only_leaves_the_others_theirs_and_is_not_undone_by_a_pull(
    none_server: HindsightServer, bank: str, machine: Machines
) -> None:
    here, there = machine("here", none_server.url), machine("there", none_server.url)
    here.import_(['{"id": "inc-1", "title": "pool exhausted", "root_cause": "a leak"}'])
    here.sync()
    here.run("delete", "inc-1", "--yes", "--local-only")
    here.sync()
    here.sync("--full")
    there.sync()
    assert here.export() == {}
    assert there.export().keys() == Bank(none_server.url, bank).incidents().keys() == {"inc-1"}


def test_a_deletion_reaches_the_bank_and_every_machine_and_the_id_can_be_used_again(
    hindsight: HindsightServer, bank: str, machine: Machines
) -> None:
    here, there, shared = machine("here", hindsight.url), machine("there", hindsight.url), Bank(hindsight.url, bank)
    row = '{"id": "inc-1", "title": "pool exhausted", "root_cause": "a leak named Zebedee"}'
    here.import_([row, row.replace("inc-1", "inc-2")])
    here.sync()
    there.sync()
    here.run("delete", "inc-1", "--yes")
    here.sync()
    there.sync()
    assert there.export().keys() == here.export().keys() == shared.incidents().keys() == {"inc-2"}
    assert "Zebedee" not in str(shared.documents().get("inc-1", "")), "nothing of the text is left in the bank"
    offline(there).import_([row])
    for each in (there, here, there):
        each.sync()
    assert there.export() == here.export() == shared.incidents()
    assert there.export().keys() == {"inc-1", "inc-2"}


@pytest.mark.parametrize("last", ["amended", "deleted"])
@pytest.mark.parametrize("first", ["here", "there"])
def test_of_a_deletion_and_an_amendment_the_newer_stands_on_both(
    none_server: HindsightServer, machine: Machines, last: str, first: str
) -> None:
    here, there = machine("here", none_server.url), machine("there", none_server.url)
    offline(here).import_(['{"id": "inc-1", "title": "pool exhausted", "root_cause": "a leak"}'])
    here.sync()
    there.sync()
    if last == "amended":
        offline(here).run("delete", "inc-1", "--yes")
        resolve(there, "inc-1", "amended")
    else:
        resolve(there, "inc-1", "amended")
        offline(here).run("delete", "inc-1", "--yes")
    one, other = (here, there) if first == "here" else (there, here)
    for each in (one, other, one, other):
        each.sync()
    assert here.export() == there.export()
    assert here.export().keys() == ({"inc-1"} if last == "amended" else set())
    assert last == "amended" or "amended" in str(causes(here, "inc-1") + causes(there, "inc-1")), (
        "what lost is not gone"
    )
    assert moved(one.sync()) == moved(other.sync()) == STILL


def test_a_dry_run_says_what_a_sync_would_do_and_does_nothing(
    none_server: HindsightServer, bank: str, machine: Machines
) -> None:
    here, there, shared = (
        machine("here", none_server.url),
        machine("there", none_server.url),
        Bank(none_server.url, bank),
    )
    here.import_(history(30))
    dry = here.sync("--dry-run", code=None)
    assert dry["dry_run"] is True
    assert dry["pushed"] == 30
    assert here.pending() == 30
    here.sync()
    dry = there.sync("--dry-run", code=None)
    assert dry["pulled"] == 30
    assert there.export() == {}
    assert shared.incidents() == here.export()
    assert there.sync()["pulled"] == 30


def test_without_a_shared_memory_a_sync_says_what_to_set(machine: Machines) -> None:
    alone = machine("alone", None)
    done = alone.run("sync", code=2)
    assert "HINDSIGHT_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_key_stands_nowhere_in_the_data_folder(none_server: HindsightServer, machine: Machines) -> None:
    here = machine("here", none_server.url)
    here.import_(history(3))
    here.sync()
    files = [path for path in here.home.iterdir() if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
