"""The failure types: what each is called, and a classifier that reads it off a text.

The classifier is a handful of weighted patterns per type. It decides which playbook opens when the memory knows
nothing, and it is one feature among several when two incidents are compared, so it abstains (`other`) rather than
guess: the best type needs a weight of 2 and a lead over the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .incident import FailureType, Incident
from .index.fields import parts

LABELS: Mapping[FailureType, str] = {
    FailureType.CONNECTION_POOL: "connection pool exhaustion",
    FailureType.DATABASE: "database degradation",
    FailureType.CACHE: "cache failure",
    FailureType.DNS: "DNS failure",
    FailureType.MEMORY: "memory leak / OOM",
    FailureType.CPU: "CPU saturation",
    FailureType.DISK: "disk exhaustion",
    FailureType.LOAD_BALANCER: "load balancer misconfiguration",
    FailureType.DEPLOYMENT: "failed deployment",
    FailureType.CERTIFICATE: "expired certificate",
    FailureType.THIRD_PARTY: "third-party outage",
    FailureType.LATENCY: "latency / timeout",
    FailureType.NETWORK: "network failure",
    FailureType.OTHER: "other",
}

# Of lower-case text: a pattern that ignores case takes twice as long.
# (pattern, weight): 3 names the failure itself, 2 is typical of it, 1 goes with it and with others.
_ENGINE = r"(?:postgres(?:ql)?|mysql|mariadb|mongo(?:db|d)?|cassandra|oracle|sql[- ]?server|cockroach\w*|database|aurora|rds|db)"
_FAULT = (
    r"(?:down|crash\w*|fail\w*|hang\w*|hung|overload\w*|slow\w*|capacity|limits?|corrupt\w*|inconsisten\w*|unavailable"
    r"|read[- ]only|block(?:ed|ing)|locked|truncated?)"
)
_PATTERNS: Mapping[FailureType, tuple[tuple[str, int], ...]] = {
    FailureType.CONNECTION_POOL: (
        (r"connection pool|pool of connections|conn(ection)?s? (of|in|from) the .{0,20}pool|pool exhaust\w*", 3),
        (r"hikari|pgbouncer|c3p0|dbcp|queuepool|pool(size)? limit|sequelpool|r2dbc", 3),
        (r"\bpool\b[^.,]{0,20}(full|saturat|starv|busy|empty|exhaust|\d\d ?%)", 2),
        (r"too many (clients|connections)|max_connections|remaining connection slots|connection slots", 3),
        (r"ora-(?:12516|12519|00018|00020)", 3),
        (r"idle in transaction|leaked? connections?|connection leak|unable to acquire (a )?(jdbc )?connection", 2),
        (
            r"timeout waiting for (idle object|connection)|connections? (maxed|exhaust)|no (free|available|idle) connections?",
            2,
        ),
    ),
    FailureType.DATABASE: (
        (r"replication lag|replica lag|deadlock|lock wait|autovacuum|vacuum|wraparound|slow quer(y|ies)", 3),
        (r"sequential scan|missing index|query plan|table bloat|innodb|checkpoint(s|ing)? (spike|storm)", 2),
        (
            r"replication (slots?|stopped|broken|is broken|seems to be stopped)|\bwal-?[ge]\b|patroni|dead tuples|basebackup",
            2,
        ),
        (r"long[- ]running (transactions?|quer(y|ies))|pg_stat_activity|checksum verification|split[- ]brain", 2),
        (
            r"conflict with recovery|(replica|standby|secondary|slave)s? (is |are )?(\w+ )?\w+ (s|sec\w*|min\w*|hours?) behind",
            2,
        ),
        (
            r"provisionedthroughputexceeded\w*|request rate (is )?(too )?large|mongo\w*error: not ?(primary|master)|notwritableprimary"
            r"|not ?(primary|master) (and|or) (secondary|slave)ok|(replica set|shard|mongo\w*) (\w+ )?(has|have|with|without) (no|a)? ?primary"
            r"|ora-000(54|60)\b|enq: tx|sql09(11|13)n|unassigned shards?",
            3,
        ),
        (rf"\b{_ENGINE}\b[^.]{{0,50}}\b{_FAULT}|\b{_FAULT}\b[^.]{{0,30}}\b{_ENGINE}\b", 2),
        (rf"\b{_ENGINE}\b", 1),
        (r"failover|primary (db|database)|read replica", 1),
    ),
    FailureType.CACHE: (
        (
            r"cache (cluster|miss|stampede|evict|fail|hit|node|down|outage)|thundering herd|cache-hit|hit (rate|ratio)",
            3,
        ),
        (r"oom command not allowed|misconf redis|\bclusterdown\b|readonly you can't write against", 3),
        (r"\b(redis|memcached?|valkey|elasticache|varnish)\b", 2),
        (r"evicted_keys|maxmemory|evictions?", 2),
        (r"\bcach(e|ed|es|ing)\b", 1),
    ),
    FailureType.DNS: (
        (r"\b(dns|nxdomain|servfail|coredns|kube-dns|resolv\.conf|nameserver|ndots|route ?53)\b", 3),
        (
            r"could not resolve|name resolution|no such host|temporary failure in name|name or service not known|resolver"
            r"|unknownhost",
            3,
        ),
        (r"eai_again|enotfound|getaddrinfo|(host|name) ?lookups?|lookups? of .{0,30}(host|name)", 2),
        (r"\b(dnssec|cname|hosted zone|ttl)\b", 1),
    ),
    FailureType.MEMORY: (
        (
            r"oom[- ]?kill\w*|\boom\b|out of memory|outofmemory\w*|memory leak|heap space|cgroup limit"
            r"|exit(s|ed)?( with)?( code)? 137|memory pressure",
            3,
        ),
        (
            r"allowed memory size|memory quota (vastly )?exceeded|memory (limit |size )?exhausted|(cannot|could not|failed to|unable to) allocate (memory|heap|\d+ bytes)"
            r"|\b(no)?memoryerror\b|\bbad_alloc\b|\bswap\b.{0,20}\b(full|exhaust\w*)",
            3,
        ),
        (r"\b(rss|heap|working set)\b.{0,40}\b(grow|climb|rise|leak)\w*|memory (usage|at|climb|grow)\w*", 2),
        (r"\b(memory|heap|gc overhead)\b", 1),
    ),
    FailureType.CPU: (
        (
            r"cpu ?(satur|throttl|at \d|usage|100|pegged|pinned|spike|load|exhaust)\w*|high cpu|cfs (quota|throttl)\w*",
            3,
        ),
        (r"load average|run ?queue|backtracking|busy loop|spinning|throttled_periods", 2),
        (r"(container|pod)s?\b.{0,30}\bthrottl\w*", 2),
        (r"\bcpu\b", 1),
    ),
    FailureType.DISK: (
        (r"no space left|disk (is |was |at |usage |space |\d+ ?%)?(full|exhaust\w*|9\d|100|filling|pressure)?", 2),
        (
            r"no space left on device|enospc|inode|disk ?pressure|disk full|insufficient storage|disk watermark|filesystem.{0,20}(full|\d\d ?%)|volume full",
            3,
        ),
        (
            r"(file ?system|volumes?|disks?|partitions?|storage)\b.{0,60}\b(fill(s|ed|ing)? up|out of space|% free|zero bytes free)"
            r"|run(ning)? out of (disk )?space",
            3,
        ),
        # A full log, tablespace or archive: the error says it, and `database`, `slow` and `fail` stand around it.
        (
            r"ora-0?165\d\b|unable to extend (table|index|temp|lob|segment|rollback|cluster)\w*|ora-00257|ora-198(09|15)"
            r"|sql0964c|transaction log for database .{0,80}\bfull\b|log (is )?full due to\b|error:? 9002\b"
            r"|flood[- ]stage|could not allocate (a new page|space) for",
            3,
        ),
        (r"\b(transaction|redo|archive) ?logs? (is |are )?full\b(?! of)|\blog (is )?full\b(?! of)", 2),
        (r"\b(df|lvm|pvc|ebs volume|partition|/var/log|wal files?|log rotation|logrotate)\b", 1),
    ),
    FailureType.LOAD_BALANCER: (
        (r"load[- ]?balanc\w*|\b(haproxy|elb|alb|nlb)\b|no healthy (upstream|host)|target group", 3),
        (
            r"upstream (prematurely|timed out|server|sent)|backend (pool|set)|health[- ]?checks? (path|fail|misconfig|flap)\w*",
            2,
        ),
        (r"ingress[- ](nginx|controller|class|rule|change)|\benvoy\b", 2),
        (r"\b(502|bad gateway|nginx|sticky session|upstream|routing rule)\b", 1),
        (r"\bingress\b", 1),  # alone it may be the word for what comes in
    ),
    FailureType.DEPLOYMENT: (
        (
            r"(bad|failed|faulty|broken) (deploy\w*|release|rollout)|roll(ed)? ?back|crash[- ]?loop\w*|imagepull\w*|createcontainer\w*error",
            3,
        ),
        (r"(after|since|following) (the |a |v?[\d.]+ )?(deploy\w*|release|rollout|upgrade)|canary|regression", 2),
        (r"rolling out|(not been|never|was|were|been) rolled out|new (build|release|version|image|patch)\b", 2),
        (
            r"\b(deploy(ment|ed)?|upgrade|update|release|rollout)\b[^.]{0,40}\b(fail\w*|bugs?|broke\w*|stuck|incomplete|disabled)",
            2,
        ),
        (r"(multiple|different|two|mixed) versions of\b", 2),
        (r"\b(deploy\w*|release|rollout|helm|migration|config(uration)? (change|push|error))\b", 1),
    ),
    FailureType.CERTIFICATE: (
        (
            r"certificate (has )?expir\w*|err_cert_\w+|expired (ssl|tls|certificate|cert|intermediate)\w*|x509|cert-manager|notafter",
            3,
        ),
        (r"\b(ssl|tls)\b.{0,30}(fail|error|handshake|expir|verif)\w*|pkix|unable to get local issuer", 2),
        (r"\b(certs?|certificates?|let'?s encrypt|acme|truststore|ca bundle)\b", 2),
    ),
    FailureType.THIRD_PARTY: (
        (r"third[- ]party|upstream provider|vendor('s)? (outage|api|status)|external (api|provider|service)", 3),
        (
            r"(payment|sms|email|card|identity|shipping) (provider|gateway|processor)|status ?page|their (side|api|status)",
            2,
        ),
        (r"\b(stripe|twilio|paypal|sendgrid|auth0|okta|partner api|saas|psp|acquirer)\b", 2),
    ),
    FailureType.NETWORK: (
        (
            r"packet loss|conntrack|\bmtu\b|\bbgp\b|snat|nat gateway|ephemeral ports?|port exhaust\w*|network partition",
            3,
        ),
        (
            r"retransmi\w*|no route to host|cannot assign requested address|eaddrnotavail|network unreachable|\bvpn\b|\bvpc\b|\beni\b|fiber|link flap\w*"
            r"|security group (rule|ingress|egress)|network acl",
            2,
        ),
        (
            r"network (interface|saturation|configuration|failure|outage|disruption|equipment|link)|backbone|edge routers?"
            r"|\brouters?\b|routing (table|data|loop)|leased line|\bddos\b|(core|network|a) switch\b",
            2,
        ),
        (r"connection reset|\bnetwork\w*|connectivity|firewall|\bsyn\b", 1),
    ),
    FailureType.LATENCY: (
        (
            r"\bp9[59](\.9)?\b|latenc(y|ies)|slow(ness| response| down)?|time[- ]?outs?|timed out|deadline exceeded"
            r"|percentile|longer than \d+ ?s",
            1,
        ),
        (r"retry storm|retries|thread ?pool|n\+1|noisy neighbou?r|\b504\b|gateway time-?out|exponential back-?off", 2),
    ),
}

# `\bpool` is tried at every letter of a text, and `p(?<=\bp)ool`, which is the same, at every p.
_WORD_START = re.compile(r"\\b([a-z])")
_COMPILED = {
    kind: [(re.compile(_WORD_START.sub(r"\1(?<=\\b\1)", pattern)), weight) for pattern, weight in patterns]
    for kind, patterns in _PATTERNS.items()
}
_READ = 20_000
"""Characters that are read: beyond that a text says what it is about many times over."""


def classify(title: str | None, description: str, root_cause: str | None = None) -> FailureType:
    """The failure type that a text speaks of; the root cause counts thrice and the title twice, as they say most."""
    weights: dict[FailureType, float] = {}
    for text, factor in ((root_cause or "", 3.0), (title or "", 2.0), (description[:_READ], 1.0)):
        if not text:
            continue
        text = text.lower()
        for kind, patterns in _COMPILED.items():
            points = sum(weight for pattern, weight in patterns if pattern.search(text))
            weights[kind] = weights.get(kind, 0.0) + factor * points
    ranked = sorted(weights.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < 2:
        return FailureType.OTHER
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return FailureType.OTHER
    return ranked[0][0]


def classify_incident(incident: Incident) -> FailureType:
    """The failure type that the incident states, or else the one that its text speaks of."""
    if incident.failure_type_stated:
        return incident.failure_type
    return classify(*parts(incident), incident.root_cause)
