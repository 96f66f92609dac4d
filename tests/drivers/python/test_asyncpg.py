"""asyncpg's everyday: binary formats throughout, a pool, COPY, its own introspection of types."""

import asyncio
import datetime
import io
import json
import uuid
from decimal import Decimal

import asyncpg
import pytest


def connect_arguments(server):
    return dict(host="127.0.0.1", port=server.port, user="app", password="app password", database="nodedb")


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_prepare_and_fetch(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        await connection.execute("DROP TABLE IF EXISTS note")
        await connection.execute("CREATE TABLE note (id bigint PRIMARY KEY, body text)")
        await connection.executemany("INSERT INTO note VALUES ($1, $2)", [(n, f"note {n}") for n in range(100)])
        statement = await connection.prepare("SELECT body FROM note WHERE id = $1")
        assert await statement.fetchval(42) == "note 42"
        assert await connection.fetchval("SELECT count(*) FROM note") == 100
        await connection.close()

    run(story())


def test_a_transaction_rolls_back(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        await connection.execute("DROP TABLE IF EXISTS ledger")
        await connection.execute("CREATE TABLE ledger (id int PRIMARY KEY, amount int)")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO ledger VALUES (1, 10)")
                raise RuntimeError("changed my mind")
        except RuntimeError:
            pass
        assert await connection.fetchval("SELECT count(*) FROM ledger") == 0
        try:
            await connection.execute("INSERT INTO ledger VALUES ('x', 1)")
        except asyncpg.PostgresError as error:
            assert error.sqlstate == "22P02"
        await connection.close()

    run(story())


def test_a_pool_of_twenty_serves_many_tasks(server):
    async def story():
        async with asyncpg.create_pool(**connect_arguments(server), min_size=20, max_size=20) as pool:
            answers = await asyncio.gather(*(pool.fetchval("SELECT $1::int * 2", n) for n in range(200)))
        assert answers == [2 * n for n in range(200)]

    run(story())


def test_copy_records_to_table(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        await connection.execute("DROP TABLE IF EXISTS reading")
        await connection.execute("CREATE TABLE reading (id int PRIMARY KEY, label text)")
        rows = "\n".join(f"{n},label {n}" for n in range(500)).encode()
        await connection.copy_to_table("reading", source=io.BytesIO(rows), format="csv")
        assert await connection.fetchval("SELECT count(*) FROM reading") == 500
        await connection.close()

    run(story())


def test_copy_by_binary_records_and_out_again(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        await connection.execute("DROP TABLE IF EXISTS reading")
        await connection.execute("CREATE TABLE reading (id int PRIMARY KEY, label text, at timestamptz)")
        at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        records = [(n, f"label {n}", at) for n in range(500)]
        assert await connection.copy_records_to_table("reading", records=records) == "COPY 500"
        out = io.BytesIO()
        await connection.copy_from_query("SELECT id, label FROM reading WHERE id < $1 ORDER BY id", 2, output=out)
        assert out.getvalue() == b"0\tlabel 0\n1\tlabel 1\n"
        await connection.close()

    run(story())


def test_values_of_everyday_types_come_back_as_they_went(server):
    values = {
        "int2": -3, "int8": 2**62, "float4": 0.5, "float8": 1e300, "numeric": Decimal("-12345.678"), "bool": True,
        "text": "zażółć", "varchar": "v", "bytea": b"\x00\xff", "date": datetime.date(2024, 2, 29),
        "time": datetime.time(23, 59, 59, 5), "timestamp": datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
        "timestamptz": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
        "interval": datetime.timedelta(days=3, seconds=7), "uuid": uuid.uuid4(), "json": '{"a": 1}', "jsonb": '{"a": 1}',
        "int4[]": [1, None, 3], "text[]": ["a", None], "timestamptz[]": [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)],
        "uuid[]": [uuid.uuid4()], "numeric[]": [Decimal("1.5")],
    }

    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        for kind, value in values.items():
            assert await connection.fetchval(f"SELECT $1::{kind}", value) == value, kind
            assert await connection.fetchval(f"SELECT $1::{kind}", None) is None, kind
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        assert await connection.fetchval("SELECT $1::jsonb -> 'a'", {"a": [1, 2]}) == [1, 2]
        await connection.close()

    run(story())


def test_a_cursor_brings_rows_by_portions(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        async with connection.transaction():
            found = [row[0] async for row in connection.cursor("SELECT * FROM generate_series(1, $1)", 1000, prefetch=50)]
            assert found == list(range(1, 1001))
            cursor = await connection.cursor("SELECT * FROM generate_series(1, 10)")
            assert await cursor.forward(4) == 4
            assert [row[0] for row in await cursor.fetch(2)] == [5, 6]
        await connection.close()

    run(story())


def test_a_nested_transaction_is_a_savepoint(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        await connection.execute("DROP TABLE IF EXISTS step")
        await connection.execute("CREATE TABLE step (id int PRIMARY KEY)")
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute("INSERT INTO step VALUES (1)")
            with pytest.raises(asyncpg.UniqueViolationError) as raised:
                async with connection.transaction():
                    await connection.execute("INSERT INTO step VALUES (2)")
                    await connection.execute("INSERT INTO step VALUES (1)")
            assert raised.value.constraint_name == "step_pkey"
        assert [row["id"] for row in await connection.fetch("SELECT id FROM step")] == [1]
        await connection.close()

    run(story())


def test_a_timeout_cancels_the_statement_and_leaves_the_session(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server))
        with pytest.raises(asyncio.TimeoutError):
            await connection.execute("SELECT pg_sleep(30)", timeout=0.3)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    run(story())


def test_a_listener_hears_and_a_reset_forgets(server):
    async def story():
        heard = asyncio.Queue()
        listener = await asyncpg.connect(**connect_arguments(server))
        await listener.add_listener("news", lambda _connection, _pid, channel, payload: heard.put_nowait((channel, payload)))
        other = await asyncpg.connect(**connect_arguments(server))
        await other.execute("SELECT pg_notify($1, $2)", "news", "first")
        assert await asyncio.wait_for(heard.get(), 10) == ("news", "first")
        await listener.reset()
        await other.close()
        await listener.close()

    run(story())


def test_types_are_introspected_and_settings_are_told(server):
    async def story():
        connection = await asyncpg.connect(**connect_arguments(server), server_settings={"application_name": "everyday"})
        assert connection.get_server_version()[:2] == (15, connection.get_server_version()[1])
        assert await connection.fetchval("SHOW application_name") == "everyday"
        statement = await connection.prepare("SELECT $1::int[] AS numbers, $2::varchar(5) AS code")
        assert [kind.name for kind in statement.get_parameters()] == ["int4[]", "varchar"]
        assert [(column.name, column.type.name) for column in statement.get_attributes()] == [("numbers", "int4[]"), ("code", "varchar")]
        await connection.close()

    run(story())
