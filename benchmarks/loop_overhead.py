"""What a trial costs besides its evaluation, against plain Optuna ask/tell on its SQLite storage.

Both sides draw the same number of random points of the same 13 conditional decisions and store
them in a file. Ours also plans a job, builds the model and evaluates it with a function that does
nothing; Optuna's side only asks, suggests and tells.
"""

import argparse
import logging
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Literal

import nas_core as nas
import nas_core.nn as nn
import optuna
import torch
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.strategies import RandomSearch
from side_by_side import compare

OPTIONS = list(range(8))


@nas.model_wrapper
class Decisions(nn.Module):
    """Thirteen decisions, five of which exist only for one value of the first."""

    def __init__(self) -> None:
        super().__init__()
        deep = nn.ValueChoice([False, True], label="deep")
        plain = [nn.ValueChoice(OPTIONS, label=f"plain{i}") for i in range(7)]
        inner = [nn.ValueChoice(OPTIONS, label=f"inner{i}") for i in range(5)]
        self.plain = plain
        self.inner = [nn.ValueChoice.condition(deep, choice, 0) for choice in inner]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def half(_: nn.Module) -> float:
    """Evaluate nothing."""
    return 0.5


def ours(folder: Path, trials: int, executor: Literal["inline", "local"] = "inline") -> Experiment:
    """Run an experiment in this process, or in a worker."""
    config = ExperimentConfig(
        name="loop",
        directory=str(folder),
        executor=executor,
        max_trials=trials,
        save_weights="none",
    )
    evaluator = FunctionEvaluator(half)
    experiment = Experiment(Decisions(), evaluator, RandomSearch(seed=0), config)
    experiment.run()
    if len(experiment.trials) != trials:
        raise SystemExit(f"{len(experiment.trials)} of {trials} trials were stored")
    return experiment


def in_a_worker(folder: Path, trials: int) -> float:
    """Give the seconds per trial in a worker process, after the first quarter has warmed it up."""
    done = ours(folder, trials, "local").trials
    ends = sorted(trial.finished for trial in done if trial.finished is not None)
    counted = trials - trials // 4
    return (ends[-1] - ends[trials // 4 - 1]) / counted


def theirs(storage: str, trials: int, told: Callable[[], None] = lambda: None) -> None:
    """Ask and tell as Optuna's documentation does; ``told`` is called after each trial."""
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(trials):
        trial = study.ask()
        if trial.suggest_categorical("deep", [False, True]):
            for i in range(5):
                trial.suggest_categorical(f"inner{i}", OPTIONS)
        for i in range(7):
            trial.suggest_categorical(f"plain{i}", OPTIONS)
        study.tell(trial, 0.5)
        told()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(logging.WARNING)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        number = count()
        result = compare(
            lambda: ours(Path(name) / f"ours{next(number)}", arguments.trials),
            lambda: theirs(f"sqlite:///{name}/theirs{next(number)}.db", arguments.trials),
            arguments.rounds,
            warm_up=1,
        )
        local = in_a_worker(Path(name) / "local", arguments.trials)
    per_trial = 1000 / arguments.trials
    print(f"{arguments.trials} trials, {arguments.rounds} rounds, Optuna {optuna.__version__}")
    print(f"loop / Optuna  {result}: {1 / result.ratio:.1f} times less")
    ours_ms, theirs_ms = per_trial * result.ours, per_trial * result.theirs
    print(f"  {ours_ms:.2f} ms against {theirs_ms:.2f} ms per trial")
    print(f"  {1000 * local:.2f} ms when each trial is sent to a worker process")
