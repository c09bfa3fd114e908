"""What pruning saves: epochs of a search on digits, and time of merged training that is pruned.

``digits`` runs the search of ``examples/digits`` with and without successive halving, and counts
epochs. ``clusters`` trains candidates as one with the engine ``cgo``: whole, pruned, and pruned
while the places of those that left stay empty; processor time, in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from nas_core import Architecture, Candidate, Pruned, run_candidate
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import loop
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import SupervisedEvaluator
from nas_search.strategies import RandomSearch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "digits"))

EPOCHS = 8
HALVING = {"min_resource": 1, "reduction_factor": 3}


def digits(trials: int, engine: str, seeds: int) -> None:
    """Count the epochs of searches with and without a pruner."""
    from space import Net, evaluator

    # One less than a rung, where the best would compete with each other for completing.
    recipe = dataclasses.replace(evaluator, epochs=EPOCHS, validate_every=1)
    pruners: dict[str, dict[str, Any]] = {
        "none": {},
        "successive_halving": {"pruner": "successive_halving", "pruner_options": HALVING},
        "median": {"pruner": "median", "pruner_options": {"n_startup_trials": 4}},
    }
    for seed in range(seeds):
        for name, options in pruners.items():
            with tempfile.TemporaryDirectory() as folder:
                config = ExperimentConfig(
                    directory=folder, execution_engine=engine, max_trials=trials, seed=seed,
                    executor="inline", threads_per_trial=1, save_weights="none",
                    objectives={"accuracy": "maximize"}, **options,
                )  # fmt: skip
                experiment = Experiment(Net(), recipe, RandomSearch(seed), config)
                began = time.process_time()
                experiment.run()
                seconds = time.process_time() - began
                ended = experiment.trials
            epochs = sum(len(trial.reports) for trial in ended)
            pruned = sum(trial.state == "pruned" for trial in ended)
            best = max(trial.metrics["accuracy"] for trial in ended if trial.metrics)
            print(
                f"seed {seed}  {name:20} {epochs:4} epochs  {pruned:3} of {trials} pruned  "
                f"best {best:.4f}  {seconds:6.1f} s of processor time",
                flush=True,
            )


class Alone:
    """A job of one candidate."""

    def __init__(self, number: int, width: int, recipe: SupervisedEvaluator) -> None:
        self.candidates = (Candidate(number, Architecture({}), number),)
        self.evaluator = recipe
        self._width = width

    def build(self) -> nn.Module:
        """Make its model."""
        return nn.Sequential(
            nn.Linear(64, self._width), nn.ReLU(), nn.Linear(self._width, self._width), nn.ReLU(),
            nn.Linear(self._width, 10),
        )  # fmt: skip

    def run(self, recorder: Any) -> Iterator[Any]:
        """Train it."""
        yield run_candidate(self.candidates[0], self.build, self.evaluator, recorder)


class Prunes:
    """A recorder that prunes some candidates at some epochs."""

    def __init__(self, last: Mapping[int, int]) -> None:
        self.last = last

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Prune it if it is time."""
        if self.last.get(number) == step:
            raise Pruned(number, f"at step {step}")

    def trained(self, number: int, model: nn.Module) -> None:
        """Forget it."""

    def note(self, text: str) -> None:
        """Forget it."""


def halved(count: int, epochs: int) -> dict[int, int]:
    """Give the epoch of each candidate that successive halving ends, spread over the clusters."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    last, epoch = {}, 1
    while epoch < epochs:
        kept = max(1, len(order) // 3)
        last |= dict.fromkeys(order[kept:], epoch)
        order, epoch = order[:kept], epoch * 3
    return last


def clusters(rounds: int) -> None:
    """Time merged training: whole, pruned, and pruned with places left empty."""
    x = torch.randn(2048, 64, generator=torch.Generator().manual_seed(0))
    recipe = SupervisedEvaluator(
        train=(x, x[:, :10].argmax(1)), epochs=27, batch_size=32, threads=1, device="cpu",
        optimizer_options={"lr": 0.05, "momentum": 0.9},
    )  # fmt: skip
    refilled = loop.refilled
    for count, size, width in ((32, 8, 32), (64, 8, 32), (32, 4, 64)):
        last = halved(count, 27)
        ways = {"whole": ({}, refilled), "refilled": (last, refilled), "empty": (last, emptied)}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (ends, clusters_now) in ways.items():
                jobs: Any = tuple(Alone(n, width, recipe) for n in range(count))
                with replaced(clusters_now):
                    began = time.process_time()
                    list(MergedJob(jobs, Options(cluster_size=size)).run(Prunes(ends)))
                seconds[name].append(time.process_time() - began)
        median = {name: statistics.median(times) for name, times in seconds.items()}
        epochs = sum(last.get(n, 27) for n in range(count)) / (27 * count)
        print(
            f"{count} MLPs of width {width}, clusters of {size}: epochs {epochs:.2f} of whole; "
            f"time refilled {median['refilled'] / median['whole']:.2f}, "
            f"empty {median['empty'] / median['whole']:.2f} of whole; "
            f"empty / refilled {median['empty'] / median['refilled']:.2f}",
            flush=True,
        )


def emptied(now: Any, _size: int) -> list[list[int]]:
    """Leave the places of those that left empty."""
    return [list(cluster) for cluster in now if cluster]


@contextlib.contextmanager
def replaced(function: Any) -> Iterator[None]:
    """Let the training form its clusters in this way."""
    before = loop.refilled
    loop.refilled = function
    try:
        yield
    finally:
        loop.refilled = before


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["digits", "clusters"])
    parser.add_argument("--trials", type=int, default=27)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--engine", default="py")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if "digits" in options.what:
        digits(options.trials, options.engine, options.seeds)
    if "clusters" in options.what:
        clusters(options.rounds)


if __name__ == "__main__":
    main()
