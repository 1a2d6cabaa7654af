"""Where a step is run: whether what is there has a Unix host to look at, and inside which container.

A playbook's commands are for a shell on a Unix host unless they are a client of something. Windows has none, and on
Fargate or Heroku nobody has a host: there a look at `df` is worth nothing, whatever it shows.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..memory.runbook import Action
from .technologies import Named, needed_by

_HOST = re.compile(
    r"(?<![\w./<-])(?:ps|ss|top|kill|pgrep|lsof|df|du|free|uptime|vmstat|iostat|mpstat|nstat|perf|ethtool|conntrack|iptables"
    r"|sysctl|dmesg|journalctl|systemctl|chronyc|timedatectl|tune2fs|crictl|nginx|certbot|ip|tc|py-spy)(?= )|/proc/|/sys/fs/|(?<!\w)node_[a-z]+_"
)
"""Programs, files and an exporter's metrics that tell of the host, or the container, on which they are read."""

_TEXT_TOOLS = re.compile(r"(?<![\w./<-])(?:grep|awk|sed|tail|head|sort|cut|tr)(?= )")

_NO_HOST = frozenset({"heroku", "app service"})

_CONTAINERS = {
    "kubernetes": "inside the container (kubectl exec -it <pod> -n <namespace> -- sh)",
    "ecs": "inside the container (aws ecs execute-command --cluster <cluster> --task <task> --interactive --command sh)",
    "nomad": "inside the allocation (nomad alloc exec <alloc-id> sh)",
    "swarm": "inside the container (docker exec -it <container> sh, on its node)",
    "docker": "inside the container (docker exec -it <container> sh)",
    "heroku": "inside the dyno (heroku ps:exec)",
    "app service": "inside the app (az webapp ssh)",
}
"""How to get to where the process runs, for each platform that keeps it in a container of its own."""

_IN_THE_SERVICE = frozenset({"node", "python", "php", "apache"})
"""Technologies whose steps read the processes and files of the service itself, and so stand where it runs."""


def has_place(action: Action, spoken_of: Named) -> bool:
    """Whether there is a host on which the step's command can be run."""
    platform, command = spoken_of.get("platform", frozenset()), action.command or ""
    if platform == {"windows"}:
        return not _HOST.search(command) and not (_TEXT_TOOLS.search(command) and needed_by(command))
    hostless = "fargate" in platform and platform <= {"fargate", "ecs", "kubernetes"}
    if hostless or (platform and platform <= _NO_HOST):
        return not (_HOST.search(command) and not needed_by(command))
    return True


def placed(action: Action, technology: str, spoken_of: Named) -> Action:
    """A stack's own step, with the container named in which it is run where the platform keeps the service in one."""
    command = action.command or ""
    if not command or not (technology in _IN_THE_SERVICE or _HOST.search(command)) or "platform" in needed_by(command):
        return action
    platform = spoken_of.get("platform", frozenset())
    how = next((words for one, words in _CONTAINERS.items() if one in platform), None)
    if how is None or "systemd" in platform:  # the service may as well run on the host itself
        return action
    if "crash loop" in spoken_of:
        how = how.replace(" (", ", in the moments when it is up (")
    return replace(action, action=f"{how[0].upper()}{how[1:]}: {action.action[0].lower()}{action.action[1:]}")
