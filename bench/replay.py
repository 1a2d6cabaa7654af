"""Replays real incidents from an empty memory: analyzed as they came, oldest first, then resolved with their true cause.

    python bench/replay.py [--data FOLDER] [--json FILE]

Every incident of `../shared/data` that states a cause takes part, through the tools that an assistant calls, at its own
time (the memory's clock is set). What an analysis named is judged as it is for users, by `memory/track_record.py`: by
the failure types of the two causes, else by their meaning; where it found nothing alike it abstained.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

import anyio
from sets import CACHE, fast_embedder
from texts import data_folder

from incidentos.memory.embedding.background import BackgroundEmbedder
from incidentos.memory.importers.rows import RowReader
from incidentos.memory.incident import Incident, Status
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.tools import analyze
from incidentos.tools.base import Desk

_CLOCKS = ("incidentos.memory.memory.utcnow", "incidentos.tools.analyze.utcnow")
_RESOLVED_AFTER = timedelta(hours=2)


def with_cause(folder: Path) -> list[Incident]:
    """The incidents that state a cause and a time, oldest first."""
    reader = RowReader(Status.RESOLVED)
    found: list[Incident] = []
    for file in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            incident = reader.read(number, json.loads(line))
            if isinstance(incident, Incident) and incident.root_cause and incident.created_at:
                found.append(incident)
    return sorted(found, key=lambda incident: (incident.created_at or datetime.min, incident.id))


@contextmanager
def clock(at: datetime) -> Iterator[None]:
    """The time as the memory reads it."""
    with mock.patch(_CLOCKS[0], return_value=at), mock.patch(_CLOCKS[1], return_value=at):
        yield


async def replay(incidents: list[Incident], memory: IncidentMemory, desk: Desk) -> list[tuple[str, float]]:
    """What became of each analysis, in order: right, wrong or abstained, and what confidence it stated."""

    async def quiet(done: float, total: float, message: str) -> None:
        pass

    outcomes: list[tuple[str, float]] = []
    for incident in incidents:
        at, resolution = incident.created_at, incident.resolution
        assert at is not None
        assert resolution is not None
        assert resolution.root_cause is not None
        given = {"title": incident.label[:500], "description": incident.description, "service": incident.service}
        with clock(at):
            answer = await analyze.TOOL.call(desk, {k: v for k, v in given.items() if v}, quiet)
        assert isinstance(answer, analyze.Analysis)
        with clock(at + _RESOLVED_AFTER):
            memory.resolve(answer.incident_id, resolution.root_cause, resolution.steps, resolution.prevention)
        kept = memory.learning.prediction_of(answer.incident_id)
        assert kept is not None
        assert kept.judgment is not None
        right = kept.judgment.right
        outcome = "abstained" if right is None else "right" if right else "wrong"
        outcomes.append((outcome, answer.confidence))
        print(f"{at:%Y-%m-%d} {outcome:9} {answer.confidence:4.0%} by {kept.judgment.by:12} {incident.label[:70]}")
    return outcomes


def main() -> int:
    """Return the exit status: 0 also where there is nothing to replay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of the real incidents, by default ../shared/data")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where vectors are kept")
    parser.add_argument("--json", type=Path, help="write the curve, for the picture")
    args = parser.parse_args()
    folder = data_folder(args.data)
    if folder is None:
        print("Skipped: there are no incidents at ../shared/data. Give their folder with --data.")
        return 0
    incidents = with_cause(folder)
    with tempfile.TemporaryDirectory() as temporary:
        store = SqliteStore(Path(temporary) / "memory.db")
        memory = IncidentMemory(store, BackgroundEmbedder(lambda: fast_embedder(args.cache), store))
        memory.embedder.wait()
        try:
            answered = anyio.run(replay, incidents, memory, Desk(memory, store.path, "replay"))
        finally:
            memory.close()
    outcomes = [outcome for outcome, _ in answered]
    counts = Counter(outcomes)
    named = [confidence for outcome, confidence in answered if outcome != "abstained"]
    print(
        f"{len(outcomes)} incidents: {', '.join(f'{counts[kind]} {kind}' for kind in ('right', 'wrong', 'abstained'))}; "
        f"where a cause was named, {sum(named) / (len(named) or 1):.0%} was stated on average"
    )
    if args.json:
        curve: dict[str, list[int]] = {"n": list(range(1, len(outcomes) + 1))}
        for kind in ("right", "wrong", "abstained"):
            curve[kind] = [outcomes[:n].count(kind) for n in curve["n"]]
        args.json.write_text(json.dumps(curve) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
