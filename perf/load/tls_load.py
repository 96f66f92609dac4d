"""Servers that speak TLS with one certificate between them, made by `nodedb tls init`."""

import os
import pwd
import shutil
import ssl
import struct
import subprocess

from servers import NodeDB, PostgreSQL


# Who logs in by a certificate on both.
CERTIFIED = "certified"


class EncryptedNodeDB(NodeDB):
    """NodeDB with [server.tls] and an authority of clients; `ssl_mode` says what its clients ask for."""

    ssl_mode = "require"

    def environment(self):
        return dict(super().environment(), PGSSLMODE=self.ssl_mode)

    def start(self, binary):
        files = self.directory / "tls"
        subprocess.run([binary, "tls", "init", "--dir", files, "--user", CERTIFIED], check=True, capture_output=True)
        settings = {"cert": "server.crt", "key": "server.key", "client_ca": "ca.crt"}
        lines = [f'{key} = "{files / name}"' for key, name in settings.items()]
        (self.directory / "nodedb.toml").write_text("\n".join(["[server.tls]", *lines, ""]))
        super().start(binary)
        self.psql(f"CREATE USER {CERTIFIED} WITH PASSWORD NULL", user="nodedb")
        return self

    def certificate(self):
        """The driver's arguments for logging in by certificate, which does for both servers."""
        files = self.directory / "tls"
        return ["--certificate", files / f"{CERTIFIED}.crt", "--key", files / f"{CERTIFIED}.key"]


class EncryptedPostgreSQL(PostgreSQL):
    """PostgreSQL with ssl = on and the certificate of a NodeDB of the same run."""

    ssl_mode = "require"

    def __init__(self, where, nodedb):
        super().__init__(where)
        self.settings = dict(self.settings, ssl="on")
        for name in ("server.crt", "server.key", "ca.crt"):
            file = self.directory / name
            shutil.copy(nodedb.directory / "tls" / name, file)
            file.chmod(0o600)
            if os.geteuid() == 0:
                account = pwd.getpwnam("postgres")
                os.chown(file, account.pw_uid, account.pw_gid)
        self.settings |= {"ssl_cert_file": f"'{self.directory}/server.crt'", "ssl_key_file": f"'{self.directory}/server.key'",
                          "ssl_ca_file": f"'{self.directory}/ca.crt'"}

    def start(self, _binary=None):
        super().start()
        rules = self.directory / "data" / "pg_hba.conf"
        rules.write_text(f"hostssl all {CERTIFIED} 127.0.0.1/32 cert\n{rules.read_text()}")
        self.psql(f"CREATE ROLE {CERTIFIED} LOGIN; SELECT pg_reload_conf()")
        return self

    def environment(self):
        return dict(super().environment(), PGSSLMODE=self.ssl_mode)


def encrypted(connection):
    """The connection, inside TLS: SSLRequest, then the handshake. Nobody is verified: the load is on loopback."""
    connection.sendall(struct.pack("!II", 8, 80877103))
    if connection.recv(1) != b"S":
        raise ConnectionError("the server has no TLS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)
