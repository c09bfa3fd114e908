"""When a choice is active, in words that a person can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice, OneOf
from nas_core.space.items import Item

__all__ = ["Condition", "condition_text", "conditions", "reached"]

Condition: TypeAlias = Mapping[str, tuple[Value, ...]]
"""Label → the values one of which it must have; all labels together."""

_Literal: TypeAlias = tuple[tuple[str, frozenset[str]], ...]


def conditions(
    paths: Sequence[tuple[Choice, Mapping[str, Value]]], choices: Mapping[str, Choice]
) -> dict[str, tuple[Condition, ...]]:
    """For each label the alternatives under which it is active; none if it always is.

    Args:
        paths: each way on which a choice is reached, with the decisions that lead to it.
        choices: all choices by label.
    """
    found: dict[str, dict[_Literal, None]] = {label: {} for label in choices}
    for choice, values in paths:
        literal = tuple((k, frozenset([canonical(v)])) for k, v in sorted(values.items()))
        found[choice.label][literal] = None
    sizes = {label: choice.domain.size for label, choice in choices.items()}
    return {
        label: tuple(_readable(x, choices) for x in _simplified(list(literals), sizes) if x)
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


def _readable(literal: _Literal, choices: Mapping[str, Choice]) -> Condition:
    return {
        label: tuple(v for v in choices[label].domain.options() if canonical(v) in values)
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


def reached(items: Sequence[Item]) -> Iterator[tuple[Choice, Mapping[str, Value]]]:
    """Each choice of each item with the decisions that lead to it within that item."""
    for item in items:
        yield from _reached(item, {})


def _reached(
    item: Item, values: Mapping[str, Value]
) -> Iterator[tuple[Choice, Mapping[str, Value]]]:
    following = item.step(values)
    if not isinstance(following, Choice):
        for x in following:
            yield from _reached(x, values)
        return
    yield following, values
    if isinstance(following.domain, OneOf):  # A subset leads to no further choices.
        for option in following.domain.options():
            yield from _reached(item, {**values, following.label: option})
