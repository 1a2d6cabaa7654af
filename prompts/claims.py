"""What a text of the language model may not bring along: markup, hosts and commands that stand in no evidence.

A tired person acts on these texts, so an order in the prose is as dangerous as one in the field for commands, and nothing
judges it there. And what a model writes may have been put into its mouth by whoever raised the alert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..memory.incident import normalise
from ..memory.risk import Risk, risk_of

_TAG = re.compile(r"</?[a-z!][^<>]*>|</?(?:script|img|iframe|svg|style|link|object|embed|form|a)\b[^<>]*")
_HOST = re.compile(r"(?<![\w.@-])(?:[^\W_][\w-]*\.)+[^\W\d_][\w-]+\b(?::\d+)?(?P<path>/\S*)?")
_NO_HOST = re.compile(r"(?:node|next|vue|express)\.js|(?:e\.g|i\.e)\.?")
_BACKTICKED = re.compile(r"`+([^`]+)`*")
_JOINED = re.compile(r"(?<!\S)\S+ ?(?:\|\|?|&&) ?\S+|\$\([^)]*\)?|(?<!\S)\S+ ?>>? ?/\S+")
_OPTION = re.compile(r"(?<!\S)\S+ --?[a-z][\w-]*")
_ALWAYS_RUN = (
    "kubectl|oc|psql|pg_ctl|pg_dump|mysqladmin|mysqldump|redis-cli|mongosh|etcdctl|rabbitmqctl|systemctl|journalctl|"
    "crictl|ctr|nsenter|docker-compose|ansible-playbook|iptables|ip6tables|nft|tcpdump|nslookup|dig|openssl|curl|wget|"
    "nc|ncat|socat|scp|rsync|ssh|sudo|doas|su|bash|sh|zsh|eval|python3?|perl|pip3?|npx|rm|rmdir|mv|cp|dd|mkfs(?:\\.\\w+)?|shred|"
    "chmod|chown|chattr|pkill|killall|crontab|umount|lsof|netstat|apt|apt-get|yum|dnf|[\\w-]+\\.sh"
)
"""Programs whose name followed by another word is an order to run them."""
_ALSO_NAMES = (
    "docker|helm|git|aws|gcloud|az|terraform|mysql|nginx|haproxy|podman|vault|consul|npm|kafka|argocd|flux|istioctl"
)
_VERBS = (
    "get|describe|delete|del|rm|rmi|apply|create|edit|patch|scale|rollout|exec|run|stop|start|restart|kill|prune|purge|"
    "install|uninstall|upgrade|rollback|destroy|reset|revert|push|pull|clone|checkout|drop|truncate|set|import|login|"
    "s3|ec2|rds|iam|container|compute|system|state|taint|sync"
)
_RUN = re.compile(
    rf"(?<![\w./-])(?:(?:[\w./-]*/)?(?:{_ALWAYS_RUN}) (?!(?:is|was|has|and|or|shows?|says?)\b)|(?:{_ALSO_NAMES}) (?:{_VERBS})\b)[^.;,\"']*"
)
_STATEMENT = re.compile(
    r"\b(?:drop (?:table|database|schema|index|user|role)|truncate table|delete from|alter (?:system|table|user|role)|grant \w+|"
    r"insert into|update \w+ set|flushall|flushdb)\b[^.;,]*"
)  # fmt: skip
_ORDER = re.compile(
    r"(?:^|[.;:!] |\b(?:then|now|please|just) )"
    r"((?:delete|destroy|purge|wipe|truncate|terminate|kill|erase|reboot|uninstall|shut down) [^.;]*)"
)


def markup_in(text: str, sources: str) -> bool:
    """Whether the text holds a tag of markup that the sources (normalised) do not. A placeholder of theirs is none."""
    return any(tag not in sources for tag in _TAG.findall(normalise(text)))


def hosts_in(text: str, sources: str, all_told: str) -> bool:
    """Whether the text names a host that nothing told names, or an address on one that the sources do not hold: whoever
    can raise an alert could put it there."""
    for found in _HOST.finditer(normalise(text)):
        name = found[0].rstrip(".,:;!?)/")
        if not _NO_HOST.fullmatch(name) and not _stands(name, sources if found["path"] else all_told):
            return True
    return False


def commands_in(text: str, sources: str) -> bool:
    """Whether the text holds what could be run and stands so in none of the sources (normalised)."""
    return any(not _stands(fragment, sources) for fragment in _fragments(normalise(text)))


def destroys(text: str) -> bool:
    """Whether the words ask for something destructive, in prose or as a command."""
    if risk_of(None, text) is Risk.DESTRUCTIVE:
        return True
    return any(risk_of(part) is Risk.DESTRUCTIVE for part in _fragments(normalise(text)))


def _fragments(plain: str) -> Iterable[str]:
    """The parts of a text that read as commands, as far as each must stand in a source."""
    for quoted in _BACKTICKED.findall(plain):
        if " " in quoted.strip():
            yield quoted.strip()
    for pattern in (_JOINED, _OPTION, _STATEMENT, _ORDER):
        yield from pattern.findall(plain)
    for found in _RUN.findall(plain):
        words = found.split()
        # Behind the command the sentence may go on; of one that destroys, its target is what counts.
        yield " ".join(words if risk_of(" ".join(words)) is Risk.DESTRUCTIVE else words[:3])


def _stands(fragment: str, sources: str) -> bool:
    wanted = fragment.strip()
    before, after = (r"(?<![\w.-])" if wanted[:1].isalnum() else ""), (r"(?![\w-])" if wanted[-1:].isalnum() else "")
    return re.search(f"{before}{re.escape(wanted)}{after}", sources) is not None
