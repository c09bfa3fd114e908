"""A store of an older schema goes on as it was; a migration is whole or not at all."""

import sqlite3
from contextlib import closing

import pytest
from nas_core import Architecture, Candidate, Result
from nas_search import Experiment, TrialStore
from nas_search.store import STORE, migrations
from nas_search.store.tables import VERSION

ORDINALS = """
CREATE TABLE reports (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    trial INTEGER NOT NULL,
    step INTEGER NOT NULL,
    metrics TEXT NOT NULL
);
CREATE INDEX reports_of_trial ON reports (trial);
"""
STEPS = """
CREATE TABLE reports (
    trial INTEGER NOT NULL,
    step INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    PRIMARY KEY (trial, step)
) WITHOUT ROWID;
"""
SCHEMA = """
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
{reports}
PRAGMA application_id = 1851880241;
PRAGMA user_version = {version};
"""
REPORTS = {1: STEPS, 2: ORDINALS}


def into_old(path, version):
    """Write what a present store holds as an older version of it did."""
    with closing(sqlite3.connect(path)) as new:
        facts = new.execute("SELECT name, value FROM facts").fetchall()
        columns = "number, architecture, digest, seed, state, session, metrics, error, details"
        columns += ", seconds, created, started, finished"
        trials = new.execute(f"SELECT {columns} FROM trials ORDER BY number").fetchall()
        reports = new.execute(
            "SELECT trial, step, metrics FROM reports ORDER BY trial, step"
        ).fetchall()
    for file in path.parent.glob(path.name + "*"):
        file.unlink()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(SCHEMA.format(reports=REPORTS[version], version=version))
        old.executemany("INSERT INTO facts VALUES (?, ?)", [*facts, ("session", "gone")])
        old.executemany(f"INSERT INTO trials VALUES ({', '.join('?' * 13)})", trials)
        old.executemany("INSERT INTO reports (trial, step, metrics) VALUES (?, ?, ?)", reports)
        old.execute("PRAGMA journal_mode = WAL")
        old.commit()


def content(path):
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def shape(path):
    with closing(sqlite3.connect(path)) as db:
        tables = ("experiments", "facts", "trials", "reports")
        indices = db.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'")
        columns = {table: list(db.execute(f"PRAGMA table_info({table})")) for table in tables}
        return columns, sorted(indices)


@pytest.fixture(params=[1, 2])
def old(request, tmp_path):
    """A store of an older version, with a finished trial, a failed one, and one that ran."""
    path = tmp_path / "one" / STORE
    with TrialStore.create(path, {"kind": "a test"}) as store:
        store.begin_session("gone")
        for number in range(3):
            store.begin(Candidate(number, Architecture({"width": number}), seed=number), "gone")
            for step in range(3):
                store.report(number, step, {"x": step / 2}, "gone")
        store.finish(Result(0, {"x": 1.0}, seconds=2.0), "gone")
        store.finish(Result(1, None, "it broke", "at line 3"), "gone")
        before = store.facts(), store.trials()
    into_old(path, request.param)
    return path, before


def test_everything_is_as_it_was(old):
    path, before = old
    with TrialStore.open(path) as store:
        after = store.facts(), store.trials()
        assert after == before
        assert [trial.reports for trial in after[1]] == [trial.reports for trial in before[1]]
        assert store.last_report() == 9
        store.begin_session("next")
        assert store.begin(before[1][2].candidate, "next")
        assert not store.begin(before[1][1].candidate, "next")
        store.report(2, 0, {"x": 5.0}, "next")
        assert [report[0] for report in store.reports_after(9)] == [10]


def test_what_it_becomes_is_what_a_new_one_is(old, tmp_path):
    path, _ = old
    TrialStore.open(path).close()
    TrialStore.create(tmp_path / "new" / STORE, {}).close()
    assert shape(path) == shape(tmp_path / "new" / STORE)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert not db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'old%'").fetchall()


@pytest.mark.parametrize("steps", range(1, len(migrations.TO_3)))
def test_half_a_migration_is_none(old, monkeypatch, steps):
    path, before = old
    unchanged = content(path)
    with monkeypatch.context() as broken:
        broken.setattr(migrations, "TO_3", (*migrations.TO_3[:steps], "SELECT no_such_function()"))
        with pytest.raises(OSError, match="no_such_function"):
            TrialStore.open(path)
    assert content(path) == unchanged
    with TrialStore.open(path) as store:
        assert store.trials() == before[1]


def test_who_only_reads_changes_nothing(old):
    path, before = old
    unchanged = content(path)
    with TrialStore.open(path, read_only=True) as store:
        assert store.trials() == before[1]
    assert content(path) == unchanged


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_experiment_is_looked_at_and_resumed(experiment, widths, version):
    whole = experiment(name="whole", max_trials=10)
    whole.run()
    part = experiment(name="part", max_trials=6)
    part.run()
    into_old(part.folder / STORE, version)
    opened = Experiment.open(part.folder)
    assert widths(opened) == widths(whole)[:6]
    experiment(name="part", max_trials=10).resume()
    assert widths(opened) == widths(whole)
    assert [t.metrics for t in opened.trials] == [t.metrics for t in whole.trials]
    assert len(opened.export_top_models(10, "instance")) == 10
