"""A playbook's steps are for what is there: no psql for who runs MySQL, no pods where nothing said Kubernetes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from incidentos.memory.confidence import weigh
from incidentos.memory.failure_types import classify
from incidentos.memory.incident import FailureType, Incident, Outcome, Resolution, Status, Step
from incidentos.memory.memory import Recalled
from incidentos.memory.probability import Evidence, Match
from incidentos.memory.recall import Hit
from incidentos.prompts.playbooks import playbook
from incidentos.prompts.technologies import named, suits, there
from incidentos.tools.analyze import Analysis, Past, compose, draft_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def incident(text: str, kind: FailureType, **fields: object) -> Incident:
    found = Incident(id="now", title=text, description="", updated_at=NOW, created_at=NOW, failure_type=kind)
    return replace(found, **fields)  # type: ignore[arg-type]


def past(p: float, text: str, fix: Step, cause: str | None = "a limit", **fields: object) -> Match:
    kind = fields.pop("failure_type", FailureType.MEMORY)
    assert isinstance(kind, FailureType)
    its = incident(text, kind, id="past", status=Status.RESOLVED, resolved_at=NOW, failure_type_stated=True, **fields)
    its = replace(its, resolution=Resolution(cause, (fix,)))
    return Match(Hit(its, 0.0, 0.0, None, None), Evidence(0.0, None), p)


def answer(about: Incident, *matches: Match) -> Analysis:
    recalled = Recalled(matches, ())
    verdict, before = weigh(matches, NOW), Past(None, {}, NOW)
    return compose(draft_of(about, recalled, verdict, before), False, recalled, verdict, before)


def tools(told: Analysis) -> list[str]:
    """The first word of each command, or none."""
    return [(action.command or "-").split()[0] for action in told.suggested_actions]


@pytest.mark.parametrize(
    ("text", "technology"),
    [
        ("orders-mysql: lock waits", "mysql"),
        ("pods of cart restart", "kubernetes"),
        ("argocd sync fails", "kubernetes"),
        ("PHP Fatal error: Allowed memory size exhausted", "php"),
        ("systemctl restart php8.2-fpm", "systemd"),
        ("HAProxy 503 on shop", "haproxy"),
        ("docker compose: web is OOMKilled", "docker"),
        ("sqlite3.OperationalError: database is locked", "sqlite"),
        ("ECS service web: unable to reach steady state", "ecs"),
        ("Apache answers 503", "apache"),
        ("FATAL: sorry, too many clients already (PostgreSQL 15)", "postgresql"),
        ("ECS deployment circuit breaker triggered", "ecs"),
        ("ECS container killed", "ecs"),
        ("Nomad deployment failed", "nomad"),
        ("Swarm stack fails to update", "swarm"),
        ("docker service ps shows rejected", "swarm"),
        ("Oracle 19c slow", "oracle"),
        ("Cosmos DB 429", "cosmos db"),
        ("Ruby service leaks memory", "ruby"),
        ("memory quota exceeded, ruby", "ruby"),
        ("Express app out of memory", "node"),
        ("Db2 deadlock SQL0911N", "db2"),
        ("OpenSearch cluster red", "elasticsearch"),
        ("Windows Server disk C: full", "windows"),
        ("IIS logs", "iis"),
        ("Heroku dynos R14", "heroku"),
        ("Varnish cache misses", "varnish"),
        ("Couchbase cache misses", "couchbase"),
        ("mariadbd crashed", "mysql"),
        ("Kafka consumer lag", "kafka"),
        ("RabbitMQ queue grows", "rabbitmq"),
        ("database is locked", "sqlite"),
    ],
)
def test_a_text_names_its_technologies(text: str, technology: str) -> None:
    assert any(technology in its for its in named(text).values())


@pytest.mark.parametrize(
    "text",
    [
        "a podcast tripod, goal, javanese",
        "the helmet, she is at the helm of it",
        "v8.2 released",
        "the price oracle lags behind",
        "ruby-colored ECS fields",
        "max virtual memory areas vm.max_map_count is too low",
        "Apache Spark's lag, a Docker Hub limit, the network of example.net",
        "org.apache.http.conn.HttpHostConnectException, org.apache.kafka.common.errors.TimeoutException, org/apache/logging/Log",
        "express checkout is down, express-checkout, American Express API",
        "ruby\nis slow; ruby is down",
        "the maintenance windows of next week, on windows of 5 minutes",
        "db2 lags behind db1",
        "accounts database is locked by a migration",
        "a node is not ready, the express lane is blocked",
        "concourse.platform.service.example.org is down",
        "",
    ],
)
def test_other_words_name_none(text: str) -> None:
    assert named(text) == {}


def test_docker_is_a_detail_under_an_orchestrator() -> None:
    """Its own commands would go round Kubernetes, ECS or Nomad."""
    assert named("Kubernetes: docker image of web is not pulled") == {"platform": {"kubernetes"}}
    assert named("ECS service web, docker image")["platform"] == {"ecs"}
    assert named("docker-compose on a host under systemctl") == {"platform": {"docker", "systemd"}}


def test_a_later_text_speaks_only_of_what_the_first_left_open() -> None:
    there = named("MySQL is slow", "Postgres on Kubernetes")
    assert there == {"database": {"mysql"}, "platform": {"kubernetes"}}


def test_a_command_suits_where_its_technology_is_there() -> None:
    there = named("MySQL on Kubernetes")
    assert suits("kubectl get pods", there) is True
    assert suits("df -h", there) is True
    assert suits('psql -c "SELECT 1"', there) is False
    assert suits("redis-cli INFO", there) is None
    assert suits("systemctl restart x || kubectl rollout restart deployment/x", there) is True
    assert suits(None, there) is True
    assert suits("crictl rmi --prune", named("docker compose")) is False


@pytest.mark.parametrize("kind", FailureType)
def test_where_nothing_is_said_a_playbook_stays_as_it_is(kind: FailureType) -> None:
    """But for a queue, which is never guessed."""
    plain, told = playbook(kind), playbook(kind).suited({})
    assert told.actions == tuple(action for action in plain.actions if "aws sqs" not in (action.command or ""))
    assert (told.mechanism, told.prevention, told.without) == (plain.mechanism, plain.prevention, ())


@pytest.mark.parametrize("kind", FailureType)
@pytest.mark.parametrize(
    "text",
    [
        "MySQL 8 and Memcached on bare-metal with PHP, Azure, HAProxy",
        "MongoDB, docker compose, Go: golang",
        "Kubernetes",
    ],
)
def test_a_playbook_has_a_check_for_everybody_and_the_destructive_last(kind: FailureType, text: str) -> None:
    book = playbook(kind).suited(named(text))
    assert book.checks
    risks = [action.risk.value == "destructive" for action in book.mitigations]
    assert risks == sorted(risks)


def test_mitigations_stay_in_the_order_of_their_harm() -> None:
    told = playbook(FailureType.CONNECTION_POOL).suited(named("MySQL: too many connections")).mitigations
    assert "Roll back" in told[0].action
    plain = [action.action for action in playbook(FailureType.LATENCY).mitigations]
    kept = [action.action for action in playbook(FailureType.LATENCY).suited(named("AWS ALB")).mitigations]
    assert kept == [action for action in plain if action in kept]


def test_the_envelope_of_an_alert_names_no_technology() -> None:
    about = incident("HostOutOfMemory db-3", FailureType.MEMORY)
    alert = (
        "alertname: HostOutOfMemory\nprometheus: monitoring/kube-system\nseverity: critical\nsummary: mysqld was killed"
    )
    assert there(replace(about, description=alert)) == {"database": {"mysql"}}


def test_mysql_in_trouble_gets_no_psql() -> None:
    told = answer(incident("MySQL replica lags, deadlocks", FailureType.DATABASE))
    assert tools(told)[:2] == ["mysql", "mysql"]
    assert "psql" not in tools(told)
    assert "psql" in tools(answer(incident("deadlocks on the orders database", FailureType.DATABASE)))


def test_what_the_service_ran_on_before_says_what_to_look_at() -> None:
    """The alert names no platform; the records of its service do, however unlike they are."""
    about = incident("worker killed, out of memory", FailureType.MEMORY, service="mailer")
    unlike = past(0.05, "queue full", Step("Restart", "systemctl restart mailer", Outcome.WORKED), service="Mailer")
    assert "kubectl" not in " ".join(a.command or "" for a in answer(about, unlike).suggested_actions)
    assert (
        tools(answer(about, replace(unlike, hit=replace(unlike.hit, incident=replace(unlike.incident, service="x")))))[
            0
        ]
        == "kubectl"
    )


def test_checks_of_what_may_not_be_there_do_not_stand_before_the_known_fix() -> None:
    about = incident("uploads fail: allowed memory size exhausted", FailureType.MEMORY)
    fix = Step("Raise memory_limit to 1G", None, Outcome.WORKED)
    told = answer(about, past(0.9, "uploads fail", fix)).suggested_actions
    assert told[0].action == fix.text
    assert all(action.sources == ["playbook:memory-leak"] for action in told[1:])
    on_kubernetes = replace(about, description="pods of web, exit code 137")
    told = answer(on_kubernetes, past(0.9, "uploads fail", fix)).suggested_actions
    assert [action.risk for action in told][:2] == ["read-only", "read-only"]


def test_a_known_fix_on_a_host_gets_checks_of_a_host() -> None:
    fix = Step("Restart it", "systemctl restart php8.2-fpm", Outcome.WORKED)
    told = answer(incident("uploads fail: out of memory", FailureType.MEMORY), past(0.9, "uploads fail", fix))
    assert "kubectl" not in " ".join(action.command or "" for action in told.suggested_actions)
    assert tools(told)[-1] == "systemctl"
    assert len(told.suggested_actions) == 3


@pytest.mark.parametrize(
    "text",
    [
        "failed to allocate for range 0: no IP addresses available in range set",
        "failed to allocate a nodePort: provided port is already allocated",
        "standby generator is behind the building",
    ],
)
def test_messages_of_something_else_are_no_memory_and_no_database(text: str) -> None:
    assert classify(None, text) not in (FailureType.MEMORY, FailureType.DATABASE)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("PHP Fatal error: Allowed memory size of 134217728 bytes exhausted", FailureType.MEMORY),
        ("MemoryError in the report worker", FailureType.MEMORY),
        ("terminate called after throwing an instance of 'std::bad_alloc'", FailureType.MEMORY),
        ("fork: Cannot allocate memory", FailureType.MEMORY),
        ("OOM command not allowed when used memory > 'maxmemory'", FailureType.CACHE),
        ("CLUSTERDOWN The cluster is down", FailureType.CACHE),
        ("READONLY You can't write against a read only replica.", FailureType.CACHE),
        ("HTTP 507 insufficient storage", FailureType.DISK),
        ("canceling statement due to conflict with recovery", FailureType.DATABASE),
        ("psycopg2: could not translate host name: Name or service not known", FailureType.DNS),
        ("CPUThrottlingHigh", FailureType.CPU),
        ("NET::ERR_CERT_DATE_INVALID", FailureType.CERTIFICATE),
        ("bind: EADDRNOTAVAIL cannot assign requested address", FailureType.NETWORK),
        ("CreateContainerConfigError in shop", FailureType.DEPLOYMENT),
        ("ProvisionedThroughputExceededException, writes throttled", FailureType.DATABASE),
        ("MongoServerError: not primary", FailureType.DATABASE),
        ("Request rate is large. More Request Units may be needed", FailureType.DATABASE),
        (
            "SQL0911N The current transaction has been rolled back because of a deadlock or timeout",
            FailureType.DATABASE,
        ),
        ("ORA-01653: unable to extend table APP.ORDERS by 128 in tablespace USERS", FailureType.DISK),
        ("error 9002, log full due to LOG_BACKUP", FailureType.DISK),
        ("The transaction log for database 'shop' is full due to 'LOG_BACKUP'", FailureType.DISK),
        ("index read-only: flood-stage watermark exceeded", FailureType.DISK),
        ("Error R14 (Memory quota exceeded)", FailureType.MEMORY),
    ],
)
def test_messages_that_everybody_meets_have_a_type(text: str, kind: FailureType) -> None:
    """In a description alone, where words count least."""
    assert classify(None, text) is kind
