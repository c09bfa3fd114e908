"""Sizes of a model as ready-made metrics."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: torch.nn.Module) -> int:
    """Count the parameters of a model, shared ones once.

    >>> parameters(torch.nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in model.parameters())


def flops(model: torch.nn.Module, *inputs: Any) -> int:
    """Count the floating-point operations of one forward pass in evaluation mode.

    Counts the operations that do the work (matrix products, convolutions, attention), a
    multiplication and an addition as two, as ``torch.utils.flop_counter`` does. Runs on the meta
    device, on a copy without storage: nothing is computed, and the model is not touched.

    >>> flops(torch.nn.Linear(3, 2), torch.zeros(1, 3))
    12
    """
    # The copy shares nothing and holds nothing: each tensor is replaced while it is made.
    ghosts = {id(tensor): _ghost(tensor) for tensor in _tensors(model)}
    ghost = copy.deepcopy(model, dict(ghosts)).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        try:
            ghost(*(_ghost(part) if isinstance(part, torch.Tensor) else part for part in inputs))
        except Exception as error:
            error.add_note(
                "flops() runs the model on the meta device, where tensors have shapes but no values"
            )
            raise
    return int(counter.get_total_flops())


def _tensors(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, torch.Tensor))


def _ghost(tensor: torch.Tensor) -> torch.Tensor:
    ghost = torch.empty_like(tensor, device="meta")
    return (
        torch.nn.Parameter(ghost, tensor.requires_grad)
        if isinstance(tensor, torch.nn.Parameter)
        else ghost
    )
