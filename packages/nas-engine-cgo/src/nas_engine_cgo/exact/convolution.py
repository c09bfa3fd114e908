"""Grouped convolution whose gradients are computed member by member where the bits would differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["member_gradients"]


def member_gradients(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: tuple[Any, ...],
    n: int,
    looped: tuple[bool, bool],
) -> Tensor:
    """The convolution of ``n`` members side by side.

    Args:
        x: shape ``(batch, n * channels, ...)``, or ``(batch, channels, ...)`` if it is shared.
        weight, bias: the members' along dimension 0.
        geometry: stride, padding, dilation, and the groups of one member.
        n: how many members.
        looped: whether the gradients of the input, and those of weight and bias, are computed for
            each member by itself.
    """
    made: Tensor = _MemberGradients.apply(x, weight, bias, geometry, n, looped)  # type: ignore[no-untyped-call]
    return made


class _MemberGradients(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: tuple[Any, ...],
        n: int,
        looped: tuple[bool, bool],
    ) -> Tensor:
        stride, padding, dilation, groups = geometry
        shared = x.shape[1] == weight.shape[1] * groups and n > 1
        ctx.save_for_backward(x, weight)
        ctx.facts = (None if bias is None else bias.shape[0], geometry, n, looped, shared)
        zeros = [0] * len(stride)
        all_groups = groups if shared else groups * n
        made: Tensor = torch.ops.aten.convolution(
            x, weight, bias, stride, padding, dilation, False, zeros, all_groups
        )
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        bias, geometry, n, looped, shared = ctx.facts
        stride, padding, dilation, groups = geometry
        zeros = [0] * len(stride)
        wanted = ctx.needs_input_grad[:3]

        def gradients(
            g: Tensor, x: Tensor, w: Tensor, groups: int, mask: Sequence[bool]
        ) -> tuple[Tensor | None, ...]:
            sizes = None if bias is None else [w.shape[0]]
            found: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(
                g, x, w, sizes, stride, padding, dilation, False, zeros, groups, list(mask)
            )
            return found

        by_member = (looped[0] and wanted[0], looped[1] and wanted[1], looped[1] and wanted[2])
        at_once = tuple(w and not b for w, b in zip(wanted, by_member, strict=True))
        found: list[Tensor | None] = [None, None, None]
        if any(at_once):
            all_groups = groups if shared else groups * n
            found = list(gradients(grad, x, weight, all_groups, at_once))
        if any(by_member):
            inputs = [x] * n if shared else [part.contiguous() for part in x.chunk(n, 1)]
            parts = [
                gradients(g.contiguous(), each, w, groups, by_member)
                for g, each, w in zip(grad.chunk(n, 1), inputs, weight.chunk(n, 0), strict=True)
            ]
            for i, looped_one in enumerate(by_member):
                if looped_one:
                    pieces = [part[i] for part in parts]
                    dimension = 1 if i == 0 else 0
                    found[i] = torch.cat([p for p in pieces if p is not None], dimension)
        return (*found, None, None, None)
