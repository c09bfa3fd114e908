"""Two coordinators on one PostgreSQL, one of which is killed, and the server with them."""

import runpy
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from nas_search import Experiment
from nas_search.store import backend

pytestmark = pytest.mark.slow
SEARCHING = Path(__file__).with_name("searching.py")
PATIENCE = 600
"""Seconds after which a process hangs, however slow the machine is."""


def start(folder, name, *where):
    return subprocess.Popen(
        [sys.executable, str(SEARCHING), str(folder), name, *map(str, where)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )


def outcome(trials):
    return [(t.number, t.architecture, t.seed, t.state, t.metrics, t.error) for t in trials]


def progress(one):
    return sum(trial.state != "running" for trial in one.trials)


def wait_until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


@pytest.fixture
def grace():
    """For so many seconds after the start of its server nobody is taken for dead."""
    return backend.PATIENCE


@pytest.fixture
def two(server, tmp_path, grace):
    """Two coordinators of one experiment, and what one alone has found."""
    runpy.run_path(str(SEARCHING))["main"](str(tmp_path), "whole", executor="inline")
    expected = Experiment.open(tmp_path / "whole").trials
    url = server.new_database()
    running = [start(tmp_path, "both", tmp_path / place, url, grace) for place in ("here", "there")]
    try:
        wait_until((tmp_path / "here" / "both" / "store.json").exists)
        yield running, Experiment.open(tmp_path / "here" / "both"), expected
    finally:
        for process in running:
            process.kill()
            process.wait()


def calls(one):
    return Counter((one.folder.parents[1] / "both.calls").read_text().split())


def widths(trials):
    return {str(t.architecture["width"]) for t in trials if t.state == "completed"}


def test_no_architecture_twice_though_the_server_restarts(two, server):
    running, one, expected = two
    for reached in (8, 20):
        wait_until(lambda at=reached: progress(one) >= at)
        server.stop()
        time.sleep(0.5)
        server.start()
    for process in running:
        assert process.wait(PATIENCE) == 0
    assert outcome(one.trials) == outcome(expected)
    assert len({trial.session for trial in one.trials}) == 2
    assert calls(one) == dict.fromkeys(widths(expected), 1)


@pytest.mark.parametrize("grace", [0.0])
def test_what_a_killed_one_has_left_is_run_by_the_other(two):
    running, one, expected = two
    wait_until(lambda: progress(one) >= 8)
    wait_until(lambda: len({t.session for t in one.trials if t.state == "running"}) == 2)
    running[0].kill()
    assert running[1].wait(PATIENCE) == 0
    assert outcome(one.trials) == outcome(expected)
    assert set(calls(one)) == widths(expected)
    assert sum(calls(one).values()) - len(calls(one)) <= 2
