"""One pgbench run against one server: transactions a second, latency, and the server's CPU time."""

import re
import subprocess

from servers import PG_BIN


# What pgbench itself needs to log one connection in, with room to spare.
CONNECT_SECONDS = 0.006


class Failed(Exception):
    """pgbench ended with an error; its last words."""


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
    before = server.cpu_seconds()
    done = subprocess.run(command(server, "-n", "-c", str(clients), "-j", str(threads), "-T", str(round(seconds)), *arguments),
                          env=server.environment(), capture_output=True, text=True)
    cpu = server.cpu_seconds() - before
    transactions = re.search(r"number of transactions actually processed: (\d+)", done.stdout)
    tps = re.search(r"^tps = ([\d.]+)", done.stdout, re.M)
    latency = re.search(r"latency average = ([\d.]+) ms", done.stdout)
    failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
    if done.returncode != 0 or not (transactions and tps):
        raise Failed((done.stderr.strip() or done.stdout.strip())[-400:])
    count = int(transactions.group(1))
    return {
        "clients": clients,
        "tps": float(tps.group(1)),
        "latency_ms": float(latency.group(1)) if latency else None,
        "transactions": count,
        "failed": int(failed.group(1)) if failed else 0,
        "server_cpu_us": cpu / max(count, 1) * 1e6,
    }
