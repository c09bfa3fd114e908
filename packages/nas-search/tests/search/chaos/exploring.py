"""A search of 200 trials in a process of its own, to be tormented.

python exploring.py FOLDER NAME EXECUTOR [DIRECTORY [URL]]

While a trial runs, FOLDER/NAME.running has a file of its name with the numbers of two processes:
its own, and that of the worker which has started it. FOLDER/NAME.calls lists those that ended.
"""

import os
import sys
import time
from multiprocessing import parent_process
from pathlib import Path

import nas_core as nas
import nas_core.nn as nn
from nas_search import Experiment, ExperimentConfig
from nas_search.evaluators import FunctionEvaluator
from nas_search.strategies import RandomSearch


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, nn.ValueChoice(list(range(1, 1001)), label="width"))


def evaluator(running: Path, calls: Path, pause: float):
    def evaluate(model, report):
        width = model.layer.out_features
        mark = running / str(width)
        if parent_process() is not None:
            mark.write_text(f"{os.getpid()} {parent_process().pid}")
        try:
            for step in range(2):
                report(step, {"value": float(step)})
                time.sleep(pause * (1 + width % 4))
            if width % 9 == 0:
                raise ValueError("nine")
        finally:
            mark.unlink(missing_ok=True)
        with calls.open("a") as file:
            file.write(f"{width}\n")
        return float(width)

    return FunctionEvaluator(evaluate)


def main(folder: str, name: str, executor: str, directory: str = "", store: str = "") -> None:
    running, calls = Path(folder, f"{name}.running"), Path(folder, f"{name}.calls")
    running.mkdir(exist_ok=True)
    config = ExperimentConfig(
        directory=directory or folder,
        name=name,
        max_trials=200,
        max_failures_in_a_row=None,
        trial_concurrency=2,
        threads_per_trial=1,
        store=store or None,
        executor=executor,
    )
    evaluate = evaluator(running, calls, 0.0 if executor == "inline" else 0.08)
    experiment = Experiment(Net(), evaluate, RandomSearch(seed=3), config)
    begun = any((experiment.folder / each).exists() for each in ("trials.sqlite", "store.json"))
    print(experiment.resume() if begun else experiment.run())


if __name__ == "__main__":
    main(*sys.argv[1:])
