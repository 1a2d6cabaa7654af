"""The table of programs: services and packages."""

from __future__ import annotations

from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .rules import (
    Call,
    Flags,
    Judge,
    Rule,
    Verbs,
    always,
    operands,
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
        destructive="purge amqp/queue.purge amqp/queue.delete control/revoke control/terminate control/shutdown",
        values="-A --app -b --broker -d --destination -t --timeout -n",
    ),
    "py-spy": Verbs(read="dump top", reversible="record", values="-p --pid -o --output -d --duration -r --rate"),
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
