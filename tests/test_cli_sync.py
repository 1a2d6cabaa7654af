"""What a user may rely on in a terminal about the team's memory, also where nothing answers."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from incidentos.__main__ import main
from incidentos.commands.delete import delete
from incidentos.memory.cloud import Known, Tombstone
from incidentos.memory.errors import InvalidInput
from incidentos.memory.incident import Incident, Step
from incidentos.memory.memory import IncidentMemory
from incidentos.memory.stores.sqlite import SqliteStore
from incidentos.settings import HINDSIGHT_CLOUD, Settings
from incidentos.wiring import connect_cloud

NOBODY = "http://127.0.0.1:9"  # nothing listens on the discard port
KEY = "hsk-0000-not-to-be-shown"
Make = Callable[..., Incident]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def memory(open_memory: Any, incident: Make) -> IncidentMemory:
    found: IncidentMemory = open_memory()
    found.store.insert(incident(), None, None)
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], incident: Make) -> Any:
    """Runs a command in a home with one incident, connected to an address where nothing listens."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("INCIDENTOS_", "GROQ_", "HINDSIGHT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INCIDENTOS_HOME", str(tmp_path))
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        store.insert(incident(), None, None)

    def command(*arguments: str, url: str | None = NOBODY) -> tuple[int, str, str]:
        if url:
            monkeypatch.setenv("HINDSIGHT_BASE_URL", url)
            monkeypatch.setenv("HINDSIGHT_API_KEY", KEY)
        capfd.readouterr()
        code = main(arguments)
        out, err = capfd.readouterr()
        assert KEY not in out + err
        assert "hunter22" not in out + err
        return code, out, err

    return command


# Connecting


def test_nothing_is_connected_until_a_key_or_an_address_is_set() -> None:
    assert Settings(_env_file=None).hindsight_url is None  # type: ignore[call-arg]
    assert connect_cloud(Settings(_env_file=None)) is None  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"HINDSIGHT_API_KEY": KEY}, HINDSIGHT_CLOUD),
        ({"HINDSIGHT_BASE_URL": "http://127.0.0.1:8888/"}, "http://127.0.0.1:8888"),
        ({"HINDSIGHT_API_KEY": KEY, "HINDSIGHT_BASE_URL": "https://h.example"}, "https://h.example"),
        ({"HINDSIGHT_API_KEY": ""}, None),
        ({"HINDSIGHT_API_KEY": " \n"}, None),
    ],
)
def test_a_key_connects_the_cloud_and_an_address_ones_own_server(given: dict[str, str], url: str | None) -> None:
    settings = Settings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]
    assert settings.hindsight_url == url
    assert settings.local_only().hindsight_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HINDSIGHT_BASE_URL", "ftp://x"),
        ("HINDSIGHT_API_KEY", "two words"),
        ("HINDSIGHT_API_KEY", "schlüssel"),
        ("HINDSIGHT_BASE_URL", "nonsense"),
        ("HINDSIGHT_BASE_URL", "http://user:hunter22@x"),
        ("HINDSIGHT_BASE_URL", "https://h.example:99999"),
        ("HINDSIGHT_BASE_URL", "http://hindsight.example"),
        ("HINDSIGHT_BASE_URL", "http://10.0.0.7:8888"),
        ("HINDSIGHT_BASE_URL", "http://127.0.0.1.evil.example"),
        ("INCIDENTOS_HINDSIGHT_BANK", "../other"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(
    run: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    code, _, err = run("sync", url=None)
    assert code == 2
    assert name in err
    assert value not in err


def test_an_address_that_would_send_the_key_in_clear_takes_a_word_of_its_own(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run("sync", url="http://hindsight.internal:8888")
    assert code == 2
    assert "https://" in err
    assert "INCIDENTOS_HINDSIGHT_HTTP=1" in err
    (tmp_path / ".env").write_text("INCIDENTOS_HINDSIGHT_HTTP=1\n")
    assert run("sync", url="http://hindsight.internal:8888")[0] == 2, "a repository cannot say it"
    monkeypatch.setenv("INCIDENTOS_HINDSIGHT_HTTP", "1")
    assert Settings().hindsight_url == "http://hindsight.internal:8888"
    for here in ("http://localhost:1", "http://[::1]:1", "http://127.0.0.1"):
        assert Settings(_env_file=None, HINDSIGHT_BASE_URL=here).hindsight_url == here  # type: ignore[call-arg]


def test_the_env_file_of_a_repository_cannot_send_the_memory_elsewhere(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assistant starts the server in whatever folder is open, also in a stranger's."""
    (tmp_path / ".env").write_text(
        "HINDSIGHT_API_KEY=theirs\nHINDSIGHT_BASE_URL=https://evil.example\nINCIDENTOS_HINDSIGHT_BANK=theirs\n"
        "hindsight_bank=theirs\nHINDSIGHT_HTTP=1\n"
    )
    assert Settings().hindsight_url is None
    monkeypatch.setenv("HINDSIGHT_API_KEY", KEY)
    settings = Settings()
    assert (settings.hindsight_url, settings.hindsight_bank) == (HINDSIGHT_CLOUD, "incidentos-incidents")
    assert not settings.hindsight_http


def test_the_memory_lies_in_the_users_data_folder_and_no_field_is_set_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """$HOME is the user's, and not where the memory is to lie."""
    monkeypatch.delenv("INCIDENTOS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GROQ_MODEL", "another")
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert settings.home == Path(platformdirs.user_data_dir("incidentos", appauthor=False))
    assert settings.home.name == "incidentos"
    assert settings.groq_model == "openai/gpt-oss-120b"


# Sync and doctor


def test_a_sync_without_a_shared_memory_says_what_to_set(run: Any) -> None:
    code, out, err = run("sync", url=None)
    assert (code, out) == (2, "")
    assert "HINDSIGHT_API_KEY" in err
    assert "1 changes wait safely" in err


def test_a_sync_with_nobody_there_says_so_and_keeps_the_backlog(run: Any, tmp_path: Path) -> None:
    code, out, err = run("sync")
    assert (code, out) == (2, "")
    assert "Hindsight at http://127.0.0.1:9 cannot be reached" in err
    assert "1 changes wait safely in the outbox" in err
    assert "Traceback" not in err
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        assert store.backlog(0).pending == 1
        assert "cannot be reached" in str(store.state("last_error"))


def test_the_doctor_says_what_is_wrong_what_waits_and_what_was_set_aside(
    run: Any, tmp_path: Path, model_cache: Path
) -> None:
    (tmp_path / "models").symlink_to(model_cache, target_is_directory=True)  # the doctor would make the model again
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        store.refuse("a1", 1, "Hindsight refuses it (422): too \x1b[31modd.")
        store.note_state("last_error", "It was down.")
    code, out, _ = run("doctor", "--json")
    findings = [f for f in json.loads(out)["findings"] if f["subject"] == "Hindsight"]
    assert code == 1
    told = "\n".join(f"{f['level']} {f['detail']} {f['advice']}" for f in findings)
    assert "problem Hindsight at http://127.0.0.1:9 cannot be reached" in told
    assert "0 changes wait to be pushed; last push never" in told
    assert "It was down." in told
    assert "problem a1 is set aside: Hindsight refuses it (422): too [31modd." in told
    assert "incidentos sync --retry" in told


def test_retry_takes_up_what_was_set_aside(run: Any, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        store.refuse("a1", 1, "odd")
    run("sync", "--retry", "--dry-run")
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        assert store.backlog(0).refused == 1
    _, _, err = run("sync", "--retry")
    assert "1 that were set aside are tried again" in err
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        assert (store.backlog(0).refused, store.backlog(0).pending) == (0, 1)


# Deleting


def push(memory: IncidentMemory) -> None:
    """As if the bank had taken everything."""
    entries = memory.store.lease("me", 50, 0, 30)
    memory.store.pushed("me", [(entry.incident_id, entry.revision, Known("held")) for entry in entries])


@pytest.mark.parametrize(
    ("bank", "said", "here", "shared"),
    [
        ("team", "y\n", False, True),
        ("team", "l\n", False, False),
        ("team", "\n", True, None),
        ("team", "n\n", True, None),
        ("team", "", True, None),
        (None, "y\n", False, True),
        (None, "l\n", True, None),
    ],
)
def test_a_person_is_asked_before_the_team_loses_an_incident(
    memory: IncidentMemory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bank: str | None,
    said: str,
    here: bool,
    shared: bool | None,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(said))
    push(memory)
    code = delete(memory, "a1", yes=False, as_json=False, bank=bank)
    out, err = capsys.readouterr()
    assert (memory.store.get("a1") is not None, code) == (here, 1 if here else 0)
    assert ("team's bank team, for everyone" in err) == (bank is not None)
    if not here:
        tombstone = memory.store.here(["a1"])["a1"]
        assert isinstance(tombstone, Tombstone)
        assert (tombstone.local, memory.store.is_pending("a1")) == (not shared, shared)
    if bank and shared:
        assert "The bank team loses it" in out
    if bank and shared is False:
        assert "The bank team keeps it" in out


@pytest.mark.parametrize(("local_only", "shared"), [(False, True), (True, False)])
def test_yes_deletes_it_for_everybody_and_local_only_here(
    memory: IncidentMemory, capsys: pytest.CaptureFixture[str], local_only: bool, shared: bool
) -> None:
    push(memory)
    assert delete(memory, "a1", yes=True, as_json=True, bank="team", local_only=local_only) == 0
    assert json.loads(capsys.readouterr().out)["shared"] is shared
    assert memory.store.is_pending("a1") is shared


def test_local_only_asks_about_this_machine_alone(
    memory: IncidentMemory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    push(memory)
    assert delete(memory, "a1", yes=False, as_json=False, bank="team", local_only=True) == 0
    assert "for everyone" not in capsys.readouterr().err
    assert not memory.store.is_pending("a1")


@pytest.mark.parametrize("set_aside", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_what_the_team_does_not_have_yet_is_not_deleted_here_alone_without_a_word_for_it(
    memory: IncidentMemory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: bool,
    set_aside: bool,
) -> None:
    """The outbox held the only copy of a resolution that could still reach a colleague."""
    push(memory)
    memory.resolve("a1", "a leak", [Step("restart it")], None)
    resolved = memory.get("a1")
    if set_aside:
        memory.store.refuse("a1", resolved.revision, "too odd")
    monkeypatch.setattr("sys.stdin", Terminal("l\n"))
    with pytest.raises(InvalidInput, match="--drop-unpushed") as refused:
        delete(memory, "a1", yes=not asked, as_json=False, bank="team", local_only=not asked)
    assert "incidentos sync" in str(refused.value)
    assert (memory.get("a1"), memory.store.entries()) == (resolved, {"a1": set_aside})
    monkeypatch.setattr("sys.stdin", Terminal("l\n"))
    assert (
        delete(memory, "a1", yes=not asked, as_json=False, bank="team", local_only=not asked, drop_unpushed=True) == 0
    )
    assert (memory.store.get("a1"), memory.store.entries()) == (None, {})


def test_a_bank_that_was_never_met_is_not_said_to_keep_what_goes_here(memory: IncidentMemory) -> None:
    """After a change of the bank the outbox still speaks of the former one."""
    push(memory)
    with pytest.raises(InvalidInput, match="does not have a1"):
        delete(memory, "a1", yes=True, as_json=False, bank="other", met=False, local_only=True)
    assert memory.get("a1").id == "a1"


def test_without_a_team_nothing_is_unpushed(memory: IncidentMemory) -> None:
    assert delete(memory, "a1", yes=True, as_json=True, bank=None, local_only=True) == 0
