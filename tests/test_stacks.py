"""Whatever an incident runs on: its own steps where there are some, else general ones and the word that there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from incidentos.memory.confidence import weigh
from incidentos.memory.incident import FailureType, Incident
from incidentos.memory.memory import IncidentMemory, Recalled
from incidentos.memory.placeholders import placeholders
from incidentos.memory.risk import Risk, risk_of
from incidentos.memory.runbook import guarded
from incidentos.prompts.playbooks import Steps, fits, playbook, stacks
from incidentos.prompts.technologies import LABELS, STATES, USUAL, family_of, named, needed_by
from incidentos.tools import analyze
from incidentos.tools.base import Desk

NOW = datetime(2026, 11, 26, tzinfo=UTC)

SAID = {
    "docker": "docker compose service web",
    "swarm": "docker swarm service web",
    "ecs": "ECS service web on Fargate",
    "nomad": "Nomad job web",
    "heroku": "web on Heroku",
    "app service": "web on Azure App Service",
    "windows": "web on Windows Server",
    "sqlite": "SQLite file of web",
    "mongodb": "MongoDB replica set",
    "sql server": "SQL Server behind web",
    "oracle": "ORA-00060 on the Oracle database",
    "cassandra": "Cassandra ring",
    "dynamodb": "DynamoDB table",
    "cockroachdb": "CockroachDB cluster",
    "clickhouse": "ClickHouse node",
    "cosmos db": "Cosmos DB behind web",
    "db2": "IBM Db2 behind web",
    "elasticsearch": "Elasticsearch cluster",
    "couchbase": "Couchbase behind web",
    "memcached": "memcached behind web",
    "varnish": "Varnish in front of web",
    "kafka": "Kafka brokers",
    "rabbitmq": "RabbitMQ behind web",
    "node": "Node.js process of web",
    "python": "Django on gunicorn workers of web",
    "php": "PHP-FPM of web",
    "ruby": "Rails behind web",
    "dotnet": "ASP.NET service web",
    "google cloud": "web on Google Cloud",
    "azure": "web on Azure",
    "traefik": "Traefik in front of web",
    "caddy": "Caddy in front of web",
    "apache": "Apache httpd in front of web",
    "iis": "IIS site web",
}
"""An incident's words for each technology that is not usual."""

OWN = [
    pytest.param(technology, kind, steps, id=f"{technology}-{kind.value}")
    for kind in FailureType
    for technology, steps in playbook(kind).own.items()
]


def others_of(technology: str) -> frozenset[str]:
    """What the technology stands in for."""
    family = family_of(technology)
    return frozenset(one for one in {*USUAL, *LABELS} if family_of(one) == family) - {technology}


def speaks_of(texts: Iterable[str | None], technologies: frozenset[str]) -> list[str]:
    """The texts that speak of these technologies, and of nothing else of their family."""
    return [
        text
        for text in filter(None, texts)
        for its in needed_by(text).values()
        if its & technologies and its <= technologies
    ]


def test_every_technology_that_is_not_usual_is_told_here() -> None:
    assert set(SAID) == set(LABELS)
    for technology, text in SAID.items():
        assert technology in named(text)[family_of(technology)]


@pytest.mark.parametrize("technology", SAID)
def test_nobody_is_told_what_is_for_another_stack(technology: str) -> None:
    """Neither in a command nor in words: no psql and no role's plans for SQLite, no pods for ECS."""
    others = others_of(technology)
    for kind in FailureType:
        book = playbook(kind, "web").suited(named(SAID[technology]))
        told = [text for action in book.actions for text in (action.action, action.command)]
        told += [action.expect for action in book.actions if technology in book.own]
        if family_of(technology) != "cloud":
            told += [book.mechanism, book.prevention]
        assert speaks_of(told, others) == [], kind


@pytest.mark.parametrize("technology", SAID)
def test_no_runbook_is_empty(technology: str) -> None:
    """A check first, then a change with its way back, then what to watch; the destructive last."""
    for kind in FailureType:
        book = playbook(kind).suited(named(SAID[technology]))
        assert len(book.checks) >= 2, kind
        assert len(book.mitigations) >= 2, kind
        assert book.watch, kind
        assert all(action.risk is Risk.READ_ONLY for action in (*book.checks, *book.watch)), kind
        assert all(action.undo for action in book.mitigations), kind
        risks = [action.risk is Risk.DESTRUCTIVE for action in book.mitigations]
        assert not risks[0], kind
        assert risks == sorted(risks), kind


@pytest.mark.parametrize(("technology", "kind", "steps"), OWN)
def test_own_steps_come_first(technology: str, kind: FailureType, steps: Steps) -> None:
    book = playbook(kind).suited(named(SAID[technology]))
    for mine, shown in ((steps.checks, book.checks), (steps.mitigations, book.mitigations), (steps.watch, book.watch)):
        if mine:
            assert (shown[0].action, shown[0].command) == (mine[0].action, mine[0].command)
    assert LABELS[technology] not in book.without


@pytest.mark.parametrize(("technology", "kind", "steps"), OWN)
def test_own_steps_can_be_trusted(technology: str, kind: FailureType, steps: Steps) -> None:
    """A check is read-only by our own reading; a change has its risk, its way back and what to see, and what destroys is
    behind what does not and says what to see before it."""
    for action in (*steps.checks, *steps.watch):
        assert action.risk is Risk.READ_ONLY
        assert action.command is None or risk_of(action.command) is Risk.READ_ONLY, action.command
    for action in steps.mitigations:
        assert action.risk is not Risk.READ_ONLY
        assert action.undo
        if action.command and risk_of(action.command) is Risk.DESTRUCTIVE:
            assert action.risk is Risk.DESTRUCTIVE, action.command
        if action.risk is Risk.DESTRUCTIVE:
            assert " after " in action.action or " only if " in action.action or guarded(action).check
    for action in steps.actions:
        assert action.expect
        assert fits(action, named(SAID[technology])) is not False
        assert all(name.startswith("<") for name in placeholders(action.command)), action.command


@pytest.mark.parametrize(("technology", "kind", "steps"), OWN)
def test_own_steps_hold_whatever_else_is_there(technology: str, kind: FailureType, steps: Steps) -> None:
    """They need nothing but their technology, and the cloud that it belongs to: SQLite's are the same under Node.js."""
    own = {family_of(technology), *STATES, "framework", *({"cloud"} if technology in ("ecs", "dynamodb") else ())}
    for action in steps.actions:
        assert set(needed_by(f"{action.action} {action.command}")) <= own, action.action


@pytest.mark.parametrize("kind", FailureType)
def test_general_steps_are_for_everybody(kind: FailureType) -> None:
    """They, their mechanism and their prevention speak of no technology at all."""
    general = playbook(kind).general
    for action in general.actions:
        assert action.command is None
        assert needed_by(f"{action.action} {action.expect} {action.undo}") == {}
    assert needed_by(f"{general.mechanism} {general.prevention}") == {}
    assert (len(general.checks), len(general.mitigations), len(general.watch)) == (2, 2, 1)
    assert all(action.undo for action in general.mitigations)


USUAL_TEXTS = [
    "",
    "Kubernetes",
    "PostgreSQL on Kubernetes",
    "MySQL",
    "systemctl restart web",
    "Redis on EKS",
    "Java and HAProxy",
]


@pytest.mark.parametrize("text", USUAL_TEXTS)
def test_who_names_what_is_usual_or_nothing_gets_the_playbook_in_its_order(text: str) -> None:
    """Without the steps for others, and without any of the steps for a stack that is not usual."""
    for plain in map(playbook, FailureType):
        book = plain.suited(named(text))
        assert (book.mechanism, book.prevention, book.without) == (plain.mechanism, plain.prevention, ())
        for all_, kept, general in (
            (plain.mitigations, book.mitigations, plain.general.mitigations),
            (plain.watch, book.watch, plain.general.watch),
        ):
            assert kept == tuple(action for action in all_ if action in kept) or kept == general
        assert set(book.checks) <= {*plain.checks, *plain.general.checks}


# As an assistant gets it


@pytest.fixture
def ask(open_memory: Callable[..., IncidentMemory], tmp_path: Any) -> Callable[..., Any]:
    desk = Desk(memory=open_memory(), database=tmp_path / "memory.db", version="0")

    async def progress(done: float, of: float, what: str) -> None:
        pass

    async def answer(title: str, description: str = "", service: str | None = None) -> analyze.Analysis:
        arguments = analyze.AnalyzeIncident(title=title, description=description, service=service)
        return await analyze.run(desk, arguments, progress)

    return answer


ASKED: Mapping[tuple[str, str], str] = {
    ("SQLite: database is locked", "sqlite3.OperationalError: database is locked"): "lsof -nP <db-file>",
    ("MongoDB primary stepped down", "MongoServerError: not primary"): "mongosh",
    ("MongoDB: too many connections", "connection pool exhausted"): "mongosh",
    ("SQL Server deadlock", "Transaction (Process ID 57) was deadlocked, error 1205"): "sqlcmd",
    ("tempdb of SQL Server is full", "no space left, disk full"): "sqlcmd",
    ("docker compose service web: exit code 137", "out of memory, OOMKilled"): "docker inspect",
    ("No space left on device on the docker host", "docker images and logs"): "df -h /var/lib/docker",
    ("ECS service web: tasks fail after the deploy", "failed deploy, crash loop"): "aws ecs describe-services",
    ("ECS task: CannotPullContainerError", "failed deploy"): "aws ecs describe-services",
    ("memcached evictions climb", "cache miss"): "printf 'stats",
    ("Node.js: JavaScript heap out of memory", "Reached heap limit"): "tr ",
    ("gunicorn: WORKER TIMEOUT", "p99 latency 30 s, requests timed out"): "for p in $(pgrep",
    ("Nomad job web: allocations fail after the deploy", "failed deploy"): "nomad job status",
    ("Cassandra database is slow", "ReadTimeoutException, dropped mutations"): "nodetool",
    ("DynamoDB throttles, database fails", "ProvisionedThroughputExceededException"): "aws dynamodb describe-table",
    ("Apache: server reached MaxRequestWorkers", "load balancer health check fails"): "curl -s",
    ("PHP-FPM: server reached max_children", "504 gateway timeout, latency"): "grep -hE 'max_children",
}


@pytest.mark.anyio
@pytest.mark.parametrize(("told", "first"), ASKED.items(), ids=[title for title, _ in ASKED])
async def test_a_newcomer_gets_commands_of_the_own_stack(ask: Any, told: tuple[str, str], first: str) -> None:
    """The first step is a command of the stack that the alert names, and none is one of Kubernetes or PostgreSQL."""
    answer = await ask(*told, service="web")
    commands = [action.command or "" for action in answer.suggested_actions]
    assert commands[0].startswith(first)
    assert not [c for c in commands if any(word in c for word in ("kubectl", "psql", "pg_", "jcmd", "crictl"))]
    assert "No steps of our own" not in answer.as_text()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Oracle database slow: ORA-00060, deadlock", "Oracle Database"),
        ("ClickHouse database slow, slow queries", "ClickHouse"),
        ("Rails app: CPU usage 100 %", "Ruby"),
        ("ASP.NET service: p99 latency 20 s, timeouts", ".NET"),
        ("Caddy: 502, no healthy upstream, load balancer", "Caddy"),
    ],
)
async def test_it_is_said_where_there_are_no_steps_of_our_own(ask: Any, title: str, name: str) -> None:
    """Before the runbook, by name; and the runbook is there all the same, with nothing in it for another stack."""
    answer = await ask(title)
    assert f"No steps of our own for {name}: those below are general" in answer.ai_analysis
    assert len(answer.suggested_actions) >= 4
    assert answer.suggested_actions[0].risk == "read-only"
    assert not any(word in answer.as_text() for word in ("kubectl", "psql", "pg_", "hikari", "xmin"))


@pytest.mark.anyio
async def test_two_stacks_both_get_their_steps(ask: Any) -> None:
    """A service of two names is looked at from both sides, and what only one of them lacks is said of that one alone."""
    told = await ask("docker compose service api: JavaScript heap out of memory", "Node.js, exit code 137")
    commands = " ".join(action.command or "" for action in told.suggested_actions)
    assert "docker inspect" in commands
    assert "NODE_OPTIONS" in commands
    told = await ask("PostgreSQL in docker compose: too many clients already", service="api")
    commands = [action.command or "" for action in told.suggested_actions]
    assert commands[0].startswith("psql")
    assert "docker compose restart api" in commands
    mixed = await ask("Rails on Kubernetes: pods OOMKilled, exit code 137")
    assert "No steps of our own for Ruby: those below are general or for something else" in mixed.ai_analysis
    assert (mixed.suggested_actions[0].command or "").startswith("kubectl")


def test_the_sentence_stands_whoever_words_the_answer() -> None:
    """It is a part of the opening, which a language model's answer begins with, too."""
    about = Incident(id="now", title="Oracle database is slow", description="", updated_at=NOW)
    about = replace(about, failure_type=FailureType.DATABASE)
    draft = analyze.draft_of(about, Recalled((), ()), weigh((), NOW), analyze.Past(None, {}, NOW))
    assert "No steps of our own for Oracle Database" in draft.opening


def test_a_model_may_repeat_a_step_for_any_stack() -> None:
    """Its command is known, and so is no invention."""
    known = [action.command or "" for action in playbook(FailureType.DATABASE).known]
    assert {"psql", "mysql", "sqlite3", "mongosh", "sqlcmd"} <= {command.split(" ")[0] for command in known}


def test_a_stack_says_nothing_that_nobody_reads() -> None:
    """Its file is called as a technology that is not usual, its sections as failure types, their parts as those of a
    playbook."""
    kinds = {kind.value for kind in FailureType}
    for technology, content in stacks().items():
        assert technology in LABELS
        assert set(content) <= kinds
        for section in content.values():
            assert set(section) <= {"mechanism", "prevention", "check", "mitigation", "watch"}
            assert ("mechanism" in section) == ("prevention" in section)
