"""What row policies cost: a table of rows that belong to who asks, with one policy that says so, and without."""

import pgbench
from medians import median, number, ratio, subjects_of
from servers import PostgreSQL

ROWS = 1_000_000
POINT, SCAN = "point select", "scan of a million rows"
WITH, WITHOUT = "one policy", "no policy"
CONNECTIONS = 100


class BoundPostgreSQL(PostgreSQL):
    """PostgreSQL with a role that row policies bind, which its superuser `bench` is not."""

    def bind(self):
        self.psql("CREATE ROLE app LOGIN PASSWORD 'secret'; GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
        self.user = "app"


def prepare(server, owner):
    """A table of a million rows, all of them the asker's, so that both runs give the same rows."""
    server.psql("CREATE TABLE owned (id int PRIMARY KEY, user_id text, amount int)")
    server.psql(f"INSERT INTO owned SELECT i, {owner}, i % 1000 FROM generate_series(1, {ROWS}) i")
    server.psql("VACUUM ANALYZE owned")


def scripts(where):
    point, scan = where / "point.sql", where / "scan.sql"
    point.write_text(f"\\set id random(1, {ROWS})\nSELECT amount FROM owned WHERE id = :id;\n")
    scan.write_text("SELECT count(*), sum(amount) FROM owned;\n")
    return point, scan


def drive(bench, servers, point, scan, state):
    seconds = bench.options.seconds
    bench.turns(f"{POINT}, {state}", servers,
                lambda server: pgbench.run(server, CONNECTIONS, seconds, "-f", str(point), "-M", "prepared"))
    bench.turns(f"{SCAN}, {state}", servers,
                lambda server: pgbench.run(server, 1, seconds, "-f", str(scan), "-M", "prepared"))


def has(subject):
    return subject.startswith((POINT, SCAN))


def overhead(rows, server):
    """How much longer the scan takes with the policy, as a share."""
    slower = ratio(median(rows, f"{SCAN}, {WITHOUT}", server, "tps"), median(rows, f"{SCAN}, {WITH}", server, "tps"))
    return None if slower is None else slower - 1


def goals(rows):
    """What row policies had to reach; for the form as report.goals()."""
    def cpu(state):
        return median(rows, f"{POINT}, {state}", "NodeDB", "server_cpu_us")

    ours, theirs = overhead(rows, "NodeDB"), overhead(rows, "PostgreSQL")
    return [
        ("policy_point", "one row policy on the point path: server CPU against none", ratio(cpu(WITH), cpu(WITHOUT)), "≤ 1.1",
         lambda v: v <= 1.1),
        ("policy_scan", "one row policy on a scan of a million rows: overhead against PostgreSQL's", ratio(ours, theirs), "≤ 1.3",
         lambda v: v <= 1.3),
    ]


def section(rows):
    measured = [subject for subject in subjects_of(rows) if has(subject)]
    if not measured:
        return []
    lines = ["## What a row policy costs", "",
             "| subject | server | transactions a second | server CPU µs |", "|---|---|--:|--:|"]
    for subject in measured:
        for server in dict.fromkeys(row["server"] for row in rows if row["subject"] == subject):
            tps, cpu = (median(rows, subject, server, field) for field in ("tps", "server_cpu_us"))
            lines.append(f"| {subject} | {server} | {number(tps, 1)} | {number(cpu, 1)} |")
    for server in ("NodeDB", "PostgreSQL"):
        share = overhead(rows, server)
        if share is not None:
            lines += ["", f"{server}: the scan takes {share * 100:.0f} % longer with the policy."]
    return [*lines, "", NOTE, ""]


NOTE = """\
The policy is `user_id = $auth.username`, in PostgreSQL `user_id = current_user`, over a table of (id int PRIMARY KEY, user_id text, amount
int) with a million rows, all of them the asker's: both runs give the same rows. The select is one row by its key over 100 connections, prepared;
the scan is `SELECT count(*), sum(amount)` over one."""
