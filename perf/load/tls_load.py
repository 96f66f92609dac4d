"""Servers that speak TLS with one certificate between them, made by `nodedb tls init`."""

import os
import pwd
import shutil
import ssl
import struct
import subprocess

from servers import NodeDB, PostgreSQL


class EncryptedNodeDB(NodeDB):
    """NodeDB with [server.tls]; `ssl_mode` says what its clients ask for."""

    ssl_mode = "require"

    def environment(self):
        return dict(super().environment(), PGSSLMODE=self.ssl_mode)

    def start(self, binary):
        files = self.directory / "tls"
        subprocess.run([binary, "tls", "init", "--dir", files], check=True, capture_output=True)
        (self.directory / "nodedb.toml").write_text(f'[server.tls]\ncert = "{files}/server.crt"\nkey = "{files}/server.key"\n')
        return super().start(binary)


class EncryptedPostgreSQL(PostgreSQL):
    """PostgreSQL with ssl = on and the certificate of a NodeDB of the same run."""

    ssl_mode = "require"

    def __init__(self, where, nodedb):
        super().__init__(where)
        self.settings = dict(self.settings, ssl="on")
        for kind in ("crt", "key"):
            file = self.directory / f"server.{kind}"
            shutil.copy(nodedb.directory / "tls" / file.name, file)
            file.chmod(0o600)
            if os.geteuid() == 0:
                account = pwd.getpwnam("postgres")
                os.chown(file, account.pw_uid, account.pw_gid)
        self.settings |= {"ssl_cert_file": f"'{self.directory}/server.crt'", "ssl_key_file": f"'{self.directory}/server.key'"}

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
