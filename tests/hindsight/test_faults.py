"""Whatever Hindsight answers, the user gets the local answer and a sentence that says what is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bed.faults import Seen, closed, page, see
from bed.machines import Machine
from bed.proxy import FAULTS, VENDOR_BODY, VENDOR_HEADER, Proxy
from bed.server import KEY, HindsightServer

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hindsight-faults.md"
NAMES = {
    "HTML": "200 with a page of HTML",
    "empty reply": "nothing, and closes the connection",
    "half a body": "half of an answer",
    "no answer": "nothing for 60 s",
}


def test_every_fault_leaves_the_local_answer_and_is_told_in_words(
    none_server: HindsightServer,
    machine: Callable[[str, str | None], Machine],
    proxies: Callable[[HindsightServer], Proxy],
) -> None:
    prepared = machine("prepared", None)
    prepared.import_(
        [f'{{"id": "inc-{n}", "title": "pool {n} exhausted", "root_cause": "a leak {n}"}}' for n in range(3)]
    )

    def met(name: str, url: str) -> Seen:
        one = machine(name.replace(" ", "-"), url)
        shutil.copy(prepared.home / "memory.db", one.home / "memory.db")
        return see(NAMES.get(name, name), one, url)

    jobs: list[tuple[str, str]] = []
    for fault in FAULTS:
        proxy = proxies(none_server)
        proxy.spoil(fault)
        jobs.append((fault, proxy.url))
    jobs.append(("no connection (nothing listens)", closed(proxies(none_server))))
    with ThreadPoolExecutor(2) as pool:
        slowest_first = sorted(jobs, key=lambda job: job[0] != "no answer")
        started = {job: pool.submit(met, *job) for job in slowest_first}
        rows = [started[job].result() for job in jobs]

    for seen in rows:
        for secret in (KEY, VENDOR_BODY, VENDOR_HEADER, "Traceback", "HTTPHeaderDict", "ClientSession"):
            assert secret not in seen.raw, (seen.fault, seen.raw)
        assert seen.matches == 3, seen
        assert len(seen.degraded) == 1, seen
        assert seen.sync_code in (1, 2), seen
        assert "indsight" in seen.sync, seen
        assert seen.doctor_code == 1, seen
        assert "indsight" in seen.doctor, seen
        assert seen.pending == 3, seen
    told = page(rows)
    if os.environ.get("INCIDENTOS_WRITE_DOCS"):
        PAGE.write_text(told, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == told
