"""Members that are one model in other names are found, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nas_core.nn as nn
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nas_core import Candidate, Space, model_wrapper
from nas_core.testing import Recording
from nas_engine_cgo.engine import CgoEngine
from nas_engine_cgo.members import Remembered, trace
from nas_engine_cgo.members.twins import forms
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor

Node = tuple[str, tuple[int, ...], int]
"""An operation, the earlier nodes whose sum it takes, and the layer that it shares, if not -1."""


class Wired(torch.nn.Module):
    """Nodes in the order and under the names that are given; node 0 is the input."""

    def __init__(self, nodes: Sequence[Node], order: Sequence[int], turned: bool) -> None:
        super().__init__()
        self.nodes, self.order, self.turned = tuple(nodes), tuple(order), turned
        self.layers = torch.nn.ModuleDict()
        for place, number in enumerate(order):
            operation, _, shared = nodes[number - 1]
            if operation == "linear" and shared < 0:
                self.layers[f"l{place}"] = torch.nn.Linear(3, 3)
            elif operation == "norm" and shared < 0:
                self.layers[f"l{place}"] = torch.nn.BatchNorm1d(3)

    def _layer(self, number: int, operation: str) -> torch.nn.Module | None:
        shared = self.nodes[number - 1][2]
        owner = shared if shared >= 0 else number
        name = f"l{self.order.index(owner)}"
        return None if operation == "tanh" else self.layers[name]

    def forward(self, x: Tensor) -> Tensor:
        values = {0: x}
        waiting = list(self.order)
        while waiting:
            number = next(n for n in waiting if set(self.nodes[n - 1][1]) <= set(values))
            waiting.remove(number)
            operation, sources, _ = self.nodes[number - 1]
            terms = [values[source] for source in sources]
            total = sum(terms[::-1] if self.turned else terms)
            layer = self._layer(number, operation)
            values[number] = torch.tanh(total) if layer is None else layer(total)
        last = [values[n] for n in range(len(self.nodes) + 1) if self._is_last(n)]
        return sum(last[::-1] if self.turned else last)

    def _is_last(self, number: int) -> bool:
        return not any(number in sources for _, sources, _ in self.nodes)


@st.composite
def wirings(draw: Any) -> list[Node]:
    nodes: list[Node] = []
    for number in range(1, draw(st.integers(2, 5)) + 1):
        sources = draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=2))
        operation = draw(st.sampled_from(["linear", "norm", "tanh"]))
        own = [i for i, (op, _, s) in enumerate(nodes, 1) if op == operation != "tanh" and s < 0]
        shared = draw(st.sampled_from([-1, *own]))
        nodes.append((operation, tuple(sources), shared))
    return nodes


def program_of(module: torch.nn.Module) -> Any:
    def forward(module: torch.nn.Module, x: Tensor) -> Tensor:
        return module(x)

    return trace(module, forward, [torch.zeros(4, 3)], Remembered())


def assert_twins_compute_alike(first: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether they are twins; then the weights of the one must make the other the same."""
    a, b = forms([program_of(first), program_of(other)], [first, other])
    if a.key != b.key:
        return False
    own = {**dict(first.named_parameters()), **dict(first.named_buffers())}
    theirs = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    assert sorted(a.paths) == sorted(own)
    assert sorted(b.paths) == sorted(theirs)
    with torch.no_grad():
        for path, twin in zip(a.paths, b.paths, strict=True):
            theirs[twin].copy_(own[path])
    for training in (True, False):
        first.train(training)
        other.train(training)
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(first(x), other(x), rtol=1e-9, atol=1e-9)
    return True


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module


@pytest.fixture(autouse=True)
def in_double_precision() -> None:
    torch.set_default_dtype(torch.float64)


few = settings(deadline=None, suppress_health_check=list(HealthCheck))


@few
@given(wirings(), st.data())
def test_other_names_and_another_order_make_a_twin(nodes: list[Node], data: Any) -> None:
    torch.set_default_dtype(torch.float64)
    numbers = range(1, len(nodes) + 1)
    first = randomised(Wired(nodes, list(numbers), turned=False))
    other = Wired(nodes, data.draw(st.permutations(list(numbers))), turned=data.draw(st.booleans()))
    # Two alike terms that differ in who else reads them may be missed; nothing may be mistaken.
    # Nor is the order free in which a layer that is shared keeps its statistics.
    shares = any(operation == "norm" and shared >= 0 for operation, _, shared in nodes)
    assert assert_twins_compute_alike(first, other) or _has_alike_terms(nodes) or shares


def _has_alike_terms(nodes: list[Node]) -> bool:
    """Whether two nodes compute the same but for their parameters."""
    kinds: dict[int, Any] = {0: 0}
    for number, (operation, sources, _) in enumerate(nodes, 1):
        kinds[number] = operation, tuple(sorted(repr(kinds[source]) for source in sources))
    return len({repr(kind) for kind in kinds.values()}) < len(kinds)


@few
@given(wirings(), wirings())
def test_what_is_called_a_twin_is_one(one: list[Node], another: list[Node]) -> None:
    torch.set_default_dtype(torch.float64)
    first, other = (Wired(nodes, range(1, len(nodes) + 1), False) for nodes in (one, another))
    assert_twins_compute_alike(randomised(first), other)


def test_a_layer_that_is_shared_is_no_two_layers() -> None:
    own: list[Node] = [("linear", (0,), -1), ("linear", (0,), -1)]
    shared: list[Node] = [("linear", (0,), -1), ("linear", (0,), 1)]
    first, other = (Wired(nodes, [1, 2], False) for nodes in (own, shared))
    assert not assert_twins_compute_alike(randomised(first), other)


# ---------------------------------------------------------------------- in a job


def branch(label: str) -> nn.Module:
    width = nn.ValueChoice([3, 5], label=label)
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


@model_wrapper
class Forked(nn.Module):
    """Two branches: it does not matter which of them is the wide one."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = branch("left"), branch("right")

    def forward(self, x: Tensor) -> Tensor:
        return self.left(x) + self.right(x)


ARCHITECTURES = ((3, 5), (5, 3), (3, 3), (5, 3))


def candidates(evaluator: Any) -> list[Candidate]:
    space = Space.of(Forked(), evaluator)
    return [
        Candidate(number, space.validate({"left": left, "right": right}), number)
        for number, (left, right) in enumerate(ARCHITECTURES)
    ]


def recipe(**changes: Any) -> SupervisedEvaluator:
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(2))
    given = {"train": (x, x[:, :2].argmax(1)), "epochs": 2, "batch_size": 8, "device": "cpu"}
    return SupervisedEvaluator(**given | changes)


def test_twins_are_trained_once_if_that_is_asked_for() -> None:
    evaluator, told = recipe(), {}
    for twins in ("each", "once"):
        engine = CgoEngine().configured(twins=twins, cluster_size=4)
        recorder = told[twins] = Recording()
        (job,) = engine.plan(Forked(), candidates(evaluator), evaluator)
        results = {result.number: result for result in job.run(recorder)}
        assert sorted(results) == [0, 1, 2, 3]
        same = [results[n].metrics == results[0].metrics for n in (1, 2, 3)]
        assert same == ([True, False, True] if twins == "once" else [False] * 3)
    notes = [note for note in told["once"].notes if "in other names" in note]
    assert notes == [f"trial {n} is trial 0 in other names: trained once" for n in (1, 3)]
    assert not any("in other names" in note for note in told["each"].notes)
    models = told["once"].models
    x = torch.randn(6, 4)
    for number in (1, 3):
        assert models[number].left[0].out_features == 5
        torch.testing.assert_close(models[number].eval()(x), models[0].eval()(x))


def test_a_plan_names_twins() -> None:
    evaluator = recipe()
    for formatter in ("text", "html"):
        said = CgoEngine().explain(Forked(), candidates(evaluator), evaluator, formatter)
        assert [f"candidate {n} is candidate 0 in other names" in said for n in (1, 2, 3)] == [
            True, False, True
        ]  # fmt: skip


def test_another_recipe_makes_no_twin() -> None:
    evaluator = recipe(optimizer_options={"lr": nn.ValueChoice([0.1, 0.2], label="lr")})
    space = Space.of(Forked(), evaluator)
    chosen = [
        Candidate(n, space.validate({"left": 3, "right": 5, "lr": lr}), n)
        for n, lr in enumerate((0.1, 0.2))
    ]
    assert "in other names" not in CgoEngine().explain(Forked(), chosen, evaluator, "text")


def test_the_twin_of_one_that_fails_finds_its_own_end() -> None:
    class Refusing(Recording):
        def trained(self, number: int, model: torch.nn.Module) -> None:
            if number == 0:
                raise OSError("no room for 0")
            super().trained(number, model)

    evaluator, recorder = recipe(), Refusing()
    engine = CgoEngine().configured(twins="once", cluster_size=4)
    (job,) = engine.plan(Forked(), candidates(evaluator), evaluator)
    failed = {result.number: result.failed for result in job.run(recorder)}
    assert failed == {0: True, 1: False, 2: False, 3: False}
    assert sorted(recorder.models) == [1, 2, 3]
