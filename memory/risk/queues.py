"""The table of programs: Redis, etcd, RabbitMQ, Kafka."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .level import CHANGE, DESTROY, READ, Risk, by_words, destructive_words, worst
from .rules import DYNAMIC, Call, Flags, Judge, Rule, Verbs, always, operands, placed

_REDIS_READ = """
AUTH SELECT HELLO PING ECHO INFO TIME DBSIZE LASTSAVE ROLE KEYS SCAN TYPE TTL PTTL EXISTS GET MGET STRLEN
GETRANGE RANDOMKEY
HGET HGETALL HMGET HKEYS HVALS HLEN HSCAN HEXISTS LLEN LRANGE LINDEX LPOS SMEMBERS SCARD SISMEMBER SSCAN
SRANDMEMBER ZCARD
ZCOUNT ZRANGE ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZSCORE ZRANK ZSCAN XLEN XRANGE XREVRANGE XINFO
XPENDING OBJECT
MEMORY/USAGE MEMORY/STATS MEMORY/DOCTOR MEMORY/MALLOC-STATS SLOWLOG/GET SLOWLOG/LEN LATENCY/LATEST
LATENCY/HISTORY
LATENCY/DOCTOR LATENCY/GRAPH CLIENT/LIST CLIENT/INFO CLIENT/GETNAME CLIENT/ID CONFIG/GET CLUSTER/INFO
CLUSTER/NODES
CLUSTER/SLOTS CLUSTER/SHARDS CLUSTER/KEYSLOT CLUSTER/MYID CLUSTER/COUNTKEYSINSLOT CLUSTER/GETKEYSINSLOT
CLUSTER/SLAVES
CLUSTER/REPLICAS CLUSTER/LINKS SENTINEL/MASTERS SENTINEL/MASTER SENTINEL/SLAVES SENTINEL/REPLICAS
SENTINEL/SENTINELS
SENTINEL/GET-MASTER-ADDR-BY-NAME SENTINEL/CKQUORUM SENTINEL/INFO-CACHE PUBSUB COMMAND MODULE/LIST ACL/LIST
ACL/USERS
ACL/WHOAMI ACL/GETUSER ACL/LOG ACL/CAT MONITOR SUBSCRIBE PSUBSCRIBE DUMP BITCOUNT PFCOUNT GEOPOS GEODIST
SDIFF SINTER SUNION
EXPIRETIME READONLY READWRITE WAIT QUIT SCRIPT/EXISTS FUNCTION/LIST FUNCTION/STATS DEBUG/OBJECT HELP
"""
_REDIS_CHANGE = """
SET SETNX MSET HSET HMSET HSETNX INCR INCRBY DECR DECRBY APPEND LPUSH RPUSH LPUSHX RPUSHX SADD ZADD XADD
RENAME RENAMENX COPY PERSIST
CONFIG/SET CONFIG/REWRITE CONFIG/RESETSTAT SLOWLOG/RESET LATENCY/RESET MEMORY/PURGE CLIENT/* BGSAVE SAVE
BGREWRITEAOF
SENTINEL/* CLUSTER/MEET CLUSTER/REPLICATE CLUSTER/SETSLOT CLUSTER/ADDSLOTS* EVAL EVALSHA FCALL PUBLISH MULTI
EXEC DISCARD WATCH
UNWATCH ACL/* MODULE/LOAD FUNCTION/LOAD SCRIPT/LOAD DEBUG/* TOUCH SORT GETSET GETEX HINCRBY ZINCRBY SMOVE
LMOVE RPOPLPUSH
"""
_REDIS_DESTROY = """
FLUSHALL FLUSHDB DEL UNLINK SHUTDOWN CLIENT/KILL CLUSTER/RESET CLUSTER/FAILOVER CLUSTER/FORGET
CLUSTER/DELSLOTS* CLUSTER/FLUSHSLOTS
DEBUG/SEGFAULT DEBUG/RELOAD DEBUG/FLUSHALL DEBUG/RESTART DEBUG/CRASH* SCRIPT/FLUSH SCRIPT/KILL
FUNCTION/FLUSH FUNCTION/KILL
FUNCTION/DELETE FUNCTION/RESTORE XTRIM LTRIM XDEL XACK HDEL SREM ZREM ZREMRANGE* LREM SPOP LPOP RPOP BLPOP
BRPOP ZPOPMIN ZPOPMAX GETDEL
EXPIRE PEXPIRE EXPIREAT PEXPIREAT MIGRATE RESTORE REPLICAOF SLAVEOF FAILOVER SWAPDB ACL/DELUSER
MODULE/UNLOAD
FT.DROP* FT.*DEL JSON.DEL JSON.FORGET JSON.CLEAR TS.DEL SENTINEL/REMOVE SENTINEL/RESET XGROUP/DESTROY XGROUP/DELCONSUMER
"""
_REDIS = Verbs(read=_REDIS_READ, reversible=_REDIS_CHANGE, destructive=_REDIS_DESTROY)
_REDIS_READ_FLAGS = re.compile(
    r"--(?:bigkeys|memkeys|hotkeys|keystats|stat|latency|latency-history|latency-dist|scan|version|intrinsic-latency)"
)


def _redis_line(words: Sequence[str]) -> Risk:
    """One Redis command, in whichever case."""
    if not words:
        return READ
    upper = [w.upper() for w in words]
    if upper[0] in ("REPLICAOF", "SLAVEOF") and upper[1:3] == ["NO", "ONE"]:
        return CHANGE
    if upper[:2] == ["CLUSTER", "FAILOVER"] and not {"FORCE", "TAKEOVER"} & set(upper):
        return CHANGE  # coordinated with the master: nothing is lost, and it can be taken back the same way
    if upper[0] in ("EVAL", "EVALSHA", "FCALL"):
        return (
            DESTROY
            if destructive_words(" ".join(words)) or re.search(r"['\"]del['\"]", " ".join(words), re.I)
            else CHANGE
        )
    found = _REDIS.lookup(upper)
    return found[1] if found else by_words(words)


def redis_sentence(words: Sequence[str]) -> Risk | None:
    """The risk of a bare Redis command written in capitals, as in `FLUSHALL`; None where it is none."""
    if not words[0].isupper() or _REDIS.lookup([w.upper() for w in words]) is None:
        return None
    return _redis_line(words)


_REDIS_VALUES = """
-h -p -s -a -u -n -r -i -t -d -D -X --user --pass --cacert --cert --key --pattern --quoted-pattern
--sni --count
"""


def _redis_cli(call: Call, judge: Judge) -> Risk:
    """redis-cli: its own modes, a command in its words, or commands on standard input."""
    args = call.args
    if "--cluster" in args:
        mode = args[args.index("--cluster") + 1 :][:1]
        if mode == ("call",):  # on every node
            return worst(CHANGE, _redis_line(operands(args[args.index("--cluster") + 3 :], _REDIS_VALUES)))
        return (
            READ
            if mode in (("check",), ("info",), ("help",))
            else DESTROY
            if mode in (("del-node",), ("fix",), ("import",))
            else CHANGE
        )
    words = operands(args, _REDIS_VALUES)
    if any(a in ("--pipe", "--eval", "--functions-rdb") for a in args):
        return judge.opaque()
    if any(a == "--rdb" for a in args):
        return CHANGE
    if words:
        # An option that we do not know may take the first word.
        other = [args[i] for i in placed(args, frozenset(_REDIS_VALUES.split()), greedy=True)]
        doubt = _redis_line(other) if other and _REDIS.lookup([w.upper() for w in other]) else READ
        return judge.opaque() if DYNAMIC in words[0] else worst(doubt, _redis_line(words))
    if any(_REDIS_READ_FLAGS.match(a) for a in args):
        return READ
    if call.stdin is None or DYNAMIC in call.stdin:
        return judge.opaque()
    return worst(*(_redis_line(line.split()) for line in call.stdin.strip("'\"").replace("\\n", "\n").splitlines()))


def _kafka(call: Call, judge: Judge) -> Risk:
    """The kafka-*.sh tools share their flags."""
    args = call.args
    if any(a in ("--delete", "--delete-offsets", "--delete-config") for a in args):
        return CHANGE if "--delete-config" in args else DESTROY
    if "--reset-offsets" in args:
        return DESTROY if "--execute" in args else READ
    if any(
        a
        in (
            "--create",
            "--alter",
            "--execute",
            "--add",
            "--remove",
            "--elect-leaders",
            "--cancel",
            "--election-type",
        )
        for a in args
    ):
        return DESTROY if "--remove" in args else CHANGE
    name = call.program
    if any(
        part in name
        for part in (
            "delete-records",
            "streams-application-reset",
            "leader-election",
            "server-stop",
            "storage",
        )
    ):
        return DESTROY if "delete" in name or "reset" in name or "storage" in name else CHANGE
    reading = ("--describe", "--list", "--verify", "--generate", "--state", "--members", "--version")
    reader = any(
        part in name
        for part in (
            "get-offsets",
            "log-dirs",
            "dump-log",
            "broker-api-versions",
            "console-consumer",
            "run-class",
        )
    )
    if "console-consumer" in name and "--group" in args:
        return CHANGE
    return READ if any(a in reading for a in args) or (reader and "run-class" not in name) else CHANGE


_ETCDCTL = Verbs(
    when=(("watch", "--", CHANGE),),
    read="get endpoint/* member/list alarm/list snapshot/status version check/* lease/list "
    "lease/timetolive watch auth/status user/list role/list user/get role/get",
    reversible="put compact compaction defrag alarm/disarm snapshot/save member/add member/promote "
    "member/update move-leader lease/grant "
    "lease/keep-alive user/* role/* auth/* lock elect make-mirror txn set mk",
    destructive="del snapshot/restore member/remove lease/revoke rm rmdir user/delete role/delete",
    values="--endpoints --cacert --cert --key --user --password -w --write-out --command-timeout "
    "--dial-timeout --ca-file --cert-file --key-file --limit",
)
_RABBIT = Verbs(
    read="status list_* cluster_status environment report ping node_health_check check_* list diagnostics "
    "memory_breakdown observer "
    "certificates listeners quorum_status show get_* runtime_thread_stats alarms message_size_stats "
    "eval_file help version os_env server_version",
    reversible="start_app stop_app set_* clear_* add_* change_password sync_queue cancel_sync_queue "
    "rotate_logs enable disable trace_on trace_off "
    "enable_feature_flag rebalance grow join_cluster await_startup declare publish import_definitions "
    "export_definitions authenticate_user "
    "resume_listeners suspend_listeners enable_all_stable_feature_flags eval",
    destructive="reset force_reset stop shutdown forget_cluster_node delete_* purge_queue "
    "close_connection close_all_connections "
    "close_all_user_connections force_boot delete purge force_gc shrink drain revive "
    "decommission_mqtt_node get remove_*",
    values="-n --node -p --vhost -q -H -P -u -V --host --port --username --password",
    clusters=False,
)

PROGRAMS: dict[str, Rule] = {
    "redis-cli": _redis_cli,
    "gitlab-redis-cli": _redis_cli,
    "valkey-cli": _redis_cli,
    "keydb-cli": _redis_cli,
    "etcdctl": _ETCDCTL,
    "etcdutl": _ETCDCTL,
    "rabbitmqctl": _RABBIT,
    "rabbitmq-diagnostics": _RABBIT,
    "rabbitmq-queues": _RABBIT,
    "rabbitmq-plugins": _RABBIT,
    "rabbitmq-upgrade": _RABBIT,
    "rabbitmqadmin": _RABBIT,
    **{
        tool + end: _kafka
        for tool in [
            "kafka-topics",
            "kafka-consumer-groups",
            "kafka-configs",
            "kafka-acls",
            "kafka-reassign-partitions",
            "kafka-leader-election",
            "kafka-preferred-replica-election",
            "kafka-get-offsets",
            "kafka-log-dirs",
            "kafka-dump-log",
            "kafka-broker-api-versions",
            "kafka-console-consumer",
            "kafka-console-producer",
            "kafka-delete-records",
            "kafka-run-class",
            "kafka-storage",
            "kafka-streams-application-reset",
            "kafka-server-stop",
            "kafka-server-start",
            "kafka-metadata-quorum",
            "kafka-transactions",
            "kafka-features",
        ]
        for end in ("", ".sh")
    },
    "kafkactl": _kafka,
    "kcat": Flags(READ, {"-P": CHANGE}),
    "kafkacat": Flags(READ, {"-P": CHANGE}),
    "zkCli.sh": always(CHANGE),
}
