"""Text as it crosses the border: made storable, cut into chunks for embedding, split into runbook steps."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

from .incident import Outcome, Step

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters of no width, direction marks, fillers, variation selectors and tags: text can be hidden in them."""

# What JSON, a log of Python's or JavaScript's, and a terminal's colours put in the place of a character. A colour is read
# together with its escape, and one that stands there as such before all else: the escapes beside it are of their own level.
_ESCAPE = re.compile(r"\\(?:(?:u001[bB]|x1[bB]|033|e)\[[\d;]{0,20}m|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\"'\\/bfnrt])")
_COLOUR = re.compile(r"[\x1b\ufffd]\[[\d;]{0,20}m")
_MEANS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_DEEPEST = 4
"""Texts within texts that are read: an event in a message in a log line, and one more."""

CHUNK = 900
"""Characters of a chunk. About 256 tokens, which is what all-MiniLM-L6-v2 reads of a text before it stops."""

MAX_CHUNKS = 16
"""Chunks of one text that are embedded; what lies beyond (14,400 characters) is found by its words alone."""


def storable(text: str) -> str:
    """The text with nothing in it that no database, terminal or model should be given, and as it is otherwise."""
    return _INVISIBLE.sub("", _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text))


def clean(text: str) -> str:
    """The text without what no database, terminal or model should be given: control characters (tab and newline
    stay), lone surrogates, invisible and direction-changing characters. Line ends become newlines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return storable(text).strip()


class Reading:
    """A text with one level of its escapes read: `text`, and where each part of it `stands` in the text as it was written.

    JSON in a string of JSON has two levels, and a label or a token in it is told apart from what is beside it in the second
    reading only: in the first, a letter `n` stands before what begins a line.
    """

    def __init__(self, text: str, written: Reading | None = None, escapes: re.Pattern[str] = _ESCAPE) -> None:
        self.text = text
        self._written = written
        self._escapes = escapes

    def stands(self, offset: int) -> int:
        """Where in the text as it was written what begins (or ends) at an offset of this reading begins (or ends)."""
        if self._written is None:
            return offset
        here, there = self._borders
        border = bisect_right(here, offset) - 1
        return self._written.stands(there[border] + offset - here[border])

    @cached_property
    def _borders(self) -> tuple[list[int], list[int]]:
        """The ends of the escapes, here and where they were read: needed only where something is found."""
        here, there = [0], [0]
        for escape in self._escapes.finditer(self._written.text if self._written else ""):
            here.append(here[-1] + escape.start() - there[-1] + len(_meaning(escape)))
            there.append(escape.end())
        return here, there


def readings(text: str) -> list[Reading]:
    """The text as it was written, and read once, twice … for as long as there are escapes in it."""
    found = [Reading(text)]
    for escapes in [_COLOUR, *[_ESCAPE] * _DEEPEST]:
        read = escapes.sub(_meaning, found[-1].text)
        if read != found[-1].text:  # no escape means itself
            found.append(Reading(read, found[-1], escapes))
        elif escapes is _ESCAPE:
            break
    return found


def _meaning(escape: re.Match[str]) -> str:
    shown = escape[0]
    if shown[-1] == "m":  # a colour
        return ""
    if len(shown) > 2:
        return chr(int(shown[2:], 16))
    return _MEANS.get(shown[1], shown[1])


def chunks(text: str) -> list[str]:
    """Pieces of a long text, cut at a line or sentence end where one is near; none for a text of one piece."""
    if len(text) <= CHUNK:
        return []
    found: list[str] = []
    start = 0
    while start < len(text) and len(found) < MAX_CHUNKS:
        end = min(len(text), start + CHUNK)
        if end < len(text):
            nearest = start + CHUNK // 2
            cut = max(text.rfind("\n", nearest, end), text.rfind(". ", nearest, end) + 1)
            end = cut if cut > nearest else end
        found.append(text[start:end])
        start = end
    return found


_BACKTICKED = re.compile(r"(?<!`)(`{1,3})(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_MARKER = re.compile(r"^\s*(?:[-*•+]|\(?\d{1,2}[.):])\s+")
_PROMPT = re.compile(r"^\s*[$#>]\s+(?=\S)")
_TOOLS = frozenset(
    [
        "kubectl",
        "helm",
        "psql",
        "mysql",
        "mysqladmin",
        "redis-cli",
        "docker",
        "systemctl",
        "journalctl",
        "terraform",
        "aws",
        "gcloud",
        "az",
        "git",
        "curl",
        "dig",
        "nslookup",
        "openssl",
        "iptables",
        "nft",
        "ip",
        "ss",
        "netstat",
        "df",
        "du",
        "lsof",
        "kill",
        "pkill",
        "top",
        "ps",
        "free",
        "vmstat",
        "iostat",
        "nginx",
        "haproxy",
        "etcdctl",
        "kafka-topics.sh",
        "rabbitmqctl",
        "pg_ctl",
        "vacuumdb",
        "rm",
        "mv",
        "truncate",
        "chmod",
        "chown",
        "service",
        "sudo",
        "ssh",
        "ansible-playbook",
    ]
)


def parse_step(text: str, outcome: Outcome) -> Step:
    """A step as a person wrote it: list marker off, and the command told apart where one is marked as such.

    A command is what stands between backticks (where there is just one such run), or the whole text where it starts
    with a prompt or with a well-known tool's name.
    """
    text = _MARKER.sub("", clean(text), count=1).strip()
    quoted = _BACKTICKED.findall(text)
    if len(quoted) == 1:
        return Step(text, quoted[0][1].strip(), outcome)
    bare = _PROMPT.sub("", text)
    first = bare.split(maxsplit=1)[0] if bare else ""
    if "\n" not in bare and (bare != text or (first in _TOOLS and len(bare) > len(first) and bare[-1] not in ".!?")):
        return Step(bare, bare, outcome)
    return Step(text, None, outcome)


def split_steps(text: str, outcome: Outcome) -> tuple[Step, ...]:
    """The steps of a mitigation that was written as one text: one for each line or list item, empty ones dropped."""
    lines = [line for line in clean(text).splitlines() if line.strip()]
    if len(lines) == 1:
        lines = [item for item in re.split(r"(?<=[.;!])\s+-\s+|^\s*-\s+", lines[0]) if item.strip()]
    return tuple(step for line in lines if (step := parse_step(line, outcome)).text)
