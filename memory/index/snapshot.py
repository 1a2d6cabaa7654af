"""The search index on disk, so that a start reads it instead of building it.

A snapshot is a folder of numpy arrays that are memory-mapped, so several servers share one copy in the page cache. It is
a cache of the store and of nothing else: one that is missing, of another model or format, damaged, or not of this
store's past is passed over, and the index is built from the store. It is written beside the old one and renamed when
whole; the old one is deleted then, and who has it mapped keeps it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .documents import FrozenDocuments
from .lexical import FrozenPostings
from .projections import Allocate, Projections
from .semantic import FrozenVectors

FORMAT = 4
"""Raised whenever the arrays or the terms (tokens, weights) mean something else."""

_STALE = 3600.0
_MANIFEST = "manifest.json"
_UNCHECKED = frozenset({"rows", "headings", "projected"})
"""The vectors: a checksum over gigabytes would cost what the snapshot saves, and a wrong bit in one moves a score. That of
their headers is checked, which say how to read all the rest."""

_OF_PROJECTIONS = ("bases", "owners", "directions", "stretches")
"""What there is beside the projected vectors."""

_HEADER = 128
"""Bytes of the header that numpy writes before an array of two dimensions."""

_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, OverflowError, RecursionError)
"""What reading a damaged snapshot raises."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The index as it was after the store's change `change`. `event` and `stamp` name an entry of the store's history
    as the snapshot saw it: a store that lacks it (a backup that was put back) is another store."""

    change: int
    event: int
    stamp: str
    services: tuple[str, ...]
    documents: FrozenDocuments
    postings: FrozenPostings
    vectors: FrozenVectors


def save(
    folder: Path,
    model: str,
    meta: dict[str, Any],
    documents: FrozenDocuments,
    postings: FrozenPostings,
    freeze: Callable[[Allocate], FrozenVectors],
) -> None:
    """Write a snapshot and remove the ones before it.

    Args:
        folder: where snapshots lie; made if it is missing.
        model: the identity of the model of the vectors.
        meta: `change`, `event`, `stamp` and `services` of the Snapshot.
        documents: their columns.
        postings: of the documents.
        freeze: gives the vectors, in arrays that it is told how to make; they lie in the files.

    Raises:
        OSError: the folder cannot be written; nothing of a snapshot is left there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    remove_stale(folder, ".writing-*")
    work = folder / f".writing-{secrets.token_hex(4)}"
    work.mkdir(mode=0o700)
    try:
        mapped: dict[str, np.memmap[Any, Any]] = {}

        def allocate(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
            mapped[name] = np.lib.format.open_memmap(work / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
            return mapped[name]

        frozen = freeze(allocate)
        arrays: dict[str, Any] = {**_arrays(documents), **_arrays(postings), "starts": frozen.starts}
        if frozen.projections is not None:
            of_projections = {name: getattr(frozen.projections, name) for name in _OF_PROJECTIONS}
            assert not arrays.keys() & of_projections.keys(), "two arrays of one name"
            arrays |= of_projections
        for array in mapped.values():
            array.flush()
        del frozen, array  # a file that is mapped cannot be renamed on Windows
        mapped.clear()
        for name, values in arrays.items():
            np.save(work / f"{name}.npy", values)
        files = {path.stem: _describe(path) for path in sorted(work.glob("*.npy"))}
        manifest = {"format": FORMAT, "model": model, **meta, "files": files}
        (work / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        for path in work.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        target = folder / f"snapshot-{secrets.token_hex(8)}"
        work.rename(target)
    finally:  # it has its place by now, or something went wrong: an interrupt, too, leaves no half snapshot
        shutil.rmtree(work, ignore_errors=True)
    for old in folder.glob("snapshot-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)  # on Windows a mapped file stays, until nobody has it open


def remove_stale(folder: Path, pattern: str) -> None:
    """Remove what a process left there when it was killed in the middle, more than an hour ago."""
    for left in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)


def load(folder: Path, model: str) -> Snapshot | None:
    """The snapshot of that model, or None where there is none that can be used."""
    for candidate in folder.glob("snapshot-*"):
        with contextlib.suppress(*_DAMAGED):
            manifest = json.loads((candidate / _MANIFEST).read_text(encoding="utf-8"))
            if manifest["format"] == FORMAT and manifest["model"] == model:
                return _read(candidate, manifest)
    return None


def _read(folder: Path, manifest: dict[str, Any]) -> Snapshot:
    arrays: dict[str, Any] = {}
    for name, expected in manifest["files"].items():
        path = folder / f"{name}.npy"
        if _describe(path) != expected:
            raise ValueError(f"{path.name} is not what was written")
        arrays[name] = np.asarray(np.load(path, mmap_mode="r"))  # still mapped; np.memmap's own slicing is slow
    projected = arrays.get("projected")
    change, event = int(manifest["change"]), int(manifest["event"])
    if not (0 <= change < 1 << 63 and 0 <= event < 1 << 63):
        raise ValueError("no store counts so far")
    return Snapshot(
        change=change,
        event=event,
        stamp=str(manifest["stamp"]),
        services=tuple(manifest["services"]),
        documents=FrozenDocuments(*(arrays[field.name] for field in fields(FrozenDocuments))),
        postings=FrozenPostings(*(arrays[field.name] for field in fields(FrozenPostings))),
        vectors=FrozenVectors(
            arrays["rows"],
            arrays["starts"],
            arrays["headings"],
            None if projected is None else Projections(projected, *(arrays[name] for name in _OF_PROJECTIONS)),
        ),
    )


def _arrays(values: FrozenDocuments | FrozenPostings) -> dict[str, npt.NDArray[Any]]:
    return {field.name: getattr(values, field.name) for field in fields(values)}


def _describe(path: Path) -> list[int]:
    """Size and CRC-32 of a file; of the vectors, the CRC of the header alone."""
    with path.open("rb") as file:
        crc = zlib.crc32(file.read(_HEADER))
        while path.stem not in _UNCHECKED and (block := file.read(1 << 20)):
            crc = zlib.crc32(block, crc)
    return [path.stat().st_size, crc]
