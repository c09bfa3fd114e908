"""Compute once what several members compute alike: equal calls of equal values that train nothing.

Values are numbered across members: two have the same number if they are bound to be equal. The
inputs of one data stream are, and so are frozen parameters with equal contents, hence all that is
computed from them by calls without effects. So is what ``relu`` makes of its own result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from nas_engine_cgo.members import PURE, Call, Program

__all__ = ["Slot", "deduplicate", "each_by_itself"]

_NORMS = ("batch_norm", "instance_norm")
_IDEMPOTENT = frozenset({"relu"})
"""Of their own results they make the same, and of the gradient, too."""

Slot = tuple[int, int]
"""A member, and the number of one of its values (or calls)."""


def deduplicate(
    programs: Sequence[Program],
    content: Callable[[int, int], Hashable | None],
    exact: bool = False,
) -> dict[Slot, Slot]:
    """For every value the first one that is equal to it, by (member, value).

    Args:
        programs: the members'.
        content: for a member's source what is equal for equal contents; None if it is its own.
        exact: whether bits count: a gradient comes back through each of equal calls of one member,
            and is rounded each time, so that these are made each time.
    """
    first: dict[Hashable, Slot] = {}
    canonical: dict[Slot, Slot] = {}
    for member, program in enumerate(programs):
        for number in program.sources:
            known = content(member, number)
            slot = (member, number)
            canonical[slot] = slot if known is None else first.setdefault(known, slot)
        for call in program.calls:
            grad = call.grad and program.felt is not None  # Nothing has one in evaluation.
            if (exact and grad) or not _repeats(call):
                canonical |= {(member, number): (member, number) for number in call.outputs}
            else:
                _number(member, call, grad, canonical, first)
    return canonical


def each_by_itself(programs: Sequence[Program]) -> dict[Slot, Slot]:
    """For every value itself: nothing is shared."""
    return {
        (member, number): (member, number)
        for member, program in enumerate(programs)
        for number in (*program.sources, *(n for call in program.calls for n in call.outputs))
    }


def _repeats(call: Call) -> bool:
    """Whether the call computes the same from the same, and does nothing else."""
    return not call.effects and not call.writes and (call.name in PURE or call.name in _NORMS)


def _number(
    member: int, call: Call, grad: bool, canonical: dict[Slot, Slot], first: dict[Hashable, Slot]
) -> None:
    given = tuple(canonical[member, number] for number in call.inputs)
    for position, number in enumerate(call.outputs):
        key = (call.name, call.function, grad, call.template, given, position)
        canonical[member, number] = made = first.setdefault(key, (member, number))
        if call.name in _IDEMPOTENT:
            first[(*key[:4], (made,), position)] = made
