"""A search with worker processes merges what each of them is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from nas_search import Experiment, ExperimentConfig, StrategyConfig

SPACE = """
import nas_core as nas
import nas_core.nn as nn
import torch
from nas_search.evaluators import SupervisedEvaluator

@nas.model_wrapper
class CgoNet(nn.Module):
    def __init__(self):
        super().__init__()
        width = nn.ValueChoice([4, 5, 6, 7], label="width")
        self.first, self.last = nn.Linear(3, width), nn.Linear(width, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))

x = torch.linspace(-1, 1, 60).reshape(20, 3)
rates = nn.ValueChoice([0.1, 0.2], label="lr")
evaluator = SupervisedEvaluator(
    train=(x, (x.sum(1) > 0).long()), optimizer_options={"lr": rates}, steps=6, batch_size=8,
    device="cpu", threads=1,
)
"""

DANGEROUS = """
import os, signal
import nas_core as nas
import nas_core.nn as nn
import torch
from nas_search.evaluators import SupervisedEvaluator

@nas.basic_unit
class Way(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way, self.step = way, 0

    def forward(self, x):
        self.step += self.training
        if self.step == 5:
            match self.way:
                case "nan":
                    return x * float("nan")
                case "raises":
                    raise ValueError("no way")
                case "memory":
                    return x.new_empty(1 << 60)
                case "exits":
                    os._exit(3)
                case "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
        return x.relu()

@nas.model_wrapper
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
        ways = ["nan", "a", "exits", "raises", "b", "c", "killed", "memory", *"defghijk"]
        self.way = Way(nn.ValueChoice(ways, label="way"))

    def forward(self, x):
        return self.last(self.norm(self.way(self.first(x))))

x = torch.linspace(-1, 1, 60).reshape(20, 3)
evaluator = SupervisedEvaluator(
    train=(x, (x.sum(1) > 0).long()), optimizer_options={"lr": 0.1, "momentum": 0.9}, epochs=3,
    batch_size=8, device="cpu", threads=1,
)
"""


class Notes:
    """Hears how jobs ran."""

    def __init__(self) -> None:
        self.heard: list[tuple[tuple[int, ...], str]] = []

    def nas_job_noted(self, experiment: str, numbers: Sequence[int], note: str) -> None:
        self.heard.append((tuple(numbers), note.partition(", by rules")[0]))


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_the_candidates_of_a_job_are_trained_as_one(executor: str, tmp_path: Path) -> None:
    (tmp_path / f"cgo_{executor}.py").write_text(SPACE)
    config = ExperimentConfig(
        directory=str(tmp_path / "experiments"),
        execution_engine="cgo",
        engine_options={"cluster_size": 4, "widen": False},
        executor=executor,
        trial_concurrency=2,
        max_trials=8,
        model=f"cgo_{executor}.py:CgoNet",
        evaluator=f"cgo_{executor}.py:evaluator",
        root=str(tmp_path),
    )
    notes = Notes()
    experiment = Experiment.from_config(config, observers=(notes,))
    experiment.run()
    assert [trial.error for trial in experiment.trials] == [None] * 8
    parts = [range(8)] if executor == "inline" else [range(4), range(4, 8)]
    count = 8 // len(parts)
    assert sorted(notes.heard) == [
        (tuple(part), f"{count} trained as one, clusters of 4, contiguous: as asked for")
        for part in parts
    ]


def test_a_member_that_ends_the_process_is_one_failed_trial(tmp_path: Path) -> None:
    """What the others get is what they get one by one, to the bit."""
    (tmp_path / "cgo_dangerous.py").write_text(DANGEROUS)
    found = {}
    for engine, options in (("graph", {}), ("cgo", {"exact": True})):
        config = ExperimentConfig(
            directory=str(tmp_path / engine),
            execution_engine=engine,
            engine_options=options,
            executor="local",
            trial_concurrency=2,
            max_trials=16,
            lookahead=16,
            strategy=StrategyConfig("grid"),
            model="cgo_dangerous.py:Net",
            evaluator="cgo_dangerous.py:evaluator",
            root=str(tmp_path),
        )
        experiment = Experiment.from_config(config)
        experiment.run()
        found[engine] = {trial.architecture["way"]: trial for trial in experiment.trials}
    expected = {
        "nan": "FloatingPointError",
        "raises": "ValueError: no way",
        "memory": "RuntimeError",
        "exits": "the worker process died: it ended itself with exit code 3",
        "killed": "the worker process died: SIGKILL",
    }
    failed = {way: trial.error for way, trial in found["cgo"].items() if trial.error}
    assert failed.keys() == expected.keys()
    for way, error in expected.items():
        assert error in str(failed[way])
    for way, trial in found["graph"].items():
        assert found["cgo"][way].metrics == trial.metrics
