"""The table of programs: clouds, clusters of machines and storage."""

from __future__ import annotations

from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .rules import Call, Judge, Rule, Runs, Verbs

_AWS_READ = """
*/describe-* */list-* */get-* */head-* */lookup-* */search-* */scan */query */batch-get-* */filter-*
*/check-* */ls
*/view-* */tail */filter-log-events */simulate-* */preview-* */estimate-* */validate-* */detect-* */wait
*/presign
configure/list sts/decode-*
"""
_AWS_CHANGE = """
*/create-* */update-* */modify-* */put-* */attach-* */add-* */set-* */start-* */stop-* */enable-*
*/disable-* */tag-*
*/untag-* */register-* */associate-* */disassociate-* */copy-* */run-* */restore-* */promote-* */suspend-*
*/resume-*
*/authorize-* */allocate-* */increase-* */apply-* */send-* */publish */invoke* */execute-* */change-*
*/complete-*
*/cp */mb */sync */mv */import-* */export-* */request-* */rotate-* */monitor-* */login */continue-*
*/rollback-* */upload-*
*/start */record-* */retry-* */upgrade-* */assume-* */cancel-rotate-* */deploy configure configure/*
*/test-*
*/create-or-update-tags */initiate-* */activate-* */signal-* */unmonitor-* */assign-* */replicate-*
*/migrate-*
*/decrease-* */merge-* */share-* */subscribe */confirm-* */respond-*
"""
_AWS_DESTROY = """
*/delete-* */terminate-* */remove-* */purge-* */deregister-* */revoke-* */release-* */detach-* */reboot-*
*/failover-*
*/reset-* */rm */rb */cancel-* */destroy-* */stop-task */abort-* */batch-delete-* */deactivate-*
*/schedule-key-deletion
*/replace-* */force-* */disable-key */evict-* */batch-write-item */flush-* */restore-db-* */unsubscribe
*/reject-*
*/invalidate-* */stop-query-execution */batch-stop-* */retire-* */drop-* */empty-*
"""
_AWS = Verbs(
    read=_AWS_READ,
    reversible=_AWS_CHANGE,
    destructive=_AWS_DESTROY,
    values="--region --profile --output --query --endpoint-url --color --ca-bundle --cli-read-timeout "
    "--cli-connect-timeout",
    when=(("s3/sync", "--delete", DESTROY), ("*/failover-*", "*", DESTROY)),
    dry="--dry-run --dryrun",
)

_CLOUD_READ = """
list describe show read get-iam-policy get-health get-value get-server-config list-* get-* describe-* ls cat
du stat
tail export-logs logs/read check-* info log-url browse help version hash diff
"""
_CLOUD_CHANGE = """
create update set add enable disable start stop restart resize patch deploy connect ssh scp cp mv import
export
add-* set-* update-* create-* attach-* enable-* disable-* promote-* promote clone resume suspend unset
activate login
get-credentials set-default rollback rolling-action upgrade undelete submit scale rsync mb regenerate renew
perform-*
reload move copy label autoscale configure init assign invoke call publish pull submit-* rotate
"""
_CLOUD_DESTROY = """
delete delete-* remove remove-* reset reset-* destroy purge terminate kill failover rm rb cancel abandon*
recreate*
drain detach-* detach revoke revoke-* simulate-maintenance-event deallocate redeploy reimage restart-job
drop power-off
truncate wipe abandon recreate stop-* release release-* replace replace-* regenerate-key
"""
_GCLOUD = Verbs(
    read=_CLOUD_READ,
    reversible=_CLOUD_CHANGE,
    destructive=_CLOUD_DESTROY,
    anywhere=True,
    values="--project --zone --region --format --filter --account --cluster --limit --sort-by --location "
    "-g --resource-group "
    "-n --name --query -o --output --subscription --instance -h -m -p -d --configuration "
    "--impersonate-service-account",
    runs={"compute/ssh": Runs(option="--command"), "beta/compute/ssh": Runs(option="--command")},
    when=(("rsync", "-d", DESTROY), ("rsync", "--delete*", DESTROY), ("update", "--force", DESTROY)),
)

_CONSUL_LIKE = Verbs(
    runs={"exec": Runs(skip=0, floor=CHANGE), "alloc/exec": Runs(), "lock": Runs(floor=CHANGE)},
    read="members info kv/get kv/export catalog/* operator/raft/list-peers operator/autopilot/state "
    "operator/autopilot/get-config "
    "monitor validate version health session/list acl/*/read acl/*/list snapshot/inspect config/read "
    "config/list rtt status read "
    "list kv/list secrets/list auth/list token/lookup policy/read policy/list policies job/status "
    "node/status alloc/status "
    "alloc/logs job/history job/inspect job/plan server/members eval/status deployment/list "
    "deployment/status print",
    reversible="kv/put kv/import maint reload join lock watch services/register services/deregister "
    "config/write intention/* "
    "operator/autopilot/set-config snapshot/save login connect write token/renew token/create "
    "operator/unseal unseal "
    "policy/write secrets/* auth/* kv/undelete kv/rollback job/run job/revert run job/promote "
    "job/periodic/force deployment/promote "
    "deployment/fail node/eligibility alloc/restart job/restart job/scale job/dispatch exec event keygen "
    "keyring kv/patch "
    "operator/step-down lease/renew",
    destructive="kv/delete force-leave leave operator/raft/remove-peer snapshot/restore delete "
    "token/revoke lease/revoke operator/seal "
    "acl/*/delete kv/destroy kv/metadata/delete secrets/disable auth/disable job/stop stop node/drain "
    "alloc/stop system/gc "
    "node/purge config/delete intention/delete policy/delete",
    values="-http-addr -token -datacenter -address -namespace -ca-file -client-cert -client-key",
)

_CEPH = Verbs(
    read="status health health/* df */df osd/tree osd/df osd/perf osd/dump osd/stat osd/ls osd/status "
    "pg/stat pg/dump pg/ls pg/*/query "
    "mon/stat mon/dump mds/stat fs/ls fs/status fs/dump mgr/services versions versions -s -w "
    "quorum_status osd/pool/ls osd/pool/stats "
    "osd/pool/get osd/blocked-by crash/ls crash/info config/get config/show config/dump ls info du lsof "
    "snap/ls showmapped perf "
    "osd/ok-to-stop osd/safe-to-destroy osd/metadata osd/find device/ls orch/ls orch/ps log/last",
    reversible="osd/set osd/unset osd/in osd/reweight osd/crush/* osd/pool/set osd/pool/create pg/repair "
    "pg/scrub pg/deep-scrub config/set "
    "crash/archive crash/archive-all mgr/fail mgr/module/* tell/* balancer/* osd/unset-group osd/set-* "
    "orch/restart orch/start create "
    "map snap/create osd/out osd/down mds/fail daemon/* fs/set config-key/*",
    destructive="osd/purge osd/rm osd/destroy osd/lost osd/pool/delete osd/pool/rm fs/rm fs/reset "
    "mon/remove pg/*/mark_unfound_lost "
    "osd/crush/remove osd/crush/rm auth/del rm unmap snap/rm snap/purge snap/rollback osd/force-create-pg "
    "trash orch/rm config/rm delete",
    values="-p --pool -c --conf -n --name -k --keyring",
    alone=CHANGE,
)


def _ceph(call: Call, judge: Judge) -> Risk:
    """ceph, rados and rbd; `ceph -s` is the status."""
    return READ if call.args in (("-s",), ("-w",), ("--status",)) else _CEPH(call, judge)


def _remote(rule: Rule) -> Rule:
    """A cloud's client whose own verb may hand a script to a machine: the script's words count, too."""

    def judged(call: Call, judge: Judge) -> Risk:
        sent = {"send-command", "run-command", "execute-command"} & set(call.args)
        risk = rule(call, judge)
        return worst(risk, by_words(call.args)) if sent and risk is not READ else risk

    return judged


PROGRAMS: dict[str, Rule] = {
    "aws": _remote(_AWS),
    "gcloud": _GCLOUD,
    "az": _remote(_GCLOUD),
    "gsutil": _GCLOUD,
    "doctl": _GCLOUD,
    "bq": Verbs(
        read="show ls head version help query",
        reversible="load mk cp extract insert update",
        destructive="rm truncate cancel",
        when=(("query", "*", CHANGE),),
    ),
    "aws-vault": Verbs(read="list", reversible="login add rotate", destructive="remove clear", runs={"exec": Runs()}),
    "consul": _CONSUL_LIKE,
    "vault": _CONSUL_LIKE,
    "nomad": _CONSUL_LIKE,
    "ceph": _ceph,
    "rados": _ceph,
    "rbd": _ceph,
    "docker-machine": Verbs(
        read="ls status inspect ip url env config version active",
        reversible="create start stop restart ssh scp provision upgrade regenerate-certs",
        destructive="rm kill",
        when=(("ls", "--never", READ),),
    ),
    "tctl": Verbs(
        read="get status version */ls",
        reversible="create requests/approve request/approve requests/deny tokens/add users/add edit lock",
        destructive="rm */rm users/reset auth/rotate",
    ),
    "tsh": Verbs(
        read="status ls clusters apps/ls db/ls kube/ls",
        reversible="login logout scp apps/login db/connect kube/login db/login request/*",
        runs={"ssh": Runs(joined=True)},
    ),
}
