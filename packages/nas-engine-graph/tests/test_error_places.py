"""What raises in generated code names the line of the user's code that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import nas_core as nas
import nas_core.nn as nn
import pytest
import torch
import torch.nn.functional as F
from nas_core import Candidate
from nas_core.protocols import Metrics
from nas_core.testing import Recording
from torch import Tensor

from nas_engine_graph import Graph, Mutator, mutated
from nas_engine_graph.ir import Layer, replace_module
from nas_engine_graph.mutate import Choose


def halved(x: Tensor) -> Tensor:
    return x.reshape(x.size(0), 2, 2)


class Refuses(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        if x.size(1) != self.width:
            raise ValueError(f"not {self.width} but {x.size(1)}")
        return x


class InALoop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for i in range(x.size(1)):
            if i == 3:
                x = (
                    x
                    + 1
                    + x.reshape(-1, 5)  # the place is where the statement begins, or the call is
                )
        return F.relu(x)


@nas.model_wrapper
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width = nn.ValueChoice([4, 6], label="width")
        self.stem = nn.Linear(3, width)
        self.body = nn.LayerChoice(
            {"none": nn.Identity(), "refuses": Refuses(4), "loop": InALoop()}, label="body"
        )
        self.head = nn.Linear(4, 2)
        self.halve = nn.ValueChoice([False, True], label="halve")

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.stem(x))
        if self.halve():
            return halved(x).sum((1, 2))
        return self.head(x)


class Calls:
    """An evaluator that calls the model."""

    @property
    def objectives(self) -> dict[str, Any]:
        return {"total": "maximize"}

    def evaluate(self, model: torch.nn.Module, *, seed: int, report: Any) -> Metrics:
        return {"total": float(model(torch.ones(2, 3)).sum())}


def error(engine: str, model: torch.nn.Module, architecture: Mapping[str, Any]) -> str:
    candidate = Candidate(0, nas.Space.of(model).validate(architecture), seed=0)
    (job,) = nas.engine(engine).plan(model, [candidate], Calls())
    (result,) = cloudpickle.loads(cloudpickle.dumps(job)).run(Recording())
    return str(result.error)


@pytest.mark.parametrize(
    ("architecture", "line"),
    [
        ({"width": 6, "body": "none", "halve": False}, "return self.head(x)"),
        ({"width": 6, "body": "none", "halve": True}, "return x.reshape(x.size(0), 2, 2)"),
        ({"width": 6, "body": "refuses", "halve": False}, "raise ValueError("),
        ({"width": 4, "body": "loop", "halve": False}, "+ x.reshape(-1, 5)"),
    ],
)
def test_it_is_the_line_that_the_engine_py_names(
    architecture: Mapping[str, Any], line: str
) -> None:
    told = error("graph", Net(), architecture)
    with Path(__file__).open() as file:
        number = next(i for i, text in enumerate(file, 1) if text.strip().startswith(line))
    assert told.endswith(f"test_error_places.py:{number})")
    assert told == error("py", Net(), architecture)


class Narrows(Mutator):
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        return replace_module(graph, "stem", Layer("torch.nn.Linear", (3, 5)))


def test_what_a_mutator_has_broken_is_told_of_where_it_is_called() -> None:
    rest = {"width": 4, "body": "none", "halve": False}
    told = error("graph", mutated(Net(), Narrows()), rest)
    assert told == error("py", Net(), {**rest, "width": 6}).replace("2x6", "2x5")


def test_exported_code_says_nothing_of_places() -> None:
    rest = {"width": 4, "body": "none", "halve": False}
    text = nas.engine("graph").export(Net(), rest, "code")
    assert isinstance(text, str)
    assert "test_error_places" not in text
    assert "\0" not in text
