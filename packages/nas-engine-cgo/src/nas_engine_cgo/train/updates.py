"""The updates of torch's optimisers over tensors that hold the parameters of several members.

Each is the single-tensor form of ``torch.optim`` operation by operation, with a number for every
member in the place of a hyperparameter that differs, so that a member takes the steps that it
would take alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeAlias

import torch
from torch import Tensor

from nas_engine_cgo.state import Entry

__all__ = ["UPDATES", "Each", "Hyper", "State", "Update"]


@dataclass(frozen=True, slots=True)
class Each:
    """A number for each slot of an entry, in double precision, as Python's numbers are."""

    values: Tensor
    entry: Entry

    def on(self, x: Tensor) -> Tensor:
        """In the type of a tensor like the entry's, and in a shape that broadcasts over it."""
        return self.entry.spread(self.values.to(x.device, x.dtype))

    def map(self, change: Callable[[Tensor], Tensor]) -> Each:
        return Each(change(self.values), self.entry)

    def __neg__(self) -> Each:
        return self.map(torch.neg)

    def __mul__(self, other: Number) -> Each:
        return self.map(lambda x: x * _plain(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> Each:
        return self.map(lambda x: x / _plain(other))

    def __rtruediv__(self, other: Number) -> Each:
        # Torch would multiply by the reciprocal of a number, which rounds twice.
        return self.map(lambda x: torch.as_tensor(_plain(other), dtype=x.dtype) / x)

    def __rsub__(self, other: Number) -> Each:
        return self.map(lambda x: _plain(other) - x)

    def __add__(self, other: Number) -> Each:
        return self.map(lambda x: x + _plain(other))

    def __pow__(self, exponent: Number) -> Each:
        return self.map(lambda x: _powers(x, _plain(exponent)))

    def __rpow__(self, base: float) -> Each:
        return self.map(lambda x: _powers(base, x))


Number: TypeAlias = float | Each
Hyper: TypeAlias = Mapping[str, Any]
"""Name → a ``Number``, or a flag that is equal for all."""
State: TypeAlias = dict[str, Any]
Update: TypeAlias = Callable[[Tensor, Tensor, State, Hyper], None]
"""Changes a parameter, given its gradient, its state and its hyperparameters."""


def _powers(bases: Tensor | float, exponents: Tensor | float) -> Tensor:
    """Powers as Python computes them: torch rounds some of them in another way."""
    known = [x.tolist() if isinstance(x, Tensor) else repeat(x) for x in (bases, exponents)]
    powers = [base**exponent for base, exponent in zip(*known, strict=False)]
    return torch.tensor(powers, dtype=torch.float64)


def _plain(number: Number) -> Any:
    return number.values if isinstance(number, Each) else number


def _some(number: Number) -> bool:
    """Whether the number is not zero for somebody."""
    return bool((number.values != 0).any()) if isinstance(number, Each) else number != 0


def _given(number: Number) -> Number:
    """One where the number is not zero."""
    return number.map(lambda x: (x != 0).double()) if isinstance(number, Each) else 1.0


def _scale_(x: Tensor, scale: Number) -> Tensor:
    return x.mul_(scale.on(x) if isinstance(scale, Each) else scale)


def _add_scaled(x: Tensor, other: Tensor, scale: Number) -> Tensor:
    """``x + scale * other``."""
    if isinstance(scale, Each):
        return torch.addcmul(x, other, scale.on(x))
    return x.add(other, alpha=scale)


def _add_scaled_(x: Tensor, other: Tensor, scale: Number) -> None:
    if isinstance(scale, Each):
        x.addcmul_(other, scale.on(x))
    else:
        x.add_(other, alpha=scale)


def _add_quotient_(x: Tensor, above: Tensor, below: Tensor, scale: Number) -> None:
    """``x += scale * above / below``."""
    if isinstance(scale, Each):
        x.addcdiv_(above * scale.on(x), below)
    else:
        x.addcdiv_(above, below, value=scale)


def _add_square_(x: Tensor, factor: Tensor, scale: Number) -> None:
    """``x += scale * factor * factor``."""
    if isinstance(scale, Each):
        x.addcmul_(factor * scale.on(x), factor)
    else:
        x.addcmul_(factor, factor, value=scale)


def _approach_(x: Tensor, goal: Tensor, weight: Number) -> None:
    x.lerp_(goal, weight.on(x) if isinstance(weight, Each) else weight)


def sgd(parameter: Tensor, grad: Tensor, state: State, hyper: Hyper) -> None:
    """``torch.optim.SGD``."""
    grad = -grad if hyper["maximize"] else grad
    if _some(hyper["weight_decay"]):
        grad = _add_scaled(grad, parameter, hyper["weight_decay"])
    if _some(momentum := hyper["momentum"]):
        if (buffer := state.get("momentum_buffer")) is None:
            state["momentum_buffer"] = buffer = grad.clone()
        else:
            damped = 1 - hyper["dampening"] * _given(momentum)
            _add_scaled_(_scale_(buffer, momentum), grad, damped)
        grad = _add_scaled(grad, buffer, momentum) if hyper["nesterov"] else buffer
    _add_scaled_(parameter, grad, -hyper["lr"])


def adam(parameter: Tensor, grad: Tensor, state: State, hyper: Hyper) -> None:
    """``torch.optim.Adam`` and ``torch.optim.AdamW``."""
    grad = -grad if hyper["maximize"] else grad
    beta1, beta2, lr, decay = (hyper[name] for name in ("beta1", "beta2", "lr", "weight_decay"))
    if not state:
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if hyper["amsgrad"] else ()))
        state |= {"step": 0, **{name: torch.zeros_like(parameter) for name in names}}
    state["step"] = step = state["step"] + 1
    if _some(decay) and hyper["decoupled_weight_decay"]:
        _scale_(parameter, 1 - lr * decay)
    elif _some(decay):
        grad = _add_scaled(grad, parameter, decay)
    average, squares = state["exp_avg"], state["exp_avg_sq"]
    _approach_(average, grad, 1 - beta1)
    _add_square_(_scale_(squares, beta2), grad, 1 - beta2)
    if hyper["amsgrad"]:
        squares = torch.maximum(state["max_exp_avg_sq"], squares, out=state["max_exp_avg_sq"])
    correction = (1 - beta2**step) ** 0.5
    root = squares.sqrt()
    denominator = root / (correction.on(root) if isinstance(correction, Each) else correction)
    eps = hyper["eps"]
    denominator.add_(eps.on(root) if isinstance(eps, Each) else eps)
    _add_quotient_(parameter, average, denominator, -(lr / (1 - beta1**step)))


def rmsprop(parameter: Tensor, grad: Tensor, state: State, hyper: Hyper) -> None:
    """``torch.optim.RMSprop``."""
    grad = -grad if hyper["maximize"] else grad
    alpha, eps, momentum = hyper["alpha"], hyper["eps"], hyper["momentum"]
    if not state:
        state["square_avg"] = torch.zeros_like(parameter)
        if hyper["centered"]:
            state["grad_avg"] = torch.zeros_like(parameter)
        if _some(momentum):
            state["momentum_buffer"] = torch.zeros_like(parameter)
    if _some(hyper["weight_decay"]):
        grad = _add_scaled(grad, parameter, hyper["weight_decay"])
    squares = state["square_avg"]
    _add_square_(_scale_(squares, alpha), grad, 1 - alpha)
    if hyper["centered"]:
        _approach_(state["grad_avg"], grad, 1 - alpha)
        average = squares.addcmul(state["grad_avg"], state["grad_avg"], value=-1).sqrt_()
    else:
        average = squares.sqrt()
    average.add_(eps.on(average) if isinstance(eps, Each) else eps)
    if "momentum_buffer" in state:
        buffer = _scale_(state["momentum_buffer"], momentum).addcdiv_(grad, average)
        _add_scaled_(parameter, buffer, -hyper["lr"])
    else:
        _add_quotient_(parameter, grad, average, -hyper["lr"])


UPDATES: Mapping[type[torch.optim.Optimizer], Update] = {
    torch.optim.SGD: sgd,
    torch.optim.Adam: adam,
    torch.optim.AdamW: adam,
    torch.optim.RMSprop: rmsprop,
}
"""The optimisers whose steps can be taken for several members at once."""
