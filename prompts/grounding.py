"""Holds the language model's reply against the evidence, and fills in what is ours: counts, outcomes, risks, sources.

What the reply gets wrong about itself (an unknown id, a figure from nowhere, filler, another cause) is a fault, for one
repair. What we know better is set right in silence: the risk, the sources, the outcomes, the order, a step that failed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ..memory.failure_types import LABELS
from ..memory.incident import FailureType, Outcome, Step, normalise
from ..memory.index.tokens import terms
from ..memory.probability import COUNTS_FROM, Match
from ..memory.record import dumps
from ..memory.risk import Risk, risk_of
from ..memory.runbook import Action, command_key, from_matches
from .cause import agrees, share
from .claims import commands_in, destroys, hosts_in, markup_in
from .counts import tells_our_counts, unknown_counts
from .evidence import Draft, Evidence, harmless, line
from .playbooks import playbook
from .reply import Reply, ReplyStep

MOST_STEPS = 8
MOST_CHARACTERS = {"hypothesis": 400, "why": 700, "prevention": 800, "action": 600, "expect": 600, "command": 2_000}
"""What a person reads at night. A step or an advice of the evidence, copied as it stands, passes."""
MOST_SOURCES = 40
"""Sources of one step."""

FILLER = (
    "it appears", "it seems", "it looks like", "appears to be", "seems to be", "check your logs", "check the logs for more",
    "contact your", "reach out to your", "consult your", "consult the documentation", "refer to the documentation",
    "as an ai", "as a language model", "i hope this", "hope this helps", "feel free", "if the issue persists",
    "if the problem persists", "various factors", "various reasons", "a number of reasons", "it is important to note",
    "it's important to note", "it is worth noting", "it's worth noting", "further investigation", "investigate further",
    "please ensure", "please check", "please note", "best practices",
)  # fmt: skip
"""Phrases that say nothing to somebody who has to act."""

_FILLER = re.compile(rf"\b(?:{'|'.join(map(re.escape, FILLER))})\b")

_OURS = re.compile(
    r"\bconfidence\s*(?:is|of|level|score|:|=|\d)|%\s*confiden|\b(?:high|low|medium|moderate|full|great|no) confidence\b|\bconfident\b"
    r"|\b\d+\s*%\s*(?:sure|certain|likely|probab)|\bbased on \d+|\b\d+ (?:similar|past) |\bworked \d+ of \d+"
    r"|\b\d+ of \d+ times\b|\bsuccess rate\s*(?:is|of|:|=)?\s*\d",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"(?<![A-Za-z0-9_.])\d+(?:[.,:]\d+)*")  # not that of x509, p99 or IPv6
# Each begins at the border of a word, so that a long word is read once and not once from each of its letters.
_NAME = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)+|(?<![A-Za-z])[A-Za-z]{2,}\d{4,}")
_LINK = re.compile(
    r"\b[a-z][a-z0-9+.-]*://[^\s)\]>\"'`]+|\bwww\.[^\s)\]>\"'`]+|\b(?:javascript|data|mailto):\S|!\[|\]\(|<[a-z!/][^>]*="
)
_SAID_TWICE = re.compile(r"^(?:the )?root cause is ", re.IGNORECASE)
_SAME_STEP = 0.5
"""A step without a command is one of a source where they share this much of the shorter one's terms."""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer in the model's words, with our figures. `actions` are in the order in which they are done."""

    analysis: str
    root_cause: str | None
    actions: tuple[Action, ...]
    prevention: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a reply: `written`, or the faults for which it cannot be used (`faults` for the model, in our own
    words; `kinds` for the user)."""

    written: Written | None
    faults: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


def check(reply: Reply, draft: Draft, evidence: Evidence) -> Checked:
    """Hold a reply against the evidence."""
    if too_long := list(_too_long(reply)):
        return Checked(None, tuple(said for _, said in too_long), tuple(dict.fromkeys(kind for kind, _ in too_long)))
    known = _Known(draft, evidence)
    faults = list(_faults(reply, draft, known, evidence))
    actions = known.ground(reply.steps)
    if known.useful and not any(action.verified for action in actions):
        faults.append(("no usable step", "steps: none of them is a step of the evidence that may be recommended."))
    if faults:
        return Checked(None, tuple(dict.fromkeys(f for _, f in faults)), tuple(dict.fromkeys(k for k, _ in faults)))
    hypothesis = _SAID_TWICE.sub("", line(reply.hypothesis)).rstrip(".")
    prevention = line(reply.prevention)
    borne_out = prevention and not known.unknown_in(prevention)
    return Checked(
        Written(
            analysis=_analysis(draft, hypothesis, line(reply.why)),
            root_cause=hypothesis if draft.leading is not None else None,
            actions=tuple(known.runbook(actions)),
            prevention=prevention if borne_out else draft.prevention,
        )
    )


def _analysis(draft: Draft, hypothesis: str, why: str) -> str:
    if draft.leading is None:
        return f"{draft.opening} Hypothesis that no past incident bears out: {hypothesis}. {why}".strip()
    count = len(draft.leading.matches)
    similar = f"Based on {count} similar past incident{'' if count == 1 else 's'}"
    text = f"{similar}, root cause is {hypothesis}. Confidence: {draft.confidence:.0%}. {why}".strip()
    if draft.others:
        text += f" If the checks rule that out, next in line: {short(draft.others[0].summary)}."
    return text


def short(text: str, most: int = 300) -> str:
    """The text on one line, cut where it is long."""
    flat = line(text)
    return flat if len(flat) <= most else flat[: most - 1].rstrip() + "…"


def _too_long(reply: Reply) -> Iterable[tuple[str, str]]:
    """The faults of size. They come before all else: nothing reads a text of any length in the time of a call."""
    if not 1 <= len(reply.steps) <= MOST_STEPS:
        yield "no usable step", "steps: give one to six."
        return
    texts = {"hypothesis": reply.hypothesis, "why": reply.why, "prevention": reply.prevention}
    for number, step in enumerate(reply.steps, 1):
        texts |= {f"step {number}, {name}": getattr(step, name) for name in ("action", "expect", "command")}
        if len(step.sources) > MOST_SOURCES:
            yield "too long", f"step {number}: it has too many sources."
    for name, text in texts.items():
        most = MOST_CHARACTERS[name.rsplit(", ", 1)[-1]]
        if len(text) > most:
            yield "too long", f"{name}: say it in at most {most:,} characters."


def _faults(reply: Reply, draft: Draft, known: _Known, evidence: Evidence) -> Iterable[tuple[str, str]]:
    """The faults of a reply: what kind it is, and a sentence for the model, in which nothing of the reply is quoted but
    figures and our own phrases."""
    texts = {"hypothesis": reply.hypothesis, "why": reply.why, "prevention": reply.prevention}
    for number, step in enumerate(reply.steps, 1):
        texts |= {f"step {number}, action": step.action, f"step {number}, expect": step.expect}
        if not step.action.strip():
            yield "an empty field", f"step {number}: the action is empty."
        if unknown := [source for source in step.sources if source.strip("[] ") not in evidence.ids]:
            yield "an unknown id", f"step {number}: {len(unknown)} of its sources stand in no brackets of the evidence."
    for name in ("hypothesis", "why"):
        if not texts[name].strip():
            yield "an empty field", f"{name}: it is empty."
    incidents = len(draft.leading.matches) if draft.leading else 0
    for name, text in texts.items():
        plain = normalise(text).replace("’", "'")
        for phrase in sorted(set(_FILLER.findall(plain))):
            yield "filler", f"{name}: leave out {phrase!r}; say what is so, or nothing."
        if any(link not in known.sources for link in _LINK.findall(plain)):
            yield "a link or markup", f"{name}: give no link and no markup; a command has a field of its own."
        if _OURS.search(text) or (plain not in known.sources and tells_our_counts(plain, incidents)):
            yield "a count or a confidence", f"{name}: give no confidence, no count of incidents and no success rate."
        if markup_in(text, known.sources) or hosts_in(text, known.sources, known.told):
            yield "a link or markup", f"{name}: give no markup, and no host that the evidence does not name."
    for name in ("hypothesis", "why", "prevention"):
        if commands_in(texts[name], known.sources):
            yield "a command in prose", f"{name}: give no command here; a command has a field of its own."
    for name in ("hypothesis", "why"):
        if unknown := known.unknown_in(texts[name]):
            figures = ", ".join(word for word in unknown if _FIGURE.fullmatch(word))
            what = f"these figures: {figures}" if figures else f"{len(unknown)} names or ids"
            yield "a figure or name from nowhere", f"{name}: the evidence does not hold {what}."
    if draft.leading is not None and not agrees(_SAID_TWICE.sub("", reply.hypothesis), draft, known.terms):
        kind = LABELS[draft.leading.failure_type]
        yield "another cause", f"hypothesis: the incidents marked LEADING had another cause ({kind}); name that one."


def plain_command(command: str) -> str:
    """The command without what a person or a model puts around it: a prompt, backticks, white space at line ends."""
    text = command.strip().strip("`").strip()
    text = re.sub(r"^[$#]\s+", "", text)
    return "\n".join(" ".join(part.split()) for part in text.splitlines() if part.strip()).rstrip("; ")


_SHORT_NAMES = {
    "deploy": "deployment", "deployments": "deployment", "deployment.apps": "deployment", "po": "pod", "pods": "pod",
    "sts": "statefulset", "statefulsets": "statefulset", "ds": "daemonset", "svc": "service", "services": "service",
    "cm": "configmap", "ns": "namespace", "no": "node", "nodes": "node",
}  # fmt: skip
_PLACE_OPTION = re.compile(r"(?<!\S)(?:-n|--namespace|--context|--kube-context|--cluster)(?:=|\s+)\S+")


def _words(command: str) -> tuple[str, ...]:
    """What a command says, in whatever order, wherever it works and by whatever name kubectl knows a kind."""
    elsewhere = _PLACE_OPTION.sub(" ", command)
    try:
        words = shlex.split(elsewhere)
    except ValueError:
        words = elsewhere.split()
    parts = [
        part for word in words for part in (word.split("/", 1) if re.fullmatch(r"[\w.]+/[\w.-]+", word) else [word])
    ]
    return tuple(sorted(_SHORT_NAMES.get(part, part) for part in parts))


_QUOTED = re.compile(r"`([^`\n]{4,})`")


@cache
def _playbook_commands() -> tuple[tuple[str, str, Action], ...]:
    """Of each command in the playbooks: its key, the command as it is compared, and the step."""
    actions = (action for kind in FailureType for action in playbook(kind).known)
    return tuple((command_key(a.command), plain_command(a.command), a) for a in actions if a.command)


class _Known:
    """What the memory knows about steps: those of the incidents at hand, of its own runbook, of the playbooks.

    `sources` is the text of all that, without the alert: whoever can raise an alert can put a link into it.
    """

    def __init__(self, draft: Draft, evidence: Evidence) -> None:
        told = {match.incident.id for match in draft.told}
        at_hand = [m for m in draft.matches if m.incident.id in told or m.probability >= COUNTS_FROM]
        self.useful = [action for action in draft.actions if not action.only_failed]
        self.failed = [action for action in draft.actions if action.only_failed]
        merged = from_matches(at_hand)
        self._own = [*draft.actions, *(action for action in merged if not action.only_failed)]
        by_key: dict[str, Action] = {}
        self._exact: dict[str, Action] = {}
        own = ((command_key(a.command), plain_command(a.command), a) for a in self._own if a.command)
        for key, plain, action in (*own, *_playbook_commands()):
            by_key.setdefault(key, action)
            self._exact.setdefault(plain, action)
        failed = [*self.failed, *(action for action in merged if action.only_failed)]
        self._failed_words = [words for action in failed if len(words := set(terms(_said(action.action)))) > 1]
        helped, failures = set[str](), list[str]()
        for incident_id, step in _steps(at_hand):
            for command in filter(None, [step.command, *_QUOTED.findall(step.text)]):
                plain = plain_command(command)
                if step.outcome is Outcome.FAILED:
                    failures.append(plain)
                    continue
                helped.add(plain)
                its = by_key.get(command_key(command))
                its = its or Action(step.text, None, risk_of(command, step.text), (incident_id,))
                self._exact.setdefault(plain, replace(its, command=command))
        self._failed_commands = [command for command in failures if command not in helped]
        told_by_us = [dumps(match.incident) for match in at_hand]
        told_by_us += [f"{action.action} {action.command} {action.expect}" for action in draft.book.actions]
        told_by_us += [f"{action.action}\n{action.command}\n{action.expect}" for action in self._own]
        told_by_us += [draft.book.mechanism, draft.book.prevention, draft.prevention or ""]
        self.sources = normalise("\n".join(told_by_us))
        alert = normalise(f"{evidence.text}\n{draft.incident.text}")
        self.told = f"{self.sources}\n{alert}"
        self.terms = frozenset(terms(self.told))
        self._text = _without_thousands(self.told)

    def unknown_in(self, text: str) -> list[str]:
        """The figures, and the names with digits or underscores, in it that the evidence does not hold. Single digits
        are how people count, and pass."""
        plain = _without_thousands(normalise(text))
        words = [figure for figure in _FIGURE.findall(plain) if len(figure) > 1]
        words += [
            name
            for name in _NAME.findall(plain)
            if ("_" in name or any(c.isdigit() for c in name)) and not _FIGURE.fullmatch(name)
        ]
        unknown = [word for word in dict.fromkeys(words) if not self._holds(word)]
        return [*unknown, *unknown_counts(plain, self._text)]

    def _holds(self, word: str) -> bool:
        return re.search(rf"(?<![\d.]){re.escape(word)}(?!\d)", self._text) is not None

    def ground(self, steps: Sequence[ReplyStep]) -> list[Action]:
        """The steps as we can answer for them; those that are known to have failed are gone."""
        grounded: list[Action] = []
        for step in steps:
            action = self._grounded(step)
            if action is not None and not any(_same(action, other) for other in grounded):
                grounded.append(action)
        return grounded

    def runbook(self, grounded: Sequence[Action]) -> list[Action]:
        """The steps with what worked and was left out, the destructive last, and behind them what is known to have
        failed."""
        missing = [a for a in self.useful if a.worked and not any(_same(a, other) for other in grounded)]
        checks = [action for action in missing if action.risk is Risk.READ_ONLY]
        steps = [*checks, *grounded, *(action for action in missing if action not in checks)]
        if steps and steps[0].risk is not Risk.READ_ONLY:
            steps.sort(key=lambda action: action.risk is not Risk.READ_ONLY)
        steps.sort(key=lambda action: action.risk is Risk.DESTRUCTIVE)
        return [*steps, *self.failed]

    def _grounded(self, step: ReplyStep) -> Action | None:
        action, expect = line(step.action), line(step.expect)
        command = harmless(step.command).strip().strip("`").strip() or None
        source = self._source(step, command)
        if not action or self._has_failed(command, action, source):
            return None
        if self.unknown_in(expect) or commands_in(expect, self.sources) or self._new_harm(expect):
            expect = ""
        if source is None:
            risk = _higher(risk_of(command, action), Risk(step.risk))
            if destroys(action):
                risk = Risk.DESTRUCTIVE
            elif commands_in(action, ""):
                risk = _higher(risk, Risk.REVERSIBLE)
            return Action(action, command, risk, (), expect=expect or None, verified=False)
        risk = _higher(source.risk, risk_of(source.command, source.action))
        # Its own words, too: the outcomes and the risk are of what was done, not of what a model makes of it.
        return replace(source, action=line(source.action), risk=risk, expect=expect or source.expect)

    def _new_harm(self, expect: str) -> bool:
        """Whether what is to be seen asks for something destructive that no source says so."""
        return destroys(expect) and normalise(expect) not in self.sources

    def _source(self, step: ReplyStep, command: str | None) -> Action | None:
        """The step of an incident or a playbook that this is."""
        if command is not None:
            return self._exact.get(plain_command(command))
        mine = set(terms(step.action))
        cited = {source.strip("[] ") for source in step.sources}
        alike = [(share(mine, set(terms(_said(a.action)))), a) for a in self._own if cited & set(a.sources)]
        best = max(alike, key=lambda pair: pair[0], default=None)
        return best[1] if best and best[0] >= _SAME_STEP else None

    def _has_failed(self, command: str | None, action: str, source: Action | None) -> bool:
        """Whether the step was tried and never helped. What is a known step, or only looks, is told by its command
        alone; a change of the model's own, by whether it says what a failed one said."""
        if source is not None and source.only_failed:
            return True
        plain = plain_command(command) if command else ""
        if plain and any(_words(plain) == _words(failed) for failed in self._failed_commands):
            return True
        if source is not None or (command and risk_of(command, action) is Risk.READ_ONLY):
            return False
        said = set(terms(action))
        return any(failed <= said or (len(said) > 1 and said <= failed) for failed in self._failed_words)


def _steps(matches: Iterable[Match]) -> Iterable[tuple[str, Step]]:
    for match in matches:
        resolution = match.incident.resolution
        if resolution is not None and resolution.is_evidence:
            yield from ((match.incident.id, step) for step in resolution.steps)


def _without_thousands(text: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)


def _higher(one: Risk, other: Risk) -> Risk:
    return max(one, other, key=list(Risk).index)


def _said(text: str) -> str:
    """The step itself, without our mark and without what it showed."""
    return re.sub(r"^Skip \(failed [^)]*\): ", "", text).split(": ", 1)[0]


def _same(one: Action, other: Action) -> bool:
    if one.command and other.command:
        return plain_command(one.command) == plain_command(other.command)
    return not one.command and not other.command and normalise(one.action) == normalise(other.action)
