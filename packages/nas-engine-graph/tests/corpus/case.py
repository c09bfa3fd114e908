"""The list of cases, filled by a decorator on every module of the corpus."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

CASES: list["Case"] = []


@dataclass
class Case:
    make: Callable[[], nn.Module]
    inputs: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.make.__module__.rpartition('.')[2]}.{self.make.__qualname__}"


def case(*inputs: Any, **keywords: Any) -> Callable[[Any], Any]:
    def register(make: Any) -> Any:
        CASES.append(Case(make, inputs, keywords))
        return make

    return register


def case_with_dataclass(*inputs: Any, **keywords: Any) -> Callable[[Any], Any]:
    """A case where TorchScript reads dataclasses, which it does not from Python 3.13 on."""
    return case(*inputs, **keywords) if sys.version_info < (3, 13) else lambda make: make


def x(*shape: int, grad: bool = True) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    return torch.randn(shape, generator=generator).requires_grad_(grad)
