"""The server that the drivers are tried on: a NodeDB of its own or, with
NODEDB_DRIVERS_SERVER=postgresql, a PostgreSQL 15, so that a test that is wrong itself is not
taken for a fault of NodeDB's.

    python server.py COMMAND …   runs the command with PGHOST, PGPORT, PGUSER, PGPASSWORD and
                                 PGDATABASE of a fresh server, DATABASE_URL of the same, and ends as it ended
"""

import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

SUPERUSER, SUPERUSER_PASSWORD = "nodedb", "driver tests"
USER, PASSWORD, DATABASE = "app", "app password", "nodedb"
POSTGRESQL_PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
PATIENCE_SECONDS = 60


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
    """What both kinds have: a directory, a port, a process ended by its own id."""

    ends_on = signal.SIGTERM

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nodedb-drivers-"))
        self.port = free_port()
        self.log = open(self.directory / "log", "w+b")

    def start(self, command, **settings):
        self.process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, **settings)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise RuntimeError("the server did not come up:\n" + self.log.read().decode(errors="replace"))
            time.sleep(0.05)

    def answers(self):
        """Whether a superuser gets an answer: a port that takes connections says less."""
        return self.psql("SELECT 1").returncode == 0

    def psql(self, *statements):
        """Runs statements as the superuser."""
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        for statement in statements:
            command += ["-c", statement]
        return subprocess.run(command, env=self.environment(SUPERUSER, SUPERUSER_PASSWORD),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def environment(self, user=USER, password=PASSWORD):
        """What libpq and most drivers read."""
        quoted = urllib.parse.quote(password)
        return dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(self.port), PGUSER=user,
                    PGPASSWORD=password, PGDATABASE=DATABASE, PGSSLMODE="disable",
                    DATABASE_URL=f"postgres://{user}:{quoted}@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable")

    def dsn(self, user=USER, password=PASSWORD, database=DATABASE):
        return f"host=127.0.0.1 port={self.port} user={user} password='{password}' dbname={database}"

    def make_user(self, statement):
        made = self.psql(statement)
        assert made.returncode == 0, made.stderr

    def stop(self):
        """Ends it, and says whether it ended cleanly."""
        self.process.send_signal(self.ends_on)
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        assert code == 0, f"the server ended with {code}"


class NodeDB(Server):
    def __init__(self):
        super().__init__()
        self.http_port = free_port()
        self.start([os.environ["NODEDB_BIN"]], env=dict(
            os.environ,
            NODEDB_HOST="127.0.0.1",
            NODEDB_DATA_DIR=str(self.directory / "data"),
            NODEDB_PORT_PGWIRE=str(self.port),
            NODEDB_PORT_NATIVE=str(free_port()),
            NODEDB_PORT_HTTP=str(self.http_port),
            NODEDB_SUPERUSER_PASSWORD=SUPERUSER_PASSWORD,
        ))
        self.make_user(f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' ROLE admin")


class PostgreSQL(Server):
    # Which does not wait for the clients to leave.
    ends_on = signal.SIGINT

    def __init__(self):
        super().__init__()
        # It does not run as root.
        owner = {}
        if os.getuid() == 0:
            entry = pwd.getpwnam("postgres")
            owner = dict(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)
        password = self.directory / "password"
        password.write_text(SUPERUSER_PASSWORD)
        password.chmod(0o644)
        data = self.directory / "data"
        subprocess.run([POSTGRESQL_PROGRAMS / "initdb", "-D", data, "-U", SUPERUSER, "-A", "scram-sha-256",
                        f"--pwfile={password}", "-E", "UTF8", "--locale=C", "--no-sync"],
                       cwd=self.directory, check=True, stdout=self.log, **owner)
        with open(data / "postgresql.conf", "a") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nfsync = off\n"
                           f"unix_socket_directories = '{self.directory}'\nmax_connections = 200\n")
        subprocess.run([POSTGRESQL_PROGRAMS / "postgres", "--single", "-D", data, "postgres"], cwd=self.directory,
                       input=f"CREATE DATABASE {DATABASE}\n", text=True, check=True, stdout=self.log, **owner)
        self.start([POSTGRESQL_PROGRAMS / "postgres", "-D", data], **owner)
        self.make_user(f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}'")
        self.make_user(f"ALTER DATABASE {DATABASE} OWNER TO {USER}")


def start():
    """The one that NODEDB_DRIVERS_SERVER names."""
    kinds = {"nodedb": NodeDB, "postgresql": PostgreSQL}
    return kinds[os.environ.get("NODEDB_DRIVERS_SERVER", "nodedb")]()


def main():
    server = start()
    try:
        code = subprocess.run(sys.argv[1:], env=server.environment()).returncode
    finally:
        server.stop()
    sys.exit(code)


if __name__ == "__main__":
    main()
