"""The page of a run: medians, ratios against PostgreSQL, what each figure had to reach, pictures."""

import pathlib
import tomllib

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

import analytic  # noqa: E402
import bulk  # noqa: E402
import policies  # noqa: E402
import polite  # noqa: E402
import protocols  # noqa: E402
import ranges  # noqa: E402
import revocations  # noqa: E402
import tokens  # noqa: E402
from medians import median, number, ratio, subjects_of  # noqa: E402

# The pages of the engine's figures, which hold their goals, their table and what belongs there.
ENGINE = (bulk, analytic, ranges, polite)
COLOURS = {"NodeDB": "#1b6ca8", "PostgreSQL": "#8a8a8a", "PgBouncer": "#d1913c"}


def throughput_table(rows):
    lines = ["| subject | NodeDB | PostgreSQL | PgBouncer | NodeDB : PostgreSQL | server CPU µs: NodeDB | PostgreSQL | PgBouncer + PostgreSQL |",
             "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for subject in subjects_of(rows):
        tps = {server: median(rows, subject, server, "tps") for server in COLOURS}
        if not any(tps.values()) or any(page.has(subject) for page in (protocols, policies, tokens, *ENGINE)):
            continue
        cpu = {server: median(rows, subject, server, "server_cpu_us") for server in COLOURS}
        lines.append(f"| {subject} | {number(tps['NodeDB'])} | {number(tps['PostgreSQL'])} | {number(tps['PgBouncer'])} "
                     f"| {number(ratio(tps['NodeDB'], tps['PostgreSQL']), 2)} | {number(cpu['NodeDB'], 1)} "
                     f"| {number(cpu['PostgreSQL'], 1)} | {number(cpu['PgBouncer'], 1)} |")
    return lines if len(lines) > 2 else []


def seconds_table(rows):
    lines = ["| subject | NodeDB s | PostgreSQL s | NodeDB : PostgreSQL | NodeDB private MiB |", "|---|--:|--:|--:|--:|"]
    for subject in subjects_of(rows):
        ours, theirs = (median(rows, subject, server, "seconds") for server in ("NodeDB", "PostgreSQL"))
        if ours is None and theirs is None or bulk.has(subject):
            continue
        memory = median(rows, subject, "NodeDB", "private_bytes")
        lines.append(f"| {subject} | {number(ours, 2)} | {number(theirs, 2)} | {number(ratio(ours, theirs), 2)} "
                     f"| {number(memory and memory / 2**20)} |")
    return lines if len(lines) > 2 else []


def goals(rows):
    """What the releases had to reach, computed from the same rows; a key names its cause if it is not reached."""
    def tps(subject, server="NodeDB"):
        return median(rows, subject, server, "tps")

    def cpu(subject, server="NodeDB"):
        return median(rows, subject, server, "server_cpu_us")

    def against(subject, measure=tps):
        return ratio(measure(subject), measure(subject, "PostgreSQL"))

    at_5000 = ratio(tps("select simple 5000"), tps("select simple 256"))
    idle = next((row["pss_bytes_per_connection"] for row in rows if "pss_bytes_per_connection" in row), None)
    idle_tls = next((row["tls_pss_bytes_per_connection"] for row in rows if "tls_pss_bytes_per_connection" in row), None)
    init_10 = ratio(median(rows, "init scale 10 -I dtgvp", "NodeDB", "seconds"),
                    median(rows, "init scale 10 -I dtgvp", "PostgreSQL", "seconds"))
    memory = median(rows, "init scale 100 -I dtgvp", "NodeDB", "private_bytes")
    return [
        ("select_simple_32", "select-only simple, 32 connections: tps against PostgreSQL", against("select simple 32"), "≥ 2", lambda v: v >= 2),
        ("select_prepared_32", "select-only prepared, 32 connections: tps against PostgreSQL", against("select prepared 32"), "≥ 1.8", lambda v: v >= 1.8),
        ("select_prepared_1000", "select-only prepared, 1,000 connections: tps against PostgreSQL", against("select prepared 1000"), "≥ 2.5", lambda v: v >= 2.5),
        ("select_prepared_1000_cpu", "select-only prepared, 1,000 connections: server CPU against PostgreSQL", against("select prepared 1000", cpu), "≤ 1/3", lambda v: v <= 1 / 3),
        ("select_5000", "select-only simple: rate at 5,000 against rate at 256", at_5000, "≥ 0.6", lambda v: v >= 0.6),
        ("select_against_empty", "server CPU, select prepared against an empty query, 100 connections", ratio(cpu("select prepared 100"), cpu("empty query 100")), "≤ 1.5", lambda v: v <= 1.5),
        ("tpcb_scale_10", "tpcb scale 10 prepared, 32 connections: tps against PostgreSQL", against("tpcb scale 10 prepared 32"), "≥ 3", lambda v: v >= 3),
        ("tpcb_scale_1", "tpcb scale 1 prepared, 32 connections: tps against PostgreSQL", against("tpcb scale 1 prepared 32"), "≥ 5", lambda v: v >= 5),
        ("logins", "SCRAM log-ins by the driver: rate against PostgreSQL", against("scram login driver 16"), "≥ 20", lambda v: v >= 20),
        ("idle_memory", "PSS of an idle connection, bytes", idle, "≤ 4,096", lambda v: v <= 4096),
        ("init_10", "pgbench -i -s 10: time against PostgreSQL", init_10, "≤ 1.5", lambda v: v <= 1.5),
        ("init_100_memory", "pgbench -i -s 100: private memory, MiB", memory and memory / 2**20, "≤ 512", lambda v: v <= 512),
        ("select_tls", "select-only prepared over TLS, 100 connections: tps against plain",
         ratio(tps("TLS select prepared 100"), tps("plain select prepared 100")), "≥ 0.7", lambda v: v >= 0.7),
        ("logins_tls", "log-ins over TLS (pgbench -C): server CPU against PostgreSQL", against("TLS connect -C 16", cpu), "≤ 1/10",
         lambda v: v <= 1 / 10),
        ("logins_tls_certificate", "log-ins by certificate, by the driver: rate against PostgreSQL's cert",
         against("TLS certificate login driver 16"), "≥ 10", lambda v: v >= 10),
        ("idle_tls_memory", "PSS of an idle TLS connection, bytes", idle_tls, "≤ 24,576", lambda v: v <= 24_576),
        *protocols.goals(rows),
        *policies.goals(rows),
        *tokens.goals(rows),
        *revocations.goals(rows),
        *(goal for page in ENGINE for goal in page.goals(rows)),
    ]


def goals_table(rows):
    lines = ["| figure | measured | to reach | |", "|---|--:|--:|---|"]
    measured = [goal for goal in goals(rows) if goal[2] is not None]
    for _, name, value, wanted, reached in measured:
        lines.append(f"| {name} | {number(value, 2)} | {wanted} | {'reached' if reached(value) else '**not reached**'} |")
    missing = len(goals(rows)) - len(measured)
    if missing:
        lines += ["", f"{missing} other figures belong to subjects that this run left out."]
    return lines


def causes(rows):
    """What a profile has shown of the figures that this run did not reach."""
    known = tomllib.loads(pathlib.Path("perf/causes.toml").read_text())
    missed = [(key, name) for key, name, value, _, reached in goals(rows) if value is not None and not reached(value)]
    return [f"- **{name}**: {' '.join(known.get(key, {}).get('cause', 'not profiled yet.').split())}" for key, name in missed]


def picture(results, name, rows, mode):
    """Select-only throughput and server CPU over the number of connections."""
    prefix = f"select {mode} "
    subjects = [s for s in subjects_of(rows) if s.startswith(prefix)]
    subjects = [s for s in subjects if s != f"{prefix}100"]
    if len(subjects) < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    for axis, field, title in ((left, "tps", "transactions a second"), (right, "server_cpu_us", "server CPU µs a transaction")):
        for server, colour in COLOURS.items():
            points = [(int(s.rpartition(" ")[2]), median(rows, s, server, field)) for s in subjects]
            points = [(x, y) for x, y in points if y is not None]
            if points:
                axis.plot(*zip(*points), "o-", color=colour, label=server)
        axis.set_xscale("log")
        axis.set_xlabel("connections")
        axis.set_title(title, fontsize=10)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.25)
    left.legend(frameon=False)
    figure.suptitle(f"select-only, {mode} protocol")
    figure.tight_layout()
    path = results / f"{name}-select-{mode}.svg"
    figure.savefig(path)
    plt.close(figure)
    return path


def write(results, name, facts, rows):
    lines = [f"# NodeDB beside its peers: {name}", "",
             f"{facts['cpu']}, {facts['cores']} cores shared by clients and servers, Linux {facts['kernel']}, commit {facts['commit']}, "
             f"{facts['date']}. The disk's own 4 KiB write + fdatasync takes {facts['fdatasync_ms']:.2f} ms (median). "
             f"`{facts['command']}`; medians over the turns; every row is in `{name}.json`.", "",
             "## What it had to reach", "", *goals_table(rows), ""]
    missed = causes(rows)
    if missed:
        lines += ["## What is not reached, and why", "", *missed, ""]
    throughput = throughput_table(rows)
    if throughput:
        lines += ["## Throughput and server CPU a transaction", "", *throughput, ""]
    lines += protocols.section(rows)
    lines += policies.section(rows)
    lines += revocations.section(rows)
    lines += tokens.section(rows)
    for page in ENGINE:
        lines += page.section(rows)
    loading = seconds_table(rows)
    if loading:
        lines += ["## Loading", "", *loading, ""]
    for mode in ("simple", "prepared"):
        path = picture(results, name, rows, mode)
        if path:
            lines += [f"![select-only, {mode}]({path.name})", ""]
    errors = [row for row in rows if "error" in row]
    if errors:
        lines += ["## Runs that failed", "", *[f"- {r['subject']} on {r['server']}: {r['error']}" for r in errors], ""]
    page = results / f"{name}.md"
    page.write_text("\n".join(lines))
    return page
