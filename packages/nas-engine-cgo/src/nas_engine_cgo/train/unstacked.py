"""The optimiser of several members without stacking: each parameter takes its step by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nas_engine_cgo.state import Entry, Place
from nas_engine_cgo.train.optimizer import Group, StackedOptimizer
from nas_engine_cgo.train.updates import State

__all__ = ["UnstackedOptimizer"]


class UnstackedOptimizer(StackedOptimizer):
    """Does for each slot of each entry what ``StackedOptimizer`` does for the entry."""

    def __init__(
        self,
        kind: type[torch.optim.Optimizer],
        entries: Sequence[Entry],
        groups: Sequence[Sequence[Group]],
        exact: bool,
        states: Mapping[Place, State] | None = None,
    ) -> None:
        self._whole = {
            Entry(entry.part(entry.tensor.detach(), i), "own", (place,)): (entry, i)
            for entry in entries
            for i, place in enumerate(entry.slots)
        }
        single = [(group,) for each in groups for group in each]
        super().__init__(kind, tuple(self._whole), single, exact, states)
        self._fused = None  # Kernels for many tensors go by address: parts may have gaps.

    def zero_grad(self) -> None:
        for whole, _ in self._whole.values():
            whole.tensor.grad = None

    def _felt(self, entry: Entry) -> Tensor | None:
        whole, position = self._whole[entry]
        return None if whole.tensor.grad is None else whole.part(whole.tensor.grad, position)
