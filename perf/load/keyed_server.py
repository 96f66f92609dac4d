"""FastAPI and asyncpg before PostgreSQL, as a server of a run; what it does stands in keyed_service.py."""

import base64
import datetime
import hashlib
import os
import pathlib
import subprocess
import sys

import keyed_service
from servers import PASSWORD, Server, wait_for_port


class KeyedService(Server):
    """The service before a PostgreSQL of the same run."""

    name = "FastAPI"

    def __init__(self, where, upstream):
        super().__init__(where)
        self.upstream = upstream
        self.http_port = self.port

    def start(self, _binary=None):
        self.upstream.psql(keyed_service.KEY_TABLE)
        environment = dict(os.environ, PORT=str(self.port), PGHOST="127.0.0.1", PGPORT=str(self.upstream.port),
                           PGUSER=self.upstream.user, PGPASSWORD=PASSWORD, PGDATABASE=self.upstream.database)
        log = open(self.directory / "log", "wb")
        script = pathlib.Path(keyed_service.__file__)
        self.process = subprocess.Popen([sys.executable, script], env=environment, stdout=log, stderr=log, cwd=script.parent)
        wait_for_port(self.port, self.process)
        return self

    def api_key(self):
        """A new row of its key table, of NodeDB's lengths."""
        key_id, secret = os.urandom(8), os.urandom(32)
        digest = hashlib.sha256(secret).hexdigest()
        expires_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=90)
        self.upstream.psql(f"INSERT INTO api_keys VALUES ('\\x{key_id.hex()}', '\\x{digest}', '{self.upstream.user}', "
                           f"'{{{self.upstream.database}}}', '{expires_at.isoformat()}')")
        encoded = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (key_id, secret))
        return "ndb_" + ".".join(encoded)

    def cpu_seconds(self):
        """The service and the server behind it: what a user pays."""
        return super().cpu_seconds() + self.upstream.cpu_seconds()
