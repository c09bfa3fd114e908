"""In which ways what a fused call gives can be computed, where bits count.

Each function is told the ways that were taken and which parts did not have their bits, and says
which are next; None if there are no others.
"""

from __future__ import annotations

from collections.abc import Sequence

from nas_engine_cgo.kinds.convolution import arguments, is_strided
from nas_engine_cgo.members import Call
from nas_engine_cgo.packs import APART, AT_ONCE, OTHERWISE, Parts

__all__ = ["everything_apart", "none", "of_convolution", "of_loss", "otherwise"]


def none(_call: Call, _ways: Parts, _equal: Sequence[bool]) -> Parts | None:
    """It is fused as a whole or not at all."""
    return None


def everything_apart(_call: Call, ways: Parts, equal: Sequence[bool]) -> Parts | None:
    """The results and each gradient member by member."""
    return _next(ways, equal, {AT_ONCE: APART})


def of_loss(_call: Call, ways: Parts, equal: Sequence[bool]) -> Parts | None:
    """The results member by member, if all gradients are fused."""
    return _next(ways, equal, {AT_ONCE: APART}) if all(equal[1:]) else None


def of_convolution(call: Call, ways: Parts, equal: Sequence[bool]) -> Parts | None:
    """All member by member where padding is given in numbers; of the images' gradient first by
    products of matrices, if the windows are strided.
    """
    if isinstance(arguments(call.args, call.kwargs)["padding"], str):
        return None
    by_products = ways[1] == AT_ONCE and not equal[1] and is_strided(call)
    found = _next(ways, equal, {AT_ONCE: APART, OTHERWISE: APART})
    return (found[0], OTHERWISE, *found[2:]) if found and by_products else found


def otherwise(_call: Call, ways: Parts, _equal: Sequence[bool]) -> Parts | None:
    """All in another way."""
    return None if OTHERWISE in ways else (OTHERWISE,) * len(ways)


def _next(ways: Parts, equal: Sequence[bool], after: dict[int, int]) -> Parts | None:
    """The ways, with those that come after them where bits were not equal."""
    if any(way not in after for way, right in zip(ways, equal, strict=True) if not right):
        return None
    return tuple(way if right else after[way] for way, right in zip(ways, equal, strict=True))
