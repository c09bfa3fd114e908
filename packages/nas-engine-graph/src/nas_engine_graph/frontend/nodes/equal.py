"""What loops carry twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nas_engine_graph.ir import Operand, Ref

__all__ = ["equal_values"]


def equal_values(
    first: Sequence[object], names: Sequence[str], following: Sequence[Operand]
) -> Sequence[int]:
    """For each value that a loop carries the first one that is equal to it in each trip."""
    groups = _firsts(first)
    while True:
        of = dict(zip(names, groups, strict=True))
        results = (of.get(o.name, o) if isinstance(o, Ref) else o for o in following)
        finer = _firsts(zip(groups, results, strict=True))
        if finer == groups:
            return groups
        groups = finer


def _firsts(items: Iterable[object]) -> list[int]:
    seen: dict[object, int] = {}
    return [seen.setdefault(item, index) for index, item in enumerate(items)]
