"""The table of programs: containers and Kubernetes."""

from __future__ import annotations

from .level import CHANGE, DESTROY, READ, Risk, worst
from .rules import Call, Judge, Rule, Runs, Verbs, Wrapper, operands

_KUBE_VALUES = """
-n --namespace --context --cluster --user --as --as-group --kubeconfig -s --server --token --request-timeout
-o --output
-l --selector --field-selector -c --container -f --filename --sort-by -L --since --since-time --tail -p
--patch --type
--image --replicas --timeout --grace-period --subresource --template --from --cache-dir --env -v
"""
_KUBECTL = Verbs(
    read="""
    get describe logs top explain version api-resources api-versions cluster-info diff events wait
    options plugin status
    auth/can-i auth/whoami rollout/status rollout/history config/view config/get-*
    config/current-context port-forward
    proxy kustomize completion whoami projects project adm/top adm/node-logs adm/inspect
    adm/policy/who-can
    adm/upgrade adm/release/info image/info neat tree krew/list krew/search
    """,
    reversible="""
    apply create edit patch scale autoscale set label annotate taint expose run cordon uncordon
    rollout/restart
    rollout/undo rollout/pause rollout/resume cp attach debug exec certificate config/use-context
    config/set
    config/set-context config/set-cluster config/set-credentials config/rename-context adm/cordon
    adm/uncordon adm/taint
    adm/policy/* adm/must-gather adm/certificate adm/wait-for-stable-cluster drain adm/drain rsh rsync
    login logout sa
    new-project new-app start-build tag import-image extract replace process adm/upgrade/* adm/migrate
    auth/reconcile
    """,
    destructive="""
    delete config/delete-* config/unset adm/prune adm/prune/* cancel-build
    adm/reboot-machine-config-pool
    adm/restart-kubelet krew/uninstall
    """,
    values=_KUBE_VALUES,
    dry="--dry-run --dry-run=client --dry-run=server",
    when=(
        ("*taint", "*:NoExecute", DESTROY),  # it evicts what runs there
        ("*drain", "--force*", DESTROY),
        ("*drain", "--delete-emptydir-data*", DESTROY),
        ("*drain", "--delete-local-data*", DESTROY),
        ("*drain", "--disable-eviction*", DESTROY),
        ("replace", "--force*", DESTROY),
        ("apply", "--prune*", DESTROY),
        ("patch", '*"finalizers":*null*', DESTROY),
        ("patch", '*"finalizers":*[[][]]*', DESTROY),
        ("patch", "*/metadata/finalizers*", DESTROY),
        ("adm/upgrade", "--to*", CHANGE),
        ("adm/upgrade", "--clear", CHANGE),
        ("rsync", "--delete*", DESTROY),
        ("project", "?*", READ),
        ("logs", "--log-file*", CHANGE),
        ("cluster-info", "--output-directory*", CHANGE),
        ("adm/upgrade", "--force*", DESTROY),
    ),
    runs={"exec": Runs(), "rsh": Runs(), "debug": Runs(floor=CHANGE), "run": Runs(floor=CHANGE)},
)


def _kubectl(call: Call, judge: Judge) -> Risk:
    """kubectl and oc; `oc project NAME` switches, and so does not only read."""
    risk = _KUBECTL(call, judge)
    words = operands(call.args, _KUBE_VALUES)
    return worst(risk, CHANGE) if words[:1] == ["project"] and len(words) > 1 else risk


_CONTAINERS = Verbs(
    read="""
    ps images logs inspect stats top port version info history events diff search system/df system/info
    */ls */list */inspect */logs */top */history container/stats container/port container/diff
    compose/ps compose/logs compose/config
    compose/images compose/events compose/port stack/ps stack/services service/ps node/ps context/show
    buildx/du pods
    inspectp inspecti statsp imagefsinfo
    """,
    reversible="""
    start stop restart pause unpause run create pull push build tag cp update rename commit save load
    import export login
    logout attach wait exec */start */stop */restart */pause */unpause */create */pull */push */build
    */tag */update
    */connect */disconnect */scale */rollback compose/up compose/down compose/run compose/exec */use
    stack/deploy swarm/*
    */rename */import */save */load */wait */attach
    """,
    destructive="""
    rm rmi kill rmp stopp */rm */remove */kill */prune swarm/leave swarm/init image/rm volume/rm
    system/reset
    """,
    values="-H --host --context --config -l --log-level -f --file -p --project-name --project-directory "
    "-c -e --env "
    "-u --user -w --workdir --name -v --volume --net --network --pid -m --memory --entrypoint --hostname "
    "-h --label "
    "--mount --cap-add --platform --env-file --detach-keys --profile --tail "
    "--since --filter "
    "--format --ip --dns --publish --restart --log-driver --cpus --shm-size",
    when=(
        ("compose/down", "-v", DESTROY),
        ("compose/down", "--volumes", DESTROY),
        ("compose/down", "--rmi*", DESTROY),
        ("compose/up", "--force-recreate", CHANGE),
        ("compose/up", "-V", DESTROY),
        ("down", "-v", DESTROY),
        ("swarm/leave", "--force", DESTROY),
        ("*", "--renew-anon-volumes", DESTROY),
    ),
    runs={
        "exec": Runs(),
        "container/exec": Runs(),
        "compose/exec": Runs(),
        "run": Runs(floor=CHANGE),
        "container/run": Runs(floor=CHANGE),
        "compose/run": Runs(floor=CHANGE),
    },
    clusters=True,
)


def _compose(call: Call, judge: Judge) -> Risk:
    """docker-compose: the same verbs as `docker compose`, without its first word."""
    return _CONTAINERS(Call("docker", ("compose", *call.args), call.stdin), judge)


def _crictl(call: Call, judge: Judge) -> Risk:
    """crictl: the verbs of docker behind options of its own."""
    args = list(call.args)
    while args and args[0].startswith("-"):
        del args[
            : 2 if args[0] in ("-r", "-i", "-t", "-c", "--runtime-endpoint", "--image-endpoint", "--timeout") else 1
        ]
    return _CONTAINERS(Call("docker", tuple(args), call.stdin), judge)


_HELM = Verbs(
    read="list ls status get get/* history show show/* template lint search search/* version env verify "
    "dependency/list "
    "repo/list plugin/list inspect diff diff/*",
    reversible="install upgrade rollback repo/* pull push package create dependency/* plugin/* test registry/* fetch",
    destructive="uninstall delete del un",
    values="-n --namespace --kube-context --kubeconfig -f --values --set --set-string --version --timeout "
    "--registry-config",
    dry="--dry-run --dry-run=client --dry-run=server",
    when=(
        ("upgrade", "--force*", DESTROY),
        ("rollback", "--force*", DESTROY),
        ("install", "--replace", DESTROY),
        ("template", "--output-dir*", CHANGE),
        ("template", "--post-renderer*", CHANGE),
    ),
)

_VIRTCTL = Verbs(
    read="version guestosinfo fslist userlist port-forward",
    reversible="start stop restart pause unpause migrate addvolume removevolume console vnc ssh scp "
    "expose image-upload create memory-dump "
    "guestfs migrate-cancel permitted-devices vmexport",
    destructive="soft-reboot reset",
    values="-n --namespace",
    when=(("stop", "--force*", DESTROY), ("restart", "--force*", DESTROY)),
)
_VELERO = Verbs(
    read="*/get */describe */logs get get/* describe describe/* version",
    reversible="create create/* */create */download schedule/pause schedule/unpause backup-location/set install",
    destructive="delete delete/* */delete uninstall restore/delete",
    values="-n --namespace",
)

PROGRAMS: dict[str, Rule] = {
    "kubectl": _kubectl,
    "oc": _kubectl,
    "k": _kubectl,
    "kubecolor": _kubectl,
    "microk8s": Wrapper(),
    "k3s": Wrapper(),
    "docker": _CONTAINERS,
    "podman": _CONTAINERS,
    "nerdctl": _CONTAINERS,
    "crictl": _crictl,
    "ctr": _CONTAINERS,
    "docker-compose": _compose,
    "podman-compose": _compose,
    "helm": _HELM,
    "virtctl": _VIRTCTL,
    "velero": _VELERO,
    "odf": Verbs(
        read="*/ls get get/* version",
        reversible="set set/*",
        destructive="*/delete purge-osd",
        values="-n --namespace --storage-client",
    ),
    "cmctl": Verbs(
        read="status status/* check check/* version inspect inspect/*",
        reversible="renew approve deny create create/* convert upgrade",
        destructive="x/uninstall uninstall",
        values="-n --namespace",
    ),
    "stern": Verbs(read="*"),
    "flux": Verbs(
        read="get get/* logs check events stats tree tree/* diff diff/* export export/*",
        reversible="reconcile reconcile/* suspend suspend/* resume resume/* create create/*",
        destructive="delete delete/* uninstall",
        values="-n --namespace",
    ),
    "istioctl": Verbs(
        read="analyze proxy-status ps proxy-config proxy-config/* pc pc/* version describe describe/* validate",
        reversible="install upgrade kube-inject",
        destructive="uninstall",
        values="-n --namespace -i",
    ),
}
