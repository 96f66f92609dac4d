"""Statements of few rows: a range of the key, a page by the key, equality on a secondary index; a list of keys, rows with their partners."""

import analytic
import pgbench
from medians import median, number, ratio, subjects_of
from servers import NodeDB, PostgreSQL

CONNECTIONS = 16
LAST = analytic.ROWS - 100
KEY, PAGE, INDEX, INDEX_ONLY = (f"100 rows, {what}" for what in (
    "a range of the key", "a page by the key", "a secondary index", "counted by a secondary index"))
LOW = f"\\set low random(1, {LAST})\n"
BATCH = f"\\set batch random(0, {analytic.BATCHES - 1})\n"
COLUMNS = "id, customer, amount, note"
SCRIPTS = {
    KEY: f"{LOW}\\set high :low + 99\nSELECT {COLUMNS} FROM orders WHERE id BETWEEN :low AND :high;\n",
    PAGE: f"{LOW}SELECT {COLUMNS} FROM orders WHERE id > :low ORDER BY id LIMIT 100;\n",
    INDEX: f"{BATCH}SELECT {COLUMNS} FROM orders WHERE batch = :batch;\n",
    INDEX_ONLY: f"{BATCH}SELECT count(*) FROM orders WHERE batch = :batch;\n",
}
# What is compared, and nothing was promised of.
LIST, PARTNER, LAST_WITH = "3 rows, a list of keys", "1 row and its partner", "20 rows, the last ones with their partners"
JOINED = "SELECT orders.id, customers.name FROM orders JOIN customers ON customers.id = orders.customer"
SCRIPTS_BESIDE = {
    LIST: "".join(f"\\set {key} random(1, {LAST})\n" for key in "abc") + f"SELECT {COLUMNS} FROM orders WHERE id IN (:a, :b, :c);\n",
    PARTNER: f"{LOW}{JOINED} WHERE orders.id = :low;\n",
    LAST_WITH: f"{JOINED} ORDER BY orders.id DESC LIMIT 20;\n",
}
KEYS = {KEY: "range_key", PAGE: "range_page", INDEX: "range_index", INDEX_ONLY: "range_index_count"}
MODES = ("simple", "prepared")


def measure(bench):
    """Both servers in turns, prepared and not."""
    nodedb, postgres = bench.start(NodeDB), bench.start(PostgreSQL)
    servers = [nodedb, postgres]
    try:
        for server in servers:
            analytic.prepare(server)
        for subject, script in (SCRIPTS | SCRIPTS_BESIDE).items():
            path = bench.where / "range.sql"
            path.write_text(script)
            for mode in MODES:
                bench.turns(f"{subject}, {mode}", servers, lambda server: pgbench.run(
                    server, CONNECTIONS, bench.options.seconds, "-f", str(path), "-M", mode))
    finally:
        nodedb.stop()
        postgres.stop()


def has(subject):
    return subject.startswith((*SCRIPTS, *SCRIPTS_BESIDE))


def goals(rows):
    """The server's CPU a statement against PostgreSQL's; for the form as report.goals()."""
    def cpu(subject, mode):
        return ratio(*(median(rows, f"{subject}, {mode}", server, "server_cpu_us") for server in ("NodeDB", "PostgreSQL")))

    return [(f"{KEYS[subject]}_{mode}", f"{subject}, {mode}: server CPU against PostgreSQL", cpu(subject, mode), "≤ 1", lambda v: v <= 1)
            for subject in SCRIPTS for mode in MODES]


def section(rows):
    measured = [subject for subject in subjects_of(rows) if has(subject)]
    if not measured:
        return []
    lines = ["## Statements of few rows", "",
             "| subject | statements a second: NodeDB | PostgreSQL | server CPU µs: NodeDB | PostgreSQL | NodeDB : PostgreSQL |",
             "|---|--:|--:|--:|--:|--:|"]
    for subject in measured:
        tps = [median(rows, subject, server, "tps") for server in ("NodeDB", "PostgreSQL")]
        cpu = [median(rows, subject, server, "server_cpu_us") for server in ("NodeDB", "PostgreSQL")]
        lines.append(f"| {subject} | {number(tps[0])} | {number(tps[1])} | {number(cpu[0], 1)} | {number(cpu[1], 1)} | {number(ratio(*cpu), 2)} |")
    return [*lines, "", f"{CONNECTIONS} connections; the table is the orders of the queries over a million rows.", ""]
