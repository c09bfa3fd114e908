"""What a member on a GPU has on the CPU all the same: what it makes without saying where."""

from __future__ import annotations

import torch

from nas_engine_cgo.members.program import Call, Program, Ref

__all__ = ["on_the_cpu"]


def on_the_cpu(program: Program) -> frozenset[int]:
    """The values of a program that lie on the CPU, wherever its parameters do.

    torch takes a single number from there beside tensors of a GPU. Joined with those of other
    members, it would be none.

    >>> from torch import nn
    >>> from nas_engine_cgo.members import trace
    >>> net = nn.Linear(3, 2)
    >>> program = trace(net, lambda net, x: net(x) * torch.rand(()), [torch.zeros(4, 3)])
    >>> [call.name for call in program.calls if not on_the_cpu(program).isdisjoint(call.outputs)]
    ['rand']
    """
    found = {
        number
        for number, source in program.sources.items()
        if source.constant is not None and source.constant.device.type == "cpu"
    }
    for call in program.calls:
        if _lies_there(call, found):
            found.update(call.outputs)
    return frozenset(found)


def _lies_there(call: Call, found: set[int]) -> bool:
    """Whether the result of a call lies on the CPU, if these values do."""
    if call.name == "to" and len(call.args) > 1 and isinstance(target := call.args[1], Ref):
        return target.id in found
    if (device := call.kwargs.get("device")) is not None:
        return torch.device(device).type == "cpu"
    return found.issuperset(call.inputs) and call.module is None
