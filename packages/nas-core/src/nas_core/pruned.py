"""How a running candidate learns that it isn't worth going on with."""

from __future__ import annotations

__all__ = ["Pruned"]


class Pruned(BaseException):  # no error: a candidate's ordinary, early end
    """What ``report`` raises to end a candidate: let it pass.

    Not an ``Exception``, as ``KeyboardInterrupt`` isn't: code that catches ``Exception`` to survive
    its own mistakes would otherwise go on training, or give back a number that nobody measured.
    ``finally`` and ``with`` do their work. Where it is caught all the same, every further
    ``report`` raises it again, and whatever is given back in the end does not count.

    Attributes:
        number: that of the candidate's trial.
        reason: at which step, and why, in words.

    >>> try:
    ...     raise Pruned(3, "at step 2, with accuracy = 0.1")
    ... except Exception:
    ...     print("swallowed")
    ... except Pruned as pruned:
    ...     print(pruned)
    trial 3 is pruned at step 2, with accuracy = 0.1
    """

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason
        super().__init__(f"trial {number} is pruned {reason}")

    def __reduce__(self) -> tuple[type[Pruned], tuple[int, str]]:
        return type(self), (self.number, self.reason)
