"""SQL and the data stores' own commands: what a statement would hit, counted by a query with the same condition."""

from __future__ import annotations

import re

from ..risk.batch import Unreadable
from ..risk.batch import statements as batch_of
from .guard import NO_WAY_BACK, Safeguard
from .split import bare, quoted

CLIENTS = frozenset(
    "psql gitlab-psql mysql mariadb cockroach clickhouse-client sqlite3 duckdb sqlcmd mongosh mongo redis-cli valkey-cli"
    " keydb-cli gitlab-redis-cli".split()
)
_REDIS = frozenset({"redis-cli", "valkey-cli", "keydb-cli", "gitlab-redis-cli"})

_NAME = r"[\w.\"`$<>{}-]+"
_IN_TRANSACTION = (
    "Run it in a transaction: BEGIN, the statement, compare the row count with the check, then COMMIT or ROLLBACK. After "
    "COMMIT nothing but a backup brings the rows back."
)
_END = r"\s*;?\s*$"
_RULES: tuple[tuple[re.Pattern[str], str | None, str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), check, look, back)
    for pattern, check, look, back in (
        (
            rf"DELETE\s+FROM\s+(?:ONLY\s+)?(?P<t>{_NAME})\s+WHERE\s+(?P<w>.+?)(?:\s+RETURNING\s.*)?{_END}",
            "SELECT count(*) FROM {t} WHERE {w}", "So many rows go: is that the number you expect",
            _IN_TRANSACTION,
        ),
        (
            rf"DELETE\s+FROM\s+(?:ONLY\s+)?(?P<t>{_NAME}){_END}",
            "SELECT count(*) FROM {t}", "There is no WHERE: every row goes", _IN_TRANSACTION,
        ),
        (
            rf"UPDATE\s+(?P<t>{_NAME})\s+SET\s.+?\sWHERE\s+(?P<w>.+?)(?:\s+RETURNING\s.*)?{_END}",
            "SELECT count(*) FROM {t} WHERE {w}", "So many rows change: is that the number you expect; keep their old values",
            _IN_TRANSACTION,
        ),
        (
            rf"UPDATE\s+(?P<t>{_NAME})\s+SET\b",
            "SELECT count(*) FROM {t}", "There is no WHERE: every row changes", _IN_TRANSACTION,
        ),
        (
            rf"TRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?(?P<t>{_NAME})",
            "SELECT count(*) FROM {t}", "Every row goes, with CASCADE also in the tables that refer to it",
            f"{NO_WAY_BACK}: only a backup brings the rows back. Take a dump of the table first.",
        ),
        (
            rf"DROP\s+INDEX\s+(?:IF\s+EXISTS\s+)?{_NAME}\s+ON\s+(?P<t>{_NAME})",
            "SHOW INDEX FROM {t}", "Keep the definition, and see whether a query uses it",
            "Create it again from the definition; on a large table that takes hours.",
        ),
        (
            rf"DROP\s+INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?(?P<t>{_NAME})",
            "SELECT indexdef FROM pg_indexes WHERE indexname = '{t}'",
            "Keep the definition, and see in pg_stat_user_indexes whether it is used",
            "Create it again from the definition (CREATE INDEX CONCURRENTLY); on a large table that takes hours.",
        ),
        (
            rf"DROP\s+(?:TABLE|(?:MATERIALIZED\s+)?VIEW)\s+(?:IF\s+EXISTS\s+)?(?P<t>{_NAME})",
            "SELECT count(*) FROM {t}", "What it holds is gone, and with CASCADE what depends on it",
            f"{NO_WAY_BACK}: only a backup brings it back. Rename it instead, and drop it next week.",
        ),
        (
            r"DROP\s+(?:DATABASE|SCHEMA|KEYSPACE)\b", None,
            "List its tables and their sizes, and who is connected to it",
            f"{NO_WAY_BACK}: only a backup brings it back. Check that the last one can be restored.",
        ),
        (
            r"SELECT\b.*?\bpg_(?:terminate|cancel)_backend\s*\(\s*(?:\w+\.)?pid\s*\).*?\bFROM\s+pg_stat_activity\s+(?:AS\s+)?"
            rf"(?:\w+\s+)?WHERE\s+(?P<w>.+?){_END}",
            "SELECT pid, usename, state, now() - xact_start AS in_transaction, left(query, 80) FROM pg_stat_activity WHERE {w}",
            "These sessions (with cancel: their statements) are ended: none of them should be replication, a migration or a backup",
            f"{NO_WAY_BACK} for what they had not committed: it is rolled back. Clients reconnect by themselves if they can.",
        ),
        (
            r"SELECT\b.*?\bpg_(?:terminate|cancel)_backend\s*\(\s*(?P<t>[\w<>${}-]+)\s*\)",
            "SELECT pid, usename, state, now() - xact_start AS in_transaction, left(query, 80) FROM pg_stat_activity"
            " WHERE pid = {t}",
            "Is it the session that is meant, and not replication, a migration or a backup",
            f"{NO_WAY_BACK} for what it had not committed: it is rolled back. The client reconnects by itself if it can.",
        ),
        (
            r"SELECT\b.*?\bpg_drop_replication_slot\b",
            "SELECT slot_name, active, restart_lsn, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))"
            " FROM pg_replication_slots",
            "The slot must be inactive and its consumer known to be gone",
            f"{NO_WAY_BACK}: a consumer that still needs it has to be built anew.",
        ),
        (
            r"SELECT\b.*?\bpg_stat(?:_statements)?_reset",
            "SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()",
            "Save the counters that you compare with first", f"{NO_WAY_BACK}: the counters start at zero.",
        ),
        (
            r"KILL\s+(?:QUERY\s+|CONNECTION\s+)?(?P<t>[\w<>${}-]+)",
            "SELECT id, user, host, command, time, state, left(info, 80) FROM information_schema.processlist WHERE id = {t}",
            "Is it the session that is meant, and not replication or a long ALTER, whose rollback takes as long again",
            f"{NO_WAY_BACK} for what it had not committed: it is rolled back.",
        ),
        (
            rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?P<t>{_NAME})\s.*?\bDROP\s+COLUMN\s+(?:IF\s+EXISTS\s+)?(?P<w>{_NAME})",
            "SELECT count(*) FROM {t} WHERE {w} IS NOT NULL", "So many rows lose a value, and code that reads it breaks",
            f"{NO_WAY_BACK}: only a backup brings the values back.",
        ),
        (
            r"PURGE\s+BINARY\s+LOGS|RESET\s+MASTER",
            "SHOW BINARY LOGS", "No replica and no backup may still need them (SHOW REPLICA STATUS on each)",
            f"{NO_WAY_BACK}: a replica that needs them has to be built anew.",
        ),
    )
)  # fmt: skip


def of_sql(text: str) -> Safeguard | None:
    """The safeguard of the first statement that destroys."""
    from ..risk import Risk, risk_of

    destroying = [s for s in _statements(text) if risk_of(s) is Risk.DESTRUCTIVE]
    for statement in destroying:
        for pattern, check, look, back in _RULES:
            if found := pattern.match(statement.strip()):
                if len(destroying) > 1:
                    return Safeguard(None, look, back)
                if "t" in found.groupdict() and statement.strip()[found.end("t") :].lstrip().startswith(","):
                    return Safeguard(None, look, back)  # several: one query does not see them all
                groups = {name: value.strip() for name, value in found.groupdict().items() if value}
                if check and "indexname" in check:  # there it is a text: without quotes and schema
                    groups["t"] = groups["t"].replace('"', "").rpartition(".")[2]
                return Safeguard(check.format(**groups) if check else None, look, back)
    return None


def _statements(text: str) -> list[str]:
    """Each by itself, where no semicolon stands between them, too."""
    try:
        return [part for piece in re.split(r";\s*(?=\S)", text) for part in batch_of(piece)]
    except Unreadable:
        return re.split(r";\s*(?=\S)", text)


def of_client(program: str, words: list[str]) -> Safeguard | None:
    """The safeguard of `psql -c '…'`, `redis-cli DEL …`, `mongosh --eval '…'`: the check runs through the same client."""
    if program in _REDIS:
        return _redis(words)
    if program in ("mongosh", "mongo"):
        return _mongo(words)
    for position, word in enumerate(words):
        glued = re.match(r"(-e|-c)(?=['\"])|--(?:execute|command|query)=", word)
        option, value = (word[: glued.end()], word[glued.end() :]) if glued else ("", word)
        inner = bare(value)
        if inner == value:
            continue
        found = _of_sql_server(inner) if program == "sqlcmd" else of_sql(inner)
        if found is not None:
            again = quoted(found.check, value) if found.check else None
            check = _in_place(words, position, option + again) if again else None
            return Safeguard(check, found.look, found.way_back)
    return None


_ELSEWHERE = re.compile(r"SHOW\s|pg_|\.processlist\b")
"""Words of checks that SQL Server does not know."""

_SESSIONS = "Is it the session that is meant, and not replication, a backup or a large change, whose rollback takes as long again"


def _of_sql_server(text: str) -> Safeguard | None:
    """SQL Server has neither a list of processes by MySQL's name nor the catalogue of PostgreSQL."""
    killed = re.fullmatch(r"\s*KILL\s+(?P<t>\d+|<[\w -]+>|\$\{?\w+\}?)\s*;?\s*", text, re.IGNORECASE)
    if killed:
        return Safeguard(
            "SELECT session_id, login_name, host_name, program_name, status, open_transaction_count, last_request_start_time"
            f" FROM sys.dm_exec_sessions WHERE session_id = {killed['t']}",
            _SESSIONS,
            f"{NO_WAY_BACK} for what it had not committed: it is rolled back.",
        )
    found = of_sql(text)
    if found is None or found.check is None or not _ELSEWHERE.search(found.check):
        return found
    look = f"{_SESSIONS} (sys.dm_exec_sessions)" if "processlist" in found.check else found.look
    return Safeguard(None, look, found.way_back)


_SCRIPTS = {"psql": ("-c", "-o"), "gitlab-psql": ("-c", "-o"), "sqlcmd": ("-Q", "-q", "-o"), "mysql": ("-e",)}
"""Options with a script, or with a file that is written, by program."""


def _in_place(words: list[str], position: int, check: str) -> str | None:
    """The check where the script stood, with the host and the user that stand in front of it or behind; None where what
    stands behind does more than that. Other statements of the same call are no part of it, nor the file that is written."""
    from ..risk import Risk, risk_of

    dropped = _SCRIPTS.get(words[0].rsplit("/", 1)[-1], ("-c", "-e", "--eval"))
    front, behind = list(words[:position]), list(words[position + 1 :])
    for part in (front, behind):
        while (again := next((i for i, w in enumerate(part[:-1]) if w in dropped), None)) is not None:
            del part[again : again + 2]
    placed = " ".join([*front, check, *behind])
    return placed if not behind or risk_of(placed) is Risk.READ_ONLY else None


_REDIS_VALUES = frozenset("-h -p -s -a -u -n -r -i --user --pass --cacert --cert --key".split())


def _redis(words: list[str]) -> Safeguard | None:
    at = 1
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _REDIS_VALUES else 1
    client, command = " ".join(words[:at]), [bare(word).upper() for word in words[at : at + 2]]
    keys = " ".join(words[at + 1 :])
    if not command:
        return None
    gone = f"{NO_WAY_BACK}: only an RDB or AOF file from before brings keys back."
    if command[0] in ("FLUSHALL", "FLUSHDB"):
        return Safeguard(
            f"{client} INFO keyspace && {client} INFO persistence",
            "So many keys go, sessions and queues among them; is the last save recent",
            f"{gone} What is only a cache fills again, and its source bears the load meanwhile.",
        )
    if command[0] in ("DEL", "UNLINK"):
        return Safeguard(
            f"{client} EXISTS {keys}", "So many of these keys exist; look at the type of each (TYPE)", gone
        )
    if command[0] in ("SHUTDOWN", "DEBUG", "FAILOVER", "REPLICAOF", "SLAVEOF") or command[:1] == ["CLUSTER"]:
        return Safeguard(
            f"{client} INFO replication && {client} INFO persistence",
            "Is it the primary, does a replica keep up with it, and when was it last saved",
            f"{NO_WAY_BACK} for writes that no replica and no file has.",
        )
    if command == ["CLIENT", "KILL"]:
        return Safeguard(
            f"{client} CLIENT LIST", "These connections are cut", "Clients reconnect by themselves if they can."
        )
    if command[0] in ("XTRIM", "XDEL", "LTRIM", "HDEL", "SREM", "ZREM", "EXPIRE", "LPOP", "RPOP"):
        key = words[at + 1] if len(words) > at + 1 else ""
        return Safeguard(f"{client} TYPE {key} && {client} TTL {key}", "Is it the key that is meant", gone)
    return None


_SAID = r"\d+|'[^'\"]*'|\"[^'\"]*\"|<[\w -]+>|\$\{?\w+\}?"
_DB = r"db(?:\.getSiblingDB\((?:'[^']*'|\"[^\"]*\")\))?"
_KILLED = re.compile(rf"\s*(?P<db>{_DB})\.killOp\(\s*(?P<op>{_SAID})\s*\)\s*;?\s*")
_KILLED_EACH = re.compile(
    rf"\s*(?P<list>{_DB}\.currentOp\([^;]*?\)\.inprog)\s*(?P<kept>\.filter\([^;]*\))?\.forEach\(\s*(?:function\s*\(|\(?)\s*(?P<o>\w+)\)?"
    r"\s*(?:=>)?\s*\{?\s*(?:return\s+)?db\.killOp\((?P=o)\.opid\)\s*;?\s*\}?\s*\)\s*;?\s*"
)
_GOES = re.compile(
    rf"\s*(?P<of>{_DB}(?:\.\w+|\.getCollection\((?:'[^']*'|\"[^\"]*\")\))+?)\.(?P<verb>drop|deleteMany|deleteOne|remove)\((?P<which>.*)\)"
    r"\s*;?\s*",
    re.DOTALL,
)
_OPERATIONS = "Is it the operation that is meant, and none of replication or of an index build"
_ROLLED = f"{NO_WAY_BACK}: what it had written stays, unless it was in a transaction."
_DOCUMENTS = f"{NO_WAY_BACK}: only a backup brings them back (mongodump the collection first)."


def _mongo(words: list[str]) -> Safeguard | None:
    """The check of a script that is one statement; of more than that only words, for a check would see a part of it."""
    scripts = [i for i, word in enumerate(words) if bare(word) != word and i and words[i - 1] == "--eval"]
    if not scripts:
        return None
    inner, position = bare(words[scripts[0]]), scripts[0]
    check, look, back = _of_script(inner) if len(scripts) == 1 else (None, _EVERY, _DOCUMENTS)
    again = quoted(check, words[position]) if check else None
    return Safeguard(_in_place(words, position, again) if again else None, look, back)


_EVERY = "It does more than one thing: see what each statement would hit, and run them one by one"


def _of_script(script: str) -> tuple[str | None, str, str]:
    if killed := _KILLED.fullmatch(script):
        return f"{killed['db']}.currentOp({{opid: {killed['op']}}}).inprog", _OPERATIONS, _ROLLED
    if each := _KILLED_EACH.fullmatch(script):
        listed = each["list"] + (each["kept"] or "")
        return listed, "Each of these operations is ended: none may be of replication or of an index build", _ROLLED
    goes = _GOES.fullmatch(script)
    if goes and not re.search(r"[;\n]", script.strip().rstrip(";")):
        condition = goes["which"] if goes["verb"] != "drop" and goes["which"].strip() else "{}"
        return f"{goes['of']}.countDocuments({condition})", "So many documents go", _DOCUMENTS
    if re.fullmatch(r"[^;]*\bkillOp\b[^;]*;?\s*", script) and not _LOSES_DOCUMENTS.search(script):
        return None, f"{_OPERATIONS} (db.currentOp())", _ROLLED
    return None, _EVERY, _DOCUMENTS


_LOSES_DOCUMENTS = re.compile(r"\b(?:drop|delete|remove)\w*\s*\(", re.IGNORECASE)
