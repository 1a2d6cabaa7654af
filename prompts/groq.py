"""The adapter of Groq: one question, one reply, within a deadline, through the `groq` SDK.

The SDK is imported with the first question, so that a start does not pay for it. It is given everything explicitly and
retries nothing by itself: what is tried again, and for how long, is decided here. None of its exceptions leaves this
module, nor does their text, which may hold what was sent.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from pydantic import BaseModel, SecretStr, ValidationError

from ..memory.incident import utcnow
from .faults import (
    BAD_ADDRESS,
    BAD_KEY,
    CUT_OFF,
    DECLINED,
    DROPPED,
    EMPTY,
    FORBIDDEN,
    NO_CAPACITY,
    NO_FORM,
    NO_MODEL,
    NOT_ACCEPTED,
    NOT_GROQ,
    RATE_LIMIT,
    REFUSED_KEY,
    SERVER_FAILED,
    TOO_LARGE,
    TOO_LATE,
    UNREACHABLE,
    Fault,
    ModelFault,
)

if TYPE_CHECKING:
    from groq import APIStatusError, AsyncGroq

BASE_URL = "https://api.groq.com"
DEADLINE = 8.0
"""Seconds for everything: the first try, what is tried again, and the one repair."""

_CONNECT = 3.0
"""Seconds to connect: who does not answer by then is not there, and the rest of the deadline is saved."""

_TRIES = 3
_FIRST_WAIT = 0.25
"""Seconds before the second try; twice that before the third. A Retry-After goes before, where it fits."""

_WORTH_A_TRY = 0.5
"""Seconds that must be left for another try: at some 500 tokens a second no whole reply takes less."""

_REPLY_TOKENS = 2_000
"""Tokens of a reply, the model's reasoning included; six copied steps are some 800."""


@dataclass(frozen=True, slots=True)
class Access:
    """How Groq is reached: the key, the model, the address, and how many seconds a whole answer may take."""

    key: SecretStr
    model: str
    base_url: str = BASE_URL
    deadline: float = DEADLINE

    @property
    def host(self) -> str:
        """The host, without the user and password that an address may hold."""
        return self._parts()[1] or "the address in GROQ_BASE_URL"

    @property
    def local(self) -> bool:
        """Whether it is this machine."""
        return self._parts()[1] in {"127.0.0.1", "localhost", "::1"}

    @property
    def keeps_the_key(self) -> bool:
        """Whether nobody between here and there can read the key."""
        scheme, host = self._parts()
        return bool(host) and (scheme == "https" or (scheme == "http" and self.local))

    def _parts(self) -> tuple[str, str | None]:
        try:
            parts = urlsplit(self.base_url)
            return (parts.scheme, parts.hostname) if parts.port != 0 else ("", None)
        except ValueError:  # no address at all
            return "", None


class Meter(Protocol):
    """Is told what each reply cost."""

    def used(self, prompt_tokens: int, completion_tokens: int) -> None: ...


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


class Groq:
    """Asks one model. The client belongs to the event loop that first asks; another loop gets another one."""

    def __init__(self, access: Access, meter: Meter) -> None:
        self.access = access
        self._meter = meter
        self._client: tuple[asyncio.AbstractEventLoop, AsyncGroq] | None = None
        self._json_mode = False

    @property
    def json_mode(self) -> bool:
        """Whether the model has turned out to know no JSON schema, only JSON."""
        return self._json_mode

    async def ask(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], in_words: str, until: float
    ) -> str:
        """The text of the model's reply.

        Args:
            messages: the conversation so far.
            schema: the form of the reply, kept to by the model itself where it can (constrained decoding).
            in_words: the same for a model that knows JSON alone; it goes behind the first message.
            until: when the reply must be there, on the clock of `anyio.current_time`.

        Raises:
            ModelFault: there is no such reply.
            TimeoutError: the deadline has passed.
        """
        with anyio.fail_after(until - anyio.current_time()):
            if self._json_mode:
                return await self._tried(self._in_json(messages, in_words), until)
            constrained = {
                "messages": [*messages],
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "incident_analysis", "strict": True, "schema": schema},
                },
            }
            try:
                return await self._tried(constrained, until)
            except _NoSchema as met:
                self._json_mode = met.said_so
            reply = await self._tried(self._in_json(messages, in_words), until)
            self._json_mode = True  # where the answer did not name the schema, that JSON alone is accepted says it
            return reply

    async def warm_up(self) -> None:
        """Import the SDK and make the client, so that the first question does not have to.

        Raises:
            ModelFault: the key or the address cannot be used.
        """
        await self._client_of_this_loop()

    async def prove(self) -> None:
        """Prove that the key works and the model is there, without a token spent.

        Raises:
            ModelFault: it does not, or it is not.
        """
        try:
            with anyio.fail_after(self.access.deadline):
                client = await self._client_of_this_loop()
                raw = await self._called(client.models.with_raw_response.retrieve(self.access.model))
        except TimeoutError:
            raise self._fault(TOO_LATE) from None
        try:
            known = json.loads(raw).get("id")
        except (ValueError, AttributeError):
            known = None
        if not known:
            raise self._fault(NOT_GROQ)

    async def aclose(self) -> None:
        """Close the client of this event loop."""
        if self._client is not None and self._client[0] is asyncio.get_running_loop():
            client, self._client = self._client[1], None
            await client.close()

    @staticmethod
    def _in_json(messages: Sequence[Mapping[str, str]], in_words: str) -> dict[str, Any]:
        first = {**messages[0], "content": f"{messages[0]['content']}\n\n{in_words}"}
        return {"messages": [first, *messages[1:]], "response_format": {"type": "json_object"}}

    async def _tried(self, request: dict[str, Any], until: float) -> str:
        """Ask, and ask again where that may help and there is time for it."""
        client = await self._client_of_this_loop()
        for trial in range(1, _TRIES + 1):
            try:
                return await self._asked(client, request)
            except ModelFault as met:
                wait = _FIRST_WAIT * 2 ** (trial - 1) * random.uniform(0.75, 1.25)
                wait = max(wait, met.retry_after or 0.0)
                left = until - anyio.current_time()
                if not met.fault.retried or trial == _TRIES or wait + _WORTH_A_TRY > left:
                    raise
            await anyio.sleep(wait)
        raise AssertionError("unreachable")

    async def _asked(self, client: AsyncGroq, request: dict[str, Any]) -> str:
        options: dict[str, Any] = {"temperature": 0, "max_completion_tokens": _REPLY_TOKENS, **request}
        if self.access.model.startswith("openai/gpt-oss"):
            options["reasoning_effort"] = "low"  # the answer is due in seconds, and the text is short
        raw = await self._called(
            client.chat.completions.with_raw_response.create(model=self.access.model, **options),
            constrained=request["response_format"]["type"] == "json_schema",
        )
        try:
            completion = _Completion.model_validate_json(raw)
        except ValidationError:
            raise self._fault(NOT_GROQ) from None
        if completion.usage:
            self._meter.used(completion.usage.prompt_tokens, completion.usage.completion_tokens)
        if not completion.choices:
            raise self._fault(EMPTY)
        choice = completion.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise self._fault(DECLINED)
        if choice.finish_reason == "length":
            raise self._fault(CUT_OFF)
        text = (choice.message.content or "").strip()
        if not text:
            raise self._fault(EMPTY)
        return text

    async def _called(self, call: Any, *, constrained: bool = False) -> bytes:
        """The body of a successful answer. The vendor's exceptions end here."""
        import httpx
        from groq import APIConnectionError, APIStatusError, APITimeoutError, GroqError

        try:
            answer = await call
            body: bytes = answer.http_response.content
            return body
        except APIStatusError as exc:
            fault = self._fault_of_status(exc, constrained)
        except APITimeoutError as exc:
            fault = self._fault(UNREACHABLE if isinstance(exc.__cause__, httpx.ConnectTimeout) else TOO_LATE)
        except APIConnectionError as exc:
            cause = exc.__cause__
            if isinstance(cause, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol):
                fault = self._fault(UNREACHABLE)
            elif isinstance(cause, httpx.LocalProtocolError | UnicodeError):
                fault = self._fault(BAD_KEY)
            else:
                fault = self._fault(DROPPED)
        except (GroqError, httpx.HTTPError, httpx.InvalidURL, ValueError):
            fault = self._fault(NOT_GROQ)
        raise fault  # outside of the handlers: no exception of the vendor hangs on to it

    def _fault_of_status(self, exc: APIStatusError, constrained: bool) -> ModelFault:
        status = exc.status_code
        error = exc.body.get("error") if isinstance(exc.body, dict) else None
        if isinstance(error, dict):
            code = str(error.get("code") or error.get("type") or "").lower()
            message = str(error.get("message") or "").lower()
        else:
            code = message = ""
        if status == 404 and not isinstance(error, dict):
            return self._fault(NOT_GROQ)
        if status == 404 or code in {"model_not_found", "model_decommissioned"} or "decommissioned" in message:
            return self._fault(NO_MODEL)
        if status == 413 or code == "context_length_exceeded":
            return self._fault(TOO_LARGE)
        if status == 400 and code == "json_validate_failed":
            return self._fault(NO_FORM)
        if status == 400 and constrained:
            named = any(word in message for word in ("json_schema", "response_format", "response format", "structured"))
            return _NoSchema(named, NOT_ACCEPTED, **self._facts(status))
        if 300 <= status < 400:
            return self._fault(NOT_GROQ)
        by_status = {401: REFUSED_KEY, 403: FORBIDDEN, 429: RATE_LIMIT, 498: NO_CAPACITY, 408: SERVER_FAILED}
        fault = by_status.get(status, SERVER_FAILED if status >= 500 or status == 409 else NOT_ACCEPTED)
        return self._fault(fault, _retry_after(exc.response.headers), status=status)

    def _fault(self, fault: Fault, retry_after: float | None = None, status: int = 0) -> ModelFault:
        seconds = math.ceil(max(retry_after or 0.0, fault.pause))
        return ModelFault(fault, retry_after=retry_after, seconds=seconds, **self._facts(status))

    def _facts(self, status: int) -> dict[str, Any]:
        access = self.access
        return {"model": access.model, "host": access.host, "deadline": f"{access.deadline:g}", "status": status}

    async def _client_of_this_loop(self) -> AsyncGroq:
        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            key = self.access.key.get_secret_value().strip()
            if not key.isascii() or not key.isprintable() or any(c in key for c in " \"'"):
                raise self._fault(BAD_KEY)
            if not self.access.keeps_the_key:
                raise self._fault(BAD_ADDRESS)
            made = await anyio.to_thread.run_sync(self._new_client, key, abandon_on_cancel=True)
            if self._client is None or self._client[0] is not loop:  # another call may have been first
                self._client = (loop, made)
        return self._client[1]

    def _new_client(self, key: str) -> AsyncGroq:
        import httpx
        from groq import AsyncGroq, DefaultAsyncHttpxClient

        # The deadline is ours: it also covers what a read timeout does not, a server that sends a byte now and then.
        # A redirect would take the incident's text to another host.
        timeout = httpx.Timeout(self.access.deadline, connect=min(_CONNECT, self.access.deadline))
        return AsyncGroq(
            api_key=key,
            base_url=self.access.base_url,
            timeout=timeout,
            max_retries=0,
            # A proxy of the environment is for what lies beyond this machine.
            http_client=DefaultAsyncHttpxClient(
                timeout=timeout, follow_redirects=False, trust_env=not self.access.local
            ),
        )


class _NoSchema(ModelFault):
    """The request with a schema was not accepted; `said_so` where the answer names the schema as the reason."""

    def __init__(self, said_so: bool, fault: Fault, **facts: Any) -> None:
        super().__init__(fault, **facts)
        self.said_so = said_so


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a server asks to wait, at most a day."""
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            seconds = float(value) * factor
        except ValueError:
            try:
                seconds = (email.utils.parsedate_to_datetime(value) - utcnow()).total_seconds()
            except (TypeError, ValueError):
                continue
        if math.isfinite(seconds):
            return min(max(0.0, seconds), 86_400.0)
    return None
