"""What all tools share: their declaration, their context, and errors that teach."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..memory.errors import IncidentOSError, InvalidInput
from ..memory.memory import IncidentMemory, Recalled
from ..memory.text import clean

if TYPE_CHECKING:
    from ..memory.sync.service import SharedMemory
    from ..prompts.writer import Writer

MAX_TITLE = 500
MAX_DESCRIPTION = 1_000_000
MAX_TEXT = 20_000
MAX_STEP = 4_000
MAX_STEPS = 50


class Progress(Protocol):
    """Tells the caller how far a call has come."""

    async def __call__(self, done: float, total: float, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What a tool works with: the memory, where it lies, which version of the program this is, who puts answers into
    words (nobody: the memory does), and the team's memory where one is connected."""

    memory: IncidentMemory
    database: Path
    version: str
    writer: Writer | None = None
    shared: SharedMemory | None = None


class Find(Protocol):
    """A local recall, with everything given but what the team's memory recalled."""

    def __call__(self, *, also: frozenset[str] = frozenset()) -> Recalled: ...


async def recall_beside(desk: Desk, text: str, find: Find, *, widen: bool) -> Recalled:
    """Recall here and in the team's memory, side by side. Our own evidence weighs what either finds.

    Args:
        desk: with the team's memory, if one is connected.
        text: what is looked for.
        find: the local recall.
        widen: whether what the team's memory finds likely may come on top of the limit; else it can only bring in
            incidents that this machine did not know.
    """
    shared = desk.shared
    if shared is None:
        return await anyio.to_thread.run_sync(find)
    candidates = local = failure = None
    store = desk.memory.store
    before = 0

    def find_here() -> Recalled:
        nonlocal before
        before = store.last_change()
        return find()

    async def ask() -> None:
        nonlocal candidates
        candidates = await shared.recall(text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        try:
            local = await anyio.to_thread.run_sync(find_here)
        except IncidentOSError as exc:  # out of the group, which would wrap it
            failure = exc
            tasks.cancel_scope.cancel()
    if local is None or candidates is None:
        raise failure or RuntimeError("a recall ended without an answer")
    also = candidates.ids - {match.incident.id for match in local.matches}
    # What a pull brought in meanwhile is known by now, and yet was not to be found a moment ago.
    if candidates.new or (also and (widen or await anyio.to_thread.run_sync(store.last_change) != before)):
        local = await anyio.to_thread.run_sync(partial(find, also=also))
    return replace(local, degraded=(*local.degraded, *candidates.degraded))


class Arguments(BaseModel):
    """The arguments of a tool: nothing is coerced, nothing unknown is accepted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """The answer of a tool: `as_text` says what the fields say, for a host that shows its model only text."""

    model_config = ConfigDict(frozen=True)

    def as_text(self) -> str:
        """The answer in compact text."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON values, without the fields that are None."""
        return self.model_dump(mode="json", exclude_none=True)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Tool(Generic[A]):
    """The declaration of a tool. `read_only`, `idempotent` and `open_world` become MCP's annotations."""

    name: str
    title: str
    description: str
    arguments: type[A]
    answer: type[Answer]
    run: Callable[[Desk, A, Progress], Awaitable[Answer]]
    read_only: bool
    idempotent: bool
    open_world: bool = False

    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments. Lengths of texts are left out: an error names them when it matters."""
        schema: dict[str, Any] = compact_schema(self.arguments.model_json_schema())
        return schema

    def output_schema(self) -> dict[str, Any]:
        """The JSON schema of the answer, one level deep: an assistant reads the answer itself."""
        schema: dict[str, Any] = compact_schema(self.answer.model_json_schema(mode="validation"))
        schema.pop("$defs", None)
        schema["properties"] = {name: {"type": field["type"]} for name, field in schema["properties"].items()}
        return schema

    async def call(self, desk: Desk, arguments: Mapping[str, object], progress: Progress) -> Answer:
        """Validate the arguments and run.

        Raises:
            InvalidInput: the arguments do not fit; the message says which and what is valid.
            IncidentOSError: what the tool's work may raise.
        """
        try:
            valid = self.arguments.model_validate(dict(arguments))
        except ValidationError as exc:
            raise InvalidInput(explain(self, exc)) from None
        return await self.run(desk, valid, progress)


_UNSAID = frozenset({"default", "minLength", "maxLength", "minItems", "maxItems"})


def compact_schema(schema: Any) -> Any:
    """The schema without the generated titles and nulls: an assistant pays for every word of it."""
    if isinstance(schema, list):
        return [compact_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {k: v for k, v in schema.items() if k not in _UNSAID and not (k == "title" and isinstance(v, str))}
    variants = kept.get("anyOf")
    if isinstance(variants, list) and {"type": "null"} in variants and len(variants) == 2:
        # An optional field: leaving it out is the way to say nothing, so null need not be offered.
        variant = compact_schema(next(v for v in variants if v != {"type": "null"}))
        del kept["anyOf"]
        kept = {**variant, **kept}
    if schema.get("type") == "object":
        kept.pop("description", None)
    if "properties" in kept:
        kept["properties"] = {name: compact_schema(value) for name, value in kept["properties"].items()}
    return {k: v if k == "properties" else compact_schema(v) for k, v in kept.items()}


def explain(tool: Tool[Any], exc: ValidationError) -> str:
    """A validation error as sentences for a model that has to call again."""
    fields = tool.arguments.model_fields
    problems: list[str] = []
    for error in exc.errors(include_url=False):
        name = ".".join(str(part) for part in error["loc"]) or "the arguments"
        given = error.get("input")
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, fields, 1)
            problems.append(f"{name!r} is not an argument" + (f" (did you mean {near[0]!r}?)" if near else ""))
        elif error["type"] == "missing":
            problems.append(f"{name!r} is missing")
        elif error["type"] in {"string_too_short", "too_short"}:
            problems.append(f"{name!r} must not be empty")
        elif error["type"] in {"string_too_long", "too_long"}:
            most = error["ctx"]["max_length"]
            problems.append(f"{name!r} is too long: {len(given):,}, at most {most:,}")
        else:
            reason = error["msg"].removeprefix("Value error, ")
            reason = reason[0].lower() + reason[1:]
            shown = "" if isinstance(given, str) and len(given) > 60 else f", got {type(given).__name__} {given!r:.60}"
            problems.append(f"{name!r}: {reason}{shown}")
    valid = "; ".join(
        f"{name}{'' if field.is_required() else '?'} — {(field.description or '').rstrip('.')}"
        for name, field in fields.items()
    )
    return f"{tool.name} was not run: {'; '.join(problems)}. Valid arguments ('?' = optional): {valid}."


def _clean_text(value: object) -> object:
    return clean(value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_clean_text)]
"""Text from outside, made storable before its length is checked."""

ShortText = Annotated[Text, AfterValidator(lambda text: " ".join(text.split())), Field(min_length=1, max_length=200)]
"""A name: one line, whatever white space it came with."""

IncidentId = Annotated[Text, Field(min_length=1, max_length=128, description="The incident's id, e.g. 'd56b2cad'.")]
