"""psycopg 3's everyday: log in, prepare, transactions, COPY, errors by SQLSTATE, cancellation."""

import datetime
import threading
import time
import uuid
from decimal import Decimal

import psycopg
import pytest


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
