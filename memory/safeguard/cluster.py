"""Kubernetes, containers and clouds: the read-only counterpart of what deletes there."""

from __future__ import annotations

import re
from collections.abc import Callable

from .guard import NO_WAY_BACK, Safeguard
from .split import bare, given, operands

Handler = Callable[[list[str]], Safeguard | None]

_KUBE_VALUES = frozenset(
    "-n --namespace --context --cluster --kubeconfig -l --selector -f --filename --field-selector -p --patch --type -o --output -c"
    " -s --server --token --user --as --as-group --cascade --timeout --grace-period --request-timeout".split()
)
_ONLY_DELETE = re.compile(r"--(?:force|grace-period|wait|now|cascade|timeout|dry-run|all|interactive)(?:=.*)?|-i")
_ONLY_DELETE_VALUED = frozenset({"--grace-period", "--timeout", "--cascade"})
_KUBE_TARGET = frozenset(
    "--context --cluster --kubeconfig -s --server --user --token --as --as-group --kube-context --kube-apiserver".split()
)
_KEPT = frozenset({"pvc", "pv", "persistentvolumeclaim", "persistentvolumeclaims", "persistentvolume", "namespace", "ns",
                   "namespaces", "project", "crd", "customresourcedefinition", "customresourcedefinitions"})  # fmt: skip
_PODS = frozenset({"pod", "pods", "po"})


def _kubectl(words: list[str]) -> Safeguard | None:
    places = _operands(words, _KUBE_VALUES)
    if not places:
        return None
    at = places[0]
    verb, rest = bare(words[at]), words[at + 1 :]
    client = words[:at]
    objects = [bare(words[i]) for i in places[1:]]
    if verb == "adm" and objects[:1] == ["drain"]:
        verb, rest, objects = "drain", words[places[1] + 1 :], objects[1:]
    if verb == "delete":
        kept = [
            word
            for before, word in zip(["", *rest], rest, strict=False)
            if not _ONLY_DELETE.fullmatch(word) and before not in _ONLY_DELETE_VALUED
        ]
        kind = objects[0].split("/")[0].split(".")[0].lower() if objects else ""
        check = " ".join([*client, "get", *kept, "-o", "wide"])
        if kind in _PODS:
            return Safeguard(
                check, "These pods end at once: does a controller own them, and how many are left ready",
                "A controller makes new pods; a bare pod does not come back, nor does what an emptyDir held.",
            )  # fmt: skip
        if kind in _KEPT:
            return Safeguard(
                check, "All that is in it goes, too; look at the reclaim policy of its volumes",
                f"{NO_WAY_BACK} for the data: take a snapshot first.",
            )  # fmt: skip
        return Safeguard(
            check, "Save it first: the same command with -o yaml, into a file",
            "kubectl apply -f of the saved file; what its pods held in memory or emptyDir is gone.",
        )  # fmt: skip
    if verb == "drain" and objects:
        node = " ".join(objects)
        return Safeguard(
            _pods_of(client, rest, objects),
            "These pods are evicted: are there bare pods, emptyDir data or the only replica of something among them",
            f"kubectl uncordon {node}; evicted pods stay where they went, and emptyDir data is gone.",
        )
    if verb == "patch" and objects:
        return Safeguard(
            " ".join([*client, "get", *objects[:2], *_scope(rest), "-o", "yaml"]),
            "Find out what the finalizer waits for: that is left behind",
            f"{NO_WAY_BACK}: without its finalizer the object goes at once.",
        )
    if verb in ("replace", "apply") and ("-f" in words or "--filename" in words):
        files = given(rest, frozenset({"-f", "--filename"}))
        return Safeguard(
            " ".join([*client, "diff", *files, *_scope(rest)]),
            "The differences, and what is pruned or made anew; save the live objects with get -o yaml",
            "kubectl apply -f of the saved objects; pods that were replaced are gone with their memory.",
        )
    if verb == "taint" and objects:
        nodes = [word for word in objects[1:] if not re.search(r"[=:]|-$", word)]
        return Safeguard(
            _pods_of(client, rest, nodes),
            "Pods that do not tolerate the taint are evicted",
            "The same command with a minus at the end takes the taint off; evicted pods stay where they went.",
        )
    return None


def _pods_of(client: list[str], rest: list[str], nodes: list[str]) -> str | None:
    """The pods of a node; None for several, which one selector cannot name."""
    if len(nodes) != 1:
        return None
    selected = ["get", "pods", "-A", "-o", "wide", "--field-selector", f"spec.nodeName={nodes[0]}"]
    return " ".join([*client, *selected, *given(rest, _KUBE_TARGET)])


def _scope(words: list[str]) -> list[str]:
    return given(words, _KUBE_TARGET | {"-n", "--namespace"})


_HELM_VALUES = _KUBE_TARGET | frozenset(
    "-n --namespace -f --values --set --set-string --version --timeout --cascade --description --history-max".split()
)


def _helm(words: list[str]) -> Safeguard | None:
    places = _operands(words, _HELM_VALUES)
    verbs = [bare(words[i]) for i in places]
    if len(verbs) < 2:
        return None
    gone = verbs[0] in ("uninstall", "delete", "del", "un")
    scope = " ".join(_scope(words))
    release = " ".join(verbs[1:] if gone else verbs[1:2])
    check = " && ".join(
        f"helm {shown} {name} {scope}".strip() for name in release.split() for shown in ("history", "get values")
    )
    if gone:
        return Safeguard(
            check, "Keep the values and the chart's version",
            "helm install again with the same chart, version and saved values; volumes that the chart owned are gone.",
        )  # fmt: skip
    return Safeguard(check, "Which revision is in force now", f"helm rollback {release} to that revision.")


_DOCKER_TARGET = frozenset(
    "-H --host --context -c --config -l --log-level --tlscacert --tlscert --tlskey --url".split()
)
_COMPOSE_TARGET = frozenset("-f --file -p --project-name --project-directory --profile --env-file -H --host".split())


def _front(client: list[str], words: list[str], valued: frozenset[str]) -> tuple[list[str], list[str]]:
    """The client with the options in front of its verb, which say where it works, and the words behind them."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in valued else 1
    return [*client, *words[:at]], words[at:]


def _docker(words: list[str]) -> Safeguard | None:
    program = bare(words[0])
    own = _COMPOSE_TARGET if program.endswith("-compose") else _DOCKER_TARGET
    front, words = _front([program], words[1:], own)
    compose = program.endswith("-compose") or words[:1] == ["compose"]
    if compose:
        at = 0 if program.endswith("-compose") else 1
        front, words = _front([*front, *words[:at]], words[at:], _COMPOSE_TARGET)
    client = " ".join(front)
    args = [bare(word) for word in words]
    valued = frozenset({"-t", "--time", "-s", "--signal", "--filter"})
    names = " ".join(word for word in operands(["", *words], valued) if bare(word) not in _DOCKER_WORDS)
    text = " ".join(args)
    if compose:
        return Safeguard(
            f"{client} ps", "With the containers go their volumes",
            f"{NO_WAY_BACK} for the volumes; up -d brings the containers back, empty.",
        )  # fmt: skip
    if "prune" in args:
        return Safeguard(
            f"{client} system df" + (f" && {client} volume ls" if "volume" in text else f" && {client} ps -a"),
            "What is not in use goes: stopped containers, images without a container, with --volumes their data",
            f"{NO_WAY_BACK} for volumes and build caches; images can be pulled again if their registry has them.",
        )
    if "volume" in args:
        return Safeguard(f"{client} volume inspect {names}", "What is in it is gone", f"{NO_WAY_BACK}: copy it first.")
    if "rmi" in args or "image" in args:
        return Safeguard(
            f"{client} image ls", "Is it in use, and does the registry have it", "Pull or build the image again."
        )
    if args[:1] in (["service"], ["stack"], ["network"], ["secret"], ["config"]) and names:
        return Safeguard(
            f"{client} stack services {names}" if args[0] == "stack" else f"{client} {args[0]} inspect {names}",
            "What runs in it, and what is attached to it",
            "Deploy it again from its file; what it wrote outside its volumes is gone.",
        )
    if {"rm", "kill", "rmp", "stopp"} & set(args) and names:
        return Safeguard(
            f"{client} inspect {names}", "Its image, mounts and options: note them",
            "Run it again from the same image and options; what it wrote outside its volumes is gone.",
        )  # fmt: skip
    return None


_DOCKER_WORDS = frozenset(
    "rm rmi kill volume image container system prune network compose down stop remove service stack secret config".split()
)


_AWS_TARGET = frozenset({"--region", "--profile", "--endpoint-url"})


def _aws(words: list[str]) -> Safeguard | None:
    args = words[1:]
    if args[:1] == ["s3"] and args[1:2] and args[1] in ("rm", "rb", "mv", "sync"):
        if args[1] == "rb":
            buckets = [word for word in args if "s3://" in word]
            return Safeguard(" ".join(["aws s3 ls", *buckets, "--recursive --summarize", *given(args, _AWS_TARGET)])
                             if buckets else None,
                             "All of it goes", f"{NO_WAY_BACK}: a removed bucket takes its versions along.")  # fmt: skip
        return Safeguard(
            " ".join([*words, "--dryrun"]), "Read which keys are listed, and how many",
            f"{NO_WAY_BACK}, unless the bucket keeps versions (aws s3api get-bucket-versioning).",
        )  # fmt: skip
    if len(args) < 2:
        return None
    verb = re.match(r"(delete|terminate|reboot|deregister|stop|remove|failover|reset)-([\w-]+)$", args[1])
    if not verb:
        return None
    noun = verb[2] if verb[2].endswith("s") else verb[2] + "s"
    own: list[str] = []
    for position, word in enumerate(args):
        option, equals, value = word.partition("=")
        if option in _AWS_TARGET or re.match(r"--[\w-]*-(?:ids?|identifiers?|names?|arns?)$", option):
            plural = args[0] in ("ec2", "elbv2", "autoscaling") and option not in _AWS_TARGET
            following = args[position + 1 :]
            end = next((i for i, w in enumerate(following) if w.startswith("--")), len(following))
            own.append((option.rstrip("s") + "s" if plural else option) + equals + value)
            own += following[:end] if not equals else []
    described = (args[0], noun) in _DESCRIBED
    check = " ".join(["aws", args[0], f"describe-{noun}", *own]) if described else None
    soft = verb[1] in ("reboot", "failover", "stop")
    return Safeguard(
        check, "Is it the one that is meant (name tag, creator, age), and what still uses it",
        "It comes back by itself; connections and what was only in memory are lost."
        if soft else f"{NO_WAY_BACK}: take a snapshot or an image first, where the service has them.",
    )  # fmt: skip


_DESCRIBED = frozenset(
    {("ec2", noun) for noun in ("instances", "volumes", "snapshots", "images", "security-groups", "subnets", "vpcs",
                                "nat-gateways", "network-interfaces", "route-tables", "addresses")}
    | {("rds", noun) for noun in ("db-instances", "db-clusters", "db-snapshots", "db-cluster-snapshots")}
    | {("elbv2", noun) for noun in ("load-balancers", "target-groups", "listeners", "rules")}
    | {("elasticache", "cache-clusters"), ("elasticache", "replication-groups"), ("autoscaling", "auto-scaling-groups"),
       ("cloudformation", "stacks")}
)  # fmt: skip


_GCLOUD_VALUES = frozenset(
    "--project --zone --region --location --cluster --instance -i --account --configuration --format -n --name -g"
    " --resource-group --subscription --ids --cluster-name --server --keyring --key --zone-name".split()
)


def _gcloud(words: list[str]) -> Safeguard | None:
    for position, word in enumerate(words):
        if word in ("delete", "reset", "recreate-instances", "deallocate", "failover", "restart"):
            show = "show" if bare(words[0]) == "az" else "describe"
            kept = [
                w for w in words[position + 1 :] if w not in ("-q", "--quiet", "--yes", "-y", "--no-wait", "--async")
            ]
            return Safeguard(
                " ".join([*words[:position], show, *kept]) if len(operands(["", *kept], _GCLOUD_VALUES)) < 2 else None,
                "Is it the one that is meant (labels, creator, age), and what still uses it",
                f"{NO_WAY_BACK}: take a snapshot or an export first, where the service has them."
                if word == "delete" else f"{NO_WAY_BACK} for what is only in its memory; the machine itself comes back.",
            )  # fmt: skip
    return None


def _gsutil(words: list[str]) -> Safeguard | None:
    paths = [word for word in words[1:] if "://" in word]
    return Safeguard(
        f"gsutil ls -l {' '.join(paths)}" if paths else None, "These objects go",
        f"{NO_WAY_BACK}, unless the bucket keeps versions (gsutil versioning get).",
    )  # fmt: skip


def _operands(words: list[str], values: frozenset[str]) -> list[int]:
    places: list[int] = []
    at = 1
    while at < len(words):
        if words[at] in values:
            at += 1
        elif not words[at].startswith("-"):
            places.append(at)
        at += 1
    return places


CLUSTER: dict[str, Handler] = {
    "kubectl": _kubectl, "oc": _kubectl, "k": _kubectl, "helm": _helm, "docker": _docker, "podman": _docker,
    "nerdctl": _docker, "docker-compose": _docker, "aws": _aws, "gcloud": _gcloud, "az": _gcloud, "gsutil": _gsutil,
}  # fmt: skip
