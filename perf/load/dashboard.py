"""Draws docs/grafana/nodedb.json against a real run: Prometheus scrapes a loaded server, and each panel's own
expressions are asked of it. Usage: perf/load/dashboard.py NODEDB LOGIN_DRIVER PICTURE [SECONDS]"""

import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot  # noqa: E402

import http_load  # noqa: E402
import pgbench  # noqa: E402
from revocations import As  # noqa: E402
from servers import NodeDB, free_port, wait_for_port  # noqa: E402

DASHBOARD = pathlib.Path(__file__).parents[2] / "docs" / "grafana" / "nodedb.json"
COLUMNS = 4
SCALE = 10


def prometheus(where, nodedb):
    """Prometheus, with the server as its one target; gives its process and its port."""
    port = free_port()
    configuration = where / "prometheus.yml"
    configuration.write_text("global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: nodedb\n    static_configs:\n"
                             f"      - targets: ['127.0.0.1:{nodedb.http_port}']\n")
    process = subprocess.Popen(["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={where}/tsdb",
                                f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_port(port, process)
    return process, port


def load(nodedb, login_driver, seconds):
    """Selects, transfers, log-ins, requests over HTTP and revocations at once."""
    environment = nodedb.environment()
    processes = [
        pgbench.start(nodedb, 32, seconds, "-S", "-M", "prepared"),
        pgbench.start(nodedb, 16, seconds, "-M", "prepared"),
        subprocess.Popen([login_driver, "--address", f"127.0.0.1:{nodedb.port}", "--user", nodedb.user, "--database",
                          nodedb.database, "--connections", "4", "--seconds", str(seconds)], env=environment,
                         stdout=subprocess.DEVNULL),
    ]
    key = nodedb.api_key()
    over_http = threading.Thread(target=http_load.run, args=(nodedb, key, "params", 8, seconds, SCALE * 100_000))
    over_http.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        nodedb.psql("CREATE USER guest WITH PASSWORD 'secret'", user="nodedb")
        guest = pgbench.start(As(nodedb, "guest"), 4, seconds, "-S")
        time.sleep(2)
        nodedb.psql("DROP USER guest", user="nodedb")
        guest.wait()
    for process in processes:
        process.wait()
    over_http.join()


def asked(port, expression, began, ended):
    """Every series of an expression over the run: its labels, and times with values."""
    query = urllib.parse.urlencode({"query": expression, "start": began, "end": ended, "step": 2})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query_range?{query}") as reply:
        result = json.load(reply)["data"]["result"]
    for series in result:
        points = [(float(at) - began, float(value)) for at, value in series["values"] if value not in ("NaN", "+Inf")]
        yield series["metric"], points


def legend(pattern, labels):
    for name, value in labels.items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return pattern


def draw(port, began, ended, picture):
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] == "timeseries"]
    rows = -(-len(panels) // COLUMNS)
    figure, axes = pyplot.subplots(rows, COLUMNS, figsize=(5 * COLUMNS, 2.9 * rows), constrained_layout=True)
    for panel, axis in zip(panels, axes.flat):
        drawn = 0
        for target in panel["targets"]:
            for labels, points in asked(port, target["expr"], began, ended):
                if points:
                    axis.plot(*zip(*points), linewidth=1.1, label=legend(target["legendFormat"], labels))
                    drawn += 1
        axis.set_title(panel["title"], fontsize=9)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
        axis.set_ylabel(panel["fieldConfig"]["defaults"]["unit"], fontsize=7)
        if drawn:
            axis.legend(fontsize=6, loc="upper left", framealpha=0.6)
        else:
            axis.text(0.5, 0.5, "nothing of it in this run", ha="center", transform=axis.transAxes, fontsize=8)
    for axis in axes.flat[len(panels):]:
        axis.axis("off")
    figure.savefig(picture, dpi=75)


def main():
    binary, login_driver, picture = sys.argv[1:4]
    seconds = int(sys.argv[4]) if len(sys.argv) > 4 else 150
    with tempfile.TemporaryDirectory(prefix="perf-", ignore_cleanup_errors=True) as where:
        where = pathlib.Path(where)
        nodedb = NodeDB(where).start(binary)
        process, port = prometheus(where, nodedb)
        try:
            pgbench.initialise(nodedb, SCALE)
            began = time.time()
            load(nodedb, login_driver, seconds)
            draw(port, began, time.time(), picture)
        finally:
            process.terminate()
            process.wait()
            nodedb.stop()


if __name__ == "__main__":
    main()
