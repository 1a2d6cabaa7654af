"""The table of programs: clouds, clusters of machines and storage."""

from __future__ import annotations

import re

from .level import CHANGE, DESTROY, READ, Risk, by_words, worst
from .rules import DYNAMIC, Call, Judge, Rule, Runs, Verbs, operands, option_values
from .sql import risk_of_sql

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
# A plural is a noun; `run` is one only in front (`gcloud run services list`), else it starts something.
_NOUNS = (
    r"(?:(?:alpha|beta|preview)/)?(?:run/)?(?:(?:[a-z0-9]+[a-rt-z]s|[a-z-]+-(?:rules|pools|services|groups|accounts|proxies"
    r"|checks|templates|certificates|policies|zones|sets|addresses|interfaces|endpoints|versions|runs|types|disks|maps"
    r"|gateways|networks|peerings|buckets|roles|images|configs|keys|schedules|slots|settings|tunnels|attachments|ranges)"
    r"|(?:compute|sql|container|spanner|pubsub|storage|logging|monitoring|dns|iam|kms|auth|config|redis|memcache|bigtable"
    r"|dataproc|dataflow|app|scheduler|firestore|datastore|composer|filestore|artifact|network|service-directory|asset"
    r"|identity|billing|source|endpoints|workflows|domains|ml|ai|policy|org-policies|scc|org"
    r"|vm|vmss|aks|acr|webapp|functionapp|group|resource|account|ad|sp|user|role|assignment|definition|nsg|rule|vnet|subnet"
    r"|nic|lb|public-ip|application-gateway|front-door|cdn|profile|endpoint|private-endpoint|route-table|route|peering|firewall"
    r"|keyvault|secret|key|certificate|cosmosdb|postgres|mysql|mariadb|server|flexible-server|db|database|replica|backup"
    r"|vault|item|job|container|blob|file|share|queue|table|entity|disk|snapshot|image|sig|nodepool|addon|repository"
    r"|manifest|monitor|metrics|alert|log|logs|activity-log|log-analytics|workspace|diagnostic-settings|action-group|autoscale"
    r"|servicebus|eventhub|eventhubs|topic|subscription|namespace|authorization-rule|consumer-group|iot|hub|containerapp"
    r"|revision|appservice|plan|slot|deployment|source-control|appsettings|connection-string|hostname|ssl|identity|lock|tag"
    r"|feature|provider|extension|cloud|rbac|managed-identity|zone|record-set|private-dns|link|traffic-manager|instance-view"
    r"|kubernetes|cluster|node-pool|droplet|load-balancer|registry|project|tier|size|region|volume|domain|records|apps"
    r"|access-context-manager|service-mesh|vpc-access|certificate-manager|secrets|ssh-key|usage|quota|elastic-pool|mi)"
    r")/)*"
)
_GCLOUD = Verbs(
    nouns=_NOUNS,
    read=_CLOUD_READ,
    reversible=_CLOUD_CHANGE,
    destructive=_CLOUD_DESTROY,
    anywhere=True,
    values="--verbosity --project --zone --region --format --filter --account --cluster --limit --sort-by --location "
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


_SENDING = re.compile(r"(?:send|run|execute)-command|(?:batch-)?execute-[\w-]+|start-query-execution")
_SQL_OPTIONS = ("--sql", "--sqls", "--statement", "--statements", "--query-string", "--query-statement")


def _remote(rule: Rule) -> Rule:
    """A cloud's client whose own verb may hand a script or SQL to a machine: what that does counts, too."""

    def judged(call: Call, judge: Judge) -> Risk:
        risk = rule(call, judge)
        statements = option_values(call.args, *_SQL_OPTIONS)
        if any(_SENDING.fullmatch(arg) for arg in call.args) and risk is not READ:
            risk = worst(risk, by_words(call.args))
        return worst(CHANGE, risk, *map(risk_of_sql, statements)) if statements else risk

    return judged


def _bq_query(call: Call, judge: Judge) -> Risk:
    """bq: a query is SQL of any kind."""
    words, risk = operands(call.args), _BQ(call, judge)
    texts = [*words[words.index("query") + 1 :], call.stdin or ""] if "query" in words else []
    return worst(risk, *(risk_of_sql(text.replace(DYNAMIC, "x1")) for text in texts if text.strip(DYNAMIC + " ")))


_BQ = Verbs(
    read="show ls head version help query",
    reversible="load mk cp extract insert update",
    destructive="rm truncate cancel",
    when=(("query", "*", CHANGE),),
)


PROGRAMS: dict[str, Rule] = {
    "aws": _remote(_AWS),
    "gcloud": _remote(_GCLOUD),
    "az": _remote(_GCLOUD),
    "gsutil": _GCLOUD,
    "doctl": _GCLOUD,
    "bq": _bq_query,
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
