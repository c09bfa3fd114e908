from collections import OrderedDict
from typing import Dict, List

import torch
from torch import Tensor, nn

from corpus.case import case, x


@case(x(2, 4))
class NamedSequential(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(OrderedDict([("conv-1", nn.Linear(4, 4)), ("act", nn.ReLU())]))

    def forward(self, x):
        return self.body(x)


@case(x(2, 4))
def RootSequential():
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))


@case(x(2, 4))
class IndexedSequential(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))

    def forward(self, x):
        y = self.body[0](x)
        return self.body[-1](y) + self.body[1](y).sum()


@case(x(2, 4))
class IteratedList(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x):
        outs: List[Tensor] = []
        for i, layer in enumerate(self.layers):
            x = layer(x) * i
            outs.append(x)
        return outs, len(self.layers)


@case(x(2, 4))
class ZippedLists(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        self.b = nn.ModuleList([nn.ReLU(), nn.Tanh()])

    def forward(self, x):
        for a, b in zip(self.a, self.b):
            x = b(a(x)) + x
        return x


@case(x(2, 4))
class DictOfModules(nn.Module):
    def __init__(self):
        super().__init__()
        self.ops = nn.ModuleDict(
            {"a-b": nn.Linear(4, 4), "skip": nn.Identity(), "class": nn.ReLU()}
        )

    def forward(self, x):
        y = self.ops["a-b"](x)
        for name, op in self.ops.items():
            if name != "skip":
                y = y + op(x)
        if "skip" in self.ops:
            y = self.ops["skip"](y)
        return y


@case(x(2, 4))
class NestedContainers(nn.Module):
    def __init__(self):
        super().__init__()
        self.grid = nn.ModuleList(
            [nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.ReLU())]) for _ in range(2)]
        )
        self.table = nn.ModuleDict({"x": nn.ModuleList([nn.Linear(4, 4)])})

    def forward(self, x):
        for row in self.grid:
            for op in row:
                x = op(x)
        return self.table["x"][0](x)


@case(x(2, 4))
class OddNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("block1-0", nn.Linear(4, 4))
        self.add_module("class", nn.Linear(4, 4))
        self.a = nn.Module()
        self.a.b = nn.Linear(4, 4)
        self.a__b = nn.Linear(4, 4)
        self.torch = nn.Linear(4, 4)
        self.F = nn.ReLU()

    def forward(self, x):
        x = getattr(self, "block1-0")(x) + getattr(self, "class")(x)
        return self.F(self.torch(self.a__b(self.a.b(x))))


@case(x(2, 4))
class SharedModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = self.a
        self.c = nn.Linear(4, 4)

    def forward(self, x):
        return self.c(self.b(self.a(x)))


class Inner(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.pre = nn.ReLU()
        self.linear = linear
        self.post = nn.Tanh()

    def forward(self, x):
        return self.post(self.linear(self.pre(x)))


@case(x(2, 4))
class SharedAcrossModules(nn.Module):
    def __init__(self):
        super().__init__()
        shared = nn.Linear(4, 4)
        self.a = Inner(shared)
        self.b = Inner(shared)
        self.list = nn.ModuleList([shared, nn.ReLU(), shared])

    def forward(self, x):
        x = self.b(self.a(x))
        for layer in self.list:
            x = layer(x)
        return x


@case(torch.tensor([[1, 2], [3, 0]]))
class TiedWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.embed(tokens))


@case(x(2, 4))
class TiedParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 4))
        self.inner = nn.Linear(4, 4)
        self.inner.weight = self.w
        self.v = self.w

    def forward(self, x):
        return self.inner(x) @ self.v


@case(x(2, 4))
class SharedUserModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Inner(nn.Linear(4, 4))
        self.b = nn.Sequential(self.a, nn.ReLU(), self.a)

    def forward(self, x):
        return self.b(self.a(x))


@case(x(2, 4))
class SubclassedSequential(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 4), nn.ReLU())
        self.scale = 3

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x * self.scale


class ConvBlock(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Linear(width, width), nn.ReLU())
        self.width = width


@case(x(2, 4))
class SequentialBlocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = ConvBlock(4)
        self.b = nn.Sequential(ConvBlock(4), ConvBlock(4))

    def forward(self, x):
        return self.b(self.a(x)) * self.a.width


@case(x(2, 4))
class SubclassedModuleList(nn.ModuleList):
    def __init__(self):
        super().__init__([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x


@case(x(2, 4))
class ModuleDictReturningDict(nn.ModuleDict):
    def __init__(self):
        super().__init__({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})

    def forward(self, x) -> Dict[str, Tensor]:
        out: Dict[str, Tensor] = {}
        for name, layer in self.items():
            x = layer(x)
            out[name] = x
        return out


@case(x(2, 4))
class ParametersInList(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(4)) for _ in range(3)])

    def forward(self, x):
        for w in self.weights:
            x = x * w
        return x


@case(x(2, 4))
class OptionalModule(nn.Module):
    def __init__(self, down=None):
        super().__init__()
        self.down = down
        self.up = nn.Linear(4, 4)
        self.register_module("gone", None)

    def forward(self, x):
        y = self.up(x)
        if self.down is not None:
            x = self.down(x)
        return y + x


@case(x(2, 4))
def PresentOptionalModule():
    return OptionalModule(nn.Linear(4, 4))


@case(x(2, 4))
class EmptyContainers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential()
        self.b = nn.ModuleList()
        self.c = nn.Linear(4, 4)

    def forward(self, x):
        for layer in self.b:
            x = layer(x)
        return self.c(self.a(x))


@case(x(2, 4))
class UnusedModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(4, 4)
        self.unused = Inner(nn.Linear(4, 2))

    def forward(self, x):
        return self.used(x)


@case(x(2, 4))
class TwoClassesOfOneName(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Inner(nn.Linear(4, 4))
        self.b = Inner(nn.Identity())

    def forward(self, x):
        return self.a(x) + self.b(x)


@case(x(2, 4, 3))
class ExtendsByItsOwnItems(nn.Module):
    """Each item sees those before it, as in a block of YOLO."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))

    def forward(self, x):
        rows = list(x.chunk(2, 1))
        rows.extend(layer(rows[-1]) for layer in self.layers)
        layer = 2
        rows.extend(row * layer for row in rows[:2] if row.sum() > 0)
        return rows


@case(x(2, 3))
class SortsBackwards(nn.Module):
    def forward(self, x):
        many = [3, 1, 2]
        many.sort(reverse=True)
        named = ["b", "a"]
        named.sort()
        backwards = x.size(0) > 1
        floats = [0.5, 2.0, 1.0]
        floats.sort(reverse=backwards)
        return many, named, floats
