"""Whatever ends in the middle of a sync, the next one finishes it: nothing is lost and nothing is doubled."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from bed.bank import Bank
from bed.history import history
from bed.machines import Machine, status, structured, until
from bed.proxy import Proxy
from bed.server import HindsightServer

pytestmark = pytest.mark.slow

Machines = Callable[[str, str | None], Machine]
Proxies = Callable[[HindsightServer], Proxy]

SIZE = 130
"""How many incidents a sync is interrupted in: three batches and two pages."""
DEADLINE = 60


def is_retain(method: str, path: str) -> bool:
    return method == "POST" and path.endswith("/memories")


def is_page(method: str, path: str) -> bool:
    return method == "GET" and path.endswith("/documents")


def pushed_ids(proxy: Proxy) -> Counter[str]:
    """How often each document was sent."""
    return Counter(item["document_id"] for request in proxy.writes() for item in request.json()["items"])


class Counted:
    """A rule of the proxy that acts when the n-th request of a kind comes in."""

    def __init__(self, kind: Callable[[str, str], bool], number: int, act: Callable[[], str | None]) -> None:
        self.kind = kind
        self.left = number
        self.act = act
        self.acted = threading.Event()

    def __call__(self, method: str, path: str) -> str | None:
        if not self.kind(method, path):
            return None
        self.left -= 1
        if self.left > 0:
            return None
        try:
            return self.act()
        finally:
            self.acted.set()


def struck(machine: Machine, proxy: Proxy, kind: Callable[..., bool], number: int, act: Callable[[Any], None]) -> Any:
    """The process of a sync to which that was done when it made the request of that number among those of its kind."""
    running: list[Any] = []
    proxy.rule = rule = Counted(kind, number, lambda: act(running[0]))
    running.append(machine.start("sync", "--json"))
    assert rule.acted.wait(DEADLINE)
    return running[0]


def finished(here: Machine, there: Machine, records: Any, shared: Bank) -> None:
    """Everything is everywhere, once."""
    told = here.sync()
    assert (told["pending"], told["refused"], told["conflicts"]) == (0, 0, 0)
    assert here.export() == records
    assert shared.documents().keys() == records.keys()
    assert shared.incidents() == records
    there.sync()
    assert there.export() == records


def test_a_sync_that_is_killed_while_it_pushes_is_finished_by_the_next(
    none_server: HindsightServer, bank: str, machine: Machines, proxies: Proxies
) -> None:
    proxy = proxies(none_server)
    here, there = machine("here", proxy.url), machine("there", none_server.url)
    here.import_(history(SIZE))
    records = here.export()
    struck(here, proxy, is_retain, 3, lambda running: running.kill()).wait(DEADLINE)
    proxy.spoil(None)
    assert here.pending() > 0
    here.let_leases_run_out()
    finished(here, there, records, Bank(none_server.url, bank))


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be suspended here")
def test_a_sync_that_is_suspended_while_it_pushes_is_taken_over_and_does_no_harm(
    none_server: HindsightServer, bank: str, machine: Machines, proxies: Proxies
) -> None:
    """What was on its way may be sent once more; what it had not sent yet it does not send."""
    proxy = proxies(none_server)
    here, there = machine("here", proxy.url), machine("there", none_server.url)
    here.import_(history(SIZE))
    records = here.export()
    suspended = struck(here, proxy, is_retain, 2, lambda running: running.send_signal(signal.SIGSTOP))
    proxy.spoil(None)
    here.let_leases_run_out()
    assert here.sync()["pending"] == 0
    suspended.send_signal(signal.SIGCONT)
    _, told = suspended.communicate(timeout=DEADLINE)
    assert suspended.returncode in (0, 1, 2), "its request may have timed out meanwhile"
    assert b"Traceback" not in told
    sent = pushed_ids(proxy)
    twice = {one for one, times in sent.items() if times > 1}
    on_the_way = [{item["document_id"] for item in request.json()["items"]} for request in proxy.writes()]
    assert (len(sent), max(sent.values()) <= 2) == (SIZE, True)
    assert any(twice <= ids for ids in on_the_way), "of one request"
    finished(here, there, records, Bank(none_server.url, bank))


def test_a_sync_that_is_killed_while_it_pulls_is_finished_by_the_next(
    hindsight: HindsightServer, bank: str, machine: Machines, proxies: Proxies
) -> None:
    proxy = proxies(hindsight)
    here, there = machine("here", hindsight.url), machine("there", proxy.url)
    here.import_(history(SIZE))
    here.sync()
    records = here.export()
    struck(there, proxy, is_page, 2, lambda running: running.kill()).wait(DEADLINE)
    proxy.spoil(None)
    part = there.export()
    assert part.items() <= records.items(), "what is there by then is right"
    told = there.sync()
    assert told["pulled"] + told["unchanged"] >= len(records) - len(part)
    assert told["pushed"] == told["conflicts"] == 0
    assert there.export() == records
    assert Bank(hindsight.url, bank).incidents() == records


@pytest.mark.parametrize("fault", ["empty reply", "500"])
def test_hindsight_failing_while_a_sync_pushes_loses_nothing(
    none_server: HindsightServer, bank: str, machine: Machines, proxies: Proxies, fault: str
) -> None:
    proxy = proxies(none_server)
    here, there = machine("here", proxy.url), machine("there", none_server.url)
    here.import_(history(SIZE))
    records = here.export()
    seen = 0

    def rule(method: str, path: str) -> str | None:
        nonlocal seen
        seen += is_retain(method, path)
        return fault if seen > 2 else None

    proxy.rule = rule
    done = here.run("sync", "--json", code=None)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert here.pending() == SIZE - 100, "two batches of 50 are through"
    proxy.spoil(None)
    here.sync("--retry")
    finished(here, there, records, Bank(none_server.url, bank))
    assert set(pushed_ids(proxy).values()) == {1}, "what was acknowledged is not sent again"


@pytest.mark.parametrize("fault", ["half a body", "HTML"])
def test_hindsight_failing_while_a_sync_pulls_loses_nothing(
    none_server: HindsightServer, bank: str, machine: Machines, proxies: Proxies, fault: str
) -> None:
    proxy = proxies(none_server)
    here, there = machine("here", none_server.url), machine("there", proxy.url)
    here.import_(history(SIZE))
    here.sync()
    records = here.export()
    seen = 0

    def rule(method: str, path: str) -> str | None:
        nonlocal seen
        seen += is_page(method, path)
        return fault if seen > 1 else None

    proxy.rule = rule
    done = there.run("sync", "--json", code=None)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert there.export().items() <= records.items()
    proxy.spoil(None)
    there.sync()
    assert there.export() == records
    assert Bank(none_server.url, bank).incidents() == records


def test_a_server_that_dies_in_a_push_and_comes_back_has_everything_once(
    bank: str, machine: Machines, proxies: Proxies, none_server: HindsightServer
) -> None:
    proxy = proxies(none_server)
    here, there = machine("here", proxy.url), machine("there", none_server.url)
    here.import_(history(230))
    records = here.export()
    died = threading.Event()

    def die() -> None:  # the batch is on its way when the server ends
        threading.Timer(0.2, lambda: (none_server.kill(), died.set())).start()

    proxy.rule = Counted(is_retain, 3, die)
    try:
        done = here.run("sync", "--json", code=None)
        assert done.returncode in (1, 2)
        assert died.wait(DEADLINE)
        assert here.pending() > 0
    finally:
        none_server.start_again()
    proxy.spoil(None)
    here.sync("--retry")
    finished(here, there, records, Bank(none_server.url, bank))


def test_two_servers_on_one_memory_push_each_row_once(
    none_server: HindsightServer, bank: str, machine: Machines, proxies: Proxies
) -> None:
    proxy = proxies(none_server)
    here = machine("here", proxy.url)
    here.import_(history(SIZE))
    servers = [here.serve(), here.serve()]
    until(lambda: here.pending() == 0)
    assert [status(server)["hindsight"]["pending"] for server in servers] == [0, 0]
    for server in servers:
        server.process.stdin.close()
        assert server.process.wait(DEADLINE) == 0
    sent = pushed_ids(proxy)
    assert len(sent) == SIZE
    assert set(sent.values()) == {1}
    assert Bank(none_server.url, bank).incidents() == here.export()


def test_what_is_told_while_hindsight_is_down_arrives_once_it_is_back(
    none_server: HindsightServer, bank: str, machine: Machines, proxies: Proxies
) -> None:
    proxy = proxies(none_server)
    here, there, shared = machine("here", proxy.url), machine("there", none_server.url), Bank(none_server.url, bank)
    proxy.spoil("empty reply")
    wire = here.serve()
    told = structured(wire.call("analyze_incident", title="pool of the payments service exhausted"))["incident_id"]
    wire.process.kill()  # the write was acknowledged; the rest is the outbox's
    wire.process.wait(DEADLINE)
    again = here.serve()
    assert not proxy.writes()
    proxy.spoil(None)
    until(lambda: here.pending() == 0)
    assert shared.documents().keys() == {told}
    again.process.stdin.close()
    again.process.wait(DEADLINE)
    there.sync()
    assert there.export() == here.export()
