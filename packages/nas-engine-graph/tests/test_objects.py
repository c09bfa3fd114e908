"""Objects of the user's classes: what can't be right is refused, and nothing is left behind."""

import sys

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


class Table:
    def __init__(self, values: Tensor) -> None:
        self.values = values

    def applied(self, x: Tensor) -> Tensor:
        return x + self.values


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
        (AsksForKind, ["`isinstance(found, Base)`", "inherit"]),
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
