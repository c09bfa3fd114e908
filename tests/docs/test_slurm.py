"""The programs for Slurm in the documents run, as far as they can where there is none.

With submitit the jobs are processes of this machine. For Dask `sbatch` is a stand-in, which starts
a copy of the script that it is given, as Slurm would on another machine.
"""

import contextlib
import os
import runpy
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT, blocks
from nas_search import Experiment

pytestmark = pytest.mark.slow
SBATCH = """#!/bin/sh
job=$(cat "$1")
setsid sh -c "$job" >> worker.log 2>&1 &
echo $! >> workers
echo Submitted batch job $!
"""
SCANCEL = """#!/bin/sh
kill -9 -- -"$1"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the page in an empty folder, which is the current one."""
    for block in blocks((ROOT / "docs" / "clusters.md").read_text()):
        if block.title:
            Path(tmp_path, block.title).write_text(block.code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # Where jobs are to find the modules of this folder, as they do on a cluster.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield tmp_path
    sys.modules.pop("widths", None)


def metrics(name: str) -> list[Any]:
    return [trial.metrics for trial in Experiment.open(Path("nas-experiments", name)).trials]


EVERY_WIDTH = [{"value": 2.0}, {"value": 4.0}, {"value": 8.0}]


def test_each_trial_is_a_job(programs: Path) -> None:
    names = runpy.run_path(str(programs / "one_by_one.py"), run_name="__main__")
    assert metrics("one-by-one") == EVERY_WIDTH
    assert len(list((programs / "jobs").glob("*_submitted.pkl"))) == 4  # and the first look

    def raises() -> None:
        raise TimeoutError("too long")

    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    batch = names["Batch"](names["slurm"], 3)
    ends: list[Future[Any]] = [batch.submit(fn) for fn in (raises, dies)]
    assert isinstance(ends[0].exception(), TimeoutError)
    assert isinstance(ends[1].exception(), names["BrokenExecutor"])
    hangs = batch.submit(time.sleep, 600)
    batch.shutdown()
    assert hangs.exception() is not None


def test_jobs_are_workers(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        command = programs / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(text)
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs / 'bin'}:{os.environ['PATH']}")
    try:
        names = runpy.run_path(str(programs / "as_workers.py"), run_name="__main__")
    finally:
        for process in Path("workers").read_text().split():
            with contextlib.suppress(ProcessLookupError):  # it has ended with its cluster
                os.killpg(int(process), signal.SIGKILL)
    assert metrics("as-workers") == EVERY_WIDTH
    script = names["cluster"].job_script()
    for line in ("#SBATCH -p gpu", "#SBATCH --gres=gpu:1", "#SBATCH -t 08:00:00"):
        assert line in script
