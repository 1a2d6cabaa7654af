"""The table of programs: what sends a text to a port or a socket (nc, socat, telnet), judged by that text.

First the options: what they run or write counts, whatever is sent, and an option that is not known may do either.
"""

from __future__ import annotations

import re

from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .queues import redis_sentence
from .rules import DYNAMIC, Call, Judge, Rule, always, option_values

_RUNNING = ("-e", "-c", "--exec", "--sh-exec", "--lua-exec")
_QUIET = re.compile(r"-[46nNvCdzu]*|-[46nNvCdzu]*[wqi]\d+(?:\.\d+)?|--(?:send-only|recv-only|no-shutdown|crlf|verbose)")
_TIMED = re.compile(r"-[46nNvCdzu]*[wqi]|--(?:wait|idle-timeout)")

_ENDS = re.compile(r"-|stdio|stdin", re.I)
_SOCKET = re.compile(r"(?:(?:unix|unix-connect|unix-client):)?(?P<path>[\w./<>{}-]+)", re.I)
_TCP = re.compile(r"(?:tcp|tcp[46]|tcp-connect|tcp[46]-connect|openssl):[\w.<>{}\[\]:-]+?:(?P<port>[\w<>{}-]+)", re.I)
_HARMLESS = re.compile(r"(?:,(?:cr|crnl|crlf|connect-timeout=[\d.]+|ignoreeof|shut-none|nodelay|keepalive))*", re.I)

_ESCAPE = re.compile(r"\\+(?:x[0-9a-f]{1,2}|u[0-9a-f]{1,4}|[0-7]{1,3}|.)|%.", re.I | re.S)
"""What `printf` makes another character of."""

_LOOKING = frozenset("show help prompt stat stats ruok mntr srvr conf cons envi isro".split())
_STATS = frozenset(("", "items", "slabs", "sizes", "settings", "conns"))
_MILD = frozenset("cache_memlimit slabs lru lru_crawler verbosity stats".split())


def _netcat(call: Call, judge: Judge) -> Risk:
    """nc, ncat, netcat, telnet: to a host and a port."""
    words: list[str] = []
    risks: list[Risk] = []
    args = list(call.args)
    if (
        call.stdin is None
        and call.program != "telnet"
        and any(re.fullmatch(r"-[46nvw\d]*z[46nvw\d]*", arg) for arg in args)
    ):
        asked = [arg for arg in args if arg.startswith("-") and not _QUIET.fullmatch(arg) and not _TIMED.fullmatch(arg)]
        return worst(READ, *(judge.opaque() for _ in asked))  # whether the port is open: nothing is sent
    local = "-U" in args
    while args:
        arg = args.pop(0)
        if arg == "-U":
            continue
        if not arg.startswith("-"):
            words.append(arg)
        elif _TIMED.fullmatch(arg) and args and re.fullmatch(r"\d+(?:\.\d+)?|<[^>]*>|PLACEHOLDER", args[0]):
            args.pop(0)
        elif not _QUIET.fullmatch(arg) or call.program == "telnet":
            risks += [judge.opaque(), by_words(call.args)]
            risks += map(judge.script, option_values(call.args, *_RUNNING))
            break
    port = words[1] if len(words) == 2 and not local else "socket" if local and len(words) == 1 else ""
    return worst(*risks, _sent(call.stdin, port, judge))


def _socat(call: Call, judge: Judge) -> Risk:
    """socat: one of its two addresses is the terminal, the other a socket, or some program that it runs."""
    words: list[str] = []
    strange: list[Risk] = []
    args = list(call.args)
    while args:
        arg = args.pop(0)
        if not arg.startswith("-") or arg == "-":
            words.append(arg)
        elif re.fullmatch(r"-[tT]", arg) and args:
            args.pop(0)
        elif not re.fullmatch(r"-[dvux]+|-[tT][\d.]+", arg):
            strange.append(judge.opaque())
    others = [word for word in words if not _ENDS.fullmatch(word)]
    port, known = "", len(words) == 2 and len(others) == 1
    for word in others:
        address, comma, options = word.partition(",")
        tcp, socket = _TCP.fullmatch(address), _SOCKET.fullmatch(address)
        known = (
            known and bool(tcp or (socket and "sock" in socket["path"])) and bool(_HARMLESS.fullmatch(comma + options))
        )
        port = tcp["port"] if tcp else "socket"
        run = re.match(r"(?:exec|system|shell):\s*(.*)", word, re.I | re.S)
        if run:
            strange.append(judge.script(re.sub(r",[\w=,-]*$", "", run[1]).strip("'\"")))
    if not known:
        strange += [judge.opaque(), by_words(call.args)]
    return worst(*strange, _sent(call.stdin, port, judge))


def _sent(text: str | None, port: str, judge: Judge) -> Risk:
    """The risk of what is sent. `port`: "socket" for one of the same machine, as HAProxy's."""
    if text is None or DYNAMIC in text:
        return judge.opaque()
    lines = _lines(text)
    if lines is None:
        return worst(judge.opaque(), by_words([_ESCAPE.sub(" ", text)]))
    if port == "11211":
        return worst(*map(_memcached, lines))
    if not port:
        return worst(judge.opaque(), *map(_line, lines))
    if port == "6379":
        return worst(*(redis_sentence([w.upper() for w in line]) or by_words(line) for line in lines))
    lines = [part.split() for line in lines for part in " ".join(line).split(";")]  # HAProxy's separator
    risk = worst(*map(_line, lines))
    return risk if port == "socket" or port in ("2181", "9999") else worst(risk, judge.opaque())


def _lines(text: str) -> list[list[str]] | None:
    """The words of each line; None where `printf` would make other characters of it than line ends."""
    text = re.sub(r"(?:\\r)?\\n|\r\n?", "\n", text.strip().strip("'\"")).replace("\\r", "\n")
    if "\\" in text or "%" in text:
        return None
    return [line.split() for line in text.split("\n") if line.split()]


def _memcached(words: list[str]) -> Risk:
    """A command of Memcached. `stats reset` sets the counters back, and what is not known of `stats` may cost."""
    if words[0] == "stats" and len(words) < 3 and "".join(words[1:]) in _STATS:
        return READ
    if words[0] in ("version", "quit") and len(words) == 1:
        return READ
    if words[0] in ("get", "gets") and all(re.fullmatch(r"[\w:.@/<>-]+", word) for word in words[1:]):
        return by_words(words[1:]) if any(word.startswith("flush") for word in words[1:]) else READ
    return worst(CHANGE if words[0] in _MILD else DESTROY, by_words(words))


def _line(words: list[str]) -> Risk:
    """A command of HAProxy's socket or of ZooKeeper's port."""
    if not words or words[0] in _LOOKING or words[:2] == ["get", "weight"]:
        return READ
    lost = words[0].lower() in ("shutdown", "clear", "del", "flush_all", "flushall", "flushdb", "kill")
    return DESTROY if lost else worst(CHANGE, by_words(words))


PROGRAMS: dict[str, Rule] = {
    "socat": _socat,
    **dict.fromkeys(("nc", "ncat", "netcat", "telnet"), _netcat),
    **dict.fromkeys(("memcflush", "memcrm", "memcerase", "memflush", "memrm"), always(DESTROY)),
}
