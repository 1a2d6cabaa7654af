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
