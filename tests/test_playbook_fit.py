"""A runbook is for what the incident speaks of, wherever that runs: nothing in it for another stack, a host that is not
there, or a queue that nobody named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from incidentos.memory.confidence import weigh
from incidentos.memory.failure_types import classify
from incidentos.memory.incident import FailureType, Incident
from incidentos.memory.memory import Recalled
from incidentos.prompts.playbooks import playbook, stacks
from incidentos.prompts.technologies import named
from incidentos.tools.actions import SuggestedAction
from incidentos.tools.analyze import Analysis, Past, compose, draft_of

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def asked(title: str, description: str = "", service: str = "web") -> Analysis:
    """The answer to an incident of which the memory knows nothing."""
    kind = classify(title, description)
    about = Incident(id="now", title=title, description=description, service=service, updated_at=NOW, failure_type=kind)
    recalled, verdict, past = Recalled((), ()), weigh((), NOW), Past(None, {}, NOW)
    return compose(draft_of(about, recalled, verdict, past), False, recalled, verdict, past)


def commands(told: Analysis) -> list[str]:
    return [action.command or "" for action in told.suggested_actions]


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("mongo-2", ("MongoDB connections refused", "connection pool exhausted, too many open files")),
        ("clickhouse", ("ClickHouse pool exhausted", "connection pool exhausted, too many simultaneous queries")),
        ("cassandra-proxy", ("Connection pool exhausted on the Cassandra driver", "NoHostAvailable")),
        ("cockroachdb", ("CockroachDB: connection pool exhausted", "")),
        ("dynamodb-reader", ("DynamoDB client: connection pool exhausted", "")),
        ("mssql-gateway", ("SQL Server pool empty", "connection pool exhausted, max pool size reached")),
    ],
)
def test_a_name_of_a_service_lets_no_step_of_another_stack_in(service: str, told: tuple[str, str]) -> None:
    """`kubectl rollout undo deployment/mongo-2` is a step for Kubernetes, not for MongoDB, and psql is never shown."""
    shown = " ".join(commands(asked(*told, service=service)))
    assert not any(word in shown for word in ("psql", "pg_", "kubectl"))


@pytest.mark.parametrize("service", ["sqlite", "docker-registry", "rails", "dotnet", "mongo-2", "mssql", "clickhouse"])
def test_the_steps_are_the_same_whatever_the_service_is_called(service: str) -> None:
    """But for the name in the place of `<service>`."""
    for kind in FailureType:
        for text in ("Kubernetes", "ECS service on Fargate", "MongoDB", "docker compose", ""):
            mine, plain = (playbook(kind, name).suited(named(text)) for name in (service, "any"))
            assert [action.action for action in mine.actions] == [action.action for action in plain.actions]


def test_swarm_never_gets_compose() -> None:
    """compose would start a second copy beside the service; who has compose is told that its steps are compose's."""
    told = asked("docker swarm service web stuck in preparing", "rejected: No such image, failed deployment")
    shown = " ".join(commands(told))
    assert all(f"docker service {verb}" in shown for verb in ("ps", "inspect", "logs", "update --rollback"))
    for kind in FailureType:
        for action in playbook(kind).suited(named("docker swarm service web")).actions:
            assert "compose" not in f"{action.action} {action.command}"
        for action in playbook(kind).own["docker"].mitigations if "docker" in playbook(kind).own else ():
            assert "compose" not in (action.command or "") or "Where compose runs it" in action.action


def test_a_reload_of_php_fpm_is_not_called_harmless() -> None:
    """By default it ends the requests that run, so each step with a reload says so and what to look at."""
    for section in stacks()["php"].values():
        for step in section.get("mitigation", ()):
            if "reload" in step["action"]:
                assert "process_control_timeout" in step["action"]
    reads = [
        a.command or "" for kind in (FailureType.LATENCY, FailureType.MEMORY) for a in playbook(kind).own["php"].checks
    ]
    assert sum("process_control_timeout" in command for command in reads) == 2


@pytest.mark.parametrize("title", ["MongoDB replica set has no primary", "MongoServerError: not primary, writes fail"])
def test_without_a_primary_mongodb_is_helped_to_one(title: str) -> None:
    """A member is brought back first; no index is built, nobody steps down, and no operation is ended, on a primary that is gone."""
    told = asked(title)
    changes = [action for action in told.suggested_actions if action.risk != "read-only"]
    assert "bring one of its voting members back" in changes[0].action
    assert not any(word in " ".join(commands(told)) for word in ("createIndex", "stepDown", "killOp"))
    assert "ask each member" in told.suggested_actions[1].action
    slow = asked("MongoDB slow: COLLSCAN", "slow queries on the database")
    assert "createIndex" in (
        next(action for action in slow.suggested_actions if action.risk != "read-only").command or ""
    )


@pytest.mark.parametrize(
    ("title", "container"),
    [
        ("Node.js heap out of memory on Kubernetes", "kubectl exec"),
        ("gunicorn workers OOM killed, ECS service web on Fargate", "aws ecs execute-command"),
        ("docker compose: PHP-FPM max_children reached, 504 timeout", "docker exec"),
    ],
)
def test_a_look_at_processes_says_inside_which_container(title: str, container: str) -> None:
    """`ps` and /proc show another world on the node, and a process id there is another process."""
    told = asked(title)
    inside = [
        a for a in told.suggested_actions if (a.command or "").startswith(("ps ", "tr ", "grep ", "kill ", "ss "))
    ]
    assert inside
    assert all(a.action.startswith("Inside the container") and container in a.action for a in inside)


@pytest.mark.parametrize("kind", FailureType)
@pytest.mark.parametrize(
    "text", ["ECS service web on Fargate", "web on Heroku", "IIS on Windows Server", "Azure App Service"]
)
def test_where_there_is_no_host_none_is_looked_at(kind: FailureType, text: str) -> None:
    book = playbook(kind).suited(named(text))
    for action in book.actions:
        assert "on the node" not in action.action.lower()
        assert not (action.command or "").startswith(
            ("df ", "lsof ", "tune2fs ", "nginx ", "journalctl ", "iostat ", "sysctl ")
        )


@pytest.mark.parametrize(
    "title", ["Deploy of web on Kubernetes", "Node.js pods", "the python service on Kubernetes", "Django pods"]
)
def test_a_crash_loop_keeps_its_last_words_in_sight(title: str) -> None:
    """`kubectl logs --previous` is among the first three, whatever else is named; Django's own only where Django is."""
    told = asked(f"{title}: failed deployment", "CrashLoopBackOff, exit code 1")
    assert any("kubectl logs" in command and "--previous" in command for command in commands(told)[:3])
    every = " ".join(
        a.command or "" for a in playbook(FailureType.DEPLOYMENT).suited(named(f"{title}, python3")).actions
    )
    assert ("manage.py" in every) == ("Django" in title)


@pytest.mark.parametrize(
    ("description", "queue"),
    [
        ("PHP shop on ECS", False),
        ("shop on Kubernetes", False),
        ("", False),
        ("PHP on ECS, SQS dead letter queue fills", True),
    ],
)
def test_a_queue_is_only_touched_where_one_is_named(description: str, queue: bool) -> None:
    """And whoever is left with a destructive change alone gets general ones in front of it."""
    told = asked("Third-party outage: vendor Stripe is down", description)
    book = playbook(FailureType.THIRD_PARTY).suited(named(description))
    assert any("sqs" in (action.command or "") for action in book.actions) is queue
    changes = [action for action in told.suggested_actions if action.risk != "read-only"]
    assert [action.risk for action in changes[:2]] == ["reversible", "reversible"]


@pytest.mark.parametrize(
    ("title", "names", "foreign"),
    [
        ("ASP.NET Core on Azure App Service: failed deployment", ("Azure App Service", ".NET"), ("kubectl", "alembic")),
        ("Caddy cannot renew: x509 certificate has expired", ("Caddy",), ("nginx", "kubectl")),
        ("Traefik on docker swarm: certificate expired", ("Docker Swarm", "Traefik"), ("nginx", "kubectl", "compose")),
        ("Windows Server disk C: full, IIS logs", ("Windows", "IIS"), ("tune2fs", "df ", "nginx", "psql")),
        ("Elasticsearch cluster red, unassigned shards", ("Elasticsearch",), ("kubectl", "psql")),
        ("Db2 deadlock SQL0911N, database slow", ("Db2",), ("kubectl", "psql")),
        ("Cosmos DB 429 request rate too large", ("Cosmos DB",), ("kubectl", "psql")),
        ("Oracle 19c slow, enq: TX - row lock contention", ("Oracle Database",), ("kubectl", "psql")),
        ("Heroku dynos R14, memory quota exceeded", ("Heroku",), ("kubectl", "journalctl")),
        ("Couchbase cache misses", ("Couchbase",), ("redis-cli", "kubectl")),
        ("Varnish cache hit rate dropped", ("Varnish",), ("redis-cli", "kubectl")),
        ("RabbitMQ consumers are stuck", ("RabbitMQ",), ("kubectl", "sqs")),
    ],
)
def test_what_we_have_no_steps_for_is_named(title: str, names: tuple[str, ...], foreign: tuple[str, ...]) -> None:
    """All of it, and nothing for another stack is shown in its place."""
    told = asked(title)
    assert f"No steps of our own for {' and '.join(names)}: those below are general" in told.ai_analysis
    assert not any(word in " ".join(commands(told)) for word in foreign)


@pytest.mark.parametrize("kind", FailureType)
def test_a_cluster_keeps_its_order_beside_what_is_a_detail_of_it(kind: FailureType) -> None:
    """Windows nodes, a broker or another cloud's name change nothing in the steps for Kubernetes."""
    plain = [action.action for action in playbook(kind).suited(named("Kubernetes")).actions]
    for detail in ("pods on Windows nodes", "Kafka", "RabbitMQ", "Heroku"):
        assert [a.action for a in playbook(kind).suited(named(f"Kubernetes, {detail}")).actions] == plain


def test_a_database_that_is_named_is_not_taken_for_sqlite() -> None:
    """`database is locked` is SQLite's own message only in its form, or where no other database is named."""
    assert named("PostgreSQL: accounts database is locked")["database"] == {"postgresql"}
    assert named("MySQL; OperationalError: database is locked")["database"] == {"mysql", "sqlite"}
    assert named("SQLITE_BUSY")["database"] == named("database is locked")["database"] == {"sqlite"}


@pytest.mark.parametrize("kind", FailureType)
def test_a_step_of_a_stack_is_shown_whole(kind: FailureType) -> None:
    """No warning at its end is cut: neither its words, with the container in front of them, nor what to expect. (Those for
    what is usual are shown in brief; `incidents://failure-types` has their checks whole.)"""
    book = playbook(kind)
    plain = [*book.general.actions, *(action for steps in book.own.values() for action in steps.actions)]
    for action in plain:
        told = SuggestedAction.of(action, NOW)
        assert (told.action, told.expect) == (action.action, action.expect)
    everything = "ECS service web: PHP-FPM, Node.js, gunicorn, Apache, MongoDB, SQLite, memcached"
    for action in book.suited(named(everything)).actions:
        assert SuggestedAction.of(action, NOW).action == action.action


def test_a_change_of_a_setting_is_taken_back_to_what_it_was() -> None:
    """Where a default may already be better, the step says when not to take it, and its way back names the earlier value."""
    cache = next(a for a in playbook(FailureType.CACHE).own["memcached"].mitigations if "automove" in (a.command or ""))
    assert "slab_automove 0" in cache.action
    assert "<previous" in (cache.undo or "")
    ring = next(
        a for a in playbook(FailureType.DATABASE).own["cassandra"].mitigations if "throughput" in (a.command or "")
    )
    assert "getcompactionthroughput" in ring.action
    assert "128" not in (ring.command or "")
    workers = [
        a for kind in FailureType if "python" in playbook(kind).own for a in playbook(kind).own["python"].mitigations
    ]
    reloads = [action for action in workers if (action.command or "").startswith("kill -HUP")]
    assert reloads
    for action in reloads:
        assert "if the files on the disk are those of the version that runs" in action.action
        assert "the same version runs" not in (action.undo or "")
    node = playbook(FailureType.MEMORY).own["node"].mechanism or ""
    assert "whatever the container's limit is" not in node
    assert "the container's limit (cgroup) included" in node
