"""Forms that an operation of a random module has, and shapes that it asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from torch import Tensor, nn

if TYPE_CHECKING:
    from machines import Machine

__all__ = [
    "IMAGE",
    "Form",
    "both",
    "each",
    "even",
    "heads",
    "image",
    "layers",
    "lower",
    "of",
    "row",
    "series",
]

IMAGE = (3, 4, 4)
Form: TypeAlias = Callable[["Machine", int, Tensor, Tensor], Tensor]
"""What is done by the instruction of this number with two values, of which it may take one."""


# ---------------------------------------------------------------------- shapes that are asked for


def image(x: Tensor) -> Tensor:
    if x.dim() == 4 and min(x.shape[2:]) > 1:
        return x
    x = x.flatten(1)[:, :48]
    return F.pad(x, (0, 48 - x.shape[1])).reshape(-1, *IMAGE)


def series(x: Tensor) -> Tensor:
    return x.unsqueeze(2) if x.dim() == 2 else x.flatten(2)[..., :16]


def row(x: Tensor) -> Tensor:
    return x.flatten(1)


def each(x: Tensor, y: Tensor) -> Tensor:
    """A number of each sample of ``y`` that fits to ``x``."""
    return y.flatten(1).mean(1).reshape(-1, *[1] * (x.dim() - 1))


def even(x: Tensor) -> Tensor:
    """Rows whose width is even."""
    x = series(x)
    return x[..., : x.shape[-1] // 2 * 2] if x.shape[-1] > 1 else x.expand(-1, -1, 2)


def heads(x: Tensor) -> Tensor:
    """Two parts of each row, as attention sees them."""
    return even(x).unflatten(-1, (2, -1)).transpose(1, 2)


def lower(x: Tensor) -> Tensor:
    """What a row may see of the rows before it, and of itself."""
    return torch.ones(x.shape[-2], x.shape[-2], dtype=torch.bool).tril()


# ---------------------------------------------------------------------- forms


def of(*functions: Callable[[Tensor], Tensor]) -> list[Form]:
    """Forms that take one value and have no layers."""
    return [lambda m, n, x, y, f=f: f(x) for f in functions]  # type: ignore[misc]


def both(*functions: Callable[[Tensor, Tensor], Tensor]) -> list[Form]:
    return [lambda m, n, x, y, f=f: f(x, y) for f in functions]  # type: ignore[misc]


def layers(shaped: Callable[[Tensor], Tensor], *makes: Callable[[Tensor], nn.Module]) -> list[Form]:
    """Forms that call a layer, which is made for a value in such a shape."""

    def run(make: Callable[[Tensor], nn.Module], m: Machine, n: int, x: Tensor, y: Tensor) -> Any:
        x = shaped(x)
        return m.layer(n, partial(make, x))(x)

    return [partial(run, make) for make in makes]
