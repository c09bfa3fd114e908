"""What a module tells about choices in it that not every architecture makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeGuard

import torch

from nas_core.choice import Choice
from nas_core.space import Constraint, Item

__all__ = ["Conditional", "Scanner", "is_conditional", "join"]


class Scanner(Protocol):
    """Walks the modules of a model."""

    def visit(self, module: torch.nn.Module, path: str) -> Iterator[Item]:
        """The items of a module at this path of the model."""

    def see(self, choice: Choice, path: str) -> None:
        """Remember a choice; the path becomes its label if it has none."""

    def constrain(self, constraint: Constraint) -> None:
        """Leave out the architectures that break it."""


class Conditional(Protocol):
    """A module whose choices, or those of its children, are only sometimes active."""

    def nas_items(self, scanner: Scanner, path: str) -> Iterator[Item]:
        """What it asks for, its children included."""


def is_conditional(module: object) -> TypeGuard[Conditional]:
    """Whether a module is ``Conditional``; ``isinstance`` would take far longer."""
    return hasattr(type(module), "nas_items")


def join(path: str, name: str) -> str:
    """The path of a child."""
    return f"{path}.{name}" if path else name
