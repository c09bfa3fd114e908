"""Futures that who calls a model gives."""

from typing import List  # noqa: UP035

import pytest
import torch
from torch import Tensor, nn

from nas_engine_graph import convert

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Takes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(
        self,
        future: torch.jit.Future[Tensor],
        x: Tensor,
        more: List[torch.jit.Future[Tensor]],  # noqa: UP006 - What TorchScript reads.
    ):
        own = torch.jit.fork(self.linear, x)
        for one in more:
            x = x * one.wait()
        return future.wait() * own.wait() + torch.jit.wait(future), x, future, own


def test_they_stay_futures() -> None:
    module, x = Takes(), torch.randn(2, 3)
    graph = convert(module)
    twin = graph.instantiate()
    twin.load_state_dict(module.state_dict())
    given = [torch.jit.fork(torch.exp, x + n) for n in range(3)]
    assert "torch.jit.Future[Tensor]" in graph.to_source()
    first, other = (made(given[0], x, given[1:]) for made in (module, twin))
    assert torch.equal(first[0], other[0]) and torch.equal(first[1], other[1])
    assert first[2] is other[2] is given[0] and torch.equal(first[3].wait(), other[3].wait())
    assert convert(twin) == graph
