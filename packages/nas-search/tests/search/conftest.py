"""A space of 40 architectures, and experiments on it.

What goes to workers is defined inside of functions: test modules are not importable there.
"""

from pathlib import Path

import pytest
import torch
from nas_search.store import STORE, Database, backend
from nas_search.store.address import parsed
from nas_search.testing import postgresql_programs, postgresql_server


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


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server of our own."""
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL here (apt-get install postgresql)")
    with postgresql_server(programs) as started:
        yield started


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    """The server of the tests has just started, which would make everybody look alive."""
    monkeypatch.setattr(backend, "GRACE", 0.0)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path: Path):
    """Where there is no store yet."""
    if request.param == "sqlite":
        return tmp_path / "one" / STORE
    return Database(parsed(request.getfixturevalue("server").new_database()), "one")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """The `store` of a configuration."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("server").new_database()


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
