"""Workers and coordinators killed, on each executor: the search ends as if nothing had been.

python executors.py KILLS EXECUTOR...: so many kills of the coordinator; a quarter of the
architectures kill their worker, too. It takes minutes.
"""

import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nas_search import Experiment

SEARCHING = Path(__file__).with_name("searching.py")


def start(folder, name, *where):
    return subprocess.Popen(
        [sys.executable, str(SEARCHING), str(folder), name, *where],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def outcome(folder, name):
    trials = Experiment.open(folder / name).trials
    return [(t.number, t.architecture, t.seed, t.state, t.metrics, t.error) for t in trials]


def finished(folder):
    if not (folder / "killed" / "trials.sqlite").exists():
        return 0
    return sum(trial.state != "running" for trial in Experiment.open(folder / "killed").trials)


def killed(folder, executor, kills, seed):
    """Kill the coordinator while trials run, then let it end; returns how often it was begun."""
    rng = random.Random(seed)
    for begun in range(1, 61):
        enough = finished(folder) + rng.randrange(1, 6) if begun <= kills else math.inf
        process = start(folder, "killed", "", "", executor)
        deadline = time.monotonic() + 120
        while process.poll() is None and finished(folder) < enough:
            assert time.monotonic() < deadline, "it hangs"
            time.sleep(0.1)
        process.kill()
        if process.wait() == 0:
            return begun
        assert process.returncode == -signal.SIGKILL
    raise AssertionError("it never ends")


def check(folder, executor, kills, seed):
    whole = start(folder, "whole")
    assert whole.wait(timeout=120) == 0
    begun = killed(folder, executor, kills, seed)
    expected, found = outcome(folder, "whole"), outcome(folder, "killed")
    assert len(expected) == 40
    assert found == expected
    lost = len(list(folder.glob("killed.[0-9]*")))
    assert lost > 0
    assert not list((folder / "killed").glob("*/*.tmp"))
    return f"{executor}: {begun} coordinators, {lost} trials that killed a worker or coordinator"


if __name__ == "__main__":
    kills, *executors = sys.argv[1:]
    for each in executors:
        print(check(Path(tempfile.mkdtemp()), each, int(kills), seed=time.time_ns()), flush=True)
