"""The table of programs: what runs another command, and shells and interpreters, which run whole scripts."""

from __future__ import annotations

import re

from .level import CHANGE, READ, Risk, by_words, worst
from .rules import DYNAMIC, Call, Judge, Rule, Wrapper, has_flag, operands, option_values

_SUDO_FLAGS = "-n -E -H -i -S -k -K -A -b -s -P -B --non-interactive --preserve-env --login --stdin --set-home"
_SSH = "-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w"
_SSH_FLAGS = "-4 -6 -A -a -C -f -G -g -K -k -M -N -n -q -s -T -t -V -v -X -x -Y -y -tt -vv -vvv"


def _shell(call: Call, judge: Judge) -> Risk:
    """`sh -c script`, a script on standard input, or a file that nobody has seen."""
    scripts = [v for v in option_values(call.args, "-c") if v]
    if scripts:
        return judge.opaque() if DYNAMIC in scripts[0][:1] else judge.script(scripts[0])
    words = operands(call.args, "-o -O --rcfile --init-file")
    if words and not has_flag(call.args, "-s"):
        return worst(judge.opaque(), by_words(words))
    return judge.opaque() if call.stdin is None or DYNAMIC in call.stdin else judge.script(call.stdin)


def _eval(call: Call, judge: Judge) -> Risk:
    text = " ".join(call.args)
    return judge.opaque() if DYNAMIC in text[:1] else judge.script(text)


def _interpreter(call: Call, judge: Judge) -> Risk:
    """Code in another language is not read; its words are."""
    if call.args[:2] in (("-m", "json.tool"),) or call.args in (("--version",), ("-V",), ("-v",)):
        return READ
    judge.opaque()  # the prose may know more
    return by_words([*call.args, call.stdin or ""])


_MODULES = {"alembic": "alembic", "celery": "celery", "django": "django-admin", "flask": "flask", "pip": "pip"}
_MANAGE = re.compile(r"(?!/(?:var/)?tmp/|/dev/)(?!.*\.\.)[\w./-]*\bmanage\.py")


def _python(call: Call, judge: Judge) -> Risk:
    """python; a module or a `manage.py` that is a program of its own is judged as that."""
    args = list(call.args)
    while args[:1] in (["-u"], ["-B"], ["-O"]):
        del args[0]
    if args[:1] == ["-m"] and args[1:2] and args[1] in _MODULES:
        return judge.argv([_MODULES[args[1]], *args[2:]], call.stdin)
    if args and args[0].endswith("manage.py"):
        risk = judge.argv(["django-admin", *args[1:]], call.stdin)
        return risk if _MANAGE.fullmatch(args[0]) else worst(risk, judge.opaque())
    return _interpreter(call, judge)


def _su(call: Call, judge: Judge) -> Risk:
    scripts = option_values(call.args, "-c", "--command")
    return worst(*map(judge.script, scripts)) if scripts else CHANGE


def _alias(call: Call, judge: Judge) -> Risk:
    return worst(*(judge.script(a.split("=", 1)[1]) for a in call.args if "=" in a))


def _first_word(call: Call, judge: Judge) -> Risk:
    """trap: the first word is a script."""
    return worst(*(judge.script(a) for a in call.args[:1] if a not in ("-", "-p", "-l")))


_COMMAND = Wrapper("", "-p")


def _command(call: Call, judge: Judge) -> Risk:
    """`command -v NAME` only says where it is."""
    return READ if call.args[:1] in (("-v",), ("-V",)) else _COMMAND(call, judge)


_SSH_RULE = Wrapper(_SSH, _SSH_FLAGS, skip=1, joined=True)


def _ssh(call: Call, judge: Judge) -> Risk:
    """What runs there, and what an option runs here."""
    local = [a for a in call.args if re.search(r"(?:proxy|local|remote|knownhosts)command", a, re.I)]
    risk = _SSH_RULE(call, judge)
    if call.stdin and not call.stdin.startswith(DYNAMIC) and len(operands(call.args, _SSH)) == 1:
        risk = judge.script(call.stdin)  # `ssh host <<EOF`: the shell there reads it
    return worst(risk, *(by_words([a]) for a in local))


PROGRAMS: dict[str, Rule] = {
    "sudo": Wrapper("-u --user -g --group -h --host -p --prompt -C -r -t -T -D -R -U", _SUDO_FLAGS, assignments=True),
    "doas": Wrapper("-u -C", "-n -s", assignments=True),
    "env": Wrapper("-u --unset -C --chdir", "-i -0 -v --ignore-environment", assignments=True, alone=READ),
    "envdir": Wrapper(skip=1),
    "time": Wrapper("-f -o --format --output", "-p -v -a --verbose"),
    "timeout": Wrapper("-k --kill-after -s --signal", "--foreground --preserve-status -v", skip=1),
    "nohup": Wrapper(),
    "setsid": Wrapper("", "-f -w -c"),
    "exec": Wrapper("-a", "-c -l"),
    "builtin": Wrapper(),
    "command": _command,
    "nice": Wrapper("-n --adjustment", ""),
    "ionice": Wrapper("-c -n -p", "-t"),
    "stdbuf": Wrapper("-i -o -e"),
    "unbuffer": Wrapper("", "-p"),
    "chronic": Wrapper(),
    "busybox": Wrapper(),
    "taskset": Wrapper("", "-c", skip=1),
    "numactl": Wrapper("-m -N -C -i"),
    "chroot": Wrapper("", "", skip=1),
    "nsenter": Wrapper("-t --target -S -G", "-a -m -u -i -n -p -U -C -T --mount --net --pid --all --uts --ipc"),
    "unshare": Wrapper("", "-m -u -i -n -p -U -f -r"),
    "flock": Wrapper("-w -E", "-n -x -s -o", skip=1),
    "watch": Wrapper("-n --interval", "-d -t -c -x -e -g -b --differences --no-title --color", joined=True),
    "xargs": Wrapper(
        "-n -P -I -L -d -a -s -E --max-args --max-procs --delimiter --arg-file",
        "-0 -r -t -p -x -i --no-run-if-empty --null --verbose",
        alone=READ,
        extra=True,
    ),
    "parallel": Wrapper(
        "-j -P -n -N -a -I --jobs --delay --colsep --joblog --timeout --retries",
        "--will-cite -k --keep-order -X -m -0 --progress --bar --eta --null",
        joined=True,
    ),
    "systemd-run": Wrapper(
        "-u -p -H -M -E --unit --property --description --slice --uid --gid --nice --working-directory --setenv"
        " --host --machine --on-active --on-boot --on-calendar --service-type",
        "-q -P -t -S -G -r -d --user --scope --wait --pty --pipe --collect --no-block --quiet --remain-after-exit",
        floor=CHANGE,
    ),
    "ssh": _ssh,
    "pssh": Wrapper("-h -H -l -p -o -e -t -O", "-i -P -v -A", joined=True),
    "parallel-ssh": Wrapper("-h -H -l -p -o -e -t -O", "-i -P -v -A", joined=True),
    "sshpass": Wrapper("-p -f -e"),
    "strace": Wrapper("-e -o -p -s -u -E -P", "-f -ff -c -C -t -tt -r -y -T -q -i", floor=CHANGE),
    "npx": Wrapper("-p --package -c", "-y --yes -q --no", floor=CHANGE),
    "if": Wrapper(),
    "while": Wrapper(),
    "then": Wrapper(),
    "do": Wrapper(),
    "else": Wrapper(),
    "su": _su,
    "runuser": _su,
    "eval": _eval,
    "trap": _first_word,
    "alias": _alias,
    **dict.fromkeys(["sh", "bash", "zsh", "dash", "ksh", "ash", "fish"], _shell),
    "python": _python,
    **dict.fromkeys(
        ["perl", "ruby", "node", "php", "lua", "pwsh", "powershell", "tclsh", "irb", "rails"],
        _interpreter,
    ),
}
