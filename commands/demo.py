"""`incidentos demo`: the whole main job on a sample memory, through the real server and a real MCP client.

The sample lies in a temporary folder that goes when the demo ends; the user's own memory is never opened.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console, Group
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from ..memory.errors import IncidentOSError
from ..memory.incident import Incident, utcnow
from ..memory.record import loads
from ..memory.samples import SAMPLE
from ..settings import Settings
from ..tools.actions import SuggestedAction
from ..wiring import build_memory

ALERT = "DB connection pool at 95%, API p99 latency at 6.2s, auth service returning 503s"
SIBLING = "auth service returning 503s again after the evening release, DB connection pool at 97%, p99 latency at 5s"
_NEWEST = timedelta(days=2)
_MODEL_DEADLINE = 180.0

_RISK_STYLE = {"read-only": "green", "reversible": "yellow", "destructive": "bold red"}


def demo(settings: Settings, picture: Path | None = None) -> int:
    """Run the demo; returns 0 when every step answered. `picture` is where an SVG of the first answer goes."""
    console = Console() if picture is None else Console(record=True, width=100)
    with tempfile.TemporaryDirectory(prefix="incidentos-demo-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        count = _load_sample(settings.model_copy(update={"home": home}))
        console.print(
            f"A sample memory of {count} fictional incidents is loaded in a temporary folder; yours is not touched."
        )
        wrong = anyio.run(_tell, console, home, picture)
    if wrong:
        raise IncidentOSError(f"The demo went wrong: {wrong}")
    return 0


def sample(now_is_near: bool = True) -> list[Incident]:
    """The sample incidents, moved in time as a whole so that the newest was resolved two days ago."""
    incidents = [loads(line) for line in _records()]
    if now_is_near:
        newest = max(i.resolved_at for i in incidents if i.resolved_at)
        shift = timedelta(days=(utcnow() - _NEWEST - newest).days)
        incidents = [
            replace(
                i, created_at=i.created_at and i.created_at + shift, resolved_at=i.resolved_at and i.resolved_at + shift
            )
            for i in incidents
        ]
    return incidents


def _records() -> list[str]:
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines() if line]
    return [json.dumps({**row, "updated_at": row["resolved_at"]}) for row in rows]


def _load_sample(settings: Settings) -> int:
    memory = build_memory(settings)
    try:
        return memory.import_batch(sample(), embed=False).added  # the server embeds them
    finally:
        memory.close()


async def _tell(console: Console, home: Path, picture: Path | None) -> str | None:
    """Tell the story; returns what went wrong (an exception would come out of the client wrapped in groups)."""
    from ..server import connect

    async with connect(home) as client:
        tools = await client.list_tools()
        console.print(
            f"A real MCP client is connected to a real server over stdio: {len(tools.tools)} tools, protocol "
            f"{client.protocol_version}."
        )
        with console.status("The embedding model loads and reads the incidents …"):
            await _until_embedded(client)

        console.print(Rule("[bold]03:12 — an alert"))
        console.print(Panel(ALERT, title="pasted into the chat", border_style="red"))
        first = await _call(client, "analyze_incident", title=ALERT, service="auth-service", severity="SEV1")
        if picture is not None:
            console.export_text()  # the picture begins here
        _print_analysis(console, first)
        if picture is not None:
            console.save_svg(str(picture), title="analyze_incident")

        console.print(Rule("[bold]03:41 — it is over, remember it"))
        receipt = await _call(
            client,
            "resolve_incident",
            incident_id=first["incident_id"],
            root_cause=(
                "A release of auth-service opened a transaction before it called the token issuer; the slow calls left "
                "connections idle in transaction until the pool was empty"
            ),
            mitigation_steps=[
                'Count sessions by state: `psql -h pg-auth-1 -c "SELECT state, count(*) FROM pg_stat_activity GROUP BY 1"`',
                "Roll the release back: `kubectl rollout undo deployment/auth-service -n auth`",
            ],
            failed_steps=["Raised the pool from 40 to 80 connections: it filled again in 3 minutes"],
            prevention="idle_in_transaction_session_timeout = '30s' for the role auth_app",
        )
        console.print(
            f"Stored: [bold]{receipt['incident_id']}[/bold], {receipt['status']}, revision {receipt['revision']}, "
            f"{receipt['failure_type']}."
        )
        for step in receipt["mitigation_steps"]:
            console.print(f"  {escape(step)}", highlight=False)

        console.print(Rule("[bold]the next week — a sibling"))
        console.print(Panel(SIBLING, title="pasted into the chat", border_style="red"))
        second = await _call(client, "analyze_incident", title=SIBLING, service="auth-service")
        _print_analysis(console, second)
        learned = [m for m in second["similar_past_incidents"] if m["incident_id"] == first["incident_id"]]
        cited = [a for a in second["suggested_actions"] if first["incident_id"] in a["sources"]]
        if not learned and not cited:
            return "what was resolved a moment ago was not found again."
        console.print(Rule("[bold]what it learned"))
        if learned:
            console.print(f"Tonight's incident is among the matches now, at {learned[0]['probability']:.0%}:")
            console.print(f"  {escape('; '.join(learned[0]['why']))}", highlight=False)
        for action in cited:
            outcome = f"failed {action['failed']}" if not action["worked"] else f"worked {action['worked']}"
            console.print(f"  its step counts ({outcome}): {escape(action['action'][:110])}", highlight=False)
        console.print("\nTo use it, add it to your assistant (see README.md): the command is [bold]incidentos[/bold].")
        return None


async def _until_embedded(client: Any) -> None:
    with anyio.move_on_after(_MODEL_DEADLINE):
        while True:
            read = await client.read_resource("incidents://status")
            embedding = json.loads(read.contents[0].text)["embedding"]
            if embedding["state"] == "failed" or embedding["not_embedded"] == 0:
                return
            await anyio.sleep(0.25)


async def _call(client: Any, tool: str, **arguments: object) -> Mapping[str, Any]:
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise IncidentOSError(f"The demo went wrong: {tool} said: {result.content[0].text}")
    answer: Mapping[str, Any] = result.structured_content
    return answer


def _print_analysis(console: Console, answer: Mapping[str, Any], most: int = 12) -> None:
    head = Text(answer["ai_analysis"])
    head.append(f"\n\nWhy {answer['confidence']:.0%}: {answer['confidence_basis']}", style="dim")
    if answer.get("recurrence"):
        head.append(f"\nRecurrence: {answer['recurrence']}", style="dim")
    console.print(Panel(head, title=f"incident {answer['incident_id']}", border_style="cyan"))
    console.print("[bold]Runbook[/bold]")
    for number, action in enumerate(answer["suggested_actions"][:most], 1):
        console.print(_action(number, action))
    left = len(answer["suggested_actions"]) - most
    if left > 0:
        console.print(f"   … and {left} more", style="dim")
    if answer.get("prevention"):
        console.print(f"[bold]To prevent recurrence:[/bold] {escape(answer['prevention'])}", highlight=False)
    console.print("[bold]Similar past incidents[/bold]")
    for match in answer["similar_past_incidents"]:
        line = f"  {match['probability']:>4.0%}  {match['incident_id']}  {match['title']}"
        console.print(line, markup=False, highlight=False, soft_wrap=False)
    for note in answer.get("degraded", ()):
        console.print(f"Note: {note}", style="yellow")


def _action(number: int, action: Mapping[str, Any]) -> Group:
    risk = action["risk"]
    line = Text(f"{number:>2}. ")
    line.append(f"[{risk}] ", style=_RISK_STYLE[risk])
    line.append(action["action"])
    parts: list[Text | Padding] = [line]
    if action.get("look_for"):
        parts.append(Padding(Text(f"check first: {action['look_for']}", style="yellow"), (0, 0, 0, 4)))
    if action.get("check_first"):
        parts.append(Padding(Text(f"$ {action['check_first']}", style="green"), (0, 0, 0, 6)))
        parts.append(Padding(Text("then:", style="yellow"), (0, 0, 0, 4)))
    if action.get("command"):
        parts.append(Padding(Text(f"$ {action['command']}", style="bold"), (0, 0, 0, 6)))
    if action.get("look_for") and action.get("way_back"):
        parts.append(Padding(Text(action["way_back"], style="yellow"), (0, 0, 0, 4)))
    shape = SuggestedAction.model_validate(action)
    told = " — ".join(filter(None, [shape.record, ", ".join(shape.sources)]))
    parts.append(Padding(Text(told, style="dim"), (0, 0, 0, 4)))
    return Group(*parts)
