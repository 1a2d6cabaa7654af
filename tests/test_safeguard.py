"""What a user may rely on before a destructive step: a check that only reads, a way back or the word that there is none,
and every placeholder named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentos.memory.placeholders import MOST, placeholders
from incidentos.memory.risk import Risk, risk_of
from incidentos.memory.safeguard import NO_WAY_BACK, safeguard_of

CHECKS = [
    ("kubectl -n shop delete pod api-0 --grace-period=0 --force", "kubectl -n shop get pod api-0 -o wide"),
    ("kubectl delete pvc data-0 -n db --wait=false", "kubectl get pvc data-0 -n db -o wide"),
    ("KUBECONFIG=prod kubectl delete deploy x", "KUBECONFIG=prod kubectl get deploy x -o wide"),
    (
        "kubectl drain node-1 --ignore-daemonsets --delete-emptydir-data",
        "kubectl get pods -A -o wide --field-selector spec.nodeName=node-1",
    ),
    ("kubectl get pods | awk '/Evicted/{print $1}' | xargs kubectl delete pod", "kubectl get pods | awk '/Evicted/{print $1}'"),
    ("for p in $(kubectl get pods -o name); do kubectl delete $p; done", "kubectl get pods -o name"),
    ("kubectl exec redis-0 -- redis-cli DEL k1 k2", "kubectl exec redis-0 -- redis-cli EXISTS k1 k2"),
    ("DELETE FROM sessions WHERE age > 9", "SELECT count(*) FROM sessions WHERE age > 9"),
    ("UPDATE users SET active = false", "SELECT count(*) FROM users"),
    ('psql -h pg-1 -c "DELETE FROM t WHERE a = \'x\'"', 'psql -h pg-1 -c "SELECT count(*) FROM t WHERE a = \'x\'"'),
    ("mysql app -e 'DROP TABLE old'", "mysql app -e 'SELECT count(*) FROM old'"),
    ("psql <<EOF\nDELETE FROM t;\nEOF", "psql <<'EOF'\nSELECT count(*) FROM t\nEOF"),
    ('DROP INDEX public."idx_a"', "SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_a'"),
    ("mysql app -e 'DROP INDEX i ON orders'", "mysql app -e 'SHOW INDEX FROM orders'"),
    ("$ rm /data/x", "ls -la /data/x && du -sh /data/x"),
    ("kubectl patch pvc d -n db -p '{\"metadata\":{\"finalizers\":null}}'", "kubectl get pvc d -n db -o yaml"),
    ("conntrack -D -p udp --dport 8125", "conntrack -L -p udp --dport 8125"),
    ("echo 'TRUNCATE t' | psql -h pg-1", "echo 'SELECT count(*) FROM t' | psql -h pg-1"),
    ("mongosh app --eval 'db.s.deleteMany({a: 1})'", "mongosh app --eval 'db.s.countDocuments({a: 1})'"),
    ("rm -rf /var/tmp/x", "ls -la /var/tmp/x && du -sh /var/tmp/x"),
    ("cd /data && sudo rm -rf old", "cd /data && sudo ls -la old && sudo du -sh old"),
    ('D=/data; rm -rf "$D"', 'D=/data; ls -la "$D" && du -sh "$D"'),
    ("ssh web-1 'sudo rm -rf /srv/x'", "ssh web-1 'sudo ls -la /srv/x && sudo du -sh /srv/x'"),
    ("find /tmp -name '*.log' -mtime +7 -delete", "find /tmp -name '*.log' -mtime +7 -ls"),
    ("find . -name core -print0 | xargs -0 rm", "find . -name core -print0"),
    ("> /var/log/app.log", "ls -l /var/log/app.log && tail -n 5 /var/log/app.log"),
    ("terraform -chdir=prod apply -target=module.a -auto-approve", "terraform -chdir=prod plan -target=module.a"),
    ("terraform apply saved.plan", "terraform show saved.plan"),
    ("terraform destroy", "terraform plan -destroy"),
    ("git -C /srv/app reset --hard HEAD~1", "git -C /srv/app status --short && git -C /srv/app log --oneline -5"),
    ("git clean -xfd", "git clean -xnd"),
    ("git push --force origin main", "git ls-remote origin main"),
    ("docker system prune -af", "docker system df && docker ps -a"),
    ("aws s3 rm s3://b/p --recursive", "aws s3 rm s3://b/p --recursive --dryrun"),
    ("aws ec2 delete-volume --volume-id v-1 --region r", "aws ec2 describe-volumes --volume-ids v-1 --region r"),
    ("gcloud sql instances delete db -q --project p", "gcloud sql instances describe db --project p"),
    ("az vm delete -g g -n vm --yes", "az vm show -g g -n vm"),
    ("iptables -t nat -F", "iptables-save -t nat"),
    ("kill -9 4711", "ps -o pid,user,etime,args -p 4711"),
    ("pkill -f gunicorn", "pgrep -fa gunicorn"),
    ("systemctl kill -s KILL nginx", "systemctl status nginx"),
    ("curl -X DELETE http://es:9200/logs-1", "curl http://es:9200/logs-1"),
    ("rsync -a --delete a/ b/", "rsync -n -v -a --delete a/ b/"),
    ("etcdctl del /x --prefix", "etcdctl get /x --prefix --keys-only"),
    ("kafka-topics.sh --bootstrap-server b --topic t --delete", "kafka-topics.sh --bootstrap-server b --topic t --describe"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "check"), CHECKS)
def test_a_destructive_command_has_the_check_that_shows_what_it_would_hit(command: str, check: str) -> None:
    """With the same names, host, namespace, condition and user; and it only reads."""
    assert risk_of(command) is Risk.DESTRUCTIVE
    guard = safeguard_of(command)
    assert guard.check == check
    assert risk_of(check) is Risk.READ_ONLY


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /data", "redis-cli FLUSHALL", "DROP TABLE t", "aws ec2 terminate-instances --instance-ids i-1",
        "kubectl delete ns shop", "mkfs.ext4 /dev/sdb", "frobnicate --force", "./delete_all.sh", "python3 -c 'shutil.rmtree(x)'",
    ],
)  # fmt: skip
def test_where_nothing_takes_it_back_it_says_so(command: str) -> None:
    assert safeguard_of(command).way_back.startswith(NO_WAY_BACK)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("kubectl drain n1 --force", "uncordon n1"),
        ("iptables -F", "iptables-restore"),
        ("git reset --hard HEAD~1", "ORIG_HEAD"),
        ("DELETE FROM t WHERE a = 1", "ROLLBACK"),
        ("helm uninstall api -n shop", "helm install"),
        ("DROP INDEX i", "Create it again"),
        ("crontab -r", "crontab.before"),
    ],
)
def test_where_there_is_a_way_back_it_is_told(command: str, said: str) -> None:
    assert said in safeguard_of(command).way_back


@pytest.mark.parametrize(
    "command", ['f() { rm -rf "$1"; }; f /data', "sh -c 'rm -rf \"$1\"' _ /data", "xargs -a list rm"]
)
def test_a_check_that_would_look_elsewhere_than_the_step_is_not_given(command: str) -> None:
    """A function's argument or a file of names is not known here: then there are words, and no command."""
    guard = safeguard_of(command)
    assert guard.check is None
    assert guard.look


def test_words_that_another_program_reads_are_not_taken_for_commands() -> None:
    """HAProxy's `shutdown sessions` shuts no host down."""
    guard = safeguard_of("echo 'shutdown sessions server be/s1' | socat stdio /run/haproxy.sock")
    assert "console" not in guard.look


def test_no_secret_is_printed_by_a_check() -> None:
    assert "metadata" in safeguard_of("vault kv delete secret/x").look
    assert "yaml" not in (safeguard_of("kubectl delete secret s").check or "")


_PIECES = st.sampled_from(
    [
        *(word for command, _ in CHECKS for word in command.split()),
        "&&",
        "|",
        ";",
        "$(",
        ")",
        "'",
        '"',
        "<<EOF",
        "\n",
        "`",
        "{",
        "}",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=25).map(" ".join)))
def test_whatever_is_written_a_check_never_does_more_than_read(text: str) -> None:
    """Any text is accepted, and always something is said."""
    guard = safeguard_of(text)
    assert guard.look
    assert guard.way_back
    assert guard.check is None or risk_of(guard.check) is Risk.READ_ONLY
    assert len(placeholders(text)) <= MOST


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("kubectl get pod <pod> -n $NAMESPACE", ("<pod>", "$NAMESPACE")),
        ("kubectl logs <your pod name> -c <container>", ("<your pod name>", "<container>")),
        ('curl -H "Authorization: Bearer $TOKEN" https://x', ("$TOKEN",)),
        ("curl -H 'Authorization: Bearer YOUR_TOKEN' https://x", ("YOUR_TOKEN",)),
        (
            "helm get values {{ .Release.Name }} -n {{ $labels.namespace }}",
            ("{{ .Release.Name }}", "{{ $labels.namespace }}"),
        ),
        ("aws ec2 describe-instances --instance-ids i-xxxxxxxx", ("i-xxxxxxxx",)),
        ("PGPASSWORD=[redacted: password] psql", ("[redacted: password]",)),
        ("ssh host 'kill $PID'", ("$PID",)),
        ("sh -c 'echo $POD'", ("$POD",)),
        ("kubectl patch deploy/x -p '{\"spec\": …}'", ()),
        ("kubectl -n shop exec … -- sh", ("…",)),
        ("echo ${NS:?}", ("$NS",)),
        ("kubectl get pods -n {namespace}", ("{namespace}",)),
        ("mv /etc/x /etc/x.{reason}", ("{reason}",)),
        ("kubectl exec {pod name} -- ls", ("{pod name}",)),
        ("curl https://x/api/{user_id}/y", ("{user_id}",)),
        ("kubectl logs [pod-name] -n [NAMESPACE]", ("[pod-name]", "[NAMESPACE]")),
        ("env destroy --pr-number [deletion-PR] -y", ("[deletion-PR]",)),
        ("kubectl logs -n NAMESPACE POD_NAME", ("NAMESPACE", "POD_NAME")),
        ("oc get events | grep NODE_NAME", ("NODE_NAME",)),
        ("rbd mirror image status POOL_NAME/IMAGE_NAME", ("POOL_NAME", "IMAGE_NAME")),
        ('curl -d \'{"pod": "POD_NAME"}\' http://x', ("POD_NAME",)),
        ("kill -9 YOUR_PID; strace -p PID", ("YOUR_PID", "PID")),
        ("psql -c 'SELECT pg_terminate_backend(PID)'", ("PID",)),
        ("kubectl logs @POD@ -n __NS_NAME__", ("@POD@", "__NS_NAME__")),
        ("ssh YOURNAME-db@console", ("YOURNAME",)),
        ("ping 10.x.x.x; ping 192.168.x.y", ("10.x.x.x", "192.168.x.y")),
        ("curl https://xxx.xxx/", ("xxx.xxx",)),
        ("ssh -A admin@ec2-xx-xx-xx-xx.compute.example", ("ec2-xx-xx-xx-xx.compute.example",)),
        ("rebalance nfs-fileXX --date YYYY-MM-DD", ("nfs-fileXX", "YYYY-MM-DD")),
        ("helm install x --set a={{ .Values.x }}", ("{{ .Values.x }}",)),
        ("docker build -t {{ .Values.image }} .", ("{{ .Values.image }}",)),
        ("docker logs -f {{ .Names }}", ("{{ .Names }}",)),
        ("df -h /path/to/mount", ("/path/to/mount",)),
        ("aws s3 cp s3://state/your-cluster/x y", ("your-cluster",)),
        ("kubectl get servicemonitor -n example-namespace", ("example-namespace",)),
        ("ssh user@host", ("user@host",)),
        ("curl 'https://x/?signature=[redacted]'", ("[redacted]",)),
        ("docker run -e TOKEN=$TOKEN x", ("$TOKEN",)),
        ("VACUUM <table>", ("<table>",)),
    ],
)
def test_what_a_command_leaves_to_be_filled_in_is_listed(command: str, needed: tuple[str, ...]) -> None:
    assert placeholders(command) == needed


@pytest.mark.parametrize(
    "command",
    [
        "awk '{print $1, $NF}' f", "sed 's/$foo/bar/' f", "for i in $(seq 3); do echo $i; done", "X=$(date); echo ${X}",
        "export NS=shop; kubectl -n $NS get po", "while read -r p; do echo $p; done", "NS=shop kubectl -n $NS get po",
        "docker ps --format '{{.Names}}'", "docker inspect -f '{{.State.OOMKilled}}' web",
        "kubectl get po -o go-template='{{range .items}}{{.metadata.name}}{{end}}'",
        "kubectl get po -o jsonpath='{.items[*].metadata.name}'", "jq --arg n 1 '.[$n]' f",
        "promtool query instant http://p:9090 'rate(x{a=\"$b\"}[$__rate_interval]) > 1'", "echo $HOME $? $$ $1 $@ ${NS:-shop}",
        "mktemp /tmp/x.XXXXXX", "cat <<EOF>f\nx\nEOF", "git diff main...HEAD", "SELECT 1 WHERE a <b AND c < 3",
        "perl -ne 'print $x' f", "kubectl get pods", "",
        "cat <<'EOF' > x\nb\nEOF", "cat > f <<'POD_NAME'\nx\nPOD_NAME", "curl -s http://x | grep '<html>'",
        'echo "<server>a</server>" > settings.xml', "cp f.{conf,bak} x; touch {a,b} {1..3} ${HOME}/y",
        "kubectl get po -o=jsonpath='{.items[*].status}'", "awk '{print $1}' f", "awk '{total}' f", "jq '{name}' f",
        'echo "$(ps | awk \'{print $NF}\')"', "docker ps --format {{.Names}}", "docker ps --format={{.Names}} -a",
        "oc get no -o template --template='{{range .items}}{{\"==>\"}}{{.metadata.name}}{{end}}'",
        "kubectl get po -o jsonpath='{range .items[*]}{.a}{end}'", "ansible all -m debug -a 'msg={{ inventory_hostname }}'",
        "ls file[0-9].log [a-z]* x[abc]y", "grep -E '[[:space:]]x{3}' f", "ps aux | grep [n]ginx", "if [ -f x ]; then y; fi",
        "SELECT USER, KEY FROM t WHERE DATABASE_NAME = 'x'", "DROP USER bob", "ALTER TABLE t ADD PRIMARY KEY (USER_ID)",
        "FOO=bar; echo $FOO", "FOO=bar sh -c 'echo $FOO'", "sh -c 'NS=x; echo $NS'", "export MY_POD=$(x); echo $MY_POD",
        'read -p "Which? " NS; echo $NS', "for POD_NAME in a b; do x $POD_NAME; done", "docker run -e API_TOKEN x",
        "kubectl get po -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName", "lsblk -o NAME,SIZE", "ps -o PID,CMD",
        "env | grep DB_HOST", "redis-cli CLUSTER NODES", "git reset --hard @{upstream}", "curl -w '%{http_code}' http://x",
        "pip install django==4.x", "sed -i 's/{name}/x/; s/NAMESPACE/y/' f", "xargs -I {pod} kubectl logs {pod}",
        "grep -P '(?<pod>x)(?P<name>y)' f", "CREATE FUNCTION f() AS $body$ SELECT 1 $body$", "date +%Y%m%d",
        'echo "Takes 15 s ..."', "kubectl get po -l job-name=x", "find . -exec rm {} \\;",
        "mongosh --eval 'db.currentOp({secs_running: {$gte: 3}})'",
    ],
)  # fmt: skip
def test_what_the_shell_or_a_program_fills_in_itself_is_no_placeholder(command: str) -> None:
    assert placeholders(command) == ()
