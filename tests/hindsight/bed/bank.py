"""A look into a bank with the vendor's own client, behind the program's back."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .server import KEY

_MADE = ("world", "experience")
"""The kinds of facts that are made of documents; a third is what the server observes of them later, on its own."""


def _record(kept: str) -> dict[str, Any]:
    """The record of a document's metadata; a large one is compressed."""
    packed = kept.removeprefix("zlib:")
    found: dict[str, Any] = json.loads(kept if packed == kept else zlib.decompress(base64.b64decode(packed)))
    return found


@dataclass(frozen=True)
class Bank:
    """One bank on a server, for whoever wants to see or to write what is really there."""

    url: str
    name: str

    def documents(self) -> dict[str, dict[str, Any]]:
        """Every document by id: its metadata."""

        async def read(client: Any) -> dict[str, dict[str, Any]]:
            found: dict[str, dict[str, Any]] = {}
            while page := (await client.documents.list_documents(self.name, limit=100, offset=len(found))).items:
                for row in page:
                    assert row.id not in found
                    found[row.id] = row.document_metadata or {}
            return found

        return self._with(read)

    def incidents(self) -> dict[str, dict[str, Any]]:
        """The record of every incident that the program keeps there, tombstones left out."""
        return {
            key: _record(metadata["record"])
            for key, metadata in self.documents().items()
            if "record" in metadata and metadata["status"] != "deleted"
        }

    def facts(self) -> int:
        """How many facts were made of the documents; not what the server observes of them later, on its own."""

        async def read(client: Any) -> Any:
            return sum([(await client.alist_memories(self.name, type=kind, limit=1)).total for kind in _MADE])

        return int(self._with(read))

    def texts(self) -> list[str]:
        """The facts that were made of the documents, a hundred of each kind at most."""

        async def read(client: Any) -> Any:
            found = [await client.alist_memories(self.name, type=kind, limit=100) for kind in _MADE]
            return [row.text for page in found for row in page.items]

        return list(self._with(read))

    def observe(self) -> None:
        """Have the server make its own observations of the facts, as it does in the cloud; return once they are there.

        Raises:
            AssertionError: it made none, or not within a minute.
        """

        async def consolidate(client: Any) -> None:
            asked = await client.banks.trigger_consolidation(self.name)
            for _ in range(600):
                told = await client.operations.get_operation_status(self.name, asked.operation_id)
                if told.status not in ("pending", "processing"):
                    break
                await asyncio.sleep(0.1)
            assert told.status == "completed", told
            assert (await client.alist_memories(self.name, type="observation", limit=1)).total > 0

        self._with(consolidate)

    def write(self, items: list[dict[str, Any]]) -> None:
        """Store items as they are, in one call."""

        async def put(client: Any) -> None:
            await client.acreate_bank(self.name)
            await client.aretain_batch(self.name, items)

        self._with(put)

    def _with(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        import hindsight_client

        client = hindsight_client.Hindsight(self.url, api_key=KEY, timeout=120)
        try:
            return await work(client)
        finally:
            await client.aclose()
