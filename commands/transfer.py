"""`incidentos import` and `incidentos export`: history in, history out."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from ..memory.errors import EmbeddingError, ImportFailed, InvalidInput
from ..memory.importers import importer_for
from ..memory.incident import Incident, Status
from ..memory.memory import Imported, IncidentMemory
from ..memory.ports import BadRow
from ..memory.record import dumps

_BATCH = 64
_BAD_SHOWN = 20


def import_file(
    memory: IncidentMemory, path: Path, *, kind: str | None, default_status: Status, dry_run: bool, as_json: bool
) -> int:
    """Import a file; bad rows are reported and left out. Returns 1 if there were any, else 0."""
    importer = importer_for(path, kind)
    embed = not dry_run
    if embed:
        try:
            memory.embedder.wait()
        except EmbeddingError as exc:
            embed = False
            print(f"Importing without embeddings: {exc}", file=sys.stderr)
    total, done, bad = Imported(), 0, list[BadRow]()
    rows = importer.read(path, default_status)
    with _progress(path) as advance:
        while batch := list(islice(rows, _BATCH)):
            bad += (row for row in batch if isinstance(row, BadRow))
            good = [row for row in batch if isinstance(row, Incident)]
            outcome, refused = _store(memory, good, embed=embed, dry_run=dry_run)
            bad += refused
            total += outcome
            done += len(batch)
            advance(done)
    summary: dict[str, Any] = {
        "file": str(path),
        "format": importer.name,
        "dry_run": dry_run,
        "rows": done,
        "added": total.added,
        "updated": total.updated,
        "unchanged": total.unchanged,
        "kept_resolved": list(total.kept),
        "bad_rows": [{"line": row.line, "reason": row.reason} for row in bad],
    }
    if as_json:
        print(json.dumps(summary, ensure_ascii=False, indent=1))
    else:
        _say(summary)
    return 1 if bad else 0


def _store(
    memory: IncidentMemory, good: list[Incident], *, embed: bool, dry_run: bool
) -> tuple[Imported, list[BadRow]]:
    try:
        return memory.import_batch(good, embed=embed, dry_run=dry_run), []
    except InvalidInput:  # one of them: find out which, and keep the others
        total, refused = Imported(), list[BadRow]()
        for incident in good:
            try:
                total += memory.import_batch([incident], embed=embed, dry_run=dry_run)
            except InvalidInput as exc:
                refused.append(BadRow(0, f"{incident.external_id or incident.id}: {exc}"))
        return total, refused


def export(memory: IncidentMemory, out: Path | None) -> int:
    """Write every incident as a line of JSON, to a file (whole or not at all) or to stdout."""
    if out is None:
        count = _write(memory, sys.stdout)
    else:
        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=out.parent, prefix=f".{out.name}.", delete=False
            ) as file:
                temporary = Path(file.name)
                try:
                    count = _write(memory, file)
                    file.flush()
                    os.fsync(file.fileno())
                    file.close()
                    temporary.replace(out)
                finally:  # it has its place by now, or something went wrong: an interrupt, too, leaves no half file
                    temporary.unlink(missing_ok=True)
        except OSError as exc:
            raise ImportFailed(f"{out} cannot be written: {exc.strerror}. Nothing was exported.") from exc
    print(f"{count} incidents exported.", file=sys.stderr)
    return 0


def _write(memory: IncidentMemory, file: Any) -> int:
    count = 0
    for stored in memory.store.scan(None):
        file.write(dumps(stored.incident) + "\n")
        count += 1
    return count


@contextmanager
def _progress(path: Path) -> Iterator[Any]:
    """A progress line on stderr, for a person only: nothing is drawn where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"importing {path.name}", total=None)
        yield lambda done: progress.update(task, completed=done)


def _say(summary: dict[str, Any], file: TextIO | None = None) -> None:
    would = "would be " if summary["dry_run"] else ""
    print(
        f"{summary['file']} ({summary['format']}): {summary['rows']} rows; {would}added {summary['added']}, "
        f"{would}updated {summary['updated']}, unchanged {summary['unchanged']}, bad {len(summary['bad_rows'])}.",
        file=file,
    )
    if summary["kept_resolved"]:
        kept = summary["kept_resolved"]
        print(f"{len(kept)} stay resolved although the file calls them open: {', '.join(kept[:10])}", file=file)
    for row in summary["bad_rows"][:_BAD_SHOWN]:
        place = f"line {row['line']}: " if row["line"] else ""
        print(f"  {place}{row['reason']}", file=file)
    if len(summary["bad_rows"]) > _BAD_SHOWN:
        print(f"  … and {len(summary['bad_rows']) - _BAD_SHOWN} more; --json lists them all.", file=file)
