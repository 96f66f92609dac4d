"""The select driver against one server: the same load over PostgreSQL's protocol and the native one."""

import json

from driven import Driven


def run(server, driver, protocol, key, connections, seconds, accounts):
    """Drives the server over the protocol, with as many threads as pgbench has."""
    port = server.port if protocol.startswith("pgwire") else server.native_port
    command = [driver, "--address", f"127.0.0.1:{port}", "--protocol", protocol, "--user", server.user, "--database", server.database,
               "--accounts", accounts, "--connections", connections, "--threads", 2, "--seconds", seconds]
    driven = Driven(server, command, dict(server.environment(), NODEDB_API_KEY=key))
    if driven.returncode != 0:
        raise driven.failed()
    report = json.loads(driven.stdout)
    return {
        "clients": connections,
        "tps": report["requests_per_second"],
        "transactions": report["requests"],
        "latency_p50_us": report["latency_us"]["p50"],
        "latency_p99_us": report["latency_us"]["p99"],
        **driven.per_request(report["requests"]),
    }
