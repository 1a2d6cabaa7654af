"""The sample memory: fictional incidents of the fictional shop Larkspur, for the demo and the tests."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

SAMPLE: Traversable = resources.files(__package__) / "larkspur.jsonl"
