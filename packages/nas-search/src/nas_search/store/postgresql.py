"""The store in a PostgreSQL database: many experiments, and several runs of one at a time.

A session is alive as long as its connection holds an advisory lock, which the server releases when
the connection ends, however that happens. There are no heartbeats, and no clocks are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

from nas_core.errors import nearest
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.pool import PoolProxiedConnection

from nas_search.store import backend
from nas_search.store import statements as sql
from nas_search.store.address import Database, public
from nas_search.store.backend import tried
from nas_search.store.errors import StoreError, StoreExistsError, StoreMissingError, explained
from nas_search.store.migrations import migrate
from nas_search.store.tables import VERSION, metadata

__all__ = ["PostgreSQL", "create_experiment"]

SCHEMA = "nas"
"""All tables are in this one, so that those of other programs are not in the way."""

LOCKS = 0x6E617331
"""Advisory locks are pairs of numbers: this plus the experiment, and a hash of the session."""

OPTIONS = {
    "search_path": SCHEMA,
    "lock_timeout": "{busy:.0f}s",
    # So that the server finds out within a minute that a machine is gone, and not in two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

PASSWORD = "give the password in ~/.pgpass or PGPASSWORD, and look at the user's name"  # noqa: S105
REACHED = (
    ("password authentication failed", PASSWORD),
    ("no password supplied", PASSWORD),
    ('FATAL: role "', "create the user, or name another one in the URL"),
    ('FATAL: database "', "create it (createdb), or name another one in the URL"),
    ("", "see that the server runs there and accepts connections from here"),
)
RIGHTS = (
    "the user has not the rights: they need CREATE on the database once, to make the schema "
    f"{SCHEMA}, and later to read and write what is in it"
)
REASONS = {
    "55P03": "the store has been locked by another program for {busy:.0f} s: end the transaction "
    "that holds it",
    "53100": "the disk of the server is full: make room, then resume; what finished is stored",
    "42501": RIGHTS,
    "42P01": RIGHTS,  # what is in a schema that they may not use is not there for them
    "25006": "the server is read-only now: is it a standby?",
}
STARTING_OR_ENDING = ("57P01", "57P02", "57P03", "53300")


class PostgreSQL:
    """An open connection to a database.

    Args:
        database: which one.
        read_only: an older schema is refused, and not brought up to date.
        patient: whether the server may be out of reach for a while before the first connection,
            as it may be later.

    Raises:
        StoreError: it can't be reached or used.
    """

    def __init__(
        self, database: Database, *, read_only: bool = False, patient: bool = False
    ) -> None:
        self.place = str(database)
        self.patience = backend.PATIENCE if patient else 0.0
        self.reading = self.writing = _engine(database.url)
        self._held: tuple[int, int] | None = None
        event.listen(self.reading, "connect", self._show_life)
        try:
            with explained(self.place, self.reason):
                tried(self, self.reading, self._check if read_only else self._bring_up_to_date)
        except BaseException:
            self.close()
            raise
        self.patience = backend.PATIENCE

    @staticmethod
    def reason(error: DBAPIError) -> str:
        """Say in words what went wrong."""
        state, said = getattr(error.orig, "sqlstate", None), " ".join(str(error.orig).split())
        if state in REASONS:
            return f"{REASONS[state].format(busy=backend.BUSY_SECONDS)} ({said})"
        if PostgreSQL.is_broken(error):
            hint = next(hint for words, hint in REACHED if words in said)
            return f"the database can't be reached: {said}; {hint}"
        return f"the store failed: {said}"

    @staticmethod
    def is_broken(error: DBAPIError) -> bool:
        """Whether it is the connection that failed, and a new one may do."""
        state = getattr(error.orig, "sqlstate", None)
        return error.connection_invalidated or (
            isinstance(error, OperationalError | InterfaceError)
            and (state is None or state in STARTING_OR_ENDING or state.startswith("08"))
        )

    def experiment(self, name: str) -> int:
        """The number of an experiment in the tables.

        Raises:
            StoreMissingError: there is none of this name.
        """

        def find(connection: Connection) -> tuple[int | None, list[str]]:
            if _version(connection) is None:
                return None, []
            number = connection.execute(sql.EXPERIMENT_NAMED, {"_name": name}).scalar()
            return number, list(connection.execute(sql.NAMES).scalars())

        with explained(self.place, self.reason):
            number, names = tried(self, self.reading, find)
        if number is None:
            hint = nearest(name, names)
            raise StoreMissingError(self.place, f"there is no experiment {name!r} here{hint}")
        return number

    def lock(self, connection: Connection, experiment: int) -> None:
        """Let no other transaction write to the experiment before this one ends."""
        connection.execute(sql.LOCK, {"_experiment": experiment})

    def hold(self, experiment: int, session: str) -> None:
        """Show until ``close``, or the end of this process, that a session is alive."""
        self._held = _locks_of(experiment), _key(session)
        self.reading.dispose()  # The next connection shows it.

    def living(self, connection: Connection, experiment: int, sessions: set[str]) -> set[str]:
        """Those sessions that hold their lock, or have not had the time to take it again."""
        if connection.execute(JUST_STARTED, {"seconds": backend.GRACE}).scalar_one():
            return sessions
        held = set(connection.execute(HELD, {"locks": _locks_of(experiment)}).scalars())
        return {session for session in sessions if _key(session) in held}

    def is_running(self, experiment: int) -> bool:
        """Whether any session of the experiment is alive."""

        def any_held(connection: Connection) -> bool:
            found = connection.execute(HELD, {"locks": _locks_of(experiment)})
            return found.first() is not None

        with explained(self.place, self.reason):
            return tried(self, self.reading, any_held)

    def close(self) -> None:
        """End the connection, and with it the session that it has shown."""
        self.reading.dispose()

    def _show_life(self, connection: PoolProxiedConnection, _record: object) -> None:
        if self._held is not None:
            # Shared: after a break the server may not have noticed the end of the old connection.
            cursor = connection.cursor()
            cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", self._held)
            cursor.close()
            connection.commit()

    def _check(self, connection: Connection) -> None:
        version = _version(connection)
        if version is not None and version < VERSION:
            raise StoreError(
                self.place,
                f"the store has schema version {version}, and this nas-search has {VERSION}: "
                "resume an experiment in it, which brings it up to date",
            )
        if version is not None and version > VERSION:
            raise StoreError(
                self.place,
                f"the store has schema version {version}, and this nas-search knows up to "
                f"{VERSION}: update it (pip install -U nas-search)",
            )

    def _bring_up_to_date(self, connection: Connection) -> None:
        connection.execute(ONE_BY_ONE)
        version = _version(connection)
        if version is not None and version < VERSION:
            migrate(connection, version)
            connection.execute(SET_VERSION, {"version": VERSION})
        self._check(connection)


def create_experiment(database: Database, fill: Callable[[Connection, str], None]) -> None:
    """Make a new experiment, with what ``fill`` puts in, and the tables if there are none.

    Raises:
        StoreExistsError: there is one of this name already.
        StoreError: the database can't be used.
    """
    opened = PostgreSQL(database)

    def create(connection: Connection) -> None:
        connection.execute(ONE_BY_ONE)
        if _version(connection) is None:
            _create_tables(opened.place, connection)
        fill(connection, database.experiment)

    try:
        with explained(opened.place, opened.reason):
            tried(opened, opened.writing, create)
    except StoreError as error:
        if isinstance(error.__cause__, IntegrityError):
            raise StoreExistsError(
                opened.place, f"there is an experiment {database.experiment!r} here already"
            ) from None
        raise
    finally:
        opened.close()


def _create_tables(place: str, connection: Connection) -> None:
    if _tables(connection):
        raise StoreError(
            place, f"the schema {SCHEMA!r} of this database is another program's: use another one"
        )
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    metadata.create_all(connection, checkfirst=False)
    connection.execute(text("CREATE TABLE schema_version (version INTEGER NOT NULL)"))
    connection.execute(text("INSERT INTO schema_version VALUES (:version)"), {"version": VERSION})


def _engine(url: URL) -> Engine:
    options = " ".join(f"-c{name}={value}" for name, value in OPTIONS.items())
    given = url.query.get("options", "")
    try:
        return create_engine(
            url.difference_update_query(["options"]),
            pool_size=1,
            max_overflow=0,
            connect_args={
                "application_name": "nas",
                "connect_timeout": 10,
                **KEEPALIVES,
                "options": f"{options.format(busy=backend.BUSY_SECONDS)} {given}".strip(),
            },
        )
    except ImportError:
        raise StoreError(
            public(url), "this needs psycopg: pip install 'nas-search[postgresql]'"
        ) from None


def _version(connection: Connection) -> int | None:
    if "schema_version" not in _tables(connection):
        return None
    return int(connection.execute(text("SELECT version FROM schema_version")).scalar_one())


def _tables(connection: Connection) -> set[str]:
    return set(connection.execute(TABLES).scalars())


def _locks_of(experiment: int) -> int:
    return LOCKS + experiment


def _key(session: str) -> int:
    return crc32(session.encode()) & 0x7FFFFFFF


# Not by to_regclass: while it waits for ONE_BY_ONE, a connection remembers that there is no schema.
TABLES = text(f"SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = '{SCHEMA}'")  # noqa: S608
SET_VERSION = text("UPDATE schema_version SET version = :version")
ONE_BY_ONE = text(f"SELECT pg_advisory_xact_lock({LOCKS}, 0)")
JUST_STARTED = text("SELECT pg_postmaster_start_time() > now() - make_interval(secs => :seconds)")
HELD = text(
    "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
    "AND classid = :locks "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
