"""What a user may rely on in a terminal: import, export, list, show, doctor, demo, and plain words when it goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incidentos.__main__ import main
from incidentos.commands.demo import sample
from incidentos.memory.record import dumps

ROWS = [dumps(incident) for incident in sample()[::24]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command in a home; its exit status, output and error output."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("INCIDENTOS_", "GROQ_", "HINDSIGHT_"))]:
        monkeypatch.delenv(name)

    def command(*arguments: object, home: Path = home) -> tuple[int, str, str]:
        monkeypatch.setenv("INCIDENTOS_HOME", str(home))
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_an_import_stores_every_row_and_a_second_one_changes_nothing(run: Run, file: Path) -> None:
    code, out, _ = run("import", file)
    assert code == 0
    assert f"added {len(ROWS)}, updated 0, unchanged 0, bad 0" in out
    code, out, _ = run("import", file, "--json")
    summary = json.loads(out)
    assert (code, summary["added"], summary["unchanged"], summary["bad_rows"]) == (0, 0, len(ROWS), [])


@pytest.mark.slow
def test_an_imported_incident_is_embedded_when_the_import_ends(run: Run, file: Path) -> None:
    run("import", file)
    code, out, _ = run("doctor", "--json")
    vectors = [f["detail"] for f in json.loads(out)["findings"] if f["subject"] == "vectors"]
    assert code == 0
    assert len(vectors) == 1
    assert vectors[0].startswith(f"{len(ROWS)} of {len(ROWS)} incidents")


def test_a_dry_run_reads_everything_and_stores_nothing(run: Run, file: Path) -> None:
    code, out, _ = run("import", file, "--dry-run", "--json")
    summary = json.loads(out)
    assert (code, summary["dry_run"], summary["added"]) == (0, True, len(ROWS))
    assert json.loads(run("list", "--json")[1])["total"] == 0
    assert "would be added" in run("import", file, "--dry-run")[1]


@pytest.mark.slow
def test_bad_rows_are_named_with_their_line_and_the_good_ones_are_kept(run: Run, file: Path) -> None:
    file.write_text("\n".join([ROWS[0], "not json", ROWS[1], '{"id": "../x"}', "[]"]) + "\n", encoding="utf-8")
    code, out, _ = run("import", file, "--json")
    summary = json.loads(out)
    assert (code, summary["rows"], summary["added"]) == (1, 5, 2)
    assert [row["line"] for row in summary["bad_rows"]] == [2, 4, 5]
    code, out, _ = run("import", file)
    assert code == 1
    assert "line 2: " in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("name", "content"), [("missing.jsonl", None), ("empty.jsonl", b""), ("binary.jsonl", bytes(range(256)) * 50)]
)
def test_a_file_that_cannot_be_imported_is_refused_in_a_sentence(
    run: Run, tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, err = run("import", tmp_path / name)
    assert (code, out) == (2, "")
    assert err.startswith("incidentos: ")
    assert name in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_an_export_imported_elsewhere_exports_the_same_bytes(
    run: Run, file: Path, another_home: Callable[[str], Path], tmp_path: Path
) -> None:
    run("import", file)
    first, second, other = tmp_path / "first.jsonl", tmp_path / "second.jsonl", another_home("other")
    assert run("export", "--out", first)[0] == 0
    assert run("import", first, home=other)[0] == 0
    assert run("export", "--out", second, home=other)[0] == 0
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_text(encoding="utf-8").splitlines()) == len(ROWS)
    code, out, err = run("export", home=other)
    assert (code, out) == (0, first.read_text(encoding="utf-8"))
    assert f"{len(ROWS)} incidents exported" in err


@pytest.mark.slow
def test_an_export_that_cannot_be_written_leaves_nothing_behind(run: Run, file: Path, tmp_path: Path) -> None:
    run("import", file)
    code, _, err = run("export", "--out", tmp_path / "missing" / "out.jsonl")
    assert code == 2
    assert "Nothing was exported" in err


def test_an_export_onto_a_folder_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    run("list")
    before = sorted(tmp_path.iterdir())
    assert run("export", "--out", tmp_path / "folder")[0] == 2
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_list_and_show_tell_a_person_and_a_program_the_same(run: Run, file: Path) -> None:
    run("import", file)
    code, out, _ = run("list", "--json", "--limit", 2)
    page = json.loads(out)
    assert (code, page["total"], len(page["incidents"])) == (0, len(ROWS), 2)
    _, following, _ = run("list", "--json", "--limit", 2, "--cursor", page["cursor"])
    first, rest = page["incidents"], json.loads(following)["incidents"]
    assert not {i["id"] for i in first} & {i["id"] for i in rest}
    code, out, err = run("list")
    assert all(incident["id"] in out for incident in first)
    assert f"{len(ROWS)} incidents" in err
    code, out, _ = run("show", first[0]["id"], "--json")
    shown = json.loads(out)
    assert {k: v for k, v in shown.items() if k != "history"} == first[0]
    assert [entry["action"] for entry in shown["history"]] == ["imported"]
    code, out, _ = run("show", first[0]["id"])
    assert code == 0
    assert first[0]["title"] in out
    assert first[0]["resolution"]["root_cause"][:60] in out


def test_text_from_an_incident_cannot_drive_the_terminal(run: Run, tmp_path: Path) -> None:
    evil = "red \x1b[31m bell \x07 end"
    row = {"id": "evil", "title": evil, "description": evil, "service": evil, "severity": evil, "source": evil}
    (tmp_path / "evil.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert run("import", tmp_path / "evil.jsonl")[0] == 0
    for arguments in (("list",), ("show", "evil")):
        out = run(*arguments)[1]
        assert "red" in out
        assert not {"\x1b", "\x07"} & set(out)


def test_an_unknown_id_or_cursor_is_a_sentence_and_exit_status_2(run: Run) -> None:
    for arguments, said in ((("show", "nobody"), "No incident has the id"), (("show", "../x"), "cannot be"),
                            (("list", "--cursor", "x"), "not a cursor")):  # fmt: skip
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert said in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",), ("--fly",), ("list", "--fly"), ("list", "--limit", "0"), ("list", "--limit", "many"), ("import",),
        ("show",), ("list", "--status", "closed"), ("serve", "--http", "nonsense"), ("serve", "--http", "0.0.0.0:80"),
    ],
)  # fmt: skip
def test_a_wrong_command_or_option_is_exit_status_2_and_no_traceback(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err


def test_help_and_version_are_told(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in ("serve", "demo", "import", "export", "list", "show", "delete", "sync", "doctor"):
        assert command in out
    assert run("--version")[:2] == (0, "incidentos 0.1.0\n")


def test_the_doctor_finds_a_sound_home_healthy_and_makes_no_database(run: Run, home: Path) -> None:
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert (code, report["healthy"]) == (0, True)
    assert {finding["level"] for finding in report["findings"]} <= {"ok", "note"}
    assert not (home / "memory.db").exists()
    code, out, _ = run("doctor")
    assert "Everything that is needed is there" in out


def test_the_doctor_names_a_damaged_database_and_what_to_do(run: Run, home: Path) -> None:
    (home / "memory.db").write_bytes(b"garbage" * 1000)
    code, out, _ = run("doctor", "--json")
    problems = [f for f in json.loads(out)["findings"] if f["level"] == "problem"]
    assert code == 1
    assert [problem["subject"] for problem in problems] == ["memory"]
    assert problems[0]["advice"]
    assert (home / "memory.db").read_bytes() == b"garbage" * 1000


@pytest.mark.parametrize("command", [("list",), ("export",), ("show", "a1")])
def test_a_home_that_cannot_be_made_is_a_sentence_and_exit_status_2(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, out, err = run(*command, home=tmp_path / "file" / "home")
    assert (code, out) == (2, "")
    assert "INCIDENTOS_HOME" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_failure(run: Run, file: Path, home: Path) -> None:
    run("import", file)
    process = subprocess.Popen(
        [sys.executable, "-m", "incidentos", "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err


@pytest.mark.slow
def test_the_demo_runs_to_its_end_and_leaves_the_users_home_untouched(processes: Any, home: Path) -> None:
    process = processes.start("-m", "incidentos", "demo", home=home)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err.decode()
    for said in ("temporary folder", "Runbook", "what it learned"):
        assert said in out.decode()
    assert [entry.name for entry in home.iterdir()] == ["models"]
