"""What the persona is told: the alert and the evidence, as data within a fence, within a budget.

What does not fit is left out item by item, the least useful first; no item is cut. Everything is made harmless on the
way: secrets out, nothing invisible, no mark that could end the fence or pass for a turn of the conversation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..memory.confidence import FLOOR, Hypothesis
from ..memory.failure_types import LABELS
from ..memory.incident import FailureType, Incident, normalise
from ..memory.probability import Match
from ..memory.record import format_time
from ..memory.redaction import redact
from ..memory.runbook import Action
from .playbooks import Playbook

BUDGET = 1_500
"""Tokens of evidence (see `count_tokens`). With the persona and the form of the reply, a question stays below 2,500."""

ALERT_SHARE = 0.35
"""How much of the budget the alert may take before the evidence has had its turn; what is left over is its, too."""

READ = 200_000
"""Characters of an alert that are looked at."""

MOST_MATCHES = 4


@dataclass(frozen=True, slots=True)
class Draft:
    """The memory's own answer, which the language model is to put into better words.

    `leading` is the hypothesis that the answer rests on, None where nothing counts; then `opening` is what is said
    instead, and `matches`, what was recalled, may hold what comes near. `others` are the causes that the memory speaks
    for besides. `actions` is the memory's own runbook, `prevention` its own advice.
    """

    incident: Incident
    opening: str
    confidence: float
    leading: Hypothesis | None
    others: tuple[Hypothesis, ...]
    matches: tuple[Match, ...]
    actions: tuple[Action, ...]
    book: Playbook
    prevention: str | None

    @property
    def told(self) -> tuple[Match, ...]:
        """The matches that the persona hears of, most useful first."""
        if self.leading is not None:
            others = [hypothesis.matches[0] for hypothesis in self.others]
            return (*self.leading.matches[: MOST_MATCHES - len(others[:1])], *others[:1])
        near = [m for m in self.matches if m.probability >= FLOOR and m.incident.resolution is not None]
        return tuple(near[: MOST_MATCHES - 1])


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence as the persona gets it, and the ids that it may cite."""

    text: str
    ids: frozenset[str]


_PIECE = re.compile(r"\w+|[^\w\s]")
_WORD = 30
"""Letters of a long word; a longer run is a blob (base64, a hash)."""


def count_tokens(text: str) -> int:
    """About how many tokens a text has: every sign is one, every six letters of a word, every letter beyond ASCII, every
    two of a blob. For commands and prose that is near what a WordPiece tokenizer counts, which counts more than those of
    today's language models."""
    return sum(_cost(piece) for piece in _PIECE.findall(text))


def _cost(piece: str) -> int:
    if not piece.isascii():
        return len(piece)
    return -(-len(piece) // (6 if len(piece) <= _WORD else 2))


def harmless(text: str) -> str:
    """The text without secrets, without anything invisible or direction-changing, and without the control marks of
    chat formats (`<|start|>`), which a model might not read as text."""
    text = "".join(_visible(character) for character in text.replace("\r\n", "\n"))
    return redact(text.replace("<|", "< |").replace("|>", "| >"))


def _visible(character: str) -> str:
    if character in "\n\t" or " " <= character <= "~":
        return character
    if character in "\r\x0b\x0c\x85\u2028\u2029":
        return "\n"
    category = unicodedata.category(character)
    if category in {"Cc", "Cf", "Co", "Cs", "Cn"} or "\ufe00" <= character <= "\ufe0f" or character >= "\U000e0000":
        return ""
    return " " if category == "Zs" else character


def line(text: str | None) -> str:
    """The text on one line."""
    return " ".join(harmless(text or "").split())


@dataclass(slots=True)
class _Room:
    """What is left of the budget."""

    left: int
    omitted: list[str] = field(default_factory=list)

    def take(self, text: str) -> bool:
        """Whether the item fits; if so, its room is taken."""
        cost = count_tokens(text) + 1
        if cost > self.left:
            return False
        self.left -= cost
        return True


def evidence_of(draft: Draft, budget: int = BUDGET) -> Evidence:
    """The evidence of a draft, in at most about `budget` tokens."""
    room = _Room(budget)
    incident = draft.incident
    facts = (("title", incident.title), ("service", incident.service), ("severity", incident.severity))
    head = [text for name, value in facts if value and room.take(text := f"{name}: {line(value)}")]
    told = draft.told
    leading = {match.incident.id for match in draft.leading.matches} if draft.leading else set()

    blocks = {match.incident.id: _heading(match, match.incident.id in leading) for match in told}
    kept: dict[str, list[str]] = {}
    ids: set[str] = set()

    def tell(match: Match) -> None:
        if room.take(blocks[match.incident.id]):
            kept[match.incident.id] = [blocks[match.incident.id]]
            ids.add(match.incident.id)
            kept[match.incident.id] += [f"cause: {text}"] if (text := _whole(_cause(match), room)) else []

    for match in told[:1]:
        tell(match)
    alert_room = _Room(min(room.left, round(budget * ALERT_SHARE)))
    before = alert_room.left
    alert = _Lines.of(incident.description)
    alert.fill(alert_room)
    room.left -= before - alert_room.left

    useful = [action for action in draft.actions if not action.only_failed]
    failed = [action for action in draft.actions if action.only_failed]
    steps: dict[int, str] = {}
    for action in (*useful, *failed):
        text = _step(action)
        if room.take(text):
            steps[id(action)] = text
            ids.update(action.sources)
    for match in told[1:]:
        tell(match)
    for match in told[:2]:
        prevention = match.incident.resolution.prevention if match.incident.resolution else None
        if prevention and match.incident.id in kept and (text := _whole(prevention, room)):
            kept[match.incident.id].append(f"prevention: {text}")
    mechanism = _whole(draft.book.mechanism, room) if draft.book.failure_type is not FailureType.OTHER else ""
    alert.fill(room)

    lines = ["ALERT", *head, *alert.shown()]
    if kept:
        lines += ["", "PAST INCIDENTS", *(text for block in kept.values() for text in block)]
    if steps:
        lines += ["", "STEPS", *(steps[id(action)] for action in draft.actions if id(action) in steps)]
    if mechanism:
        lines += ["", f"HOW {LABELS[draft.book.failure_type].upper()} WORKS", mechanism]
    return Evidence("\n".join(lines), frozenset(ids))


def _heading(match: Match, leads: bool) -> str:
    incident = match.incident
    facts = [LABELS[incident.failure_type], line(incident.service), (format_time(incident.created_at) or "")[:10]]
    mark = "LEADING" if leads else "points elsewhere" if match.counts else "near, unproven"
    return f"[{incident.id}] {mark} | {' | '.join(filter(None, facts))} | {line(incident.label)}"


def _cause(match: Match) -> str:
    resolution = match.incident.resolution
    cause = match.incident.root_cause or ""
    return f"(a guess, never confirmed) {cause}" if cause and resolution and not resolution.is_evidence else cause


def _step(action: Action) -> str:
    mark = "FAILED, never recommend" if action.only_failed else action.risk.value
    sources = "".join(f"[{source}]" for source in action.sources)
    text = f"- {mark} | {line(action.action)} {sources}"
    if action.command:
        text += "\n  $ " + harmless(action.command).replace("\n", "\n    ")
    if action.expect:
        text += f"\n  expect: {line(action.expect)}"
    return text


_SENTENCE = re.compile(r"(?<=[.!?;])\s+")


def _whole(text: str, room: _Room, most: int = 160) -> str:
    """As many whole sentences from the start of the text as fit, in at most so many tokens."""
    taken: list[str] = []
    limit = _Room(min(room.left, most))
    for sentence in _SENTENCE.split(line(text)):
        if not sentence or not limit.take(sentence):
            break
        room.take(sentence)
        taken.append(sentence)
    return " ".join(taken)


_TELLING = re.compile(
    r"error|exception|fail|fatal|panic|refused|denied|time[d -]*out|exhaust|unavailable|expired|evict|oom|kill|throttl|"
    r"reset|\b5\d\d\b|\d+(?:\.\d+)?\s*(?:%|ms|s|m|gb|mb|gi|mi|req/s)\b|deploy|release|roll|chang|upgrad|since|p9\d",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Lines:
    """The lines of an alert, a long one in sentences, those that repeat one another once."""

    lines: list[str]
    order: list[int]
    taken: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, description: str) -> _Lines:
        lines: list[str] = []
        seen: set[str] = set()
        for raw in harmless(description[:READ]).split("\n"):
            text = " ".join(raw.split())
            for part in [text] if len(text) <= 300 else _SENTENCE.split(text):
                key = re.sub(r"\d+", "0", normalise(part))
                if part and key not in seen:
                    seen.add(key)
                    lines.append(part)
        # What tells most, then what stands first.
        order = sorted(range(len(lines)), key=lambda i: (-min(3, len(set(_TELLING.findall(lines[i].lower())))), i))
        first = [0] if lines else []
        return cls(lines, [*first, *(i for i in order if i != 0)])

    def fill(self, room: _Room) -> None:
        for i in self.order:
            if i not in self.taken and room.left > 0 and room.take(self.lines[i]):
                self.taken.add(i)

    def shown(self) -> Iterable[str]:
        yield from (f"> {self.lines[i]}" for i in sorted(self.taken))  # so that none can pass for evidence
        if left := len(self.lines) - len(self.taken):
            yield f"({left} more line{'' if left == 1 else 's'} left out)"
