"""One pgbench run against one server: transactions a second, latency, and the server's CPU time."""

import os
import pathlib
import re
import statistics
import subprocess
import tempfile

from driven import Driven, Failed
from servers import PG_BIN


# What pgbench itself needs to log one connection in, with room to spare.
CONNECT_SECONDS = 0.006
# Of the transactions of a run with percentiles, so many are logged: each costs a line of a file.
SAMPLED_SHARE = 0.02


def command(server, *arguments):
    return [str(PG_BIN / "pgbench"), "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, *arguments, server.database]


def initialise(server, scale, *arguments):
    """pgbench -i; gives its own account of the seconds it took."""
    done = subprocess.run(command(server, "-i", "-q", "-s", str(scale), *arguments), env=server.environment(),
                          capture_output=True, text=True)
    found = re.search(r"done in ([\d.]+) s", done.stderr)
    if done.returncode != 0 or not found:
        raise Failed(done.stderr.strip()[-400:])
    return float(found.group(1))


def run(server, clients, seconds, *arguments):
    """Drives the server; gives what was measured."""
    threads = min(2, clients)
    # -T counts from the start, and pgbench derives a key for each connection before it begins.
    seconds += clients * CONNECT_SECONDS
    driven = Driven(server, command(server, "-n", "-c", str(clients), "-j", str(threads), "-T", str(round(seconds)), *arguments),
                    server.environment())
    transactions = re.search(r"number of transactions actually processed: (\d+)", driven.stdout)
    tps = re.search(r"^tps = ([\d.]+)", driven.stdout, re.M)
    latency = re.search(r"latency average = ([\d.]+) ms", driven.stdout)
    failed = re.search(r"number of failed transactions: (\d+)", driven.stdout)
    if driven.returncode != 0 or not (transactions and tps):
        raise driven.failed()
    count = int(transactions.group(1))
    return {
        "clients": clients,
        "tps": float(tps.group(1)),
        "latency_ms": float(latency.group(1)) if latency else None,
        "transactions": count,
        "failed": int(failed.group(1)) if failed else 0,
        **driven.per_request(count),
    }


def start(server, clients, seconds, *arguments):
    """A load that goes on by itself, for whatever is measured beside it; gives the process."""
    return subprocess.Popen(command(server, "-n", "-c", str(clients), "-j", "2", "-T", str(seconds), *arguments),
                            env=server.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run_with_percentiles(server, clients, seconds, *arguments):
    """As `run`, with the median and the 99th percentile of the latencies of some of the transactions."""
    with tempfile.TemporaryDirectory(prefix="perf-pgbench-") as where:
        prefix = os.path.join(where, "log")
        result = run(server, clients, seconds, *arguments, "--log", f"--log-prefix={prefix}", f"--sampling-rate={SAMPLED_SHARE}")
        # client, transaction, microseconds it took, script, when
        took = [int(line.split()[2]) for path in pathlib.Path(where).iterdir() for line in path.read_text().splitlines()]
    if len(took) > 1:
        percentiles = statistics.quantiles(took, n=100)
        result |= {"latency_p50_us": percentiles[49], "latency_p99_us": percentiles[98]}
    return result
