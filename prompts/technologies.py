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

_ECS = (
    r"ecs[- ](?:service|task|cluster|deployment|container|agent|instance|capacity|exec|rollout)s?|(?:on|aws|amazon) ecs"
)

_FAMILIES: Mapping[str, Mapping[str, str]] = {
    "platform": {
        "kubernetes": r"kube\w*|k8s|k3s|pods?|(?<!the )helm|cmctl|cert-manager|argo ?cd|crashloop\w*|imagepull\w*|(?:replica|stateful|daemon)sets?|eks|gke|aks"
        r"|openshift|istio|hpa|coredns|svc\.cluster\.local|(?<!state\.)oomkilled|ingress[- ]nginx|container_(?:cpu|memory|oom)_\w+",
        "systemd": r"systemctl|systemd(?![\w-])|journalctl -u|supervisorctl|bare[- ]metal|virtual machines?|(?<![.{])[\w-]{1,60}\.service(?!\.)",
        # In front of Docker, whose name its own begins with.
        "swarm": r"docker[- ]swarm|swarm (?:services?|stacks?|nodes?|managers?|workers?|mode|clusters?|tasks?)|(?:on|in) (?:the )?swarm(?! of)"
        r"|docker (?:service (?:ps|ls|inspect|logs|update|scale|rollback|create)|stack (?:ps|ls|deploy|services)|node (?:ps|ls|inspect|update))",
        "docker": r"dockerd?(?![- ]?hub|\.io)|podman",
        "ecs": _ECS + r"|cannotpullcontainer\w*",
        "fargate": r"fargate",
        "nomad": r"nomad (?:job|alloc\w*|client|deployment|server|cluster|task|agent|node|eval\w*)s?|(?:on|in|hashicorp) nomad",
        "heroku": r"heroku\w*|dynos?",
        "app service": r"azure (?:app services?|web ?apps?)|az webapp",
        "windows": r"(?:microsoft )?windows (?:server|service|host|vm|machine|iis|event|20\d\d|1[01])s?|on windows(?! of)|iis|w3wp|powershell",
    },
    "database": {
        "postgresql": r"postgres\w*|psql|pg_\w+|pgbouncer|autovacuum|patroni",
        "mysql": r"mysql\w*|mariadb\w*|innodb|percona|galera|vitess",
        "sqlite": r"sqlite\w*|operationalerror\W{1,4}database (?:table )?is locked|database (?:table )?is locked(?! (?:by|for|due|while|during))",
        "mongodb": r"mongo\w*|wiredtiger|collscan",
        "sql server": r"(?:ms|azure) ?sql|sql ?server|sqlcmd|tempdb|sys\.dm_\w+",
        "oracle": r"oracle (?:db|database|rac|instance|listener|tablespaces?|exadata|data ?guard|\d\d(?:c|g|ai|\.\d+))|oracle-?\d\d[cg]"
        r"|ora-\d+|tns-\d{5}|sqlplus",
        "cassandra": r"cassandra|nodetool|cqlsh|scylla\w*",
        "dynamodb": r"dynamo ?db|provisionedthroughput\w*",
        "cockroachdb": r"cockroach\w*",
        "clickhouse": r"clickhouse[\w-]*",
        "cosmos db": r"cosmos ?db",
        "db2": r"ibm db2|db2 (?:luw|database|instance|for|v?\d\d)|db2(?:diag|sysc|inst\d)\w*|sql\d{4,5}[nwc]",
        "elasticsearch": r"elastic ?search\w*|open ?search\w*|elastic (?:cluster|cloud|stack)",
        "couchbase": r"couchbase\w*",
    },
    "cache": {
        "redis": r"redis\w*|valkey",
        "memcached": r"memcached?",
        "couchbase": r"couchbase\w*",
        "varnish": r"varnish\w*",
    },
    "queue": {
        "sqs": r"sqs|dlqs?|dead[- ]letter\w*|message queues?|queue (?:depth|backlog)",
        "kafka": r"(?<!\.)kafka",
        "rabbitmq": r"rabbit ?mq\w*",
    },
    "runtime": {
        "jvm": r"java|jvm|jcmd|jstat|hikari\w*|spring ?boot|tomcat|kotlin|heap space|java\.lang\.\w+",
        "go": r"golang|goroutines?|gomemlimit|pprof",
        "node": r"node\.?js|express(?:\.js|js| app\w*| server| framework| middleware)|v8 heap|javascript heap|max-old-space-size|pm2",
        "python": r"python[23]?|django|gunicorn|celery|uvicorn|uwsgi|flask|fastapi|alembic|py-spy|queuepool",
        "php": r"php\w*|laravel|symfony|wordpress",
        "ruby": r"ruby (?:on|app\w*|services?|process\w*|workers?|scripts?|jobs?|\d[\d.]*)|(?<=, )ruby(?=[\n,.;)]|$)|rails|sidekiq"
        r"|puma workers?|activerecord",
        "dotnet": r"dotnet|(?:asp)?\.net|kestrel",
    },
    "cloud": {
        "aws": r"aws|ec2|eks|s3|rds|route ?53|cloudwatch|elbv2|[an]lb|sqs|fargate|dynamo ?db|" + _ECS,
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
        "apache": r"apache2(?:ctl)?|apachectl|httpd|maxrequestworkers|(?<!org[./])apache(?!\.\w)(?! (?:licen[cs]e|2\.0|commons|http ?client|kafka|spark|airflow|cassandra|flink|solr|pulsar"
        r"|zookeeper|hadoop|tomcat|activemq|iceberg|nifi|beam|druid|camel|superset))",
        "iis": r"iis|w3wp",
        "varnish": r"varnish\w*",
    },
    "framework": {"django": r"django\w*|manage\.py"},
    "crash loop": {"crash loop": r"crash[- ]?loop\w*"},
    "replica set": {
        "no primary": r"not ?primary|notwritableprimary|(?:no|without a|has no|lost its) primary|primary (?:is )?(?:lost|gone)|not ?master",
        "a primary": r"has a primary",
    },
}

STATES = frozenset({"crash loop", "replica set"})
"""Families that are no stack but say what is the matter with one: steps for what is said come first, and those for its
opposite are left out."""

ONLY_IF_SAID = frozenset({"framework", "queue"})
"""Families that are never guessed: a step that needs one of them is for those alone who speak of it."""

USUAL = frozenset(
    [*"kubernetes systemd postgresql mysql redis jvm go aws sqs haproxy nginx mesh".split(), "aws load balancer"]
)
"""The technologies that the playbooks themselves are written for; for another one there is a file in `stacks/`, or none."""

LABELS: Mapping[str, str] = {
    "docker": "Docker",
    "swarm": "Docker Swarm",
    "ecs": "Amazon ECS",
    "nomad": "Nomad",
    "heroku": "Heroku",
    "app service": "Azure App Service",
    "windows": "Windows",
    "sqlite": "SQLite",
    "mongodb": "MongoDB",
    "sql server": "SQL Server",
    "oracle": "Oracle Database",
    "cassandra": "Cassandra",
    "dynamodb": "DynamoDB",
    "cockroachdb": "CockroachDB",
    "clickhouse": "ClickHouse",
    "cosmos db": "Cosmos DB",
    "db2": "Db2",
    "elasticsearch": "Elasticsearch",
    "couchbase": "Couchbase",
    "memcached": "Memcached",
    "varnish": "Varnish",
    "kafka": "Kafka",
    "rabbitmq": "RabbitMQ",
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
    "iis": "IIS",
}
"""How the technologies that are not usual are called in a sentence."""

_UNDER_ANOTHER = frozenset({"kubernetes", "swarm", "ecs", "nomad"})
"""Platforms under which `docker` is a detail: the commands are theirs."""

_SHARED = {
    "kubernetes": re.compile("oomkilled"),
    "sqlite": re.compile(r"database (?:table )?is locked"),
    "sqs": re.compile(r"dlqs?|dead[- ]letter\w*|message queues?|queue (?:depth|backlog)"),
}
"""Words that others of the family use as well: they name a technology only where no other is named. (systemd is not
counted as another: who runs it may run a cluster on it.)"""

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
                found[family] = _of([(technologies[hit.lastindex - 1], hit[0]) for hit in hits if hit.lastindex])
    return found


def _of(hits: list[tuple[str, str]]) -> frozenset[str]:
    """The technologies of one family for what was found of each, as (technology, words)."""
    its = frozenset(one for one, _ in hits)
    own = frozenset(one for one, words in hits if one not in _SHARED or not _SHARED[one].fullmatch(words))
    if own - {"systemd"}:
        its = own
    if "fargate" in its and "kubernetes" not in its:
        its |= {"ecs"}
    return its - {"docker"} if its & _UNDER_ANOTHER else its


def families_of(technology: str) -> frozenset[str]:
    """The families of a technology: most have one, and Couchbase is a database and a cache. Empty where it is not known."""
    return frozenset(family for family, technologies in _FAMILIES.items() if technology in technologies)


def family_of(technology: str) -> str:
    """The first family of a technology. Raises KeyError for one that is not known."""
    try:
        return next(family for family, technologies in _FAMILIES.items() if technology in technologies)
    except StopIteration:
        raise KeyError(technology) from None


def unusual(spoken_of: Named) -> list[str]:
    """The technologies that are spoken of and not usual, in the order of the families and of their technologies."""
    return list(
        dict.fromkeys(
            one
            for family, all_ in _FAMILIES.items()
            for one in all_
            if one in spoken_of.get(family, ()) and one in LABELS
        )
    )


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
    if "docker" in found.get("platform", ()) and "compose" not in command.lower():
        found = {**found, "platform": found["platform"] | {"swarm"}}  # what looks at one host is as true on Swarm's
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
