"""What a user may rely on when the file of the memory is new, strange, damaged, too new, full or locked."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from incidentos.memory.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreTooNew
from incidentos.memory.incident import Incident
from incidentos.memory.ports import Filter
from incidentos.memory.stores import database as adapter
from incidentos.memory.stores.database import Database
from incidentos.memory.stores.migrations import APPLICATION_ID, MIGRATIONS
from incidentos.memory.stores.sqlite import SqliteStore

Make = Callable[..., Incident]


def ids(store: SqliteStore) -> set[str]:
    return {stored.incident.id for stored in store.scan(None)}


def sql(path: Path, statement: str) -> Any:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement).fetchone()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte; needs root on Linux."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small file system")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", mount], capture_output=True)
    if done.returncode:
        pytest.skip("this machine does not allow to mount a tmpfs")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_missing_folder_is_made_for_the_user_alone(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "new" / "memory.db").close()
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_an_empty_file_becomes_a_memory(path: Path, incident: Make) -> None:
    path.touch()
    with closing(SqliteStore(path)) as store:
        store.insert(incident(), None, None)
    assert sql(path, "PRAGMA application_id")[0] == APPLICATION_ID
    assert sql(path, "PRAGMA user_version")[0] == len(MIGRATIONS)
    assert sql(path, "PRAGMA journal_mode")[0] == "wal"


def test_closing_leaves_one_file(path: Path, incident: Make) -> None:
    with closing(SqliteStore(path)) as store:
        store.insert(incident(), None, None)
        assert list(store.scan(None))
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be made.*INCIDENTOS_HOME"):
        SqliteStore(tmp_path / "file" / "memory.db")


@pytest.mark.parametrize("statement", ["CREATE TABLE notes (text TEXT)", "PRAGMA application_id = 252006673"])
def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, statement: str) -> None:
    sql(path, statement)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="another program"):
        SqliteStore(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]


@pytest.mark.parametrize("content", [b"not a database, just text\n" * 100, b"\x00" * 4096, os.urandom(8192)])
def test_a_file_of_garbage_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="not a database"):
        SqliteStore(path)
    assert path.read_bytes() == content


def test_damage_in_the_middle_of_the_file_is_an_error_and_no_answer(path: Path, incident: Make) -> None:
    with closing(SqliteStore(path)) as store:
        for number in range(50):
            store.insert(incident(f"i{number}", description="x" * 2000), None, None)
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="damaged"), closing(SqliteStore(path)) as store:
        list(store.scan(None))
        store.page(Filter(), limit=100, cursor=None)


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path, incident: Make) -> None:
    with closing(SqliteStore(path)) as store:
        store.insert(incident(), None, None)
    sql(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"newer.*Upgrade"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_that_another_process_makes_at_this_very_moment_is_no_strangers(path: Path) -> None:
    overtaken: list[str] = []

    class Slow(Database):
        """A process that another one overtakes while it looks whether the file is its own."""

        def connect(self) -> sqlite3.Connection:
            connection = super().connect()
            looks: list[str] = []

            def overtake(statement: str) -> None:
                if "sqlite_master" in statement or "application_id" in statement:
                    looks.append(statement)
                    if len(looks) == 2:  # between its two looks
                        overtaken.append(statement)
                        Database(path).close()

            connection.set_trace_callback(overtake)
            return connection

    Slow(path).close()
    assert overtaken


def test_a_full_disk_refuses_the_write_and_keeps_what_was_acknowledged(path: Path, incident: Make) -> None:
    with closing(SqliteStore(path)) as store:
        store.insert(incident("kept"), None, None)
        store._database.connection.execute("PRAGMA max_page_count = 40")  # SQLite then answers as on a full disk
        with pytest.raises(StoreFull, match="Nothing was stored"), store.transaction():
            store.insert(incident("small"), None, None)
            store.insert(incident("large", description="x" * 500_000), None, None)
        assert ids(store) == {"kept"}
        assert store.last_event() == 1
        store.insert(incident("later"), None, None)
    with closing(SqliteStore(path)) as store:
        assert ids(store) == {"kept", "later"}


def test_a_disk_that_fills_up_keeps_every_acknowledged_incident(tiny_disk: Path, incident: Make) -> None:
    acknowledged = set()
    with closing(SqliteStore(tiny_disk / "memory.db")) as store:
        with pytest.raises(StoreFull, match="Nothing was stored"):
            for number in range(1000):
                acknowledged.add(store.insert(incident(f"i{number}", description="x" * 5000), None, None).id)
        assert ids(store) == acknowledged
    assert acknowledged
    subprocess.run(["mount", "-o", "remount,size=4m", tiny_disk], check=True)
    with closing(SqliteStore(tiny_disk / "memory.db")) as store:
        assert ids(store) == acknowledged
        store.insert(incident("later"), None, None)


def test_a_read_only_file_system_is_named_and_nothing_is_lost(tiny_disk: Path, incident: Make) -> None:
    file = tiny_disk / "memory.db"
    with closing(SqliteStore(file)) as store:
        store.insert(incident(), None, None)
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(StoreFull, match="read-only"):
        SqliteStore(file)
    with pytest.raises(StoreError, match="Read-only"):
        SqliteStore(tiny_disk / "folder" / "memory.db")
    subprocess.run(["mount", "-o", "remount,rw", tiny_disk], check=True)
    with closing(SqliteStore(file)) as store:
        assert ids(store) == {"a1"}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(path: Path) -> None:
    path.parent.chmod(0o500)
    with pytest.raises(StoreFull, match="read-only"):
        SqliteStore(path)


def test_a_writer_that_waited_too_long_says_so_and_can_go_on(
    path: Path, incident: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "BUSY_TIMEOUT", 0.05)
    with closing(SqliteStore(path)) as one, closing(SqliteStore(path)) as other:
        with one.transaction(), pytest.raises(StoreBusy, match="Nothing was written"):
            other.insert(incident(), None, None)
        assert other.get("a1") is None
        other.insert(incident(), None, None)
        assert ids(one) == {"a1"}


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_written_at_leisure_leaves_the_disk_waited_for_again(path: Path, fails: bool) -> None:
    def durability() -> int:
        return int(database.connection.execute("PRAGMA synchronous").fetchone()[0])

    database, full = Database(path), 2
    with pytest.raises(ZeroDivisionError) if fails else nullcontext(), database.transaction(at_leisure=True):
        assert durability() < full
        assert 1 / (0 if fails else 1)
    assert durability() == full
    with database.transaction(), database.transaction(at_leisure=True):  # the outer one decides
        assert durability() == full
    database.close()


def test_what_was_stored_survives_a_killed_process(path: Path, processes: Any) -> None:
    code = (
        "import os, signal, sys\nfrom datetime import UTC, datetime\nfrom pathlib import Path\n"
        "from incidentos.memory.incident import Incident\n"
        "from incidentos.memory.stores.sqlite import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]))\n"
        "make = lambda id: Incident(id, 't', 'd', datetime.now(UTC))\n"
        "store.insert(make('whole'), None, None)\n"
        "with store.transaction():\n    store.insert(make('half'), None, None)\n    os._exit(9)\n"
    )
    assert processes.run("-c", code, str(path)).returncode == 9
    with closing(SqliteStore(path)) as store:
        assert ids(store) == {"whole"}
