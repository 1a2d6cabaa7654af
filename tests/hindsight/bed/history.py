"""Incidents for the tests: the sample memory over and over, each copy an incident of its own, in every shape that a
record can have."""

from __future__ import annotations

import json
import random
from typing import Any

from incidentos.commands.demo import sample
from incidentos.memory.record import to_record

_ODD = (
    "naïve café — 東京リージョン 🔥",
    "quotes \"double\" and 'single', a \\ backslash and a\ttab",
    "line one\nline two\n\n  indented\nline five",
    "<b>not HTML</b> &amp; {{not a template}} ${NOT_A_VARIABLE} %s %(name)s",
    "e\u0301 combining, \u200b zero width, \u202eright to left\u202c",
)


def history(count: int, *, seed: int = 20260503, prefix: str = "t") -> list[str]:
    """`count` lines of JSON as `incidentos export` writes them, the same for the same seed."""
    rng = random.Random(seed)
    base = [to_record(incident) for incident in sample()]
    return [json.dumps(_variant(base[n % len(base)], n, rng, prefix), ensure_ascii=False) for n in range(count)]


def _variant(base: dict[str, Any], number: int, rng: random.Random, prefix: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(json.dumps(base))
    record["id"] = f"{prefix}-{number:04d}" if number % 3 else f"INC{number:07d}"
    record["external_id"] = None if number % 4 else f"tracker:{prefix}/{number}"
    if record["external_id"]:  # as an importer would call it
        record["url"] = f"https://tracker.example/{number}?a=1&b=ü"
    words = record["description"].split(" ")
    rng.shuffle(words)
    record["description"] = " ".join(words) + f" Seen on node-{number}."
    if number % 5 == 0:
        record["description"] += "\n" + _ODD[number // 5 % len(_ODD)]
    if number % 97 == 0:
        record["description"] += "\n" + "a log line that repeats itself; " * 300
    if number % 11 == 0:
        record["title"] = None
    if number % 13 == 0:
        record |= {"status": "open", "resolution": None, "resolved_at": None}
    elif number % 17 == 0:
        record["resolution"]["provenance"] = rng.choice(["inferred", "imported", "confirmed"])
        record["resolution"]["root_cause"] = None
    if number % 19 == 0:
        record |= {"created_at": None, "service": None, "severity": None}
    record["revision"] = 1
    return record
