"""What has to run before each call of a merged graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from nas_engine_cgo.members import PURE, Call, Program, for_each
from nas_engine_cgo.merge.deduplicate import Slot

__all__ = ["needs_of"]


def needs_of(
    programs: Sequence[Program], canonical: Mapping[Slot, Slot], ordered: bool = False
) -> dict[Slot, set[Slot]]:
    """For each call that has to run the others that must have run before.

    Those are left out whose results are computed for another member.

    Args:
        programs: the members'.
        canonical: value → the value that is computed in its place.
        ordered: whether the calls of a member that read one value keep their order.
    """
    makers: dict[Slot, Slot] = {}  # value → the call that computes it
    for member, program in enumerate(programs):
        for index, call in enumerate(program.calls):
            makers.update(dict.fromkeys(((member, n) for n in call.outputs), (member, index)))
    orders = for_each(programs, lambda program: _order(program, ordered))
    needs: dict[Slot, set[Slot]] = {}
    for member, (program, order) in enumerate(zip(programs, orders, strict=True)):
        for index, (call, earlier) in enumerate(zip(program.calls, order, strict=True)):
            if call.outputs and all(canonical[member, n] != (member, n) for n in call.outputs):
                continue
            values = (canonical[member, n] for n in call.inputs)
            needs[member, index] = {(member, i) for i in earlier} | {
                makers[value] for value in values if value in makers
            }
    for found in needs.values():
        found.difference_update([needed for needed in found if needed not in needs])
    return needs


def _order(program: Program, ordered: bool) -> list[set[int]]:
    """For each call the earlier ones that it must follow, besides those that compute its inputs."""
    writer: dict[int, int] = {}  # source → the last call that changed it
    readers: dict[int, set[int]] = defaultdict(set)
    effect: int | None = None
    order: list[set[int]] = []
    for index, call in enumerate(program.calls):
        earlier = set(call.after)
        for number in (*call.inputs, *call.reads, *call.writes):
            if number in writer:
                earlier.add(writer[number])
            if ordered:
                earlier |= readers[number] - {index}
            readers[number].add(index)
        for number in call.writes:
            earlier |= readers[number] - {index}
            writer[number] = index
        if call.effects and not _only_writes(call):
            if effect is not None:
                earlier.add(effect)
            effect = index
        order.append(earlier)
    return order


def _only_writes(call: Call) -> bool:
    """Whether the effect of a call is that on the sources that it writes, and no other."""
    return bool(call.writes) and call.name in PURE
