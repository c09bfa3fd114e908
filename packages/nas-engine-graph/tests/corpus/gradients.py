"""Tensors that are no parameters and need a gradient, or give it to others."""

from typing import Dict, List, Tuple

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 3))
class AttributesWithGradients(nn.Module):
    """They are not saved, and get gradients nevertheless; also where only parts of them do."""

    both: List[Tensor]  # noqa: UP006
    named: Dict[str, Tensor]  # noqa: UP006
    counted: Tuple[Tensor, int]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.scale = torch.randn(3, requires_grad=True)
        self.turned = torch.randn(2, 3).t().requires_grad_()
        self.expanded = torch.randn(3).expand(2, 3).requires_grad_()
        self.both = [torch.randn(3, requires_grad=True), torch.randn(3)]
        self.named = {"trained": torch.ones(3, requires_grad=True), "still": torch.ones(3)}
        self.counted = torch.ones(3, requires_grad=True), 2

    def forward(self, x):
        x = x * self.scale + self.turned[:, 0] * self.expanded + self.both[0] * self.both[1]
        return x * self.named["trained"] * self.counted[0] * self.counted[1] + self.named["still"]


@case(x(2, 3))
class HiddenParameters(nn.Module):
    """Parameters that nobody has registered, and one of a layer that is not registered again."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.hidden = [nn.Parameter(torch.randn(3)), nn.Parameter(torch.ones(3), False)]
        self.__dict__["weight"] = self.linear.weight
        self.__dict__["own"] = nn.Parameter(torch.ones(3))
        self.__dict__["same"] = self.own
        self.__dict__["row"] = nn.Parameter(self.linear.weight.detach()[0])

    def forward(self, x):
        x = self.linear(x) * self.weight[0] + self.own * self.same + self.row
        return x * self.hidden[0] + self.hidden[1]


@case(x(2, 3))
class ViewsWithGradients(nn.Module):
    """They share memory with others, and have gradients of their own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.row = self.weight.detach()[1].requires_grad_()
        self.register_buffer("last", self.weight.detach()[2].requires_grad_())
        self.table = torch.randn(4, 3)
        self.register_buffer("first", self.table[0].requires_grad_())
        self.second = self.table[1].requires_grad_()

    def forward(self, x):
        x = x * self.weight[0] + self.row + self.last
        return x * self.first * self.second + self.table[2]


class HoldsRow(nn.Module):
    def __init__(self, row):
        super().__init__()
        self.register_buffer("row", row)

    def forward(self, x):
        return x * self.row


@case(x(2, 3))
class BuffersOfWeights(nn.Module):
    """Views of weights, which get the gradients of the views."""

    rows: List[Tensor]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.register_buffer("turned", None)
        self.weight = nn.Parameter(torch.randn(4, 3))
        self.turned = self.weight.t()
        self.linear = nn.Linear(3, 3)
        self.inner = HoldsRow(self.linear.weight[1])
        self.same = self.inner.row
        self.table = torch.randn(4, 3, requires_grad=True)
        self.register_buffer("flat", self.table.view(-1)[2:], persistent=False)
        self.bias = nn.Parameter(torch.randn(3))
        self.register_buffer("all", self.bias.expand(2, 3), persistent=False)
        self.rows = [self.weight[0], self.table[1:][1], self.same]

    def forward(self, x):
        with torch.no_grad():
            self.rows[0].add_(1)
        x = self.linear(self.inner(x)) * self.turned[:, 0] + self.flat[:3] * self.table[0]
        return x * self.all + self.rows[0] * self.rows[1] * self.rows[2] * self.same + self.bias


@case(x(2, 3))
class BuffersOfParts(nn.Module):
    """Views of weights that are themselves a part of what others have."""

    def __init__(self):
        super().__init__()
        memory = torch.randn(6)
        self.first, self.last = nn.Parameter(memory[:4]), nn.Parameter(memory[2:])
        self.register_buffer("middle", self.last[1:])
        self.table = torch.randn(5)
        self.weight = nn.Parameter(self.table[1:])
        self.register_buffer("square", self.weight.view(2, 2).t(), persistent=False)

    def forward(self, x):
        x = x * self.middle + self.first.sum() * self.last[0]
        return x * self.square[0, 1] + self.weight.sum() + self.table[0]


@case(x(2, 3))
class SeveralViews(nn.Module):
    """Gradients are added up in the order in which the views were made, whatever they are called."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.rows = [self.layers[0].weight[0], self.layers[0].bias]
        self.flat = {"weight": self.layers[0].weight.view(-1)[2:]}
        self.again = self.layers[0].weight[:2].t()

    def forward(self, x):
        y = self.layers(x) * self.rows[0] + self.rows[1] * self.flat["weight"][:3]
        return self.layers(y) * self.again[:, 1]


@case(x(2, 3))
class TakenApart(nn.Module):
    """Views that torch lets nobody use once weights were written."""

    def __init__(self):
        super().__init__()
        self.weight, self.other = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(4, 3))
        self.first, self.second, *_ = self.weight.unbind()
        self.register_buffer("last", self.weight.unbind()[3])
        self.parts = self.other.split([1, 3])
        self.half = [self.other.chunk(2, 1)[0][1:]]

    def forward(self, x):
        x = x * self.first * self.second + self.last + self.weight[0]
        return x * self.parts[1].sum() + self.parts[0] * self.half[0].sum()
