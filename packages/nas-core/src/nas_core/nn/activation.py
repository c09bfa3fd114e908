"""``AutoActivation``: activation functions as compositions of simple functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from nas_core.nn.choices import ChoiceError, LayerChoice
from nas_core.nn.functions import BINARY, UNARY

__all__ = ["AutoActivation"]


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
            _choice(UNARY, prefix and f"{prefix}unary_{i}") for i in range(unit_num + 1)
        )
        self.binaries = torch.nn.ModuleList(
            _choice(BINARY, prefix and f"{prefix}binary_{i}") for i in range(unit_num)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation."""
        terms: list[torch.Tensor] = []
        for unary in self.unaries:
            terms.append(unary(x))  # noqa: PERF401  TorchScript reads loops over modules only
        y = terms[0]
        for i, binary in enumerate(self.binaries):
            y = binary(y, terms[i + 1])
        return y


def _choice(
    functions: Mapping[str, Callable[[], torch.nn.Module]], label: str | None
) -> torch.nn.Module:
    return LayerChoice({name: make() for name, make in functions.items()}, label)
