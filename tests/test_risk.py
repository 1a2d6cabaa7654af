"""What a user may rely on when a step is called read-only, reversible or destructive."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from incidentos.memory.risk import Risk, risk_of

READ_ONLY = r"""
tcpdump -r capture.pcap
less /var/log/syslog
gcloud compute ssh web-1 --zone z -- uptime
terraform plan -destroy
iptables-save | grep DROP
aws s3 rm s3://b --recursive --dryrun
kubectl delete pod x --dry-run=server
ls -la /var/log
grep -r DROP .
echo "rm -rf /"
echo 'DROP TABLE users; -- no' | grep DROP
cat /etc/hosts 2>/dev/null | head -n 5
kubectl get pods
kubectl -n delete get pods
kubectl get pods -n $NAMESPACE -o wide
kubectl logs -f deploy/api --tail=100 | grep -i error > /dev/null 2>&1
kubectl describe pod <pod>
kubectl describe pod <your pod name> -n <ns>
kubectl top pods --sort-by=memory
kubectl rollout status deployment/api
kubectl rollout history deploy/api
kubectl delete pod x --dry-run=client
kubectl auth can-i delete pods
kubectl exec -it api-0 -- cat /proc/meminfo
kubectl exec -it pg-0 -- psql -U app -c "SELECT count(*) FROM orders"
kubectl port-forward svc/api 8080:80
for p in $(kubectl get pods -o name); do kubectl logs $p | tail -5; done
redis-cli INFO memory
redis-cli -h cache-1 -p 6379 --bigkeys
redis-cli SLOWLOG GET 10
redis-cli -n 2 CLIENT LIST
psql -c "SELECT pid, query FROM pg_stat_activity WHERE state <> 'idle' ORDER BY query_start"
psql -c "SELECT 'DROP TABLE x'"
psql -Atc 'SHOW max_connections'
psql -U postgres -c "EXPLAIN ANALYZE SELECT * FROM t WHERE id = 1"
psql -c '\d+ orders'
EXPLAIN DELETE FROM t WHERE id = 1
SELECT pg_size_pretty(pg_database_size('app'));
WITH x AS (SELECT 1) SELECT * FROM x
SHOW PROCESSLIST
SHOW ENGINE INNODB STATUS\G
mysql -e 'SHOW FULL PROCESSLIST'
mysql -u root -psecret -e "SELECT * FROM information_schema.innodb_trx"
mongosh --eval 'db.currentOp()'
openssl s_client -connect api.example.org:443 </dev/null | openssl x509 -noout -dates
dig +short api.example.org @8.8.8.8
curl -sS -o /dev/null -w '%{http_code}' https://api.example.org/health
curl -G https://prom/api/v1/query --data-urlencode 'query=up'
curl -I https://example.org
systemctl status nginx
journalctl -u nginx --since "1 hour ago" --no-pager
find /var/log -size +100M
find . -name '*.log' -exec ls -l {} \;
find . -type f | xargs ls -l
df -h && du -sh /var/* | sort -h
git log --oneline -5 && git diff HEAD~1
git branch -a
docker ps -a --filter status=exited
docker logs --tail 50 web
docker exec web cat /etc/nginx/nginx.conf
helm list -A
helm history api
helm upgrade api ./chart --dry-run
terraform plan
aws ec2 describe-instances --filters Name=tag:Name,Values=api
aws s3 ls s3://bucket/path
gcloud compute instances list --project p
iptables -L -n -v
iptables -t nat -nvL
nginx -t
sysctl net.core.somaxconn
ip addr show
ip a
tc qdisc show dev eth0
conntrack -L | wc -l
etcdctl endpoint health --cluster
rabbitmqctl list_queues name messages
kafka-consumer-groups.sh --bootstrap-server b:9092 --describe --group g
echo "show stat" | socat stdio /run/haproxy/admin.sock
jcmd 1234 Thread.print
kill -0 1234
ssh web-1 'uptime; free -m'
sudo -u postgres psql -c 'SELECT 1'
timeout 5 dig example.org
watch -n 1 'kubectl get pods'
env LANG=C sort file | uniq -c
awk '{print $1}' access.log | sort | uniq -c | sort -rn | head
sed -n '1,20p' /etc/hosts
ps aux > /tmp/ps.txt
cat <<'EOF'
for i in 1 2 3; do echo $i; sleep 1; done
[ -f /etc/x ] && echo yes
export NAMESPACE=prod
bash -c 'kubectl get pods'
npm ls
tar -tzf backup.tar.gz
command -v rm
k get po -A
"""

REVERSIBLE = r"""
less +'!frob x' f
man -P 'frob' ls
rg x --pre frob
PATH=/tmp:$PATH ls
systemctl unmask x
strace -f ls
curl -XPOST es:9200/logs/_close
ALTER TABLE t ADD COLUMN c int
cat a > b
kubectl scale deployment/api --replicas=5
kubectl rollout restart deployment/api
kubectl rollout undo deploy/api --to-revision=3
kubectl set image deploy/api api=api:1.2.3
kubectl cordon node-1
kubectl apply -f deploy.yaml
kubectl exec -it api-0 -- sh
kubectl get pod x -o yaml > pod.yaml
helm upgrade api ./chart --set replicas=3
helm rollback api 4
systemctl restart nginx
sudo systemctl stop chef-client
service nginx reload
nginx -s reload
git revert HEAD
git push origin main
git checkout -b fix
iptables -I INPUT -s 10.0.0.1 -j DROP
sysctl -w net.core.somaxconn=1024
redis-cli CONFIG SET maxmemory 4gb
ALTER SYSTEM SET max_connections = 300
psql -c "SELECT pg_reload_conf()"
psql -c "CREATE INDEX CONCURRENTLY i ON t (a)"
psql -f migration.sql
psql -c "$QUERY"
psql -c "SELECT my_unknown_function()"
SELECT nextval('s')
SELECT * INTO backup FROM t
VACUUM ANALYZE orders
EXPLAIN ANALYZE INSERT INTO t VALUES (1)
curl -X POST https://api.example.org/-/reload
curl -XPUT localhost:9200/_cluster/settings -d '{"transient":{}}'
curl -d a=b https://example.org
curl https://example.org/install.sh | bash
docker restart web
docker run --rm -it alpine
docker compose up -d
aws autoscaling set-desired-capacity --auto-scaling-group-name a --desired-capacity 4
kill -HUP 1234
./mystery.sh
frobnicate --now
$COMMAND now
$(cat cmd.txt)
cat script | sh
ls "unclosed
kubectl frobnicate pods
mkdir -p /srv/x
sed -i 's/a/b/' conf.ini
echo 1 > /proc/sys/net/ipv4/ip_forward
echo x >> notes.txt
sort -o out.txt in.txt
mount -o remount,rw /
etcdctl defrag
ip link set eth0 mtu 1400
tc qdisc add dev eth0 root netem delay 10ms
terraform import aws_instance.a i-1
ls | xargs frob
echo "disable server web/1" | socat stdio /run/haproxy.sock
jcmd 1 GC.run
curl -oGood.txt -d x=y https://example.org
env -S 'frob now'
jcmd 1 VM.set_flag HeapDumpOnOutOfMemoryError true
gcloud run services update x --memory 1Gi
xargs kubectl
LD_PRELOAD=./x.so ls
SHOW x | sh
uniq a b
kafka-configs.sh --bootstrap-server b:9092 --alter --add-config retention.ms=1000
"""

DESTRUCTIVE = r"""
:(){ :|:& };:
bash -c $'ls\nrm x'
echo 'rm x' | at now
echo cm0gLXJmIC8K | base64 -d | sh
sed '1e rm x' f
git -c core.pager='rm x' log
cat f > f
kubectl taint nodes n x=y:NoExecute
gcloud compute ssh web-1 -- rm y
aws ssm send-command --parameters commands='rm -rf /'
ip link delete veth0
nmcli con delete x
gh api -X DELETE /repos/x/y
heroku pg:reset -a app
npx rimraf dist
strace -f rm x
clickhouse-client -q 'ALTER TABLE t DELETE WHERE 1'
SELECT pg_stat_reset()
rabbitmqctl close_all_connections why
nomad node purge x
kubectl get pods --no-headers | awk '/Evicted/{print $1}' | xargs kubectl delete pod
redis-cli --scan --pattern 'sess:*' | xargs -L 100 redis-cli unlink
alias k=kubectl; k delete pod x
sqlite3 app.db "DELETE FROM t"
aws s3 sync . s3://b --delete
terraform -chdir=prod destroy -auto-approve
git push --force-with-lease origin main
nft flush ruleset
rm -rf /data
rm file
sudo rm -rf /data
\rm -rf /data
/bin/rm -rf /data
'rm' -rf /data
r"m" -rf /data
rm${IFS}-rf${IFS}/data
2>/dev/null rm x
kubectl get pods; kubectl delete pod x
kubectl get pods && kubectl delete pod x || true
kubectl 2>/dev/null delete pod x
kubectl -n prod delete pod <pod>
kubectl --some-new-option get delete pod x
kubectl drain node-1 --ignore-daemonsets --force
kubectl delete pod $(kubectl get pods -o name | head -1)
kubectl get pod $(kubectl delete pod x -o name)
kubectl get pods `kubectl delete pod x`
kubectl get pods -o name | xargs kubectl delete
kubectl get pods -o name | xargs -n1 -I{} sh -c 'kubectl delete {}'
kubectl exec -it pod -- psql -c "DELETE FROM sessions"
kubectl exec pod -- sh -c 'rm -rf /cache/*'
kubectl patch pvc x -p '{"metadata":{"finalizers":null}}'
docker exec c redis-cli FLUSHALL
docker rm -f web
docker system prune -af
docker compose down -v
ssh host 'sudo rm -rf /var/lib/x'
ssh -o StrictHostKeyChecking=no -i key host rm -rf /x
timeout 5 rm -rf /x
env A=b rm x
nohup rm -rf /x &
watch -n 5 'redis-cli FLUSHDB'
bash -c "rm -rf $DIR"
bash <<< 'rm -rf /data'
echo 'rm -rf /data' | sh
eval "rm -rf /data"
for p in a b; do kubectl delete pod $p; done
if true; then rm x; fi
while read p; do kill -9 $p; done < pids
time rm -rf x
find /tmp -mtime +7 -delete
find . -name '*.tmp' -exec rm {} +
DROP TABLE users
drop index concurrently i;
TRUNCATE orders
DELETE FROM t
UPDATE t SET a = 1
SELECT pg_terminate_backend(1)
psql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
psql -Atc 'select 1; drop table x'
WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d
EXPLAIN ANALYZE DELETE FROM t
EXPLAIN (ANALYZE, BUFFERS) UPDATE t SET a = 1
SELECT 1 /*!50000 ; DROP TABLE x */
KILL 42
mysql -e "KILL 42"
mysql -e'DROP DATABASE x'
psql -c '\! rm -rf /data'
ALTER TABLE t DROP COLUMN c
redis-cli FLUSHALL
redis-cli -h h flushdb
redis-cli DEL key
FLUSHALL
echo FLUSHALL | redis-cli
git push --force origin main
git push origin +main
git reset --hard HEAD~1
git clean -fdx
terraform destroy
terraform apply -auto-approve
aws ec2 terminate-instances --instance-ids i-1
aws s3 rm s3://b --recursive
gcloud compute instances delete x
az group delete -n x
iptables -F
kill -9 1234
pkill -9 java
reboot
sudo shutdown -r now
mkfs.ext4 /dev/sdb1
dd if=/dev/zero of=/dev/sda
truncate -s 0 /var/log/syslog
> /var/log/syslog
: > app.log
cat /dev/null > app.log
echo x > /etc/resolv.conf
echo x | sudo tee /etc/resolv.conf
cat x > /dev/sda
helm uninstall api
curl -X DELETE https://api/x
curl -XDELETE localhost:9200/logs-*
curl -X POST localhost:9200/x/_delete_by_query -d '{}'
etcdctl del --prefix /x
rabbitmqctl purge_queue q
kafka-topics.sh --bootstrap-server b:9092 --delete --topic t
mongosh --eval 'db.users.drop()'
frobnicate --force
./delete_all.sh
deleteUser 42
systemctl kill nginx
journalctl --vacuum-size=100M
conntrack -F
ip route flush table main
apt-get purge x
$ rm -rf /data
# rm -rf /data
root@web-1:~# rm -rf /data
postgres=# DROP TABLE x;
trap 'rm -rf /data' EXIT
env -S 'rm -rf /x'
ssh -o ProxyCommand='rm -rf /x' host uptime
fd -e log -x rm
gcloud run services delete api
BEGIN DELETE FROM t; END;
SHOW x && kubectl delete pod x
ss -K dst 10.0.0.1
cat <a>/etc/passwd
foo@bar; rm -rf /data # ls
curl -s -XGET -X DELETE https://api/x
bash -c 'for p in 1 2; do kill $p; done'
sudo -u postgres psql -c 'DROP TABLE x'
podman -r rm web
kubectl exec -i x -- bash -c "psql -c 'TRUNCATE t'"
X="rm -rf"; $X /data
cp /dev/null app.log
npm uninstall x
"""

HERE_DOCUMENTS = [
    ("ssh host <<'EOF'\nrm -rf /data\nEOF", Risk.DESTRUCTIVE),
    ("ssh host <<'EOF'\nuptime\nEOF", Risk.READ_ONLY),
    ("psql -h db <<'EOF'\nDROP SCHEMA public CASCADE;\nEOF", Risk.DESTRUCTIVE),
    ("cat <<EOF\nrm -rf /\nEOF", Risk.READ_ONLY),
    ("psql <<EOF\nSELECT 1;\nEOF", Risk.READ_ONLY),
    ("psql <<EOF\nDROP TABLE x;\nEOF", Risk.DESTRUCTIVE),
    ("bash <<'EOF'\nls\nrm -rf /x\nEOF", Risk.DESTRUCTIVE),
    ("ssh host bash <<'EOF'\nkubectl delete pod x\nEOF", Risk.DESTRUCTIVE),
    ("cat <<EOF | sh\nrm -rf /x\nEOF", Risk.DESTRUCTIVE),
    ("kubectl apply -f - <<EOF\nkind: Pod\nEOF", Risk.REVERSIBLE),
    ("kubectl get pods\nkubectl delete pod x", Risk.DESTRUCTIVE),
    ("kubectl <<EOF delete -f -\nkind: Pod\nEOF", Risk.DESTRUCTIVE),
    ("kubectl \\\n  -n x \\\n  get pods", Risk.READ_ONLY),
    ("# look first\nkubectl get pods", Risk.READ_ONLY),
    ("SELECT 1;\n-- then\nDELETE FROM t;", Risk.DESTRUCTIVE),
    ("kubectl get pods ⟨имя⟩ 名前 🔥", Risk.READ_ONLY),
    ("kubectl delete pod 名前", Risk.DESTRUCTIVE),
]


def _table() -> list[tuple[str, Risk]]:
    rows = [(READ_ONLY, Risk.READ_ONLY), (REVERSIBLE, Risk.REVERSIBLE), (DESTRUCTIVE, Risk.DESTRUCTIVE)]
    return [(line, risk) for block, risk in rows for line in block.strip().splitlines() if line != "cat <<'EOF'"]


@pytest.mark.parametrize(("command", "risk"), _table() + HERE_DOCUMENTS)
def test_a_command_has_the_risk_of_its_most_dangerous_part(command: str, risk: Risk) -> None:
    """A command is as risky as the most dangerous thing that it would run, wherever that is hidden."""
    assert risk_of(command) is risk


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("Check the connection pool", Risk.READ_ONLY),
        ("Look at the dashboards and compare with yesterday", Risk.READ_ONLY),
        ("Verify that no pods were killed", Risk.READ_ONLY),
        ("List the open sessions", Risk.READ_ONLY),
        ("Restart the service", Risk.REVERSIBLE),
        ("Check the pool, then scale the deployment up", Risk.REVERSIBLE),
        ("Roll back to the last release", Risk.REVERSIBLE),
        ("Increase max_connections to 300", Risk.REVERSIBLE),
        ("Talk to the vendor", Risk.REVERSIBLE),
        ("", Risk.REVERSIBLE),
        ("Drop the stale index", Risk.DESTRUCTIVE),
        ("Terminate the idle sessions", Risk.DESTRUCTIVE),
        ("Check and kill the long-running queries", Risk.DESTRUCTIVE),
        ("Flush the cache", Risk.DESTRUCTIVE),
        ("Purge the queue after deleting the consumer", Risk.DESTRUCTIVE),
    ],
)
@pytest.mark.parametrize("command", [None, "", "  \n"])
def test_prose_decides_where_there_is_no_command(command: str | None, text: str, risk: Risk) -> None:
    """A step without a command is judged by its verbs, and is reversible where they say nothing."""
    assert risk_of(command, text) is risk


_HOSTILE = [
    unit * (200_000 // len(unit))
    for unit in ("a", "(", "$(", '"', "`", "a|", "<<a\n", "ls; ", "[[ ", "sh -c '", "-", "a@", "SELECT (")
] + [
    unit * (15_990 // len(unit))
    for unit in ("(", "$(", "a|", "<<a\n", "<a", "{{", "env ", "sudo ", "xargs ", "[a@", "a;", "${", "if ")
] + [
    "SELECT " + "1+" * 3_900 + "1",
    "SELECT " + "NOT " * 1_900 + "1",
    "SELECT " + "case when " * 700 + "1",
    "SELECT f(" * 39 + "1" + ")" * 39,
    "SELECT 1 -- " + "x" * 200_000,
    "select " + "[" * 7_000,
    "kubectl exec x -- " * 800 + "ls",
    "sed " + ";" * 15_000,
    "awk '" + "print" * 3_000 + "'",
    "psql -c '" + "\\d " * 4_000 + "'",
    "mongosh --eval '" + "print(" * 2_000 + "'",
    "curl " + "-H a " * 3_000,
    "git " + "-x " * 5_000,
    "x" * 15_990,
    "find . -exec " * 1_230,
    "ssh h '" + "find . -exec eval " * 880 + "'",
    "python -c '" + "xxd -r " * 2_280 + "'",
]  # fmt: skip


def test_prose_never_lowers_the_risk_of_a_command() -> None:
    """A harmless description does not make a dangerous command harmless."""
    assert risk_of("kubectl delete pod x", "Check the pods") is Risk.DESTRUCTIVE
    assert risk_of("./mystery.sh", "Check the pods") is Risk.REVERSIBLE


def test_prose_raises_the_risk_of_a_command_that_nobody_knows() -> None:
    """A script that cannot be judged is as risky as the step says; a known command speaks for itself."""
    assert risk_of("./mystery.sh", "Wipe the old data") is Risk.DESTRUCTIVE
    assert risk_of("kubectl get pods", "Delete the pods that this lists") is Risk.READ_ONLY


@pytest.mark.parametrize("command", _HOSTILE, ids=lambda command: f"{command[:12]!r} x {len(command)}")
def test_hostile_input_is_judged_in_bounded_time(command: str) -> None:
    """Input of 200 kB, nested or repeated however deep, gets an answer; a hang would freeze the server."""
    start = time.monotonic()
    risk = risk_of(command)
    # No figure of speed: 20 s tells an answer from a hang on the slowest runner.
    assert time.monotonic() - start < 20
    assert risk in Risk


def test_a_long_command_is_never_read_only() -> None:
    """What is too long to be read is judged by its words, and never called read-only."""
    assert risk_of("ls; " * 50_000) is Risk.REVERSIBLE
    assert risk_of("ls; " * 50_000 + "rm -rf /data") is Risk.DESTRUCTIVE


def test_the_parsers_are_not_loaded_at_import() -> None:
    """Importing the module loads no parser, so that starting the server does not wait for one."""
    code = "import sys, incidentos.memory.risk; print(sorted({'sqlglot'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


_ORDER = list(Risk)
_SYNTAX = """
| && ; || & > >> < <<EOF $( ) ` ' " \\ { } ( # ! sudo do done for if then fi xargs sh -c -- * ~ <pod> $X
"""
_FRAGMENTS = st.sampled_from(
    [row for row, _ in _table() + HERE_DOCUMENTS] + _SYNTAX.split() + ["\n", "EOF\n", "/*", "*/"]
)
_COMMANDS = st.one_of(st.text(max_size=60), st.lists(_FRAGMENTS, min_size=1, max_size=5).map(" ".join))


@given(_COMMANDS, st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_gets_a_risk(command: str, text: str) -> None:
    """No command and no prose makes it fail."""
    assert risk_of(command, text) in Risk


@given(_COMMANDS)
@settings(max_examples=300, deadline=None)
def test_sudo_never_lowers_the_risk(command: str) -> None:
    """Putting sudo in front of a command never makes it look safer."""
    assume(not command.lstrip("\\\n\t ").startswith("-"))  # that would be an option of sudo's
    assert _ORDER.index(risk_of("sudo " + command)) >= _ORDER.index(risk_of(command))


@given(_COMMANDS)
@settings(max_examples=300, deadline=None)
def test_a_further_command_never_lowers_the_risk(command: str) -> None:
    """Appending `; rm -rf /data` never makes a command look safer."""
    assert _ORDER.index(risk_of(command + "; rm -rf /data")) >= _ORDER.index(risk_of(command))


def test_a_further_command_counts_after_any_complete_command() -> None:
    """Behind a command that is complete, `; rm -rf /data` is always seen."""
    for command, _ in _table():
        if command != 'ls "unclosed' and not command.endswith("\\G"):
            assert risk_of(command + "; rm -rf /data") is Risk.DESTRUCTIVE, command
