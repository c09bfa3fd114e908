"""Whether zeros in layers of unequal widths are likely to pay, before anything is timed."""

from __future__ import annotations

from collections.abc import Sequence

from nas_engine_cgo.cost.work import CALL, PASSES, PRODUCTS, products
from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import Program
from nas_engine_cgo.merge import signatures

__all__ = ["seems_to_pay"]


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
    more = _products(wide) - _products(programs)
    return PASSES * more / PRODUCTS < saved * CALL


def _different(programs: Sequence[Program]) -> set[object]:
    """The calls that are left if equal ones run as one."""
    return {each for program in programs for each in signatures(program, fits)}


def _products(programs: Sequence[Program]) -> int:
    return sum(products(call, program) for program in programs for call in program.calls)
