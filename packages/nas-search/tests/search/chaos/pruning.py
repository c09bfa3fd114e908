"""A search that is pruned, and kills itself at some report: python pruning.py FOLDER NAME AT."""

import os
import signal
import sys

import nas_core as nas
import nas_core.nn as nn
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.strategies import RegularizedEvolution


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, nn.ValueChoice(list(range(1, 81)), label="width"))


def evaluator(at):
    reports = iter(range(1, 10**6))

    def evaluate(model, report):
        width = model.layer.out_features
        for step in range(1, 10):
            report(step, {"value": width * step + width % 7})
            if next(reports) == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return float(width)

    return FunctionEvaluator(evaluate)


def main(folder, name, at):
    config = ExperimentConfig(
        directory=folder, name=name, max_trials=30, executor="inline", save_weights="none",
        pruner="hyperband", pruner_options={"reduction_factor": 3},
    )  # fmt: skip
    strategy = RegularizedEvolution(population_size=4, sample_size=2, seed=3)
    experiment = Experiment(Net(), evaluator(int(at)), strategy, config)
    exists = (experiment.folder / "trials.sqlite").exists()
    print(experiment.resume() if exists else experiment.run())


if __name__ == "__main__":
    main(*sys.argv[1:])
