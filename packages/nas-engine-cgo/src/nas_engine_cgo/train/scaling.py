"""Scaled gradients of several members: each has a scale of its own, as alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Scales"]


class Scales:
    """The scales of ``torch.amp.GradScaler`` for each of several members.

    A member whose gradients are not finite leaves out a step, and its scale is halved; after many
    steps without that it is doubled.

    Args:
        members: how many.
        device: where they are.

    >>> scales = Scales(2, torch.device("cpu"))
    >>> scales.update(torch.tensor([True, False]))
    >>> scales.of([0, 1], torch.float32)
    tensor([32768., 65536.])
    """

    def __init__(self, members: int, device: torch.device) -> None:
        self._scaler = scaler = torch.amp.GradScaler(device.type)
        scale = scaler.get_scale()
        self._scales = torch.full((members,), scale, dtype=torch.float32, device=device)
        self._clean = torch.zeros(members, dtype=torch.int32, device=device)

    def of(self, members: Sequence[int], dtype: torch.dtype) -> Tensor:
        """What the losses of members are multiplied by."""
        scales = self._scales.unbind()
        return torch.stack([scales[member] for member in members]).to(dtype)

    def inverse(self) -> Tensor:
        """What each member's gradients are multiplied by, shape ``(members,)``."""
        return self._scales.double().reciprocal().float()

    def update(self, overflowed: Tensor) -> None:
        """Move on after a step; ``overflowed`` says for which members it was left out."""
        scaler = self._scaler
        numbers = (
            scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()
        )  # fmt: skip
        parts = zip(self._scales, self._clean, overflowed.float(), strict=True)
        for scale, clean, found in parts:
            torch._amp_update_scale_(scale, clean, found, *numbers)

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these members only."""
        self._scales = self._scales[list(members)]
        self._clean = self._clean[list(members)]
