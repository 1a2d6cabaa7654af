"""The table of programs: the shell's own, files, processes, services and the network."""

from __future__ import annotations

import re
from collections.abc import Callable

from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .rules import (
    Call,
    Flags,
    Judge,
    Rule,
    Verbs,
    always,
    has_flag,
    operands,
    option_values,
    target_risk,
)
from .sed import sed

_ALWAYS_READ = """
: [ [[ true false test echo printf cd pwd pushd popd dirs export local declare readonly typeset unset set
shopt shift
return exit break continue read wait sleep type which whereis whatis hash jobs  let expr seq
basename dirname
realpath readlink id whoami who w last users groups uname uptime nproc arch getconf locale tty cal
cat tac nl head tail more zcat zless zmore bzcat xzcat zstdcat od  hexdump strings file stat ls dir
tree du df lsblk
blkid findmnt grep egrep fgrep ag zgrep zegrep bzgrep zfgrep cut tr paste join comm column fold fmt rev
wc cmp diff
sdiff colordiff md5sum sha1sum sha224sum sha256sum sha512sum cksum sum base64 base32 jq gron test
ps pstree pgrep pidof top htop atop free vmstat iostat mpstat pidstat nfsstat sar dstat slabtop iotop iftop
nload
nethogs lsof pmap lscpu lsmem lspci lsusb lsmod modinfo numastat getent getfacl lsattr namei smem ipcs
ping ping6 tracepath traceroute traceroute6 mtr dig host nslookup drill whois  netstat nmap arping ethq
nstat lnstat rtmon getenforce sestatus ausearch aureport lastb  ntpq  
 sensors lshw dmidecode hostid zdump ldd nm objdump readelf size jstat jps pstack gstack
pt-query-digest pt-summary pt-mysql-summary mytop innotop pg_isready pg_controldata pg_waldump pgbadger
pg_test_timing
check-jsonschema yamllint shellcheck   lsns lsipc systemd-cgtop systemd-cgls systemd-analyze
 look tsort bc  numfmt shuf yes times  history getopts getopt logname printenv envsubst
"""

_ALWAYS_CHANGE = """
mkdir touch chmod chown chgrp setfacl cp ln install rsync scp sftp tar gzip gunzip bzip2 xz zstd unzip zip
apt yum dnf zypper pip  hostnamectl timedatectl localectl loginctl chattr mount umount swapon
modprobe
renice  ulimit umask source . screen tmux logrotate certbot useradd usermod groupadd passwd
chpasswd
setenforce setsebool semanage restorecon update-ca-certificates update-alternatives ssh-keygen ssh-copy-id
ssh-keyscan
ssh-add ifup mysqldump pg_dump pg_dumpall pg_basebackup gdb perf bpftrace vi vim nano
emacs ed patch split csplit mkfifo mknod sync  telnet nc ncat netcat socat gpg pvcreate vgextend lvextend
resize2fs xfs_growfs growpart partprobe blockdev fio stress stress-ng ab wrk hey pgbench
"""

_ALWAYS_DESTROY = """
rm rmdir unlink shred srm mkfs wipefs fdisk sfdisk parted gdisk sgdisk truncate reboot poweroff halt
shutdown
init telinit kexec killall5 swapoff userdel groupdel lvremove vgremove pvremove lvreduce mkswap cryptsetup
blkdiscard debugfs
rmmod xfs_repair e2fsck fsck  dropdb dropuser pg_resetwal pg_rewind ifdown  ipcrm tmpwatch tmpreaper
badblocks hdparm rimraf del rd xkill
"""

_GENTLE_SIGNALS = frozenset(
    [
        "HUP",
        "USR1",
        "USR2",
        "CONT",
        "TTIN",
        "TTOU",
        "STOP",
        "TSTP",
        "QUIT",
        "WINCH",
        "1",
        "3",
        "10",
        "12",
        "18",
        "19",
        "20",
    ]
)


def _kill(call: Call, judge: Judge) -> Risk:
    """Signals that ask for a reload or a dump are reversible; `-0`, `-l` look; others end running work."""
    signals = [
        *option_values(call.args, "-s", "--signal"),
        *(a[1:] for a in call.args[:1] if a.startswith("-")),
    ]
    names = [s.upper().removeprefix("SIG") for s in signals if s and s.upper() != "S"]
    if any(n in ("0", "L") for n in names) or "--list" in call.args:
        return READ
    return CHANGE if any(n in _GENTLE_SIGNALS for n in names) else DESTROY


_MOST_RUNS = 10
"""Commands of one `find` that are read."""


def _find(call: Call, judge: Judge) -> Risk:
    """`find` reads, unless it deletes, writes a list or runs a command on what it finds."""
    risks, args = [READ], list(call.args)
    runs = 0
    for i, arg in enumerate(args):
        if runs > _MOST_RUNS:  # each may hold all that follow
            return worst(*risks, judge.opaque(), by_words(args))
        if arg == "-delete":
            risks.append(DESTROY)
        elif arg.startswith(("-fprint", "-fls")):
            risks.append(worst(CHANGE, *(target_risk(path) for path in args[i + 1 : i + 2])))
        elif arg in ("-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"):
            runs += 1
            rest = args[i + 1 :]
            end = next((j for j, a in enumerate(rest) if a in (";", "+")), len(rest))
            risks.append(judge.argv(rest[:end]) if rest[:end] else CHANGE)
    return worst(*risks)


def _tee(call: Call, judge: Judge) -> Risk:
    return worst(*(target_risk(path) for path in operands(call.args)))


def _dd(call: Call, judge: Judge) -> Risk:
    outputs = [a[3:] for a in call.args if a.startswith("of=")]
    return worst(*(READ if out == "/dev/null" else CHANGE if out.startswith("/tmp/") else DESTROY for out in outputs))


def _rsync_programs(call: Call, judge: Judge) -> Risk:
    """What runs even in a dry run: the remote shell, the program on the other side; and what is written then."""
    risks = [judge.script(f"{shell} host true") for shell in option_values(call.args, "-e", "--rsh")]
    for path in option_values(call.args, "--rsync-path"):
        risks.append(READ if re.fullmatch(r"(?:sudo\s+)?[\w./-]*rsync", path) else worst(CHANGE, judge.script(path)))
    logs = option_values(call.args, "--log-file", "--write-batch", "--only-write-batch")
    return worst(*risks, *(target_risk(path) for path in logs))


def _copy(call: Call, judge: Judge) -> Risk:
    """cp, mv, rsync: what they write over is gone, but only devices and /dev/null are certain losses."""
    words = operands(call.args)
    risk = READ
    if call.program == "rsync":
        risk = _rsync_programs(call, judge)
        dry = has_flag(call.args, "-n", valued="eBTfM@") or "--dry-run" in call.args
        if dry and not any(a.startswith(("--no-n", "--no-dry")) for a in call.args):
            return risk
    if any(w == "/dev/null" for w in words) or any(
        a.startswith(("--delete", "--del", "--remove-source")) for a in call.args
    ):
        return DESTROY
    return (
        DESTROY
        if words and words[-1].startswith("/dev/") and target_risk(words[-1]) is DESTROY
        else worst(CHANGE, risk)
    )


def _awk(call: Call, judge: Judge) -> Risk:
    code = " ".join(call.args)
    if re.search(r"\bsystem\s*\(|\|\s*getline|\|\s*\"|\|&", code):
        return worst(CHANGE, by_words(call.args))
    prints = (statement[at:] for statement in re.split(r"[;}\n]", code) if (at := statement.find("print")) >= 0)
    writes = ">>" in code or any(">" in said or "|" in said for said in prints)
    writes = writes or any(a in ("-i", "-f", "--file", "-l") for a in call.args)
    return CHANGE if writes else READ


def _outputs(*flags: str, values: str = "") -> Rule:
    """A reader that writes a file when one of the flags names one."""

    def rule(call: Call, judge: Judge) -> Risk:
        return worst(*(worst(target_risk(p)) for p in option_values(call.args, *flags)))

    return rule


def _without_arguments(read: str) -> Callable[[Call, Judge], Risk]:
    """A program that shows when called alone or with one of the words given, and else changes."""
    shown = frozenset(read.split())

    def rule(call: Call, judge: Judge) -> Risk:
        return READ if all(a in shown for a in call.args) else CHANGE

    return rule


def _second_operand(call: Call, judge: Judge) -> Risk:
    """uniq and xxd write their second operand."""
    return worst(*(target_risk(path) for path in operands(call.args, "-f -s -w -l -c -g -o")[1:2]))


def _later(call: Call, judge: Judge) -> Risk:
    """at and batch run what stands on their standard input."""
    return worst(CHANGE, judge.script(call.stdin) if call.stdin else CHANGE)


def _tcpdump(call: Call, judge: Judge) -> Risk:
    """A capture listens on the host's interfaces; what was captured is only read."""
    return READ if has_flag(call.args, "-r") and not has_flag(call.args, "-w") else CHANGE


def _crontab(call: Call, judge: Judge) -> Risk:
    return DESTROY if has_flag(call.args, "-r") else READ if has_flag(call.args, "-l") else CHANGE


_TAR = Flags(
    READ,
    {
        "-x": CHANGE,
        "-c": CHANGE,
        "-r": CHANGE,
        "-u": CHANGE,
        "--extract": CHANGE,
        "--create": CHANGE,
        "--checkpoint-action*": CHANGE,
        "--to-command*": CHANGE,
        "--remove-files": DESTROY,
        "--delete": DESTROY,
    },
)
_COMPRESSOR = re.compile(r"(?:gzip|pigz|bzip2|pbzip2|xz|pixz|zstd|pzstd|lz4|lzop|lzip|plzip)(?:\s+-[\w-]+)*")


def _program(command: str, judge: Judge) -> Risk:
    """A program that an option names: a compressor only does its work, others are judged and never read-only."""
    return READ if _COMPRESSOR.fullmatch(command) else worst(CHANGE, judge.script(command))


def _tar(call: Call, judge: Judge) -> Risk:
    """tar; options name programs that it runs, long ones may be shortened."""
    args = [re.sub(r"^--(?:use-c|rsh|rmt|info-s|new-v|to-c)[\w-]*", "--run", arg) for arg in call.args]
    programs = option_values(args, "--run", "-I", "-F")
    risk = worst(_TAR(call, judge), *(_program(p.removeprefix("exec="), judge) for p in programs))
    loaded = re.match(r"[A-Za-z]*[xcruAIF]", args[0]) if args else None
    writes = loaded or any(re.match(r"--(?:ch\w*-a|ind|remo|del|ext|get|cr|app|up|cat)", a) for a in args)
    return worst(risk, CHANGE) if writes else risk


def _sort(call: Call, judge: Judge) -> Risk:
    """sort reads, unless it writes a file or is told what to compress with."""
    args = [re.sub(r"^--o\w*", "--output", re.sub(r"^--co[\w-]*", "--run", arg)) for arg in call.args]
    programs = (_program(p, judge) for p in option_values(args, "--run"))
    return worst(*programs, *(target_risk(p) for p in option_values(args, "-o", "--output")))


def _date(call: Call, judge: Judge) -> Risk:
    sets = any(re.fullmatch(r"\d{8,12}(?:\.\d\d)?", word) for word in operands(call.args, "-d --date -r -f"))
    return CHANGE if sets or has_flag(call.args, "-s", valued="drfI") or has_flag(call.args, "--s*") else READ


PROGRAMS: dict[str, Rule] = {
    **dict.fromkeys(_ALWAYS_READ.split(), always(READ)),
    **dict.fromkeys(_ALWAYS_CHANGE.split(), always(CHANGE)),
    **dict.fromkeys(_ALWAYS_DESTROY.split(), always(DESTROY)),
    # files
    "uniq": _second_operand,
    "xxd": _second_operand,
    "history": Flags(READ, dict.fromkeys(["-c", "-d", "-w", "-a", "-r", "-n", "-s", "-p"], CHANGE)),
    "lastlog": Flags(READ, dict.fromkeys(["-C", "-S", "--clear*", "--set*"], CHANGE)),
    "faillog": Flags(READ, dict.fromkeys(["-r", "-m", "-l", "--reset*", "--max*", "--lock*"], CHANGE)),
    "sar": Flags(READ, {"-o": CHANGE}),
    "find": _find,
    "fd": _find,
    "tee": _tee,
    "dd": _dd,
    "sed": sed,
    "gsed": sed,
    **dict.fromkeys(["awk", "gawk", "mawk", "nawk"], _awk),
    **dict.fromkeys(["cp", "mv", "rsync", "install", "scp"], _copy),
    "sort": _sort,
    "yq": Flags(READ, {"-i": CHANGE, "--inplace": CHANGE}),
    "xmllint": Flags(READ, {"--output": CHANGE}, clusters=False),
    "tree": Flags(READ, {"-o": CHANGE}),
    "tar": _tar,
    "unzip": Flags(CHANGE, {}),
    "crontab": _crontab,
    "date": _date,
    "hostname": _without_arguments("-f -I -i -s -d -A --fqdn"),
    "umask": _without_arguments(""),
    "ulimit": _without_arguments("-a -n -u -Hn -Sn -H -S -c -l -v"),
    "mount": _without_arguments("-l -v"),
    "swapon": _without_arguments("-s --show --summary"),
    "journalctl": Flags(
        READ,
        {"--vacuum*": DESTROY, "--rotate": CHANGE, "--flush": CHANGE, "--setup-keys": CHANGE},
        clusters=False,
    ),
    "dmesg": Flags(READ, {"-C": DESTROY, "-c": DESTROY, "--clear": DESTROY, "--read-clear": DESTROY, "-n": CHANGE}),
    "smartctl": Flags(READ, {"-t": CHANGE, "-s": CHANGE, "--test*": CHANGE, "--set*": CHANGE}),
    "fuser": Flags(READ, {"-k": DESTROY, "--kill": DESTROY}),
    "logger": always(CHANGE),
    "tcpdump": _tcpdump,
    "less": Flags(READ, {"+*": CHANGE}, clusters=False),
    "man": Flags(READ, {"-P": CHANGE, "--pager*": CHANGE}, clusters=False),
    "rg": Flags(READ, {"--pre*": CHANGE}, clusters=False),
    **dict.fromkeys(["at", "batch"], _later),
    "lvs": always(READ),
    "vgs": always(READ),
    "pvs": always(READ),
    "lvdisplay": always(READ),
    "vgdisplay": always(READ),
    "pvdisplay": always(READ),
    "zpool": Verbs(
        read="status list iostat history get",
        reversible="scrub online clear set import export add attach replace upgrade resilver",
        destructive="destroy offline detach remove labelclear create",
    ),
    "zfs": Verbs(
        read="list get diff",
        reversible="set create snapshot mount unmount send clone rename inherit hold release",
        destructive="destroy rollback receive recv",
    ),
    "mdadm": Flags(
        CHANGE,
        {
            "--zero-superblock": DESTROY,
            "--stop": DESTROY,
            "--remove": DESTROY,
            "--fail": DESTROY,
            "--create": DESTROY,
        },
        clusters=False,
    ),
    # processes and services
    "kill": _kill,
    "pkill": _kill,
    "killall": _kill,
    "skill": _kill,
}
