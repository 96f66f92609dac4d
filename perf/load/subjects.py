"""What is compared, one function a subject. Each drives the servers in turns (A B A B)."""

import json
import os
import pathlib
import socket
import statistics
import sys
import time

import analytic
import bulk
import pgbench
import policies
import polite
import ranges
import revocations
import tokens
from driven import Driven, Failed
from servers import NodeDB, PgBouncer, PostgreSQL


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    """The servers of this run, the options, and the rows measured so far."""

    def __init__(self, options, where):
        self.options = options
        self.where = where
        self.rows = []

    def start(self, kind, *arguments):
        return kind(self.where, *arguments).start(self.options.binary)

    def turns(self, subject, servers, drive):
        """Runs `drive(server)` on each server in turns and keeps every result."""
        for turn in range(self.options.turns):
            for server in servers:
                try:
                    result = drive(server)
                except Failed as why:
                    result = {"error": str(why)}
                row = {"subject": subject, "server": server.name, "turn": turn, **result}
                self.rows.append(row)
                shown = {k: (round(v, 2) if isinstance(v, float) else v) for k, v in result.items()}
                say(f"  {subject:32} {server.name:10} {shown}")


def fdatasync_ms(where, rounds=200):
    """The disk's own price of one durable 4 KiB write, median in milliseconds."""
    path = pathlib.Path(where, "fdatasync-probe")
    times = []
    with open(path, "wb", buffering=0) as probe:
        for _ in range(rounds):
            started = time.perf_counter()
            probe.write(b"\0" * 4096)
            os.fdatasync(probe.fileno())
            times.append((time.perf_counter() - started) * 1000)
    path.unlink()
    return statistics.median(times)


def select(bench):
    """Select-only at rising numbers of connections, simple and prepared."""
    nodedb, postgres = bench.start(NodeDB), bench.start(PostgreSQL)
    try:
        for server in (nodedb, postgres):
            pgbench.initialise(server, 10)
        pooler = bench.start(PgBouncer, postgres)
        try:
            for clients in bench.options.clients:
                for mode in ("simple", "prepared"):
                    servers = [nodedb]
                    if clients <= 1000:
                        servers.append(postgres)
                    if mode == "simple":
                        # PgBouncer 1.18 keeps no prepared statements in transaction mode.
                        servers.append(pooler)
                    bench.turns(f"select {mode} {clients}", servers,
                                lambda server: pgbench.run(server, clients, bench.options.seconds, "-S", "-M", mode))
            empty = bench.where / "empty.sql"
            empty.write_text(";\n")
            bench.turns("empty query 100", [nodedb, postgres],
                        lambda server: pgbench.run(server, 100, bench.options.seconds, "-f", str(empty), "-M", "simple"))
            bench.turns("select prepared 100", [nodedb, postgres],
                        lambda server: pgbench.run(server, 100, bench.options.seconds, "-S", "-M", "prepared"))
        finally:
            pooler.stop()
    finally:
        nodedb.stop()
        postgres.stop()


def tpcb(bench):
    """TPC-B-like, durable on both, at scale 1 and 10."""
    for scale in (1, 10):
        nodedb, postgres = bench.start(NodeDB), bench.start(PostgreSQL)
        try:
            for server in (nodedb, postgres):
                pgbench.initialise(server, scale)
            for mode in ("simple", "prepared"):
                bench.turns(f"tpcb scale {scale} {mode} 32", [nodedb, postgres],
                            lambda server: pgbench.run(server, 32, bench.options.seconds, "-M", mode))
        finally:
            nodedb.stop()
            postgres.stop()


def init(bench):
    """pgbench -i at scale 10 (both ways of generating), and 100 with the memory it takes."""
    nodedb, postgres = bench.start(NodeDB), bench.start(PostgreSQL)
    try:
        for steps in ("dtgvp", "dtGvp"):
            bench.turns(f"init scale 10 -I {steps}", [nodedb, postgres],
                        lambda server: {"seconds": pgbench.initialise(server, 10, "-I", steps)})
        if not bench.options.quick:
            turns, bench.options.turns = bench.options.turns, 1
            bench.turns("init scale 100 -I dtgvp", [nodedb, postgres], lambda server: {
                "seconds": pgbench.initialise(server, 100), "private_bytes": anonymous_peak(server)})
            bench.options.turns = turns
    finally:
        nodedb.stop()
        postgres.stop()


def anonymous_peak(server):
    """Private anonymous memory now, in bytes: the map of the data file is the kernel's cache."""
    rollup = pathlib.Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Anonymous:"))


def login(bench):
    """Log-ins a second: pgbench -C, and a driver that derives its client keys once."""
    nodedb, postgres = bench.start(NodeDB), bench.start(PostgreSQL)
    try:
        one = bench.where / "one.sql"
        one.write_text("SELECT 1;\n")
        bench.turns("connect -C 16", [nodedb, postgres],
                    lambda server: pgbench.run(server, 16, bench.options.seconds, "-C", "-f", str(one)))
        bench.turns("scram login driver 16", [nodedb, postgres], lambda server: drive_logins(bench, server, 16))
    finally:
        nodedb.stop()
        postgres.stop()


def drive_logins(bench, server, connections, *arguments, user=None):
    driven = Driven(server, [bench.options.login_driver, "--address", f"127.0.0.1:{server.port}", "--user", user or server.user,
                             "--database", server.database, "--connections", connections,
                             "--seconds", bench.options.seconds, *arguments], server.environment())
    if driven.returncode != 0:
        raise driven.failed()
    report = json.loads(driven.stdout)
    return {"tps": report["logins_per_second"], "transactions": report["logins"], **driven.per_request(report["logins"])}


def idle(bench):
    """What an idle, authenticated connection holds in memory, at 5,000 of them."""
    import login_pool
    nodedb = bench.start(NodeDB)
    try:
        login_pool.open_and_close(nodedb, 100)
        before = nodedb.pss_bytes()
        count = bench.options.idle_connections
        pool = login_pool.open_pool(nodedb, count)
        time.sleep(3)
        after = nodedb.pss_bytes()
        bench.rows.append({"subject": f"idle {count}", "server": nodedb.name, "turn": 0,
                           "pss_bytes_per_connection": (after - before) / count})
        say(f"  idle {count}: {(after - before) / count:.0f} bytes PSS a connection")
        for connection in pool:
            connection.close()
    finally:
        nodedb.stop()


# Of the subjects that compare protocols: as many as a pool of an application keeps.
CONNECTIONS = 64
SCALE = 10
ACCOUNTS = SCALE * 100_000


def http(bench):
    """One select by key a request: over PostgreSQL's protocol, over HTTP by API key, and the same through FastAPI."""
    import http_load
    from keyed_server import KeyedService
    seconds = bench.options.seconds
    nodedb, postgres = bench.start(NodeDB), bench.start(PostgreSQL)
    try:
        for server in (nodedb, postgres):
            pgbench.initialise(server, SCALE)
        service = bench.start(KeyedService, postgres)
        try:
            keys = {server: server.api_key() for server in (nodedb, service)}
            for mode, form in (("simple", "literal"), ("prepared", "params")):
                bench.turns(f"pgwire {mode} {CONNECTIONS}", [nodedb], lambda server: pgbench.run_with_percentiles(
                    server, CONNECTIONS, seconds, "-S", "-M", mode))
                bench.turns(f"http {form} {CONNECTIONS}", [nodedb, service], lambda server: http_load.run(
                    server, keys[server], form, CONNECTIONS, seconds, ACCOUNTS))
        finally:
            service.stop()
    finally:
        nodedb.stop()
        postgres.stop()


def native(bench):
    """The same over the native protocol and over PostgreSQL's, both driven by one driver."""
    import select_load
    nodedb = bench.start(NodeDB)
    try:
        pgbench.initialise(nodedb, SCALE)
        key = nodedb.api_key()
        for protocol in ("pgwire-prepared", "native-params", "native-literal"):
            subject = f"{protocol.replace('-', ' ')} by the driver {CONNECTIONS}"
            bench.turns(subject, [nodedb], lambda server: select_load.run(
                server, bench.options.select_driver, protocol, key, CONNECTIONS, bench.options.seconds, ACCOUNTS))
    finally:
        nodedb.stop()


# TLS connections that are held idle: enough for a mean, and a handshake each.
IDLE_TLS_CONNECTIONS = 1_000


def tls(bench):
    """Select-only and log-ins with TLS and without, and what an idle TLS connection holds in memory."""
    import login_pool
    from tls_load import CERTIFIED, EncryptedNodeDB, EncryptedPostgreSQL
    nodedb = bench.start(EncryptedNodeDB)
    try:
        postgres = bench.start(EncryptedPostgreSQL, nodedb)
        try:
            one = bench.where / "one.sql"
            one.write_text("SELECT 1;\n")
            for server in (nodedb, postgres):
                pgbench.initialise(server, SCALE)

            def drive(mode, server, *arguments):
                server.ssl_mode = mode
                return pgbench.run(server, *arguments)

            for name, mode in (("plain", "disable"), ("TLS", "require")):
                bench.turns(f"{name} select prepared 100", [nodedb, postgres],
                            lambda server: drive(mode, server, 100, bench.options.seconds, "-S", "-M", "prepared"))
                bench.turns(f"{name} connect -C 16", [nodedb, postgres],
                            lambda server: drive(mode, server, 16, bench.options.seconds, "-C", "-f", str(one)))
            # By the driver, which does not verify the server's certificate and so has CPU left.
            certificate = nodedb.certificate()
            for name, arguments, user in (("SCRAM", ["--tls"], None), ("certificate", ["--tls", *certificate], CERTIFIED),
                                          ("resumed certificate", ["--tls", "--resume", *certificate], CERTIFIED)):
                bench.turns(f"TLS {name} login driver 16", [nodedb, postgres],
                            lambda server: drive_logins(bench, server, 16, *arguments, user=user))
        finally:
            postgres.stop()
        nodedb.ssl_mode = "require"
        login_pool.open_and_close(nodedb, 100)
        before = nodedb.pss_bytes()
        pool = login_pool.open_pool(nodedb, IDLE_TLS_CONNECTIONS)
        time.sleep(3)
        each = (nodedb.pss_bytes() - before) / len(pool)
        bench.rows.append({"subject": f"idle TLS {len(pool)}", "server": nodedb.name, "turn": 0,
                           "tls_pss_bytes_per_connection": each})
        say(f"  idle TLS {len(pool)}: {each:.0f} bytes PSS a connection")
        for connection in pool:
            connection.close()
    finally:
        nodedb.stop()


def policy(bench):
    """What one row policy costs on the point path and on a scan, beside PostgreSQL's own."""
    nodedb, postgres = bench.start(NodeDB), bench.start(policies.BoundPostgreSQL)
    try:
        policies.prepare(nodedb, "'bench'")
        policies.prepare(postgres, "'app'")
        postgres.bind()
        servers, (point, scan) = [nodedb, postgres], policies.scripts(bench.where)
        for _ in range(2):
            # Without and with in turns, so that what drifts on the machine meets both.
            policies.drive(bench, servers, point, scan, policies.WITHOUT)
            nodedb.psql("CREATE RLS POLICY own ON owned USING (user_id = $auth.username)")
            postgres.psql("ALTER TABLE owned ENABLE ROW LEVEL SECURITY", user="bench")
            postgres.psql("CREATE POLICY own ON owned USING (user_id = current_user)", user="bench")
            policies.drive(bench, servers, point, scan, policies.WITH)
            nodedb.psql("DROP RLS POLICY own ON owned")
            postgres.psql("DROP POLICY own ON owned; ALTER TABLE owned DISABLE ROW LEVEL SECURITY", user="bench")
    finally:
        nodedb.stop()
        postgres.stop()


def token(bench):
    """One select by key a request over HTTP, by an identity provider's token and by API key."""
    import http_load
    from issuer import Issuer
    issuer = Issuer(bench.where)
    nodedb = bench.start(tokens.TrustingNodeDB, issuer)
    try:
        pgbench.initialise(nodedb, SCALE)
        bearers = {tokens.BY_KEY: nodedb.api_key(), tokens.BY_TOKEN: issuer.token("al")}
        for _ in range(2):
            # In turns, so that what drifts on the machine meets both.
            for subject, bearer in bearers.items():
                bench.turns(subject, [nodedb], lambda server: http_load.run(
                    server, bearer, "params", CONNECTIONS, bench.options.seconds, ACCOUNTS))
    finally:
        nodedb.stop()
        issuer.stop()


def revocation(bench):
    """How fast sessions are ended, of many and of one among many."""
    nodedb, postgres = bench.start(revocations.CrowdedNodeDB), bench.start(PostgreSQL)
    try:
        pgbench.initialise(nodedb, SCALE)
        revocations.drive(bench, nodedb, postgres)
    finally:
        nodedb.stop()
        postgres.stop()


SUBJECTS = {"select": select, "tpcb": tpcb, "login": login, "idle": idle, "init": init, "http": http, "native": native,
            "tls": tls, "policy": policy, "token": token, "revocation": revocation, "bulk": bulk.measure, "analytic": analytic.measure,
            "ranges": ranges.measure, "polite": polite.measure}
