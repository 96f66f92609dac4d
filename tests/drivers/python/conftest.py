"""A NodeDB of its own for the session: a temporary directory, free ports, ended by its pid."""

import os
import random
import socket
import subprocess
import time

import psycopg
import pytest

PASSWORD = "driver tests"


def free_port():
    """One that nobody listens on, and that the system does not hand out to clients."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    def __init__(self, directory):
        self.port = free_port()
        self.http_port = free_port()
        environment = dict(
            os.environ,
            NODEDB_HOST="127.0.0.1",
            NODEDB_DATA_DIR=str(directory / "data"),
            NODEDB_PORT_PGWIRE=str(self.port),
            NODEDB_PORT_NATIVE=str(free_port()),
            NODEDB_PORT_HTTP=str(self.http_port),
            NODEDB_SUPERUSER_PASSWORD=PASSWORD,
        )
        self.log = open(directory / "log", "w+b")
        self.process = subprocess.Popen([os.environ["NODEDB_BIN"]], env=environment, cwd=directory,
                                        stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                psycopg.connect(self.dsn("nodedb", PASSWORD)).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        self.log.seek(0)
        raise RuntimeError("the server did not come up:\n" + self.log.read().decode(errors="replace"))

    def dsn(self, user="app", password="app password", database="nodedb"):
        return f"host=127.0.0.1 port={self.port} user={user} password='{password}' dbname={database}"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("nodedb"))
    with psycopg.connect(running.dsn("nodedb", PASSWORD), autocommit=True) as admin:
        admin.execute("CREATE USER app WITH PASSWORD 'app password' ROLE admin")
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0, "the server ends cleanly on SIGTERM"
