"""The global generators of Python and NumPy, of which torch knows nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from nas_core.generators import Noted, numpy_state, python_state

__all__ = ["GlobalStates"]


@dataclass(frozen=True, eq=False)
class GlobalStates:
    """Their states, told when they are asked for; without NumPy until somebody has imported it.

    >>> import random
    >>> before = GlobalStates.now()
    >>> drawn = random.random()
    >>> before.are_now()
    False
    >>> before.restore()
    >>> before.are_now(), drawn == random.random()
    (True, True)
    """

    python: Noted
    numpy: Noted | None

    @classmethod
    def now(cls) -> GlobalStates:
        """Those that they are in."""
        return cls(python_state(), numpy_state())

    def restore(self) -> None:
        """Put them back into these states."""
        self.python.restore()
        if self.numpy is not None:
            self.numpy.restore()

    def are_now(self) -> bool:
        """Whether nothing was drawn since."""
        return self.are(GlobalStates.now())

    def are(self, others: GlobalStates) -> bool:
        """Whether the same will be drawn; NumPy may be there since."""
        if not _same(self.python, others.python):
            return False
        return self.numpy is None or others.numpy is None or _same(self.numpy, others.numpy)


def _same(one: Noted, other: Noted) -> bool:
    if one.memory is not None and one.memory == other.memory:
        return True
    return _equal(one.tell(), other.tell())


def _equal(one: Any, other: Any) -> bool:
    """Whether two of NumPy's states are; those of other generators than its first hold arrays."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return bool(sys.modules["numpy"].array_equal(one, other)) if _is_array(one) else one == other


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy"
