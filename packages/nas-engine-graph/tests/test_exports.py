"""Methods that are marked ``@torch.jit.export`` are called from outside, as ``forward`` is."""

import pytest
import torch
from torch import Tensor, nn

from nas_engine_graph import convert
from nas_engine_graph.memory import Memory
from nas_engine_graph.testing import assert_round_trip

# TorchScript says that it is deprecated wherever it is called.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")


def twice(x: Tensor) -> Tensor:
    return x * 2


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.calls = 0

    @torch.jit.export
    def reset(self) -> int:
        before = self.calls
        self.calls = 0
        return before

    def forward(self, z: Tensor) -> Tensor:
        self.calls += 1
        return self.linear(z) * self.calls


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(3, 2), Decoder()
        self.factor = 1.5

    @torch.jit.export
    def decode(self, z: Tensor, scale: float = 1.0) -> Tensor:
        return twice(self.decoder(z)) * scale * self.factor

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        return self.encoded(x)

    def encoded(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encoder(x), 2.0)


def test_exported_methods_are_there_and_do_the_same() -> None:
    x, z = torch.randn(4, 3), torch.randn(4, 2)
    graph = assert_round_trip(Coder, x)
    module = Coder()
    twin = graph.instantiate()
    twin.load_state_dict(module.state_dict())
    for model in (module, twin):
        model(x)
    assert torch.equal(module.encode(x), twin.encode(x))
    assert torch.equal(module.decode(z), twin.decode(z))
    assert module.decoder.reset() == twin.decoder.reset() == 2
    assert torch.equal(module.decode(z, 3.0), twin.decode(z, scale=3.0))


def test_what_is_remembered_has_them_too() -> None:
    memory = Memory()
    assert [memory.convert(Coder()) == convert(Coder()) for _ in range(3)] == [True] * 3
    assert memory.compiled == 1


class Unclear(nn.Module):
    """What is exported can be scripted, and not be written down."""

    @torch.jit.export
    def later(self, x: Tensor):
        futures = {"x": torch.jit.fork(twice, x)}
        return futures.get("x"), x

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def test_what_can_not_be_converted_is_left_out() -> None:
    torch.jit.script(Unclear())
    graph = assert_round_trip(Unclear, torch.randn(2))
    assert [function.name for function in graph.functions] == ["forward"]
