"""Leave out what a member computes in vain, and gradients that nothing asks for.

Alone, a parameter that the loss does not depend on has no gradient, and no optimiser touches it.
Packed with parameters of other members it would get a gradient of zeros, and so decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from nas_engine_cgo.members.program import Call, Program, Source, refs_in

__all__ = ["prune"]


def prune(program: Program, given: Mapping[int, Source] = MappingProxyType({})) -> Program:
    """The program without calls that change nothing and whose results reach no result.

    Of the calls that stay, those through which no gradient comes back record none.

    Args:
        program: what is done.
        given: values that need not be computed any more, and where they come from.
    """
    wanted = set(refs_in(program.output)) - given.keys()
    kept: dict[int, Call] = {}  # by position
    for position in reversed(range(len(program.calls))):
        call = program.calls[position]
        if not (call.effects or call.writes or wanted & set(call.outputs)):
            continue
        wanted |= set(call.inputs) - given.keys()
        grad = call.grad and (program.felt is None or not program.felt.isdisjoint(call.outputs))
        kept[position] = call if grad == call.grad else replace(call, grad=grad)
    new = {position: i for i, position in enumerate(sorted(kept))}
    calls = tuple(_moved(kept[position], new) for position in new)
    read = {n for call in calls for n in (*call.inputs, *call.reads, *call.writes)}
    read.update(refs_in(program.output))
    sources = {n: source for n, source in {**program.sources, **given}.items() if n in read}
    return replace(program, calls=calls, sources=sources)


def _moved(call: Call, new: Mapping[int, int]) -> Call:
    """The call among those that are kept, whose positions are new."""
    after = tuple(new[i] for i in call.after if i in new)
    return call if after == call.after else replace(call, after=after)
