"""Commands that are dressed as harmless ones are not called read-only, and what destroys is called destructive."""

from __future__ import annotations

import pytest

from incidentos.memory.risk import Risk, risk_of

DESTRUCTIVE = r"""
systemd-run rm -rf /
systemd-run --unit=x -p User=bob rm -rf /
git rebase -x 'rm -rf /'
git rebase --exec='rm -rf /' main
redis-cli --cluster call h:1 flushall
redis-cli ft.dropindex x
mysqladmin ping shutdown
mysqladmin -uroot -psecret status shutdown
mysqladmin status drop prod
mysqladmin -h db1 processlist kill 12
mysqladmin status shut
kubectl delete ns prod --dry-run=client --dry-run=none
kubectl delete ns prod --context --dry-run=client
helm uninstall x --dry-run --dry-run=false
aws ec2 terminate-instances --instance-ids i --dry-run --no-dry-run
git push --force --dry-run --no-dry-run
git clean -n --no-dry-run -f
gcloud spanner databases execute-sql list --sql='delete from t where true'
bq query 'DROP TABLE x'
bq query --use_legacy_sql=false 'update t set a = 1 where true'
aws rds-data execute-statement --sql 'drop table x'
aws dynamodb execute-statement --statement "DELETE FROM t"
iptables --list INPUT --zero
ip6tables -L --zero
iptables -L --zer
rsync -n -e "sh -c 'rm -rf /data'" a h:/b
rsync -an --rsync-path='rm -rf /data; rsync' a h:/b
tar --rsh-command='rm -rf /' -tf h:x
tar --rsh='rm -rf /' -tf h:x
sort --compress-program=rm x
sort --comp=rm x
psql <<< 'select 1 \g |rm -rf /data'
echo 'select 1 \g |rm -rf /data' | psql
psql -c '\echo `rm -rf /data`'
mysql --init-command='drop table x' -e 'select 1'
mysql --init-command 'drop table x' -e 'select 1'
mysql --pager='rm -rf /' -e 'select 1'
mysql -e 'select 1' --exec='drop table x'
psql -c 'select 1' --comm='drop table x'
sed 's:a:rm -rf x:e' x
sed '/x/I e rm -rf /' f
"""

NOT_READ_ONLY = r"""
gcloud scheduler jobs run list
rsync -n --log-file=/etc/x a h:/b
tar -tf x --info-script=./y
tar tFf ./script x
tar zxf a.tgz
sort --outp=x y
psql -c 'select 1 \g out'
psql -c 'select 1' --log-file=out
mysql --tee=out -e 'select 1'
helm template --post-renderer x
history -w
nmap -oN FILE h
date 010100002020
lastlog -C
faillog -r
gcloud pubsub subscriptions seek list --time=2020
gcloud spanner databases execute-sql list --sql='select 1'
az acr run list
sed -n '/x/W /etc/passwd' x
sed '/x/!w/etc/passwd' x
sed 's,a,b,w out' x
sed 's/[/]/w x/' x
sed --file=evil.sed x
sed --fi=evil.sed x
sed -ne 1p -fevil x
sed -n 1p -i x
sed "$SCRIPT" x
sed '$!{s/a/b/;w x
}' x
"""

READ_ONLY = r"""
iptables -L INPUT -n -v --line-numbers
iptables -t nat --list
rsync -n -e "ssh -p 22" a h:/b
rsync -anv --rsync-path='sudo rsync' a h:/b
tar -tf x.tar.gz
tar -I zstd -tf x
sort -t: -k2 x
sort --compress-program=zstd x
psql -c 'select 1 \gx'
psql -c '\dt+ public.*'
history 20
nmap -sT -p 443 h
date -d '1 day ago' +%F
date +%Y%m%d
date -u
lastlog -u bob
faillog -a
mysqladmin -uroot -psecret status
mysqladmin -h db1 -i 5 -c 3 processlist extended-status
mysqladmin proc stat
kubectl delete ns prod --dry-run=client
aws ec2 terminate-instances --instance-ids i --dry-run
git clean -nd
gcloud compute instances list --project p
gcloud beta run services describe list --region r
gcloud --verbosity debug container node-pools describe p --cluster c
gcloud logging read 'severity>=ERROR' --limit 5
az vm list -o table
az aks nodepool show -n p --cluster-name c -g g
az network nsg rule list --nsg-name n -g g
doctl kubernetes cluster list
gsutil ls gs://b
sed -n '1,20p' /etc/hosts
sed -n "${A},${B}p" f
sed 's/a/b/g;s|x|y|2' f
sed -E -e 's/([0-9]+)/<\1>/' -e '/^#/d' f
sed -n '/start/,/end/p' f
sed '1!G;h;$!d' f
sed ':a;N;$!ba;s/\n/ /g' f
sed 's/[^[:space:]]*x/y/' f2 f3
sed '/^$/d' f
sed '5q' f
sed 's/^[ \t]*//' f
"""


def _rows(block: str) -> list[str]:
    lines = block.strip().replace("\n}' x", "\x00").splitlines()
    return [line.replace("\x00", "\n}' x") for line in lines]


@pytest.mark.parametrize("command", _rows(DESTRUCTIVE))
def test_what_destroys_behind_a_harmless_word_is_destructive(command: str) -> None:
    """A second command, a dry run that is undone, an option that runs something: each is seen."""
    assert risk_of(command) is Risk.DESTRUCTIVE


@pytest.mark.parametrize("command", _rows(NOT_READ_ONLY))
def test_what_may_change_something_is_not_read_only(command: str) -> None:
    """Where the command writes, runs or sends something that is not understood, it is not read-only."""
    assert risk_of(command) is not Risk.READ_ONLY


@pytest.mark.parametrize("command", _rows(READ_ONLY))
def test_what_only_looks_stays_read_only(command: str) -> None:
    """Caution does not make a question of every reading command."""
    assert risk_of(command) is Risk.READ_ONLY


def test_a_command_within_prose_counts() -> None:
    """A step of words alone may quote what destroys."""
    assert risk_of(None, "Run rm -rf / on the db host") is Risk.DESTRUCTIVE


@pytest.mark.parametrize("part", ["s/a/b/;", "/x/", "[", "{", "1,", "w ", "s/[", "\\"])
def test_a_long_script_of_sed_is_judged_in_one_pass(part: str) -> None:
    """Whatever the script is; trying each of its places anew would take longer than anybody waits for a test."""
    assert risk_of(f"sed '{part * (15_000 // len(part))}' x") in Risk
