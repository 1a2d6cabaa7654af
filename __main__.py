"""The command line: `incidentos`, or `python -m incidentos`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    from .settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 fine, 1 something to look at, 2 wrong usage or a failure."""
    arguments = _parser().parse_args(argv)
    # Only now: a wrong option should answer at once, and `serve` must not pay for what other commands need.
    from pydantic import ValidationError

    from .memory.errors import IncidentOSError
    from .settings import Settings

    try:
        return _run(arguments, Settings())
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_input=False):
            print(f"incidentos: the setting {error['loc'][0]}: {error['msg']}", file=sys.stderr)
        return 2
    except UnicodeDecodeError:
        print(
            "incidentos: the file .env in this folder is not UTF-8; save it as UTF-8 or start elsewhere.",
            file=sys.stderr,
        )
        return 2
    except IncidentOSError as exc:
        print(f"incidentos: {exc}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `incidentos list | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("incidentos: stopped; what was stored before stays.", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    command = arguments.command or "serve"
    if command == "serve":
        from .commands.serve import serve

        if getattr(arguments, "local_only", False):
            settings = settings.local_only()
        return serve(settings, getattr(arguments, "http", None))
    if command == "doctor":
        from .commands.doctor import doctor

        return doctor(settings, as_json=arguments.json)
    if command == "demo":
        from .commands.demo import demo

        return demo(settings, arguments.picture)
    return _with_memory(command, arguments, settings)


def _with_memory(command: str, arguments: argparse.Namespace, settings: Settings) -> int:
    from .memory.incident import FailureType, Status
    from .memory.ports import Filter
    from .wiring import build_memory

    memory = build_memory(settings)
    try:
        if command == "import":
            from .commands.transfer import import_file

            return import_file(
                memory,
                arguments.file,
                kind=arguments.format,
                default_status=Status(arguments.status),
                dry_run=arguments.dry_run,
                as_json=arguments.json,
            )
        if command == "export":
            from .commands.transfer import export

            return export(memory, arguments.out)
        if command == "delete":
            from .commands.delete import delete
            from .memory.cloud import called
            from .memory.hindsight.faults import shown_url

            # A terminal often lacks the settings that the assistant's configuration has: the file knows its bank, too.
            url, bank, known = settings.hindsight_url, settings.hindsight_bank, memory.store.state("bank")
            return delete(
                memory,
                arguments.id,
                bank=bank if url else known,
                met=not url or known == called(shown_url(url), bank),
                yes=arguments.yes,
                local_only=arguments.local_only,
                drop_unpushed=arguments.drop_unpushed,
                as_json=arguments.json,
            )
        if command == "sync":
            from .commands.sync import Wish, sync

            wish = Wish(arguments.direction, arguments.full, arguments.dry_run, arguments.retry)
            return sync(settings, memory, wish, as_json=arguments.json)
        from .commands.look import list_incidents, show

        if command == "show":
            return show(memory, arguments.id, as_json=arguments.json)
        wanted = Filter(
            Status(arguments.status) if arguments.status else None,
            arguments.service,
            FailureType(arguments.failure_type) if arguments.failure_type else None,
        )
        return list_incidents(memory, wanted, limit=arguments.limit, cursor=arguments.cursor, as_json=arguments.json)
    finally:
        memory.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="incidentos", description="The memory of every past incident.")
    parser.add_argument("--version", action="version", version=f"incidentos {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the MCP server (the default)")
    serve.add_argument("--http", metavar="HOST:PORT", help="serve streamable HTTP on this machine instead of stdio")

    serve.add_argument("--local-only", action="store_true", help="leave the team's memory alone, whatever is set")

    showing_off = commands.add_parser("demo", help="show the whole main job on a sample memory, leaving yours alone")
    showing_off.add_argument("--picture", type=Path, metavar="FILE", help="also save the first answer as an SVG")

    importing = commands.add_parser("import", help="take in past incidents from a file")
    importing.add_argument("file", type=Path)
    importing.add_argument("--format", choices=["jsonl", "original", "csv"], help="if it cannot be told from the file")
    importing.add_argument(
        "--status", choices=["open", "resolved"], default="resolved",
        help="what rows are that do not say it themselves (default: resolved, as a file is history)",
    )  # fmt: skip
    importing.add_argument("--dry-run", action="store_true", help="read and check everything, store nothing")
    importing.add_argument("--json", action="store_true", help="print the summary as JSON")

    exporting = commands.add_parser("export", help="write every incident as JSON Lines")
    exporting.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")

    listing = commands.add_parser("list", help="list incidents, newest first")
    listing.add_argument("--status", choices=["open", "resolved"])
    listing.add_argument("--service")
    listing.add_argument("--failure-type", choices=_failure_types())
    listing.add_argument("--limit", type=_positive, default=20, metavar="N")
    listing.add_argument("--cursor", help="where the page before ended")
    listing.add_argument("--json", action="store_true")

    showing = commands.add_parser("show", help="show one incident with its history")
    showing.add_argument("id")
    showing.add_argument("--json", action="store_true")

    deleting = commands.add_parser("delete", help="delete one incident; asks before it does")
    deleting.add_argument("id")
    deleting.add_argument("--yes", action="store_true", help="do not ask; the team's memory loses it, too")
    deleting.add_argument("--local-only", action="store_true", help="the team's memory keeps it")
    deleting.add_argument(
        "--drop-unpushed",
        action="store_true",
        help="even where the team's memory lacks a change of it, which is lost then",
    )
    deleting.add_argument("--json", action="store_true")

    syncing = commands.add_parser("sync", help="exchange with the team's memory")
    syncing.add_argument("--direction", choices=["push", "pull", "both"], default="both")
    syncing.add_argument("--full", action="store_true", help="read all of the bank, and push again what it lacks")
    syncing.add_argument("--dry-run", action="store_true", help="only say what would be done")
    syncing.add_argument("--retry", action="store_true", help="try again what was refused and set aside")
    syncing.add_argument("--json", action="store_true", help="print the counts as JSON")

    examining = commands.add_parser("doctor", help="say what is there, what is missing and what to do")
    examining.add_argument("--json", action="store_true")
    return parser


def _failure_types() -> list[str]:
    from .memory.incident import FailureType

    return [kind.value for kind in FailureType]


def _positive(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError("must be from 1 to 10000")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
