"""Hosts, files, version control, infrastructure as code, queues: the read-only counterpart of what destroys there."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from .guard import NO_WAY_BACK, Safeguard
from .split import bare, given, operands

Handler = Callable[[list[str]], Safeguard | None]


def _plain(words: list[str]) -> list[str]:
    return [word for word in words[1:] if not word.startswith("-")]


def _rm(words: list[str]) -> Safeguard | None:
    paths = " ".join(_plain(words))
    return Safeguard(
        f"ls -la {paths} && du -sh {paths}" if paths else None,
        "Is it the path that is meant (no empty variable in it, right host), and does a process hold it open (lsof)",
        f"{NO_WAY_BACK}: move it aside instead (mv to a place on the same disk) if the space is not needed at once.",
    )


def of_file(path: str) -> Safeguard:
    """The safeguard of a file that is emptied or written over."""
    return Safeguard(
        f"ls -l {path} && tail -n 5 {path}",
        "Is it the file that is meant, and does anybody still need what is in it",
        f"{NO_WAY_BACK}: copy it first (cp -a {path} {path}.before).",
    )


def _last_file(words: list[str]) -> Safeguard | None:
    plain = [word for word in _plain(words) if word != "/dev/null"]
    return of_file(plain[-1]) if plain else None


_TRUNCATE_VALUES = frozenset("-s --size -r --reference".split())


def _truncate(words: list[str]) -> Safeguard | None:
    paths = " ".join(word for word in operands(words, _TRUNCATE_VALUES))
    return Safeguard(
        f"ls -l {paths} && tail -n 5 {paths}" if paths else None,
        "Does anybody still need what is in it", f"{NO_WAY_BACK}: copy it to another disk first.",
    )  # fmt: skip


def _find(words: list[str]) -> Safeguard | None:
    kept: list[str] = []
    for word in words:
        if word in ("-delete", "-exec", "-execdir", "-ok", "-okdir", "-x", "-X"):
            break
        kept.append(word)
    return Safeguard(
        " ".join([*kept, *(() if bare(words[0]) == "fd" else ("-ls",))]), "Every line of this list is removed",
        f"{NO_WAY_BACK}: the files are gone.",
    )  # fmt: skip


def _disk(words: list[str]) -> Safeguard | None:
    devices = " ".join(w.removeprefix("of=") for w in _plain(words) if w.startswith(("/dev/", "of=/dev/")))
    return Safeguard(
        f"lsblk -f {devices}".strip(), "Is anything mounted from it, and is there a file system or a volume group on it",
        f"{NO_WAY_BACK}: what was on the device is gone.",
    )  # fmt: skip


_PKILL_VALUES = frozenset("-u -U -P -g -G -t -s -F --euid --uid --parent --group --terminal --session --ns".split())
_SIGNAL = re.compile(r"-(?:\d+|(?:SIG)?[A-Z]{2,}\d*)|--signal=.*|-e|-q|-w")


def _picked(words: list[str]) -> list[str]:
    """What pkill or killall picks by: their words without the signal."""
    signals = {"--signal"} | ({"-s"} if bare(words[0]) == "killall" else set())
    kept = [w for before, w in pairwise(words) if w not in signals and before not in signals]
    return [re.sub(r"^-9f$", "-f", word) for word in kept if not _SIGNAL.fullmatch(word)]


def _kill(words: list[str]) -> Safeguard | None:
    program = bare(words[0])
    named = operands(words, frozenset({"-s", "-n", "--signal"}))
    if not words[1:]:
        return None
    check: str | None
    if program == "kill":
        check = f"ps -o pid,user,etime,args -p {' '.join(named)}" if named else None
    else:
        picked = _picked(words)
        simple = program == "pkill" or not [w for w in picked if w.startswith("-") and w != "-u"]
        one = len(operands(["", *picked], _PKILL_VALUES)) < 2
        full, rest = "-f" in picked, [word for word in picked if word != "-f"]
        check = " ".join(["pgrep -fa" if full else "pgrep -a", *rest]) if picked and simple and one else None
    return Safeguard(
        check, "Is it the process that is meant, how old is it, and what starts it again",
        f"{NO_WAY_BACK} for what it was doing; it runs again only if a supervisor or you start it.",
    )  # fmt: skip


def _power(words: list[str]) -> Safeguard | None:
    return Safeguard(
        "uptime && who && systemctl list-units --failed",
        "Who is on it, is it the only one of its kind, does its console work",
        f"{NO_WAY_BACK} for what runs on it; services that are enabled come up with the host.",
    )


def _systemctl(words: list[str]) -> Safeguard | None:
    where = frozenset("-H --host -M --machine --root".split())
    units = operands(words, where | frozenset("-s --signal --kill-who --kill-whom -t --type --state -p -n -o".split()))[
        1:
    ]
    targets = [*given(words, where), *(w for w in words if w == "--user")]
    if not units:
        found = _power(words)
        return Safeguard(None, found.look, found.way_back) if targets and found else found
    return Safeguard(
        " ".join(["systemctl", *targets, "status", *units]), "What runs in it now, and what depends on it",
        f"systemctl start {' '.join(units)}; work in progress is lost.",
    )  # fmt: skip


def _iptables(words: list[str]) -> Safeguard | None:
    table = f" -t {words[words.index('-t') + 1]}" if "-t" in words[:-1] else ""
    program = bare(words[0])
    return Safeguard(
        f"{program}-save{table}", "Does a DROP policy stand behind these rules: then a flush locks you out; and whose are they",
        f"Save them first ({program}-save > ~/rules.before), then {program}-restore < ~/rules.before.",
    )  # fmt: skip


def _git(words: list[str]) -> Safeguard | None:
    args = list(words[1:])
    client = "git"
    while len(args) > 1 and args[0] in ("-C", "-c"):
        client += f" {args[0]} {args[1]}"
        del args[:2]
    verb, rest = (args[0], args[1:]) if args else ("", [])
    plain = [word for word in rest if not word.startswith("-")]
    if verb == "reset":
        return Safeguard(
            f"{client} status --short && {client} log --oneline -5",
            "Changes that are not committed are lost: stash them first (git stash -u)",
            f"{client} reset --hard ORIG_HEAD brings the commits back (git reflog has them), not what was uncommitted.",
        )
    if verb == "clean":
        flags = " ".join(word.replace("f", "n") if re.fullmatch(r"-[a-zA-Z]+", word) else word for word in rest)
        return Safeguard(f"{client} clean {flags if 'n' in flags else '-n ' + flags}".strip(), "These files go",
                         f"{NO_WAY_BACK}: git never had them.")  # fmt: skip
    if verb == "push":
        remote = plain[0] if plain else "origin"
        branch = plain[1].lstrip("+:").split(":")[-1] if len(plain) > 1 else "HEAD"
        return Safeguard(
            f"{client} ls-remote {remote} {branch}",
            "Note this commit: it is what the remote has now, and whose work it is",
            "Push the noted commit to the branch again; who pulled in between has to know.",
        )
    if verb in ("branch", "tag", "stash", "worktree"):
        listing = {"branch": "branch -vv", "tag": "tag -n", "stash": "stash list", "worktree": "worktree list"}[verb]
        return Safeguard(f"{client} {listing}", "Note the commit",
                         f"Make it again from the noted commit ({client} {verb if verb in ('branch', 'tag') else 'branch'} NAME "
                         "COMMIT), while git still has it.")  # fmt: skip
    if verb in ("checkout", "restore", "switch"):
        return Safeguard(f"{client} diff --stat", "These changes are lost: stash them first (git stash -u)",
                         f"{NO_WAY_BACK}: git never had them.")  # fmt: skip
    return Safeguard(
        f"{client} status --short",
        "Changes that are not committed are lost",
        f"{NO_WAY_BACK} for what was uncommitted.",
    )


def _terraform(words: list[str]) -> Safeguard | None:
    program = bare(words[0])
    globals_ = [word for word in words[1:] if word.startswith("-chdir") or word == "run-all"]
    plain = [word for word in _plain(words) if word != "run-all"]
    verb = plain[0] if plain else ""
    kept = [w for w in words[1:] if re.match(r"-(?:target|var|var-file|replace|refresh|destroy)\b", w)]
    if verb == "apply" and len(plain) > 1:
        return Safeguard(
            " ".join([program, *globals_, "show", plain[1]]), "Read every line that destroys or replaces",
            "Apply the configuration of the commit before; a resource that was destroyed or replaced comes back empty.",
        )  # fmt: skip
    head = " ".join([program, *globals_])
    if verb == "apply":
        return Safeguard(
            " ".join([head, "plan", *kept]), "Read every line that destroys or replaces, and apply nothing else",
            "Apply the configuration of the commit before; a resource that was destroyed or replaced comes back empty.",
        )  # fmt: skip
    if verb == "destroy":
        return Safeguard(
            " ".join([head, "plan", "-destroy", *kept]), "All that is listed goes: is it the right workspace and account",
            f"{NO_WAY_BACK} for data; apply makes the resources anew, empty.",
        )  # fmt: skip
    if verb == "state":
        return Safeguard(
            f"{head} state list", "Note the address and the id of what is taken out (state show)",
            "terraform import ADDRESS ID takes it in again.",
        )  # fmt: skip
    return Safeguard(f"{head} show", "Make sure that nobody's run holds the lock", f"{NO_WAY_BACK} that is known.")


def _curl(words: list[str]) -> Safeguard | None:
    kept: list[str] = []
    skip = False
    for position, word in enumerate(words):
        if skip:
            skip = False
        elif word in ("-X", "--request", "-d", "--data", "--data-binary", "--data-raw", "--json"):
            skip = True
        elif not re.match(r"-X\w|--request=|--data", word):
            kept.append(word)
        del position
    body = [words[i + 1] for i, w in enumerate(words[:-1]) if w in ("-d", "--data", "--data-raw", "--data-binary")]
    if any("_delete_by_query" in word for word in kept):
        counted = [word.replace("_delete_by_query", "_count") for word in kept]
        return Safeguard(
            " ".join(counted) if not body else None, "So many documents go: ask _count with the same query",
            f"{NO_WAY_BACK}: only a snapshot brings them back.",
        )  # fmt: skip
    return Safeguard(
        " ".join(kept), "Is it the object that is meant", f"{NO_WAY_BACK} that is known: keep what the GET shows."
    )


def _kafka(words: list[str]) -> Safeguard | None:
    program = bare(words[0])
    if "--reset-offsets" in words:
        return Safeguard(
            " ".join("--dry-run" if word == "--execute" else word for word in words),
            "From where to where each partition moves; note the offsets of now (--describe --group)",
            "Reset to the noted offsets (--to-offset); what was skipped or consumed twice meanwhile stays so.",
        )
    kept = ["--describe" if word == "--delete" else word for word in words]
    return Safeguard(
        " ".join(kept), f"Who still reads or writes it ({program})", f"{NO_WAY_BACK}: the records are gone."
    )


def _rabbit(words: list[str]) -> Safeguard | None:
    program = bare(words[0])
    listing = (
        "list_connections user peer_host state"
        if "connection" in " ".join(words)
        else "list_queues name messages consumers"
    )
    host = given(words, frozenset({"-p", "--vhost"}))
    if host and listing.startswith("list_queues"):
        listing = " ".join(["list_queues", *host, "name messages consumers"])
    there = _there(f"{program} {listing}", given(words, frozenset({"-n", "--node"})))
    check = there if program == "rabbitmqctl" else None
    return Safeguard(check, "So many messages, connections or nodes are hit", f"{NO_WAY_BACK} for messages.")


def _etcd(words: list[str]) -> Safeguard | None:
    if "del" in words:
        kept = ["get" if word == "del" else word for word in words]
        return Safeguard(
            " ".join([*kept, "--keys-only"]), "These keys go", f"{NO_WAY_BACK}: take a snapshot (snapshot save)."
        )
    where = frozenset("--endpoints --cacert --cert --key --user --password --ca-file --cert-file --key-file".split())
    check = _there("etcdctl endpoint status -w table && etcdctl member list", given(words, where))
    return Safeguard(check, "Is there a quorum without it",
                     f"{NO_WAY_BACK}: a removed member joins as a new one, empty.")  # fmt: skip


_ELSEWHERE = r"-{1,2}(?:http-addr|address|namespace|datacenter|region|token|ca-file)(?:=|$)"
"""How consul, vault and nomad are told where to work: not in front of the verb, so no fixed check can carry it."""


def _fixed(check: str, look: str, way_back: str, targets: str = "") -> Handler:
    """The same check for every command of a program. `targets`: options that say where, which the check needs, too."""
    options = frozenset(targets.split())

    def handler(words: list[str]) -> Safeguard | None:
        elsewhere = any(re.match(_ELSEWHERE, w) and w.split("=")[0] not in options for w in words)
        return Safeguard(None if elsewhere else _there(check, given(words, options)), look, way_back)

    return handler


def _there(check: str, options: list[str]) -> str:
    """The check with the options behind the program of each of its commands."""
    return " && ".join(
        " ".join([one.split(" ", 1)[0], *options, *one.split(" ", 1)[1:]]) for one in check.split(" && ")
    )


def _rsync(words: list[str]) -> Safeguard | None:
    return Safeguard(" ".join([words[0], "-n", "-v", *words[1:]]), "Lines that begin with deleting are lost on the target",
                     f"{NO_WAY_BACK}: add --backup --backup-dir=… to keep what it removes.")  # fmt: skip


def _conntrack(words: list[str]) -> Safeguard | None:
    entries = "-D" in words or "--delete" in words
    listed = " ".join("-L" if word in ("-D", "--delete") else word for word in words)
    return Safeguard(
        listed if entries else "conntrack -C",
        "These connections are forgotten: those that are translated break",
        f"{NO_WAY_BACK}: clients have to connect anew.",
    )


def _packages(words: list[str]) -> Safeguard | None:
    names = " ".join(_plain(words)[1:])
    return Safeguard(
        f"apt-cache rdepends --installed {names}" if names and bare(words[0]).startswith("apt") else None,
        "What depends on it and goes, too", "Install the same version again; purge also removes its configuration.",
    )  # fmt: skip


_LVM = _fixed("lsblk -f && lvs", "Is anything mounted from it", f"{NO_WAY_BACK}: what was on it is gone.")
PROGRAMS: dict[str, Handler] = {
    **dict.fromkeys(["rm", "rmdir", "unlink", "shred", "srm", "rimraf"], _rm),
    "truncate": _truncate,
    "find": _find, "fd": _find,
    **dict.fromkeys(["dd", "mkfs", "wipefs", "fdisk", "parted", "sgdisk", "blkdiscard", "mkswap"], _disk),
    **dict.fromkeys(["mkfs.ext4", "mkfs.xfs", "e2fsck", "fsck", "xfs_repair"], _disk),
    **dict.fromkeys(["lvremove", "vgremove", "pvremove", "lvreduce"], _LVM),
    **dict.fromkeys(["kill", "pkill", "killall"], _kill),
    **dict.fromkeys(["reboot", "shutdown", "poweroff", "halt", "init"], _power),
    "systemctl": _systemctl,
    **dict.fromkeys(["iptables", "ip6tables"], _iptables),
    "nft": _fixed("nft list ruleset", "Whose rules are they, and does one keep you connected",
                  "Save them first (nft list ruleset > ~/rules.before), then nft -f ~/rules.before."),
    "conntrack": _conntrack,
    "ip": _fixed("ip addr show && ip route show", "Does your own session go through it: have the console at hand",
                 "Add it again from the noted output."),
    "git": _git,
    **dict.fromkeys(["terraform", "tofu", "terragrunt", "tf"], _terraform),
    "curl": _curl,
    **dict.fromkeys([name + end for name in ("kafka-topics", "kafka-consumer-groups") for end in ("", ".sh")], _kafka),
    **dict.fromkeys(["rabbitmqctl", "rabbitmqadmin"], _rabbit),
    "etcdctl": _etcd,
    "rsync": _rsync,
    "crontab": _fixed("crontab -l", "Save it first (crontab -l > crontab.before)", "crontab crontab.before.", "-u"),
    "journalctl": _fixed("journalctl --disk-usage", "Is the log of the incident among it", f"{NO_WAY_BACK}: copy it first."),
    "patronictl": _fixed("patronictl list", "Who leads, and how far do the replicas lag",
                         f"{NO_WAY_BACK} for writes that the new leader never had; a switchover takes the role back.",
                         "-c --config-file -d --dcs --dcs-url"),
    "pg_ctl": _fixed("pg_ctl status", "Who is connected, and is a backup running", "pg_ctl start; it recovers from its log.",
                     "-D --pgdata"),
    "dropdb": _fixed("psql -l", "Its size, and who is connected", f"{NO_WAY_BACK}: only a backup brings it back.",
                     "-h --host -p --port -U --username"),
    "consul": _fixed("consul members", "Is there a quorum without it", f"{NO_WAY_BACK}: keep what you remove (kv export)."),
    "nodetool": _fixed("nodetool status", "Is every other node up, and is the replication factor met without it",
                       f"{NO_WAY_BACK}: the node joins anew and streams its data.",
                       "-h --host -p --port -u --username -pw --password -pwf"),
    **dict.fromkeys(["mv", "cp", "tee"], _last_file),
    "zfs": _fixed("zfs list -t all", "Which snapshots and clones go with it", f"{NO_WAY_BACK} without a send of a snapshot."),
    "zpool": _fixed("zpool status && zpool list", "Is it imported elsewhere, is it degraded", f"{NO_WAY_BACK} for its data."),
    "ipset": _fixed("ipset list", "Which rules refer to it", "Save it first (ipset save), then ipset restore."),
    "velero": _fixed("velero backup get", "Is it the last one that can be restored", f"{NO_WAY_BACK}.",
                     "-n --namespace --kubecontext --kubeconfig"),
    "vault": _fixed("vault status", "Who still reads it: look at the path's metadata, not at the secret",
                    "vault kv undelete, for version 2 of the engine; destroy has none."),
    "nomad": _fixed("nomad status", "Which allocations it ends", "nomad job run of the saved definition (nomad job inspect)."),
    "flux": _fixed("flux get all", "What it owns is pruned with it", "flux create, or the manifest in git, brings it back.",
                   "-n --namespace --context --kubeconfig"),
    **dict.fromkeys(["crictl", "ctr"], _fixed("crictl pods && crictl ps", "What runs in it",
                                              "The kubelet makes it again, if a pod on this node wants it.")),
    **dict.fromkeys(["apt", "apt-get", "yum", "dnf"], _packages),
}  # fmt: skip
