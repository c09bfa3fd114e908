"""How many architectures a space has, exactly, without listing them.

Items that share no label are independent: their counts multiply. Items that share some are
counted together, by branching on one decision after the other; equal remainders under equal
relevant decisions are counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice
from nas_core.errors import SpaceTooLargeError
from nas_core.space.constraint import Constraint
from nas_core.space.items import Decision, Item

__all__ = ["count"]


def count(items: Sequence[Item], constraints: Sequence[Constraint], limit: int) -> int:
    """The number of architectures, those that break a constraint left out.

    Raises:
        SpaceTooLargeError: more than ``limit`` branches had to be visited.
    """
    return _Counter(constraints, limit).count(tuple(items), {}, tuple(constraints))


class _Counter:
    def __init__(self, constraints: Sequence[Constraint], limit: int) -> None:
        self._limit = limit
        self._visited = 0
        self._memo: dict[object, int] = {}

    def count(
        self,
        items: tuple[Item, ...],
        values: dict[str, Value],
        constraints: tuple[Constraint, ...],
    ) -> int:
        total = 1
        for part, bound in _independent(items, values, constraints):
            total *= self._together(part, values, bound)
            if total == 0:
                break
        return total

    def _together(
        self,
        items: tuple[Item, ...],
        values: dict[str, Value],
        constraints: tuple[Constraint, ...],
    ) -> int:
        """Count items that can't be told apart: expand until a decision is needed, then branch."""
        items = tuple(items)
        while items:
            following = items[0].step(values)
            if isinstance(following, Choice):
                return self._branch(following, items, values, constraints)
            # What follows may fall apart into independent parts.
            if len(rest := (*following, *items[1:])) > 1:
                return self.count(rest, values, constraints)
            items = rest
        return int(all(constraint.holds(values) for constraint in constraints))

    def _branch(
        self,
        choice: Choice,
        items: tuple[Item, ...],
        values: dict[str, Value],
        constraints: tuple[Constraint, ...],
    ) -> int:
        if not constraints and all(_asks_only(item, choice) for item in items):
            return choice.domain.size
        # The constraints too: the same items may be counted with and without one.
        parts = tuple(map(id, (*items, *constraints)))
        key = (parts, _relevant(items, values, constraints))
        if key in self._memo:
            return self._memo[key]
        total = 0
        for option in choice.domain.options():
            self._visited += 1
            if self._visited > self._limit:
                raise SpaceTooLargeError(
                    f"counting this space takes more than {self._limit:,} steps; "
                    "pass a larger limit to size() to wait for it"
                )
            total += self.count(items, {**values, choice.label: option}, constraints)
        self._memo[key] = total
        return total


def _asks_only(item: Item, choice: Choice) -> bool:
    return (
        isinstance(item, Decision)
        and item.choice.label == choice.label
        and not any(item.branches.values())
    )


def _labels(item: Item) -> frozenset[str] | None:
    return None if item.choices is None else frozenset(item.choices)


def _relevant(
    items: Sequence[Item],
    values: Mapping[str, Value],
    constraints: Sequence[Constraint],
) -> object:
    """The decisions made so far on which the rest of the count depends."""
    labels = [_labels(item) for item in items] + [c.labels for c in constraints]
    known = [found for found in labels if found is not None]
    everything = len(known) < len(labels)
    wanted = values.keys() if everything else frozenset().union(*known) & values.keys()
    return tuple((label, canonical(values[label])) for label in sorted(wanted))


def _independent(
    items: Sequence[Item],
    values: Mapping[str, Value],
    constraints: Sequence[Constraint],
) -> list[tuple[tuple[Item, ...], tuple[Constraint, ...]]]:
    """Group what shares an undecided label; None (unknown labels) shares with everything."""
    things: list[tuple[Item | Constraint, frozenset[str] | None]] = [
        *((item, _labels(item)) for item in items),
        *((constraint, constraint.labels) for constraint in constraints),
    ]
    groups: list[tuple[list[Item | Constraint], set[str] | None]] = []
    for thing, labels in things:
        open_labels = None if labels is None else set(labels) - values.keys()
        members = [thing]
        for group in [g for g in groups if _shares(g[1], open_labels)]:
            groups.remove(group)
            members = group[0] + members
            open_labels = (
                None if group[1] is None or open_labels is None else group[1] | open_labels
            )
        groups.append((members, open_labels))
    return [
        (
            tuple(x for x in members if not isinstance(x, Constraint)),
            tuple(x for x in members if isinstance(x, Constraint)),
        )
        for members, _ in groups
    ]


def _shares(a: set[str] | None, b: set[str] | None) -> bool:
    if a is None or b is None:
        return True
    return not a.isdisjoint(b)
