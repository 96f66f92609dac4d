"""The servers under load: each in a temporary directory, on a free loopback port, ended by its pid."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

from driven import TICK

PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PASSWORD = "secret"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it listened")
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port} after {seconds} s")


def process_tree(root):
    """The pids of a process and its descendants."""
    children = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = pathlib.Path(entry.path, "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    tree, frontier = [], [root]
    while frontier:
        pid = frontier.pop()
        tree.append(pid)
        frontier.extend(children.get(pid, []))
    return tree


class Server:
    """Start, stop, and what the server has cost so far."""

    name = ""

    def __init__(self, where):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"perf-{self.name.lower()}-", dir=where))
        self.port = free_port()
        self.process = None

    def environment(self):
        return dict(os.environ, PGPASSWORD=PASSWORD)

    def cpu_seconds(self):
        """User and system time of the server's processes, children that have ended included."""
        total = 0
        for pid in process_tree(self.process.pid):
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(int(value) for value in fields[11:15])
        return total / TICK

    def pss_bytes(self):
        """Proportional set size of all its processes."""
        total = 0
        for pid in process_tree(self.process.pid):
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            for line in rollup.splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def psql(self, sql, user=None, database=None):
        command = [PG_BIN / "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
                   "-U", user or self.user, "-d", database or self.database, "-c", sql]
        return subprocess.run(command, env=self.environment(), check=True, capture_output=True, text=True).stdout

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class NodeDB(Server):
    name = "NodeDB"
    user = "bench"
    database = "nodedb"
    settings = {}

    def __init__(self, where):
        super().__init__(where)
        self.http_port = free_port()
        self.native_port = free_port()

    def start(self, binary):
        environment = dict(os.environ, NODEDB_SUPERUSER_PASSWORD=PASSWORD, NODEDB_DATA_DIR=str(self.directory / "data"),
                           NODEDB_PORT_PGWIRE=str(self.port), NODEDB_PORT_HTTP=str(self.http_port),
                           NODEDB_PORT_NATIVE=str(self.native_port), NODEDB_HOST="127.0.0.1", **self.settings)
        log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen([binary], env=environment, stdout=log, stderr=log, cwd=self.directory)
        wait_for_port(self.port, self.process)
        self.psql(f"CREATE USER bench WITH PASSWORD '{PASSWORD}' ROLE admin", user="nodedb")
        return self

    def api_key(self):
        """A new API key of the user's own."""
        return self.psql(f"CREATE API KEY 'load' FOR {self.user} WITH DATABASES ({self.database})", user="nodedb").strip()


class PostgreSQL(Server):
    """PostgreSQL 15 as its users tune it for such a machine; durable, SCRAM, no collation but C."""

    name = "PostgreSQL"
    user = "bench"
    database = "bench"
    settings = {
        "listen_addresses": "'127.0.0.1'",
        "unix_socket_directories": "''",
        "max_connections": "1100",
        "shared_buffers": "'2GB'",
        "effective_cache_size": "'12GB'",
        "max_wal_size": "'4GB'",
        "checkpoint_timeout": "'15min'",
        "wal_buffers": "'16MB'",
        "synchronous_commit": "on",
        "fsync": "on",
        "password_encryption": "'scram-sha-256'",
        "log_min_messages": "fatal",
        "jit": "off",
    }

    def start(self, _binary=None):
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        data = self.directory / "data"
        secret = self.directory / "password"
        secret.write_text(PASSWORD)
        if account:
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            os.chown(secret, account.pw_uid, account.pw_gid)
        drop = dict(user=account.pw_uid, group=account.pw_gid, extra_groups=[]) if account else {}
        subprocess.run([PG_BIN / "initdb", "-D", data, "-U", "bench", "--locale=C", "--encoding=UTF8",
                        "--auth=scram-sha-256", f"--pwfile={secret}"], check=True, capture_output=True, cwd="/", **drop)
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(f"port = {self.port}\n")
            conf.writelines(f"{key} = {value}\n" for key, value in self.settings.items())
        log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen([PG_BIN / "postgres", "-D", data], stdout=log, stderr=log, cwd="/", **drop)
        wait_for_port(self.port, self.process)
        time.sleep(0.5)
        self.psql("CREATE DATABASE bench", database="postgres")
        return self

    def stop(self):
        if self.process is not None:
            # A fast shutdown; SIGTERM would wait for every client.
            self.process.send_signal(2)
        super().stop()


class PgBouncer(Server):
    """PgBouncer in transaction mode before a PostgreSQL of the same run."""

    name = "PgBouncer"
    user = "bench"
    database = "bench"

    def __init__(self, where, upstream):
        super().__init__(where)
        self.upstream = upstream

    def start(self, _binary=None):
        account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        verifier = self.upstream.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'bench'").strip()
        (self.directory / "users.txt").write_text(f'"bench" "{PASSWORD}"\n')
        assert verifier.startswith("SCRAM-SHA-256$")
        (self.directory / "pgbouncer.ini").write_text(
            f"[databases]\nbench = host=127.0.0.1 port={self.upstream.port}\n"
            "[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nauth_type = scram-sha-256\nauth_file = {self.directory}/users.txt\n"
            "unix_socket_dir =\npool_mode = transaction\nmax_client_conn = 6000\ndefault_pool_size = 32\n"
            "ignore_startup_parameters = extra_float_digits\nlog_connections = 0\nlog_disconnections = 0\n")
        if account:
            for path in [self.directory, *self.directory.iterdir()]:
                os.chown(path, account.pw_uid, account.pw_gid)
        binary = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        drop = dict(user=account.pw_uid, group=account.pw_gid, extra_groups=[]) if account else {}
        log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen([binary, self.directory / "pgbouncer.ini"], stdout=log, stderr=log, cwd="/", **drop)
        wait_for_port(self.port, self.process)
        return self

    def cpu_seconds(self):
        """The pooler and the server behind it: what a user pays."""
        return super().cpu_seconds() + self.upstream.cpu_seconds()
