"""What a store that can't be used says, and that it loses nothing."""

import os
import sqlite3
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir

import pytest
from nas_core import Architecture, Candidate, Result
from nas_search import Experiment, StoreError, TrialStore
from nas_search.store import STORE, StoreExistsError, backend
from nas_search.store.tables import VERSION


@pytest.fixture
def created(address):
    """The address of a store in which a session has begun."""
    with TrialStore.create(address, {"name": "one"}) as store:
        store.begin_session("a")
    return address


@pytest.fixture
def path(tmp_path):
    with TrialStore.create(tmp_path / "one" / STORE, {"name": "one"}) as store:
        store.begin_session("a")
    return tmp_path / "one" / STORE


def writing(store):
    return store._backend.writing.begin()


def candidate(number):
    return Candidate(number, Architecture({"width": number}), seed=number)


def test_results_are_stored_once(created):
    with TrialStore.open(created) as store:
        store.begin(candidate(0), "a")
        assert store.finish(Result(0, {"x": 1.0}), "a")
        assert not store.finish(Result(0, None, "late"), "a")
        store.begin(candidate(0), "a")
        assert store.trial(0).metrics == {"x": 1.0}


def test_an_earlier_session_can_write_nothing(created):
    kept = []
    with TrialStore.open(created) as store:
        store.begin(candidate(0), "a")
        store.begin_session("b")
        store.report(0, 1, {"x": 1.0}, "a")
        assert not store.finish(Result(0, {"x": 1.0}), "a", lambda: kept.append(1))
        assert store.trial(0).state == "running"
        assert store.trial(0).reports == ()
        store.begin(candidate(0), "b")
        assert store.finish(Result(0, {"x": 2.0}), "b", lambda: kept.append(2))
    assert kept == [2]


def test_a_trial_belongs_to_one_session(created):
    with TrialStore.open(created) as store, TrialStore.open(created) as other:
        store.begin_session("a")
        assert store.begin(candidate(0), "a")
        assert not other.begin(candidate(0), "b")
        assert not other.begin(Candidate(1, candidate(0).architecture, 1), "b")
        assert other.begin(candidate(1), "b")
        other.report(0, 0, {"x": 1.0}, "b")
        assert not other.finish(Result(0, {"x": 1.0}), "b")
        assert store.trial(0).reports == ()
        store.put_back("a")
        assert other.begin(candidate(0), "b")
        assert [trial.session for trial in store.trials()] == ["b", "b"]


def test_a_report_that_is_sent_twice_is_stored_once(created, monkeypatch):
    """Its connection may have broken after it was stored, and before that was known."""
    with TrialStore.open(created) as store:
        store.begin(candidate(0), "a")
        with monkeypatch.context() as stopped:
            stopped.setattr("time.time", lambda: 5.0)
            for _ in range(2):
                store.report(0, 0, {"x": 1.0}, "a")
        store.report(0, 0, {"x": 1.0}, "a")
        assert [ordinal for ordinal, _, _ in store.reports_after(0)] == [1, 2]


def test_any_text_is_stored(created):
    with TrialStore.open(created) as store:
        store.begin(Candidate(0, Architecture({"a\0b": "c\0d"}), 2**32 - 1), "a")
        assert store.finish(Result(0, None, "E: \0\x1b[1m'\"%s :x \N{SNOWMAN}", "\0"), "a")
        trial = store.trial(0)
    assert trial.architecture == Architecture({"a\0b": "c\0d"})
    assert trial.seed == 2**32 - 1
    assert trial.error == "E: \ufffd\x1b[1m'\"%s :x \N{SNOWMAN}"


def test_there_is_one_of_a_name(created):
    with pytest.raises(StoreExistsError, match="here already"):
        TrialStore.create(created, {})


def test_put_back_forgets_what_ran(created):
    with TrialStore.open(created) as store:
        store.begin(candidate(0), "a")
        store.finish(Result(0, {"x": 1.0}), "a")
        store.begin(candidate(1), "a")
        store.report(1, 0, {"x": 1.0}, "a")
        store.put_back("a")
        assert [trial.number for trial in store.trials()] == [0]


def test_it_opens_with_any_sqlite_tool(path):
    with TrialStore.open(path) as store:
        store.begin(candidate(3), "a")
        store.finish(Result(3, {"x": 1.0}), "a")
    plain = sqlite3.connect(path)
    assert plain.execute("SELECT number, state, metrics FROM trials").fetchall() == [
        (3, "completed", '{"x":1.0}')
    ]
    assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_locked(path, monkeypatch):
    monkeypatch.setattr(backend, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with TrialStore.open(path) as store:
        with pytest.raises(StoreError, match=r"trials\.sqlite: .*locked by another program"):
            store.begin(candidate(0), "a")
        other.execute("ROLLBACK")
        other.close()
        store.begin(candidate(0), "a")


def test_full(path):
    with TrialStore.open(path) as store:
        store.begin(candidate(0), "a")
        store.finish(Result(0, {"x": 1.0}), "a")
        with writing(store) as db:
            db.exec_driver_sql("PRAGMA max_page_count = 1")

        def fill():
            for number in range(1, 500):
                store.begin(candidate(number), "a")

        with pytest.raises(StoreError, match="the disk is full: make room, then resume"):
            fill()
    with TrialStore.open(path) as store:
        assert store.trial(0).metrics == {"x": 1.0}


def test_a_disk_that_fills_up_ends_the_run_and_a_resume_finishes_it(experiment, monkeypatch):
    one = experiment(max_trials=12, save_weights="none")
    original = TrialStore.begin

    def full(self, candidate, session):
        if candidate.number == 6:
            with writing(self) as db:
                db.exec_driver_sql("CREATE TABLE big (x)")
            with writing(self) as db:
                pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
                db.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            self._write(lambda db: db.exec_driver_sql("INSERT INTO big VALUES (zeroblob(100000))"))
        return original(self, candidate, session)

    monkeypatch.setattr(TrialStore, "begin", full)
    with pytest.raises(StoreError, match="the disk is full"):
        one.run()
    monkeypatch.setattr(TrialStore, "begin", original)
    before = one.trials
    assert [trial.state for trial in before] == ["completed"] * 6
    one.resume()
    assert one.trials[:6] == before
    assert len(one.trials) == 12


def test_weights_that_cannot_be_written_are_no_fault_of_the_candidate(experiment):
    one = experiment(max_trials=4)
    (one.folder).mkdir(parents=True)
    (one.folder / "weights").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="weights can't be written"):
        one.run()
    assert one.trials == ()
    (one.folder / "weights").unlink()
    one.resume()
    assert {trial.state for trial in one.trials} == {"completed"}


def test_read_only(experiment, tmp_path):
    one = experiment(max_trials=2)
    one.run()
    tmp_path.chmod(0o755)
    for folder in takewhile(lambda one: one != Path(gettempdir()), tmp_path.parents):
        folder.chmod(0o755)
    script = (
        "import sys\n"
        "import os\n"
        "from pathlib import Path\n"
        "from nas_search import TrialStore\n"
        "path = Path(sys.argv[1])\n"
        "os.setuid(65534) if os.getuid() == 0 else None\n"
        "store = TrialStore.open(path, read_only=True)\n"
        "print(len(store.trials()))\n"
        "TrialStore.open(path).begin_session('x')\n"
    )
    for part in (one.folder, *one.folder.iterdir()):
        part.chmod(0o555 if part.is_dir() else 0o444)
    done = subprocess.run(
        [sys.executable, "-c", script, str(one.folder / STORE)],
        check=False,
        capture_output=True,
        text=True,
    )
    for part in (one.folder, *one.folder.iterdir()):
        part.chmod(0o755)
    assert done.stdout == "2\n", done.stderr
    assert "StoreError" in done.stderr
    assert "read-only" in done.stderr or "rights of file and folder" in done.stderr


def test_newer(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 9")
    db.close()
    known = rf"version 9, and this nas-search knows up to {VERSION}: update"
    with pytest.raises(StoreError, match=known):
        TrialStore.open(path)


def test_no_database(path):
    path.write_text("hello " * 1000)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with pytest.raises(StoreError, match="this is no SQLite database"):
        TrialStore.open(path)
    with pytest.raises(StoreError, match="this is no SQLite database") as caught:
        TrialStore.open(path, read_only=True)
    descriptors = Path("/proc/self/fd")  # where there is such a thing
    opened = [os.path.realpath(each) for each in descriptors.glob("*")]
    assert str(path) not in opened, caught  # Its traceback would hold a connection that is left.


def test_a_foreign_database(tmp_path):
    db = sqlite3.connect(tmp_path / STORE)
    db.execute("CREATE TABLE studies (id)")
    db.close()
    with pytest.raises(StoreError, match="a database of another program"):
        Experiment.open(tmp_path)


def test_none(tmp_path):
    with pytest.raises(StoreError, match="there is no experiment here"):
        Experiment.open(tmp_path / "nothing")


def test_errors_travel_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(StoreError("x.sqlite", "is full")))
    assert (str(error), error.reason) == ("x.sqlite: is full", "is full")
    assert os.fspath(error.path) == "x.sqlite"
