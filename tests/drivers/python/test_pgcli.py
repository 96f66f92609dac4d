"""pgcli: a statement by its command line, and all that its completion asks."""

import os
import subprocess
import sys

import psycopg
import pytest
from pgcli.pgexecute import PGExecute


@pytest.fixture(scope="module")
def schema(server):
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for statement in (
                "DROP VIEW IF EXISTS pgcli_rich", "DROP TABLE IF EXISTS pgcli_order", "DROP TABLE IF EXISTS pgcli_customer",
                "CREATE TABLE pgcli_customer (id serial PRIMARY KEY, \"Full Name\" text NOT NULL, credit numeric(10,2) DEFAULT 0)",
                "CREATE TABLE pgcli_order (id int PRIMARY KEY, customer int CONSTRAINT order_of REFERENCES pgcli_customer (id))",
                "CREATE VIEW pgcli_rich AS SELECT id FROM pgcli_customer WHERE credit > 1000"):
            connection.execute(statement)
        yield
        connection.execute("DROP VIEW pgcli_rich")
        connection.execute("DROP TABLE pgcli_order, pgcli_customer")


@pytest.fixture
def executor(server, schema):
    return PGExecute("nodedb", "app", "app password", "127.0.0.1", server.port)


def test_a_statement_and_a_backslash_command_by_the_command_line(server, schema):
    command = [os.path.join(os.path.dirname(sys.executable), "pgcli"), "-h", "127.0.0.1", "-p", str(server.port), "-U", "app",
               "-d", "nodedb", "-w", "--less-chatty", "-c", "SELECT 6 * 7 AS answer", "-c", "\\d pgcli_order"]
    done = subprocess.run(command, env=dict(os.environ, PGPASSWORD="app password"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "answer" in done.stdout and "42" in done.stdout
    assert '"order_of" FOREIGN KEY (customer) REFERENCES pgcli_customer(id)' in done.stdout


def test_settings_and_failures_are_shown(executor):
    (_, rows, headers, status, *_), = executor.run("SELECT 1 AS one, 'x' AS two")
    assert headers == ["one", "two"] and list(rows) == [(1, "x")] and status == "SELECT 1"
    executor.run("BEGIN")
    with pytest.raises(psycopg.errors.UndefinedTable):
        list(executor.run("SELECT * FROM pgcli_nowhere"))
