"""The functions that ``AutoActivation`` composes, each a module that TorchScript can read.

They are those of table 1 of Ramachandran et al., "Searching for Activation Functions" (2017); roots
and logarithms are kept finite. ``beta`` is a learnable scalar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["BINARY", "UNARY"]


class Scaled(nn.Module):
    """A function with a learnable scalar."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(beta))


class Negative(nn.Module):
    """-x."""

    def forward(self, x: Tensor) -> Tensor:
        return -x


class Abs(nn.Module):
    """|x|."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.abs(x)


class Square(nn.Module):
    """x²."""

    def forward(self, x: Tensor) -> Tensor:
        return x**2


class Cube(nn.Module):
    """x³."""

    def forward(self, x: Tensor) -> Tensor:
        return x**3


class Sqrt(nn.Module):
    """√x, of at least a small number."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(torch.clamp(x, min=1e-7))


class LogAbs(nn.Module):
    """log of the absolute value, kept finite."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(torch.abs(x) + 1e-7)


class Exp(nn.Module):
    """eˣ."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(x)


class Sin(nn.Module):
    """sin x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


class Cos(nn.Module):
    """cos x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cos(x)


class Sinh(nn.Module):
    """sinh x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sinh(x)


class Cosh(nn.Module):
    """cosh x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cosh(x)


class Asinh(nn.Module):
    """asinh x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.asinh(x)


class Atan(nn.Module):
    """atan x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.atan(x)


class Sinc(nn.Module):
    """sin x / x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sinc(x / math.pi)


class Min0(nn.Module):
    """min(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, max=0.0)


class Gauss(nn.Module):
    """exp(-x²)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-(x**2))


class Erf(nn.Module):
    """The error function."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x)


class Scale(Scaled):
    """βx."""

    def forward(self, x: Tensor) -> Tensor:
        return self.beta * x


class Shift(Scaled):
    """x + β."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.beta


class Constant(Scaled):
    """β."""

    def forward(self, x: Tensor) -> Tensor:
        return self.beta.expand_as(x)


class Add(nn.Module):
    """x + y."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Mul(nn.Module):
    """x · y."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y


class Sub(nn.Module):
    """x - y."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x - y


class Div(nn.Module):
    """x / y, kept finite."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x / (y + 1e-7)


class Maximum(nn.Module):
    """max(x, y)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.maximum(x, y)


class Minimum(nn.Module):
    """min(x, y)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.minimum(x, y)


class Gate(nn.Module):
    """sigmoid(x) · y."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(x) * y


class GaussDifference(Scaled):
    """exp(-β (x - y)²)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-self.beta * (x - y) ** 2)


class ExpDifference(Scaled):
    """exp(-β |x - y|)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-self.beta * torch.abs(x - y))


class Mix(Scaled):
    """βx + (1 - β)y."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.beta * x + (1 - self.beta) * y


UNARY: Mapping[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "negative": Negative,
    "abs": Abs,
    "square": Square,
    "cube": Cube,
    "sqrt": Sqrt,
    "scale": lambda: Scale(1.0),
    "shift": lambda: Shift(0.0),
    "log_abs": LogAbs,
    "exp": Exp,
    "sin": Sin,
    "cos": Cos,
    "sinh": Sinh,
    "cosh": Cosh,
    "tanh": nn.Tanh,
    "asinh": Asinh,
    "atan": Atan,
    "sinc": Sinc,
    "relu": nn.ReLU,
    "min0": Min0,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gauss": Gauss,
    "erf": Erf,
    "constant": lambda: Constant(1.0),
}
BINARY: Mapping[str, Callable[[], nn.Module]] = {
    "add": Add,
    "mul": Mul,
    "sub": Sub,
    "div": Div,
    "max": Maximum,
    "min": Minimum,
    "gate": Gate,
    "gauss_difference": lambda: GaussDifference(1.0),
    "exp_difference": lambda: ExpDifference(1.0),
    "mix": lambda: Mix(0.5),
}
