"""A search of 40 trials in a process of its own, to be killed, or in this one, to be compared with.

python searching.py FOLDER NAME [DIRECTORY URL GRACE]
"""

import sys
import time
from pathlib import Path

import nas_core as nas
import nas_core.nn as nn
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.executors import local
from nas_search.store import backend
from nas_search.strategies import RegularizedEvolution


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, nn.ValueChoice(list(range(1, 81)), label="width"))


def evaluator(calls: Path, pause: float):
    def evaluate(model, report):
        width = model.layer.out_features
        report(0, {"value": 0.0})
        time.sleep(pause * (4 + 3 * (width % 4)))
        if width % 9 == 0:
            raise ValueError("nine")
        with calls.open("a") as file:
            file.write(f"{width}\n")
        return float(width)

    return FunctionEvaluator(evaluate)


def main(
    folder: str, name: str, directory: str = "", store: str = "", executor: str = "local"
) -> None:
    config = ExperimentConfig(
        directory=directory or folder,
        name=name,
        max_trials=40,
        trial_concurrency=2,
        threads_per_trial=1,
        store=store or None,
        executor=executor,
    )
    strategy = RegularizedEvolution(population_size=8, sample_size=3, seed=3)
    evaluate = evaluator(Path(folder) / f"{name}.calls", 0.0 if executor == "inline" else 0.01)
    experiment = Experiment(Net(), evaluate, strategy, config)
    exists = (experiment.folder / "trials.sqlite").exists()
    print(experiment.resume() if exists else experiment.run())


if __name__ == "__main__":
    local.PRELOAD.remove(
        "torch._dynamo"
    )  # only optimisers need it: without it workers start sooner
    if len(sys.argv) > 5:
        backend.GRACE = float(sys.argv.pop())
    main(*sys.argv[1:])
