"""Which layers an architecture uses, told from the open model before its own model is built.

A layer of the open model knows which creation of the constructor's run it is. Where it stands among
the choices says which decisions lead to it. The walk is that of the space, with creations in
the place of choices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from nas_core.architecture import Value
from nas_core.choice import Choice, Key
from nas_core.conditional import is_conditional
from nas_core.construction import relative
from nas_core.space import Blocks, Constraint, Decision, Item
from nas_core.wrapper import creation_of

__all__ = ["Creations", "Uses", "uses"]


@dataclass(frozen=True)
class Uses:
    """The creations that not every architecture uses, and the decisions that lead to them."""

    creations: frozenset[Key] = frozenset()
    items: Sequence[Item] = ()

    def unused(self, values: Mapping[str, Value]) -> set[Key]:
        """The creations that an architecture does not use."""
        unused = set(self.creations)
        pending = list(self.items)
        while pending:
            item = pending.pop()
            if isinstance(item, Creations):
                unused -= item.keys
            elif not isinstance(following := item.step(values), Choice):
                pending += following
        return unused


def uses(model: torch.nn.Module, start: Key) -> Uses:
    """What the architectures of an open model use, whose constructor began at ``start``.

    What does not stand in the model, since its constructor only looked at it, is not mentioned.
    """
    walk = _Walk(start)
    items = _merged(walk.visit(model, ""))
    always = [item.keys for item in items if isinstance(item, Creations)]
    conditional = tuple(item for item in items if not isinstance(item, Creations))
    return Uses(frozenset(walk.creations.difference(*always)), conditional)


@dataclass(frozen=True, slots=True)
class Creations:
    """Layers that are used together, as an item without a choice."""

    keys: frozenset[Key]

    @property
    def choices(self) -> Mapping[str, Choice]:
        return {}

    def step(self, values: Mapping[str, Value]) -> Sequence[Item]:
        return ()

    def describe(self) -> Value:
        return sorted(self.keys)


def _merged(items: Iterable[Item]) -> Sequence[Item]:
    """The items without those that lead to no creation; creations that stand together as one."""
    keys: set[Key] = set()
    others: list[Item] = []
    for item in items:
        match item:
            case Creations():
                keys |= item.keys
            case Decision():
                branches = {text: _merged(branch) for text, branch in item.branches.items()}
                if any(branches.values()):
                    others.append(Decision(item.choice, branches))
            case Blocks():
                others.append(Blocks(item.depth, [_merged(block) for block in item.blocks]))
            case _:
                others.append(item)
    return (Creations(frozenset(keys)), *others) if keys else tuple(others)


class _Walk:
    """Walks the modules of a model, choices included, and finds creations."""

    def __init__(self, start: Key) -> None:
        self.creations: set[Key] = set()
        self._start = start

    def visit(self, module: torch.nn.Module, path: str) -> Iterator[Item]:
        if is_conditional(module):
            yield from module.nas_items(self, path)
            return
        created = creation_of(module)
        if created is not None and (key := relative(created, self._start)) is not None:
            self.creations.add(key)
            yield Creations(frozenset([key]))
        for child in module._modules.values():
            if child is not None:
                yield from self.visit(child, path)

    def see(self, choice: Choice, path: str) -> None:
        """Labels are given elsewhere."""

    def constrain(self, constraint: Constraint) -> None:
        """Constraints decide nothing here."""
