"""What torch computes in one call, or in place, and members none the less do together."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from alone import Heard, assert_as_alone, assert_steps_as_alone, fused_names, jobs_of
from nas_engine_cgo.job import MergedJob
from nas_engine_cgo.options import Options
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn
from torch.nn import functional

X = torch.randn(12, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = X[:, 0, :3].argmax(1)


class Stepped(nn.Module):
    """A cell that is called step by step."""

    def __init__(self, make: Callable[..., nn.Module], width: int) -> None:
        super().__init__()
        self.cell, self.last = make(6, width), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for i in range(x.shape[1]):
            state = self.cell(x[:, i], state)
        return self.last(state[0] if isinstance(state, tuple) else state)


CELLS: list[Callable[..., nn.Module]] = [
    nn.LSTMCell,
    nn.GRUCell,
    nn.RNNCell,
    lambda *sizes: nn.RNNCell(*sizes, nonlinearity="relu", bias=False),
    lambda *sizes: nn.LSTMCell(*sizes, bias=False),
]


@pytest.mark.parametrize("make", CELLS)
def test_recurrent_cells_run_together(make: Callable[..., nn.Module]) -> None:
    members = [Stepped(make, 4).double() for _ in range(3)]
    merged = assert_steps_as_alone(members, [X], [X[:7]])
    assert not merged.code.alone
    assert "linear" in fused_names(merged)


def test_cells_of_other_widths_and_where_bits_count() -> None:
    recipe = SupervisedEvaluator(train=(X, Y), batch_size=4, epochs=2, threads=1)
    builds = [lambda width=width: Stepped(nn.LSTMCell, width) for width in (3, 4, 4)]
    for options in (Options(cluster_size=3, widen=True), Options(cluster_size=3, exact=True)):
        assert_as_alone(builds, recipe, options=options)


class Applied(nn.Module):
    """A function of what a layer gives."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(6, 4), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer(x).tanh())


def ctc(reduction: str) -> Callable[[Tensor], Tensor]:
    def loss(y: Tensor) -> Tensor:
        labels = torch.tensor([[1, 2], [2, 3]]).repeat(y.shape[0] // 2, 1)
        lengths = (torch.full((y.shape[0],), n) for n in (y.shape[1], 2))
        given = y.log_softmax(2).transpose(0, 1), labels, *lengths
        return functional.ctc_loss(*given, reduction=reduction)

    return loss


def gaussian(reduction: str) -> Callable[[Tensor], Tensor]:
    return lambda y: functional.gaussian_nll_loss(
        y[..., 0], y[..., 1], y[..., 2].exp(), True, 1e-3, reduction
    )


def classes(y: Tensor) -> Tensor:
    return functional.one_hot(torch.arange(y.shape[1]), 7).to(y.dtype) * y[..., :1]


def replaced(y: Tensor) -> Tensor:
    y = y * 2
    y[:, [0, 2]] = y[:, [1, 3]] + 1
    y[y > 1] = 0.5
    y[..., 1:] = y[..., :3].clone()
    return y.sum(1)


def shifted(y: Tensor) -> Tensor:
    out = torch.zeros_like(y)
    out[:, 1:] = y[:, :-1]
    part = out[:, :2]
    part[..., 0] = 2.0
    out[:, 0].mul_(0.5)
    return out * y


FUNCTIONS = {
    "shifted": shifted,
    "ctc of each": ctc("none"),
    "ctc": ctc("mean"),
    "gaussian of each": gaussian("none"),
    "gaussian": gaussian("mean"),
    "classes": classes,
    "replaced": replaced,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_run_by_themselves_leave_the_others_merged(name: str) -> None:
    members = [Applied(FUNCTIONS[name]).double() for _ in range(3)]
    merged = assert_steps_as_alone(members, [X], [X[:6]])
    assert not merged.code.alone
    assert "linear" in fused_names(merged)


CUTS: list[Callable[[Tensor], Tensor]] = [
    lambda y: y,
    lambda y: y[:, 1:],
    lambda y: y[..., :2],
    lambda y: y[:, 1],
    lambda y: y.select(-1, -1),
    lambda y: y[1:][:, :3],
    lambda y: y[:, 2:].select(1, 0),
    lambda y: y.transpose(1, 2)[:, :2],
]


def overwritten(seed: int) -> Callable[[Tensor], Tensor]:
    """A program that writes into parts of its values, and reads them in between."""

    def run(y: Tensor) -> Tensor:
        drawn = random.Random(seed)
        values = [y * 2, torch.zeros_like(y), y.sin()]
        for _ in range(drawn.randint(1, 5)):
            i, j = drawn.sample(range(3), 2)
            target = drawn.choice(CUTS)(values[i])
            match drawn.randrange(6):
                case 0:
                    target[...] = drawn.random()
                case 1:
                    target[...] = values[j].mean()
                case 2:
                    target.mul_(0.5 + drawn.random())
                case 3:
                    target.add_(values[j].sum() / 50)
                case 4:
                    values[i][:, drawn.randrange(3)] = values[j][:, drawn.randrange(3)]
                case 5:
                    values[j] = values[i].clone() * values[j].clone().cos()
        return values[0] + values[1] * values[2]

    return run


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_parts_may_be_written_in_any_order(first: int) -> None:
    merged = 0
    for seed in range(first, first + 20):
        members = [Applied(overwritten(seed)).double() for _ in range(2)]
        merged += not assert_steps_as_alone(members, [X[:4]]).code.alone
    assert merged > 5


def test_a_class_that_is_none_is_named_as_alone() -> None:
    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs.softmax(1) - functional.one_hot(target, 3)).square().mean()

    recipe = SupervisedEvaluator(train=(X[:, 0], Y + 1), batch_size=4, loss=loss, threads=1)
    results = assert_as_alone([lambda: nn.Linear(6, 3)] * 3, recipe)
    assert all("Class values must be smaller" in str(result.error) for result in results)


class WritesInput(nn.Module):
    """Changes what it is given, by itself or, as its calls can't be seen, as a whole."""

    def __init__(self, asks: bool) -> None:
        super().__init__()
        self.layer, self.asks, self.calls = nn.Linear(6, 3), asks, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.asks and x.sum().item() > 1e9:
            return self.layer(x)
        x.mul_(1.5)
        return self.layer(x + 0)


@pytest.mark.parametrize("asks", [True, False])
def test_what_a_member_does_to_its_batch_no_other_sees(asks: bool) -> None:
    recipe = SupervisedEvaluator(train=(X[:, 0], Y), batch_size=4, epochs=2, threads=1)
    builds = [lambda: WritesInput(asks), lambda: nn.Linear(6, 3)] * 3
    assert_as_alone(builds, recipe)
    heard = Heard()
    list(MergedJob(tuple(jobs_of(builds, recipe)), Options()).run(heard))  # type: ignore[arg-type]
    assert not any("raised" in note for note in heard.notes)


def test_what_a_metric_does_to_the_targets_no_other_sees() -> None:
    def greedy(outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs.argmax(1) == target.clamp_(max=1)).double().mean()

    recipe = SupervisedEvaluator(
        train=(X[:, 0], Y), batch_size=4, threads=1, metrics={"accuracy": greedy},
    )  # fmt: skip
    other = SupervisedEvaluator(train=recipe.train, batch_size=4, threads=1)
    assert_as_alone([lambda: nn.Linear(6, 3)] * 4, [recipe, other, recipe, other])


class Keeping(nn.Module):
    """Keeps what it has seen in training, for which it is called as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.kept, self.count, self.seen = torch.zeros(()), 0, [1.0]
        self.weight = nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.weight
        if self.training:
            self.kept = (x * x).mean()
            self.count += 1
            self.seen.append(0.5)
        return x


READERS: dict[str, Callable[[Keeping, Tensor, bool], Tensor]] = {
    "a tensor": lambda part, x, _: x * part.kept,
    "a tensor, measured": lambda part, x, training: x if training else x * part.kept,
    "a number": lambda part, x, _: x * part.count,
    "a number, measured": lambda part, x, training: x if training else x + part.count,
    "a condition": lambda part, x, _: -x if part.count > 3 else x,
    "a list": lambda part, x, _: x * sum(part.seen),
    "nothing": lambda part, x, _: x,
}


class Reads(nn.Module):
    """Reads what a part of it keeps; by itself, or in a part around that one."""

    def __init__(self, reads: Callable[[Keeping, Tensor, bool], Tensor]) -> None:
        super().__init__()
        self.part, self.reads = Keeping(), reads

    def forward(self, x: Tensor) -> Tensor:
        return self.reads(self.part, self.part(x), self.training)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("reads", READERS)
def test_what_a_part_keeps_is_read_as_it_is_then(reads: str, inside: bool) -> None:
    recipe = SupervisedEvaluator(
        train=(X[:, 0], Y), batch_size=4, epochs=8, threads=1, validation=(X[:, 1], Y)
    )

    def build() -> nn.Module:
        module = Reads(READERS[reads])
        return nn.Sequential(nn.Linear(6, 6), module, nn.Linear(6, 3)) if inside else module

    builds, options = [build] * 4, Options(cluster_size=4)
    assert_as_alone(builds, recipe, options=options)
    if inside:  # What is around it is merged all the same.
        heard = Heard()
        list(MergedJob(tuple(jobs_of(builds, recipe)), options).run(heard))  # type: ignore[arg-type]
        assert not any(" 0 % fused" in note for note in heard.notes)


class Resets(nn.Module):
    """Changes what a part of it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.part, self.last = nn.Linear(6, 6), Keeping(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.part(self.first(x)) + len(self.part.seen)
        self.part.seen.clear()
        return self.last(x)


def test_what_a_part_keeps_is_changed_by_another() -> None:
    recipe = SupervisedEvaluator(train=(X[:, 0], Y), batch_size=4, epochs=4, threads=1)
    assert_as_alone([Resets] * 4, recipe, options=Options(cluster_size=4))
