"""How fast somebody is out: DROP USER with ten thousand sessions, and of one session among them under full load."""

import resource
import select
import statistics
import time

import login_pool
import pgbench
from medians import median, number, subjects_of
from servers import NodeDB, PostgreSQL

CROWD, ONE = "all sessions of a user", "one session among them, under load"
# What a PostgreSQL of a process for each connection is asked to hold on such a machine.
POSTGRES_CROWD = 1_000
ROUNDS = 200
LOAD_CONNECTIONS = 100


class CrowdedNodeDB(NodeDB):
    """Room for the crowd and for whoever looks at it."""

    settings = {"NODEDB_MAX_CONNECTIONS": "12000"}


class As:
    """A server as another user sees it."""

    def __init__(self, server, user):
        self.port, self.database, self.user = server.port, server.database, user
        self.environment = server.environment


def until_closed(connections):
    """Seconds until the server has closed them all; what it said last is read and thrown away."""
    began = time.perf_counter()
    poll = select.poll()
    by_descriptor = {connection.fileno(): connection for connection in connections}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    while by_descriptor:
        for descriptor, _ in poll.poll(10_000):
            try:
                ended = not by_descriptor[descriptor].recv(65_536)
            except ConnectionResetError:
                ended = True
            if ended:
                poll.unregister(descriptor)
                by_descriptor.pop(descriptor).close()
    return time.perf_counter() - began


def timed(connection, sql):
    began = time.perf_counter()
    login_pool.ask(connection, sql)
    return time.perf_counter() - began


def drop_crowd(server, count):
    """DROP USER while the user has so many sessions; PostgreSQL, whose DROP ROLE ends nobody, is told to terminate them."""
    root = login_pool.log_in(As(server, "nodedb" if server.name == "NodeDB" else "bench"))
    login_pool.ask(root, "CREATE USER crowd WITH PASSWORD 'secret'")
    crowd = login_pool.open_pool(As(server, "crowd"), count)
    time.sleep(1)
    if server.name == "NodeDB":
        answered = timed(root, "DROP USER crowd")
    else:
        answered = timed(root, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'crowd'")
    closed = until_closed(crowd)
    if server.name != "NodeDB":
        login_pool.ask(root, "DROP USER crowd")
    root.close()
    return {"sessions": count, "answered_ms": answered * 1e3, "all_closed_ms": (answered + closed) * 1e3}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def drop_one(server, count, seconds):
    """Many times: somebody logs in and is dropped, while others idle and pgbench runs at full load."""
    root = login_pool.log_in(As(server, "nodedb"))
    login_pool.ask(root, "CREATE USER crowd WITH PASSWORD 'secret'")
    crowd = login_pool.open_pool(As(server, "crowd"), count)
    load = pgbench.start(server, LOAD_CONNECTIONS, seconds, "-S", "-M", "prepared")
    time.sleep(1)
    statement, ended = [], []
    while load.poll() is None and len(statement) < ROUNDS:
        login_pool.ask(root, "CREATE USER victim WITH PASSWORD 'secret'")
        victim = login_pool.log_in(As(server, "victim"))
        statement.append(timed(root, "DROP USER victim") * 1e3)
        ended.append(until_closed([victim]) * 1e3)
    load.terminate()
    load.wait()
    shown = server.psql("SHOW REVOCATIONS", user="nodedb").splitlines()
    adopted = [float(line.split("|")[8]) for line in shown if "|victim|" in line]
    for connection in crowd:
        connection.close()
    login_pool.ask(root, "DROP USER crowd")
    root.close()
    return {"sessions": count, "rounds": len(statement), "statement_p50_ms": statistics.median(statement),
            "statement_p99_ms": percentile(statement, 0.99), "adopted_p50_ms": statistics.median(adopted),
            "adopted_p99_ms": percentile(adopted, 0.99), "closed_after_p99_ms": percentile(ended, 0.99)}


def drive(bench, nodedb, postgres):
    count = bench.options.crowd
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    bench.turns(CROWD, [nodedb, postgres],
                lambda server: drop_crowd(server, count if server is nodedb else POSTGRES_CROWD))
    bench.turns(ONE, [nodedb], lambda server: drop_one(server, count, 60 + bench.options.seconds))


def goals(rows):
    """What revocation had to reach; for the form as report.goals()."""
    def of(subject, field):
        return median(rows, subject, "NodeDB", field)

    return [
        ("revoke_crowd", "DROP USER with ten thousand sessions: answered, ms", of(CROWD, "answered_ms"), "< 100", lambda v: v < 100),
        ("revoke_crowd_closed", "the same: the last socket closed, ms", of(CROWD, "all_closed_ms"), "≤ 1,000", lambda v: v <= 1000),
        ("revoke_one", "DROP USER of one session among them, under load: p99 beyond its fsync, ms", of(ONE, "adopted_p99_ms"), "< 5",
         lambda v: v < 5),
    ]


def section(rows):
    measured = [subject for subject in subjects_of(rows) if subject in (CROWD, ONE)]
    if not measured:
        return []
    lines = ["## How fast somebody is out", ""]
    for row in rows:
        if row["subject"] in (CROWD, ONE):
            figures = ", ".join(f"{name} {number(value, 1)}" for name, value in row.items()
                                if name not in ("subject", "server", "turn") and isinstance(value, (int, float)))
            lines.append(f"- {row['subject']}, {row['server']}: {figures}")
    return [*lines, "", NOTE, ""]


NOTE = """\
*answered* is from sending the statement until ReadyForQuery, its fsync included: by then no session of the user admits a statement, on any core.
*all closed* is until the last client has read the end of its connection. PostgreSQL's DROP ROLE ends nobody: it is asked for
`pg_terminate_backend` of each session, which sends signals and waits for nobody. *adopted* is what SHOW REVOCATIONS says: from the
publication of the epoch until every core had ended whom it concerns; *statement* is the whole of it, with the fsync of the catalog's log and the
client's turn on a machine that pgbench fills."""
