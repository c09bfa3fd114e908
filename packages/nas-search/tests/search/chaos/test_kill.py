"""``kill -9`` at random moments: what finished stays, is not repeated, and the end is the same."""

import os
import random
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from nas_search import TrialStore

pytestmark = pytest.mark.slow
SEARCHING = Path(__file__).with_name("searching.py")
PRUNING = Path(__file__).with_name("pruning.py")
PATIENCE = 600
"""Seconds after which a process hangs, however slow the machine is."""


def start(folder, name):
    return subprocess.Popen(
        [sys.executable, str(SEARCHING), str(folder), name],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def finished(folder, name):
    path = folder / name / "trials.sqlite"
    if not path.exists():
        return {}
    with TrialStore.open(path, read_only=True) as store:
        return {trial.number: trial for trial in store.trials() if trial.state != "running"}


def wait_for(process, folder, count):
    """Until so many trials have finished, or the process has ended."""
    while process.poll() is None and len(finished(folder, "killed")) < count:
        time.sleep(0.05)


def outcome(trials):
    return [
        (t.number, t.architecture, t.seed, t.state, t.metrics, t.error) for t in trials.values()
    ]


def undisturbed(folder):
    """What the search finds that nobody kills, in this process: no executor may change it."""
    runpy.run_path(str(SEARCHING))["main"](str(folder), "whole", executor="inline")
    return finished(folder, "whole")


def kill_everything(process):
    os.killpg(process.pid, signal.SIGKILL)


def kill_the_coordinator(process):
    process.kill()


def killed_often(folder, kills, kill, seed):
    """Kill and resume; after each, check what finished. Returns how many kills hit a run."""
    rng = random.Random(seed)
    hits, before = 0, {}
    for _ in range(kills):
        process = start(folder, "killed")
        wait_for(process, folder, len(before) + rng.randrange(9))
        time.sleep(rng.random() / 2)
        if process.poll() is None:
            hits += 1
            kill(process)
        process.wait()
        now = finished(folder, "killed")
        for number, trial in before.items():
            assert now[number] == trial, "a finished trial was lost or repeated"
        for number, trial in now.items():
            weights = folder / "killed" / "weights" / f"{number}.safetensors"
            assert weights.exists() == (trial.state == "completed")
        before = now
    process = start(folder, "killed")
    assert process.wait(PATIENCE) == 0
    after = finished(folder, "killed")
    assert all(after[number] == trial for number, trial in before.items())
    return hits


def check(folder, kills, kill, seed):
    expected = undisturbed(folder)
    hits = killed_often(folder, kills, kill, seed)
    assert hits > 0
    found = finished(folder, "killed")
    assert len(expected) == 40
    assert outcome(found) == outcome(expected)
    calls = Counter((folder / "killed.calls").read_text().split())
    completed = {str(t.architecture["width"]) for t in found.values() if t.state == "completed"}
    assert set(calls) == completed
    # Only trials that ran at a kill are run again: at most two at each.
    assert sum(calls.values()) - len(calls) <= 2 * hits
    assert not list((folder / "killed" / "weights").glob("*.tmp"))


@pytest.mark.parametrize("kill", [kill_everything, kill_the_coordinator])
def test_three_kills(tmp_path, kill):
    check(tmp_path, kills=3, kill=kill, seed=5)


def test_workers_do_not_outlive_the_coordinator(tmp_path):
    process = start(tmp_path, "killed")
    wait_for(process, tmp_path, 1)
    process.kill()
    process.wait()
    deadline = time.monotonic() + PATIENCE
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(process.pid) == []


def test_a_killed_search_prunes_what_it_would_have_pruned(tmp_path):
    """With one worker: the pruner's view comes back from the store."""

    run = runpy.run_path(str(PRUNING))["main"]
    run(str(tmp_path), "whole", 0)
    whole = finished(tmp_path, "whole")
    for at in ("23", "40"):
        command = [sys.executable, PRUNING, tmp_path, "killed", at]
        done = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)
        assert done.returncode == -signal.SIGKILL
    run(str(tmp_path), "killed", 0)
    killed = finished(tmp_path, "killed")
    assert outcome(killed) == outcome(whole)
    assert [t.pruned for t in killed.values()] == [t.pruned for t in whole.values()]
    assert [t.reports for t in killed.values()] == [t.reports for t in whole.values()]
    assert {"pruned", "completed"} == {trial.state for trial in whole.values()}


def members(session):
    """The processes of a session that are alive: workers lead groups of their own in it."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, in_session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(in_session) == session and state not in "ZX":
            found.append(stat.parent.name)
    return found


if __name__ == "__main__":  # python test_kill.py: twenty kills
    import tempfile

    print(check(Path(tempfile.mkdtemp()), 20, kill_everything, seed=time.time_ns()) or "as it was")
