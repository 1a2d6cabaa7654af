"""The table of programs: the network, web and proxy servers, and the Java virtual machine."""

from __future__ import annotations

import re

from .level import CHANGE, DESTROY, READ, Risk, by_words, destructive_words, worst
from .rules import (
    DYNAMIC,
    Call,
    Flags,
    Judge,
    Rule,
    Runs,
    Verbs,
    always,
    has_flag,
    operands,
    option_values,
    target_risk,
)

_LOSING_URL = re.compile(
    r"delete|purge|shutdown|drop|terminate|destroy|quitquitquit|flush|truncate|wipe|kill|_forcemerge|abort|remove",
    re.I,
)
_BODY_FLAGS = ("-d", "-F", "-T", "--data*", "--form*", "--json*", "--upload-file*")


def _curl(call: Call, judge: Judge) -> Risk:
    """By the method, explicit or implied by a body, by the URL, and by the file that the answer goes to."""
    args = call.args
    valued = (
        "-H",
        "-A",
        "-e",
        "-u",
        "-b",
        "-w",
        "-x",
        "-E",
        "-m",
    )  # their values may look like clusters of flags
    plain = [a for i, a in enumerate(args) if not (i and args[i - 1] in valued) and not a.startswith(valued)]
    methods = [m.upper() for m in option_values(plain, "-X", "--request")]
    body = any(has_flag(plain, flag) if len(flag) == 2 else has_flag(plain, flag, False) for flag in _BODY_FLAGS)
    if not methods:
        query = has_flag(plain, "-G", valued="XodFTHAeubwxEmKQDcC") or "--get" in plain
        methods = ["POST" if body and not query else "GET"]
    known = {"GET": READ, "HEAD": READ, "OPTIONS": READ, "DELETE": DESTROY, "PURGE": DESTROY}
    risks = [worst(*(known.get(method, CHANGE) for method in methods))]
    if any(
        re.match(r"(?!https?:|file:|ftps?:)[a-z]+://", a, re.I) for a in plain
    ):  # telnet://, gopher://: it sends anything
        risks.append(worst(judge.opaque(), by_words([*args, call.stdin or ""])))
    loses = any(_LOSING_URL.search(a) for a in plain if "/" in a and not a.startswith("-"))
    if loses:
        risks.append(CHANGE if risks[0] is READ else DESTROY)
    elif risks[0] is CHANGE and any(destructive_words(v) for v in option_values(plain, "-d", "--data", "--json")):
        risks.append(DESTROY)
    risks += [target_risk(path) for path in option_values(plain, "-o", "--output")]
    writes = ("-O", "-K", "-Q", "-J", "-D", "-c")
    if any(has_flag(plain, f) for f in writes) or any(
        a.startswith(("--remote-name", "--config", "--quote")) for a in plain
    ):
        risks.append(CHANGE)
    return worst(*risks)


def _wget(call: Call, judge: Judge) -> Risk:
    text = " ".join(call.args)
    if re.search(r"--method[= ]DELETE|--delete-after", text, re.I):
        return DESTROY
    shown = re.search(r"(?:^|\s)(?:--spider|-[a-zA-Z]*O\s*-|--output-document=-|-[a-zA-Z]*O\s*/dev/null)(?:\s|$)", text)
    return READ if shown and not re.search(r"--post|--body|--method", text) else CHANGE


def _httpie(call: Call, judge: Judge) -> Risk:
    methods = {w.upper() for w in operands(call.args)[:1]}
    changes = any(re.match(r"[\w.-]+:?=", w) for w in operands(call.args)[1:])
    return (
        DESTROY
        if "DELETE" in methods
        else CHANGE
        if changes or methods & {"POST", "PUT", "PATCH"} or call.stdin
        else READ
    )


def _assigns(call: Call, judge: Judge) -> Risk:
    """sysctl: reads a name, writes `name=value` or with -w, -p, --system."""
    writes = (
        any("=" in a for a in call.args)
        or any(has_flag(call.args, f) for f in ("-w", "-p", "-f"))
        or "--system" in call.args
    )
    return CHANGE if writes else READ


def _iptables(call: Call, judge: Judge) -> Risk:
    # Long options may be shortened.
    if any(has_flag(call.args, flag) for flag in ("-F", "-X", "-Z")) or any(
        re.match(r"--(?:fl|z|delete-)", a) for a in call.args
    ):
        return DESTROY
    changing = any(
        re.match(r"-[AIDRPNEM]$|--(?:a|ins|del|rep|pol|ne|ren|mod|set-c)", a) for a in call.args
    )  # --modprobe runs a program
    return (
        READ
        if not changing
        and any(a.startswith(("-L", "-S", "-nL", "-vnL", "-C", "--list", "-vL", "-nvL")) for a in call.args)
        else CHANGE
    )


_JCMD_READ = re.compile(
    r"Thread\.print|VM\.(?:version|flags|uptime|command_line|system_properties|native_memory|info|classloader_stats"
    r"|classloaders|metaspace|stringtable|symboltable|dynlibs|events)|GC\.(?:heap_info|class_histogram|class_stats"
    r"|finalizer_info)|JFR\.check|PerfCounter\.print|Compiler\.(?:queue|codecache|codelist)|help|Help"
)


def _jcmd(call: Call, judge: Judge) -> Risk:
    """jcmd PID COMMAND: what is not known to look may set a flag or dump gigabytes."""
    commands = operands(call.args)[1:2]
    return READ if all(_JCMD_READ.fullmatch(c) for c in commands) and "-f" not in call.args else CHANGE


def _checks(flags: str) -> Rule:
    """A server's own binary, which with one of the flags only tests its configuration."""
    testing = flags.split()

    def rule(call: Call, judge: Judge) -> Risk:
        signals = has_flag(call.args, "-s") or has_flag(call.args, "-sf", clusters=False)
        return READ if not signals and any(flag in call.args for flag in testing) else CHANGE

    return rule


_IP_NOUNS = "addr address a link l route r neigh neighbor n rule netns tunnel maddr mroute xfrm vrf"
_IP = Verbs(
    read=" ".join(f"{noun} {noun}/show {noun}/list {noun}/ls {noun}/get {noun}/lst" for noun in _IP_NOUNS.split())
    + " monitor",
    reversible="*/add */set */del */delete */replace */change */append */up */down */exec",
    destructive="*/flush link/del link/delete netns/del netns/delete l/del l/delete",
    bare=_IP_NOUNS,
    values="-n -netns -f -family",
    runs={"netns/exec": Runs()},
)

_OPENSSL = Verbs(
    read="s_client x509 verify version ciphers crl ocsp asn1parse dgst md5 sha256 rsa pkey ec pkcs12 "
    "pkcs7 req enc base64 rand speed s_time prime errstr list",
    reversible="genrsa genpkey ca s_server ecparam dhparam passwd",
    when=(("*", "-out", CHANGE), ("*", "-keyout", CHANGE), ("*", "-writerand", CHANGE)),
)


def _openssl(call: Call, judge: Judge) -> Risk:
    """openssl; `s_client` sends what it reads, unless that is nothing or a request that asks."""
    risk = _OPENSSL(call, judge)
    if "s_client" not in call.args or call.stdin is None or re.fullmatch(r"\s*(?:Q|QUIT|)\s*", call.stdin):
        return risk
    if re.match(r"['\"]?(?:GET|HEAD) /", call.stdin) and DYNAMIC not in call.stdin:
        return worst(risk, CHANGE if _LOSING_URL.search(call.stdin) else READ)
    return worst(risk, judge.opaque(), by_words([call.stdin]))


PROGRAMS: dict[str, Rule] = {
    "curl": _curl,
    "awscurl": _curl,
    "wget": _wget,
    "http": _httpie,
    "https": _httpie,
    "sysctl": _assigns,
    "iptables": _iptables,
    "ip6tables": _iptables,
    "iptables-save": always(READ),
    "iptables-restore": always(DESTROY),
    "nft": Verbs(
        read="list",
        reversible="add insert create rename replace",
        destructive="flush delete destroy reset",
        values="-f",
        clusters=False,
    ),
    "ipset": Verbs(read="list test save", reversible="add create del", destructive="flush destroy restore"),
    "ufw": Verbs(
        read="status show version",
        reversible="allow deny reject limit enable reload insert delete logging route",
        destructive="reset disable",
    ),
    "firewall-cmd": Flags(
        READ,
        {
            "--add*": CHANGE,
            "--remove*": CHANGE,
            "--reload": CHANGE,
            "--set*": CHANGE,
            "--complete-reload": DESTROY,
            "--panic-on": DESTROY,
            "--runtime-to-permanent": CHANGE,
            "--change*": CHANGE,
            "--new*": CHANGE,
            "--delete*": DESTROY,
        },
        clusters=False,
    ),
    "conntrack": Flags(
        READ,
        {"-F": DESTROY, "--flush": DESTROY, "-D": DESTROY, "--delete": DESTROY, "-I": CHANGE, "-U": CHANGE},
        clusters=False,
    ),
    "tc": Verbs(
        read="*/show */list */ls -s",
        reversible="*/add */change */replace */del */delete",
        destructive="",
        values="-n",
    ),
    "ipvsadm": Flags(
        READ,
        {
            "-C": DESTROY,
            "-D": DESTROY,
            "-d": DESTROY,
            "-A": CHANGE,
            "-a": CHANGE,
            "-e": CHANGE,
            "-E": CHANGE,
            "-R": DESTROY,
        },
    ),
    "ethtool": Flags(
        READ,
        {
            "-s": CHANGE,
            "-K": CHANGE,
            "-G": CHANGE,
            "-C": CHANGE,
            "-A": CHANGE,
            "-L": CHANGE,
            "-r": CHANGE,
            "-p": CHANGE,
            "-E": DESTROY,
            "--reset": DESTROY,
            "-f": DESTROY,
            "-t": CHANGE,
            "-X": CHANGE,
            "-N": CHANGE,
            "--flash": DESTROY,
            "--set*": CHANGE,
            "--change": CHANGE,
        },
        clusters=False,
    ),
    "ifconfig": Flags(
        READ,
        {
            "up": CHANGE,
            "down": CHANGE,
            "netmask": CHANGE,
            "mtu": CHANGE,
            "add": CHANGE,
            "del": CHANGE,
            "hw": CHANGE,
            "[0-9]*.*": CHANGE,
        },
    ),
    "route": Flags(READ, {"add": CHANGE, "del": CHANGE, "delete": CHANGE, "flush": DESTROY, "change": CHANGE}),
    "arp": Flags(READ, {"-d": CHANGE, "-s": CHANGE, "-f": CHANGE}),
    "resolvectl": Verbs(
        read="status query statistics show* service openpgp tlsa",
        reversible="flush-caches reset-statistics dns domain reset-server-features",
        alone=READ,
    ),
    "rndc": Verbs(
        read="status zonestatus",
        reversible="reload reconfig flush flushname flushtree freeze thaw notify refresh retransfer sync "
        "querylog trace",
        destructive="stop halt",
    ),
    "openssl": _openssl,
    "nginx": _checks("-t -T -v -V"),
    "apachectl": Verbs(
        read="configtest status fullstatus -t -S", reversible="graceful restart start stop graceful-stop"
    ),
    "haproxy": _checks("-c -v -vv"),
    "ip": _IP,
    "visudo": always(CHANGE),
    "nmcli": Verbs(
        read="*/show */status general device connection networking radio",
        reversible="*/up */down */add */modify */connect */disconnect */reload */reapply */set */on */off",
        destructive="*/delete con/del c/del",
    ),
    "promtool": Verbs(read="check query test debug", reversible="tsdb push", values="--http.config.file"),
    "amtool": Verbs(
        read="alert silence/query check-config config cluster alert/query template",
        reversible="silence/add silence/import silence/update silence/expire alert/add",
        values="--alertmanager.url --config.file -o",
    ),
    # the JVM
    "jcmd": _jcmd,
    "nmap": Flags(READ, {"-o*": CHANGE, "--script*": CHANGE, "--resume*": CHANGE}, clusters=False),
    "ss": Flags(READ, {"-K": DESTROY, "--kill": DESTROY}),
    "chronyc": Verbs(read="tracking sources sourcestats activity ntpdata clients serverstats", values="-h -p"),
    "jstack": Flags(READ, {"-F": CHANGE}),
    "jinfo": Flags(READ, {"-flag": CHANGE}, clusters=False),
    "jmap": Flags(READ, {"-dump*": CHANGE, "-histo:live*": CHANGE, "-F": CHANGE}, clusters=False),
}
