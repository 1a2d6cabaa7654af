"""A derived check looks where the step works, at every object it names, or there is none."""

from __future__ import annotations

import pytest

from incidentos.memory.risk import Risk, risk_of
from incidentos.memory.safeguard import safeguard_of

CHECKS: list[tuple[str, str | None]] = [
    (
        "kubectl drain n1 --force --context prod",
        "kubectl get pods -A -o wide --field-selector spec.nodeName=n1 --context prod",
    ),
    ("kubectl drain n1 n2 --force", None),
    ("kubectl --kubeconfig k delete pod x --timeout 30s", "kubectl --kubeconfig k get pod x -o wide"),
    ("kubectl delete deploy x --cascade orphan", "kubectl get deploy x -o wide"),
    ("kubectl delete pods --all -n x", "kubectl get pods -n x -o wide"),
    (
        "helm uninstall a b --kube-context c --timeout 30s",
        "helm history a --kube-context c && helm get values a --kube-context c"
        " && helm history b --kube-context c && helm get values b --kube-context c",
    ),
    ("docker --context c rm -f web", "docker --context c inspect web"),
    ("docker -H h:1 kill -s KILL web", "docker -H h:1 inspect web"),
    ("docker compose -f a.yml -p x down -v", "docker compose -f a.yml -p x ps"),
    ("docker-compose -f a.yml down -v", "docker-compose -f a.yml ps"),
    (
        "aws ec2 terminate-instances --instance-ids i-1 i-2 i-3 --profile p --region=r",
        "aws ec2 describe-instances --instance-ids i-1 i-2 i-3 --profile p --region=r",
    ),
    ("aws s3 rb --force s3://b --profile p", "aws s3 ls s3://b --recursive --summarize --profile p"),
    ("aws --profile p ec2 terminate-instances --instance-ids i-1", None),
    ("gcloud compute instances delete a b --zone z", None),
    ("systemctl -H db1 kill nginx", "systemctl -H db1 status nginx"),
    ("dropdb -h db1 -p 5433 prod", "psql -h db1 -p 5433 -l"),
    ("nodetool -h n1 decommission", "nodetool -h n1 status"),
    (
        "etcdctl --endpoints e:1 member remove 5",
        "etcdctl --endpoints e:1 endpoint status -w table && etcdctl --endpoints e:1 member list",
    ),
    ("rabbitmqctl purge_queue q -p v", "rabbitmqctl list_queues -p v name messages consumers"),
    (
        "sqlcmd -S db-1 -d master -Q 'KILL 57'",
        "sqlcmd -S db-1 -d master -Q 'SELECT session_id, login_name, host_name, program_name, status, open_transaction_count,"
        " last_request_start_time FROM sys.dm_exec_sessions WHERE session_id = 57'",
    ),
    (
        "mongosh --host db-1 --quiet --eval 'db.killOp(4711)'",
        "mongosh --host db-1 --quiet --eval 'db.currentOp({opid: 4711}).inprog'",
    ),
    (
        "sqlcmd -Q 'KILL 57' -S db-1 -o out.txt",
        "sqlcmd -Q 'SELECT session_id, login_name, host_name, program_name, status, open_transaction_count,"
        " last_request_start_time FROM sys.dm_exec_sessions WHERE session_id = 57' -S db-1",
    ),
    ("sqlcmd -S db-1 -Q 'KILL 57 KILL 58'", None),
    ("sqlcmd -S db-1 -Q 'KILL 57; KILL 58'", None),
    ("sqlcmd -S db-1 -Q 'KILL 57' -i more.sql", None),
    ("sqlcmd -S db-1 -Q 'KILL 57 WITH STATUSONLY KILL 58'", None),
    ("sqlcmd -S db-1 -Q 'DROP INDEX i ON dbo.orders'", None),
    (
        "sqlcmd -S db-1 -Q 'BEGIN TRAN DELETE FROM t WHERE a = 1 COMMIT'",
        "sqlcmd -S db-1 -Q 'SELECT count(*) FROM t WHERE a = 1'",
    ),
    ("psql -c 'DROP TABLE old' -h db-1 shop", "psql -c 'SELECT count(*) FROM old' -h db-1 shop"),
    (
        "mongosh h/shop --eval 'db.x.deleteMany({_id: ObjectId(\"a\")})'",
        "mongosh h/shop --eval 'db.x.countDocuments({_id: ObjectId(\"a\")})'",
    ),
    (
        "mongosh --eval 'db.currentOp({op: \"query\"}).inprog.filter(o => o.secs > 60).forEach(o => db.killOp(o.opid))' h/shop",
        "mongosh --eval 'db.currentOp({op: \"query\"}).inprog.filter(o => o.secs > 60)' h/shop",
    ),
    ("mongosh --eval 'for (const o of db.currentOp().inprog) db.killOp(o.opid)'", None),
    ("mongosh --eval 'db.currentOp().inprog.forEach(o => { db.killOp(o.opid); db.x.drop() })'", None),
    ("mongosh --eval 'db.killOp(5); db.x.drop()'", None),
    ("mongosh --eval 'db.killOp()'", None),
    ("mongosh --eval 'db.killOp(f(5))'", None),
    ("mongosh fix.js --eval 'db.killOp(5)'", None),
    ("mongosh --eval 'db.killOp(5)' fix.js", None),
    ("mongosh --file fix.js --eval 'db.killOp(5)'", None),
    ("mongosh --shell --eval 'db.killOp(5)'", None),
    ("crontab -u bob -r", "crontab -u bob -l"),
    ("consul kv delete -http-addr=h:1 x", None),
    ("kill -s KILL 12", "ps -o pid,user,etime,args -p 12"),
    ("pkill -9 -u bob", "pgrep -a -u bob"),
    ("pkill -u bob java", "pgrep -a -u bob java"),
    ("killall java nginx", None),
    ("TRUNCATE a, b", None),
    ("DROP TABLE a, b", None),
    ("DELETE FROM a WHERE x = 1; DROP TABLE b", None),
    ("truncate -r ref a", "ls -l a && tail -n 5 a"),
]


@pytest.mark.parametrize(("command", "check"), CHECKS)
def test_a_check_looks_at_the_target_of_its_step(command: str, check: str | None) -> None:
    """The cluster, host, profile, user and every object are those of the step; else there are only words."""
    assert risk_of(command) is Risk.DESTRUCTIVE
    assert safeguard_of(command).check == check


def test_a_script_that_does_more_is_not_told_as_one_thing() -> None:
    """Whoever ends an operation and drops a collection in one line reads of both."""
    assert "more than one thing" in safeguard_of("mongosh --eval 'db.killOp(5); db.x.drop()'").look
    assert "operation" in safeguard_of("mongosh --eval 'db.killOp()'").look


def test_a_question_about_a_rollback_ends_nothing() -> None:
    assert risk_of('sqlcmd -S db-1 -Q "KILL 57 WITH STATUSONLY"') is Risk.READ_ONLY
