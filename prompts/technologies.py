"""Which technologies a text speaks of, so that a playbook begins with the steps for what is there.

Technologies of one family stand in for each other: who runs MySQL has no use for `psql`. A step is for a technology where
its command speaks of it, by the same patterns as an incident does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..memory.incident import Incident
from ..memory.index.fields import whole

_FAMILIES: Mapping[str, Mapping[str, str]] = {
    "platform": {
        "kubernetes": r"kube\w*|k8s|k3s|pods?|(?<!the )helm|cmctl|cert-manager|argo ?cd|crashloop\w*|imagepull\w*|(?:replica|stateful|daemon)sets?|eks|gke|aks"
        r"|openshift|istio|hpa|coredns|svc\.cluster\.local|oomkilled|ingress[- ]nginx|container_(?:cpu|memory|oom)_\w+",
        "systemd": r"systemctl|systemd(?![\w-])|journalctl -u|supervisorctl|bare[- ]metal|virtual machines?|(?<![.{])[\w-]{1,60}\.service(?!\.)",
        "containers": r"docker[- ]compose|docker (?:ps|logs|restart|exec|run|stop|stats)|docker swarm|podman|nomad (?:job|alloc\w*|client)|ecs (?:service|task|cluster)s?|fargate",
    },
    "database": {
        "postgresql": r"postgres\w*|psql|pg_\w+|pgbouncer|autovacuum|patroni",
        "mysql": r"mysql\w*|mariadb|innodb|percona|galera|vitess",
        "another database": r"mongo\w*|oracle (?:db|database|rac)|ora-\d+|sql ?server|mssql|cassandra|cockroach\w*|dynamodb|clickhouse|sqlite",
    },
    "cache": {"redis": r"redis\w*|valkey", "memcached": r"memcached?"},
    "runtime": {
        "jvm": r"java|jvm|jcmd|jstat|hikari\w*|spring ?boot|tomcat|kotlin|heap space|java\.lang\.\w+",
        "go": r"golang|goroutines?|gomemlimit|pprof",
        "another runtime": r"php\w*|laravel|wordpress|python[23]?|django|gunicorn|celery|uvicorn|flask|alembic|node\.?js|v8 heap"
        r"|ruby on|rails|sidekiq|dotnet|(?:asp)?\.net|kestrel",
    },
    "cloud": {
        "aws": r"aws|ec2|eks|s3|rds|route ?53|cloudwatch|elbv2|[an]lb|sqs",
        "another cloud": r"gcp|google cloud|gcloud|gke|bigquery|cloud sql|azure|aks|cosmos ?db",
    },
    "balancer": {
        "haproxy": r"haproxy",
        "nginx": r"nginx",
        "aws load balancer": r"elbv2|[an]lb|elb|target group",
        "mesh": r"envoy|istio|virtualservices?|destinationrules?|linkerd",
        "another balancer": r"traefik|caddy|apache2|httpd",
    },
}

_COMPILED = {
    family: (
        list(technologies),
        re.compile(
            "(?<![a-z0-9])(?:" + "|".join(f"({pattern})" for pattern in technologies.values()) + ")(?![a-z0-9])"
        ),
    )
    for family, technologies in _FAMILIES.items()
}
_READ = 20_000
"""Characters that are read: as many as the failure type is read off."""

Named = Mapping[str, frozenset[str]]
"""The technologies that are spoken of, by family; a family of which nothing is said is not there."""


def named(*texts: str) -> Named:
    """What the first text speaks of and, in the families of which it says nothing, the second, and so on."""
    found: dict[str, frozenset[str]] = {}
    for text in texts:
        lowered = text[:_READ].lower()
        for family, (technologies, pattern) in _COMPILED.items():
            if family not in found and (its := {hit.lastindex for hit in pattern.finditer(lowered)}):
                found[family] = frozenset(technologies[number - 1] for number in its if number)
    return found


def there(incident: Incident, *others: Iterable[Incident]) -> Named:
    """The technologies that an incident speaks of, or else the first others, and so on."""
    return named(*("\n".join(map(_text_of, some)) for some in ([incident], *others)))


def _text_of(incident: Incident) -> str:
    how = incident.resolution
    steps = [part for step in how.steps for part in (step.text, step.command)] if how else []
    return "\n".join(filter(None, [incident.service, whole(incident), incident.root_cause, *steps]))


@lru_cache(maxsize=1_000)
def needed_by(command: str) -> Named:
    """The technologies that a command is for; a playbook's are asked for in every analysis."""
    return named(command)


def suits(command: str | None, spoken_of: Named) -> bool | None:
    """Whether a command is for what is there: True where it is for nothing special or all of it is spoken of, False where
    it is for another technology of the family, None where nothing is said."""
    fits: bool | None = True
    for family, needed in needed_by(command or "").items():
        if family not in spoken_of:
            fits = None
        elif not needed & spoken_of[family]:
            return False
    return fits
