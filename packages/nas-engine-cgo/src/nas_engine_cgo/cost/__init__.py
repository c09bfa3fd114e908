"""Cost: how many members are merged with each other, so that it pays."""

from nas_engine_cgo.cost.apart import why_apart, why_short
from nas_engine_cgo.cost.choose import Choice, choose
from nas_engine_cgo.cost.memory import is_out_of_memory, training_memory
from nas_engine_cgo.remember import Memory

__all__ = [
    "Choice",
    "Memory",
    "choose",
    "is_out_of_memory",
    "training_memory",
    "why_apart",
    "why_short",
]
