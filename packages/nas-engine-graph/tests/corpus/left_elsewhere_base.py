"""The class of a library from which another one inherits."""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn


class Outputs(NamedTuple):
    first: Tensor
    more: Optional[Tensor]


class ReturnsOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def both(self, x: Tensor) -> Tuple[Tensor, Optional[Tensor]]:  # noqa: UP006
        more: Optional[Tensor] = None
        if self.training:
            more = x.exp()
        return self.linear(x), more

    @torch.jit.unused
    def outputs(self, x: Tensor, more: Tensor) -> Outputs:
        if self.training:
            return Outputs(x, more)
        return x * 3
