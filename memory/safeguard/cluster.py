"""Kubernetes, containers and clouds: the read-only counterpart of what deletes there."""

from __future__ import annotations

import re
from collections.abc import Callable

from .guard import NO_WAY_BACK, Safeguard
from .split import bare

Handler = Callable[[list[str]], Safeguard | None]

_KUBE_VALUES = frozenset(
    "-n --namespace --context --cluster --kubeconfig -l --selector -f --filename --field-selector -p --patch --type -o --output -c".split()
)
_ONLY_DELETE = re.compile(r"--(?:force|grace-period|wait|now|cascade|timeout|dry-run)\b.*")
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
    operands = [bare(words[i]) for i in places[1:]]
    if verb == "adm" and operands[:1] == ["drain"]:
        verb, rest, operands = "drain", words[places[1] + 1 :], operands[1:]
    if verb == "delete":
        kept = [word for word in rest if not _ONLY_DELETE.fullmatch(word) and word != "0"]
        kind = operands[0].split("/")[0].split(".")[0].lower() if operands else ""
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
    if verb == "drain" and operands:
        node = operands[0]
        return Safeguard(
            " ".join([*client, "get", "pods", "-A", "-o", "wide", "--field-selector", f"spec.nodeName={node}"]),
            "These pods are evicted: are there bare pods, emptyDir data or the only replica of something among them",
            f"kubectl uncordon {node}; evicted pods stay where they went, and emptyDir data is gone.",
        )
    if verb == "patch" and operands:
        return Safeguard(
            " ".join([*client, "get", *operands[:2], *_scope(words), "-o", "yaml"]),
            "Find out what the finalizer waits for: that is left behind",
            f"{NO_WAY_BACK}: without its finalizer the object goes at once.",
        )
    if verb in ("replace", "apply") and ("-f" in words or "--filename" in words):
        file = words[(words.index("-f") if "-f" in words else words.index("--filename")) + 1]
        return Safeguard(
            " ".join([*client, "diff", "-f", file, *_scope(words)]),
            "The differences, and what is pruned or made anew; save the live objects with get -o yaml",
            "kubectl apply -f of the saved objects; pods that were replaced are gone with their memory.",
        )
    if verb == "taint" and operands:
        node = operands[1] if len(operands) > 1 else "<node>"
        return Safeguard(
            " ".join([*client, "get", "pods", "-A", "-o", "wide", "--field-selector", f"spec.nodeName={node}"]),
            "Pods that do not tolerate the taint are evicted",
            "The same command with a minus at the end takes the taint off; evicted pods stay where they went.",
        )
    return None


def _scope(words: list[str]) -> list[str]:
    kept: list[str] = []
    for position, word in enumerate(words):
        if word in ("-n", "--namespace", "--context") and position + 1 < len(words):
            kept += [word, words[position + 1]]
        elif word.startswith(("--namespace=", "--context=")):
            kept.append(word)
    return kept


def _helm(words: list[str]) -> Safeguard | None:
    places = _operands(words, frozenset("-n --namespace --kube-context -f --values --set --version --timeout".split()))
    verbs = [bare(words[i]) for i in places]
    if len(verbs) < 2:
        return None
    release, scope = verbs[1], " ".join(_scope(words))
    check = f"helm history {release} {scope}".strip() + " && " + f"helm get values {release} {scope}".strip()
    if verbs[0] in ("uninstall", "delete", "del", "un"):
        return Safeguard(
            check, "Keep the values and the chart's version",
            "helm install again with the same chart, version and saved values; volumes that the chart owned are gone.",
        )  # fmt: skip
    return Safeguard(check, "Which revision is in force now", f"helm rollback {release} to that revision.")


def _docker(words: list[str]) -> Safeguard | None:
    program = bare(words[0])
    compose = program.endswith("-compose") or words[1:2] == ["compose"]
    client = program if not compose or program.endswith("-compose") else f"{program} compose"
    args = [bare(word) for word in words[1:] if not compose or word != "compose"]
    names = " ".join(word for word in words[1:] if not word.startswith("-") and bare(word) not in _DOCKER_WORDS)
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


def _aws(words: list[str]) -> Safeguard | None:
    args = words[1:]
    if args[:1] == ["s3"] and args[1:2] and args[1] in ("rm", "rb", "mv", "sync"):
        if args[1] == "rb":
            return Safeguard(f"aws s3 ls {args[2]} --recursive --summarize" if len(args) > 2 else None,
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
        if re.match(r"--(?:region|profile|[\w-]*-(?:ids?|identifiers?|names?|arns?))$", word):
            plural = args[0] in ("ec2", "elbv2", "autoscaling") and word not in ("--region", "--profile")
            own += [word.rstrip("s") + "s" if plural else word, *args[position + 1 : position + 2]]
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


def _gcloud(words: list[str]) -> Safeguard | None:
    for position, word in enumerate(words):
        if word in ("delete", "reset", "recreate-instances", "deallocate", "failover", "restart"):
            show = "show" if bare(words[0]) == "az" else "describe"
            kept = [
                w for w in words[position + 1 :] if w not in ("-q", "--quiet", "--yes", "-y", "--no-wait", "--async")
            ]
            return Safeguard(
                " ".join([*words[:position], show, *kept]),
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
