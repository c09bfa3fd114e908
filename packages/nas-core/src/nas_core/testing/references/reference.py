"""One model space and its models written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nas_core.architecture import Architecture

__all__ = ["Reference", "images", "rows"]


@dataclass(frozen=True)
class Reference:
    """A model space, and what each of its architectures means.

    Attributes:
        name: what it is about.
        model: makes the model with its choices open.
        by_hand: makes the plain model of an architecture.
        inputs: makes the arguments of forward, always the same.
        needs: capabilities without which an engine can't serve it, and says so.
    """

    name: str
    model: Callable[[], torch.nn.Module]
    by_hand: Callable[[Architecture], torch.nn.Module]
    inputs: Callable[[], tuple[torch.Tensor, ...]]
    needs: frozenset[str] = frozenset({"inline"})


def images() -> tuple[torch.Tensor, ...]:
    """A batch of three one-channel images of 6 by 6."""
    return (torch.randn(3, 1, 6, 6, generator=torch.Generator().manual_seed(1)),)


def rows() -> tuple[torch.Tensor, ...]:
    """A batch of three rows of four numbers."""
    return (torch.randn(3, 4, generator=torch.Generator().manual_seed(1)),)
