"""psycopg 3's everyday: log in, prepare, transactions, COPY, errors by SQLSTATE, cancellation."""

import asyncio
import concurrent.futures
import datetime
import threading
import time
import uuid
import zoneinfo
from decimal import Decimal

import psycopg
import psycopg_pool
import pytest
from psycopg.types.json import Json, Jsonb


@pytest.fixture
def connection(server):
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS item")
        connection.execute("CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2), made timestamptz)")
        yield connection


def test_a_wrong_password_is_refused_with_28P01(server):
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "app"'):
        psycopg.connect(server.dsn(password="wrong"))


def test_values_of_everyday_types_come_back_as_they_went(server):
    made = datetime.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=datetime.UTC)
    identifier = uuid.uuid4()
    row = (7, 2**40, 1.5, Decimal("12.34"), "zażółć", b"\x00\xff", True, datetime.date(2024, 2, 29), made, identifier, None)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS everyday")
        connection.execute(
            "CREATE TABLE everyday (a int, b bigint, c float8, d numeric(8,2), e text, f bytea, g bool, h date,"
            " i timestamptz, j uuid, k int)")
        connection.execute("INSERT INTO everyday VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", row)
        for binary in (False, True):
            assert connection.cursor(binary=binary).execute("SELECT * FROM everyday").fetchone() == row


def test_a_prepared_statement_is_reused(connection):
    for key in range(20):
        connection.execute("INSERT INTO item VALUES (%s, %s)", (key, f"item {key}"), prepare=True)
    found = connection.execute("SELECT name FROM item WHERE id = %s", (13,), prepare=True).fetchone()
    assert found == ("item 13",)


def test_a_transaction_that_fails_leaves_nothing(connection):
    with pytest.raises(psycopg.errors.UniqueViolation):
        with connection.transaction():
            connection.execute("INSERT INTO item VALUES (1, 'one')")
            connection.execute("INSERT INTO item VALUES (1, 'one again')")
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)


def test_a_savepoint_undoes_its_own_part_only(connection):
    with connection.transaction():
        connection.execute("INSERT INTO item VALUES (1, 'kept')")
        with pytest.raises(psycopg.errors.NotNullViolation):
            with connection.transaction():
                connection.execute("INSERT INTO item VALUES (2, 'lost')")
                connection.execute("INSERT INTO item VALUES (3, NULL)")
    assert connection.execute("SELECT id FROM item").fetchall() == [(1,)]


def test_copy_in_and_out(connection):
    with connection.cursor().copy("COPY item (id, name) FROM STDIN") as copy:
        for key in range(1000):
            copy.write_row((key, f"tab\there {key}"))
    assert connection.execute("SELECT count(*), max(name) FROM item").fetchone() == (1000, "tab\there 999")
    with connection.cursor().copy("COPY item (id, name) TO STDOUT") as copy:
        rows = list(copy.rows())
    assert len(rows) == 1000 and rows[5] == ("5", "tab\there 5")


def test_an_error_names_table_column_and_constraint(connection):
    with pytest.raises(psycopg.errors.NotNullViolation) as raised:
        connection.execute("INSERT INTO item VALUES (1, NULL)")
    diagnostic = raised.value.diag
    assert (diagnostic.table_name, diagnostic.column_name) == ("item", "name")
    connection.execute("INSERT INTO item VALUES (1, 'x')")
    with pytest.raises(psycopg.errors.UniqueViolation) as raised:
        connection.execute("INSERT INTO item VALUES (1, 'y')")
    assert raised.value.diag.constraint_name == "item_pkey"
    assert raised.value.diag.message_detail == "Key (id)=(1) already exists."


def test_a_pipeline_answers_in_order(connection):
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", (n,)) for n in range(50)]
    assert [cursor.fetchone()[0] for cursor in cursors] == list(range(50))


def test_cancel_stops_a_running_statement(connection):
    threading.Timer(0.3, connection.cancel).start()
    started = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(30)")
    assert time.monotonic() - started < 15
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pool_of_twenty_serves_many_threads(server):
    with psycopg_pool.ConnectionPool(server.dsn(), min_size=20, max_size=20) as pool:
        def double(number):
            with pool.connection() as connection:
                return connection.execute("SELECT %s::int * 2", (number,)).fetchone()[0]
        with concurrent.futures.ThreadPoolExecutor(40) as threads:
            assert list(threads.map(double, range(200))) == [2 * n for n in range(200)]


def test_an_asynchronous_session_does_the_same(server):
    async def story():
        async with await psycopg.AsyncConnection.connect(server.dsn()) as connection:
            async with connection.pipeline():
                cursors = [await connection.execute("SELECT %s::text", (str(n),)) for n in range(10)]
                assert [(await cursor.fetchone())[0] for cursor in cursors] == [str(n) for n in range(10)]
            with pytest.raises(psycopg.errors.DivisionByZero):
                async with connection.transaction():
                    await connection.execute("SELECT 1 / %s", (0,))
            row = await (await connection.execute("SELECT current_user")).fetchone()
            assert row == ("app",)

    asyncio.run(asyncio.wait_for(story(), 60))


def test_many_rows_are_inserted_at_once_and_come_back_with_their_keys(connection):
    connection.execute("DROP TABLE IF EXISTS line")
    connection.execute("CREATE TABLE line (id serial PRIMARY KEY, body text NOT NULL)")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO line (body) VALUES (%s) RETURNING id", [(f"line {n}",) for n in range(1000)],
                       returning=True)
    keys = [cursor.fetchone()[0]]
    while cursor.nextset():
        keys.append(cursor.fetchone()[0])
    assert len(set(keys)) == 1000 and keys == sorted(keys)


def test_a_server_side_cursor_brings_rows_by_portions(connection):
    connection.cursor().executemany("INSERT INTO item VALUES (%s, %s)", [(n, f"item {n}") for n in range(500)])
    with connection.transaction(), connection.cursor(name="portions") as cursor:
        cursor.itersize = 50
        cursor.execute("SELECT id FROM item WHERE id >= %s ORDER BY id", (100,))
        assert cursor.fetchmany(3) == [(100,), (101,), (102,)]
        assert [row[0] for row in cursor] == list(range(103, 500))


def test_a_scrollable_cursor_goes_back(connection):
    connection.cursor().executemany("INSERT INTO item VALUES (%s, %s)", [(n, f"item {n}") for n in range(10)])
    with connection.transaction(), connection.cursor(name="back", scrollable=True) as cursor:
        cursor.execute("SELECT id FROM item ORDER BY id")
        assert cursor.fetchall()[-1] == (9,)
        cursor.scroll(2, mode="absolute")
        assert cursor.fetchone() == (2,)


def test_a_cursor_with_hold_outlives_its_transaction(server):
    with psycopg.connect(server.dsn()) as connection:
        cursor = connection.cursor(name="held", withhold=True)
        cursor.execute("SELECT * FROM generate_series(1, 5)")
        assert cursor.fetchone() == (1,)
        connection.commit()
        assert cursor.fetchall() == [(2,), (3,), (4,), (5,)]
        cursor.close()


@pytest.mark.parametrize("binary", [False, True])
def test_arrays_and_json_come_back_as_they_went(server, binary):
    made = [datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), None]
    document = {"a": [1, 2.5, None, True], "b": {"c": "zażółć"}}
    row = ([1, 2, None], ["a,b", 'q"q', "", "NULL", None], made, [Decimal("1.50")], document, document)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS composite")
        connection.execute(
            "CREATE TABLE composite (a int[], c text[], d timestamptz[], e numeric(6,2)[], f json, g jsonb)")
        connection.execute("INSERT INTO composite VALUES (%s, %s, %s, %s, %s, %s)", (*row[:4], Json(row[4]), Jsonb(row[5])))
        assert connection.cursor(binary=binary).execute("SELECT * FROM composite").fetchone() == row
        found = connection.execute("SELECT g -> 'b' ->> 'c' FROM composite WHERE a @> %s::int[] AND %s = ANY (c)", ([2], "a,b"))
        assert found.fetchone() == ("zażółć",)


def test_a_timestamp_is_read_in_the_sessions_zone(server):
    with psycopg.connect(server.dsn(), options="-c timezone=Europe/Warsaw") as connection:
        assert connection.info.timezone == zoneinfo.ZoneInfo("Europe/Warsaw")
        for cursor in (connection.cursor(), connection.cursor(binary=True)):
            (found,) = cursor.execute("SELECT '2026-07-01 12:00:00+00'::timestamptz").fetchone()
            assert found.isoformat() == "2026-07-01T14:00:00+02:00"
        connection.execute("SET timezone TO 'America/New_York'")
        found = connection.execute("SELECT '2026-01-01 12:00:00+00'::timestamptz::text").fetchone()
        assert found == ("2026-01-01 07:00:00-05",)


def test_binary_copy_in_and_out(connection):
    with connection.cursor().copy("COPY item (id, name) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "text"])
        for key in range(100):
            copy.write_row((key, f"item {key}"))
    with connection.cursor().copy("COPY (SELECT id, name FROM item ORDER BY id) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "text"])
        assert list(copy.rows()) == [(key, f"item {key}") for key in range(100)]


def test_every_broken_constraint_has_its_class_and_its_name(connection):
    connection.execute("DROP TABLE IF EXISTS child")
    connection.execute("DROP TABLE IF EXISTS parent")
    connection.execute("CREATE TABLE parent (id int PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE child (id int CONSTRAINT child_key PRIMARY KEY, parent int CONSTRAINT child_of REFERENCES parent,"
        " size int CONSTRAINT size_positive CHECK (size > 0), code varchar(3))")
    broken = [
        ("INSERT INTO child VALUES (1, 99, 1)", psycopg.errors.ForeignKeyViolation, "child_of"),
        ("INSERT INTO child VALUES (1, NULL, 0)", psycopg.errors.CheckViolation, "size_positive"),
        ("INSERT INTO child VALUES (1), (1)", psycopg.errors.UniqueViolation, "child_key"),
        ("INSERT INTO child VALUES (1, NULL, 1, 'long')", psycopg.errors.StringDataRightTruncation, None),
        ("INSERT INTO child VALUES (2147483648)", psycopg.errors.NumericValueOutOfRange, None),
        ("INSERT INTO nowhere VALUES (1)", psycopg.errors.UndefinedTable, None),
        ("SELECT nothing FROM child", psycopg.errors.UndefinedColumn, None),
        ("SELEC 1", psycopg.errors.SyntaxError, None),
    ]
    for statement, error, constraint in broken:
        with pytest.raises(error) as raised:
            connection.execute(statement)
        assert raised.value.diag.constraint_name == constraint


def test_a_notification_reaches_who_listens(server):
    with psycopg.connect(server.dsn(), autocommit=True) as listener, psycopg.connect(server.dsn(), autocommit=True) as other:
        listener.execute("LISTEN orders")
        other.execute("SELECT pg_notify('orders', 'number 7')")
        other.execute("NOTIFY orders")
        heard = [(told.channel, told.payload) for told in listener.notifies(timeout=10, stop_after=2)]
        assert heard == [("orders", "number 7"), ("orders", "")]


def test_a_row_comes_back_as_its_type_says(server):
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        cursor = connection.execute("SELECT 1::int2, 'x'::varchar(7), 1.5::numeric(6,2), ARRAY[1]")
        described = [(column.type_code, column.display_size, column.precision, column.scale) for column in cursor.description]
        assert described == [(21, None, None, None), (1043, 7, None, None), (1700, None, 6, 2), (1007, None, None, None)]
