"""The section of a page that compares protocols: one select by key a request, over each of them."""

from medians import median, number, ratio, subjects_of

PREFIXES = ("pgwire ", "http ", "native ")
SIMPLE, PREPARED = "pgwire simple 64", "pgwire prepared 64"
LITERAL, PARAMS = "http literal 64", "http params 64"
DRIVER_PREPARED, DRIVER_NATIVE = "pgwire prepared by the driver 64", "native params by the driver 64"


def has(subject):
    """Whether the subject belongs here."""
    return subject.startswith(PREFIXES)


def goals(rows):
    """What HTTP by API key and the native protocol had to reach; for the form as report.goals()."""
    def of(subject, field="tps", server="NodeDB"):
        return median(rows, subject, server, field)

    def rate(subject, against, server="NodeDB"):
        return ratio(of(subject), of(against, server=server))

    def cpu(subject, against):
        return ratio(of(subject, "server_cpu_us"), of(against, "server_cpu_us"))

    half, twice, five = (lambda v: v >= 0.5), (lambda v: v <= 2), (lambda v: v >= 5)
    return [
        ("http_rate_literal", "HTTP by API key, 64 connections: rate against pgwire select-only, simple", rate(LITERAL, SIMPLE), "≥ 0.5", half),
        ("http_cpu_literal", "the same: server CPU a request against pgwire", cpu(LITERAL, SIMPLE), "≤ 2", twice),
        ("http_rate_params", "HTTP by API key with params, 64 connections: rate against pgwire select-only, prepared", rate(PARAMS, PREPARED), "≥ 0.5", half),
        ("http_cpu_params", "the same: server CPU a request against pgwire", cpu(PARAMS, PREPARED), "≤ 2", twice),
        ("http_fastapi_literal", "HTTP by API key, 64 connections: rate against FastAPI + asyncpg + PostgreSQL", rate(LITERAL, LITERAL, "FastAPI"), "≥ 5", five),
        ("http_fastapi_params", "the same with params, which lets asyncpg prepare once", rate(PARAMS, PARAMS, "FastAPI"), "≥ 5", five),
        ("native_cpu", "native protocol, 64 connections: server CPU a request against pgwire prepared", cpu(DRIVER_NATIVE, DRIVER_PREPARED), "≤ 1", lambda v: v <= 1),
    ]


def section(rows):
    """A table with a row for each subject and server, and what to know to judge it."""
    measured = [subject for subject in subjects_of(rows) if has(subject)]
    if not measured:
        return []
    lines = ["## One select a request, protocol by protocol", "",
             "| subject | server | requests a second | server CPU µs | client CPU µs | p50 µs | p99 µs | cores idle | other processes |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    for subject in measured:
        for server in dict.fromkeys(row["server"] for row in rows if row["subject"] == subject):
            def of(field):
                return median(rows, subject, server, field)
            lines.append(f"| {subject} | {server} | {number(of('tps'))} | {number(of('server_cpu_us'), 1)} | {number(of('client_cpu_us'), 1)} "
                         f"| {number(of('latency_p50_us'))} | {number(of('latency_p99_us'))} "
                         f"| {percent(of('idle_share'))} | {percent(of('others_share'))} |")
    return [*lines, "", NOTE, ""]


def percent(share):
    return "–" if share is None else f"{share * 100:.0f} %"


NOTE = """\
The statement is pgbench's `-S` at scale 10, a random account each time, over 64 connections. pgwire is driven by pgbench with two
threads (percentiles from 2 % of its transactions), HTTP by wrk with one and keep-alive, each request with its API key. FastAPI is
`perf/load/keyed_service.py`: two uvicorn workers and asyncpg, which look the key up in a table of PostgreSQL on each request, for a
revoked key must be refused at once here as there; its server CPU is that of the workers and of PostgreSQL. It stands in for PostgREST,
which is in the package registries of neither Debian nor Python. "By the driver" is `perf/select`, one loop for
both protocols, for a server's CPU time depends on how its requests arrive; native requests carry the text and the account, pgwire's
execute what each connection has prepared. Other processes are what ran on the machine beside client and server: a
run with more than a few percent there is for a look only."""
