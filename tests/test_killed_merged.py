"""``kill -9`` while candidates are trained as one: the search goes on as if that had not been."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from nas_search import TrialStore

SPACE = """
import time
from pathlib import Path

import nas_core as nas
import nas_core.nn as nn
import torch
from nas_search.evaluators import SupervisedEvaluator

@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = nn.ValueChoice(list(range(4, 12)), label="width")
        self.first, self.last = nn.Linear(3, width), nn.Linear(width, 2)
        self.act = nn.LayerChoice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act")

    def forward(self, x):
        return self.last(self.act(self.first(x)))

def total(outputs, target):
    '''Slow, so that a kill finds work being done; written down, so that work done twice shows.'''
    time.sleep(0.1)
    found = float(outputs.double().sum())
    with Path("measured").open("a") as file:
        file.write(f"{found}\\n")
    return found

x = torch.linspace(-1, 1, 60).reshape(20, 3)
evaluator = SupervisedEvaluator(
    train=(x, (x.sum(1) > 0).long()), optimizer_options={"lr": 0.1, "momentum": 0.9}, epochs=2,
    batch_size=8, metrics={"total": total}, objectives={"total": "maximize"}, device="cpu",
    threads=1,
)
"""
SEARCH = """
name = "merged"
model = "space.py:Net"
evaluator = "space.py:evaluator"
execution_engine = "cgo"
max_trials = 16
trial_concurrency = 2
lookahead = 8

[engine_options]
exact = true
cluster_size = 4

[strategy]
name = "regularized_evolution"
population_size = 4
"""


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """A command in a session of its own, with its output in a file there."""
    folder.mkdir(exist_ok=True)
    (folder / "space.py").write_text(SPACE)
    (folder / "search.toml").write_text(SEARCH)
    with (folder / "output").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "nas_cli", *words], cwd=folder, start_new_session=True,
            stdout=output, stderr=output,
        )  # fmt: skip


def trials(folder: Path):
    """The trials that have ended, and the numbers of those that are running."""
    path = folder / "nas-experiments" / "merged" / "trials.sqlite"
    if not path.exists():
        return {}, []
    with TrialStore.open(path, read_only=True) as store:
        found = store.trials()
    ended = {trial.number: trial for trial in found if trial.state != "running"}
    return ended, [trial.number for trial in found if trial.state == "running"]


def kill_at_work(folder: Path):
    """Kill a search when some trials have ended and others are being trained.

    It is stopped while it is looked at, so that it is killed in just the state that was seen.
    """
    process = start(folder, "run", "search.toml")
    deadline = time.monotonic() + 600
    try:
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
            if not trials(folder)[0]:
                continue
            os.killpg(process.pid, signal.SIGSTOP)
            ended, running = trials(folder)
            if running and (folder / "measured").read_text().count("\n") > 2 * len(ended):
                return ended, running
            os.killpg(process.pid, signal.SIGCONT)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    raise AssertionError((folder / "output").read_text())


def outcomes(found):
    return [(t.number, t.architecture, t.seed, t.state, t.metrics) for t in found.values()]


def test_a_killed_search_of_merged_candidates_goes_on(tmp_path: Path) -> None:
    before, interrupted = kill_at_work(tmp_path / "killed")
    resumed = start(tmp_path / "killed", "resume", "merged")
    whole = start(tmp_path / "whole", "run", "search.toml")
    for process, name in ((resumed, "killed"), (whole, "whole")):
        assert process.wait(timeout=600) == 0, (tmp_path / name / "output").read_text()
    (after, _), (expected, _) = trials(tmp_path / "killed"), trials(tmp_path / "whole")
    assert list(expected) == list(range(16))
    assert outcomes(after) == outcomes(expected)
    assert {number: after[number] for number in before} == before
    # What had ended was measured once; what ran at the kill was perhaps measured twice.
    times = Counter((tmp_path / "killed" / "measured").read_text().split())
    counts = {number: times[str(trial.metrics["total"])] for number, trial in after.items()}
    assert {number for number, count in counts.items() if count != 1} <= set(interrupted)
    assert set(counts.values()) <= {1, 2}
    assert "4 trained as one" in (tmp_path / "killed" / "output").read_text()
