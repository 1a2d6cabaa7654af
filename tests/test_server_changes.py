"""A client that watches the memory is told what appears and what is resolved, whichever process did it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters, types

from incidentos.memory.incident import Incident, Status
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.server import connect

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed"),  # by the newest era, not by theirs
]

DEADLINE = 30
RESOLUTION = {"root_cause": "a leak", "mitigation_steps": ["restarted"]}
Make = Callable[..., Incident]


async def until(done: Callable[[], bool]) -> None:
    with anyio.fail_after(DEADLINE):
        while not done():
            await anyio.sleep(0.02)


async def analyze(client: Any, title: str) -> str:
    return str((await client.call_tool("analyze_incident", {"title": title})).structured_content["incident_id"])


def by_another_process(home: Path, incident: Incident) -> None:
    store = SqliteStore(home / "memory.db")
    store.insert(incident, None, None)
    store.close()


async def test_a_client_of_the_handshake_era_is_told_of_new_incidents_and_of_those_it_subscribed_to(
    home: Path, incident: Make
) -> None:
    lists: list[Any] = []
    updated: list[str] = []

    async def handler(message: Any) -> None:
        if isinstance(message, types.ResourceListChangedNotification):
            lists.append(message)
        if isinstance(message, types.ResourceUpdatedNotification):
            updated.append(str(message.params.uri))

    command = StdioServerParameters(
        command=sys.executable, args=["-m", "incidentos", "serve"], env={"INCIDENTOS_HOME": str(home)}
    )
    async with Client(command, mode="legacy", message_handler=handler) as client:
        assert client.server_capabilities.resources.list_changed is True
        assert client.server_capabilities.resources.subscribe is True
        first = await analyze(client, "watched")
        await until(lambda: len(lists) == 1)
        await client.subscribe_resource(f"incident://{first}")
        await client.call_tool("resolve_incident", {"incident_id": first, **RESOLUTION})
        await until(lambda: updated == [f"incident://{first}"])
        assert len(lists) == 1, "a resolution adds nothing to the list"

        await client.subscribe_resource("incidents://open")
        by_another_process(home, incident("elsewhere"))
        await until(lambda: len(lists) == 2 and updated[-1] == "incidents://open")

        await client.unsubscribe_resource("incidents://open")
        before = list(updated)
        by_another_process(home, incident("elsewhere-2", "another"))
        await until(lambda: len(lists) == 3)
        assert updated == before


async def test_a_client_of_the_newest_era_hears_what_it_listens_to(home: Path, incident: Make) -> None:
    async with connect(home) as client:
        first = await analyze(client, "watched")
        uri = f"incident://{first}"
        heard: list[Any] = []

        async def listen() -> None:
            async for event in subscription:
                heard.append(event)

        def uris() -> list[str]:
            return [event.uri for event in heard if hasattr(event, "uri")]

        def lists() -> int:
            return sum(not hasattr(event, "uri") for event in heard)

        async with (
            client.listen(
                resources_list_changed=True, resource_subscriptions=[uri, "incidents://open"]
            ) as subscription,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listen)
            await client.call_tool("resolve_incident", {"incident_id": first, **RESOLUTION})
            await until(lambda: uri in uris())
            by_another_process(home, incident("elsewhere", status=Status.OPEN))
            await until(lambda: lists() >= 1 and "incidents://open" in uris())
            assert "incident://elsewhere" not in uris()
            tasks.cancel_scope.cancel()


async def test_a_repeat_and_a_look_tell_nobody_anything(home: Path, incident: Make) -> None:
    async with connect(home) as client:
        await analyze(client, "watched")
        heard: list[Any] = []

        async def listen() -> None:
            async for event in subscription:
                heard.append(event)

        async with client.listen(resources_list_changed=True) as subscription, anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await anyio.sleep(0.5)  # what the first call set off
            heard.clear()
            await analyze(client, "WATCHED")
            await client.call_tool("find_similar", {"query": "watched"})
            by_another_process(home, incident("the-end"))
            await until(lambda: bool(heard))
            assert len(heard) == 1
            tasks.cancel_scope.cancel()
