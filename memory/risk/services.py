"""The table of programs: services and packages."""

from __future__ import annotations

import re

from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .rules import (
    Call,
    Flags,
    Judge,
    Rule,
    Verbs,
    always,
    operands,
    option_values,
    target_risk,
)


def _systemctl(name: str) -> Rule:
    return Verbs(
        read="status show cat help list-* is-* get-default get-property show-environment list",
        reversible="start stop restart reload try-restart reload-or-restart try-reload-or-restart enable "
        "disable reenable mask "
        "unmask daemon-reload daemon-reexec reset-failed set-property set-default edit link preset freeze "
        "thaw "
        "set-environment unset-environment import-environment add-wants hup once up down force-restart "
        "force-reload "
        "term usr1 usr2 int tail reconfigure service-list diff-config check-config",
        destructive="kill poweroff reboot halt kexec rescue emergency isolate clean revert exit "
        "soft-reboot force-stop force-kill "
        "force-shutdown cleanse uninstall",
        values="-t --type --state -p --property -H --host -M --machine -n --lines -o --output -s --signal --root",
        alone=READ,
        when=(("*", "--force", DESTROY),),
    )


def _service(call: Call, judge: Judge) -> Risk:
    if "--status-all" in call.args:
        return READ
    actions = operands(call.args)[1:2]
    return READ if actions == ["status"] else worst(CHANGE, by_words(actions))


def _gitlab_ctl(call: Call, judge: Judge) -> Risk:
    return _systemctl("sv")(call, judge)


_PY_SPY_VALUES = "-p --pid -o --output -d --duration -r --rate -f --format --core"
_PY_SPY = Verbs(read="dump top", reversible="record", values=_PY_SPY_VALUES)


def _py_spy(call: Call, judge: Judge) -> Risk:
    """py-spy looks into a process, or starts the program that its line names."""
    started = operands(call.args, _PY_SPY_VALUES)[1:]
    end = call.args.index("--") if "--" in call.args else len(call.args)
    own = _PY_SPY(Call(call.program, call.args[:end], None), judge)
    files = [target_risk(path) for path in option_values(call.args[:end], "-o", "--output")]
    return worst(own, *files, *([CHANGE, judge.argv(started, call.stdin)] if started else []))


_DJANGO = Verbs(
    read="showmigrations sqlmigrate",
    reversible="migrate makemigrations collectstatic shell dbshell runserver loaddata createcachetable check",
    destructive="flush reset_db clearsessions remove_stale_contenttypes delete_* purge_* clean_*",
    values="--database -v --verbosity",
    when=(("migrate", "zero", DESTROY),),
)
_DJANGO_SHOWS = re.compile(
    r"[\w.]+|-[plv]|-v\d|--(?:plan|list|no-color|force-color|skip-checks|traceback|(?:verbosity|database)(?:=\w+)?)"
)


def django(call: Call, judge: Judge) -> Risk:
    """`manage.py` and `django-admin`: which settings are loaded is code, so that only the usual ones are read."""
    risk = _DJANGO(call, judge)
    if risk is not READ:  # `shell -c` and standard input are code
        return worst(risk, by_words([*call.args, call.stdin or ""]))
    usual = all(_DJANGO_SHOWS.fullmatch(arg) for arg in call.args) and call.stdin is None
    return READ if usual else judge.opaque()


PROGRAMS: dict[str, Rule] = {
    "systemctl": _systemctl("systemctl"),
    "sv": _systemctl("sv"),
    "supervisorctl": _systemctl("sv"),
    "gitlab-ctl": _gitlab_ctl,
    "rc-service": _service,
    "service": _service,
    "initctl": _systemctl("sv"),
    "alembic": Verbs(
        read="current history heads show branches check",
        reversible="upgrade revision stamp merge edit",
        destructive="downgrade",
        values="-c --config -n --name -x",
    ),
    "celery": Verbs(
        read="inspect/active inspect/reserved inspect/scheduled inspect/stats inspect/registered inspect/ping inspect/report "
        "inspect/active_queues inspect/query_task status report",
        reversible="worker beat multi/* call control/* inspect/*",
        destructive="purge amqp/queue.purge amqp/queue.delete control/revoke control/terminate control/shutdown "
        "multi/kill",
        values="-A --app -b --broker -d --destination -t --timeout -n",
    ),
    "py-spy": _py_spy,
    "flask": Verbs(
        read="routes db/current db/history db/heads db/show db/branches",
        reversible="run shell db/*",
        destructive="db/downgrade",
        values="-A --app -e --env-file",
    ),
    "django-admin": django,
    "pm2": Verbs(
        read="list ls status logs show describe monit info prettylist jlist",
        reversible="start restart reload stop scale save resurrect startup reset",
        destructive="delete kill flush del",
    ),
    "apt-get": Verbs(
        read="check changelog",
        reversible="update install upgrade dist-upgrade autoclean clean download source",
        destructive="purge remove autoremove",
        values="-o -t",
    ),
    "apt": Verbs(
        read="list show search policy",
        reversible="update install upgrade full-upgrade",
        destructive="purge remove autoremove",
        values="-o -t",
    ),
    "apt-cache": always(READ),
    "dpkg": Flags(CHANGE, {"-P": DESTROY, "-r": DESTROY, "--purge": DESTROY, "--remove": DESTROY}, clusters=False),
    **dict.fromkeys(
        ("yum", "dnf", "zypper"),
        Verbs(
            read="list info search repolist history check-update provides",
            reversible="install update upgrade downgrade makecache clean",
            destructive="remove erase autoremove",
            values="-c --enablerepo --disablerepo",
        ),
    ),
    "rpm": Flags(
        READ, {"-e": DESTROY, "--erase": DESTROY, "-i*": CHANGE, "-U*": CHANGE, "-F*": CHANGE}, clusters=False
    ),
    **dict.fromkeys(
        ("npm", "yarn", "pnpm"),
        Verbs(
            read="ls list view info outdated audit why ping whoami explain doctor bin root prefix search",
            reversible="install ci update run start test build publish link add rebuild dedupe version pack exec i",
            destructive="uninstall unpublish remove rm prune cache/clean",
            when=(("audit", "fix", CHANGE),),
        ),
    ),
    "pip": Verbs(read="list show freeze check index", reversible="install download wheel", destructive="uninstall"),
    "brew": Verbs(
        read="list info search outdated doctor config",
        reversible="install upgrade update tap link unlink services",
        destructive="uninstall remove cleanup",
    ),
}
