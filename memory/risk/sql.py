"""How dangerous SQL is. sqlglot reads it: a statement is judged by its first word, a query by its whole tree.

A query is read-only only if sqlglot understood all of it, nothing in it writes, and every function in it is
one that
is known to write nothing: `SELECT pg_terminate_backend(1)` is a query too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .batch import statements as batch_of
from .level import CHANGE, DESTROY, READ, Risk, by_words, destructive_words, worst

if TYPE_CHECKING:
    from sqlglot import exp

MAX_LENGTH = 8_000
"""Characters that are parsed; longer SQL is judged by its words."""

MAX_NESTING = 40
"""Brackets within brackets: sqlglot descends recursively."""

_READ = """
SHOW DESCRIBE DESC USE BEGIN START END COMMIT ROLLBACK ABORT SAVEPOINT HELP CHECK CHECKSUM FETCH CLOSE DECLARE
"""
_CHANGE = (
    "INSERT CREATE ALTER GRANT REVOKE ANALYZE ANALYSE VACUUM REINDEX CLUSTER COMMENT COPY CALL DO LOCK "
    "REFRESH RELOAD "
    "PAUSE RESUME RECONNECT ENABLE DISABLE OPTIMIZE REPAIR CHANGE STOP FLUSH PREPARE EXECUTE DEALLOCATE "
    "SET RESET NOTIFY "
    "LISTEN UNLISTEN DISCARD CHECKPOINT REASSIGN SECURITY IMPORT LOAD INSTALL UNLOCK RENAME EXEC CACHE "
    "SUSPEND WAIT_CLOSE"
)
_DESTROY = "DROP TRUNCATE DELETE UPDATE MERGE REPLACE KILL PURGE SHUTDOWN UNDROP DETACH RECEIVE"
_QUERY = "SELECT WITH VALUES TABLE"
STATEMENTS: dict[str, Risk] = {
    **dict.fromkeys(_READ.split(), READ),
    **dict.fromkeys(_CHANGE.split(), CHANGE),
    **dict.fromkeys(_DESTROY.split(), DESTROY),
}
"""What the first word of a statement says; queries are looked into."""

_PRAGMAS = (
    "journal_mode|page_count|page_size|freelist_count|database_list|compile_options|integrity_check|quick_check|busy_timeout"
    "|synchronous|auto_vacuum|user_version|encoding|cache_size|foreign_key_check|locking_mode|wal_autocheckpoint"
)
_PRAGMAS_OF = "table_x?info|table_list|index_list|index_x?info|foreign_key_list|integrity_check|quick_check"

# Statements that are more, or less, than their first word says.
_SPECIAL = (
    (DESTROY, re.compile(r"ALTER\b.*\b(?:DROP|TRUNCATE|KILL|DISCARD|PURGE)\b", re.I | re.S)),
    (
        DESTROY,
        re.compile(r"ALTER\s+TABLE\b.*\b(?:(?<!ON )DELETE|UPDATE\s+\S+\s*=)", re.I | re.S),
    ),  # ClickHouse's mutations
    (DESTROY, re.compile(r"RESET\s+(?:MASTER|SLAVE|REPLICA|BINARY)|STOP\s+GROUP_REPLICATION", re.I)),
    (
        DESTROY,
        re.compile(r"(?:CREATE\s+OR\s+REPLACE\s+TABLE|INSERT\s+OVERWRITE|LOAD\s+DATA\b.*\bREPLACE\b)", re.I | re.S),
    ),
    (DESTROY, re.compile(r"DETACH\s+(?!DATABASE)", re.I)),
    # SQL Server: what others do is rolled back, the chain of log backups ends, a file is written over.
    (
        DESTROY,
        re.compile(
            r"ALTER\b.*\b(?:ROLLBACK\s+(?:IMMEDIATE|AFTER)|RECOVERY\s+SIMPLE|\w*ALLOW_DATA_LOSS)\b"
            r"|BACKUP\b.*(?:\bNUL\b|\b(?:INIT|FORMAT|TRUNCATE_ONLY|NO_LOG)\b)|RESTORE\b.*\bREPLACE\b"
            r"|RESTORE\s+(?:DATABASE|LOG)\b.*\bFROM\b|DBCC\b.*\b(?:REPAIR_ALLOW_DATA_LOSS|WRITEPAGE)\b"
            r"|(?:EXEC(?:UTE)?\s+)?[\w.\[\]]*\b(?:sp|xp)_\w*(?:drop|delete|detach|remove|purge|cleanup|kill)",
            re.I | re.S,
        ),
    ),
    # It says how far the rollback is, and ends nothing.
    (READ, re.compile(r"KILL\s+(?:[\w<>-]+|'[\w-]+')\s+WITH\s+STATUSONLY\s*$", re.I)),
    (
        READ,
        re.compile(
            r"SET\s+(?:(?:NOCOUNT|XACT_ABORT|ARITHABORT|ANSI_\w+|QUOTED_IDENTIFIER|STATISTICS\s+\w+)\s+(?:ON|OFF)"
            r"|(?:LOCK_TIMEOUT|ROWCOUNT|DEADLOCK_PRIORITY)\s+[\w@-]+|TRANSACTION\s+ISOLATION\s+LEVEL\s+\w+(?:\s+\w+)?)\s*$",
            re.I,
        ),
    ),
    # Its statistics, no rows; and which plan a query takes. Nothing may follow: T-SQL needs no semicolon.
    (CHANGE, re.compile(r"UPDATE\s+STATISTICS\s+[\w.\[\]<>-]+(?:\s+WITH\s+(?:FULLSCAN|RESAMPLE))?\s*$", re.I)),
    (
        CHANGE,
        re.compile(
            r"EXEC(?:UTE)?\s+(?:sys\.)?sp_query_store_(?:un)?force_plan(?:\s*,?\s*@\w+\s*=\s*[\w<>-]+){2}\s*$", re.I
        ),
    ),
    # SQLite: what only asks has no value; `journal_mode(OFF)` would set it.
    (
        READ,
        re.compile(rf"PRAGMA\s+(?:\w+\.)?(?:{_PRAGMAS})\s*$|PRAGMA\s+(?:\w+\.)?(?:{_PRAGMAS_OF})\s*\([^()]*\)$", re.I),
    ),
    (
        CHANGE,
        re.compile(r"PRAGMA\s+(?:\w+\.)?(?:wal_checkpoint\s*(?:\(\w+\))?|optimize|journal_mode\s*=\s*\w+)\s*$", re.I),
    ),
    (
        CHANGE,
        re.compile(
            r"SET\b.*\b(?:GLOBAL|PERSIST|PERSIST_ONLY|PASSWORD)\b|START\s+(?:SLAVE|REPLICA|GROUP)",
            re.I | re.S,
        ),
    ),
    # PgBouncer's console has no sessions: there a SET is for all, until it is reloaded.
    (CHANGE, re.compile(r"SET\s+(?:\w+_pool_size|pool_mode|max_\w+_connections|max_client_conn|server_\w+)\b", re.I)),
    (READ, re.compile(r"SET\s+(?:(?:SESSION|LOCAL)\s+)?[\w.@]+\s*(?:=|\bTO\b)[^;()]{0,200}$", re.I)),
)

# Functions that sqlglot does not know by name and that write nothing.
_PURE = re.compile(
    r"(?:pg_(?:\w*size\w*|get_\w+|is_\w+|last_\w+|current_\w+|stat_get_\w+|stat_file|table_is_visible|wal_lsn_diff"
    r"|xact_commit_timestamp|postmaster_start_time|conf_load_time|backend_pid|blocking_pids|safe_snapshot_blocking_pids"
    r"|lock_status|encoding_to_char|tablespace_location|relation_filepath|relation_filenode|ls_\w+|my_temp_schema|sleep"
    r"|show_all_settings|stat_statements|stat_activity|walfile_name\w*|describe_object|typeof|column_size|char_to_encoding"
    r"|settings_get_flags|options_to_table|buffercache_\w+|tablespace_databases|xlog_location_diff|database_size)"
    r"|has_\w+_privilege|to_(?:char|number|date|timestamp|reg\w+|json\w*)|json\w*|array_\w+|regexp_\w+|inet_\w+|txid_current\w*"
    r"|age|now|version|current_\w+|session_user|user|database|schema|quote_\w+|format|format_type|obj_description|col_description"
    r"|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|unnest|generate_series|generate_subscripts"
    r"|string_\w+|split_part|width_bucket|host|masklen|row_number|percentile_\w+|mode|bool_and|bool_or|every|cardinality"
    r"|shobj_description|pgstattuple\w*|pgstatindex|bt_index_check|hypopg_list_indexes|unix_timestamp|from_unixtime|sys_context"
    r"|ps_thread_id|format_bytes|format_time|format_statement|connection_id|row_count|found_rows|last_insert_id|sleep"
    r"|isnull|is_ipv[46]|ltrim|rtrim|left|right|substr\w*|position|concat\w*|length|char_length|octet_length|round|floor|ceil\w*|abs|mod"
    r"|uuid|md5|sha\d*|encode|decode|hashtext|date_(?:part|trunc|format|add|sub|diff|bin)|timestampdiff|timediff|time_to_sec|extract\w*|make_(?:date|interval|time|timestamp)|num_nonnulls|num_nulls|gen_random_uuid)",
    re.I,
)
# SQL Server's functions of its own state: in its schema `sys`, and those that are called without one.
_PURE_SYS = re.compile(r"dm_\w+|fn_xe_file_target_read_file|fn_my_permissions|fn_virtualfilestats", re.I)
_PURE_TSQL = re.compile(
    r"db_(?:name|id)|object_(?:name|id|schema_name)|schema_name|serverproperty|databasepropertyex", re.I
)
# What runs a text in another place.
_RUNS_TEXT = re.compile(r"open(?:query|rowset|datasource)|dblink\w*|query_to_xml\w*", re.I)
_LOSING = re.compile(
    r"pg_(?:stat_reset\w*|stat_statements_reset|terminate_backend|cancel_backend|drop_\w+|replication_slot_advance)|lo_(?:unlink|truncate)|dblink_exec"
    r"|mysql\.rds_kill\w*|\w*(?:drop_chunks|terminate|truncate)\w*",
    re.I,
)

_SHELL_LIKE = frozenset(
    [
        "SET",
        "KILL",
        "USE",
        "END",
        "LOAD",
        "DO",
        "EXEC",
        "CACHE",
        "HELP",
        "CHECK",
        "CLOSE",
        "WAIT_CLOSE",
        "ENABLE",
        "DISABLE",
        "STOP",
        "START",
    ]
)
_LOWER = re.compile(
    r"(?:select|with|explain|analyze|vacuum|reindex|grant|revoke)\s+[^-\s|]|insert\s+into\b|update\s+\S+\s+set\b|delete\s+from\b"
    r"|set\s+(?:@|\w+\s+(?:on|off)\b)|declare\s+(?:@|\w+\s+(?:\w+\s+)*cursor\b)|merge\s+into\b|show\s+\w+(?:\s|;|$)|truncate\s+table\b|(?:drop|create|alter)\s+(?:or\s+replace\s+|unique\s+|temp\w*\s+|"
    r"materialized\s+)?(?:table|index|view|database|schema|role|user|function|procedure|trigger|extension|sequence|type|system"
    r"|materialized|publication|subscription|default|policy|keyspace|tablespace|aggregate|domain|owned|server|rule)\b",
    re.I,
)


def looks_like_sql(text: str) -> bool:
    """Whether a command line is bare SQL rather than a shell command."""
    # The comments of SQL are no shell: a line of dashes in front decides too.
    text = (
        re.sub(r"^(?:\s*(?:--[^\n]*\n|/\*.*?\*/))+\s*", "", text[:2000], flags=re.S)
        if text[:2] in ("--", "/*")
        else text
    )
    first = re.match(r"[A-Za-z_]+", text)
    if not first:
        return False
    after = text[first.end() : first.end() + 1]
    if after not in ("", " ", "\n", "\t", ";", "(", "*", "'", '"'):
        return False
    word = first[0]
    if word.upper() == word and len(word) > 1 and (word in STATEMENTS or word in _QUERY.split() or word == "EXPLAIN"):
        return (
            word not in _SHELL_LIKE
            or re.match(r"\w+\s+(?:\w+\.)?[\w@]+\s*(?:=|TO\b|;|$|WITH\s+STATUSONLY\b)|START\s+TRANSACTION\b", text)
            is not None
        )
    return _LOWER.match(text) is not None


def risk_of_sql(text: str, dialect: str = "") -> Risk:
    """The highest risk of the statements. `dialect` is sqlglot's name for it, "" where unknown."""
    # To sqlglot `{# … #}` is a comment, to no database.
    if len(text) > MAX_LENGTH or _nesting(text) > MAX_NESTING or "{#" in text:
        return _by_scan(text)
    if dialect in ("", "mysql"):  # to MySQL `1--1` holds no comment; where a statement begins it would be an error
        behind = re.sub(r"(^|;)(?:\s*--[^\n;]*(?:\n|$))+", r"\1\n", text)
        if re.search(r"--\S", behind):
            return worst(_of_dialects(re.sub(r"-(?=-\S)", "- ", behind), dialect), _of_dialects(text, dialect))
    return _of_dialects(text, dialect)


def _of_dialects(text: str, dialect: str) -> Risk:
    # MySQL runs what stands in /*! … */; to sqlglot it is a comment.
    text = re.sub(r"/\*M?!\d*(.*?)\*/", r" \1 ", text, flags=re.S)
    readers = [dialect] if dialect else ["postgres", "mysql"]
    outcomes: list[Risk] = []
    for reader in readers:
        try:
            outcomes.append(worst(*(_of_batch(s, reader, dialect) for s in _statements(text, reader))))
        except _slips():
            outcomes.append(_by_scan(text))
        if outcomes[-1] is not CHANGE:
            break  # a query that one dialect reads in full is one; what one calls destructive stays so
    if DESTROY in outcomes:
        return DESTROY
    query = re.match(r"\s*\(*(?:SELECT|WITH|VALUES|TABLE)\b", text, re.I)
    if not dialect and not query and re.search(r"&&|\$\(|(?<!\|)\|(?!\|)", text):
        return _by_scan(text)  # it was taken for SQL by its first word: `SHOW x && rm y` would be none
    # Dialects disagree on a backslash before a quote, and so on where a string ends.
    return READ if READ in outcomes and (dialect or "\\'" not in text) else CHANGE


def _slips() -> tuple[type[Exception], ...]:
    """What says that a text cannot be read. sqlglot's own slips on hostile text are not errors of the caller."""
    from sqlglot.errors import SqlglotError

    return (SqlglotError, RecursionError, ValueError, LookupError, ArithmeticError, AttributeError, TypeError)


def _by_scan(text: str) -> Risk:
    return DESTROY if destructive_words(text, thorough=True) else CHANGE


def _nesting(text: str) -> int:
    """The deepest nesting that the text can have, quotes ignored: an upper bound, in one pass."""
    deepest = depth = 0
    for bracket in re.findall(r"[()\[\]]|\b(?:case|not|select)\b|-\s*-", text, flags=re.I):
        if bracket in (")", "]"):
            depth = max(0, depth - 1)
        elif bracket in ("(", "["):
            depth += 1
            deepest = max(deepest, depth)
    runs = re.findall(r"(?:\b(?:not|case|when|interval|select)\s+|[-+~!]\s*){8,}", text, flags=re.I)
    return deepest + sum(len(run) for run in runs)


def _statements(text: str, dialect: str) -> Iterator[str]:
    """The statements, without comments in front: what stands between the semicolons outside strings."""
    from sqlglot import TokenType, tokenize

    start: int | None = None
    end = 0
    for token in tokenize(text, read=dialect):
        if token.token_type == TokenType.SEMICOLON:
            if start is not None:
                yield text[start:end]
            start = None
        else:
            start = token.start if start is None else start
            end = token.end + 1
    if start is not None:
        yield text[start:end]


_BLOCKS = frozenset(["START", "END", "CLOSE", "USE", "CHECK", "BEGIN", "DECLARE", "ABORT", "COMMIT", "ROLLBACK"])
_BLOCKS_PLAIN = re.compile(
    r"(?:BEGIN|START|COMMIT|ROLLBACK|END|ABORT)(?:\s+(?:TRAN|TRANSACTION|WORK|TRY|CATCH))?(?:\s+TO(?:\s+SAVEPOINT)?)?"
    r"(?:\s+(?:PREPARED\s+)?[\w@`\"$.']+)?(?:(?:\s*,)?\s*\b(?:READ\s+(?:ONLY|WRITE)|ISOLATION\s+LEVEL\s+\w+(?:\s+READ)?|AND\s+(?:NO\s+)?CHAIN"
    r"|WITH\s+CONSISTENT\s+SNAPSHOT|(?:NO\s+)?RELEASE|(?:NOT\s+)?DEFERRABLE|ONLY|WRITE|LEVEL\s+\w+(?:\s+READ)?|(?:NO\s+)?CHAIN))*\s*"
    r"|\w+\s*|\w+\s+[\w`\"$.@\[\]-]+\s*|CHECK\s+TABLE\s[^()]*|CLOSE\s+ALL\s*|DECLARE\s+\w+\s[\w\s]*\bCURSOR\b[\w\s]*"
    r"|DECLARE\s+@\w+(?:\s+AS)?\s+\w+(?:\s*\([\w\s,]*\))?(?:\s*=\s*(?:[\w@.-]+|N?'[^']*'))?\s*",
    re.I,
)


def _of_batch(text: str, reader: str, dialect: str) -> Risk:
    """What stands between two semicolons: in T-SQL, and where the dialect is not known, it may be several statements."""
    parts = batch_of(text) if dialect in ("", "tsql") else [text]
    risks = []
    for part in parts:
        try:
            risks.append(_statement(part, reader))
        except _slips():
            risks.append(_by_scan(part))  # the others are read all the same
    if len(parts) > 1:  # what says more of the whole than of its parts
        risks += [risk for risk, pattern in _SPECIAL if risk is DESTROY and pattern.match(text)]
    return worst(*risks)


_EXPLAIN = re.compile(
    r"EXPLAIN\b\s*(\([^()]{0,200}\))?((?:\s*\b(?:ANALYZE|ANALYSE|VERBOSE|EXTENDED|PARTITIONS|QUERY\s+PLAN"
    r"|FORMAT\s*=\s*\w+)\b)*)\s*",
    re.I,
)


def _statement(text: str, dialect: str) -> Risk:
    explain = _EXPLAIN.match(text)
    if explain:
        runs = re.search(r"\bANALY[ZS]E\b", f"{explain[1]} {explain[2]}", re.I) is not None
        return _statement(text[explain.end() :], dialect) if runs and explain.end() < len(text) else READ
    first = re.match(r"\(*\s*([A-Za-z_]+)", text)
    word = first[1].upper() if first else ""
    if word in _QUERY.split():
        return _query(text, dialect)
    for risk, pattern in _SPECIAL:
        if pattern.match(text):
            return risk
    if word in _BLOCKS and not _BLOCKS_PLAIN.fullmatch(text):
        return by_words([text])  # `BEGIN DELETE …; END`: a block of code
    known = STATEMENTS.get(word)
    if known is CHANGE and word in ("DO", "CALL", "EXECUTE", "EXEC", "PREPARE", "COPY"):
        return worst(CHANGE, _by_scan(text))  # they carry code
    return known if known is not None else by_words([text])


def _query(text: str, dialect: str) -> Risk:
    """The risk of a query by everything that stands in its tree."""
    from sqlglot import exp, parse_one

    tree = parse_one(text, read=dialect)
    risk = READ
    for node in tree.walk():
        if isinstance(node, (exp.Delete, exp.Update, exp.Drop, exp.TruncateTable, exp.Merge, exp.Kill)):
            return DESTROY
        if isinstance(node, (exp.Insert, exp.Create, exp.Alter, exp.Into, exp.Lock, exp.Command, exp.NextValueFor)):
            risk = worst(risk, CHANGE)
        elif isinstance(node, exp.Func):
            schema = _schema_of(node)
            anonymous = isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc))
            name = node.name if anonymous else ""
            if _LOSING.fullmatch(name) or destructive_words(name):
                return DESTROY
            if _RUNS_TEXT.fullmatch(name):
                risk = worst(risk, _by_scan(node.sql()))
            if schema == "sys" and dialect == "tsql":
                pure = _PURE_SYS.fullmatch(name) is not None
            elif schema in ("", "pg_catalog", "information_schema") or (schema == "sys" and dialect == "mysql"):
                known = _PURE.fullmatch(name) or (dialect == "tsql" and _PURE_TSQL.fullmatch(name))
                pure = not anonymous or bool(known)
            else:
                pure = False  # in a schema of its own anybody's function may be called so
            if not pure:
                risk = worst(risk, CHANGE)
    return risk


def _schema_of(function: exp.Func) -> str:
    """The schema that a function is called in, in lower case; "" where there is none."""
    from sqlglot import exp

    parent = function.parent
    if isinstance(parent, exp.Dot) and parent.expression is function:
        parts = [part.name for part in parent.this.find_all(exp.Identifier)]
        return (parts[-1] if parts else "?").lower()
    return parent.db.lower() if isinstance(parent, exp.Table) and parent.this is function else ""
