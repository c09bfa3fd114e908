"""One optimiser over the parameters of several members does what one for each would do."""

from __future__ import annotations

from itertools import product
from typing import Any

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


OWN: dict[type[torch.optim.Optimizer], dict[str, list[Any]]] = {
    torch.optim.SGD: {"lr": [0.1, 0.03, 0.2], "momentum": [0.9, 0.0, 0.7],
                      "weight_decay": [0.0, 0.1, 0.01], "dampening": [0.0, 0.1, 0.3]},
    torch.optim.Adam: {"lr": [1e-3, 3e-3, 1e-2], "betas": [(0.9, 0.999), (0.8, 0.99), (0.95, 0.9)],
                       "eps": [1e-8, 1e-6, 1e-4], "weight_decay": [0.0, 0.1, 0.01]},
    torch.optim.RMSprop: {"lr": [1e-3, 3e-3, 1e-2], "alpha": [0.99, 0.9, 0.95],
                          "eps": [1e-8, 1e-6, 1e-4], "momentum": [0.9, 0.1, 0.5]},
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, numbers in OWN.items() for name in numbers]
)
def test_bits_are_those_of_torch_where_numbers_differ(
    kind: type[torch.optim.Optimizer], name: str, dtype: torch.dtype
) -> None:
    stream = torch.Generator().manual_seed(0)
    stacked = torch.randn(3, 7, 5, generator=stream, dtype=dtype).requires_grad_()
    alone = [part.detach().clone().requires_grad_() for part in stacked]
    numbers = OWN[kind]
    others = {key: values[0] for key, values in numbers.items()}
    optimizers = [
        kind([parameter], **others | {name: value})  # type: ignore[call-arg]
        for parameter, value in zip(alone, numbers[name], strict=True)
    ]
    entry = Entry(stacked, "stack", tuple((member, "weight") for member in range(3)))
    groups = [[optimizer.param_groups[0] for optimizer in optimizers]]
    together = StackedOptimizer(kind, [entry], groups, exact=True)
    for _ in range(8):
        stacked.grad = torch.randn(stacked.shape, generator=stream, dtype=dtype)
        for parameter, grad in zip(alone, stacked.grad.clone(), strict=True):
            parameter.grad = grad
        together.step()
        for optimizer in optimizers:
            optimizer.step()
        assert torch.equal(stacked, torch.stack(alone))
