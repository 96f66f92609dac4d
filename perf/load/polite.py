"""What heavy queries do to others: the point statements of other sessions beside them, the memory they take, how fast they stop."""

import asyncio
import random
import subprocess
import threading
import time

import asyncpg
import pgbench
from medians import median, number, subjects_of
from servers import NodeDB, PASSWORD, PG_BIN, PostgreSQL, process_tree

ROWS, PAIRS = 10_000_000, 20_000
# As many as a pool of an application keeps, and about a tenth of what the machine could do.
CONNECTIONS, RATE = 16, 2_000
SCALE = 10
ALONE = "point statements alone"
HEAVY = {
    "a scan of ten million rows": "SELECT count(*), sum(k), max(pad) FROM wide",
    "a cartesian join": "SELECT count(*) FROM pairs a, pairs b WHERE a.k + b.k = -1",
    "a sort larger than memory": f"SELECT id FROM wide ORDER BY pad, k, id OFFSET {ROWS - 1}",
    "GROUP BY with ten million groups": "SELECT count(*) FROM (SELECT pad, k, id, count(*) FROM wide GROUP BY pad, k, id) AS each",
}
SLEEP, SERIES = "pg_sleep", "exp() of numerics of 4,000 digits"
STOPPED = {
    **HEAVY,
    SLEEP: "SELECT pg_sleep(60)",
    SERIES: "SELECT max(exp(('0.' || repeat('7', 4000))::numeric / (i + 1))) FROM generate_series(1, 1000000) i",
}
ROUNDS, ROUNDS_QUICK = 100, 10
# How long a client waits for what is to stop before it is called unstoppable.
STOP_SECONDS_MAX = 30
P99_TIMES_MAX, P99_MS_MORE, STOP_MS_MAX = 2, 1, 100
MEMORY_MIB_MAX = 512


def prepare(server):
    pgbench.initialise(server, SCALE)
    # In one transaction: so many rows into a table that others can see are past NodeDB's transaction_bytes_max.
    server.psql("CREATE TABLE wide (id int, k int NOT NULL, pad text NOT NULL); INSERT INTO wide SELECT i, i::bigint * 7919 % 1000003, "
                f"'pad ' || i::bigint * 104729 % 15485863 FROM generate_series(1, {ROWS}) i")
    server.psql("CREATE TABLE pairs (k int NOT NULL)")
    server.psql(f"INSERT INTO pairs SELECT i FROM generate_series(1, {PAIRS}) i")
    for table in ("wide", "pairs"):
        server.psql(f"VACUUM ANALYZE {table}")


class Repeated(threading.Thread):
    """A heavy query, again and again until `stop`; watches the server's private memory meanwhile."""

    def __init__(self, server, query):
        super().__init__()
        self.server, self.query = server, query
        self.stopping, self.count, self.memory, self.error = False, 0, 0, None
        self.began = time.monotonic()

    def run(self):
        while not self.stopping:
            command = [PG_BIN / "psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.server.port), "-U", self.server.user,
                       "-d", self.server.database, "-c", self.query]
            asking = subprocess.Popen(command, env=self.server.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            while asking.poll() is None and not self.stopping:
                self.memory = max(self.memory, private_bytes(self.server))
                time.sleep(0.1)
            if asking.poll() is None:
                asking.terminate()
            said = asking.communicate()[1]
            if said and not self.stopping:
                self.error = said.strip()[-200:]
                return
            self.count += 1

    def stop(self):
        self.stopping = True
        self.join()


def private_bytes(server):
    """Private anonymous memory of its processes: neither the map of the data file nor shared buffers."""
    total = 0
    for pid in process_tree(server.process.pid):
        try:
            rollup = open(f"/proc/{pid}/smaps_rollup").read()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Anonymous:"))
    return total


def point(server, seconds):
    """Point statements at a fixed rate, so that their times are the server's and not the queue's before it."""
    return pgbench.run_with_percentiles(server, CONNECTIONS, seconds, "-S", "-M", "prepared", "-R", str(RATE))


def beside(server, query, seconds):
    before = private_bytes(server)
    heavy = Repeated(server, query)
    heavy.start()
    time.sleep(1)
    try:
        result = point(server, seconds)
    finally:
        heavy.stop()
    result |= {"private_mib_more": (heavy.memory - before) / 2**20}
    if heavy.error:
        result["heavy_error"] = heavy.error
    return result


async def _connect(server):
    return await asyncpg.connect(host="127.0.0.1", port=server.port, user=server.user, password=PASSWORD, database=server.database)


async def _cancel(watcher, connection, running):
    """Milliseconds from a cancel request to the statement's error; None where it had none."""
    pid = connection.get_server_pid()
    began = time.perf_counter()
    await watcher.fetchval("SELECT pg_cancel_backend($1)", pid)
    try:
        await asyncio.wait_for(running, STOP_SECONDS_MAX)
        return None
    except (asyncpg.QueryCanceledError, asyncio.TimeoutError):
        return (time.perf_counter() - began) * 1e3
    finally:
        connection.terminate()


async def _leave(watcher, connection, running):
    """Milliseconds from a client's going away to the end of its session."""
    pid = connection.get_server_pid()
    began = time.perf_counter()
    connection.terminate()
    while time.perf_counter() - began < STOP_SECONDS_MAX:
        if not await watcher.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
            break
    took = (time.perf_counter() - began) * 1e3
    await asyncio.gather(running, return_exceptions=True)
    return took


async def _stopped(how, server, query, rounds):
    watcher = await _connect(server)
    took = []
    for _ in range(rounds):
        connection = await _connect(server)
        running = asyncio.ensure_future(connection.fetch(query))
        await asyncio.sleep(0.05 + random.random() * 0.4)
        took.append(await how(watcher, connection, running))
    await watcher.close()
    return took


def stopped(how, server, query, rounds):
    took = asyncio.run(_stopped(how, server, query, rounds))
    times = sorted(time for time in took if time is not None)
    if not times:
        return {"error": "it was never stopped"}
    return {"rounds": len(times), "ended_by_itself": len(took) - len(times), "stop_p50_ms": times[len(times) // 2],
            "stop_p99_ms": times[min(len(times) - 1, int(len(times) * 0.99))], "stop_max_ms": times[-1]}


def measure(bench):
    """The servers one after the other: what one does must not be felt by the other's point statements."""
    seconds, rounds = bench.options.seconds, ROUNDS_QUICK if bench.options.turns == 1 else ROUNDS
    for kind in (NodeDB, PostgreSQL):
        server = bench.start(kind)
        try:
            prepare(server)
            bench.turns(ALONE, [server], lambda server: point(server, seconds))
            for name, query in HEAVY.items():
                bench.turns(f"beside {name}", [server], lambda server: beside(server, query, seconds))
            turns, bench.options.turns = bench.options.turns, 1
            for name, query in STOPPED.items():
                bench.turns(f"cancel of {name}", [server], lambda server: stopped(_cancel, server, query, rounds))
                # PostgreSQL finds out that nobody waits when it sends, which these queries never do.
                if kind is NodeDB:
                    bench.turns(f"client gone from {name}", [server], lambda server: stopped(_leave, server, query, rounds))
            bench.options.turns = turns
        finally:
            server.stop()


def has(subject):
    return subject.startswith((ALONE, "beside ", "cancel of ", "client gone from "))


def goals(rows):
    """That nobody is held up, memory is bounded, and what is to stop stops; for the form as report.goals()."""
    alone = median(rows, ALONE, "NodeDB", "latency_p99_us")

    def of(subject, field):
        return median(rows, subject, "NodeDB", field)

    def late(subject):
        beside = of(subject, "latency_p99_us")
        return None if None in (alone, beside) else max(0, beside - alone * P99_TIMES_MAX) / 1e3

    wanted = []
    for place, name in enumerate(HEAVY):
        wanted.append((f"polite_p99_{place}", f"point statements beside {name}: ms of p99 past twice what it is alone",
                       late(f"beside {name}"), f"≤ {P99_MS_MORE}", lambda v: v <= P99_MS_MORE))
        wanted.append((f"polite_memory_{place}", f"{name}: private memory, MiB more", of(f"beside {name}", "private_mib_more"),
                       f"≤ {MEMORY_MIB_MAX}", lambda v: v <= MEMORY_MIB_MAX))
    for place, name in enumerate(STOPPED):
        for key, how in (("cancel", "cancel of"), ("gone", "client gone from")):
            wanted.append((f"polite_{key}_{place}", f"{how} {name}: p99, ms", of(f"{how} {name}", "stop_p99_ms"), f"≤ {STOP_MS_MAX}",
                           lambda v: v <= STOP_MS_MAX))
    return wanted


def section(rows):
    measured = [subject for subject in subjects_of(rows) if has(subject)]
    if not measured:
        return []
    lines = ["## Beside heavy queries", "",
             "| subject | server | p50 µs | p99 µs | private MiB more |", "|---|---|--:|--:|--:|"]
    stops = ["| stopped | server | p50 ms | p99 ms | longest ms |", "|---|---|--:|--:|--:|"]
    for subject in measured:
        for server in dict.fromkeys(row["server"] for row in rows if row["subject"] == subject):
            def of(field):
                return median(rows, subject, server, field)

            if of("stop_p50_ms") is not None:
                stops.append(f"| {subject} | {server} | {number(of('stop_p50_ms'), 1)} | {number(of('stop_p99_ms'), 1)} "
                             f"| {number(of('stop_max_ms'), 1)} |")
            else:
                lines.append(f"| {subject} | {server} | {number(of('latency_p50_us'))} | {number(of('latency_p99_us'))} "
                             f"| {number(of('private_mib_more'))} |")
    return [*lines, "", *stops, "", NOTE, ""]


NOTE = f"""\
Point statements are pgbench's select-only, prepared, over {CONNECTIONS} connections at {RATE:,} a second, while another session runs the heavy
query again and again. A statement is stopped by pg_cancel_backend from another session, or by closing its client's socket; what is timed ends
with its error, or when its session is gone from pg_stat_activity."""
