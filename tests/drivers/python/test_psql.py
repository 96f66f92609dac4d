"""psql's backslash commands, one by one, beside a PostgreSQL 15 with the same schema.

Where the catalogs hold the same, the answers are the same to the letter. Where they cannot (roles, built-in
types and functions, sizes), a command must answer at all, or say 0A000: it never breaks off with another error.
"""

import re
import subprocess

import pytest
import server as servers

SCHEMA = """
CREATE TABLE customer (id serial PRIMARY KEY, name varchar(80) NOT NULL, email text UNIQUE, tags text[],
    profile jsonb, made timestamptz NOT NULL DEFAULT now(), score real DEFAULT 1.5, CONSTRAINT scored CHECK (score > 0));
CREATE TABLE invoice (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customer (id) ON DELETE CASCADE, amount numeric(12,2) NOT NULL DEFAULT 0,
    note char(10), paid boolean DEFAULT false);
CREATE INDEX invoice_customer ON invoice (customer_id, amount DESC);
CREATE UNIQUE INDEX customer_name ON customer (name);
CREATE VIEW debtor AS SELECT customer_id FROM invoice WHERE NOT paid;
CREATE SEQUENCE ticket START 100 INCREMENT 5 MAXVALUE 1000 CYCLE;
CREATE TABLE "Odd Name" ("Key" int PRIMARY KEY, "two words" text DEFAULT 'it''s');
COMMENT ON TABLE customer IS 'who buys';
COMMENT ON VIEW debtor IS 'who owes';
INSERT INTO customer (name, email) VALUES ('Ada', 'ada@example.org'), ('Grace', NULL);
"""

SAME = r"""
\d
\d invoice
\d debtor
\d ticket
\d invoice_customer
\d customer_name
\d customer_pkey
\d customer_id_seq
\d invoice_number_seq
\d inv*
\d public.invoice
\d+ invoice
\d+ ticket
\d+ invoice_customer
\dt
\dt public.*
\dt *.customer
\dtvs
\di
\dv
\ds
\dm
\dE
\dn
\dp
\dp customer
\z invoice
\df
\df+
\df now
\df public.*
\dT
\dT public.*
\dx nothing
\dD
\dc
\dO nothing
\dy
\des
\des+
\dew
\deu
\det
\det+
\dF nothing
\dFd nothing
\dP
\dPi
\dPt
\dRp
\dRp+
\dRs
\drds
\ddp
\dd
\dl
\lo_list
\dew+
\deu+
\dy+
\dconfig search_path
\sv nosuchview
\sf nosuchfunction
\d nosuch
\dt nosuch
\dT nosuch
\df nosuch
\encoding
"""

# Their rows are PostgreSQL's own, or say how large a thing is on its disk.
ANSWERED = r"""
\d+
\dt+
\di+
\dv+
\ds+
\dn+
\dnS
\dS customer
\dtS
\diS
\dvS
\du
\du+
\dg
\dg app
\df lower
\dfa sum
\dfS pg_get_*
\dT+
\dTS
\l
\l+
\l nodedb
\dx
\dx+
\dC
\dC+
\do
\do =
\db
\db+
\dcS
\dO
\dOS
\dF
\dF+
\dFd
\dFp
\dFt
\dRs+
\dX
\dL
\dA
\dA+
\dAc
\dAf
\dAp
\da
\da sum
\dd lower
\dconfig
\dconfig+ work_mem
\sv debtor
\sv+ debtor
\d+ debtor
\sf pg_table_is_visible
"""


MARK = "== the next ="


def commands(text):
    return [line for line in text.splitlines() if line]


def asked(server, text, verbosity="default"):
    """What psql prints for each line of a script, and what it complains of."""
    marked = "".join(f"{line}\n\\echo {MARK}\n\\warn {MARK}\n" for line in text)
    done = subprocess.run(["psql", "-X", "-q", "-P", "pager=off", "-v", f"VERBOSITY={verbosity}"], env=server.environment(),
                          input=marked, capture_output=True, text=True, timeout=240)
    # A message says the line of the script, which is not the matter.
    complaints = re.sub(r"psql:<stdin>:\d+: ", "", done.stderr)
    return list(zip(done.stdout.split(f"{MARK}\n"), complaints.split(f"{MARK}\n")))


def statements(text):
    return [statement.replace("\n", " ") for statement in text.split(";\n") if statement.strip()]


@pytest.fixture(scope="module")
def here(server):
    asked(server, [f"{statement};" for statement in statements(SCHEMA)])
    yield server
    asked(server, ['DROP VIEW debtor;', 'DROP TABLE invoice, customer, "Odd Name";', 'DROP SEQUENCE ticket;'])


@pytest.fixture(scope="module")
def oracle():
    running = servers.PostgreSQL()
    asked(running, [f"{statement};" for statement in statements(SCHEMA)])
    yield running
    running.stop()


def test_commands_answer_as_postgresql(here, oracle):
    ours, theirs = asked(here, commands(SAME)), asked(oracle, commands(SAME))
    assert len(ours) == len(theirs) > len(commands(SAME))
    for command, answer, expected in zip(commands(SAME), ours, theirs):
        assert (command, *answer) == (command, *expected)


def test_commands_answer_or_are_not_supported(here):
    answers = asked(here, commands(ANSWERED), verbosity="verbose")
    broken = [(command, err) for command, (_out, err) in zip(commands(ANSWERED), answers) if err and "0A000" not in err]
    assert len(answers) > len(commands(ANSWERED)) and broken == []
