"""The table of programs: databases, caches and queues."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .javascript import only_looks
from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .rules import DYNAMIC, Call, Flags, Judge, Rule, Verbs, always, has_flag, operands, option_values, target_risk
from .sql import risk_of_sql

# SQL clients

# psql's own commands. `\!` runs a shell, `\g | cmd` a pipe, `\gexec` what a query returned.
_META_READ = re.compile(
    r"\\(?:d\w*\+?|l\+?|z|x|timing|watch|conninfo|c|connect|pset|a|t|echo|q|s[fv]\+?|h|\?|encoding|errverbose"
    r"|set|unset|prompt|u)(?![\w])[^\n;|]*|\\gx?[ \t]*(?=;|\n|\Z)"
)


def _sql_text(text: str, dialect: str, judge: Judge) -> Risk:
    """SQL as a client gets it: with the client's own commands in it."""
    risk = READ
    for shell in re.findall(r"\\!\s*([^\n]*)", text):
        risk = worst(risk, judge.script(shell) if shell else CHANGE)
    text = re.sub(r"\\!\s*([^\n]*)", "", text)
    if dialect == "postgres":
        for line in re.findall(r"\\[a-z?][^\n]*`[^\n]*", text):  # psql runs what stands in backticks
            risk = worst(risk, CHANGE, *map(judge.script, filter(None, line.split("`")[1::2])))
        text = _META_READ.sub("", text)
        if re.search(r"\\[a-z]", text, re.I):
            risk = worst(risk, by_words([text]))
            text = re.sub(r"\\[a-z]\w*[^\n]*", "", text, flags=re.I)
    if not text.strip():
        return risk
    if not text.replace(DYNAMIC, "").strip(" ;\n\t'\""):
        return worst(risk, judge.opaque())
    # What the shell puts in is taken for a name; were it more than that, it would be a hole in the runbook.
    return worst(risk, risk_of_sql(text.replace(DYNAMIC, "x1"), dialect))


def _in_full(arg: str, names: Sequence[str]) -> str:
    """A long option that is shortened (`--exec=…`), in full."""
    name, equals, value = arg.partition("=")
    full = next((n for n in names if len(name) > 3 and n.startswith(name)), name)
    return full + equals + value


def _sql_client(dialect: str, *script: str, values: str, reads: str = "", words_from: int | None = None) -> Rule:
    """psql and its kin.

    Args:
        script: the options whose value is SQL.
        values: other options with a value.
        reads: options with which the client only lists.
        words_from: from which operand on the operands are SQL (sqlite3 FILE SQL).
    """

    longs = [*(s for s in script if s.startswith("--")), "--file", "--output", "--log-file"]
    longs += ["--init-command", "--pager", "--tee"] if dialect == "mysql" else []

    def rule(call: Call, judge: Judge) -> Risk:
        # `-psecret`: the letters of a value are no flags.
        glued = {v for v in values.split() if len(v) == 2} | ({"-p"} if dialect == "mysql" else set())
        args = tuple(_in_full(a, longs) for a in call.args if len(a) == 2 or a[:2] not in glued)
        texts = option_values(args, *script)
        if dialect == "mysql":
            texts += option_values(args, "--init-command") if texts or call.stdin else []
        words = operands(args, values + " " + " ".join(script))
        if words_from is not None:
            texts += words[words_from:]
        if (has_flag(args, "-f") and dialect == "postgres") or option_values(args, "--file"):
            return worst(judge.opaque(), by_words(args))
        if not texts and any(a in reads.split() for a in args):
            return READ
        if not texts and call.stdin is not None and DYNAMIC not in call.stdin[:1]:
            texts = [call.stdin]
        if not texts:
            return judge.opaque()  # interactive, or a script from a file or a pipe
        writes = option_values(args, "-o", "--output", "-L", "--log-file") if dialect == "postgres" else ()
        writes = writes or option_values(args, "--tee")
        pagers = [worst(CHANGE, judge.script(pager)) for pager in option_values(args, "--pager")]
        return worst(CHANGE if writes else READ, *pagers, *(_sql_text(t, dialect, judge) for t in texts))

    return rule


# -q starts with a query and stays; -i reads files, -o writes one, -z changes the password, -v fills in what stands in $(…).
_SQLCMD_VALUED = frozenset("-S -U -P -d -Q -q -i -o -v -z -Z -h -s -w -y -Y -t -l -H -a -c -A -K -m -r".split())


def _sqlcmd(call: Call, judge: Judge) -> Risk:
    """sqlcmd: its letters differ by case and are not joined."""
    given: dict[str, list[str]] = {}
    args = [re.sub(r"^/(?=[A-Za-z]$)", "-", arg) for arg in call.args]
    while args:
        option = args.pop(0)
        glued = option[2:] if option[:2] in _SQLCMD_VALUED else ""
        if option in _SQLCMD_VALUED and args and not (option == "-r" and args[0].startswith("-")):
            glued = args.pop(0)
        given.setdefault(option[:2], []).append(glued)
    texts = given.get("-Q", []) + given.get("-q", [])
    unseen = [judge.opaque()] if any(o in given for o in ("-i", "-z", "-Z", "--")) else []
    if not texts and not unseen and call.stdin is not None and DYNAMIC not in call.stdin[:1]:
        texts = [call.stdin]
    if unseen or not texts or "-v" in given:
        unseen += [judge.opaque(), by_words(call.args)]
    writes = [worst(CHANGE, target_risk(path)) for path in given.get("-o", [])]
    own = [line for text in texts for line in re.findall(r"^[ \t]*(?::|!!)[^\n]*", text, re.M)]
    runs = [worst(CHANGE, judge.script(line.strip(" \t:!")), by_words([line])) for line in own if line.strip(" \t:!")]
    bare = (re.sub(r"^[ \t]*(?::|!!)[^\n]*", "", text, flags=re.M) for text in texts)
    return worst(*unseen, *writes, *runs, *(_sql_text(text, "tsql", judge) for text in bare))


_PSQL = _sql_client(
    "postgres",
    "-c",
    "--command",
    reads="-l --list --version -V",
    values="-h -p -U -d -v -P -F -R -T --host --port --username --dbname --set --variable",
)
_MYSQL = _sql_client(
    "mysql",
    "-e",
    "--execute",
    reads="--version -V",
    values="-h -P -u -D -S --host --port --user --database --socket --defaults-file",
)

# MongoDB

_JS_LOSES = re.compile(
    r"\b(?:drop\w*|remove\w*|delete\w*|killOp|killSessions|shutdown\w*|replSetReconfig|findOneAndDelete"
    r"|bulkWrite|updateMany|convertToCapped|compact|resync|rmdir)\s*[(:`\"')]|force\s*:\s*true|\$out|\$merge"
    r"|\bupdate\s*\(.*\bmulti\b|\brenameCollection\s*\([^()]*,\s*true|\bchild_process\b.*\brm\b",
    re.I | re.S,
)
_MONGO_VALUES = (
    "--eval --host -h --port -u --username -p --password --authenticationDatabase --authenticationMechanism --db -d --tlsCAFile"
    " --tlsCertificateKeyFile --tlsCertificateKeyFilePassword --sslCAFile --sslPEMKeyFile --apiVersion --gssapiServiceName"
    " --awsIamSessionToken --tlsCRLFile --json"
)


def _mongo(call: Call, judge: Judge) -> Risk:
    """Its scripts: those of `--eval`, else standard input. Files beside them run, too, and are not seen."""
    scripts = option_values(call.args, "--eval")
    words = operands(call.args, _MONGO_VALUES)
    address = words[:1] if "--nodb" not in call.args else []
    unseen = (
        words[len(address) :]
        or any(re.match(r"[./]|.*\.\w*js$|.*\.mongodb$", word) for word in address)
        or any(re.match(r"-f|--file|--shell", arg) for arg in call.args)
        or any(re.search(r"\.(?:[cm]?js|mongodb)$", arg) for arg in call.args if arg not in scripts)
    )
    if not scripts and call.stdin is not None and DYNAMIC not in call.stdin[:1]:
        scripts = [call.stdin]
    if not scripts:
        return worst(judge.opaque(), by_words(call.args))
    return worst(judge.opaque() if unseen else READ, *map(_javascript, scripts))


def _javascript(script: str) -> Risk:
    # Comments hide what is called: `remove/**/({})`.
    if _JS_LOSES.search(script) or _JS_LOSES.search(re.sub(r"/\*.*?\*/|\s", "", script, flags=re.S)):
        return DESTROY
    # What the shell puts in is taken for a value, as in SQL.
    return READ if only_looks(script.replace(DYNAMIC, "x1")) else by_words([script])


_MYSQLADMIN = Verbs(
    read="status extended-status processlist variables ping version",
    reversible="flush-* start-slave stop-slave reload refresh password start-replica stop-replica create",
    destructive="kill shutdown drop",
)
_MYSQLADMIN_VALUES = (
    "-h -P -u -S -i -c --host --port --user --socket --sleep --count --defaults-file --connect-timeout --protocol"
)


def _mysqladmin(call: Call, judge: Judge) -> Risk:
    """It runs every command of its line, one after the other, each perhaps shortened: `status shut`."""
    words = operands(call.args, _MYSQLADMIN_VALUES)
    risks = [READ if words or call.args in (("--version",), ("-V",)) else CHANGE]
    for word in words:
        found = _MYSQLADMIN.lookup([word])
        meant = [found[1]] if found else [r for verb, r in _MYSQLADMIN.table.items() if verb.startswith(word)]
        risks += meant or [by_words([word])]
    return worst(*risks)


PROGRAMS: dict[str, Rule] = {
    "psql": _PSQL,
    "gitlab-psql": _PSQL,
    "pgb-console": _PSQL,
    "cockroach": _sql_client("postgres", "-e", "--execute", values="--host --url -d --certs-dir", reads="version"),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "clickhouse-client": _sql_client(
        "clickhouse", "-q", "--query", values="-h --host --port -u --user --password -d --database"
    ),
    "sqlite3": _sql_client("sqlite", "--cmd", values="", words_from=1),
    "duckdb": _sql_client("duckdb", "--cmd", values="", words_from=1),
    "sqlcmd": _sqlcmd,
    "cqlsh": _sql_client("postgres", "-e", "--execute", values="-u -p -k"),
    "snowsql": _sql_client("snowflake", "-q", "--query", values="-a -u -d -s -w"),
    "trino": _sql_client("trino", "--execute", values="--server --catalog --schema"),
    "mysqladmin": _mysqladmin,
    "mariadb-admin": _mysqladmin,
    "mysqlbinlog": always(READ),
    "pt-kill": Flags(DESTROY, {}),
    "pt-online-schema-change": Flags(CHANGE, {"--execute": DESTROY}, clusters=False),
    "pg_ctl": Verbs(
        read="status",
        reversible="start stop restart reload promote logrotate",
        destructive="kill",
        values="-D -m -l -t -o",
        when=(("stop", "immediate", DESTROY), ("restart", "immediate", DESTROY)),
    ),
    "pg_repack": always(CHANGE),
    "vacuumdb": always(CHANGE),
    "reindexdb": always(CHANGE),
    "createdb": always(CHANGE),
    "pg_restore": Flags(CHANGE, {"-c": DESTROY, "--clean": DESTROY, "-l": CHANGE}),
    "patronictl": Verbs(
        read="list history show-config topology version dsn query",
        reversible="pause resume reload restart edit-config switchover flush",
        destructive="failover reinit remove",
        values="-c -d --config-file --dcs",
    ),
    "repmgr": Verbs(
        read="cluster/show cluster/matrix cluster/crosscheck node/status node/check cluster/event",
        reversible="standby/switchover standby/follow standby/register witness/*",
        destructive="standby/promote standby/clone node/rejoin */unregister cluster/cleanup",
        values="-f",
    ),
    **dict.fromkeys(
        ("wal-g", "wal-e"),
        Verbs(
            read="backup-list st/ls wal-show",
            reversible="backup-push wal-push wal-fetch wal-prefetch",
            destructive="backup-fetch delete delete/*",
        ),
    ),
    "mongosh": _mongo,
    "mongo": _mongo,
    "mongostat": always(READ),
    "mongotop": always(READ),
    "mongodump": always(CHANGE),
    "mongorestore": Flags(CHANGE, {"--drop": DESTROY}, clusters=False),
    "nodetool": Verbs(
        read="status info ring tpstats tablestats cfstats compactionstats netstats gossipinfo "
        "describecluster proxyhistograms tablehistograms "
        "gcstats getendpoints version listsnapshots describering",
        reversible="repair flush compact cleanup drain enable* disable* set* snapshot rebuild refresh "
        "scrub start* stop* reload* upgradesstables",
        destructive="decommission removenode assassinate clearsnapshot truncatehints stopdaemon move "
        "invalidate* rebuild_index resetlocalschema",
        values="-h -p -u -pw --host",
    ),
}
