"""The store in a file: SQLite, one experiment, one run at a time.

Write-ahead logging, so that any number of readers see a consistent state while workers write.
``synchronous`` is NORMAL: a commit is then in the hands of the operating system, and no ``kill -9``
takes it away. Only a power failure can undo the last commits, never half of one; ``resume`` then
runs those trials again. FULL would wait for the disk at each commit, which costs milliseconds per
trial to save seconds of training on the day of a power failure.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from nas_search.store import backend
from nas_search.store.errors import StoreError, StoreExistsError, StoreMissingError, explained
from nas_search.store.migrations import migrate
from nas_search.store.tables import VERSION, metadata

__all__ = ["APPLICATION", "SQLite", "create_file"]

APPLICATION = 0x6E617331  # "nas1", so that another program's database is not taken for ours

REASONS = {
    sqlite3.SQLITE_BUSY: "the store has been locked by another program for {:.0f} s: "
    "close the SQLite tool or backup that holds it",
    sqlite3.SQLITE_LOCKED: "the store is locked by another connection",
    sqlite3.SQLITE_READONLY: "the store can't be written: the file or its folder is read-only",
    sqlite3.SQLITE_FULL: "the disk is full: make room, then resume; what finished is stored",
    sqlite3.SQLITE_IOERR: "reading or writing failed (disk full, a quota, or the disk itself)",
    sqlite3.SQLITE_CANTOPEN: "the store can't be opened: look at the rights of file and folder",
    sqlite3.SQLITE_NOTADB: "this is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "the store is damaged: restore it from a backup",
}


class SQLite:
    """An open file.

    Raises:
        StoreError: it is not there, or no store of ours, or from a newer version.
    """

    patience = 0.0

    def __init__(self, path: Path, *, read_only: bool) -> None:
        if not path.is_file():
            raise StoreMissingError(path.parent, "there is no experiment here")
        self.place = str(path)
        self.reading = _engine(lambda: _connect(path, read_only=read_only))
        try:
            with explained(self.place, self.reason):
                self._bring_up_to_date(path, read_only=read_only)
        except BaseException:
            self.close()
            raise
        self.writing: Engine = self.reading.execution_options(begin="IMMEDIATE")

    @staticmethod
    def reason(error: DBAPIError) -> str:
        """Say in words what went wrong."""
        code = getattr(error.orig, "sqlite_errorcode", None)
        known = None if code is None else REASONS.get(code & 0xFF)
        if known is None:
            return f"the store failed: {error.orig}"
        return f"{known.format(backend.BUSY_SECONDS)} ({error.orig})"

    def is_broken(self, error: DBAPIError) -> bool:
        """No connection to a file breaks."""
        return False

    def lock(self, connection: Connection, experiment: int) -> None:
        """``BEGIN IMMEDIATE`` has done so."""

    def hold(self, experiment: int, session: str) -> None:
        """The lock in the folder shows it: see ``nas_search.lock``."""

    def living(self, connection: Connection, experiment: int, sessions: set[str]) -> set[str]:
        """None: whoever asks has the lock in the folder."""
        return set()

    def is_running(self, experiment: int) -> bool:
        """That is seen by the lock in the folder, and not here."""
        return False

    def close(self) -> None:
        """End the connection."""
        self.reading.dispose()

    def _bring_up_to_date(self, path: Path, *, read_only: bool) -> None:
        with self.reading.begin() as connection:
            version = _checked_version(path, connection)
        if version == VERSION:
            return
        if read_only:
            # What may not be written is read as a copy in memory, and that is migrated.
            self.reading.dispose()
            self.reading = _engine(_in_memory(path), StaticPool)
        with self.reading.execution_options(begin="IMMEDIATE").begin() as connection:
            # Another process may have done it meanwhile.
            if (version := _checked_version(path, connection)) < VERSION:
                migrate(connection, version)
                connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")


def create_file(path: Path, fill: Callable[[Connection, str], None]) -> None:
    """Make a new store; the file appears when ``fill`` has put in what it begins with, or not.

    Raises:
        StoreExistsError: there is one already.
        StoreError: it can't be written.
    """
    if path.exists():
        raise StoreExistsError(path, "there is a store here already")
    unfinished = path.with_name(path.name + ".new")
    engine = _engine(lambda: sqlite3.connect(unfinished, isolation_level=None))
    with explained(str(path), SQLite.reason):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        try:
            with engine.begin() as connection:
                metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")
                connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
                fill(connection, path.absolute().parent.name)
        finally:
            engine.dispose()
        unfinished.replace(path)


def _engine(connect: Callable[[], sqlite3.Connection], pool: Any = QueuePool) -> Engine:
    """An engine with one connection, whose transactions are begun here and not by the driver.

    There are more if threads share it, or if a signal came just where one was handed out.
    """
    sizes = {"pool_size": 1, "max_overflow": -1} if pool is QueuePool else {}
    engine = create_engine("sqlite://", creator=connect, poolclass=pool, **sizes)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("begin", "")
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        return _connect_to_read(path)
    db = _opened(path, "mode=rw")
    try:
        if _is_ours(db):
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def _connect_to_read(path: Path) -> sqlite3.Connection:
    db = _opened(path, "mode=ro")
    try:
        db.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        db.close()
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        # Readers share an index beside the file, which can't be made where nothing may be written;
        # nobody else writes there either.
        return _opened(path, "immutable=1")
    return db


def _in_memory(path: Path) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        with closing(_connect_to_read(path)) as file:
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            try:
                file.backup(copy)
            except BaseException:
                copy.close()
                raise
        return copy

    return connect


def _opened(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        timeout=backend.BUSY_SECONDS,
        check_same_thread=False,
    )


def _is_ours(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA application_id").fetchone() == (APPLICATION,))


def _checked_version(path: Path, connection: Connection) -> int:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if connection.exec_driver_sql("PRAGMA application_id").scalar_one() != APPLICATION:
        raise StoreError(path, "this is a database of another program, not a trial store")
    if version > VERSION:
        raise StoreError(
            path,
            f"the store has schema version {version}, and this nas-search knows up to {VERSION}: "
            "update it (pip install -U nas-search)",
        )
    return int(version)
