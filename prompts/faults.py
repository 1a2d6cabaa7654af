"""Everything that can go wrong with the language model, and what the user reads then: one plain line, with what to do.

`docs/groq-faults.md` is written from `TABLE` (a test keeps them in step).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..memory.errors import LanguageModelError

STANDS = "The memory's own answer stands."


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of failure. `shows_as` is how it is met; `told` is what the user reads, with `{model}`, `{host}`,
    `{status}`, `{seconds}`, `{deadline}` and `{faults}` filled in. `retried`: worth another try within the deadline.
    `pause`: seconds in which Groq is not asked again (0: it is asked in the next call, unless it keeps failing)."""

    name: str
    shows_as: str
    told: str
    retried: bool = False
    pause: float = 0.0

    def line(self, **facts: Any) -> str:
        """What the user reads."""
        return f"{self.told.format(**facts)} {STANDS}"


BAD_KEY = Fault(
    "unusable key",
    "`GROQ_API_KEY` holds a line break, a quote or a letter that no key has",
    "GROQ_API_KEY holds a character that no key has: set it again, as shown at console.groq.com/keys.",
    pause=300,
)
BAD_ADDRESS = Fault(
    "unusable address",
    "`GROQ_BASE_URL` is not https, nor http on this machine",
    "GROQ_BASE_URL must be an https:// address, such as https://api.groq.com (http:// for this machine only), or the key "
    "would be sent in the clear: set it again, or unset it.",
    pause=300,
)
REFUSED_KEY = Fault(
    "refused key",
    "401",
    "Groq refused the key (401): set a valid GROQ_API_KEY from console.groq.com/keys, or unset it.",
    pause=300,
)
FORBIDDEN = Fault(
    "forbidden",
    "403",
    "Groq does not let this key, or this network, use {model} (403): look at the model permissions and limits of the "
    "project at console.groq.com.",
    pause=300,
)
NO_MODEL = Fault(
    "unknown or retired model",
    "404, or 400 with `model_not_found` or `model_decommissioned`",
    "Groq has no model {model} (retired or misspelt): set INCIDENTOS_GROQ_MODEL to one of console.groq.com/docs/models.",
    pause=300,
)
TOO_LARGE = Fault(
    "too large",
    "413, or 400 with `context_length_exceeded`",
    "The request was too large for {model} or for the tokens that the key may use in a minute (413): set "
    "INCIDENTOS_GROQ_MODEL to a model with a larger limit, or raise the limit at console.groq.com.",
)
NOT_ACCEPTED = Fault(
    "request not accepted",
    "422, and any other 4xx",
    "Groq did not accept the request for {model} ({status}): set INCIDENTOS_GROQ_MODEL to openai/gpt-oss-120b, or bring "
    "IncidentOS up to date.",
    pause=60,
)
RATE_LIMIT = Fault(
    "rate limit",
    "429",
    "Groq's rate limit for this key is used up (429); it may be asked again in {seconds} s. Raise the limit at "
    "console.groq.com if this happens often.",
    retried=True,
    pause=15,
)
NO_CAPACITY = Fault(
    "no capacity", "498", "Groq has no capacity at the moment (498): ask again in a minute.", retried=True
)
SERVER_FAILED = Fault(
    "Groq failed",
    "5xx, 408, 409",
    "Groq failed on its side ({status}): ask again in a minute.",
    retried=True,
)
TOO_LATE = Fault(
    "too late",
    "no whole answer within the deadline",
    "Groq did not answer within {deadline} s: ask again in a minute, or raise INCIDENTOS_GROQ_DEADLINE.",
)
UNREACHABLE = Fault(
    "unreachable",
    "no connection: refused, no such host, a certificate that does not hold, no answer to the knock",
    "{host} cannot be reached: check the network, the proxy and GROQ_BASE_URL.",
    retried=True,
)
DROPPED = Fault(
    "dropped connection",
    "the connection ends before the answer is whole",
    "The connection to {host} broke before the answer was whole: ask again; if it stays so, check the network and the "
    "proxy.",
    retried=True,
)
NOT_GROQ = Fault(
    "not Groq",
    "HTML, a redirect, or JSON that is no chat completion",
    "What answered at {host} does not speak Groq's protocol (a proxy, a login page?): check the network and "
    "GROQ_BASE_URL.",
    pause=30,
)
CUT_OFF = Fault(
    "cut off",
    "`finish_reason` is `length`",
    "The reply of {model} ran into its length limit and was cut off: ask again, or set INCIDENTOS_GROQ_MODEL to a "
    "model that is briefer.",
)
EMPTY = Fault("empty reply", "no choices, or a choice without text", "{model} gave an empty reply: ask again.")
DECLINED = Fault(
    "declined",
    "a refusal, or `finish_reason` is `content_filter`",
    "{model} declined to answer: ask again with the technical lines of the alert only.",
)
NO_FORM = Fault(
    "not in the form",
    "invalid or truncated JSON, or JSON of another form, after one repair",
    "The reply of {model} was not in the agreed form, even after it was asked to mend it: if it stays so, set "
    "INCIDENTOS_GROQ_MODEL to openai/gpt-oss-120b.",
)
UNGROUNDED = Fault(
    "not borne out",
    "filler, an id or a figure that the evidence does not hold, another cause than the past incidents', no usable "
    "step, after one repair",
    "The reply of {model} was set aside, even after it was asked to mend it ({faults}): nothing to do; ask again if you "
    "want another try.",
)
UNCHECKED = Fault(
    "not checked",
    "a fault of IncidentOS itself while it wrote the prompt or read the reply",
    "The reply of {model} could not be checked ({faults}), which is a fault of IncidentOS: please report it.",
)
PAUSED = Fault(
    "left alone",
    "a call soon after a failure that would only repeat itself",
    "Groq is left alone for another {seconds} s, after this: {faults}",
)

TABLE = (
    BAD_KEY, BAD_ADDRESS, REFUSED_KEY, FORBIDDEN, NO_MODEL, TOO_LARGE, NOT_ACCEPTED, RATE_LIMIT, NO_CAPACITY, SERVER_FAILED, TOO_LATE,
    UNREACHABLE, DROPPED, NOT_GROQ, CUT_OFF, EMPTY, DECLINED, NO_FORM, UNGROUNDED, UNCHECKED, PAUSED,
)  # fmt: skip


class ModelFault(LanguageModelError):
    """A fault that was met; the message is the line for the user.

    `retry_after` is how many seconds the server asked for, where it did.
    """

    def __init__(self, fault: Fault, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(fault.line(**facts))
        self.fault = fault
        self.retry_after = retry_after
        self.told = fault.told.format(**facts)
