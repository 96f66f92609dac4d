"""Queries over all rows of a million: COUNT, GROUP BY, a hash join, beside PostgreSQL with its default parallelism."""

import pgbench
from medians import median, number, ratio, subjects_of
from servers import NodeDB, PostgreSQL

ROWS, CUSTOMERS, BATCHES = 1_000_000, 100_000, 10_000
COUNT, GROUP, GROUP_MANY, JOIN, JOIN_GROUP = (f"{what} over 1,000,000 rows" for what in (
    "COUNT(*)", "GROUP BY with ten groups", "GROUP BY with 100,000 groups", "hash join with 100,000 rows", "hash join and GROUP BY"))
QUERIES = {
    COUNT: "SELECT count(*) FROM orders",
    GROUP: "SELECT region, count(*), sum(amount) FROM orders GROUP BY region",
    GROUP_MANY: "SELECT count(*), max(total) FROM (SELECT customer, sum(amount) AS total FROM orders GROUP BY customer) AS each",
    JOIN: "SELECT count(*), sum(orders.amount) FROM orders JOIN customers ON customers.id = orders.customer WHERE customers.rank > 10",
    JOIN_GROUP: "SELECT customers.rank, count(*), sum(orders.amount) FROM orders JOIN customers ON customers.id = orders.customer "
                "GROUP BY customers.rank",
}
# How many times as fast as PostgreSQL at least; the wish is 2 for all.
FASTER_MIN = {COUNT: 1.2, GROUP: 1.2, GROUP_MANY: 1.2, JOIN: 1.5, JOIN_GROUP: 1.5}
KEYS = {COUNT: "count", GROUP: "group_by", GROUP_MANY: "group_by_many", JOIN: "hash_join", JOIN_GROUP: "hash_join_group"}


def prepare(server):
    """The tables that `ranges` reads too: orders in the order of their keys, a hundred in each batch."""
    server.psql("CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, batch int NOT NULL, region int NOT NULL, amount int NOT NULL, "
                "note text)")
    server.psql(f"INSERT INTO orders SELECT i, i::bigint * 7919 % {CUSTOMERS}, i % {BATCHES}, i % 10, i % 1000, 'note of order ' || i "
                f"FROM generate_series(1, {ROWS}) i")
    server.psql("CREATE TABLE customers (id int PRIMARY KEY, rank int NOT NULL, name text)")
    server.psql(f"INSERT INTO customers SELECT i, i % 100, 'customer ' || i FROM generate_series(0, {CUSTOMERS - 1}) i")
    server.psql("CREATE INDEX orders_batch ON orders (batch)")
    for table in ("orders", "customers"):
        server.psql(f"VACUUM ANALYZE {table}")


def measure(bench):
    """Each query by itself over one connection."""
    nodedb, postgres = bench.start(NodeDB), bench.start(PostgreSQL)
    servers = [nodedb, postgres]
    try:
        for server in servers:
            prepare(server)
        for subject, query in QUERIES.items():
            path = bench.where / "query.sql"
            path.write_text(f"{query};\n")
            bench.turns(subject, servers, lambda server: pgbench.run(server, 1, bench.options.seconds, "-f", str(path), "-M", "simple"))
    finally:
        nodedb.stop()
        postgres.stop()


def goals(rows):
    """The rate against PostgreSQL's; for the form as report.goals()."""
    def faster(subject):
        return ratio(*(median(rows, subject, server, "tps") for server in ("NodeDB", "PostgreSQL")))

    return [(KEYS[subject], f"{subject}: rate against PostgreSQL", faster(subject), f"≥ {least} (2)", lambda v, least=least: v >= least)
            for subject, least in FASTER_MIN.items()]


def has(subject):
    return subject in QUERIES


def section(rows):
    measured = [subject for subject in subjects_of(rows) if has(subject)]
    if not measured:
        return []
    lines = ["## Queries over a million rows", "",
             "| subject | NodeDB ms | PostgreSQL ms | PostgreSQL : NodeDB | server CPU ms: NodeDB | PostgreSQL |", "|---|--:|--:|--:|--:|--:|"]
    for subject in measured:
        ours, theirs = (median(rows, subject, server, "latency_ms") for server in ("NodeDB", "PostgreSQL"))
        cpu = [median(rows, subject, server, "server_cpu_us") for server in ("NodeDB", "PostgreSQL")]
        shown = " | ".join(number(value and value / 1e3, 1) for value in cpu)
        lines.append(f"| {subject} | {number(ours, 1)} | {number(theirs, 1)} | {number(ratio(theirs, ours), 2)} | {shown} |")
    return [*lines, "", NOTE, ""]


NOTE = """\
One connection, one query at a time; PostgreSQL with its default parallelism, analysed and vacuumed. orders is (id int primary key, customer int,
batch int, region int, amount int, note text) with a million rows, customers (id int primary key, rank int, name text) with 100,000."""
