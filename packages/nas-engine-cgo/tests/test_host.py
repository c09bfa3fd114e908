"""What a member on a GPU has on the CPU, told from its program."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nas_engine_cgo.members import on_the_cpu, trace
from torch import Tensor, nn

SCALE = torch.tensor(2.0)

WAYS: dict[str, tuple[Callable[[Tensor], Tensor], set[str]]] = {
    "of the input": (lambda x: x * torch.zeros_like(x).sum(), set()),
    "made where the input is": (lambda x: x * torch.rand((), device=x.device), set()),
    "made": (lambda x: x * torch.rand(()), {"rand"}),
    "made there": (lambda x: x * torch.rand((), device="cpu"), {"rand"}),
    "computed there": (lambda x: x * (torch.rand(2).sum() + 1), {"rand", "sum", "add"}),
    "moved to a tensor": (lambda x: x * torch.rand(()).to(x), {"rand"}),
    "only another type": (lambda x: x * torch.rand(()).to(torch.float64), {"rand", "to"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_lies_on_the_cpu(way: str) -> None:
    function, expected = WAYS[way]
    net = nn.Linear(3, 2)
    program = trace(net, lambda net, x: function(net(x)), [torch.zeros(4, 3)])
    there = on_the_cpu(program)
    assert {c.name for c in program.calls if not there.isdisjoint(c.outputs)} == expected


def test_constants_lie_where_they_were_made() -> None:
    net = nn.Linear(3, 2)
    program = trace(net, lambda net, x: net(x) * SCALE, [torch.zeros(4, 3)])
    (constant,) = (n for n, source in program.sources.items() if source.kind == "constant")
    assert on_the_cpu(program) == {constant}
