"""Objects of the user's classes: what can't be right is refused, and nothing is left behind."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.memory import Memory
from nas_engine_graph.testing import assert_same_behaviour

# TorchScript says that it is deprecated wherever it is called.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
# Generated source imports the classes of this file by its name, which pytest makes no identifier.
sys.modules["test_objects"] = sys.modules[__name__]
__name__ = "test_objects"


class Scale:
    def __init__(self, factors: list[float]) -> None:
        self.factors = factors

    def applied(self, x: Tensor) -> Tensor:
        if torch.jit.is_scripting():
            return x * 100
        return x * self.factors[0]


class Holder(nn.Module):
    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return self.scale.applied(x)


class HoldsTheList(Holder):
    def __init__(self) -> None:
        super().__init__(Scale([1.0, 2.0]))
        self.factors = self.scale.factors

    def forward(self, x):
        return self.scale.applied(x) + self.factors[1]


class Two:
    def __init__(self, one: Scale, other: Scale) -> None:
        self.one = one
        self.other = other

    def applied(self, x: Tensor) -> Tensor:
        return self.other.applied(self.one.applied(x))


def holding_one_twice() -> nn.Module:
    scale = Scale([2.0])
    return Holder(Two(scale, scale))


class HoldsOneInside(Holder):
    def __init__(self) -> None:
        super().__init__(Two(Scale([1.0]), Scale([2.0])))
        self.one = self.scale.one

    def forward(self, x):
        return self.scale.applied(x) + self.one.applied(x)


class Table:
    def __init__(self, values: Tensor) -> None:
        self.values = values

    def applied(self, x: Tensor) -> Tensor:
        return x + self.values


def holding_a_weight() -> nn.Module:
    return Holder(Table(nn.Parameter(torch.ones(3))))


def holding_the_memory_of_a_buffer() -> nn.Module:
    made = Holder(Table(torch.ones(3)))
    made.register_buffer("values", made.scale.values)
    return made


class Pickled:
    def __init__(self, factors: list[float]) -> None:
        self.factors = factors

    def applied(self, x: Tensor) -> Tensor:
        return x * self.factors[0]

    def __getstate__(self) -> list[float]:
        return self.factors


class Base:
    def __init__(self) -> None:
        self.x = 1


class Derived(Base):
    def __init__(self) -> None:
        self.x = 1


class AsksForKind(nn.Module):
    def forward(self, x):
        found = Derived()
        if isinstance(found, Base):
            return x * 2
        return x


class MakesLocal(nn.Module):
    def forward(self, x):
        return LOCAL([2.0]).factors[0] * x


def local_class() -> type:
    class Local:
        def __init__(self, factors: list[float]) -> None:
            self.factors = factors

    return Local


LOCAL = local_class()


class Opened:
    def __init__(self, by: float) -> None:
        self.by = by

    def __enter__(self) -> None:
        self.by *= 2

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:  # noqa: PYI036
        pass


class Opens(nn.Module):
    def forward(self, x):
        with Opened(2.0):
            return x + 1


class Grower:
    def grown(self, x: Tensor, by: float = 2.0) -> Tensor:
        return x * by

    def shrunk(self, x: Tensor, by: float = 2.0) -> Tensor:
        return x / by


class FastGrower(Grower):
    def grown(self, x: Tensor, by: float = 3.0) -> Tensor:
        return x * by


class Grows(nn.Module):
    grower: Grower

    def __init__(self) -> None:
        super().__init__()
        self.grower = FastGrower()

    def forward(self, x):
        return self.grower.grown(x)


class GrowsAsTold(Grows):
    def forward(self, x):
        return self.grower.grown(x, 4.0) + self.grower.shrunk(x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Grows, ["method 'grown'", "default is another in FastGrower"]),
        (HoldsTheList, ["'scale'", "object that may change", "so does 'factors'"]),
        (holding_one_twice, ["'scale'", "object that may change", "twice"]),
        (HoldsOneInside, ["'scale'", "may change", "so does 'one'"]),
        (holding_a_weight, ["'scale'", "needs a gradient"]),
        (holding_the_memory_of_a_buffer, ["'scale'", "shares its memory with 'values'"]),
        (lambda: Holder(Pickled([1.0])), ["'scale'", "Pickled", "more than its attributes"]),
        (AsksForKind, ["`isinstance(found, Base)`", "inherit"]),
        (MakesLocal, ["an object of class test_objects.Local, which", "at the top of a module"]),
        (Opens, ["a with statement over an object"]),
    ],
)
def test_refusal_says_what_and_where(make, words) -> None:
    with pytest.raises(UnsupportedModuleError) as caught:
        convert(make())
    for word in ["test_objects.py:", *words]:
        assert word in str(caught.value)


def test_defaults_of_heirs_do_not_matter_where_they_are_given_or_equal() -> None:
    assert_same_behaviour(GrowsAsTold(), convert(GrowsAsTold()).instantiate(), torch.ones(2))


def test_the_users_own_scripting_is_not_touched() -> None:
    module, x = Holder(Scale([2.0])), torch.ones(2)
    assert torch.equal(convert(module).instantiate()(x), x * 2)
    assert torch.equal(torch.jit.script(module)(x), x * 100)
    assert torch.equal(convert(module).instantiate()(x), x * 2)


def test_objects_are_taken_from_the_module_at_hand() -> None:
    memory, x = Memory(), torch.ones(2, 3)
    for factor in (2.0, 3.0):
        module = Holder(Scale([factor]))
        assert memory.convert(module) == convert(module)
        assert_same_behaviour(module, memory.convert(module).instantiate(), x)
    assert memory.compiled == 1
    assert convert(Holder(Scale([2.0]))) != convert(Holder(Scale([3.0])))


def test_each_model_has_its_own_objects() -> None:
    graph = convert(Holder(Scale([2.0])))
    first, second = graph.instantiate(), graph.instantiate()
    first.scale.factors[0] = 5.0
    assert torch.equal(second(torch.ones(2)), torch.ones(2) * 2)
