"""Whether zeros in layers of unequal widths are likely to pay, before anything is timed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import Program
from nas_engine_cgo.merge import signatures
from nas_engine_cgo.widen import weight_of

__all__ = ["seems_to_pay"]

_CALL = 100e-6
"""Seconds that a call takes besides computing, with its gradient and its part of the update."""
_PRODUCTS = 1.5e10
"""Multiplications and additions in a second, of layers that are worth merging."""
_PASSES = 3
"""Forward, and back to the inputs and to the weights."""


def seems_to_pay(programs: Sequence[Program], wide: Sequence[Program]) -> bool:
    """Whether the calls that are saved cost more than the zeros that are multiplied.

    Args:
        programs: those of the members.
        wide: the same, widened.

    >>> from torch import nn, zeros
    >>> from nas_engine_cgo.members import trace
    >>> from nas_engine_cgo.widen import widened
    >>> def pay(batch, *widths):
    ...     nets = [nn.Sequential(nn.Linear(8, width), nn.Linear(width, 2)) for width in widths]
    ...     given = [trace(net, lambda net, x: net(x), [zeros(batch, 8)]) for net in nets]
    ...     return seems_to_pay(given, widened(given))
    >>> pay(32, 24, 32), pay(65536, 24, 32)
    (True, False)
    """
    saved = len(_different(programs)) - len(_different(wide))
    more = sum(map(_products, wide)) - sum(map(_products, programs))
    return _PASSES * more / _PRODUCTS < saved * _CALL


def _different(programs: Sequence[Program]) -> set[object]:
    """The calls that are left if equal ones run as one."""
    return {each for program in programs for each in signatures(program, fits)}


def _products(program: Program) -> int:
    """Multiplications of the layers that join all their inputs."""
    total = 0
    for call in program.calls:
        if (weight := weight_of(call)) is not None:
            (output,) = call.outputs
            _, *joined = program.facts[weight.id].shape
            total += math.prod(program.facts[output].shape) * math.prod(joined)
    return total
