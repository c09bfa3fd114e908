"""What a trial costs at the beginning of a long experiment and at its end, in time and memory.

Each store runs in a process of its own: an experiment of trials that evaluate nothing, and Optuna's
random sampler on its own storage in the same database, over the same 13 conditional decisions. Then
the strategies alone, without a store: what a proposal and its outcome cost after as many others.
Time is processor time of the client, which the rest of the machine hardly moves.
"""

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import nas_core as nas
import optuna
import torch
from loop_overhead import Decisions, half
from loop_overhead import theirs as ask_and_tell
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.strategies import Outcome, RandomSearch, RegularizedEvolution, Strategy
from nas_search.testing import postgresql_programs, postgresql_server

STORES = ("sqlite", "postgresql")


class Clock:
    """An observer: the time at which each trial has ended, and the memory at some."""

    def __init__(self, at: set[int]) -> None:
        self.at = at
        self.ends: list[float] = []
        self.memory: dict[int, float] = {}

    def nas_trial_finished(self, experiment: str, trial: object) -> None:
        """Take the time."""
        self.ends.append(time.process_time())
        if len(self.ends) in self.at:
            self.memory[len(self.ends)] = resident()


def resident() -> float:
    """Give the memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def ours(folder: Path, url: str | None, trials: int) -> dict[str, object]:
    """Run an experiment; give milliseconds per trial at its beginning and end, and the memory."""
    config = ExperimentConfig(
        directory=str(folder),
        executor="inline",
        max_trials=trials,
        save_weights="none",
        store=url,
    )
    clock = Clock({trials // 10, trials})
    evaluator, strategy = FunctionEvaluator(half), RegularizedEvolution(seed=0)
    Experiment(Decisions(), evaluator, strategy, config, observers=[clock]).run()
    if len(clock.ends) != trials:
        raise SystemExit(f"{len(clock.ends)} of {trials} trials have ended")
    return {**per_trial(clock.ends), "memory": list(clock.memory.values())}


def theirs(folder: Path, url: str | None, trials: int) -> dict[str, object]:
    """Ask and tell with Optuna; give milliseconds per trial at its beginning and end."""
    ends: list[float] = []
    storage = url or f"sqlite:///{folder / 'optuna.db'}"
    ask_and_tell(storage, trials, lambda: ends.append(time.process_time()))
    return per_trial(ends)


def per_trial(ends: list[float]) -> dict[str, object]:
    """Median milliseconds of the trials of the first and the last tenth."""
    taken = [1000 * (b - a) for a, b in pairwise(ends)]
    tenth = max(2, len(taken) // 10)
    first, last = statistics.median(taken[:tenth]), statistics.median(taken[-tenth:])
    return {"first": first, "last": last}


def alone(strategy: Strategy, trials: int) -> tuple[float, float]:
    """Ask and tell without a store: microseconds of the first 100 trials and of 100 at the end."""
    space = nas.Space.of(Decisions())
    strategy.start(space, ["maximize"])
    taken = []
    for number in range(trials + 100):
        started = time.process_time()
        (architecture,) = strategy.propose(1)
        value = float(number * 7919 % 1000)
        strategy.tell(architecture, Outcome("completed", {"value": value}, (value,)))
        taken.append(1e6 * (time.process_time() - started))
    return statistics.median(taken[:100]), statistics.median(taken[-100:])


@contextmanager
def database(store: str) -> Iterator[tuple[str, str] | None]:
    """Two databases on a server of our own; the file needs none."""
    if store == "sqlite":
        yield None
        return
    programs = postgresql_programs()
    if programs is None:
        raise SystemExit("there is no PostgreSQL here")
    with postgresql_server(programs) as server:
        yield server.new_database(), server.new_database()


def one(store: str, trials: int, others: int) -> None:
    """Measure one store in this process, and print the result as JSON."""
    with tempfile.TemporaryDirectory() as name, database(store) as urls:
        first, second = urls or (None, None)
        mine = ours(Path(name) / "ours", first, trials)
        optunas = theirs(Path(name), second, others)
    print(json.dumps({"ours": mine, "theirs": optunas}))


def shown(store: str, arguments: argparse.Namespace) -> None:
    """Measure one store in a process of its own, and print what it says."""
    options = ["--trials", str(arguments.trials), "--optuna", str(arguments.optuna)]
    command = [sys.executable, __file__, "--only", store, *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    mine, optunas = found["ours"], found["theirs"]
    print(f"{store}, {arguments.trials} trials; Optuna's own storage, {arguments.optuna} trials")
    print(f"  ours     {mine['first']:.2f} ms per trial at first, {mine['last']:.2f} ms at last")
    print(f"  Optuna   {optunas['first']:.2f} ms at first, {optunas['last']:.2f} ms at last")
    print(f"  last / first {mine['last'] / mine['first']:.2f}")
    print(f"  ours / Optuna {mine['last'] / optunas['last']:.3f}")
    early, late = mine["memory"]
    print(f"  memory {early:.1f} MiB at a tenth, {late:.1f} MiB at the end: {late / early:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--optuna", type=int, default=300, help="trials of Optuna, which is slower")
    parser.add_argument("--only", choices=STORES, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    optuna.logging.set_verbosity(logging.WARNING)
    torch.set_num_threads(1)
    if parsed.only:
        one(parsed.only, parsed.trials, parsed.optuna)
        raise SystemExit
    for each in STORES if postgresql_programs() else STORES[:1]:
        shown(each, parsed)
    for way in (RandomSearch(seed=0), RegularizedEvolution(seed=0)):
        begin, end = alone(way, parsed.trials)
        print(
            f"{type(way).__name__}: {begin:.0f} µs at first, {end:.0f} µs after: {end / begin:.2f}"
        )
