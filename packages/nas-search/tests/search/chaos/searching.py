"""A search of 40 trials in a process of its own, to be killed.

python searching.py FOLDER NAME [DIRECTORY URL]
"""

import sys
import time
from pathlib import Path

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


def evaluator(calls: Path):
    def evaluate(model, report):
        width = model.layer.out_features
        report(0, {"value": 0.0})
        time.sleep(0.04 + 0.03 * (width % 4))
        if width % 9 == 0:
            raise ValueError("nine")
        with calls.open("a") as file:
            file.write(f"{width}\n")
        return float(width)

    return FunctionEvaluator(evaluate)


def main(folder: str, name: str, directory: str = "", store: str = "") -> None:
    config = ExperimentConfig(
        directory=directory or folder,
        name=name,
        max_trials=40,
        trial_concurrency=2,
        threads_per_trial=1,
        store=store or None,
        executor="local",
    )
    strategy = RegularizedEvolution(population_size=8, sample_size=3, seed=3)
    evaluate = evaluator(Path(folder) / f"{name}.calls")
    experiment = Experiment(Net(), evaluate, strategy, config)
    exists = (experiment.folder / "trials.sqlite").exists()
    print(experiment.resume() if exists else experiment.run())


if __name__ == "__main__":
    main(*sys.argv[1:])
