"""wrk against /v1/query: requests a second, latencies, and the server's CPU time."""

import json
import os
import pathlib
import shutil
import urllib.request

from driven import Driven, Failed

SCRIPT = pathlib.Path(__file__).with_name("select.lua")


def run(server, key, form, connections, seconds, accounts):
    """Drives the server with one select a request, keep-alive, over that many connections. One thread
    makes the load: more would take more of the cores that the server has."""
    check(server, key, form)
    command = [shutil.which("wrk") or "/usr/bin/wrk", "--threads", 1, "--connections", connections, "--duration", f"{seconds}s",
               "--timeout", "10s", "--script", SCRIPT, f"http://127.0.0.1:{server.http_port}/v1/query"]
    environment = dict(os.environ, NODEDB_API_KEY=key, FORM=form, ACCOUNTS=str(accounts))
    driven = Driven(server, command, environment)
    lines = [line for line in driven.stdout.splitlines() if line.startswith("{")]
    if driven.returncode != 0 or not lines:
        raise driven.failed()
    report = json.loads(lines[-1])
    if report["refused"] or report["failed"]:
        raise Failed(f"{report['refused']} requests were refused and {report['failed']} failed of {report['requests']}")
    return {
        "clients": connections,
        "tps": report["requests"] / report["microseconds"] * 1e6,
        "transactions": report["requests"],
        "latency_p50_us": report["p50_us"],
        "latency_p99_us": report["p99_us"],
        **driven.per_request(report["requests"]),
    }


def check(server, key, form):
    """One request of the load's form is answered with the row: errors, too, can be answered fast."""
    statement = "SELECT abalance FROM pgbench_accounts WHERE aid = "
    body = {"sql": statement + "$1", "params": [7]} if form == "params" else {"sql": statement + "7"}
    asked = urllib.request.Request(f"http://127.0.0.1:{server.http_port}/v1/query", json.dumps(body).encode(),
                                   {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        reply = json.load(answer)
    columns = [{"name": "abalance", "oid": 23}]
    expected = {"status": "ok", "command": "SELECT", "row_count": 1, "columns": columns, "rows": [{"abalance": 0}]}
    for column in reply["columns"]:
        # PostgreSQL has two words for it, int4 and integer.
        column.pop("type")
    if reply != expected:
        raise Failed(f"{server.name} answers {reply}")
