"""Spaces: their items, how they are counted, when choices are active, and ``Space`` itself."""

from nas_core.space.constraint import Constraint
from nas_core.space.items import Blocks, Decision, Evaluation, Item, distinct, items_of
from nas_core.space.space import Space

__all__ = [
    "Blocks",
    "Constraint",
    "Decision",
    "Evaluation",
    "Item",
    "Space",
    "distinct",
    "items_of",
]
