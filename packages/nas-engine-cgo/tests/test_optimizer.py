"""One optimiser over the parameters of several members does what one for each would do."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from nas_engine_cgo.state import Entry
from nas_engine_cgo.train.optimizer import StackedOptimizer
from torch import Tensor

LARGEST = {0: 0.5, 1: 1e9, 2: 0.1}  # of four members, of which one is not clipped


def drawn(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 2, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("there", [*product([False, True], repeat=3)])
def test_gradients_are_clipped_where_there_are_some(there: tuple[bool, ...], exact: bool) -> None:
    """One parameter lies in a tensor of all members, or of none that has a gradient."""
    values = {(m, path): drawn(0).requires_grad_() for m in range(4) for path in "ab"}
    stacked = torch.stack([values[m, "a"].detach() for m in range(4)]).requires_grad_()
    entries = [Entry(stacked, "stack", tuple((m, "a") for m in range(4)))]
    for m in range(4):
        own = drawn(0).requires_grad_()
        own.grad = drawn(m) if m == 3 or there[m] else None
        values[m, "b"].grad = None if own.grad is None else own.grad.clone()
        entries.append(Entry(own, "own", ((m, "b"),)))
    if all(there):
        stacked.grad = torch.stack([drawn(10 + m) for m in range(4)])
        for m in range(4):
            values[m, "a"].grad = drawn(10 + m)
    for m, most in LARGEST.items():
        torch.nn.utils.clip_grad_norm_([values[m, "a"], values[m, "b"]], most)
    group = {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0}
    groups = [[group] * len(entry.slots) for entry in entries]
    optimizer = StackedOptimizer(torch.optim.SGD, entries, groups, exact)
    optimizer.clip(LARGEST, lambda _: "ab")
    for entry in entries:
        for i, place in enumerate(entry.slots):
            found, expected = entry.tensor.grad, values[place].grad
            assert (found is None) == (expected is None)
            if found is not None:
                torch.testing.assert_close(entry.part(found, i), expected, rtol=1e-14, atol=0)
