"""``AutoActivation``: activation functions as compositions of simple functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from nas_core.nn.choices import ChoiceError, LayerChoice

__all__ = ["AutoActivation", "Binary", "Unary"]

_EPSILON = 1e-7


# The functions of the paper's table 1; roots and logarithms kept finite. Those of `_SCALED` have a
# learnable scalar, here with its initial value.
_UNARY: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "identity": lambda x: x,
    "negative": lambda x: -x,
    "abs": torch.abs,
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "sqrt": lambda x: torch.sqrt(torch.clamp(x, min=_EPSILON)),
    "log_abs": lambda x: torch.log(torch.abs(x) + _EPSILON),
    "exp": torch.exp,
    "sin": torch.sin,
    "cos": torch.cos,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "atan": torch.atan,
    "sinc": lambda x: torch.sinc(x / torch.pi),
    "relu": lambda x: torch.clamp(x, min=0.0),
    "min0": lambda x: torch.clamp(x, max=0.0),
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
    "gauss": lambda x: torch.exp(-(x**2)),
    "erf": torch.erf,
}
_SCALED_UNARY: Mapping[str, tuple[float, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = {
    "scale": (1.0, lambda x, beta: beta * x),
    "shift": (0.0, lambda x, beta: x + beta),
    "constant": (1.0, lambda x, beta: beta.expand_as(x)),
}
_BINARY: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": torch.add,
    "mul": torch.mul,
    "sub": torch.sub,
    "div": lambda x, y: x / (y + _EPSILON),
    "max": torch.maximum,
    "min": torch.minimum,
    "gate": lambda x, y: torch.sigmoid(x) * y,
}
_SCALED_BINARY: Mapping[
    str, tuple[float, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]]
] = {
    "gauss_difference": (1.0, lambda x, y, beta: torch.exp(-beta * (x - y) ** 2)),
    "exp_difference": (1.0, lambda x, y, beta: torch.exp(-beta * torch.abs(x - y))),
    "mix": (0.5, lambda x, y, beta: beta * x + (1 - beta) * y),
}


class Unary(torch.nn.Module):
    """A function of one tensor, element by element, with at most one learnable scalar ``beta``.

    >>> Unary("square")(torch.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """

    names = (*_UNARY, *_SCALED_UNARY)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        if name in _SCALED_UNARY:
            self.beta = torch.nn.Parameter(torch.tensor(_SCALED_UNARY[name][0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The function's value."""
        if self.name in _SCALED_UNARY:
            return _SCALED_UNARY[self.name][1](x, self.beta)
        return _UNARY[self.name](x)

    def extra_repr(self) -> str:
        """The name of the function."""
        return self.name


class Binary(torch.nn.Module):
    """A function of two tensors, element by element, with at most one learnable scalar ``beta``.

    >>> Binary("max")(torch.tensor([1.0, -3.0]), torch.tensor([0.0, 0.0]))
    tensor([1., 0.])
    """

    names = (*_BINARY, *_SCALED_BINARY)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        if name in _SCALED_BINARY:
            self.beta = torch.nn.Parameter(torch.tensor(_SCALED_BINARY[name][0]))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The function's value."""
        if self.name in _SCALED_BINARY:
            return _SCALED_BINARY[self.name][1](x, y, self.beta)
        return _BINARY[self.name](x, y)

    def extra_repr(self) -> str:
        """The name of the function."""
        return self.name


class AutoActivation(torch.nn.Module):
    """An activation function composed of unary and binary functions, which are choices.

    One unit is ``binary(unary(x), unary(x))``; each further one combines what there is with
    another unary function of ``x``. From Ramachandran et al., "Searching for Activation
    Functions" (2017); ``beta`` is learnt, one for each place.

    Args:
        unit_num: the number of binary functions, at least 1.
        label: prefix of the choices' labels, ``{label}.unary_{i}`` and ``{label}.binary_{i}``;
            their positions if it is None.

    Shapes: input and output ``(*)``.

    >>> import nas_core as nas
    >>> nas.Space.of(AutoActivation(label="act")).size()  # 25 * 25 unary, 10 binary
    6250

    Raises:
        ValueError: ``unit_num`` is below 1.
    """

    def __init__(self, unit_num: int = 1, label: str | None = None) -> None:
        super().__init__()
        if type(unit_num) is not int or unit_num < 1:
            raise ChoiceError(f"unit_num must be an integer of at least 1, not {unit_num!r}")
        prefix = None if label is None else f"{label}."
        self.unaries = torch.nn.ModuleList(
            _choice(Unary, prefix and f"{prefix}unary_{i}") for i in range(unit_num + 1)
        )
        self.binaries = torch.nn.ModuleList(
            _choice(Binary, prefix and f"{prefix}binary_{i}") for i in range(unit_num)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation."""
        y: torch.Tensor = self.unaries[0](x)
        for unary, binary in zip(list(self.unaries)[1:], self.binaries, strict=True):
            y = binary(y, unary(x))
        return y


def _choice(kind: type[Unary | Binary], label: str | None) -> torch.nn.Module:
    return LayerChoice({name: kind(name) for name in kind.names}, label)
