"""`cloud.CloudMemory` on a Hindsight server, through the vendor's client."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from ..cloud import BATCH, BankState, CloudHit, Copy, Fact, Listing, Version
from ..errors import CloudError, CloudFailed, CloudMissing, CloudUnreachable, InvalidInput
from ..incident import ID_PATTERN, check_id
from ..record import parse_time
from ..redaction import redact
from .documents import DELETED, LIVING, OURS, from_document, to_document
from .faults import of_exception, of_status, shown_url
from .legacy import ids_in

if TYPE_CHECKING:
    from hindsight_client import Hindsight

T = TypeVar("T")

READ_SECONDS = 20.0
"""How long a listing or a single document may take."""

WRITE_SECONDS, WRITE_SECONDS_EACH = 30.0, 3.0
"""How long a push may take, and how much longer for each incident: the server's language model reads each of them."""

_QUERY_TOKENS = 400.0
"""Of a recall's text; the server refuses more than 500 by its own count, and ours is a guess on the safe side."""

_RECALL_TOKENS = 8192
_PAGE = 100


class HindsightMemory:
    """`cloud.CloudMemory` on one bank of a Hindsight server. For one event loop; `aclose` at its end.

    Args:
        base_url: the server's address.
        bank: the bank's name.
        api_key: the key, where the server wants one.
    """

    def __init__(self, base_url: str, bank: str, api_key: str | None) -> None:
        if not ID_PATTERN.fullmatch(bank):
            raise InvalidInput(f"INCIDENTOS_HINDSIGHT_BANK: {bank[:60]!r} cannot be a bank's name.")
        self._base_url = base_url
        self._bank = bank
        self._api_key = api_key
        self._client: Hindsight | None = None
        self._where = shown_url(base_url)

    @property
    def url(self) -> str:
        return self._where

    @property
    def bank(self) -> str:
        return self._bank

    async def load(self) -> None:
        try:
            await anyio.to_thread.run_sync(_import, abandon_on_cancel=True)
        except ImportError:
            raise CloudUnreachable(
                "Hindsight's client cannot be loaded. Install incidentos again with all that it needs."
            ) from None

    async def check(self) -> BankState:
        def banks(client: Hindsight) -> Any:
            return client.banks.list_banks(q=self._bank, limit=_PAGE, _request_timeout=READ_SECONDS)

        found = await self._call(READ_SECONDS, banks, lambda answer: list(answer.banks))
        if not any(one.bank_id == self._bank for one in found):
            return BankState(exists=False)
        return BankState(True, await self._count(LIVING), await self._count(DELETED))

    async def push(self, versions: Sequence[Version]) -> None:
        documents = [to_document(version.content, version.supersedes) for version in versions[:BATCH]]
        seconds = WRITE_SECONDS + WRITE_SECONDS_EACH * len(documents)

        def retain(client: Hindsight) -> Any:
            return client.aretain_batch(self._bank, documents)

        try:
            stored = await self._call(seconds, retain, lambda answer: bool(answer.success))
        except CloudMissing:
            if await self._has_bank():
                raise
            await self._call(READ_SECONDS, lambda client: client.acreate_bank(self._bank), lambda answer: answer)
            stored = await self._call(seconds, retain, lambda answer: bool(answer.success))
        if not stored:
            raise CloudFailed(f"Hindsight at {self._where} did not store it, and gives no reason; it is tried again.")

    async def page(self, offset: int, since: str | None, *, limit: int = _PAGE) -> Listing:
        def documents(client: Hindsight) -> Any:
            return client.documents.list_documents(
                self._bank,
                tags=[OURS],
                tags_match="any_strict",
                time_field="updated_at" if since else "created_at",
                start_date=since,
                limit=limit,
                offset=offset,
                _request_timeout=READ_SECONDS,
            )

        def read(answer: Any) -> Listing:
            copies = [from_document(item.id, item.tags or (), item.document_metadata or {}) for item in answer.items]
            more = bool(answer.items) and offset + len(answer.items) < answer.total
            return Listing(
                tuple(copy for copy in copies if copy is not None),
                int(answer.total),
                max((item.updated_at for item in answer.items if item.updated_at), default=None),
                offset + len(answer.items) if more else None,
            )

        try:
            return await self._call(READ_SECONDS, documents, read)
        except CloudMissing:
            if await self._has_bank():
                raise
            return Listing((), 0, None, None)

    async def fetch(self, incident_id: str) -> Copy | None:
        check_id(incident_id)

        def document(client: Hindsight) -> Any:
            return client.documents.get_document(self._bank, incident_id, _request_timeout=READ_SECONDS)

        try:
            return await self._call(
                READ_SECONDS,
                document,
                lambda answer: from_document(answer.id, answer.tags or (), answer.document_metadata or {}),
            )
        except CloudMissing:
            return None

    async def recall(self, text: str, seconds: float) -> list[CloudHit]:
        query = _within(redact(text), _QUERY_TOKENS)
        if not query:
            return []

        def search(client: Hindsight) -> Any:
            # "any" takes facts without tags in, which older programs stored, and leaves the tombstones out.
            return client.arecall(
                self._bank,
                query,
                types=["world", "experience"],
                max_tokens=_RECALL_TOKENS,
                budget="low",
                tags=[LIVING],
                tags_match="any",
            )

        def read(answer: Any) -> list[CloudHit]:
            return [
                CloudHit(
                    ids_in(result.document_id, result.metadata or {}, result.text),
                    OURS in (result.tags or ()),
                    float(result.scores.final) if result.scores else 0.0,
                )
                for result in answer.results
            ]

        try:
            return await self._call(seconds, search, read)
        except CloudMissing:
            if await self._has_bank():
                raise
            return []  # nobody has pushed anything yet

    async def facts(self) -> AsyncIterator[list[Fact]]:
        offset = 0
        while True:

            def memories(client: Hindsight, start: int = offset) -> Any:
                return client.alist_memories(self._bank, limit=_PAGE, offset=start)

            try:
                items = await self._call(READ_SECONDS, memories, lambda answer: list(answer.items))
            except CloudMissing:
                if await self._has_bank():
                    raise
                return
            yield [
                Fact(
                    item.text or "",
                    getattr(item, "metadata", None) or {},
                    _time(item.mentioned_at or item.var_date),
                    item.chunk_id,
                )
                for item in items
                if OURS not in (item.tags or ()) and item.fact_type != "observation"
            ]
            if len(items) < _PAGE:
                return
            offset += len(items)

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(CloudError), anyio.CancelScope(shield=True):
                await self._guard(5.0, client.aclose())

    async def _count(self, tag: str) -> int:
        def documents(client: Hindsight) -> Any:
            return client.documents.list_documents(
                self._bank, tags=[tag], tags_match="any_strict", limit=1, _request_timeout=READ_SECONDS
            )

        return await self._call(READ_SECONDS, documents, lambda answer: int(answer.total))

    async def _has_bank(self) -> bool:
        """Whether the bank is there, when a call says that something is not.

        Raises:
            CloudMissing: there is no Hindsight at the address.
        """
        return (await self.check()).exists

    async def _call(self, seconds: float, request: Callable[[Hindsight], Any], read: Callable[[Any], T]) -> T:
        if self._client is None:
            await self.load()
        if self._client is None:  # a call that came at the same time may have connected meanwhile
            self._client = self._connect()
        client = self._client

        async def ask() -> T:
            answer = await request(client)
            if answer is None:
                raise of_status(200, self._where, self._bank)
            return await anyio.to_thread.run_sync(read, answer)  # a page of large records takes a second

        return await self._guard(seconds, ask())

    async def _guard(self, seconds: float, work: Awaitable[T]) -> T:
        try:
            with anyio.fail_after(seconds):
                return await work
        except CloudError:
            raise
        except Exception as exc:  # the vendor's client raises what it likes; a stranger is raised again
            ours = of_exception(exc, self._where, self._bank, seconds, self._api_key)
            if ours is None:
                raise
            raise ours from None  # its text holds headers and bodies

    def _connect(self) -> Hindsight:
        from hindsight_client import Hindsight

        try:
            return Hindsight(
                self._base_url,
                api_key=self._api_key,
                timeout=WRITE_SECONDS + WRITE_SECONDS_EACH * BATCH,
                user_agent="incidentos",
                max_attempts=1,  # a recall has no time for a second one, and everything else is retried by the outbox
            )
        except ValueError:
            raise CloudUnreachable(
                f"HINDSIGHT_BASE_URL ({self._where}) is not an address that can be called."
            ) from None


def _import() -> None:
    import hindsight_client  # noqa: F401 - takes most of a second, and is taken from the cache afterwards


def _time(value: str | None) -> Any:
    with suppress(InvalidInput):
        return parse_time(value, "time")
    return None


_SPACE = re.compile(r"\s+")


def _within(text: str, tokens: float) -> str:
    """The beginning of the text that has at most about that many tokens: a third of one for an ASCII character, one and
    a half for any other."""
    text = _SPACE.sub(" ", text).strip()
    for place, character in enumerate(text):
        tokens -= 1 / 3 if character.isascii() else 1.5
        if tokens < 0:
            return text[:place]
    return text
