"""Predicates that leave architectures out of a space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nas_core.architecture import Value

__all__ = ["Constraint"]


@dataclass(frozen=True)
class Constraint:
    """What an architecture must satisfy.

    Attributes:
        predicate: gets label → value of the active choices, says whether it holds.
        name: what messages call it.
        labels: the labels that the predicate looks at, None for any. Counting is fast only
            where few are named.
        shown: whether it is worth telling people that it exists.
    """

    predicate: Callable[[Mapping[str, Value]], bool]
    name: str
    labels: frozenset[str] | None = None
    shown: bool = True

    def holds(self, values: Mapping[str, Value]) -> bool:
        if self.labels is not None:
            values = {k: v for k, v in values.items() if k in self.labels}
        return bool(self.predicate(values))
