"""Experiments in a PostgreSQL database: the same as in a file, and shared; no secret is shown."""

import io
import json
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from nas_search import ConfigError, Experiment, ExperimentConfig, StoreError, TrialStore
from nas_search.observers import ProgressLines
from nas_search.store import Database, StoreMissingError, postgresql
from nas_search.store.address import parsed
from nas_search.store.tables import VERSION
from nas_search.strategies import RegularizedEvolution

SECRET = "hush-hush"


@pytest.fixture
def database(server):
    return server.new_database()


def plain(url):
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def test_it_is_the_same_as_in_a_file(experiment, database):
    def of(width):
        if width % 7 == 0:
            raise ValueError("seven")
        return float(width)

    evolution = RegularizedEvolution(population_size=4, seed=0)
    options = {"fn": of, "strategy": evolution, "max_trials": 15}
    file = experiment(name="file", **options)
    assert file.run() == experiment(name="other", store=database, **options).run()
    opened = Experiment.open(file.folder.parent / "other")
    assert [(t.number, t.architecture, t.seed, t.metrics, t.error) for t in opened.trials] == [
        (t.number, t.architecture, t.seed, t.metrics, t.error) for t in file.trials
    ]
    assert not opened.is_running
    assert opened.objectives == {"value": "maximize"}
    assert opened.export_top_models(3) == file.export_top_models(3)
    best = opened.export_top_models(1, "instance")[0].layer.out_features
    assert best == max(trial.metrics["value"] for trial in file.trials if trial.metrics)


def test_interrupted_and_resumed(experiment, database, widths):
    whole = experiment(name="whole")
    whole.run()
    calls = []

    def interrupted(width):
        calls.append(width)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return width

    one = experiment(interrupted, name="one", store=database)
    with pytest.raises(KeyboardInterrupt):
        one.run()
    assert [trial.state for trial in one.trials] == ["completed"] * 6
    with pytest.raises(StoreError, match="exists already, with 6 trials"):
        one.run()
    assert one.resume() == "all 12 trials are done"
    assert widths(one) == widths(whole)
    assert len(calls) == 13


def test_many_experiments_in_one_database(experiment, database, widths):
    for name in ("digits", "letters"):
        experiment(name=name, store=database, max_trials=3).run()
    assert len(experiment(name="digits", store=database).trials) == 3
    with pytest.raises(StoreMissingError, match="no experiment 'digit' here; did you mean 'digits"):
        experiment(name="digit", store=database).resume()
    assert experiment(name="digit", store=database).trials == ()


class Heard:
    """Which trials an observer is told of: those that ran here, and those that did not."""

    def __init__(self):
        self.finished, self.learned = [], []

    def nas_trial_finished(self, trial, experiment):
        self.finished.append(trial.number)

    def nas_trial_learned(self, trial, experiment):
        self.learned.append(trial.number)


def test_two_at_once_run_each_architecture_once(experiment, database, widths, tmp_path):
    whole = experiment(name="whole", max_trials=30)
    whole.run()
    calls, ends, both = [], [], threading.Barrier(2)
    heard = {directory: (Heard(), io.StringIO()) for directory in ("here", "there")}
    moments = iter([True, True])

    def of(width):
        if next(moments, False):
            both.wait(timeout=600)  # the second is there before the first has done anything
        calls.append(width)
        return float(width)

    def run(directory):
        hears, lines = heard[directory]
        told = [hears, ProgressLines(lines, tmp_path / directory / "two")]
        one = experiment(of, store=database, name="two", max_trials=30, observers=told)
        config = one.config
        one.folder = tmp_path / directory / "two"
        ends.append(one.run())
        assert config.store == database

    threads = [threading.Thread(target=run, args=(name,)) for name in ("here", "there")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == ["all 30 trials are done"] * 2
    assert sorted(calls) == sorted(widths(whole))
    one = Experiment.open(tmp_path / "here" / "two")
    assert widths(one) == widths(whole)
    assert len({trial.session for trial in one.trials}) == 2
    assert sorted(n for hears, _ in heard.values() for n in hears.finished) == list(range(30))
    for hears, lines in heard.values():
        assert sorted(hears.finished + hears.learned) == list(range(30))
        assert lines.getvalue().splitlines()[-2].startswith("[30/30] trial ")


def test_tables_made_while_another_waits_to_make_them(database):
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    shared = parsed(database)

    def make(name):
        postgresql.create_experiment(Database(shared, name), lambda *_: None)

    with plain(database) as holds, ThreadPoolExecutor(2) as pool:
        holds.execute(f"SELECT pg_advisory_lock({postgresql.LOCKS}, 0)")
        both = [pool.submit(make, name) for name in ("one", "two")]
        while holds.execute(waiting).fetchone() != (2,):
            assert not any(one.done() for one in both)
        holds.execute("SELECT pg_advisory_unlock_all()")
        for one in both:
            one.result(60)


def test_what_differs_is_named(experiment, database):
    experiment(store=database, max_trials=2).run()
    with pytest.raises(StoreError, match="not the same experiment:\n  seed was 0 and is 1\n"):
        experiment(store=database, max_trials=3, seed=1).resume()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 1}, r"127\.0\.0\.1:1/.*can't be reached: .*refused.*see that the server runs"),
        ({"database": "nowhere"}, r'can.t be reached: .*"nowhere" does not exist; create it'),
        ({"username": "nobody"}, r'can.t be reached: .*"nobody" does not exist; create the user'),
    ],
)
def test_out_of_reach(experiment, database, change, message):
    url = parsed(database).set(**change, password=SECRET).render_as_string(hide_password=False)
    one = experiment(store=url)
    with pytest.raises(StoreError, match=message) as raised:
        one.run()
    assert SECRET not in str(raised.value)
    assert not one.folder.exists()


def test_a_user_without_rights(experiment, server, database):
    experiment(store=database, max_trials=1).run()
    with plain(database) as db:
        db.execute("CREATE USER guest")
    guest = database.replace(f"//{server.user}@", "//guest@")
    with pytest.raises(StoreError, match="the user has not the rights: they need CREATE"):
        experiment(store=guest, name="theirs").run()
    with plain(database) as db:
        db.execute("GRANT USAGE ON SCHEMA nas TO guest")
    with pytest.raises(StoreError, match="the user has not the rights: they need CREATE"):
        experiment(store=guest, name="theirs").run()


def test_without_the_driver(experiment, database, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"needs psycopg: pip install 'nas-search\[postgresql\]'"):
        experiment(store=database).run()


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("postgresq://me@host/x", "store: no database of the kind 'postgresq' .* did you mean"),
        ("sqlite:///x.db", "no database of the kind 'sqlite'"),
        (f"me:{SECRET}@host", "store: not the URL of a database, such as postgresql"),
    ],
)
def test_urls_that_are_none(store, message):
    with pytest.raises(ConfigError, match=message) as raised:
        ExperimentConfig(store=store)
    assert SECRET not in str(raised.value)


def test_a_newer_schema_and_a_foreign_one(database):
    here = Database(parsed(database), "one")
    with plain(database) as db:
        db.execute("CREATE SCHEMA nas")
        db.execute("CREATE TABLE nas.trials (id INTEGER)")
    with pytest.raises(StoreError, match="schema 'nas' of this database is another program's"):
        TrialStore.create(here, {})
    with plain(database) as db:
        db.execute("DROP TABLE nas.trials")
    TrialStore.create(here, {}).close()
    with plain(database) as db:
        db.execute("UPDATE nas.schema_version SET version = 9")
    for read_only in (True, False):
        with pytest.raises(
            StoreError, match=f"version 9, and this nas-search knows up to {VERSION}:"
        ):
            TrialStore.open(here, read_only=read_only)


def test_an_older_schema_is_brought_up_to_date(database, monkeypatch):
    here = Database(parsed(database), "one")
    TrialStore.create(here, {}).close()
    seen = []
    monkeypatch.setattr(postgresql, "VERSION", VERSION + 1)
    monkeypatch.setattr(postgresql, "migrate", lambda _connection, version: seen.append(version))
    with pytest.raises(StoreError, match=f"version {VERSION}, .* has {VERSION + 1}: resume"):
        TrialStore.open(here, read_only=True)
    for _ in range(2):
        TrialStore.open(here).close()
    TrialStore.open(here, read_only=True).close()
    assert seen == [VERSION]


def test_the_password_is_nowhere(experiment, server, database, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    rules = server.folder / "data" / "pg_hba.conf"
    with plain(database) as db:
        name = f"user_{parsed(database).database}"
        db.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
        db.execute(f"GRANT ALL ON DATABASE {parsed(database).database} TO {name}")
        before = rules.read_text()
        rules.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{before}")
        db.execute("SELECT pg_reload_conf()")
    url = parsed(database).set(username=name, password=SECRET)
    seen = []

    class Watching:
        def nas_experiment_started(self, experiment, config):
            seen.append(config)

    one = experiment(
        store=url.render_as_string(hide_password=False), observers=[Watching()],
        executor="local", max_trials=3,
    )  # fmt: skip
    one.run()
    assert len(one.trials) == 3
    assert seen[0].store == f"postgresql+psycopg://{name}@127.0.0.1:{server.port}/{url.database}"
    with pytest.raises(StoreError, match=r"password.*; give the password in ~/\.pgpass") as wrong:
        experiment(store=str(url).replace("***", "wrong")).resume()
    with plain(database) as db:
        rows = [
            str(row) for table in ("facts", "trials") for row in db.execute(f"TABLE nas.{table}")
        ]
    files = [path.read_bytes() for path in one.folder.rglob("*") if path.is_file()]
    shown = [repr(one.config), repr(seen), repr(one.address), str(wrong.value), caplog.text]
    assert not [text for text in [*rows, *shown, *capfd.readouterr()] if SECRET in text]
    assert not [content for content in files if SECRET.encode() in content]
    assert "wrong" not in str(wrong.value)
    record = json.loads((one.folder / "store.json").read_text())
    assert record == {"store": seen[0].store, "experiment": "experiment"}
    monkey = pytest.MonkeyPatch()
    with monkey.context() as environment:
        environment.setenv("PGPASSWORD", SECRET)
        assert len(Experiment.open(one.folder).trials) == 3
    rules.write_text(before)


def test_a_restart_between_any_two_steps_changes_nothing(server, database):
    from nas_core import Architecture, Candidate, Result

    here = Database(parsed(database), "one")
    candidate, kept = Candidate(0, Architecture({"width": 1}), 0), []

    def again():
        server.stop()
        server.start()

    with TrialStore.create(here, {}) as store:
        store.begin_session("a")
        again()
        assert store.is_running
        assert store.begin(candidate, "a")
        again()
        store.report(0, 0, {"x": 1.0}, "a")
        again()
        assert store.finish(Result(0, {"x": 1.0}), "a", lambda: kept.append(1))
        again()
        assert store.trial(0).metrics == {"x": 1.0}
        assert len(store.reports_after(0)) == 1
    assert kept == [1]


def test_patience_ends(server, database, monkeypatch):
    monkeypatch.setattr("nas_search.store.backend.PATIENCE", 0.3)
    here = Database(parsed(database), "one")
    with TrialStore.create(here, {}) as store:
        server.stop()
        try:
            with pytest.raises(StoreError, match="can't be reached"):
                store.trials()
        finally:
            server.start()
        assert store.trials() == ()
