"""`incidentos doctor`: what is there, what is missing, what to do."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .. import __version__
from ..memory.embedding.sentence_transformer import BUNDLED_MODEL, checked_model_folder
from ..memory.errors import EmbeddingError, IncidentOSError
from ..settings import Settings
from ..wiring import load_embedder

Level = Literal["ok", "note", "problem"]
_LITTLE_SPACE = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do about it, where there is anything to do, and `figures` is
    what the detail rests on, for a program."""

    level: Level
    subject: str
    detail: str
    advice: str | None = None
    figures: Mapping[str, Any] | None = None


def doctor(settings: Settings, *, as_json: bool) -> int:
    """Look at everything and print it. Returns 1 if something is a problem, else 0."""
    findings = list(_examine(settings))
    healthy = not any(finding.level == "problem" for finding in findings)
    if as_json:
        print(json.dumps({"healthy": healthy, "findings": [asdict(f) for f in findings]}, ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            mark = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}[finding.level]
            print(f"{mark} {finding.subject}: {finding.detail}")
            if finding.advice:
                print(f"        -> {finding.advice}")
        print("Everything that is needed is there." if healthy else "Something needs you: see PROBLEM above.")
    return 0 if healthy else 1


def _examine(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "program", f"incidentos {__version__}, Python {platform.python_version()}, {sys.platform}")
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_folder, _database, _model, _groq, _hindsight)
    for check in checks:
        yield from check(settings)


def _folder(settings: Settings) -> Iterator[Finding]:
    home = settings.home.expanduser()
    if not home.is_dir():
        nearest = next((parent for parent in (home, *home.parents) if parent.exists()), home)
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            detail = f"{home} cannot be made: {nearest} is no folder that you can write to"
            yield Finding("problem", "data folder", detail, "Set INCIDENTOS_HOME to a folder you own.")
            return
        yield Finding("note", "data folder", f"{home} does not exist yet", "It is made with the first incident.")
        return
    if not os.access(home, os.W_OK):
        yield Finding("problem", "data folder", f"{home} is not writable", "Set INCIDENTOS_HOME to a folder you own.")
        return
    free = shutil.disk_usage(home).free
    level: Level = "ok" if free > _LITTLE_SPACE else "problem"
    advice = None if level == "ok" else "Free some space: a write that does not fit is refused."
    yield Finding(level, "data folder", f"{home}, {free / 1e9:.1f} GB free", advice)


def _database(settings: Settings) -> Iterator[Finding]:
    from ..memory.learning import read_track_record
    from ..memory.stores.sqlite import SqliteStore

    path = settings.database
    if not path.exists():
        yield Finding("note", "memory", "empty", "Import history with `incidentos import FILE`, or just start.")
        return
    try:
        store = SqliteStore(path)
        try:
            counts = store.counts(None)
            record = read_track_record(store)
        finally:
            store.close()
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            models = db.execute("SELECT model, count(*) FROM vector GROUP BY model").fetchall()
        db.close()
    except (IncidentOSError, sqlite3.Error) as exc:
        yield Finding("problem", "memory", str(exc), "Keep a copy of the folder before you try anything.")
        return
    size = path.stat().st_size / 1e6
    if verdict == "ok":
        detail = f"{counts.incidents} incidents ({counts.open} open), {size:.1f} MB, {path}"
        yield Finding("ok", "memory", detail)
    else:
        yield Finding(
            "problem", "memory", f"damaged: {verdict}", "Export what can be read: `incidentos export --out FILE`."
        )
    for model, count in models:
        yield Finding("ok", "vectors", f"{count} of {counts.incidents} incidents by {model}")
    where = "the shared memory" if settings.hindsight_url else "a shared memory (none is connected)"
    yield Finding("ok", "outbox", f"{counts.pending_sync} changes wait for {where}")
    bands = ", ".join(f"{b.low:.0%}-{b.high:.0%}: {b.right:.0%} of {b.count}" for b in record.bands)
    told = record.summary + (f"; right by what was stated: {bands}" if bands else "")
    yield Finding("ok", "track record", told, figures=record.as_json())


def _model(settings: Settings) -> Iterator[Finding]:
    try:
        if settings.embedding_model == BUNDLED_MODEL:
            checked_model_folder()
        embedder = load_embedder(settings)
        similar, other = (
            float(pair[0] @ pair[1])
            for pair in (
                embedder.embed(["database connection pool exhausted", "no free connections to the database"]),
                embedder.embed(["database connection pool exhausted", "TLS certificate expired"]),
            )
        )
    except EmbeddingError as exc:
        yield Finding("problem", "embedding model", str(exc), "Until then recall works by words alone.")
        return
    if similar > other:
        yield Finding("ok", "embedding model", f"{embedder.identity}, {embedder.dimensions} dimensions, works")
    else:
        yield Finding("problem", "embedding model", f"{embedder.identity} gives senseless vectors", "Use another one.")


def _groq(settings: Settings) -> Iterator[Finding]:
    if settings.groq_api_key is None:
        yield Finding("note", "Groq", "GROQ_API_KEY is not set; nothing needs it, the memory words its answers itself")
        return
    import anyio

    from ..prompts.faults import ModelFault
    from ..prompts.groq import Groq
    from ..prompts.usage import UsageLog
    from ..wiring import groq_access

    log = UsageLog(settings.groq_log if settings.groq_log.exists() else None)
    usage = log.usage
    groq = Groq(groq_access(settings, settings.groq_api_key), log)

    async def prove() -> None:
        try:
            await groq.prove()
        finally:
            await groq.aclose()

    figures = log.as_json()
    parts = [f"{usage.answered} answers worded, {usage.failed} calls without one"]
    parts += [f"the last took {usage.seconds:.1f} s"] if usage.seconds is not None else []
    parts += [f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"] if usage.prompt_tokens else []
    try:
        anyio.run(prove)
    except ModelFault as exc:
        yield Finding("problem", "Groq", exc.told, "Until then the memory words its answers itself.", figures)
    else:
        works = f"the key works, {settings.groq_model} is there; {', '.join(parts)}"
        yield Finding("ok", "Groq", works, figures=figures)
    if usage.error:
        yield Finding("note", "Groq's last error", f"{usage.error_at}: {usage.error}")


def _hindsight(settings: Settings) -> Iterator[Finding]:
    from .doctor_hindsight import examine

    for level, detail, advice, figures in examine(settings):
        yield Finding(level, "Hindsight", detail, advice, figures)
