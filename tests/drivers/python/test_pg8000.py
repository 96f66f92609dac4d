"""pg8000's everyday: a driver without libpq, by the DB-API and by its native interface."""

import datetime
import io
import uuid
from decimal import Decimal

import pg8000.dbapi
import pg8000.native
import pytest


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
