"""Gradients in the order in memory that the values have.

Torch's elementwise functions take ten times as long over two orders in memory as over one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["LAST", "are_plain", "by_pixel", "felt_whole", "in_layout", "split"]

LAST = torch.channels_last


def are_plain(x: Tensor) -> bool:
    """Whether they are images on a CPU whose numbers have the type that they seem to have.

    >>> are_plain(torch.zeros(2, 3, 4, 5)), are_plain(torch.zeros(2, 3))
    (True, False)
    """
    return (
        x.dim() == 4
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")  # In which they have another type.
        and x.dtype in (torch.float32, torch.float64)
    )


def by_pixel(x: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side; those that are cut out of others do, too.

    >>> images = torch.zeros(2, 6, 4, 5).contiguous(memory_format=torch.channels_last)
    >>> by_pixel(images), by_pixel(images[:, 2:4]), by_pixel(torch.zeros(2, 6, 4, 5))
    (True, True, False)
    """
    return x.dim() == 4 and x.stride(1) == 1 and not x.is_contiguous()


def in_layout(x: Tensor) -> Tensor:
    """The tensor; the gradient that comes back to it is ``channels_last`` if it is.

    That of what looks at all pixels at once, such as their mean, is contiguous.

    >>> x = torch.zeros(2, 3, 4, 5, requires_grad=True)
    >>> in_layout(x) is x
    True
    >>> made = in_layout(x.contiguous(memory_format=torch.channels_last))
    >>> made.is_contiguous(memory_format=torch.channels_last)
    True
    """
    if not _is_last(x) or not x.requires_grad:
        return x
    made: Tensor = _InLayout.apply(x)  # type: ignore[no-untyped-call]
    return made


def felt_whole(x: Tensor) -> Tensor:
    """The tensor, of ``channels_last`` images; its gradient lies by itself before it goes on.

    What several members feel is joined, and each gets a part of that, which some of torch's
    gradients read in two to thirty times the time.

    >>> x = torch.zeros(2, 3, 4, 5, requires_grad=True)
    >>> images = x.contiguous(memory_format=torch.channels_last)
    >>> felt_whole(images) is images
    True
    """
    if x.requires_grad:
        x.register_hook(_whole)  # type: ignore[no-untyped-call]
    return x


def _whole(felt: Tensor) -> Tensor:
    return felt.contiguous(memory_format=LAST)


def split(x: Tensor, sizes: Sequence[int], dimension: int) -> tuple[Tensor, ...]:
    """``torch.split``; the gradient that comes back is ``channels_last`` if the tensor is.

    Torch has contiguous zeros for parts that nobody reads, and with these joins all as contiguous.

    >>> images = torch.ones(2, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    >>> first, _ = split(images.requires_grad_(), (1, 3), 1)
    >>> first.sum().backward()
    >>> images.grad.is_contiguous(memory_format=torch.channels_last)
    True
    """
    if not _is_last(x) or not x.requires_grad:
        return torch.split_with_sizes(x, list(sizes), dimension)
    made: tuple[Tensor, ...] = _Split.apply(x, sizes, dimension)  # type: ignore[no-untyped-call]
    return made


def _is_last(x: Tensor) -> bool:
    return x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=LAST)


class _InLayout(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(_ctx: Any, felt: Tensor) -> Tensor:
        return felt.contiguous(memory_format=LAST)


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: Sequence[int], dimension: int) -> tuple[Tensor, ...]:
        ctx.dimension = dimension
        ctx.set_materialize_grads(False)
        parts = torch.split_with_sizes(x, list(sizes), dimension)
        ctx.shapes = [part.shape for part in parts]
        return parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *felt: Tensor | None) -> tuple[Tensor, None, None]:
        like = next(part for part in felt if part is not None)
        parts = [
            like.new_zeros(size, height, width, channels).permute(0, 3, 1, 2)
            if part is None
            else part
            for part, (size, channels, height, width) in zip(felt, ctx.shapes, strict=True)
        ]
        return torch.cat(parts, ctx.dimension), None, None
