"""Members that have little in common: random stacks of everything that models are made of."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import torch
from alone import assert_steps_as_alone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import CASES, IMAGE, ROW, ROWS, SIGNAL, Do
from torch import Tensor, nn
from torch.nn import functional

THOROUGH = settings.get_current_profile_name() == "thorough"
SHAPES = (IMAGE, ROWS, ROW, SIGNAL)
Member = tuple[str, ...]


@cache
def parts(shape: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of cases that keep this shape, and of those that end in another."""
    keep, end = [], []
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        for name, case in CASES.items():
            if case.shape == shape and not case.classes:
                x = torch.rand(7, *shape, dtype=torch.float64)
                made = case.make().double()(x)
                if isinstance(made, Tensor) and made.dim() > 1 and len(made) == 7:
                    (keep if made.shape == x.shape else end).append(name)
    return tuple(keep), tuple(end)


@st.composite
def merges(draw: Any) -> tuple[tuple[int, ...], list[Member], list[int]]:
    """A shape, members that begin alike, and sizes of batches."""
    shape = draw(st.sampled_from(SHAPES))
    keep, end = parts(shape)
    some = st.sampled_from(keep)
    common = draw(st.lists(some, min_size=1, max_size=4))

    def member() -> Member:
        names = list(common)
        for _ in range(draw(st.integers(0, 2))):
            position = draw(st.integers(0, len(names)))
            match draw(st.sampled_from(["insert", "replace", "drop"])):
                case "insert":
                    names.insert(position, draw(some))
                case "replace":
                    names[position : position + 1] = [draw(some)]
                case _:
                    del names[position : position + 1]
        last = draw(st.sampled_from(["", "", common_end, draw(st.sampled_from(end))]))
        return (*names, last) if last else tuple(names)

    common_end = draw(st.sampled_from(end))
    members = [member() for _ in range(draw(st.integers(2, 5)))]
    return shape, members, draw(st.lists(st.integers(2, 7), min_size=1, max_size=3))


class Stacked(nn.Module):
    """Parts, and a linear layer on all that they make of a sample."""

    def __init__(self, names: Member, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.body = nn.Sequential(*(CASES[name].make() for name in names)).double()
        self.head = nn.Linear(self.body(torch.rand(7, *shape).double()).flatten(1).shape[1], 2)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.body(x).flatten(1))


def build(number: int, names: Member, shape: tuple[int, ...]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        made = Stacked(names, shape).double()
    for module in made.modules():  # Making it has moved the statistics, and more.
        for name, value in vars(module).items():
            if name in ("steps", "last"):
                vars(module)[name] = 0 if isinstance(value, int) else None
    return made


def test_every_shape_has_parts() -> None:
    assert all(len(keep) > 9 and len(end) > 3 for keep, end in map(parts, SHAPES))


@given(merges())
@settings(
    max_examples=2000 if THOROUGH else 20,
    derandomize=not THOROUGH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_mixed_as_alone(given: tuple[tuple[int, ...], list[Member], list[int]]) -> None:
    shape, members, sizes = given
    generator = torch.Generator().manual_seed(len(members))
    batches = [
        [torch.randn(size, *shape, generator=generator, dtype=torch.float64)] for size in sizes
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = [build(number, names, shape) for number, names in enumerate(members)]
        assert_steps_as_alone(modules, *batches)


def test_members_whose_values_lie_in_another_order() -> None:
    """Equal shapes are not enough: masks are drawn in the order in memory."""
    acts = (_drop, _drop_turned, _drop, _drop_turned)
    modules: list[nn.Module] = [Do(act, way=nn.Linear(8, 8)).double() for act in acts]
    assert_steps_as_alone(modules, [torch.randn(5, 5, 8, dtype=torch.float64)])


def _drop(m: Any, x: Tensor) -> Tensor:
    return functional.dropout(m.way(x), 0.4, m.training)


def _drop_turned(m: Any, x: Tensor) -> Tensor:
    return functional.dropout(m.way(x).transpose(0, 1), 0.4, m.training)
