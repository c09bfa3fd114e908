"""Grouped convolution of which some is computed in other ways, where the bits would differ.

With windows of one pixel it is products of matrices, as oneDNN computes it for one member: of more
channels, torch's grouped convolution takes another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from nas_engine_cgo.exact.order import applied, as_alone
from nas_engine_cgo.exact.strided import can_be_products, gradient_by_products
from nas_engine_cgo.packs import APART, AT_ONCE, OTHERWISE

__all__ = ["member_convolution"]

_Ways = tuple[int, int, int]


@dataclass(frozen=True)
class _Facts:
    """What a convolution of ``n`` members is, besides its tensors.

    Attributes:
        n: how many.
        geometry: stride, padding, dilation, and the groups of one member.
        shared: whether they have one input.
        bias: how many numbers the biases are.
    """

    n: int
    geometry: tuple[Any, ...]
    shared: bool
    bias: int | None

    @property
    def groups(self) -> int:
        """Those of all members."""
        groups: int = self.geometry[-1]
        return groups if self.shared else groups * self.n

    def of_pixels(self, weight: Tensor) -> bool:
        """Whether each pixel of a member is multiplied with its matrix, and that is all."""
        stride, padding, _, groups = self.geometry
        alone = groups == 1 and not self.shared and self.bias is None
        return alone and set(weight.shape[2:]) | set(stride) == {1} and not any(padding)

    def at_once(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The results of all members."""
        if not self.of_pixels(weight):
            return self.forward(x, weight, bias, self.groups)
        made = torch.bmm(_matrices(weight, self.n), _columns(x, self.n))
        return _images(made, x)

    def back_at_once(
        self, grad: Tensor, x: Tensor, weight: Tensor, mask: Sequence[bool]
    ) -> list[Tensor | None]:
        """The gradients of all members that are asked for, of input, weight and bias."""
        if not self.of_pixels(weight):
            return self.backward(grad, x, weight, self.groups, mask)
        of_input = of_weight = None
        if mask[0]:
            turned = _matrices(weight, self.n).transpose(1, 2)
            of_input = _images(torch.bmm(turned, _columns(grad, self.n)), x)
        if mask[1]:  # Image by image, and then added up.
            products = torch.matmul(_by_image(grad, self.n), _by_image(x, self.n).transpose(2, 3))
            of_weight = products.sum(0).view(weight.shape)
        return [of_input, of_weight, None]

    def can_be_products(self, x: Tensor) -> bool:
        """Whether the gradient of the input can be had by products of matrices."""
        stride, _, dilation, groups = self.geometry
        alone = groups == 1 and not self.shared
        return alone and can_be_products(x.shape[2:], stride, dilation)

    def apart(self, x: Tensor) -> Sequence[Tensor]:
        """The input of each member."""
        return [x] * self.n if self.shared else [as_alone(part) for part in x.chunk(self.n, 1)]

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        made: Tensor = torch.ops.aten.convolution(
            x, weight, bias, *self.geometry[:-1], False, self._zeros, groups
        )
        return made

    def backward(
        self, grad: Tensor, x: Tensor, weight: Tensor, groups: int, mask: Sequence[bool]
    ) -> list[Tensor | None]:
        sizes = None if self.bias is None else [weight.shape[0]]
        found = torch.ops.aten.convolution_backward(
            grad, x, weight, sizes, *self.geometry[:-1], False, self._zeros, groups, list(mask)
        )
        return list(found)

    @property
    def _zeros(self) -> list[int]:
        return [0] * len(self.geometry[0])


def member_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: tuple[Any, ...],
    n: int,
    ways: _Ways,
) -> Tensor:
    """The convolution of ``n`` members side by side.

    Args:
        x: shape ``(batch, n * channels, ...)``, or ``(batch, channels, ...)`` if it is shared.
        weight, bias: the members' along dimension 0.
        geometry: stride, padding, dilation, and the groups of one member.
        n: how many members.
        ways: those of the results, the gradients of the input, and those of weight and bias.
    """
    shared = x.shape[1] == weight.shape[1] * geometry[-1] and n > 1
    facts = _Facts(n, geometry, shared, None if bias is None else bias.shape[0])
    return applied(_Convolution, (x, weight, bias), facts, ways)


class _Convolution(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, facts: _Facts, ways: _Ways
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.given = facts, ways
        if ways[0] == AT_ONCE:
            return facts.at_once(x, weight, bias)
        weights = map(as_alone, weight.chunk(facts.n))
        biases = [None] * facts.n if bias is None else map(as_alone, bias.chunk(facts.n))
        each = zip(facts.apart(x), weights, biases, strict=True)
        return torch.cat([facts.forward(*member, facts.geometry[-1]) for member in each], 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        facts, (_, of_input, of_rest) = ctx.given
        if of_input == OTHERWISE and not facts.can_be_products(x):
            of_input = APART
        pairs = tuple(zip(ctx.needs_input_grad, (of_input, of_rest, of_rest), strict=False))
        at_once, by_products, by_member = (
            [wanted and way == each for wanted, way in pairs]
            for each in (AT_ONCE, OTHERWISE, APART)
        )
        found: list[Tensor | None] = [None, None, None]
        if any(at_once):
            found = facts.back_at_once(grad, x, weight, at_once)
        if by_products[0]:
            stride, padding, *_ = facts.geometry
            sizes = x.shape[2:], stride, padding
            found[0] = gradient_by_products(grad, weight, facts.n, *sizes)
        if any(by_member):
            parts = [
                facts.backward(as_alone(g), each, as_alone(w), facts.geometry[-1], by_member)
                for g, each, w in zip(
                    grad.chunk(facts.n, 1), facts.apart(x), weight.chunk(facts.n), strict=True
                )
            ]
            for i, dimension in enumerate((1, 0, 0)):
                if by_member[i]:
                    pieces = [part[i] for part in parts]
                    found[i] = torch.cat([p for p in pieces if p is not None], dimension)
        return (*found, None, None)


def _by_image(x: Tensor, n: int) -> Tensor:
    """Shape ``(batch, n, channels, pixels)``."""
    return x.reshape(x.shape[0], n, x.shape[1] // n, -1)


def _columns(x: Tensor, n: int) -> Tensor:
    """Shape ``(n, channels, batch * pixels)``."""
    return _by_image(x, n).permute(1, 2, 0, 3).flatten(2)


def _matrices(weight: Tensor, n: int) -> Tensor:
    """Shape ``(n, outputs, inputs)``."""
    return weight.view(n, -1, weight.shape[1])


def _images(columns: Tensor, like: Tensor) -> Tensor:
    """The images of these columns, as many and as large as others."""
    n, channels, _ = columns.shape
    batch, _, *size = like.shape
    by_image = columns.view(n, channels, batch, -1).permute(2, 0, 1, 3)
    return by_image.reshape(batch, n * channels, *size).contiguous()
