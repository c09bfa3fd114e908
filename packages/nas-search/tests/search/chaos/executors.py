"""200 trials under everything that may happen to them, on each executor and in each store.

python executors.py [EXECUTOR...] [STORE...]: by default local, dask and ray, one after the other,
each with sqlite and with postgresql. Workers are killed at random by the numbers of their
processes, every few seconds in which trials end; the coordinator is killed three times and resumed;
the disk of the store is full once; the server is stopped at once and started again, twice. In the
end every trial has one result, and those that nobody killed have the one that they have when
nothing happens.

It takes half an hour on two cores. The small disk needs root, to be mounted.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nas_search import Experiment
from nas_search.testing import Server, postgresql_programs, postgresql_server

EXPLORING = Path(__file__).with_name("exploring.py")
TRIALS = 200
MEGABYTE = 2**20
SIZES = {"sqlite": 16 * MEGABYTE, "postgresql": 192 * MEGABYTE}
PATIENCE = 600
"""Seconds in which a coordinator must end, or a trial with it."""


@dataclass
class Torment:
    """One tormented search, and what was done to it."""

    folder: Path
    executor: str
    disk: Path | None
    server: Server | None
    rng: random.Random
    url: str = ""
    killed: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Torment it until it has ended."""
        plan = self._plan()
        while True:
            process = self._started()
            code = self._watched(process, plan)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                said = (self.folder / "stderr").read_text()
                assert "full" in said or "No space" in said, said[-2000:]
                self.done["refused"] += 1
        assert not plan, f"it ended before all was done to it: {plan}"

    def _plan(self) -> list[tuple[int, str]]:
        acts = ["coordinator"] * 3
        acts += ["disk"] if self.disk else []
        acts += ["server"] * 2 if self.server else []
        self.rng.shuffle(acts)
        at = sorted(self.rng.sample(range(5, TRIALS - 30), len(acts)))
        return list(zip(at, acts, strict=True))

    def _started(self) -> "subprocess.Popen[bytes]":
        self.done["begun"] += 1
        for mark in (self.folder / "killed.running").glob("*"):
            mark.unlink(missing_ok=True)  # of trials that were stopped with their coordinator
        where = str(self.disk / "experiments" if self.disk else self.folder)
        arguments = [str(self.folder), "killed", self.executor, where, self.url]
        with (self.folder / "stderr").open("w") as stderr:
            return start(*arguments, stderr=stderr)

    def _watched(self, process: "subprocess.Popen[bytes]", plan: list[tuple[int, str]]) -> int:
        """Until it has ended, do what is due; returns its exit code."""
        deadline = time.monotonic() + PATIENCE
        next_kill, before = time.monotonic() + self.rng.uniform(3, 8), self._progress()
        while process.poll() is None:
            assert time.monotonic() < deadline, "it hangs"
            if self._progress() == before:  # it has not come back from the last kill
                next_kill = time.monotonic() + self.rng.uniform(3, 8)
            elif time.monotonic() >= next_kill and self._kill_a_worker():
                next_kill, before = time.monotonic() + self.rng.uniform(3, 8), self._progress()
            if plan and self._progress() >= plan[0][0]:
                self._do(plan.pop(0)[1], process)
            time.sleep(0.1)
        return process.returncode

    def _progress(self) -> int:
        calls = self.folder / "killed.calls"
        return len(calls.read_text().split()) if calls.exists() else 0

    def _kill_a_worker(self) -> bool:
        """Kill what runs a trial: its own process where there is none between, else a worker."""
        marks = list((self.folder / "killed.running").glob("*"))
        self.rng.shuffle(marks)
        for mark in marks:
            with suppress(FileNotFoundError, ValueError, ProcessLookupError):
                own, worker = map(int, mark.read_text().split())
                mark.unlink()
                os.kill(own, 0)
                os.kill(own if self.executor == "local" else worker, signal.SIGKILL)
                self.killed[mark.name] += 1
                self.done["workers"] += 1
                return True
        return False

    def _do(self, act: str, process: "subprocess.Popen[bytes]") -> None:
        self.done[act] += 1
        if act == "coordinator":
            process.kill()
            process.wait()
        elif act == "server":
            self.server.stop()
            time.sleep(self.rng.uniform(0.5, 5))
            self.server.start()
        else:
            with filled(self.disk), suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            if self.server and not self.server.is_running:
                self.server.start()


def start(*arguments: str, stderr) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, str(EXPLORING), *arguments],
        start_new_session=True,
        stderr=stderr,
        stdout=subprocess.DEVNULL,
    )


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path | None]:
    """A disk of this size; none where it can't be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(disk)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"skipped: no disk fills, since none can be mounted: {done.stderr.strip()}")
        yield None
        return
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Nothing more can be written to it meanwhile."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


def outcomes(experiment: Experiment):
    return {
        t.number: (t.architecture, t.seed, t.state, t.metrics, t.error) for t in experiment.trials
    }


def compare(torment: Torment, whole: Experiment, killed: Experiment) -> int:
    """Check each trial; returns how many were lost to what killed them."""
    expected, found = outcomes(whole), outcomes(killed)
    assert list(found) == list(expected) == list(range(TRIALS))
    lost = 0
    for number, (architecture, seed, state, metrics, error) in found.items():
        assert (architecture, seed) == expected[number][:2]
        if (state, metrics, error) != expected[number][2:]:
            lost += 1
            assert state == "failed"
            times, width = torment.killed[str(architecture["width"])], architecture["width"]
            needed = 1 if torment.executor == "local" else 3
            assert times >= needed, (number, width, times, error)
    weights = {path.name for path in (killed.folder / "weights").iterdir()}
    completed = {f"{t.number}.safetensors" for t in killed.trials if t.state == "completed"}
    assert weights == completed, (weights - completed, completed - weights)
    return lost


def check(executor: str, store: str, seed: int) -> str:
    folder = Path(tempfile.mkdtemp(prefix="nas-chaos-"))
    folder.chmod(0o755)  # the server is another user's
    whole = start(str(folder), "whole", "inline", stderr=subprocess.DEVNULL)
    assert whole.wait(timeout=PATIENCE) == 0
    with small_disk(folder, SIZES[store]) as disk:
        programs = postgresql_programs() if store == "postgresql" else None
        serving = postgresql_server(programs, disk) if programs else nullcontext()
        with serving as server:
            url = server.new_database() if server else ""
            torment = Torment(folder, executor, disk, server, random.Random(seed), url)
            began = time.monotonic()
            torment.run()
            took = time.monotonic() - began
            killed = Experiment.open((disk / "experiments" if disk else folder) / "killed")
            lost = compare(torment, Experiment.open(folder / "whole"), killed)
    did = ", ".join(f"{what} {times}" for what, times in sorted(torment.done.items()))
    return f"{executor}, {store}: {did}; lost {lost}; {took:.0f} s"


if __name__ == "__main__":
    stores = [each for each in sys.argv[1:] if each in SIZES]
    executors = [each for each in sys.argv[1:] if each not in SIZES]
    for each in executors or ["local", "dask", "ray"]:
        for store in stores or SIZES:
            if store == "postgresql" and postgresql_programs() is None:
                print("skipped: there is no PostgreSQL here (apt-get install postgresql)")
            else:
                print(check(each, store, seed=time.time_ns()), flush=True)
