"""What a space is made of: items that ask for decisions and lead to further items.

Every question about a space is answered by stepping through items under the decisions made so
far, so that a choice inside a candidate that was not chosen is never asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice
from nas_core.expression import Expression, Need

__all__ = ["Blocks", "Decision", "Evaluation", "Item", "decides", "distinct", "items_of", "trace"]


class Item(Protocol):
    """A part of a space."""

    @property
    def choices(self) -> Mapping[str, Choice] | None:
        """All choices that stepping may ask for, by label; None if only stepping tells."""

    def step(self, values: Mapping[str, Value]) -> Choice | Sequence[Item]:
        """The decision that is needed next, or, where none is, the items that follow."""

    def describe(self) -> Value:
        """JSON that is equal for equal items, in every process."""


def _merged(items: Sequence[Item], own: Sequence[Choice]) -> dict[str, Choice] | None:
    merged = {choice.label: choice for choice in own}
    for item in items:
        if item.choices is None:
            return None
        merged |= {label: c for label, c in item.choices.items() if label not in merged}
    return merged


@dataclass(frozen=True, eq=False)
class Decision:
    """A choice, and for each option (by its canonical text) what it brings with it."""

    choice: Choice
    branches: Mapping[str, Sequence[Item]]

    @cached_property
    def choices(self) -> Mapping[str, Choice] | None:
        return _merged([x for branch in self.branches.values() for x in branch], [self.choice])

    @cached_property
    def leads_on(self) -> bool:
        """Whether an option brings anything with it."""
        return any(self.branches.values())

    def step(self, values: Mapping[str, Value]) -> Choice | Sequence[Item]:
        if self.choice.label not in values:
            return self.choice
        if not self.leads_on:
            return ()
        return self.branches.get(canonical(values[self.choice.label]), ())

    def describe(self) -> Value:
        branches = {text: [x.describe() for x in items] for text, items in self.branches.items()}
        return [self.choice.label, self.choice.domain.describe(), branches]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A conditional expression: it asks for the choices that its value depends on."""

    expression: Expression

    @cached_property
    def choices(self) -> Mapping[str, Choice]:
        return {choice.label: choice for choice in self.expression.choices()}

    def step(self, values: Mapping[str, Value]) -> Choice | Sequence[Item]:
        try:
            self.expression.value_in(values)
        except Need as need:
            return need.choice
        return ()

    def describe(self) -> Value:
        domains = [[c.label, c.domain.describe()] for c in self.expression.choices()]
        return [repr(self.expression), domains]


@dataclass(frozen=True, eq=False)
class Blocks:
    """A repetition: the items of as many blocks as the depth says."""

    depth: Expression
    blocks: Sequence[Sequence[Item]]

    @cached_property
    def choices(self) -> Mapping[str, Choice] | None:
        return _merged([x for block in self.blocks for x in block], list(self.depth.choices()))

    @cached_property
    def _needed(self) -> Sequence[Choice]:
        """What the depth always depends on."""
        return () if self.depth.conditional() else tuple(self.depth.choices())

    @property
    def decided_by(self) -> Choice | None:
        """The choice that the depth always depends on, if it is the only one."""
        return self._needed[0] if len(self._needed) == 1 else None

    def step(self, values: Mapping[str, Value]) -> Choice | Sequence[Item]:
        for choice in self._needed:  # Less work than to be told by what is raised.
            if choice.label not in values:
                return choice
        try:
            depth = self.depth.value_in(values)
        except Need as need:
            return need.choice
        return [x for block in self.blocks[:depth] for x in block]

    def describe(self) -> Value:
        return [
            Evaluation(self.depth).describe(),
            [[x.describe() for x in block] for block in self.blocks],
        ]


def items_of(expression: Expression) -> list[Item]:
    """What an expression asks for: its choices one by one, unless some only matter sometimes."""
    if expression.conditional():
        return [Evaluation(expression)]
    return [Decision(choice, {}) for choice in expression.choices()]


def distinct(items: Iterable[Item], decided: frozenset[str] = frozenset()) -> tuple[Item, ...]:
    """The items without decisions that an earlier one has always made already."""
    kept: list[Item] = []
    for item in items:
        match item:
            case Decision(choice, branches):
                repeated = choice.label in decided
                decided |= {choice.label}
                if not repeated or any(branches.values()):
                    inner = {text: distinct(branch, decided) for text, branch in branches.items()}
                    kept.append(Decision(choice, inner))
            case Blocks(depth, blocks):
                if not depth.conditional():
                    decided |= {choice.label for choice in depth.choices()}
                kept.append(Blocks(depth, [distinct(block, decided) for block in blocks]))
            case _:
                kept.append(item)
    return tuple(kept)


def decides(items: Sequence[Item], values: Mapping[str, Value]) -> bool:
    """Whether walking the items asks for just these values, in this order."""
    given = iter(values.items())
    decided: dict[str, Value] = {}

    def answered(choice: Choice) -> bool:
        label, value = next(given, (None, None))
        if label is None or label != choice.label or not choice.domain.has(value):
            return False
        decided[label] = value
        return True

    pending = list(reversed(items))
    while pending:
        item = pending.pop()
        if isinstance(item, Decision):  # Most are: without a step.
            choice = item.choice
            if choice.label not in decided and not answered(choice):
                return False
            if item.leads_on:
                text = canonical(decided[choice.label])
                pending.extend(reversed(item.branches.get(text, ())))
            continue
        while isinstance(following := item.step(decided), Choice):
            if not answered(following):
                return False
        pending.extend(reversed(following))
    return len(decided) == len(values)


def trace(items: Sequence[Item], decide: Callable[[Choice], Value]) -> dict[str, Value]:
    """Walk the items in program order and ask for each active decision exactly once."""
    values: dict[str, Value] = {}
    pending = list(reversed(items))
    while pending:
        following = pending[-1].step(values)
        if isinstance(following, Choice):
            values[following.label] = decide(following)
        else:
            pending.pop()
            if following:
                pending.extend(reversed(following))
    return values
