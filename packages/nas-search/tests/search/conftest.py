"""A space of 40 architectures, and experiments on it.

What goes to workers is defined inside of functions: test modules are not importable there.
"""

from pathlib import Path

import pytest
import torch


def make_net():
    import nas_core as nas
    import nas_core.nn as nn

    @nas.model_wrapper
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, nn.ValueChoice(list(range(1, 41)), label="width"))

        def forward(self, x):
            return self.layer(x)

    return Net()


@pytest.fixture
def experiment(tmp_path: Path):
    """Makes an experiment of a function of the width."""
    from nas_search import Experiment, ExperimentConfig
    from nas_search.evaluators import FunctionEvaluator
    from nas_search.strategies import RandomSearch

    def make(fn=None, strategy=None, observers=(), evaluator=None, model=None, **options):
        def of_width(model):
            width = model.layer.out_features
            return float(width) if fn is None else fn(width)

        options = {"executor": "inline", "max_trials": 12, "threads_per_trial": 1} | options
        config = ExperimentConfig(directory=str(tmp_path / "experiments"), **options)
        strategy = strategy or RandomSearch(seed=0)
        evaluator = evaluator or FunctionEvaluator(of_width)
        model = model or make_net()
        return Experiment(model, evaluator, strategy, config, observers=observers)

    torch.set_num_threads(1)
    return make


@pytest.fixture
def widths():
    """The architectures of an experiment, as widths."""
    return lambda one: [trial.architecture["width"] for trial in one.trials]
