"""The form of the language model's reply: what the persona fills in, and nothing that is ours to say."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ..memory.text import clean


def _text(value: object) -> object:
    if value is None:
        return ""
    return clean(value) if isinstance(value, str) else value


ReplyText = Annotated[str, BeforeValidator(_text)]
"""A text of the reply, without control and invisible characters; null is the same as nothing said."""


class ReplyStep(BaseModel):
    """One step: what to do, the command ("" where there is none), what is then to be seen, and where it comes from."""

    model_config = ConfigDict(frozen=True)

    action: ReplyText
    command: ReplyText
    expect: ReplyText
    risk: Literal["read-only", "reversible", "destructive"]
    sources: list[ReplyText]


class Reply(BaseModel):
    """The whole reply. No count, no confidence and no outcome: those are filled in from the records."""

    model_config = ConfigDict(frozen=True)

    hypothesis: ReplyText
    why: ReplyText
    steps: list[ReplyStep]
    prevention: ReplyText


MOST_CHARACTERS = 40_000
"""Of a whole reply. The longest that can be used has about half of that."""


def parse_reply(text: str) -> Reply | None:
    """The reply, or None where the text is not in the form."""
    if len(text) > MOST_CHARACTERS:
        return None
    try:
        return Reply.model_validate_json(_unfenced(text.strip()))
    except ValidationError:
        return None


def _unfenced(text: str) -> str:
    """What stands between the lines of a fence, where the text is fenced."""
    first, _, rest = text.partition("\n")
    if first.strip() not in {"```", "```json"} or not rest.endswith("```"):
        return text
    return rest.removesuffix("```")


@cache
def strict_schema() -> dict[str, Any]:
    """The JSON schema of `Reply` as constrained decoding wants it: no references, every field required, no other."""
    schema = Reply.model_json_schema()
    definitions = schema.pop("$defs", {})

    def plain(part: Any) -> Any:
        if isinstance(part, list):
            return [plain(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return plain(definitions[part["$ref"].rsplit("/", 1)[-1]])
        if part.get("type") == "object":
            fields = {name: plain(value) for name, value in part["properties"].items()}
            return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
        return {key: plain(value) for key, value in part.items() if key not in {"title", "description"}}

    result: dict[str, Any] = plain(schema)
    return result
