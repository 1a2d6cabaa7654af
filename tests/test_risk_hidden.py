"""No statement hides behind one that reads: in T-SQL, in the shell of MongoDB, behind an option of a program."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentos.memory.risk import Risk, risk_of
from incidentos.memory.risk.batch import Unreadable, statements
from incidentos.memory.risk.javascript import only_looks

LOOKING = [
    "SELECT 1", "SELECT COUNT(*)", "SELECT name FROM sys.databases", "SELECT a FROM t AS x", "SELECT a FROM t x",
    "SELECT 1 UNION SELECT 2", "SELECT TOP 1 a FROM t WITH (NOLOCK) WHERE b IN (1, 2) ORDER BY a DESC",
    "SELECT CASE WHEN 1 = 1 THEN 2 END", "SELECT 'it''s ['", "SELECT [a]]b] FROM [t]", "SELECT @@VERSION", "SELECT N'x'",
    "WITH x AS (SELECT 1 AS a) SELECT a FROM x", "BEGIN TRANSACTION", "BEGIN TRAN fix", "COMMIT", "COMMIT TRANSACTION",
    "ROLLBACK", "USE shop", "SET NOCOUNT ON", "SET @x = 1", "SET LOCK_TIMEOUT 100", "SET XACT_ABORT ON BEGIN TRAN",
    "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "DECLARE @x int = 1", "DECLARE c CURSOR FOR SELECT 1",
    "FETCH NEXT FROM c INTO @x", "CLOSE c", "DEALLOCATE c", "PRINT 'x'", "KILL 57 WITH STATUSONLY", "IF 1 = 1", "END",
    "SHOW x", "SELECT * FROM t show", "SELECT * FROM t do", "SELECT * FROM sys.dm_exec_requests OPTION (RECOMPILE)",
]  # fmt: skip
LOSING = [
    "DELETE FROM t", "DELETE t", "delete top (5) from t", "UPDATE t SET a = 1", "DROP TABLE t", "TRUNCATE TABLE t", "KILL 58",
    "SHUTDOWN", "SHUTDOWN WITH NOWAIT", "MERGE t USING s ON 1 = 1 WHEN MATCHED THEN DELETE", "EXEC('DROP TABLE t')",
    "RESTORE DATABASE x FROM DISK = 'y' WITH REPLACE", "DBCC CHECKDB (x, REPAIR_ALLOW_DATA_LOSS)", "BACKUP LOG x TO DISK = 'NUL'",
    "ALTER DATABASE x SET OFFLINE WITH ROLLBACK IMMEDIATE", "EXEC sp_dropserver 'x'", "Drop Table t",
]  # fmt: skip
CHANGING = [
    "INSERT INTO t VALUES (1)", "EXEC foo", "execute foo", "CREATE TABLE y (a int)", "ALTER LOGIN sa DISABLE", "RECONFIGURE",
    "CHECKPOINT", "GRANT CONTROL TO x", "DENY CONNECT TO x", "BULK INSERT t FROM 'x'", "DBCC FREEPROCCACHE", "SETUSER 'x'",
    "BACKUP DATABASE x TO DISK = 'y'", "DISABLE TRIGGER x ON t",
]  # fmt: skip
BETWEEN = st.sampled_from(
    [" ", "\n", "\t", "  ", " /* x */ ", "/**/ ", " -- x\n", "\r\n", "\u00a0", "; ", "\nGO\n", " /* a /* b */ c */ "]
)
CALLED = st.sampled_from(
    ['sqlcmd -S h -Q "{}"', "docker exec sql /opt/mssql-tools18/bin/sqlcmd -C -Q \"{}\"", 'sqlcmd -S h <<< "{}"',
     'kubectl exec mssql-0 -- sqlcmd -Q "{}"', "sqlcmd -S h -d shop <<'EOF'\n{}\nEOF"]
)  # fmt: skip


@given(CALLED, st.sampled_from(LOOKING), BETWEEN, st.sampled_from(LOSING))
@settings(max_examples=400, deadline=None)
def test_what_destroys_is_seen_behind_what_reads(client: str, looking: str, between: str, losing: str) -> None:
    """T-SQL needs no semicolon; however the next statement is set off, it counts."""
    assert risk_of(client.format(looking + between + losing)) is Risk.DESTRUCTIVE


@given(CALLED, st.sampled_from(LOOKING), BETWEEN, st.sampled_from(CHANGING))
@settings(max_examples=300, deadline=None)
def test_what_writes_is_seen_behind_what_reads(client: str, looking: str, between: str, changing: str) -> None:
    assert risk_of(client.format(looking + between + changing)) is not Risk.READ_ONLY


@pytest.mark.parametrize(
    "looking", [one for one in LOOKING if one.split()[0] in ("SELECT", "BEGIN", "COMMIT", "ROLLBACK", "SHOW")]
)
def test_bare_sql_is_read_as_strictly(looking: str) -> None:
    """Where no client says which SQL it is, it may be T-SQL."""
    assert [losing for losing in LOSING if risk_of(f"{looking} {losing}") is not Risk.DESTRUCTIVE] == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SELECT 1 DELETE FROM t", ["SELECT 1", "DELETE FROM t"]),
        ("SELECT 'DELETE x', [drop] -- KILL 5\n", ["SELECT 'DELETE x', [drop] -- KILL 5"]),
        ("UPDATE t SET a = 1", ["UPDATE t SET a = 1"]),
        ("SELECT 1\nGO\nSELECT 2", ["SELECT 1", "SELECT 2"]),
        ("GRANT UPDATE, DELETE ON t TO u DROP TABLE t", ["GRANT UPDATE, DELETE ON t TO u", "DROP TABLE t"]),
        ("SET NOCOUNT ON SELECT 1", ["SET NOCOUNT ON", "SELECT 1"]),
        ("CREATE PROC p AS DELETE t DROP TABLE u", ["CREATE PROC p AS DELETE t DROP TABLE u"]),
        ("SELECT * FROM t FOR UPDATE", ["SELECT * FROM t FOR UPDATE"]),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", None),
        ("SELECT replace(a, 'x', 'y'), insert(a, 1, 2, 'x') FROM t", None),
        ("SELECT backup FROM restore WHERE kill.set = 1", None),
    ],
)
def test_where_the_next_statement_begins(text: str, parts: list[str] | None) -> None:
    """A word begins one where it is bare, outside brackets, and nothing asks for it or for a name; None: it is one statement."""
    found = statements(text)
    assert (found[:1], len(found)) == ([text.split(" SET a = 2")[0]], len(found)) if parts is None else found == parts


@pytest.mark.parametrize("text", ["SELECT 'x", "SELECT (1", "SELECT 1)", "SELECT /* x", "SELECT [x", 'SELECT "x'])
def test_what_does_not_end_cannot_be_split(text: str) -> None:
    with pytest.raises(Unreadable):
        statements(text)
    assert risk_of(f"SELECT 1 DELETE FROM t {text}") is Risk.DESTRUCTIVE


@pytest.mark.parametrize(
    ("command", "risk"),
    [
        ('sqlcmd -S h -Q "BEGIN TRANSACTION\nDELETE FROM dbo.orders\nCOMMIT"', Risk.DESTRUCTIVE),
        ('sqlcmd -S h -Q "SELECT 1\n!!del x"', Risk.DESTRUCTIVE),
        ('sqlcmd -S h -Q "SELECT 1\n:r evil.sql"', Risk.REVERSIBLE),
        ('sqlcmd -S h -Q "SELECT 1\n:out /srv/x\nSELECT 2"', Risk.REVERSIBLE),
        ("mysql -e \"SELECT {#\nd '2020-01-01'}; DELETE FROM t #}\"", Risk.DESTRUCTIVE),
        ("--note\nSELECT 1", Risk.READ_ONLY),
        ("SELECT 5--1; DELETE FROM t", Risk.DESTRUCTIVE),
        ("mongosh <<< 'rs.status()\n.load x.js'", Risk.REVERSIBLE),
        ("mongosh --eval 'rs\n.stepDown(60)'", Risk.REVERSIBLE),
        ("mongosh <<'EOF'\nuse shop\nshow collections\ndb.orders.countDocuments({})\nEOF", Risk.READ_ONLY),
        ("cat <<EOF | nc cache-1 11211\nstats\nflush_all\nEOF", Risk.DESTRUCTIVE),
        ("nc cache-1 11211 <<EOF\nflush_all\nEOF", Risk.DESTRUCTIVE),
    ],
)
def test_more_than_one_line(command: str, risk: Risk) -> None:
    assert risk_of(command) is risk


READING = [
    "rs.status()", "db.stats()", 'db.getSiblingDB("x").y.find({a: {$gt: 5}}).sort({a: -1}).limit(3)', "db.x.findOne().name",
    "rs.conf().members.map(m => m.host)", "printjson(db.serverStatus().connections)", "db.x.find().forEach(printjson)",
    "db.currentOp().inprog.filter(o => o.secs > 5).map(o => ({id: o.opid}))", 'db["x"].count()', "db.x.find({a: /'/})",
]  # fmt: skip
WRITING = [
    "rs.stepDown(60)", "rs.stepDown?.(60)", "rs.stepDown`60`", "new rs.reconfig", "rs.stepDown/**/(60)", "eval('1')", "load('x')",
    "rs['stepDown'](60)", "[60].map(rs.stepDown)", "[60].forEach(quit)", "print = rs.stepDown", "db.x.insertOne({})",
    "(rs.stepDown)(60)", "rs.stepDown.call(rs, 60)", "({find: rs.stepDown}).find(60)", "{find: rs.stepDown}.find(60)", "sh.split('a', {})",
    "(a => a)['constructor']('rs.stepDown()')()", "db.x.find({toString: quit})", "db.x.validate({repair: true})", "rs . freeze (1)",
    "db.x.find({$where: 'x'})", "[f => f].forEach(f => [60].map(f))", "process.exit(1)", "this.db.x.save({})", "x++", "a.b = 1",
]  # fmt: skip
JOINED = st.sampled_from(
    ["{}; {}", "{}\n{}", "{}, {}", "{} && {}", "{} || {}", "{} ?? {}", "[{}, {}]", "print({}, {})", "{} ? {} : 0"]
)


@given(JOINED, st.sampled_from(READING), st.sampled_from(WRITING), st.booleans())
@settings(max_examples=400, deadline=None)
def test_no_call_hides_in_a_script_of_mongodb(joined: str, reading: str, writing: str, turned: bool) -> None:
    """Whatever it is joined with, and in which order."""
    assert not only_looks(joined.format(*((writing, reading) if turned else (reading, writing))))


@given(JOINED, st.sampled_from(READING), st.sampled_from(READING))
@settings(max_examples=100, deadline=None)
def test_scripts_that_look_are_known(joined: str, one: str, other: str) -> None:
    assert only_looks(joined.format(one, other))


def test_a_long_script_is_not_looked_past() -> None:
    """What stands behind many characters counts as much."""
    assert risk_of(f"mongosh --eval 'db.stats();{' ' * 8000}db.orders.drop()'") is Risk.DESTRUCTIVE
    assert risk_of(f"mongosh --eval 'db.stats();{' ' * 8000}rs.stepDown(60)'") is Risk.REVERSIBLE


@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from([*READING, *WRITING, *"()[]{}.,;:?=>'\"/\\`\n"]), max_size=8).map("".join),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_script_gets_an_answer(script: str) -> None:
    assert only_looks(script) in (True, False)
