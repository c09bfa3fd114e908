"""Marked methods of classes that another file defines, with what that file calls by other names."""

import torch
from torch import Tensor

from corpus.case import case, x
from corpus.left_elsewhere_base import Outputs as Found
from corpus.left_elsewhere_base import ReturnsOutputs


@case(x(2, 3))
class ReturnsMarked(ReturnsOutputs):
    """TorchScript has to see the layer, of which a method is called that is not ``forward``."""

    def __init__(self):
        super().__init__()
        self.joined = torch.ao.nn.quantized.FloatFunctional()

    def forward(self, x: Tensor) -> Found:
        x, more = self.both(x)
        x = self.joined.cat([x, x], 1)
        if torch.jit.is_scripting():
            return Found(x, more)
        return self.outputs(x, more)
