"""To which width each layer is widened: that of the widest at the same place, if it is near."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from nas_engine_cgo.kinds import arguments
from nas_engine_cgo.members import Call, Program, Ref

__all__ = ["CONVOLUTIONS", "Widths", "weight_of", "widths_of"]

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
_TIMES = 2
"""How many times wider than it was a layer may get: its work grows as much, and so does that of the
next."""

Widths = Mapping[tuple[str, int], int]
"""(path of the weights, outputs that they have) → outputs that they get."""


def widths_of(programs: Iterable[Program]) -> Widths:
    """The widths of layers that are at the same place in their members, but differ in width.

    >>> from torch import nn, zeros
    >>> from nas_engine_cgo.members import trace
    >>> programs = [
    ...     trace(nn.Linear(4, width), lambda module, x: module(x), [zeros(2, 4)])
    ...     for width in (8, 6, 3)
    ... ]
    >>> widths_of(programs)
    {('weight', 6): 8}
    """
    sizes: dict[str, set[int]] = defaultdict(set)
    for program in {id(program): program for program in programs}.values():
        uses = program.uses()
        for call in program.calls:
            if (weight := weight_of(call)) is None or uses[weight.id] > 1:
                continue
            source = program.sources.get(weight.id)
            if source is not None and source.trained:
                sizes[str(source.path)].add(program.facts[weight.id].shape[0])
    return {
        (path, own): width
        for path, found in sizes.items()
        for own, width in _wider(found).items()
        if own != width
    }


def weight_of(call: Call) -> Ref | None:
    """The weights of a linear layer, or of a convolution that joins all channels."""
    if call.name not in ("linear", *CONVOLUTIONS):
        return None
    given = arguments(call.args, call.kwargs)
    weight = given["weight"]
    return weight if isinstance(weight, Ref) and given["groups"] == 1 else None


def _wider(sizes: Iterable[int]) -> dict[int, int]:
    """Size → the largest that is not too many times as large."""
    found: dict[int, int] = {}
    widest = 0
    for size in sorted(sizes, reverse=True):
        if size * _TIMES < widest or not widest:
            widest = size
        found[size] = widest
    return found
