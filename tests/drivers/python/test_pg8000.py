"""pg8000's everyday: a driver without libpq, by the DB-API and by its native interface."""

import datetime
import io
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pg8000.dbapi
import pg8000.native
import psycopg
import pytest
import sqlalchemy


@pytest.fixture
def native(server):
    connection = pg8000.native.Connection("app", host="127.0.0.1", port=server.port, database="nodedb", password="app password")
    yield connection
    connection.close()


@pytest.fixture
def connection(server):
    connection = pg8000.dbapi.connect("app", host="127.0.0.1", port=server.port, database="nodedb", password="app password")
    yield connection
    connection.close()


def test_values_come_back_as_they_went(native):
    values = {
        "int": 7, "bigint": 2**40, "numeric": Decimal("1.50"), "float8": 1.5, "text": "zażółć", "bytea": b"\x00\xff",
        "bool": False, "date": datetime.date(2026, 1, 2), "timestamptz": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "uuid": uuid.uuid4(), "jsonb": {"a": [1, None]}, "int[]": [1, None, 2], "text[]": ["a b", None],
    }
    for kind, value in values.items():
        assert native.run(f"SELECT CAST(:value AS {kind})", value=value) == [[value]], kind


def test_a_transaction_and_a_prepared_statement(connection):
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS book")
    cursor.execute("CREATE TABLE book (id serial PRIMARY KEY, title text NOT NULL)")
    cursor.executemany("INSERT INTO book (title) VALUES (%s)", [("one",), ("two",)])
    connection.commit()
    cursor.execute("INSERT INTO book (title) VALUES (%s) RETURNING id", ("three",))
    assert cursor.fetchone()[0] > 2
    connection.rollback()
    cursor.execute("SELECT title FROM book ORDER BY id")
    assert cursor.fetchall() == (["one"], ["two"])
    assert [column[0] for column in cursor.description] == ["title"]


def test_an_error_has_its_sqlstate_and_its_constraint(native):
    native.run("DROP TABLE IF EXISTS shelf")
    native.run("CREATE TABLE shelf (id int PRIMARY KEY)")
    native.run("INSERT INTO shelf VALUES (1)")
    with pytest.raises(pg8000.native.DatabaseError) as raised:
        native.run("INSERT INTO shelf VALUES (:id)", id=1)
    assert (raised.value.args[0]["C"], raised.value.args[0]["n"]) == ("23505", "shelf_pkey")


def test_copy_in_and_out(native):
    native.run("DROP TABLE IF EXISTS copied")
    native.run("CREATE TABLE copied (id int, body text)")
    native.run("COPY copied FROM STDIN WITH (FORMAT CSV)", stream=["1,one\n", "2,two\n"])
    out = io.BytesIO()
    native.run("COPY copied TO STDOUT", stream=out)
    assert out.getvalue() == b"1\tone\n2\ttwo\n"


def test_a_pool_of_twenty_serves_many_threads(server):
    url = f"postgresql+pg8000://app:app%20password@127.0.0.1:{server.port}/nodedb"
    engine = sqlalchemy.create_engine(url, pool_size=20, max_overflow=0)

    def work(number):
        with engine.begin() as borrowed:
            return borrowed.execute(sqlalchemy.text("SELECT :number + pg_backend_pid() * 0"), {"number": number}).scalar_one()

    with ThreadPoolExecutor(40) as threads:
        assert sorted(threads.map(work, range(200))) == list(range(200))
    engine.dispose()


def test_a_timestamp_is_told_in_the_sessions_zone(native):
    native.run("SET timezone = 'America/New_York'")
    winter, summer = native.run("SELECT '2026-01-15 12:00Z'::timestamptz, '2026-07-15 12:00Z'::timestamptz")[0]
    assert (winter.utcoffset(), summer.utcoffset()) == (datetime.timedelta(hours=-5), datetime.timedelta(hours=-4))
    assert winter == datetime.datetime(2026, 1, 15, 12, tzinfo=datetime.UTC)
    went = datetime.datetime(2026, 7, 15, 8, tzinfo=datetime.timezone(datetime.timedelta(hours=-4)))
    assert native.run("SELECT CAST(:at AS timestamptz)", at=went) == [[summer]]
    plain = datetime.datetime(2026, 7, 15, 8, 0, 0, 5)
    assert native.run("SELECT CAST(:at AS timestamp)", at=plain) == [[plain]]


def test_a_running_statement_is_stopped_from_another_session(server, native):
    [[pid]] = native.run("SELECT pg_backend_pid()")

    def stop():
        with psycopg.connect(server.dsn(), autocommit=True) as other:
            while not other.execute("SELECT pg_cancel_backend(%s) FROM pg_stat_activity WHERE pid = %s AND state = 'active'",
                                    (pid, pid)).fetchone():
                time.sleep(0.01)

    with ThreadPoolExecutor(1) as thread:
        stopped = thread.submit(stop)
        with pytest.raises(pg8000.native.DatabaseError) as raised:
            native.run("SELECT pg_sleep(60)")
        stopped.result()
    assert raised.value.args[0]["C"] == "57014"
    assert native.run("SELECT 1") == [[1]]
