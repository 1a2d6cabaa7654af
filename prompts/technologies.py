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
        r"|openshift|istio|hpa|coredns|svc\.cluster\.local|(?<!state\.)oomkilled|ingress[- ]nginx|container_(?:cpu|memory|oom)_\w+",
        "systemd": r"systemctl|systemd(?![\w-])|journalctl -u|supervisorctl|bare[- ]metal|virtual machines?|(?<![.{])[\w-]{1,60}\.service(?!\.)",
        "docker": r"dockerd?(?![- ]?hub|\.io)|podman",
        "ecs": r"ecs (?:service|task|cluster)s?|(?:on|aws|amazon) ecs|fargate|cannotpullcontainer\w*",
        "nomad": r"nomad (?:job|alloc\w*|client)s?|(?:on|hashicorp) nomad",
    },
    "database": {
        "postgresql": r"postgres\w*|psql|pg_\w+|pgbouncer|autovacuum|patroni",
        "mysql": r"mysql\w*|mariadb|innodb|percona|galera|vitess",
        "sqlite": r"sqlite\w*|database (?:table )?is locked",
        "mongodb": r"mongo\w*|wiredtiger|collscan",
        "sql server": r"(?:ms|azure) ?sql|sql ?server|sqlcmd|tempdb|sys\.dm_\w+",
        "oracle": r"oracle (?:db|database|rac)|ora-\d+|sqlplus",
        "cassandra": r"cassandra|nodetool|cqlsh|scylla\w*",
        "dynamodb": r"dynamo ?db|provisionedthroughput\w*",
        "cockroachdb": r"cockroach\w*",
        "clickhouse": r"clickhouse[\w-]*",
    },
    "cache": {"redis": r"redis\w*|valkey", "memcached": r"memcached?"},
    "runtime": {
        "jvm": r"java|jvm|jcmd|jstat|hikari\w*|spring ?boot|tomcat|kotlin|heap space|java\.lang\.\w+",
        "go": r"golang|goroutines?|gomemlimit|pprof",
        "node": r"node\.?js|v8 heap|javascript heap|max-old-space-size|pm2",
        "python": r"python[23]?|django|gunicorn|celery|uvicorn|uwsgi|flask|fastapi|alembic|py-spy|queuepool",
        "php": r"php\w*|laravel|symfony|wordpress",
        "ruby": r"ruby on|rails|sidekiq|puma workers?",
        "dotnet": r"dotnet|(?:asp)?\.net|kestrel",
    },
    "cloud": {
        "aws": r"aws|ec2|eks|s3|rds|route ?53|cloudwatch|elbv2|[an]lb|sqs|ecs (?:service|task|cluster)s?|on ecs|fargate|dynamo ?db",
        "google cloud": r"gcp|google cloud|gcloud|gke|bigquery|cloud sql",
        "azure": r"azure|aks|cosmos ?db",
    },
    "balancer": {
        "haproxy": r"haproxy",
        "nginx": r"nginx",
        "aws load balancer": r"elbv2|[an]lb|elb|target group",
        "mesh": r"envoy|istio|virtualservices?|destinationrules?|linkerd",
        "traefik": r"traefik",
        "caddy": r"caddy|caddyfile",
        "apache": r"apache2(?:ctl)?|apachectl|httpd|maxrequestworkers|apache(?! (?:kafka|spark|airflow|cassandra|flink|solr|pulsar"
        r"|zookeeper|hadoop|tomcat|activemq|iceberg|nifi|beam|druid|camel|superset))",
    },
}

USUAL = frozenset(
    [*"kubernetes systemd postgresql mysql redis jvm go aws haproxy nginx mesh".split(), "aws load balancer"]
)
"""The technologies that the playbooks themselves are written for; for another one there is a file in `stacks/`, or none."""

LABELS: Mapping[str, str] = {
    "docker": "Docker",
    "ecs": "Amazon ECS",
    "nomad": "Nomad",
    "sqlite": "SQLite",
    "mongodb": "MongoDB",
    "sql server": "SQL Server",
    "oracle": "Oracle Database",
    "cassandra": "Cassandra",
    "dynamodb": "DynamoDB",
    "cockroachdb": "CockroachDB",
    "clickhouse": "ClickHouse",
    "memcached": "Memcached",
    "node": "Node.js",
    "python": "Python",
    "php": "PHP",
    "ruby": "Ruby",
    "dotnet": ".NET",
    "google cloud": "Google Cloud",
    "azure": "Azure",
    "traefik": "Traefik",
    "caddy": "Caddy",
    "apache": "Apache httpd",
}
"""How the technologies that are not usual are called in a sentence."""

_UNDER_ANOTHER = frozenset({"kubernetes", "ecs", "nomad"})
"""Platforms under which `docker` is a detail: the commands are theirs. (`OOMKilled` is Docker's word, too.)"""

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
            if family not in found and (hits := list(pattern.finditer(lowered))):
                its = frozenset(technologies[hit.lastindex - 1] for hit in hits if hit.lastindex)
                if "docker" in its:
                    its = frozenset(technologies[h.lastindex - 1] for h in hits if h.lastindex and h[0] != "oomkilled")
                found[family] = its - {"docker"} if its & _UNDER_ANOTHER else its
    return found


def family_of(technology: str) -> str:
    """The family of a technology. Raises KeyError for one that is not known."""
    try:
        return next(family for family, technologies in _FAMILIES.items() if technology in technologies)
    except StopIteration:
        raise KeyError(technology) from None


def unusual(spoken_of: Named) -> list[str]:
    """The technologies that are spoken of and not usual, in the order of the families and of their technologies."""
    return [
        one
        for family, all_ in _FAMILIES.items()
        for one in all_
        if one in spoken_of.get(family, ()) and one not in USUAL
    ]


def usual_of(spoken_of: Named) -> list[str]:
    """The technologies that are spoken of and usual."""
    return [one for its in spoken_of.values() for one in its if one in USUAL]


def there(incident: Incident, *others: Iterable[Incident]) -> Named:
    """The technologies that an incident speaks of, or else the first others, and so on."""
    return named(*("\n".join(map(_text_of, some)) for some in ([incident], *others)))


def _text_of(incident: Incident) -> str:
    how = incident.resolution
    steps = [part for step in how.steps for part in (step.text, step.command)] if how else []
    return "\n".join(filter(None, [incident.service, whole(incident), incident.root_cause, *steps]))


@lru_cache(maxsize=4_000)
def needed_by(command: str) -> Named:
    """The technologies that a command, or a step with its words, is for; a playbook's are asked for in every analysis."""
    found = named(command)
    if "crictl" in command:  # it is on a cluster's hosts, which an incident of systemd's may be about as well
        found = {**found, "platform": found.get("platform", frozenset()) | {"kubernetes", "systemd"}}
    return found


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
