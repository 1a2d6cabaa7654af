"""What `incidentos doctor` finds out about the team's memory: the key proved, both sides counted, the backlog explained."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio

from ..memory.cloud import BankState
from ..memory.errors import CloudError, IncidentOSError
from ..memory.stores.sqlite import SqliteStore
from ..settings import Settings
from ..wiring import connect_cloud
from .look import printable

Told = tuple[Literal["ok", "note", "problem"], str, str | None, Mapping[str, Any] | None]
_SHOWN = 5
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def examine(settings: Settings) -> Iterator[Told]:
    """Level, detail, advice and figures of each finding."""
    if settings.hindsight_url is None:
        yield "note", "not connected; nothing needs it", "Set HINDSIGHT_API_KEY to share one memory with a team.", None
        return
    yield from _bank(settings)
    yield from _outbox(settings)


def _bank(settings: Settings) -> Iterator[Told]:
    cloud = connect_cloud(settings)
    assert cloud is not None
    address = urlsplit(settings.hindsight_url or "")
    if address.scheme == "http" and settings.hindsight_api_key and address.hostname not in _LOOPBACK:
        yield "problem", f"the key goes to {cloud.url} unencrypted", "Use https in HINDSIGHT_BASE_URL.", None

    async def check() -> BankState:
        try:
            return await cloud.check()
        finally:
            await cloud.aclose()

    try:
        state = anyio.run(check)
    except CloudError as exc:
        yield (
            "problem",
            str(exc),
            "Until then this machine's memory answers alone, and changes wait in the outbox.",
            None,
        )
        return
    proof = "the key is accepted" if settings.hindsight_api_key else "it asks for no key"
    if not state.exists:
        yield "ok", f"{proof} at {cloud.url}; the bank {cloud.bank} is made with the first push", None, None
        return
    here = _incidents_here(settings)
    figures = {"bank": cloud.bank, "there": state.incidents, "deleted_there": state.deleted, "here": here}
    detail = (
        f"{proof} at {cloud.url}; bank {cloud.bank} holds {state.incidents} incidents ({state.deleted} deleted), this "
        f"machine {here}"
    )
    yield "ok", detail, None, figures


def _incidents_here(settings: Settings) -> int:
    if not settings.database.exists():
        return 0
    try:
        store = SqliteStore(settings.database)
    except IncidentOSError:  # the finding about the memory says why
        return 0
    try:
        return store.counts(None).incidents
    finally:
        store.close()


def _outbox(settings: Settings) -> Iterator[Told]:
    if not settings.database.exists():
        return
    try:
        store = SqliteStore(settings.database)
    except IncidentOSError:
        return
    try:
        backlog, refusals, conflicts = store.backlog(time.time()), store.refusals(_SHOWN), store.conflicts()
        notes = {name: store.state(name) for name in ("last_push_at", "last_pull_at", "last_error", "last_error_at")}
    finally:
        store.close()
    pushed = f"last push {notes['last_push_at'] or 'never'}, last pull {notes['last_pull_at'] or 'never'}"
    settled = f", {conflicts} conflicts settled so far (each loser is in its incident's history)" if conflicts else ""
    figures = {"pending": backlog.pending, "refused": backlog.refused, "conflicts": conflicts, **notes}
    yield "ok", f"{backlog.pending} changes wait to be pushed; {pushed}{settled}", None, figures
    if notes["last_error"]:
        yield "note", f"the last exchange failed at {notes['last_error_at']}: {notes['last_error']}", None, None
    for one in refusals:
        told = f"{one.incident_id} is set aside: {printable(one.reason)}"
        yield "problem", told, "Amend the incident, or try again with `incidentos sync --retry`.", None
    if (more := backlog.refused - len(refusals)) > 0:
        yield "problem", f"{more} more are set aside", "Try again with `incidentos sync --retry`.", None
