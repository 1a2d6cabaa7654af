"""What a rule is: from one simple command to its risk. The tables are written with its classes.

A program is one entry in a table. Its rule is any callable of `Rule`'s shape; four classes cover almost all
of them: `always`, `Flags` (one risk, some flags raise it), `Verbs` (`kubectl get`) and `Wrapper` (`sudo`,
which runs another command). What a table does not list is never read-only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import normpath
from typing import Protocol

from .level import CHANGE, DESTROY, READ, Risk, by_words, destructive_words, worst

DYNAMIC = "\ufffc"
"""Stands in a word for what only the shell of the day knows: `$POD`, `$(…)`, a glob of braces."""

RUNNING_VARIABLE = re.compile(
    r"(?:PATH|LD_PRELOAD|LD_AUDIT|LD_LIBRARY_PATH|BASH_ENV|ENV|GIT_\w*(?:SSH|PAGER|EDITOR|ASKPASS|DIFF)\w*|\w*PAGER"
    r"|LESSOPEN|KUBECTL_EXTERNAL_DIFF|RSYNC_RSH|TAR_OPTIONS|TAPE|PROMPT_COMMAND|PYTHON(?:PATH|HOME|STARTUP|BREAKPOINT)"
    r"|DJANGO_SETTINGS_MODULE|NODE_OPTIONS|NODE_PATH|PERL5\w+|RUBY(?:OPT|LIB)|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS"
    r"|SQLCMDINI)=(?!cat$|less$|$)"
)
"""Variables that make an innocent program run or load something else."""


@dataclass(frozen=True, slots=True)
class Call:
    """One simple command. `stdin` is what it reads, None where that is a terminal."""

    program: str
    args: tuple[str, ...]
    stdin: str | None = None


class Judge(Protocol):
    """What a rule may ask: the risk of the commands that its own command would run."""

    def script(self, text: str) -> Risk:
        """The risk of a shell script."""

    def argv(self, words: Sequence[str], stdin: str | None = None) -> Risk:
        """The risk of a command that is already split into words."""

    def opaque(self) -> Risk:
        """Something runs that cannot be seen (`$CMD`, a script from a pipe): reversible at least."""


Rule = Callable[[Call, Judge], Risk]


def always(risk: Risk) -> Rule:
    """A program that is as risky whatever its arguments are."""
    return lambda call, judge: risk


def has_flag(args: Iterable[str], flag: str, clusters: bool = True, valued: str = "") -> bool:
    """Whether a flag is given: a glob (`--force*`), or one letter (`-f`), which also counts in `-rf`.

    `valued` are letters that take the rest of their cluster as a value (`-oGood.txt` holds no `-G`).
    """
    if clusters and len(flag) == 2 and flag[0] == "-" and flag[1] != "-":
        letters = f"[^-{valued}]" if valued else "[A-Za-z0-9]"
        pattern = f"-{letters}*{re.escape(flag[1])}"
        return any(re.match(pattern, a) is not None for a in args)
    return any(fnmatchcase(a, flag) for a in args)


def placed(args: Sequence[str], values: frozenset[str], greedy: bool) -> list[int]:
    """Where the words are that are no options. `greedy`: an option that is not known takes the next word."""
    places: list[int] = []
    i = 0
    while i < len(args):
        arg = args[i]
        if arg == "--":
            places.extend(range(i + 1, len(args)))
            break
        if not arg.startswith("-") or arg == "-":
            places.append(i)
        elif arg in values or (greedy and "=" not in arg):
            i += 1
        i += 1
    return places


UNDRY = re.compile(r"--no-(?:d|n$)|--dry-?run=")
"""What may take a dry run back that stands elsewhere in the command: the last one counts."""


class Flags:
    """One risk for the program; flags and words (globs) that raise it. `clusters`: `-no` holds `-o`."""

    def __init__(self, base: Risk, raising: Mapping[str, Risk], clusters: bool = True) -> None:
        self.base, self.raising, self.clusters = base, raising, clusters

    def __call__(self, call: Call, judge: Judge) -> Risk:
        """The highest of the base and what the flags say."""
        hits = (risk for flag, risk in self.raising.items() if has_flag(call.args, flag, self.clusters))
        return worst(self.base, *hits)


@dataclass(frozen=True, slots=True)
class Runs:
    """A verb that runs another command: `kubectl exec <skip words> -- cmd`. `joined`: it is one script.

    `option` names the option that holds the script, where it is not the words. `floor` is the risk of
    the verb.
    """

    skip: int = 1
    joined: bool = False
    floor: Risk = READ
    option: str | None = None


class Verbs:
    """A program with verbs. `rollout/status` is a verb of two words, `describe-*` a glob; the longest wins.

    Args:
        read, reversible, destructive: the verbs, separated by white space.
        values: options before or after the verb that take the next word.
        bare: verbs that only list where no further word follows (`git branch`).
        when: (verb glob, flag, risk): the flag raises the verb.
        dry: flags with which nothing is changed.
        runs: verbs that run another command.
        anywhere: the verb may stand behind any number of nouns (`gcloud compute instances list`).
        nouns: with `anywhere`, a pattern of the nouns, each with a slash behind it, behind which a verb may be
            read-only; any other word may be a verb that is not listed, and what follows it a name.
    """

    def __init__(
        self,
        *,
        read: str = "",
        reversible: str = "",
        destructive: str = "",
        values: str = "",
        bare: str = "",
        when: Sequence[tuple[str, str, Risk]] = (),
        dry: str = "",
        runs: Mapping[str, Runs] | None = None,
        anywhere: bool = False,
        alone: Risk = CHANGE,
        clusters: bool = False,
        nouns: str = "",
    ) -> None:
        self.table: dict[str, Risk] = {}
        for risk, verbs in zip(Risk, (read, reversible, destructive), strict=True):
            self.table.update(dict.fromkeys(verbs.split(), risk))
        self.globs = [(verb, risk) for verb, risk in self.table.items() if "*" in verb][::-1]  # the riskiest first
        self.values, self.bare, self.dry = frozenset(values.split()), frozenset(bare.split()), dry.split()
        self.nouns = re.compile(nouns) if nouns else None
        self.when, self.runs, self.anywhere, self.alone, self.clusters = (
            when,
            runs or {},
            anywhere,
            alone,
            clusters,
        )

    def lookup(self, words: Sequence[str]) -> tuple[str, Risk] | None:
        """The verb that the words begin with and its risk; with `anywhere` the riskiest verb among them."""
        found: tuple[str, Risk] | None = None
        for start in range(len(words) if self.anywhere else min(len(words), 1)):
            here = self._at(words[start : start + 3])
            if here and (found is None or worst(found[1], here[1]) is not found[1]):
                found = here
        return found

    def _at(self, words: Sequence[str]) -> tuple[str, Risk] | None:
        for length in range(len(words), 0, -1):
            path = "/".join(words[:length])
            if path in self.table:
                return path, self.table[path]
            for verb, risk in self.globs:
                if path.count("/") == verb.count("/") and fnmatchcase(path, verb):
                    return path, risk
        return None

    def __call__(self, call: Call, judge: Judge) -> Risk:
        """The risk of the verb, raised by its flags; by words where the verb is not listed."""
        args = call.args
        end = args.index("--") if "--" in args else len(args)
        places = placed(args, self.values, greedy=False)
        words = [args[i] for i in places]
        for verb, runs in self.runs.items():
            parts = verb.split("/")
            if words[: len(parts)] == parts:
                return self._run(call, judge, runs, places, len(parts))
        if not words:
            return READ if {"--version", "--help", "-V"} & set(args) else self.alone
        found = self.lookup(words)
        if found is None:
            return by_words(args)
        verb, risk = found
        if self.nouns and risk is READ and not self._behind_nouns(words):
            risk = by_words(args)
        own = args[:end]
        if "--help" in own:
            return READ
        if risk is not READ and self._is_dry(own):
            return READ
        if verb in self.bare and len(words) == verb.count("/") + 1:
            risk = READ
        for pattern, flag, raised in self.when:
            if fnmatchcase(verb, pattern) and has_flag(args, flag, self.clusters):
                risk = worst(risk, raised)
        # An unknown option in front may have swallowed what we took for the verb.
        other = self.lookup([args[i] for i in placed(args, self.values, greedy=True)])
        return worst(risk, other[1]) if other else risk

    def _behind_nouns(self, words: Sequence[str]) -> bool:
        first = next(i for i in range(len(words)) if self._at(words[i : i + 3]))
        return self.nouns is None or self.nouns.fullmatch("".join(word + "/" for word in words[:first])) is not None

    def _is_dry(self, args: Sequence[str]) -> bool:
        """Whether it only says what it would do: no option takes the flag as its value, and none undoes it."""
        given = any(a in self.dry and (i == 0 or args[i - 1] not in self.values) for i, a in enumerate(args))
        return given and not any(UNDRY.match(a) and a not in self.dry for a in args)

    def _run(self, call: Call, judge: Judge, runs: Runs, places: list[int], verb_length: int) -> Risk:
        args = call.args
        if runs.option:
            scripts = option_values(args, runs.option)
            if not scripts and "--" in args:
                return worst(runs.floor, judge.script(" ".join(args[args.index("--") + 1 :])))
            return worst(runs.floor, *map(judge.script, scripts)) if scripts else CHANGE
        if "--" in args:
            rest = args[args.index("--") + 1 :]
        else:
            at = verb_length + runs.skip
            rest = args[places[at] :] if len(places) > at else ()
        if not rest:
            return CHANGE  # an interactive shell: what comes next nobody knows
        return worst(runs.floor, judge.script(" ".join(rest)) if runs.joined else judge.argv(rest, call.stdin))


class Wrapper:
    """A program that runs the command behind its options: `timeout 5 cmd`.

    Args:
        values, flags: its options with and without a value.
        skip: words between the options and the command.
        assignments: `A=b` may stand in front of the command.
        joined: the command is handed to a shell as one text.
        alone: the risk where no command follows.
        extra: more words come from elsewhere (xargs).
    """

    def __init__(
        self,
        values: str = "",
        flags: str = "",
        *,
        skip: int = 0,
        assignments: bool = False,
        joined: bool = False,
        alone: Risk = CHANGE,
        extra: bool = False,
        floor: Risk = READ,
    ) -> None:
        self.values, self.flags, self.skip = frozenset(values.split()), frozenset(flags.split()), skip
        self.assignments, self.joined, self.alone, self.extra = assignments, joined, alone, extra
        self.floor = floor

    def __call__(self, call: Call, judge: Judge) -> Risk:
        """The risk of the wrapped command."""
        args, i, skip = call.args, 0, self.skip
        strange: list[str] = []
        loads = False
        while i < len(args):
            arg = args[i]
            if arg == "--":
                i += 1 + skip
                break
            if arg in self.values:
                i += 1
            elif arg.startswith("-") and arg != "-":
                known = arg in self.flags or "=" in arg or any(arg.startswith(v) for v in self.values if len(v) == 2)
                if not known and not all("-" + letter in self.flags for letter in arg[1:]):
                    strange.append(arg)
            elif self.assignments and re.match(r"\w+=", arg):
                loads = loads or RUNNING_VARIABLE.match(arg) is not None
            elif skip:
                skip -= 1
            else:
                break
            i += 1
        rest = list(args[i:])
        if not rest:  # `env -S"cmd"`: what an unknown option holds may be the command
            return worst(self.alone, by_words(args)) if strange or destructive_words(" ".join(args)) else self.alone
        if loads:
            return worst(judge.opaque(), judge.argv(rest, call.stdin))
        if self.joined:
            return worst(self.floor, judge.script(" ".join(rest)))
        if self.extra:
            rest.append(DYNAMIC)
        risk = worst(self.floor, judge.argv(rest, call.stdin))
        if strange:  # such an option may have a value: then the command starts one word later
            risk = worst(risk, by_words(strange), judge.argv(rest[1:], call.stdin))
        return risk


def option_values(args: Sequence[str], *names: str) -> list[str]:
    """The values of an option, however it is spelt: `-c x`, `-cx`, `-Atc x`, `--command x`, `--command=x`."""
    found: list[str] = []
    for i, arg in enumerate(args):
        following = list(args[i + 1 : i + 2])
        for name in names:
            if arg == name:
                found.extend(following)
            elif name.startswith("--") and arg.startswith(name + "="):
                found.append(arg[len(name) + 1 :])
            elif len(name) == 2 and name != "--" and re.match(r"-[A-Za-z]", arg) and name[1] in arg[1:]:
                glued = arg[arg.index(name[1], 1) + 1 :]
                found.extend([glued] if glued else following)
    return found


def operands(args: Sequence[str], values: str = "") -> list[str]:
    """The words that are neither options nor the values of the options named."""
    return [args[i] for i in placed(args, frozenset(values.split()), greedy=False)]


_SAFE_TARGET = re.compile(r"/dev/(?:null|stdout|stderr|tty|fd/\d)|/tmp/.+|&?\d+|-")
_FATAL_TARGET = re.compile(
    r"/dev/(?:sd|hd|nvme|vd|xvd|disk|mapper|dm-|md|loop|mem|kmem|rbd|zd)|/(?:etc|boot|usr|s?bin|lib|lib64|var/lib|var/opt)(?:/|$)"
    r"|/proc/sysrq|.*/\.ssh/"
)
_KERNEL_TARGET = re.compile(r"/(?:proc|sys)/|/dev/")


def target_risk(path: str, truncates: bool = False) -> Risk:
    """The risk of writing to a file. `truncates`: nothing is written, what the file held is lost."""
    path = normpath(path) if "/" in path else path  # /tmp/../etc/passwd
    if _SAFE_TARGET.fullmatch(path):
        return READ
    if _FATAL_TARGET.match(path):
        return DESTROY
    return DESTROY if truncates and not _KERNEL_TARGET.match(path) else CHANGE
