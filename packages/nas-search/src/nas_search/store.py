"""The trial store: one SQLite file per experiment, the single record of truth.

Write-ahead logging, so that any number of readers see a consistent state while workers write.
``synchronous`` is NORMAL: a commit is then in the hands of the operating system, and no ``kill -9``
takes it away. Only a power failure can undo the last commits, never half of one; ``resume`` then
runs those trials again. FULL would wait for the disk at each commit, which costs milliseconds per
trial to save seconds of training on the day of a power failure.

Every run or resume is a *session*. A worker writes under the session that started it, so that one
which outlives its session can't change anything any more.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
from nas_core.architecture import Architecture
from nas_core.errors import NasError
from nas_core.protocols import Candidate, Result

__all__ = ["STORE", "Report", "State", "StoreError", "Trial", "TrialStore"]

STORE = "trials.sqlite"
VERSION = 2
APPLICATION = 0x6E617331  # "nas1", so that another program's database is not taken for ours
BUSY_SECONDS = 30.0

State = Literal["running", "completed", "failed"]

SCHEMA = f"""
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,
    architecture TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    seed INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'completed', 'failed')),
    session TEXT NOT NULL,
    metrics TEXT,
    error TEXT,
    details TEXT,
    seconds REAL,
    created REAL NOT NULL,
    started REAL NOT NULL,
    finished REAL
);
CREATE TABLE reports (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    trial INTEGER NOT NULL,
    step INTEGER NOT NULL,
    metrics TEXT NOT NULL
);
CREATE INDEX reports_of_trial ON reports (trial);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""

COLUMNS = (
    "number, architecture, digest, seed, state, metrics, error, details, seconds, "
    "created, started, finished"
)


class StoreError(NasError, OSError):
    """The experiment on disk can't be used as asked; ``path`` is the file or folder."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type[StoreError], tuple[str, str]]:
        return type(self), (str(self.path), self.reason)


@dataclass(frozen=True)
class Report:
    """Intermediate metrics of a trial."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """The stored record of one candidate.

    Attributes:
        number: counts the architectures of the experiment from 0.
        architecture: what was tried.
        digest: that of the architecture.
        seed: the seed of everything random in the trial.
        state: ``"running"``, ``"completed"`` or ``"failed"``.
        metrics: metric → value if it completed.
        error: one line that says what went wrong if it failed.
        details: the traceback or the end of the worker's output.
        seconds: how long it took, if it has ended.
        created: when it was first started, in seconds since 1970.
        started: when it was last started.
        finished: when it ended.
        reports: intermediate metrics, in the order of their steps.
    """

    number: int
    architecture: Architecture
    digest: str
    seed: int
    state: State
    metrics: Mapping[str, float] | None = None
    error: str | None = None
    details: str | None = None
    seconds: float | None = None
    created: float = 0.0
    started: float = 0.0
    finished: float | None = None
    reports: tuple[Report, ...] = field(default=(), compare=False)

    @property
    def candidate(self) -> Candidate:
        """What an engine needs of it."""
        return Candidate(self.number, self.architecture, self.seed)


class TrialStore:
    """An open connection to the store of an experiment, for one thread at a time.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> candidate = Candidate(0, Architecture({"width": 32}), seed=7)
    >>> with TrialStore.create(folder / STORE, {"name": "digits"}) as store:
    ...     store.begin_session("first")
    ...     store.begin(candidate, "first")
    ...     store.finish(Result(0, {"accuracy": 0.9}), "first")
    ...     store.trial(0).metrics
    True
    {'accuracy': 0.9}
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, str]) -> Self:
        """Make a new store; the file appears with all its facts or not at all.

        Raises:
            StoreError: there is one already, or the folder can't be written.
        """
        if path.exists():
            raise StoreError(path, "there is a store here already")
        unfinished = path.with_name(path.name + ".new")
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
            with closing(sqlite3.connect(unfinished, isolation_level=None)) as db:
                db.executescript("BEGIN;" + SCHEMA)
                db.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
                db.execute("COMMIT")
            unfinished.replace(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Connect to a store.

        Raises:
            StoreError: there is none, it is no store of ours, it is from a newer version, or the
                file can't be used.
        """
        if not path.is_file():
            raise StoreError(path.parent, "there is no experiment here")
        with _explained(path):
            db = (
                _connect_to_read(path)
                if read_only
                else _connect(f"{path.absolute().as_uri()}?mode=rw")
            )
            try:
                _check(path, db)
                if not read_only:
                    db.execute("PRAGMA journal_mode = WAL")
                    db.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    def close(self) -> None:
        """End the connection."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def facts(self) -> dict[str, str]:
        """What is known of the experiment as a whole."""
        with _explained(self.path):
            return dict(self._db.execute("SELECT name, value FROM facts"))

    def begin_session(self, session: str, facts: Mapping[str, str] | None = None) -> None:
        """From now on only this session may write trials; those that ran count as put back."""
        with self._transaction() as db:
            new = {**(facts or {}), "session": session}
            db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", new.items())

    def put_back(self, session: str) -> None:
        """Forget the trials that a session leaves unfinished: a resume proposes them again."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM reports WHERE trial IN "
                "(SELECT number FROM trials WHERE state = 'running' AND session = ?)",
                (session,),
            )
            db.execute("DELETE FROM trials WHERE state = 'running' AND session = ?", (session,))

    def begin(self, candidate: Candidate, session: str) -> None:
        """Store a trial as running; one that an earlier session left running starts anew."""
        architecture, now = candidate.architecture, time.time()
        row = (candidate.number, architecture.to_json(), architecture.digest, candidate.seed)
        with self._transaction() as db:
            db.execute(
                "INSERT INTO trials "
                "(number, architecture, digest, seed, state, session, created, started) "
                "VALUES (?, ?, ?, ?, 'running', ?, ?, ?) ON CONFLICT (number) DO UPDATE "
                "SET session = excluded.session, started = excluded.started "
                "WHERE state = 'running'",
                (*row, session, now, now),
            )
            db.execute("DELETE FROM reports WHERE trial = ?", (candidate.number,))

    def report(self, number: int, step: int, metrics: Mapping[str, float], session: str) -> None:
        """Store intermediate metrics; of several of one step the last one counts."""
        with self._transaction() as db:
            if _may_write(db, number, session):
                text = msgspec.json.encode(dict(metrics)).decode()
                db.execute(
                    "INSERT INTO reports (trial, step, metrics) VALUES (?, ?, ?)",
                    (number, step, text),
                )

    def finish(self, result: Result, session: str, keep: Callable[[], None] = lambda: None) -> bool:
        """Store a result once, and say whether it was this call that did.

        ``keep`` is called before that: it puts the weights in their place. Both happen under the
        write lock, so that a worker of an earlier session can do neither.
        """
        metrics = result.metrics
        text = None if metrics is None else msgspec.json.encode(metrics).decode()
        when = (result.seconds, time.time(), result.number)
        state = "failed" if metrics is None else "completed"
        with self._transaction() as db:
            if not _may_write(db, result.number, session):
                return False
            keep()
            db.execute(
                "UPDATE trials SET state = ?, metrics = ?, error = ?, details = ?, seconds = ?, "
                "finished = ? WHERE number = ?",
                (state, text, result.error, result.details, *when),
            )
        return True

    def last_report(self) -> int:
        """The ordinal of the report that was stored last, 0 if there has been none."""
        with _explained(self.path):
            query = "SELECT seq FROM sqlite_sequence WHERE name = 'reports'"
            found = self._db.execute(query).fetchone()
        return 0 if found is None else int(found[0])

    def reports_after(self, ordinal: int) -> list[tuple[int, int, Report]]:
        """The reports that were stored later, as they came: ordinal, trial and report."""
        query = "SELECT ordinal, trial, step, metrics FROM reports WHERE ordinal > ? ORDER BY 1"
        with _explained(self.path):
            rows = self._db.execute(query, (ordinal,)).fetchall()
        return [
            (now, trial, Report(step, msgspec.json.decode(metrics)))
            for now, trial, step, metrics in rows
        ]

    def trial(self, number: int) -> Trial | None:
        """One trial with its reports."""
        return next(iter(self._select("WHERE number = ?", "WHERE trial = ?", (number,))), None)

    def trials(self) -> tuple[Trial, ...]:
        """All trials with their reports, by number."""
        return self._select("ORDER BY number", "", ())

    def _select(self, which: str, whose: str, values: tuple[int, ...]) -> tuple[Trial, ...]:
        reports: dict[int, dict[int, Report]] = {}
        with _explained(self.path):
            rows = self._db.execute(f"SELECT {COLUMNS} FROM trials {which}", values).fetchall()  # noqa: S608
            query = f"SELECT trial, step, metrics FROM reports {whose} ORDER BY ordinal"  # noqa: S608
            for trial, step, metrics in self._db.execute(query, values):
                reports.setdefault(trial, {})[step] = Report(step, msgspec.json.decode(metrics))
        return tuple(_trial(row, _in_order(reports.get(row[0], {}))) for row in rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite has ended it itself if the disk is full
                    self._db.execute("ROLLBACK")
                raise


def _in_order(reports: Mapping[int, Report]) -> tuple[Report, ...]:
    return tuple(reports[step] for step in sorted(reports))


def _trial(row: tuple[Any, ...], reports: tuple[Report, ...]) -> Trial:
    number, architecture, digest, seed, state, metrics, error, details, *times = row
    seconds, created, started, finished = times
    return Trial(
        number,
        Architecture.from_json(architecture),
        digest,
        seed,
        state,
        None if metrics is None else msgspec.json.decode(metrics),
        error,
        details,
        seconds,
        created,
        started,
        finished,
        reports,
    )


def _may_write(db: sqlite3.Connection, number: int, session: str) -> bool:
    query = (
        "SELECT 1 FROM trials JOIN facts ON name = 'session' AND value = session "
        "WHERE number = ? AND session = ? AND state = 'running'"
    )
    return db.execute(query, (number, session)).fetchone() is not None


def _connect(address: str) -> sqlite3.Connection:
    return sqlite3.connect(
        address, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
    )


def _connect_to_read(path: Path) -> sqlite3.Connection:
    db = _connect(f"{path.absolute().as_uri()}?mode=ro")
    try:
        db.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        # Readers share an index beside the file, which can't be made where nothing may be written;
        # nobody else writes there either.
        return _connect(f"{path.absolute().as_uri()}?immutable=1")
    return db


def _check(path: Path, db: sqlite3.Connection) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise StoreError(path, "this is a database of another program, not a trial store")
    if version > VERSION:
        raise StoreError(
            path,
            f"the store has schema version {version}, and this nas-search knows up to {VERSION}: "
            "update it (pip install -U nas-search)",
        )
    if version < VERSION:
        raise StoreError(
            path,
            f"the store has schema version {version}, and this nas-search reads {VERSION} only: go "
            "on with the version that began it, or start under another name",
        )


REASONS = {
    sqlite3.SQLITE_BUSY: f"the store has been locked by another program for {BUSY_SECONDS:.0f} s: "
    "close the SQLite tool or backup that holds it",
    sqlite3.SQLITE_LOCKED: "the store is locked by another connection",
    sqlite3.SQLITE_READONLY: "the store can't be written: the file or its folder is read-only",
    sqlite3.SQLITE_FULL: "the disk is full: make room, then resume; what finished is stored",
    sqlite3.SQLITE_IOERR: "reading or writing failed (disk full, a quota, or the disk itself)",
    sqlite3.SQLITE_CANTOPEN: "the store can't be opened: look at the rights of file and folder",
    sqlite3.SQLITE_NOTADB: "this is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "the store is damaged: restore it from a backup",
}


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        reason = REASONS.get(code & 0xFF) if code is not None else None
        text = f"{reason} ({error})" if reason else f"the store failed: {error}"
        raise StoreError(path, text) from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(path, f"can't be written: {error.strerror or error}") from error
