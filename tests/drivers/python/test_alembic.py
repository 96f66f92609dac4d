"""Alembic: a migration up and down, and one that it writes itself from what it finds."""

import pytest
import sqlalchemy as sa
from alembic import autogenerate, command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql

ENVIRONMENT = '''
from alembic import context
attributes = context.config.attributes
with attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=attributes["metadata"], version_table="migration",
                      compare_type=True, compare_server_default=True, include_name=attributes["ours"])
    with context.begin_transaction():
        context.run_migrations()
'''

FIRST = '''
import sqlalchemy as sa
from alembic import op
revision, down_revision = "first", None

def upgrade():
    op.create_table("account", sa.Column("id", sa.Integer, primary_key=True), sa.Column("mail", sa.String(50)),
                    sa.Column("balance", sa.Integer, server_default="0", nullable=False))
    op.create_index("account_by_mail", "account", ["mail"], unique=True)
    op.bulk_insert(sa.table("account", sa.column("mail")), [{"mail": "ada@example.org"}, {"mail": "grace@example.org"}])

def downgrade():
    op.drop_table("account")
'''

SECOND = '''
import sqlalchemy as sa
from alembic import op
revision, down_revision = "second", "first"

def upgrade():
    op.add_column("account", sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False))
    op.alter_column("account", "mail", new_column_name="address", nullable=False)
    op.alter_column("account", "balance", type_=sa.BigInteger, server_default=None)
    op.alter_column("account", "address", type_=sa.Text)
    op.create_table("payment", sa.Column("id", sa.Integer, primary_key=True), sa.Column("account", sa.Integer))
    op.create_foreign_key("payment_of", "payment", "account", ["account"], ["id"], ondelete="SET NULL")
    op.create_check_constraint("balance_not_negative", "account", "balance >= 0")
    op.create_unique_constraint("one_payment", "payment", ["account", "id"])
    op.execute("UPDATE account SET balance = 5 WHERE address LIKE 'ada%'")
    op.create_table_comment("payment", "what was paid")

def downgrade():
    op.drop_constraint("balance_not_negative", "account", type_="check")
    op.drop_table("payment")
    op.alter_column("account", "address", new_column_name="mail", nullable=True, type_=sa.String(50))
    op.alter_column("account", "balance", type_=sa.Integer, server_default="0")
    op.drop_column("account", "made")
'''


def models():
    """What the second migration should have made, and a table that only autogeneration makes."""
    metadata = sa.MetaData()
    sa.Table(
        "account", metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Index("account_by_mail", "address", unique=True),
        sa.CheckConstraint("balance >= 0", name="balance_not_negative"))
    sa.Table(
        "payment", metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account", sa.Integer, sa.ForeignKey("account.id", name="payment_of", ondelete="SET NULL")),
        sa.UniqueConstraint("account", "id", name="one_payment"),
        comment="what was paid")
    return metadata


@pytest.fixture
def project(server, tmp_path):
    engine = sa.create_engine(f"postgresql+psycopg://app:app%20password@127.0.0.1:{server.port}/nodedb")
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENVIRONMENT)
    (tmp_path / "script.py.mako").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nfrom sqlalchemy.dialects import postgresql\n"
        "revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n"
        "def upgrade():\n    ${upgrades}\ndef downgrade():\n    ${downgrades}\n")
    (tmp_path / "versions" / "first.py").write_text(FIRST)
    (tmp_path / "versions" / "second.py").write_text(SECOND)
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    ours = {"account", "payment", "receipt", None}
    config.attributes.update(engine=engine, metadata=models(),
                             ours=lambda name, kind, _parents: kind != "table" or name in ours)
    yield config
    command.downgrade(config, "base")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE migration"))
    engine.dispose()


def differences(config):
    with config.attributes["engine"].connect() as connection:
        context = MigrationContext.configure(
            connection, opts=dict(compare_type=True, compare_server_default=True, include_name=config.attributes["ours"],
                                  version_table="migration"))
        return autogenerate.compare_metadata(context, config.attributes["metadata"])


def test_migrations_go_up_and_down_and_nothing_is_left_to_do(project):
    engine = project.attributes["engine"]
    command.upgrade(project, "first")
    assert differences(project) != []
    command.upgrade(project, "head")
    assert differences(project) == []
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT id, address, balance FROM account ORDER BY id"))
        assert found.all() == [(1, "ada@example.org", 5), (2, "grace@example.org", 0)]
    command.downgrade(project, "first")
    assert [column["name"] for column in sa.inspect(engine).get_columns("account")] == ["id", "mail", "balance"]
    command.downgrade(project, "base")
    assert not sa.inspect(engine).has_table("account")


def test_a_migration_that_fails_leaves_nothing_behind(project, tmp_path):
    (tmp_path / "versions" / "third.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\nrevision, down_revision = 'third', 'second'\n"
        "def upgrade():\n    op.create_table('ghost', sa.Column('id', sa.Integer))\n"
        "    op.add_column('account', sa.Column('size', sa.Integer))\n    op.execute('SELECT 1 / 0')\n"
        "def downgrade():\n    pass\n")
    command.upgrade(project, "second")
    with pytest.raises(sa.exc.DBAPIError, match="division by zero"):
        command.upgrade(project, "third")
    inspector = sa.inspect(project.attributes["engine"])
    assert not inspector.has_table("ghost")
    assert "size" not in [column["name"] for column in inspector.get_columns("account")]
    (tmp_path / "versions" / "third.py").unlink()


def test_autogeneration_writes_what_is_missing(project):
    command.upgrade(project, "head")
    metadata = project.attributes["metadata"]
    sa.Table("receipt", metadata, sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
             sa.Column("payment", sa.ForeignKey("payment.id", name="receipt_of"), index=True),
             sa.Column("lines", postgresql.ARRAY(sa.Text), server_default="{}", nullable=False),
             sa.Column("document", postgresql.JSONB), sa.Column("total", sa.Numeric(10, 2)))
    metadata.tables["account"].append_column(sa.Column("nickname", sa.String(20)))
    command.revision(project, "receipts", autogenerate=True, rev_id="third")
    command.upgrade(project, "head")
    assert differences(project) == []
    command.check(project)
