"""The global generators of Python and NumPy, of which torch knows nothing."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["GlobalStates"]


@dataclass(frozen=True, eq=False)
class GlobalStates:
    """Their states; without NumPy as long as nobody has imported it.

    >>> before = GlobalStates.now()
    >>> drawn = random.random()
    >>> before.are_now()
    False
    >>> before.restore()
    >>> before.are_now(), drawn == random.random()
    (True, True)
    """

    python: Any
    numpy: Any

    @classmethod
    def now(cls) -> GlobalStates:
        """Those that they are in."""
        numpy = _numpy()
        return cls(random.getstate(), None if numpy is None else numpy.random.get_state())

    def restore(self) -> None:
        """Put them back into these states."""
        random.setstate(self.python)
        if self.numpy is not None:
            _numpy().random.set_state(self.numpy)

    def are_now(self) -> bool:
        """Whether nothing was drawn since."""
        return self.are(GlobalStates.now())

    def are(self, others: GlobalStates) -> bool:
        """Whether the same will be drawn; NumPy may be there since."""
        if self.python != others.python:
            return False
        if self.numpy is None or others.numpy is None:
            return True
        pairs = zip(self.numpy, others.numpy, strict=True)
        return all(_numpy().array_equal(one, other) for one, other in pairs)


def _numpy() -> Any:
    return sys.modules.get("numpy")
