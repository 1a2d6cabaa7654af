"""What the program builds on, shown on the real server: documents are replaced by id, metadata comes back whole."""

from __future__ import annotations

import asyncio
import gc
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bed.machines import Machine
from bed.proxy import FAULTS, VENDOR_BODY, Proxy
from bed.server import KEY, HindsightServer

from incidentos.memory.hindsight.client import HindsightMemory

pytestmark = pytest.mark.slow


def with_client(url: str, work: Callable[[Any], Awaitable[Any]], *, key: str = KEY) -> Any:
    import hindsight_client  # two seconds: not where the tests are only collected

    async def run() -> Any:
        client = hindsight_client.Hindsight(url, api_key=key, timeout=60)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(run())


def test_a_document_is_replaced_by_its_id_and_its_metadata_comes_back_whole(
    hindsight: HindsightServer, bank: str
) -> None:
    record = '{"text": "' + "näïve 🔥 " * 500 + '"}'

    async def work(client: Any) -> None:
        await client.acreate_bank(bank)
        item = {"document_id": "INC-1", "metadata": {"incident_id": "INC-1", "record": record}, "tags": ["incidentos"]}
        counts = []
        for text in ("redis pool exhausted", "redis pool exhausted", "redis pool exhausted, fixed by a restart"):
            await client.aretain_batch(bank, [{"content": text, "timestamp": "2026-05-03T00:00:00Z", **item}])
            counts.append((await client.alist_memories(bank)).total)
        assert counts[0] == counts[1] > 0
        documents = await client.documents.list_documents(bank)
        assert [row.id for row in documents.items] == ["INC-1"]
        assert documents.items[0].document_metadata["record"] == record
        found = await client.arecall(bank, "redis pool", tags=["incidentos"], tags_match="all_strict")
        assert {result.document_id for result in found.results} == {"INC-1"}
        assert all(result.metadata["incident_id"] == "INC-1" for result in found.results)

    with_client(hindsight.url, work)


def test_eight_writers_of_one_document_leave_one_version(hindsight: HindsightServer, bank: str) -> None:
    async def work(client: Any) -> None:
        await client.acreate_bank(bank)
        texts = [f"version {n} of the incident" for n in range(8)]
        writes = (client.aretain(bank, text, document_id="INC-1") for text in texts)
        done = await asyncio.gather(*writes, return_exceptions=True)  # a busy server may turn some of them away
        assert not all(isinstance(one, BaseException) for one in done)
        documents = await client.documents.list_documents(bank)
        assert documents.total == 1
        kept = await client.documents.get_document(bank, "INC-1")
        assert kept.original_text in texts

    with_client(hindsight.url, work)


def test_calls_that_come_together_share_one_connection_that_is_closed(none_server: HindsightServer, bank: str) -> None:
    told: list[str] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(str(context["message"])))
        memory = HindsightMemory(none_server.url, bank, KEY)
        assert {(await one).exists for one in [asyncio.ensure_future(memory.check()) for _ in range(4)]} == {False}
        await memory.aclose()
        del memory
        gc.collect()

    asyncio.run(run())
    assert told == []


def test_health_needs_no_key_and_proves_none(none_server: HindsightServer) -> None:
    with urllib.request.urlopen(none_server.url + "/health", timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(none_server.url + "/v1/default/banks", timeout=10)
    assert refused.value.code == 401


def test_a_killed_server_comes_back_with_what_it_had(none_server: HindsightServer, bank: str) -> None:
    async def write(client: Any) -> None:
        await client.acreate_bank(bank)
        await client.aretain(bank, "the disk of node-3 is full", document_id="INC-1")

    async def read(client: Any) -> Any:
        return (await client.documents.list_documents(bank)).total

    with_client(none_server.url, write)
    none_server.kill()
    none_server.start_again()
    assert with_client(none_server.url, read) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_the_proxy_spoils_what_it_is_told_to_and_passes_the_rest(
    none_server: HindsightServer, proxies: Callable[[HindsightServer], Proxy], bank: str, fault: str
) -> None:
    proxy = proxies(none_server)
    proxy.hang = 0.2

    async def work(client: Any) -> Any:
        return (await client.alist_memories(bank)).total

    async def create(client: Any) -> None:
        await client.acreate_bank(bank)

    with_client(proxy.url, create)
    assert with_client(proxy.url, work) == 0
    proxy.spoil(fault)
    with pytest.raises(Exception) as failed:  # noqa: PT011 - which exception a fault becomes is the vendor's affair
        with_client(proxy.url, work)
    if fault.isdigit():
        assert VENDOR_BODY in str(failed.value), "so the vendor's text must never be shown"
    proxy.spoil(None)
    assert with_client(proxy.url, work) == 0
    assert [r.fault for r in proxy.requests if r.fault] == [fault] * sum(r.fault is not None for r in proxy.requests)


def test_a_machine_is_a_real_program_on_a_folder_of_its_own(machine: Callable[[str, str | None], Machine]) -> None:
    here = machine("here", None)
    here.import_(['{"title": "pool exhausted", "root_cause": "a leak"}'])
    assert len(here.export()) == 1
    assert machine("there", None).export() == {}
