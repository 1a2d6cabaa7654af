"""The three levels of risk, and what words alone say: the fallback where no command can be read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum


class Risk(StrEnum):
    """How dangerous a step is to somebody who runs it without thinking."""

    READ_ONLY = "read-only"  # changes no state anywhere
    REVERSIBLE = "reversible"  # changes state; can be taken back without losing data or running work
    DESTRUCTIVE = "destructive"  # data or running work can be lost, or it is hard to take back


READ, CHANGE, DESTROY = Risk.READ_ONLY, Risk.REVERSIBLE, Risk.DESTRUCTIVE
"""Short names for the tables."""

_ORDER = {READ: 0, CHANGE: 1, DESTROY: 2}


def worst(*risks: Risk) -> Risk:
    """The highest of the risks; read-only where there is none."""
    return max(risks, key=_ORDER.__getitem__, default=READ)


# Words that make a command that we do not know destructive. `_`, `-` and digits are borders (delete_all.sh),
# a letter is not (dropbear, forceps); `--rm` of container tools removes only what the same command made.
_DESTRUCTIVE_WORD = re.compile(
    r"(?<![a-z])(?:deletes?|drops?|destroy|purge|wipe|truncate|terminate|kill|kill(?:all|op)|pkill|force|erase|remove"
    r"|(?<!--)rm|rmdir|rmtree|rmi|unlink|nuke|shred|obliterate|uninstall|flush(?:all|db)?|prune|reboot|shutdown"
    r"|poweroff|mkfs|decommission)(?![a-z])"
)
# Where a text is too long or too broken to be read, also what is destructive without such a word.
_DESTRUCTIVE_ELSEWHERE = re.compile(
    r"\bdd\s[^\n]{0,200}\bof=|\bhalt\b|\bdrain\b|\bunlink\b|--hard\b|\b(?:ip6?tables|nft)\b[^\n]{0,80}\s-[FX]\b"
    r"|\bterraform\s+apply\b|-delete\b|\bupdate\s|\bmerge\s+into\b|>\s*/(?:etc|dev/(?:sd|nvme|vd|xvd))|(?:base64\s+-\S+|xxd\s+-r)[^\n|]{0,500}\|\s*(?:sudo\s+)?\w*sh\b|\b(?:un)?del\b"
)


def destructive_words(text: str, thorough: bool = False) -> bool:
    """Whether the text holds a word such as delete, purge or force, alone or in a name (`deleteUser`).

    `thorough` also looks for what destroys without such a word: for texts that no parser could read.
    """
    lowered = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    if _DESTRUCTIVE_WORD.search(lowered):
        return True
    return thorough and _DESTRUCTIVE_ELSEWHERE.search(lowered) is not None


def by_words(words: Iterable[str]) -> Risk:
    """The risk of a command that nobody knows: never read-only."""
    return DESTROY if destructive_words(" ".join(words)) else CHANGE


# Prose. Participles are left out where they describe a state ("check for killed pods" is a check).
_PROSE = (
    (
        DESTROY,
        re.compile(
            r"\b(?:drop|delet|terminat|purg|flush|kill|forc|truncat|wip|destroy|eras|evict|reboot|uninstall|prun|discard)"
            r"(?:e|es|s|ing|ping)?\b|\bremov(?:e|ing)\b|\brm\s+-\w|\bmkfs\b|\bdd\s[^\n]{0,80}\bof=",
            re.I,
        ),
    ),
    (
        CHANGE,
        re.compile(
            r"\b(?:re-?start|re-?load|scal|roll(?:ing)?[ -]?back|revert|enabl|disabl|increas|decreas"
            r"|rais|lower"
            r"|reduc|set"
            r"|updat|upgrad|chang|edit|appl|deploy|re-?deploy|rotat|renew|add|creat|patch|fail[ -]?over"
            r"|switch|stop|start"
            r"|paus|resum|cordon|drain|mov|copy|install|configur|fix|clear|extend|resiz|expand|reset|promot"
            r"|throttl|block)"
            r"(?:e|es|s|y|ing|ting|ping)?\b",
            re.I,
        ),
    ),
    (
        READ,
        re.compile(
            r"\b(?:check|inspect|verify|verifies|verifying|compare|look|list|review|read|view|see|show|examine|confirm"
            r"|find|observe|monitor|watch|identify|investigate|determine|search|query|validate|ensure|measure|grep)"
            r"(?:s|ing)?\b",
            re.I,
        ),
    ),
)
_PROSE_LENGTH = 4000


def risk_of_prose(text: str) -> Risk:
    """The risk of a step that has no command, by its verbs; reversible where they say nothing."""
    for risk, verbs in _PROSE:
        if verbs.search(text[:_PROSE_LENGTH]):
            return risk
    return CHANGE
