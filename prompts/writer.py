"""Who puts the memory's own answer into better words, within a deadline, or says in one line why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread

from .breaker import Breaker
from .evidence import Draft, Evidence, evidence_of
from .faults import NO_FORM, TOO_LATE, UNCHECKED, UNGROUNDED, ModelFault
from .groq import Access, Groq
from .grounding import Checked, Written, check
from .question import question, repair, words
from .reply import parse_reply, strict_schema
from .usage import UsageLog

T = TypeVar("T")


class Writer(Protocol):
    """A language model that rewrites the memory's answer."""

    @property
    def engine(self) -> str:
        """Who answers: the vendor and the model."""
        ...

    async def write(self, draft: Draft) -> Written:
        """The answer in better words, every word of it held against the evidence.

        Raises:
            LanguageModelError: there is none; the message is one line for the user, with what to do.
        """
        ...

    def status(self) -> dict[str, Any]:
        """How it is reached, what it did and cost, and its last error, for a person to look at."""
        ...

    async def warm_up(self) -> None:
        """Do now what the first `write` would have to.

        Raises:
            LanguageModelError: it cannot be reached as it is set up.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections that this event loop opened."""
        ...


class GroqWriter:
    """A `Writer` on Groq."""

    def __init__(self, access: Access, log: UsageLog) -> None:
        self._access = access
        self._log = log
        self._groq = Groq(access, log)
        self._breaker = Breaker(access.deadline)

    @property
    def engine(self) -> str:
        """`groq:` and the model."""
        return f"groq:{self._access.model}"

    async def write(self, draft: Draft) -> Written:
        """See `Writer.write`. Takes at most the deadline; a cancelled call ends at once."""
        self._breaker.admit()
        started = time.monotonic()
        try:
            with anyio.fail_after(self._access.deadline):
                written = await self._written(draft, anyio.current_time() + self._access.deadline)
        except ModelFault as met:
            raise await self._failed(met) from None
        except TimeoutError:
            raise await self._failed(self._fault(TOO_LATE)) from None
        except Exception as exc:  # the memory's answer is complete, and no mistake of ours may cost it
            raise await self._failed(self._fault(UNCHECKED, type(exc).__name__)) from exc
        self._breaker.succeeded()
        self._log.answered(time.monotonic() - started)
        await anyio.to_thread.run_sync(self._log.keep)
        return written

    def status(self) -> dict[str, Any]:
        """See `Writer.status`."""
        return {
            "connected": self._breaker.state == "answers",
            "state": self._breaker.state,
            "model": self._access.model,
            "host": self._access.host,
            "structured_output": "JSON mode" if self._groq.json_mode else "JSON schema",
            "left_alone_for_seconds": self._breaker.seconds_left,
            **self._log.as_json(),
        }

    async def warm_up(self) -> None:
        """See `Writer.warm_up`."""
        await self._groq.warm_up()

    async def aclose(self) -> None:
        """See `Writer.aclose`."""
        await self._groq.aclose()

    async def _written(self, draft: Draft, until: float) -> Written:
        evidence = await _in_thread(partial(evidence_of, draft))
        messages = [self._without_key(message) for message in question(evidence)]
        try:
            reply = await self._ask(messages, until)
            checked = await self._checked(reply, draft, evidence)
        except ModelFault as met:
            if met.fault is not NO_FORM:  # the model's own JSON did not hold: what it was is not told
                raise
            reply, checked = "", _NO_FORM
        if checked.written is not None:
            return checked.written
        checked = await self._checked(await self._ask(repair(messages, reply, checked.faults), until), draft, evidence)
        if checked.written is None:
            raise self._fault(UNGROUNDED if checked.kinds else NO_FORM, ", ".join(checked.kinds))
        return checked.written

    async def _ask(self, messages: Sequence[dict[str, str]], until: float) -> str:
        return await self._groq.ask(messages, strict_schema(), words("json_mode"), until)

    async def _checked(self, text: str, draft: Draft, evidence: Evidence) -> Checked:
        reply = await _in_thread(partial(parse_reply, text))
        return _NO_FORM if reply is None else await _in_thread(partial(check, reply, draft, evidence))

    def _without_key(self, message: dict[str, str]) -> dict[str, str]:
        key = self._access.key.get_secret_value().strip()
        return {**message, "content": message["content"].replace(key, "[redacted: API key]")} if key else message

    async def _failed(self, met: ModelFault) -> ModelFault:
        self._breaker.failed(met)
        self._log.failed(met.told)
        await anyio.to_thread.run_sync(self._log.keep)
        return met

    def _fault(self, fault: Any, faults: str = "") -> ModelFault:
        access = self._access
        return ModelFault(fault, model=access.model, host=access.host, deadline=f"{access.deadline:g}", faults=faults)


_NO_FORM = Checked(None, ("It is not one JSON object of the agreed form, with all of its fields.",))


async def _in_thread(work: Callable[[], T]) -> T:
    """Do it beside the event loop; it is let go when the deadline passes."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
