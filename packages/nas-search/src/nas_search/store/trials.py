"""The trial store: the single record of truth.

Every run or resume is a *session*. A worker writes under the session that started it, and a trial
belongs to one session at a time, so that a worker which outlives its session can't change anything
any more. All that is written to an experiment is written one after the other: each transaction sees
what the one before it did, in whatever process that was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from nas_core.architecture import Architecture
from nas_core.protocols import Candidate, Result
from sqlalchemy import Connection, Row

from nas_search.store import statements as sql
from nas_search.store.address import Address, Database
from nas_search.store.backend import Backend, tried
from nas_search.store.errors import StoreMissingError, explained
from nas_search.store.postgresql import PostgreSQL, create_experiment
from nas_search.store.records import Event, Report, Trial
from nas_search.store.sqlite import SQLite, create_file

__all__ = ["TrialStore", "is_stored"]

T = TypeVar("T")


class TrialStore:
    """An open connection to the store of an experiment, for one thread at a time.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "digits", "trials.sqlite")
    >>> candidate = Candidate(0, Architecture({"width": 32}), seed=7)
    >>> with TrialStore.create(path, {"kind": "a fact of the experiment"}) as store:
    ...     store.begin_session("first")
    ...     store.begin(candidate, "first")
    ...     store.finish(Result(0, {"accuracy": 0.9}), "first")
    ...     store.trial(0).metrics
    True
    True
    {'accuracy': 0.9}
    """

    def __init__(self, backend: Backend, experiment: int) -> None:
        self.place = backend.place
        self._backend = backend
        self._experiment = experiment

    @classmethod
    def create(cls, address: Address, facts: Mapping[str, str]) -> Self:
        """Make a new store; it appears with all its facts or not at all.

        Raises:
            StoreExistsError: there is one already.
            StoreError: the place can't be written.
        """

        def fill(connection: Connection, name: str) -> None:
            connection.execute(sql.NEW_EXPERIMENT, {"name": name})
            number = connection.execute(sql.EXPERIMENT_NAMED, {"_name": name}).scalar_one()
            _put_facts(connection, number, facts)

        if isinstance(address, Database):
            create_experiment(address, fill)
        else:
            create_file(address, fill)
        return cls.open(address)

    @classmethod
    def open(cls, address: Address, *, read_only: bool = False, patient: bool = False) -> Self:
        """Connect to a store; one of an older version is brought up to date.

        Args:
            address: the file, or the database with the name of the experiment.
            read_only: nothing will be written.
            patient: whether to wait for a database that can't be reached now.

        Raises:
            StoreMissingError: there is none.
            StoreError: it is no store of ours, it is from a newer version, or it can't be used.
        """
        if isinstance(address, Path):
            return cls(SQLite(address, read_only=read_only), 1)
        backend = PostgreSQL(address, read_only=read_only, patient=patient)
        try:
            return cls(backend, backend.experiment(address.experiment))
        except BaseException:
            backend.close()
            raise

    def close(self) -> None:
        """End the connection; what a session of this store has left running counts as put back."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether a session is alive, as far as the database can tell: a file can't."""
        return self._backend.is_running(self._experiment)

    def facts(self) -> dict[str, str]:
        """What is known of the experiment as a whole."""
        (rows,) = self._read(sql.FACTS)
        return {row.name: row.value for row in rows}

    def begin_session(self, session: str, facts: Mapping[str, str] | None = None) -> None:
        """Begin to write as this session; what dead ones left running may be started anew."""
        self._backend.hold(self._experiment, session)

        def begin(connection: Connection) -> None:
            _put_facts(connection, self._experiment, facts or {})
            self._release_dead(connection, session)

        self._write(begin)

    def release_dead(self, session: str) -> None:
        """Let trials be started anew that dead sessions have left running."""
        self._write(lambda connection: self._release_dead(connection, session))

    def dead(self, sessions: set[str]) -> set[str]:
        """Those of these sessions that have ended, or have died."""
        with explained(self.place, self._backend.reason):
            return sessions - tried(
                self._backend,
                self._backend.reading,
                lambda db: self._backend.living(db, self._experiment, sessions),
            )

    def put_back(self, session: str) -> None:
        """Forget the trials that a session leaves unfinished: a resume proposes them again."""
        mine = self._with(_session=session)

        def put_back(connection: Connection) -> None:
            connection.execute(sql.DROP_REPORTS_LEFT, mine)
            connection.execute(sql.DROP_LEFT, mine)

        self._write(put_back)

    def begin(self, candidate: Candidate, session: str) -> bool:
        """Store a trial as running, and say whether it is now this session's to run.

        It is not if it has ended, if another session runs it, or if its architecture is that of
        another trial. One that this session or a dead one has left running starts anew.
        """
        digest = candidate.architecture.digest
        this = self._with(_number=candidate.number)

        def begin(connection: Connection) -> bool:
            like_it = connection.execute(sql.LIKE_IT, {**this, "_digest": digest}).all()
            if not like_it:
                connection.execute(sql.NEW_TRIAL, self._new_trial(candidate, session))
                return True
            found = [(row.number, row.digest, row.state) for row in like_it]
            if found != [(candidate.number, digest, "running")]:
                return False
            if like_it[0].session not in ("", session):
                return False
            connection.execute(
                sql.START_ANEW, {**this, "_session": session, "_started": time.time()}
            )
            connection.execute(sql.DROP_REPORTS, this)
            return True

        return self._write(begin)

    def report(
        self,
        number: int,
        step: int,
        metrics: Mapping[str, float],
        session: str,
        *,
        first: bool = False,
    ) -> int | None:
        """Store intermediate metrics; of several of one step the last one counts.

        ``first`` says that this execution of the trial has not reported the step before: if
        another execution has, what it reported stays.

        Gives back the ordinal of what is stored; ``None`` if the session may not write any more.
        """
        row = self._with(
            _number=number,
            _session=session,
            _step=step,
            _metrics=msgspec.json.encode(dict(metrics)).decode(),
            # It tells this report from others if a broken connection hides that it is stored.
            _made=time.time(),
        )

        def report(connection: Connection) -> int | None:
            other = connection.execute(sql.OTHER_REPORT, row).scalar() if first else None
            if other is not None:
                return int(other)
            if connection.execute(sql.NEW_REPORT, row).rowcount:
                connection.execute(sql.COUNT_REPORT, self._with())
            return connection.execute(sql.ORDINAL_OF, row).scalar()

        return self._write(report)

    def finish(
        self,
        result: Result,
        session: str,
        keep: Callable[[], None] = lambda: None,
        weights: str | None = None,
    ) -> bool:
        """Store a result once, and say whether it was this call that did.

        ``keep`` puts the weights, whose SHA-256 is ``weights``, in their place. Both happen under
        the write lock, so that a worker of an earlier session can do neither.
        """
        this = self._with(_number=result.number, _session=session)
        metrics = result.metrics
        row = {
            "state": "failed" if result.failed else "pruned" if metrics is None else "completed",
            "metrics": None if metrics is None else msgspec.json.encode(metrics).decode(),
            "error": _storable(result.error),
            "details": _storable(result.details),
            "pruned": _storable(result.pruned),
            "seconds": result.seconds,
            "finished": time.time(),
            "weights": weights,
        }

        def finish(connection: Connection) -> bool:
            if not connection.execute(sql.FINISH, {**this, **row}).rowcount:
                return False
            keep()
            return True

        return self._write(finish)

    def waits(self, numbers: Sequence[int], session: str) -> bool:
        """Whether a session still waits for the outcome of any of these trials."""
        (rows,) = self._read(sql.WAITING, _numbers=list(numbers), _session=session)
        return bool(rows)

    def last_report(self) -> int:
        """The ordinal of the report that was stored last, 0 if there has been none."""
        ((row,),) = self._read(sql.LAST_REPORT)
        return int(row.reported)

    def reports_after(self, ordinal: int) -> list[tuple[int, int, Report]]:
        """The reports that were stored later, as they came: ordinal, trial and report."""
        (rows,) = self._read(sql.REPORTS_AFTER, _ordinal=ordinal)
        return [(row.ordinal, row.trial, _report(row)) for row in rows]

    def events(self, after: int, until: int) -> tuple[int, list[Event]]:
        """What happened between two reports, in its order: the same for all who ask.

        Args:
            after: the ordinal of a report, which is left out; 0 to begin at the beginning.
            until: the ordinal of a later report, which comes last.

        Returns:
            How many reports there are up to ``after``, since those of trials that start anew are
            removed; and the events.
        """
        counted, reported, ended = self._read(
            sql.COUNT_UNTIL, sql.REPORTS_BETWEEN, sql.ENDS_BETWEEN, _after=after, _until=until
        )
        found = [((row.ordinal, -1), _reporting(row)) for row in reported]
        found += [((row.ended_after, row.number), _ending(row)) for row in ended]
        return counted[0].reports, [event for _, event in sorted(found, key=lambda each: each[0])]

    def trial(self, number: int) -> Trial | None:
        """One trial with its reports."""
        found = self._trials(sql.ONE_TRIAL, sql.REPORTS_OF_ONE, _number=number)
        return next(iter(found), None)

    def trials(self) -> tuple[Trial, ...]:
        """All trials with their reports, by number."""
        return self._trials(sql.ALL_TRIALS, sql.ALL_REPORTS)

    def finished(self) -> int:
        """How many trials have ended."""
        ((row,),) = self._read(sql.FINISHED)
        return int(row.ended)

    def _trials(self, which: Any, whose: Any, **values: int) -> tuple[Trial, ...]:
        rows, reported = self._read(which, whose, **values)
        reports: dict[int, dict[int, Report]] = {}
        for row in reported:
            reports.setdefault(row.trial, {})[row.step] = _report(row)
        return tuple(_trial(row, reports.get(row.number, {})) for row in rows)

    def _release_dead(self, connection: Connection, session: str) -> None:
        rows = connection.execute(sql.WHO_RUNS, self._with()).scalars()
        if others := set(rows) - {"", session}:
            dead = others - self._backend.living(connection, self._experiment, others)
            connection.execute(sql.RELEASE, self._with(_sessions=sorted(dead)))

    def _new_trial(self, candidate: Candidate, session: str) -> dict[str, Any]:
        now = time.time()
        return {
            "experiment": self._experiment,
            "number": candidate.number,
            "architecture": candidate.architecture.to_json(),
            "digest": candidate.architecture.digest,
            "seed": candidate.seed,
            "state": "running",
            "session": session,
            "created": now,
            "started": now,
        }

    def _with(self, **values: Any) -> dict[str, Any]:
        return {"_experiment": self._experiment, **values}

    def _read(self, *statements: Any, **values: Any) -> list[Sequence[Row[Any]]]:
        given = self._with(**values)
        with explained(self.place, self._backend.reason):
            return tried(
                self._backend,
                self._backend.reading,
                lambda db: [db.execute(statement, given).all() for statement in statements],
            )

    def _write(self, act: Callable[[Connection], T]) -> T:
        def locked(connection: Connection) -> T:
            self._backend.lock(connection, self._experiment)
            return act(connection)

        with explained(self.place, self._backend.reason):
            return tried(self._backend, self._backend.writing, locked)


def is_stored(address: Address) -> bool:
    """Whether there is an experiment.

    Raises:
        StoreError: the database can't be used.
    """
    if isinstance(address, Path):
        return address.is_file()
    try:
        TrialStore.open(address, read_only=True).close()
    except StoreMissingError:
        return False
    return True


def _put_facts(connection: Connection, experiment: int, facts: Mapping[str, str]) -> None:
    if facts:
        connection.execute(sql.DROP_FACTS, {"_experiment": experiment, "_names": list(facts)})
        rows = [{"experiment": experiment, "name": k, "value": v} for k, v in facts.items()]
        connection.execute(sql.NEW_FACTS, rows)


def _storable(text: str | None) -> str | None:
    """What a worker printed may be any bytes; a text in a database holds no NUL."""
    return None if text is None else text.replace("\0", "\ufffd")


def _report(row: Row[Any]) -> Report:
    return Report(row.step, msgspec.json.decode(row.metrics))


def _reporting(row: Row[Any]) -> Event:
    return Event(row.trial, row.step, msgspec.json.decode(row.metrics), "running")


def _ending(row: Row[Any]) -> Event:
    metrics = {} if row.metrics is None else msgspec.json.decode(row.metrics)
    return Event(row.number, None, metrics, row.state)


def _trial(row: Row[Any], reports: Mapping[int, Report]) -> Trial:
    values = row._asdict()
    return Trial(
        **{
            **values,
            "architecture": Architecture.from_json(row.architecture),
            "metrics": None if row.metrics is None else msgspec.json.decode(row.metrics),
        },
        reports=tuple(reports[step] for step in sorted(reports)),
    )
