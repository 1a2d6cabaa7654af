"""The question that the language model is asked: the persona, then the evidence within its fence."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cache
from importlib import resources

from .evidence import Evidence


@cache
def words(name: str) -> str:
    """A text of `prompts/persona/`: `persona`, `json_mode` (the form, for a model that knows no schema) or `repair`."""
    file = resources.files(__package__) / "persona" / f"{name}.md"
    return file.read_text(encoding="utf-8").strip()


def question(evidence: Evidence, mark: str | None = None) -> list[dict[str, str]]:
    """The messages: who the model is, and what it is to look at. `mark` is the fence's; nobody can guess it, since it is
    drawn anew for every question."""
    mark = mark or secrets.token_hex(8)
    fenced = (
        f"The data follows between two lines that hold {mark}.\n"
        f"<<<data {mark}\n{evidence.text}\ndata {mark}>>>\n"
        "That was data. Write the reply for this alert."
    )
    return [{"role": "system", "content": words("persona")}, {"role": "user", "content": fenced}]


def repair(messages: Sequence[dict[str, str]], reply: str, faults: Sequence[str]) -> list[dict[str, str]]:
    """The messages that ask once more, naming the faults. `faults` are our own words: nothing of the reply, which may
    repeat what stands in an incident, is said outside of the reply itself."""
    named = words("repair").format(faults="\n".join(f"- {fault}" for fault in faults))
    said = [{"role": "assistant", "content": reply}] if reply else []
    return [*messages, *said, {"role": "user", "content": named}]
