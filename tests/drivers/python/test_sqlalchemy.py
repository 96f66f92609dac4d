"""SQLAlchemy 2's everyday over psycopg: core, ORM, what inspect() finds."""

import datetime
import enum
import uuid
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    born: Mapped[datetime.date | None]
    books: Mapped[list["Book"]] = relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id", ondelete="CASCADE", name="book_of"), index=True)
    title: Mapped[str] = mapped_column(sa.Text)
    price: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2), server_default="0")
    tags: Mapped[list[str]] = mapped_column(postgresql.ARRAY(sa.Text), default=list)
    extra: Mapped[dict] = mapped_column(postgresql.JSONB, default=dict)
    colour: Mapped[Colour] = mapped_column(sa.Enum(Colour, native_enum=False, length=10), default=Colour.RED)
    sold: Mapped[bool] = mapped_column(default=False)
    made: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    author: Mapped[Author] = relationship(back_populates="books")
    __table_args__ = (
        sa.UniqueConstraint("author_id", "title", name="one_title_an_author"),
        sa.CheckConstraint("price >= 0", name="price_not_negative"),
        sa.Index("book_by_price", sa.desc("price"), "title"),
        {"comment": "what they wrote"},
    )


def url(server, driver):
    return f"postgresql+{driver}://app:app%20password@127.0.0.1:{server.port}/nodedb"


@pytest.fixture(scope="module", params=["psycopg", "pg8000"])
def engine(server, request):
    engine = sa.create_engine(url(server, request.param), pool_size=20)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def session(engine):
    with Session(engine) as session:
        session.execute(sa.delete(Author))
        session.commit()
        yield session


def shelf():
    """Two authors, three books."""
    ada = Author(name="Ada", born=datetime.date(1815, 12, 10))
    grace = Author(name="Grace")
    ada.books = [Book(title="Notes", price=Decimal("12.50"), tags=["math", "engine"], extra={"pages": 66, "in": ["en"]})]
    grace.books = [Book(title="Compilers", price=Decimal("30"), colour=Colour.BLUE), Book(title="A nanosecond")]
    return [ada, grace]


def test_the_tables_are_there_only_once(engine):
    Base.metadata.create_all(engine)
    assert sa.inspect(engine).has_table("book") and not sa.inspect(engine).has_table("shelf")


def test_objects_come_back_as_they_went(session):
    session.add_all(shelf())
    session.commit()
    book = session.scalars(sa.select(Book).where(Book.title == "Notes")).one()
    assert (book.price, book.tags, book.extra, book.colour, book.sold) == (
        Decimal("12.50"), ["math", "engine"], {"pages": 66, "in": ["en"]}, Colour.RED, False)
    assert book.author.born == datetime.date(1815, 12, 10)
    assert abs(datetime.datetime.now(datetime.UTC) - book.made) < datetime.timedelta(minutes=5)


def test_relations_are_loaded_joined_and_deleted(session):
    session.add_all(shelf())
    session.commit()
    authors = session.scalars(sa.select(Author).options(selectinload(Author.books)).order_by(Author.name)).all()
    assert [len(author.books) for author in authors] == [1, 2]
    found = session.execute(
        sa.select(Author.name, sa.func.count(Book.id), sa.func.sum(Book.price))
        .join(Author.books).group_by(Author.name).having(sa.func.count(Book.id) > 1))
    assert found.all() == [("Grace", 2, Decimal("30.00"))]
    session.delete(authors[1])
    session.flush()
    assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 1


def test_an_insert_that_meets_a_row_updates_it(session):
    insert = postgresql.insert(Author)
    upsert = insert.on_conflict_do_update(index_elements=["name"], set_={"born": insert.excluded.born})
    for day in (1, 2):
        session.execute(upsert, [{"name": "Ada", "born": datetime.date(1815, 12, day)}])
    assert session.scalars(sa.select(Author.born)).all() == [datetime.date(1815, 12, 2)]
    session.execute(postgresql.insert(Author).values(name="Ada").on_conflict_do_nothing())
    assert session.scalar(sa.select(sa.func.count()).select_from(Author)) == 1


def test_many_objects_are_inserted_at_once_with_their_keys(session):
    authors = [Author(name=f"author {n}") for n in range(2500)]
    session.add_all(authors)
    session.flush()
    assert len({author.id for author in authors}) == 2500
    assert session.scalar(sa.select(Author.name).where(Author.id == authors[7].id)) == "author 7"


def test_a_savepoint_undoes_its_own_part_only(session):
    session.add(Author(name="Ada"))
    session.flush()
    with pytest.raises(sa.exc.IntegrityError, match="author_name_key"):
        with session.begin_nested():
            session.add(Author(name="Ada"))
            session.flush()
    session.commit()
    assert session.scalar(sa.select(sa.func.count()).select_from(Author)) == 1


def test_a_row_is_locked_for_its_writer(session):
    session.add(Author(name="Ada"))
    session.commit()
    ada = session.scalars(sa.select(Author).with_for_update()).one()
    with Session(session.bind) as other, pytest.raises(sa.exc.DBAPIError) as raised:
        other.scalars(sa.select(Author).with_for_update(nowait=True)).all()
    assert "could not obtain lock on row" in str(raised.value)
    with Session(session.bind) as other:
        assert other.scalars(sa.select(Author).with_for_update(skip_locked=True)).all() == []
    assert ada.name == "Ada"


def test_levels_of_isolation_are_set_and_told(engine):
    for level in ("READ COMMITTED", "REPEATABLE READ"):
        with engine.connect().execution_options(isolation_level=level) as connection:
            assert connection.get_isolation_level() == level
            assert connection.scalar(sa.text("SHOW transaction_isolation")) == level.lower()
    assert sa.inspect(engine).default_schema_name == "public"
