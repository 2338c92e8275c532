"""The database: SQLite (in WAL mode where that works) or PostgreSQL, brought to the newest schema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from olmes.errors import OlmesError
from olmes.server.store import schema
from olmes.server.store.damage import refusing_damage
from olmes.server.store.private import private_file, private_folder
from olmes.tools.file_systems import locks_ranges
from olmes.tools.places import hidden_code, refusal, writing
from olmes.tools.sqlite_journal import choose_journal

FILE_NAME = "olmes.db"
STORE = "name another folder with --store"
WAITED = 60
"""Seconds for which a writer of SQLite waits for another, unless the store's URL says `?timeout=`."""
CONNECTING = 10
"""Seconds until a PostgreSQL that lets nobody in is taken to be away."""


def now() -> str:
    """The time, as records write it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def store_url(store: str) -> URL:
    """The database of a store: a URL as it is, of a folder the SQLite file in it.

    Raises:
        OlmesError: it is a URL of something else.
    """
    if "://" not in store:
        return URL.create("sqlite", database=str(Path(store).resolve() / FILE_NAME))
    try:
        url = make_url(store)
    except (ArgumentError, ValueError):  # a port that is no number, say
        raise OlmesError(
            f"{shown_store(store)} is not a database URL; write postgresql+psycopg://USER@HOST/NAME."
        ) from None
    if "@" in (url.host or ""):
        raise OlmesError(f"{shown_store(store)}: write an @ within a password as %40.")
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite":
        return url
    raise OlmesError(
        f"{url.get_backend_name()} is not supported; name a folder or postgresql+psycopg://..."
    )


def shown_store(store: str) -> str:
    """A store as it may be shown, logged or told: a URL without any password in it."""
    if "://" not in store:
        return store
    try:
        url = make_url(store)
    except (ArgumentError, ValueError):
        # Where a password ends nobody can say of a URL that cannot be read.
        scheme, _, rest = store.partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else f"{scheme}://***"
    secret = [name for name in url.query if "password" in name.lower()]
    url = url.set(host=url.host and url.host.rpartition("@")[2])
    return url.update_query_dict(dict.fromkeys(secret, "***")).render_as_string()


class Database:
    """Connections to a store's database.

    SQLite has one writer at a time, who waits for the others; with a write-ahead log (WAL) readers
    never wait. A commit is on disk when it returns.
    """

    def __init__(self, store: str) -> None:
        self.url = store_url(store)
        self.shown = shown_store(self.url.render_as_string(hide_password=False))
        """Its URL without a password."""
        self.place = str(self.url.database) if self.is_sqlite else self.shown
        """What a message names: its file, where it is one."""
        self.engine = make_engine(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.get_backend_name() == "sqlite"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database.

        Raises:
            DamagedStoreError: the file of the database is damaged.
        """
        with refusing_damage(self.place), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that changes something; all of it or nothing.

        Raises:
            DamagedStoreError: the file of the database is damaged.
        """
        writes = self.engine.execution_options(writes=True)
        with refusing_damage(self.place), writes.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def publishing(self) -> Iterator[Connection]:
        """`writing`, one at a time over all servers, of what readers see."""
        with self.writing() as connection:
            state = schema.state
            one = state.name == "generation"
            counted = {state.value: state.value + 1}
            connection.execute(update(state.table).where(one).values(counted))
            yield connection

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema to a revision, the newest unless another is named.

        Raises:
            OlmesError: the database cannot be reached, is damaged or was made by a newer olmes.
        """
        from alembic import command
        from alembic.util import CommandError

        if self.is_sqlite and self.url.database:
            folder = Path(self.url.database).parent
            with writing(folder, STORE):
                private_folder(folder)
                if not locks_ranges(folder):
                    raise OlmesError(
                        f"the file system of {folder} has no locks, which a database needs; {STORE}, "
                        "or postgresql+psycopg://..."
                    )
                # Before SQLite makes it, and those beside it, open to others.
                for ending in ("", "-wal", "-shm"):
                    file = Path(f"{self.url.database}{ending}")
                    if not ending or file.exists():
                        private_file(file)
                with refusing_damage(self.place):
                    choose_journal(Path(self.url.database))
        try:
            with self.in_words(), refusing_damage(self.place):
                command.upgrade(self.alembic(), revision)
        except CommandError as error:
            raise OlmesError(
                f"{self.shown} was made by another olmes ({error}); update olmes."
            ) from None

    @contextlib.contextmanager
    def in_words(self) -> Iterator[None]:
        """For a command: what keeps the database from working is one sentence.

        Raises:
            OlmesError: it is locked or full, cannot be written, or is away.
        """
        try:
            yield
        except OperationalError as error:
            if self.url.database and (code := hidden_code(error.orig)):
                place = Path(self.url.database)
                raise OlmesError(refusal(code, place, place, STORE)) from None
            raise OlmesError(
                f"{self.shown} cannot be opened ({error.orig}); check the URL, and that the database "
                "is there."
            ) from None

    def alembic(self) -> Any:
        """Alembic's configuration for this database."""
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "olmes.server.store:migrations")
        config.attributes["engine"] = self.engine
        return config

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def make_engine(url: URL) -> Engine:
    """An engine with the settings of its kind of database.

    Raises:
        OlmesError: the driver of PostgreSQL is not installed.
    """
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(
                url, pool_size=8, max_overflow=8, pool_pre_ping=True,
                isolation_level="READ COMMITTED",
                connect_args={} if "connect_timeout" in url.query else {"connect_timeout": CONNECTING},
            )  # fmt: skip
        except ModuleNotFoundError as error:
            raise OlmesError(
                f"PostgreSQL needs {error.name}; install it with pip install 'olmes[postgres]'."
            ) from None
    arguments: dict[str, Any] = {"check_same_thread": False}
    if "timeout" not in url.query:
        arguments["timeout"] = WAITED
    engine = create_engine(url, connect_args=arguments, pool_size=8, max_overflow=8)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:  # noqa: ARG001
        # The driver's own transactions begin too late: reads would not be of one state.
        connection.isolation_level = None
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
