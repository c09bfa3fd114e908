"""The space of all architectures: items, counting, conditions, and the ``Space`` that joins them."""

from nas_core.space.constraint import Constraint
from nas_core.space.items import Blocks, Decision, Evaluation, Item
from nas_core.space.space import Space

__all__ = ["Blocks", "Constraint", "Decision", "Evaluation", "Item", "Space"]
