"""The table of programs: version control, infrastructure as code, pipelines and builds."""

from __future__ import annotations

import re

from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .rules import Call, Judge, Rule, Runs, Verbs, Wrapper, has_flag, operands, option_values

_GIT_READ = """
status log show diff blame grep ls-files ls-tree ls-remote rev-parse rev-list describe shortlog cat-file
count-objects
fsck merge-base name-rev for-each-ref show-ref whatchanged cherry range-diff diff-tree diff-files diff-index
version
stash/list stash/show config/get config/list remote/show remote/get-url worktree/list submodule/status
bisect/log
check-ignore check-attr verify-commit verify-tag verify-pack var help reflog/show notes/list notes/show
lfs/ls-files
"""
_GIT = Verbs(
    runs={"bisect/run": Runs(skip=0), "submodule/foreach": Runs(skip=0, joined=True, floor=CHANGE)},
    read=_GIT_READ,
    reversible="""
    add commit push pull fetch clone checkout switch merge rebase revert cherry-pick branch tag remote
    remote/* stash
    stash/* config reset restore mv rm init apply am submodule submodule/* worktree worktree/* bisect
    bisect/* gc repack
    pack-refs maintenance notes update-ref symbolic-ref format-patch archive bundle update-index
    read-tree write-tree
    commit-tree hash-object pack-objects reflog lfs lfs/* sparse-checkout replace rerere mergetool
    difftool
    """,
    destructive="""
    clean filter-branch filter-repo stash/drop stash/clear reflog/expire reflog/delete prune
    worktree/remove
    worktree/prune remote/prune remote/remove remote/rm submodule/deinit lfs/prune checkout-index
    """,
    values="-C -c --git-dir --work-tree --namespace --exec-path --super-prefix",
    bare="branch tag remote reflog notes submodule",
    dry="--dry-run",
    when=(
        ("push", "--force*", DESTROY),
        ("push", "-f", DESTROY),
        ("push", "--delete", DESTROY),
        ("push", "-d", DESTROY),
        ("push", "--mirror", DESTROY),
        ("push", "--prune", DESTROY),
        ("push", "+*", DESTROY),
        ("push", ":?*", DESTROY),
        ("reset", "--hard", DESTROY),
        ("reset", "--merge", DESTROY),
        ("branch", "-D", DESTROY),
        ("branch", "-d", DESTROY),
        ("branch", "--delete", DESTROY),
        ("branch", "-[fmM]", CHANGE),
        ("branch", "--[!lacv]*", CHANGE),
        ("tag", "-d", DESTROY),
        ("tag", "--delete", DESTROY),
        ("update-ref", "-d", DESTROY),
        ("update-ref", "--stdin", DESTROY),
        ("checkout", "--force", DESTROY),
        ("checkout", "-f", DESTROY),
        ("checkout", "--", DESTROY),
        ("checkout", ".", DESTROY),
        ("switch", "-f", DESTROY),
        ("switch", "--force", DESTROY),
        ("switch", "--discard-changes", DESTROY),
        ("restore", "*", DESTROY),
        ("gc", "--prune=*", DESTROY),
        ("gc", "--aggressive", CHANGE),
        ("rm", "-f", DESTROY),
        ("rm", "--force", DESTROY),
        ("rm", "-r", DESTROY),
        ("*", "--output*", CHANGE),
        ("grep", "-O*", CHANGE),
        ("grep", "--open-files-in-pager*", CHANGE),
        ("ls-remote", "--upload-pack*", CHANGE),
        ("*", "--ext-diff", CHANGE),
        ("fsck", "--lost-found", CHANGE),
        ("remote", "update", CHANGE),
    ),
    clusters=True,
)


def _git(call: Call, judge: Judge) -> Risk:
    """git; a configuration on the command line may run any program, listing flags make a verb read."""
    words = operands(call.args, "-C -c --git-dir --work-tree --namespace")
    risk = _GIT(call, judge)
    if risk is CHANGE and len(words) >= 1:
        listing = {
            "branch": r"-a|-r|-v+|-vv|--list|--all|--remotes|--show-current|--contains|-av|-avv",
            "tag": r"-l|--list|-n\d*|--contains|--points-at",
            "config": r"--get.*|--list|-l",
            "remote": r"-v|--verbose",
        }.get(words[0])
        flags = [a for a in call.args if a.startswith("-") and a not in ("-C", "--git-dir", "--work-tree")]
        if listing and flags and all(re.fullmatch(listing, f) for f in flags):
            risk = READ
    if words[:1] == ["clean"] and has_flag(call.args, "-n", valued="e"):
        undone = any(a.startswith("--no-d") for a in call.args)
        risk = DESTROY if undone else READ  # whatever else is given, it only says what it would remove
    if words[:1] == ["rebase"]:
        risk = worst(risk, *map(judge.script, option_values(call.args, "-x", "--exec")))
    if words[:1] == ["restore"] and "--staged" in call.args and "--worktree" not in call.args:
        risk = CHANGE
    if "-c" in call.args and risk is not DESTROY:  # an alias, a pager, an editor: a program
        return worst(risk, by_words(option_values(call.args, "-c")))
    return worst(risk, CHANGE) if any(a == "-c" or a.startswith("--exec-path=") for a in call.args) else risk


_TERRAFORM = Verbs(
    read="plan show output validate version providers graph state/list state/show state/pull workspace/list "
    "workspace/show console metadata/functions",
    reversible="init get fmt import refresh taint untaint state/mv state/push "
    "state/replace-provider workspace/new "
    "workspace/select login logout test providers/lock providers/mirror",
    destructive="apply destroy state/rm workspace/delete force-unlock run-all",
    when=(
        ("plan", "-out*", CHANGE),
        ("fmt", "*", CHANGE),
        ("state/push", "-force", DESTROY),
        ("get", "-update*", CHANGE),
        ("init", "-force-copy", DESTROY),
        ("init", "-migrate-state", CHANGE),
        ("init", "-reconfigure", CHANGE),
    ),
    values="-var -var-file",
)


def _make_like(call: Call, judge: Judge) -> Risk:
    judge.opaque()
    return READ if has_flag(call.args, "-n") and call.program == "make" else by_words(call.args)


def _ansible(call: Call, judge: Judge) -> Risk:
    """An ad-hoc command runs on every host: never read-only, for become and modules are not looked at."""

    return worst(CHANGE, *map(judge.script, option_values(call.args, "-a", "--args")))


_FLY = Verbs(
    read="builds pipelines workers containers volumes teams targets jobs resources get-pipeline status "
    "userinfo validate-pipeline watch",
    reversible="login set-pipeline pause-pipeline unpause-pipeline trigger-job check-resource hijack "
    "intercept sync pause-job "
    "unpause-job expose-pipeline execute set-team land-worker logout edit-target",
    destructive="destroy-pipeline abort-build prune-worker destroy-team clear-task-cache delete-target rename-pipeline",
    values="-t --target",
)
_KNIFE = Verbs(
    read="status */list */show search diff */versions node/show",
    reversible="bootstrap upload download node/edit node/run_list/* */create */edit */from/file tag "
    "vault/* cookbook/upload exec",
    destructive="*/delete node/policy */bulk/delete delete",
    values="-c -C --concurrency -a --attribute -x -i -F --format -E --environment -p",
    runs={"ssh": Runs(joined=True)},
)
PROGRAMS: dict[str, Rule] = {
    "git": _git,
    "terraform": _TERRAFORM,
    "tofu": _TERRAFORM,
    "tf": _TERRAFORM,
    "terragrunt": _TERRAFORM,
    "knife": _KNIFE,
    "bundle": Verbs(
        read="list show info check outdated",
        reversible="install update add",
        destructive="clean remove",
        runs={"exec": Runs(skip=0)},
    ),
    "ansible": _ansible,
    "salt": Wrapper("-C -G -L -N", "", skip=1, floor=CHANGE),
    "make": _make_like,
    "rake": _make_like,
    "fly": _FLY,
    "argocd": Verbs(
        read="*/get */list */diff */history */logs */manifests version",
        reversible="*/sync */rollback */set */refresh login */create */patch */wait */terminate-op",
        destructive="*/delete */delete-resource",
        when=(("app/sync", "--prune", DESTROY), ("app/sync", "--force", DESTROY)),
    ),
    "gh": Verbs(
        read="*/list */view */status */diff */checks auth/status",
        reversible="*/create */comment */edit */merge */close */reopen */rerun */review workflow/run api",
        destructive="*/delete run/cancel",
        when=(("api", "DELETE", DESTROY), ("api", "-XDELETE", DESTROY), ("api", "--method=DELETE", DESTROY)),
    ),
    "heroku": Verbs(
        read="logs ps config releases status apps pg:info pg:diagnose pg:locks pg:ps pg:wait",
        reversible="restart scale config:set config:unset rollback maintenance:on maintenance:off ps:restart ps:scale",
        destructive="*:destroy *:reset *:kill *:killall *:delete *:remove *:clear apps:destroy pg:promote",
        values="-a --app -r --remote",
    ),
}
