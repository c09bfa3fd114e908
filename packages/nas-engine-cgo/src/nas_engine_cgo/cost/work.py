"""What a step of a member consists of: products, which take as long merged, and calling torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas_engine_cgo.kinds import fits
from nas_engine_cgo.members import Call, Program
from nas_engine_cgo.merge.blocks import calls_at_once
from nas_engine_cgo.widen import weight_of

__all__ = [
    "CALL",
    "PASSES",
    "PRODUCTS",
    "products",
    "seconds_of",
    "share_in_pairs",
    "share_of_calling",
]

CALL = 100e-6
"""Seconds that a call takes besides computing, with its gradient and its part of the update."""
PRODUCTS = 1.5e10
"""Multiplications and additions in a second, of layers that are worth merging."""
PRODUCTS_ON_GPUS = 2e12
"""The same, of a small GPU: on a large one merging gains more often."""
PASSES = 3
"""Forward, and back to the inputs and to the weights."""
_WHOLE = 20
"""Calls that a layer takes as long as that can't be merged: a recurrent one takes 15 to 50."""


def products(call: Call, program: Program) -> int:
    """Multiplications of a layer that joins all its inputs; of other calls none."""
    if (weight := weight_of(call)) is None:
        return 0
    (output,) = call.outputs
    _, *joined = program.facts[weight.id].shape
    return math.prod(program.facts[output].shape) * math.prod(joined)


def seconds_of(program: Program, device: str = "cpu") -> float:
    """How long a step of a member takes, or about: enough to tell it from that of others."""
    return sum(_parts(program, device))


def share_of_calling(programs: Sequence[Program], device: str = "cpu") -> float:
    """The part of members' steps that is not computing, or about: merging saves no more of them.

    What is frozen is computed once for all.

    Args:
        programs: the members'.
        device: the type of the one that computes.

    >>> from torch import nn, zeros
    >>> from nas_engine_cgo.members import trace
    >>> def share(width):
    ...     net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width))
    ...     return share_of_calling([trace(net, lambda net, x: net(x), [zeros(32, 64)])])
    >>> [round(share(width), 2) for width in (64, 512, 2048)]
    [0.85, 0.14, 0.01]
    """
    parts = [_parts(program, device) for program in programs]
    calling, computing = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return calling / (calling + computing) if calling + computing else 1.0


def share_in_pairs(programs: Sequence[Program], room: int) -> float:
    """The part of members' steps on a CPU, or about, of whose calls there is room for two at once.

    Args:
        programs: the members'.
        room: bytes that the largest value of a call may take in a step.
    """
    pairs = total = 0.0
    for program in programs:
        for call, most in zip(program.calls, calls_at_once(program, room), strict=True):
            if _is_felt(call, program):
                total += (seconds := CALL + _computing(call, program, "cpu"))
                pairs += 0.0 if most == 1 else seconds
    return pairs / total if total else 1.0


def _parts(program: Program, device: str) -> tuple[float, float]:
    """Seconds of calling what can be merged, and of all else."""
    parameters = {n for n, source in program.sources.items() if source.kind == "parameter"}
    calling = computing = 0.0
    for call in program.calls:
        if not _is_felt(call, program):
            continue
        if fits(call, program):
            calling += CALL
            computing += _computing(call, program, device)
        else:
            computing += CALL * (1 if parameters.isdisjoint(call.inputs) else _WHOLE)
    return calling, computing


def _computing(call: Call, program: Program, device: str) -> float:
    rate = PRODUCTS if device == "cpu" else PRODUCTS_ON_GPUS
    return PASSES * products(call, program) / rate


def _is_felt(call: Call, program: Program) -> bool:
    """Whether gradients come by a call: what is frozen is computed once for all."""
    return program.felt is None or not program.felt.isdisjoint(call.outputs)
