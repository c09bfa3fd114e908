"""When a choice is active, in words that a person can read."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice
from nas_core.space.items import Decision, Item

__all__ = ["Condition", "condition_text", "conditions", "reached"]

Condition: TypeAlias = Mapping[str, tuple[Value, ...]]
"""Label → the values one of which it must have; all labels together."""

_Literal: TypeAlias = tuple[tuple[str, frozenset[str]], ...]


def conditions(
    paths: Sequence[tuple[Choice, Mapping[str, Value]]], options: Mapping[str, Sequence[Value]]
) -> dict[str, tuple[Condition, ...]]:
    """For each label the alternatives under which it is active; none if it always is.

    Args:
        paths: each way on which a choice is reached, with the decisions that lead to it.
        options: all values of each label.
    """
    found: dict[str, dict[_Literal, None]] = {label: {} for label in options}
    for choice, values in paths:
        literal = tuple((k, frozenset([canonical(v)])) for k, v in sorted(values.items()))
        found[choice.label][literal] = None
    sizes = {label: len(values) for label, values in options.items()}
    return {
        label: tuple(_readable(x, options) for x in _simplified(list(literals), sizes) if x)
        for label, literals in found.items()
    }


def _simplified(literals: list[_Literal], sizes: Mapping[str, int]) -> list[_Literal]:
    """Join alternatives that differ in the values of one label, until nothing can be joined."""
    changed = True
    while changed:
        changed = False
        for label in sorted({label for literal in literals for label, _ in literal}):
            groups: dict[_Literal, set[str]] = {}
            for literal in literals:
                rest = tuple(x for x in literal if x[0] != label)
                own = next((values for name, values in literal if name == label), None)
                groups.setdefault(rest, set()).update(["*"] if own is None else own)
            joined = []
            for rest, values in groups.items():
                if "*" in values or len(values) == sizes[label]:
                    joined.append(rest)
                else:
                    joined.append(tuple(sorted([*rest, (label, frozenset(values))])))
            if len(joined) < len(literals) or set(joined) != set(literals):
                literals, changed = joined, True
    return [] if () in literals else literals


def _readable(literal: _Literal, options: Mapping[str, Sequence[Value]]) -> Condition:
    return {
        label: tuple(v for v in options[label] if canonical(v) in values)
        for label, values in literal
    }


def condition_text(alternatives: Sequence[Condition]) -> str:
    """
    >>> condition_text([{"body": ("conv", "sep")}, {"depth": (3,)}])
    "body in ('conv', 'sep') or depth = 3"
    >>> condition_text([])
    'always'
    """

    def text(condition: Condition) -> str:
        return " and ".join(
            f"{label} = {values[0]}" if len(values) == 1 else f"{label} in {values}"
            for label, values in condition.items()
        )

    return " or ".join(map(text, alternatives)) or "always"


@dataclass(frozen=True)
class Reached:
    """Each way on which a choice is reached, with the decisions that lead to it.

    Attributes:
        paths: a choice and those decisions.
        complete: whether these are all; if not, the ways nearest to the first options.
        unsure: the labels of choices that are reached in ways that are not among these.
    """

    paths: list[tuple[Choice, Mapping[str, Value]]]
    complete: bool
    unsure: frozenset[str] = frozenset()


def reached(items: Sequence[Item], runs: int = 500) -> Reached:
    """All choices of the items.

    Args:
        items: what to step through.
        runs: how many times a constructor that decides while it runs may be run.
    """
    paths: list[tuple[Choice, Mapping[str, Value]]] = []
    unsure: set[str] = set()
    always: set[str] = set()
    complete = True
    for item in items:
        if item.choices is None:
            found = _by_running(item, runs)
        else:
            found = Reached(list(_declared(item, {})), complete=True)
        paths += found.paths
        complete = complete and found.complete
        if not found.complete:
            unsure |= {choice.label for choice, _ in found.paths}
        if _knows_its_ways(item):
            always |= {choice.label for choice, values in found.paths if not values}
    return Reached(paths, complete, frozenset(unsure - always))


def _knows_its_ways(item: Item) -> bool:
    """Whether it shows all ways that it knows of; it may not, where they are too many to walk."""
    shown: bool = getattr(item, "complete", True)
    return shown


def _declared(
    item: Item, values: Mapping[str, Value]
) -> Iterator[tuple[Choice, Mapping[str, Value]]]:
    following = item.step(values)
    if not isinstance(following, Choice):
        for x in following:
            yield from _declared(x, values)
        return
    yield following, values
    if not isinstance(item, Decision) or item.branches:
        for option in following.domain.options():
            yield from _declared(item, {**values, following.label: option})


def _by_running(item: Item, runs: int) -> Reached:
    """Step in the order of how many decisions differ from the first options."""
    paths: list[tuple[Choice, Mapping[str, Value]]] = []
    order = itertools.count()
    waiting: list[tuple[int, int, Mapping[str, Value]]] = [(0, next(order), {})]
    while waiting and runs > 0:
        distance, _, values = heapq.heappop(waiting)
        following = item.step(values)
        if isinstance(following, Choice):
            paths.append((following, values))
            for i, option in enumerate(following.domain.options()):
                deeper = {**values, following.label: option}
                heapq.heappush(waiting, (distance + (i > 0), next(order), deeper))
        else:
            runs -= 1
            for x in following:
                paths += _declared(x, values)
    return Reached(paths, not waiting and _knows_its_ways(item))
