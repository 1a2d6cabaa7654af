"""What a user may rely on when a step is called read-only, reversible or destructive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from incidentos.memory.risk import Risk, risk_of

COMMANDS = Path(__file__).parent / "data" / "commands"
"""A file for each risk, a command on each line."""

HERE_DOCUMENTS = [
    ("ssh host <<'EOF'\nrm -rf /data\nEOF", Risk.DESTRUCTIVE),
    ("ssh host <<'EOF'\nuptime\nEOF", Risk.READ_ONLY),
    ("psql -h db <<'EOF'\nDROP SCHEMA public CASCADE;\nEOF", Risk.DESTRUCTIVE),
    ("cat <<EOF\nrm -rf /\nEOF", Risk.READ_ONLY),
    ("psql <<EOF\nSELECT 1;\nEOF", Risk.READ_ONLY),
    ("psql <<EOF\nDROP TABLE x;\nEOF", Risk.DESTRUCTIVE),
    ("bash <<'EOF'\nls\nrm -rf /x\nEOF", Risk.DESTRUCTIVE),
    ("ssh host bash <<'EOF'\nkubectl delete pod x\nEOF", Risk.DESTRUCTIVE),
    ("cat <<EOF | sh\nrm -rf /x\nEOF", Risk.DESTRUCTIVE),
    ("kubectl apply -f - <<EOF\nkind: Pod\nEOF", Risk.REVERSIBLE),
    ("kubectl get pods\nkubectl delete pod x", Risk.DESTRUCTIVE),
    ("kubectl <<EOF delete -f -\nkind: Pod\nEOF", Risk.DESTRUCTIVE),
    ("kubectl \\\n  -n x \\\n  get pods", Risk.READ_ONLY),
    ("# look first\nkubectl get pods", Risk.READ_ONLY),
    ("SELECT 1;\n-- then\nDELETE FROM t;", Risk.DESTRUCTIVE),
    ("kubectl get pods ⟨имя⟩ 名前 🔥", Risk.READ_ONLY),
    ("kubectl delete pod 名前", Risk.DESTRUCTIVE),
]


COMMANDS_OF: dict[str, list[tuple[str, Risk]]] = {"here documents": HERE_DOCUMENTS}
"""The commands with their risks, by their first word."""

for _risk in Risk:
    for _line in (COMMANDS / f"{_risk.value}.txt").read_text(encoding="utf-8").strip().splitlines():
        COMMANDS_OF.setdefault(_line.split()[0], []).append((_line, _risk))


@pytest.mark.parametrize("commands", COMMANDS_OF.values(), ids=COMMANDS_OF)
def test_a_command_has_the_risk_of_its_most_dangerous_part(commands: list[tuple[str, Risk]]) -> None:
    """A command is as risky as the most dangerous thing that it would run, wherever that is hidden."""
    assert [(command, risk_of(command)) for command, _ in commands] == commands


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("Check the connection pool", Risk.READ_ONLY),
        ("Look at the dashboards and compare with yesterday", Risk.READ_ONLY),
        ("Verify that no pods were killed", Risk.READ_ONLY),
        ("List the open sessions", Risk.READ_ONLY),
        ("Restart the service", Risk.REVERSIBLE),
        ("Check the pool, then scale the deployment up", Risk.REVERSIBLE),
        ("Roll back to the last release", Risk.REVERSIBLE),
        ("Increase max_connections to 300", Risk.REVERSIBLE),
        ("Talk to the vendor", Risk.REVERSIBLE),
        ("", Risk.REVERSIBLE),
        ("Drop the stale index", Risk.DESTRUCTIVE),
        ("Terminate the idle sessions", Risk.DESTRUCTIVE),
        ("Check and kill the long-running queries", Risk.DESTRUCTIVE),
        ("Flush the cache", Risk.DESTRUCTIVE),
        ("Purge the queue after deleting the consumer", Risk.DESTRUCTIVE),
    ],
)
@pytest.mark.parametrize("command", [None, "", "  \n"])
def test_prose_decides_where_there_is_no_command(command: str | None, text: str, risk: Risk) -> None:
    """A step without a command is judged by its verbs, and is reversible where they say nothing."""
    assert risk_of(command, text) is risk


_HOSTILE = [
    unit * (200_000 // len(unit))
    for unit in ("a", "(", "$(", '"', "`", "a|", "<<a\n", "ls; ", "[[ ", "sh -c '", "-", "a@", "SELECT (")
] + [
    unit * (15_990 // len(unit))
    for unit in ("(", "$(", "a|", "<<a\n", "<a", "{{", "env ", "sudo ", "xargs ", "[a@", "a;", "${", "if ")
] + [
    "SELECT " + "1+" * 3_900 + "1",
    "SELECT " + "NOT " * 1_900 + "1",
    "SELECT " + "case when " * 700 + "1",
    "SELECT f(" * 39 + "1" + ")" * 39,
    "SELECT 1 -- " + "x" * 200_000,
    "select " + "[" * 7_000,
    "kubectl exec x -- " * 800 + "ls",
    "sed " + ";" * 15_000,
    "awk '" + "print" * 3_000 + "'",
    "psql -c '" + "\\d " * 4_000 + "'",
    "mongosh --eval '" + "print(" * 2_000 + "'",
    "curl " + "-H a " * 3_000,
    "git " + "-x " * 5_000,
    "x" * 15_990,
    "find . -exec " * 1_230,
    "ssh h '" + "find . -exec eval " * 880 + "'",
    "python -c '" + "xxd -r " * 2_280 + "'",
]  # fmt: skip


def test_prose_never_lowers_the_risk_of_a_command() -> None:
    """A harmless description does not make a dangerous command harmless."""
    assert risk_of("kubectl delete pod x", "Check the pods") is Risk.DESTRUCTIVE
    assert risk_of("./mystery.sh", "Check the pods") is Risk.REVERSIBLE


def test_prose_raises_the_risk_of_a_command_that_nobody_knows() -> None:
    """A script that cannot be judged is as risky as the step says; a known command speaks for itself."""
    assert risk_of("./mystery.sh", "Wipe the old data") is Risk.DESTRUCTIVE
    assert risk_of("kubectl get pods", "Delete the pods that this lists") is Risk.READ_ONLY


@pytest.mark.parametrize("command", _HOSTILE, ids=lambda command: f"{command[:12]!r} x {len(command)}")
def test_hostile_input_is_judged_in_bounded_time(command: str) -> None:
    """Input of 200 kB, nested or repeated however deep, gets an answer. Reading it in quadratic time would take longer than
    anybody waits for a test, and freeze the server."""
    assert risk_of(command) in Risk


def test_a_long_command_is_never_read_only() -> None:
    """What is too long to be read is judged by its words, and never called read-only."""
    assert risk_of("ls; " * 50_000) is Risk.REVERSIBLE
    assert risk_of("ls; " * 50_000 + "rm -rf /data") is Risk.DESTRUCTIVE


def test_the_parsers_are_not_loaded_at_import() -> None:
    """Importing the module loads no parser, so that starting the server does not wait for one."""
    code = "import sys, incidentos.memory.risk; print(sorted({'sqlglot'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


_ORDER = list(Risk)
_SYNTAX = """
| && ; || & > >> < <<EOF $( ) ` ' " \\ { } ( # ! sudo do done for if then fi xargs sh -c -- * ~ <pod> $X
"""
_FRAGMENTS = st.sampled_from(
    [row for rows in COMMANDS_OF.values() for row, _ in rows] + _SYNTAX.split() + ["\n", "EOF\n", "/*", "*/"]
)
_COMMANDS = st.one_of(st.text(max_size=60), st.lists(_FRAGMENTS, min_size=1, max_size=5).map(" ".join))


@given(_COMMANDS, st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_gets_a_risk(command: str, text: str) -> None:
    """No command and no prose makes it fail."""
    assert risk_of(command, text) in Risk


@given(_COMMANDS)
@settings(max_examples=300, deadline=None)
def test_sudo_never_lowers_the_risk(command: str) -> None:
    """Putting sudo in front of a command never makes it look safer."""
    assume(not command.lstrip("\\\n\t ").startswith("-"))  # that would be an option of sudo's
    assert _ORDER.index(risk_of("sudo " + command)) >= _ORDER.index(risk_of(command))


@given(_COMMANDS)
@settings(max_examples=300, deadline=None)
def test_a_further_command_never_lowers_the_risk(command: str) -> None:
    """Appending `; rm -rf /data` never makes a command look safer."""
    assert _ORDER.index(risk_of(command + "; rm -rf /data")) >= _ORDER.index(risk_of(command))


def test_a_further_command_counts_after_any_complete_command() -> None:
    """Behind a command that is complete, `; rm -rf /data` is always seen."""
    for command, _ in (row for rows in COMMANDS_OF.values() for row in rows):
        if command != 'ls "unclosed' and not command.endswith("\\G"):
            assert risk_of(command + "; rm -rf /data") is Risk.DESTRUCTIVE, command
