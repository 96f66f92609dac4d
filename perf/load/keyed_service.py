"""SQL over HTTP by API key, as one builds it today: FastAPI and asyncpg before PostgreSQL.

The peer of NodeDB's POST /v1/query: the same request, the same check, the same reply. The key is
looked up by its id in a table, on each request: NodeDB's revocation holds from the statement that
revokes on, so a key that is remembered here for any while would be another promise. In everything
else this takes the quick way: uvloop, httptools and orjson, connections that are never reset
(which a service for strangers' statements would have to do), statements prepared once a
connection, no role or right but the key's database looked at, and no use of a key noted.
"""

import asyncio
import base64
import collections
import contextlib
import datetime
import decimal
import hashlib
import hmac
import os

import asyncpg
import fastapi
import orjson
import uvicorn

WORKERS = 2
CONNECTIONS_A_WORKER = 8
STATEMENTS_A_CONNECTION = 1024
EXACT_IN_A_DOUBLE = 2**53
INT8 = "int8"

KEY_TABLE = """
CREATE TABLE api_keys (
    id bytea PRIMARY KEY,
    secret_sha256 bytea NOT NULL,
    owner text NOT NULL,
    databases text[] NOT NULL,
    expires_at timestamptz
)"""
KEY_BY_ID = "SELECT secret_sha256, owner, databases, expires_at FROM api_keys WHERE id = $1"


class Refused(Exception):
    """What the client is told instead of rows."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status = status
        self.body = orjson.dumps({"error": {"code": code, "message": message}})

    def response(self):
        return fastapi.Response(self.body, self.status, media_type="application/json")


class Connection:
    """A connection to PostgreSQL with the statements that it has prepared, the least used forgotten first."""

    def __init__(self, raw):
        self.raw = raw
        self.statements = collections.OrderedDict()

    async def prepare(self, sql):
        known = self.statements.get(sql)
        if known is None:
            statement = await self.raw.prepare(sql)
            columns = [{"name": a.name, "type": a.type.name, "oid": a.type.oid} for a in statement.get_attributes()]
            known = self.statements[sql] = (statement, columns)
            if len(self.statements) > STATEMENTS_A_CONNECTION:
                self.statements.popitem(last=False)
        else:
            self.statements.move_to_end(sql)
        return known


class Pool:
    """The last connection given back goes out first: it is the warmest."""

    def __init__(self):
        self.idle = asyncio.LifoQueue()

    async def open(self):
        for _ in range(CONNECTIONS_A_WORKER):
            self.idle.put_nowait(Connection(await asyncpg.connect()))

    @contextlib.asynccontextmanager
    async def connection(self):
        connection = await self.idle.get()
        try:
            yield connection
        finally:
            self.idle.put_nowait(connection)


pool = Pool()


@contextlib.asynccontextmanager
async def lifespan(_app):
    await pool.open()
    yield


app = fastapi.FastAPI(lifespan=lifespan, openapi_url=None)


def presented(authorization):
    """The id and the secret of `Bearer ndb_<id>.<secret>`."""
    scheme, _, token = (authorization or "").partition(" ")
    public, _, secret = token.removeprefix("ndb_").partition(".")
    if scheme.lower() != "bearer" or not token.startswith("ndb_"):
        raise Refused(401, "28000", "a credential is needed")
    try:
        return base64.urlsafe_b64decode(public + "="), base64.urlsafe_b64decode(secret + "=")
    except ValueError:
        raise Refused(401, "28000", "authentication failed") from None


async def verify(connection, key_id, secret, database):
    """Whether the key is good, now, for this database; as long for an id that nobody has."""
    statement, _ = await connection.prepare(KEY_BY_ID)
    key = await statement.fetchrow(key_id)
    digest = hashlib.sha256(secret).digest()
    matches = hmac.compare_digest(digest, key["secret_sha256"] if key else bytes(32))
    if not (key and matches):
        raise Refused(401, "28000", "authentication failed")
    if key["expires_at"] and key["expires_at"] <= datetime.datetime.now(datetime.UTC):
        raise Refused(401, "28000", "authentication failed")
    if database not in key["databases"]:
        raise Refused(403, "42501", "the key does not reach this database")


def plain(value):
    """What orjson does not know."""
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)


def reply(columns, records, command):
    rows = [dict(record) for record in records]
    for wide in (column["name"] for column in columns if column["type"] == INT8):
        for row in rows:
            if row[wide] is not None and abs(row[wide]) > EXACT_IN_A_DOUBLE:
                row[wide] = str(row[wide])
    body = {"status": "ok", "command": command, "row_count": len(rows), "columns": columns, "rows": rows}
    return fastapi.Response(orjson.dumps(body, default=plain), media_type="application/json")


@app.post("/v1/query")
async def query(request: fastapi.Request):
    try:
        key_id, secret = presented(request.headers.get("authorization"))
        body = orjson.loads(await request.body())
        sql, parameters = body["sql"], body.get("params", [])
        async with pool.connection() as connection:
            await verify(connection, key_id, secret, body.get("database", os.environ["PGDATABASE"]))
            statement, columns = await connection.prepare(sql)
            records = await statement.fetch(*parameters)
            return reply(columns, records, statement.get_statusmsg().split()[0])
    except Refused as refused:
        return refused.response()
    except asyncpg.PostgresError as error:
        return Refused(400, error.sqlstate, str(error)).response()
    except (orjson.JSONDecodeError, KeyError, TypeError, asyncpg.DataError):
        return Refused(400, "22023", "the body is not what is expected").response()


if __name__ == "__main__":
    uvicorn.run("keyed_service:app", host="127.0.0.1", port=int(os.environ["PORT"]), workers=WORKERS,
                loop="uvloop", http="httptools", access_log=False, log_level="warning", backlog=4096)
