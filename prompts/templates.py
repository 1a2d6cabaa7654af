"""The MCP prompts: what a user can start from in the host's menu, each filled from the memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..memory.errors import InvalidInput
from ..memory.incident import Status
from ..memory.memory import IncidentMemory
from .briefs import first_look, period, shift, story
from .fence import block, fenced, short


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a prompt."""

    name: str
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt: `fill` gives the user's message."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    fill: Callable[[IncidentMemory, Mapping[str, str]], str]

    def text(self, memory: IncidentMemory, given: Mapping[str, str]) -> str:
        """The filled prompt.

        Raises:
            InvalidInput: an argument is missing, unknown or unusable; the message says what is valid.
        """
        known = {argument.name for argument in self.arguments}
        if unknown := sorted(given.keys() - known):
            raise InvalidInput(
                f"The prompt {self.name!r} takes {', '.join(sorted(known)) or 'no arguments'}, not {', '.join(unknown)}."
            )
        for argument in self.arguments:
            if argument.required and not given.get(argument.name, "").strip():
                raise InvalidInput(
                    f"The prompt {self.name!r} needs the argument {argument.name!r}: {argument.description}"
                )
        return self.fill(memory, given)


def _triage(memory: IncidentMemory, given: Mapping[str, str]) -> str:
    alert = given["alert"].strip()
    service = given.get("service", "").strip() or None
    known = first_look(memory, alert, service)
    data = f"ALERT\n{block(alert, 8_000)}\nSERVICE {short(service, 100) or 'not named'}\n\nWHAT THE MEMORY KNOWS SO FAR\n{known}"
    return (
        "An alert came in; the data below has it, with a first look into the incident memory. Triage it with me:\n"
        "1. Analyze: call analyze_incident with the alert as it stands: its first line as title, all of it as description"
        f"{', the service named below' if service else ''}. It stores the incident; the first look has not.\n"
        "2. Tell me in five lines: the likely cause, the confidence as stated with what it rests on, when this happened "
        "before and whether that fix held, and what speaks against it. Say plainly when nothing alike is in memory.\n"
        "3. Check: propose the first read-only check with its command, tell me what to fill in for each placeholder and what "
        "the result would prove or rule out. One check at a time; wait for what it shows. If it contradicts the cause, say so, "
        "call find_similar with what is seen now, and go on with the next hypothesis.\n"
        "4. Change: only after a check has confirmed the cause. Reversible steps first, each with its way back. Before a "
        "destructive step: its check, what would be lost, its way back, and my explicit yes. Skip what failed before. Run "
        "nothing that I have not agreed to.\n"
        "5. Verify: what must be seen, for how long, before we call it over.\n"
        "6. Resolve: ask me for the true cause, what worked, what failed and what prevents it, and call resolve_incident with "
        "exactly that, with analysis_was_right as I say.\n\n" + fenced(data)
    )


def _postmortem(memory: IncidentMemory, given: Mapping[str, str]) -> str:
    incident = memory.get(given["incident_id"].strip())
    still = "" if incident.status is Status.RESOLVED else (
        " It is not resolved yet: write a draft, and end with what has to be known to finish it."
    )  # fmt: skip
    return (
        f"Write a blameless postmortem of incident {incident.id} from the data below.{still}\n"
        "Sections, in this order: Summary (three sentences that a newcomer understands) · Impact (who could not do what, for "
        "how long, how many) · Timeline (UTC; start, detection, each action and its effect, end) · Root cause · Trigger and "
        "contributing factors · Detection (who or what noticed, after how long, what would have been sooner) · What worked · "
        "What did not · Where we were lucky · Recurrence (had we this before, did that fix hold, was the prevention named "
        "then ever done) · Action items (a table: action, prevents / detects / mitigates, owner, date; at most five, the one "
        "that prevents recurrence first).\n"
        'Rules: roles, not names; no blame and no "human error": say what made the action look right at the time. Every '
        "statement comes from the record; where it is silent, put a question to me in [brackets] instead of a guess. Keep "
        "causes and symptoms apart. Owners and dates are mine to name.\n\n" + fenced(story(memory, incident))
    )


def _handoff(memory: IncidentMemory, given: Mapping[str, str]) -> str:
    data, total = shift(memory)
    if not total:
        what = "No incident is open. Say so, and name what the last day's resolved ones should be watched for"
    else:
        what = (
            f"Write the handoff for the next shift: {'1 incident is' if total == 1 else f'{total} incidents are'} open"
        )
    return (
        f"{what}.\n"
        "First two lines: the state as a whole, and what must not wait. Then most urgent first, one short paragraph each: what "
        "is broken for whom, since when, what is known and how sure, what was tried and what is still running, the next "
        "read-only check with what to fill in, and when to escalate. End with what to watch tonight and what can wait for the "
        'morning. A prediction is no finding: say "predicted, 60 %". Ask me what was tried since, and call analyze_incident '
        "or find_similar where the record is thin. Ask about incidents that have been open for more than a week: are they "
        "over?\n\n" + fenced(data)
    )


def _review(memory: IncidentMemory, given: Mapping[str, str]) -> str:
    days = _days(given.get("days") or "30")
    return (
        f"Review the last {days} days with the team, from the counts below.\n"
        "1. What recurred: each repeat offender with how often, what it cost and whether it is one cause or several.\n"
        "2. Which fixes did not hold, for how long they held, and what they left in place that came back.\n"
        "3. Which steps failed again and again, and should no longer be tried.\n"
        "4. What to prevent first: at most three changes, ranked by the hours that they would have saved in this period, each "
        "with the incidents it would have prevented and the prevention that was named then and not done.\n"
        "5. What we do not know: incidents without a cause or a resolution, and what to record next time.\n"
        "Cite incident ids for every claim and keep to the counts; they are by failure type, so say where causes differ. "
        "Small numbers are no trend. Blameless: services and changes, no names.\n\n" + fenced(period(memory, days))
    )


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = 0
    if not 1 <= days <= 3650:
        raise InvalidInput(f"days must be a whole number from 1 to 3650, not {text[:40]!r}.")
    return days


TEMPLATES: tuple[Template, ...] = (
    Template(
        "triage", "Triage an alert", "From an alert to a root cause, checks and a resolution.",
        (Argument("alert", "The alert or what is seen, as it stands.", True), Argument("service", "The affected service.")),
        _triage,
    ),
    Template(
        "postmortem", "Write a postmortem", "A blameless postmortem from an incident's record and history.",
        (Argument("incident_id", "The incident's id.", True),),
        _postmortem,
    ),
    Template("handoff", "Hand off the shift", "Open incidents for the next person on call.", (), _handoff),
    Template(
        "review", "Review a period", "What recurred, which fixes did not hold, what to prevent first.",
        (Argument("days", "How many days back; 30 if left out."),),
        _review,
    ),
)  # fmt: skip
