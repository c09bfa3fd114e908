"""Slices of lists of modules, and what is iterated together with them."""

from typing import List

import torch
from torch import Tensor, nn

from corpus.case import case, x


class Times(nn.Module):
    """Not commutative: another order gives another result."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return x * self.factor + 1


def times(count: int) -> list[nn.Module]:
    return [Times(0.5 + index / 4) for index in range(count)]


@case(x(2, 3))
class Slices(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = 2
        self.layers = nn.ModuleList(times(5))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        for layer in self.layers[1:]:
            x = layer(x)
        for layer in self.layers[:-1]:
            x = layer(x)
        for layer in self.layers[::2]:
            x = layer(x)
        for layer in self.layers[::-1]:
            x = layer(x)
        for layer in self.layers[3:0:-2]:
            x = layer(x)
        for layer in self.layers[self.first :]:
            x = layer(x)
        for layer in self.layers[: len(self.layers) - 1]:
            x = layer(x)
        for layer in self.layers[9:]:
            x = layer(x)
        return x


@case(x(2, 3))
class SlicesTogether(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(times(4))
        self.first, self.second = times(2)

    def forward(self, x):
        for i, layer in enumerate(self.layers[1:]):
            x = layer(x) + i
        for i, layer in enumerate(self.layers[:-1], 1):
            x = layer(x) + i
        for a, b in zip(self.layers[:-1], self.layers[1:]):
            x = a(x) + b(x)
        for i, (a, b) in enumerate(zip(self.layers, self.layers[1:])):
            x = a(x) - b(x) * i
        for layer in reversed(self.layers):
            x = layer(x)
        for layer in reversed(self.layers[1:]):
            x = layer(x)
        for layer in list(self.layers)[1:]:
            x = layer(x)
        for layer in self.layers[2:] + self.layers[:1]:
            x = layer(x)
        for layer in (self.second, self.first):
            x = layer(x)
        for a, b in [(self.first, self.layers[0]), (self.second, self.layers[1])]:
            x = a(x) + b(x)
        xs = [layer(x) for layer in self.layers[2:]]
        return xs, self.layers[1:][0](x), len(self.layers[2:])


@case(x(2, 3))
class SlicesOfSequential(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), *times(2), nn.Linear(3, 3))

    def forward(self, x):
        x = self.layers[1:](x)
        for layer in self.layers[::2]:
            x = layer(x)
        return self.layers[:2](x), self.layers[4:][0](x)


@case(x(2, 3))
class DictViewsOfModules(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict(dict(zip("abc", times(3), strict=True)))

    def forward(self, x):
        for name, layer in self.layers.items():
            x = layer(x) + len(name)
        for layer in list(self.layers.values())[1:]:
            x = layer(x)
        for layer in reversed(self.layers.values()):
            x = layer(x)
        for i, (name, layer) in enumerate(list(self.layers.items())[:2]):
            x = layer(x) * i + len(name)
        return x


@case(x(2, 3))
class SlicesOfInnerLists(nn.Module):
    """TorchScript calls the last of ``layers`` again and again."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(times(2))
        self.stages = nn.ModuleList([nn.ModuleList(times(3)) for _ in range(2)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        for stage in self.stages:
            for layer in stage[1:]:
                x = layer(x)
        for layer in self.stages[0][1:]:
            x = layer(x)
        return x


class Chain(nn.Module):
    def __init__(self, count: int):
        super().__init__()
        self.layers = nn.ModuleList(times(count))

    def tail(self, x):
        for layer in self.layers[1:]:
            x = layer(x)
        return x

    def forward(self, x):
        return self.tail(x)


@case(x(2, 3))
class SlicesOfOtherLengths(nn.Module):
    """One class, whose source means something else in each instance."""

    def __init__(self):
        super().__init__()
        self.short, self.long, self.none = Chain(2), Chain(4), Chain(0)

    def forward(self, x):
        return self.short(x) + self.long(x) + self.none(x)


@case(x(2, 3))
class OneVariable(nn.Module):
    """A variable that is a module first, and a tensor later."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(times(2))

    def forward(self, x):
        for item in self.layers:
            x = item(x)
        for item in [x, x + 1]:
            x = x + item
        return x


class SumsTail(nn.Sequential):
    def forward(self, x):
        total = x
        for layer in self[1:]:
            total = total + layer(x)
        return total


@case(x(2, 3))
def SlicesOfItself():
    return SumsTail(*times(3))


class TwoLists(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        self.second = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])


@case(x(2, 3))
class ReadsAfterEachLoop(TwoLists):
    """A variable of two loops over modules and of one over numbers, read after each."""

    def forward(self, x):
        for part in range(2):
            x = x + part
        for i, part in enumerate(self.first):
            x = part(x) * i
        x = part(x)
        for part in self.second:
            x = part(x)
        return part(x) + i


@case(x(2, 3))
class ReadsInArms(TwoLists):
    def forward(self, x):
        if x.sum() > 0:
            for part in self.first:
                x = part(x)
            x = part(x)
        else:
            part = 2
            x = x * part
            for part in range(3):
                x = x + part
        for part in self.second:
            x = part(x)
        return x


@case(x(2, 3))
class EdgesByName(nn.Module):
    """A cell of NAS-Bench-201: the key of an edge is a text that two numbers make."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = 4
        self.edges = nn.ModuleDict()
        for i in range(1, self.nodes):
            for j in range(i):
                self.edges["{:}<-{:}".format(i, j)] = nn.Linear(3, 3)  # noqa: UP032
                self.edges[f"{i}+{j}"] = nn.Tanh() if j else nn.ReLU()

    def forward(self, x):
        nodes = [x]
        for i in range(1, self.nodes):
            total = nodes[0] * 0
            for j in range(i):
                edge = self.edges["{:}<-{:}".format(i, j)](nodes[j])  # noqa: UP032
                total = total + self.edges[f"{i}+{j}"](edge)
            nodes.append(total)
        return nodes[-1], self.edges["1" + "<-" + "0"](x)


class CellNode(nn.Module):
    """A node of a cell: an operation for each node before it."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList(times(count))
        self.acts = nn.ModuleList(nn.Tanh() if i % 2 else nn.ReLU() for i in range(count))


class ListOfEach(CellNode):
    def forward(self, states: List[Tensor]):
        out = [op(state) for op, state in zip(self.ops, states)]
        state = states[0]
        return torch.stack(out).sum(0) + state


class StackOfEach(CellNode):
    def forward(self, states: List[Tensor]):
        return torch.stack([op(x).exp() for x, op in zip(states, self.ops)], 0).sum(0) * 2


class LoopOverEach(CellNode):
    def forward(self, states: List[Tensor]):
        total = states[0] * 0
        for i, (op, act, x, y) in enumerate(zip(self.ops, self.acts, states, states[1:])):
            if i == 3:
                break
            total = total + act(op(x)) * y * i
            states = states[1:]
        return total + states[0]


class AppendsWhileItRuns(CellNode):
    def forward(self, states: List[Tensor]):
        own = [states[0]]
        for op, x in zip(self.ops, own):
            own.append(op(x))
        return own[-1]


class Cell(nn.Module):
    """Nodes that take what all before them gave: more or fewer than they have operations."""

    def __init__(self, kind, count: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(kind(count + i) for i in range(2))

    def forward(self, x):
        states = [x, x * 2]
        for node in self.nodes:
            states.append(node(states))
        return torch.cat(states, -1)


@case(x(2, 3))
def one_of_each_listed() -> nn.Module:
    return Cell(ListOfEach, 1)


@case(x(2, 3))
def more_than_there_are_listed() -> nn.Module:
    return Cell(ListOfEach, 4)


@case(x(2, 3))
def each_stacked() -> nn.Module:
    return Cell(StackOfEach, 2)


@case(x(2, 3))
def a_loop_over_each() -> nn.Module:
    return Cell(LoopOverEach, 2)


@case(x(2, 3))
def a_loop_over_more_than_there_are() -> nn.Module:
    return Cell(LoopOverEach, 5)


@case(x(2, 3))
def a_loop_over_a_list_that_grows() -> nn.Module:
    return Cell(AppendsWhileItRuns, 3)


class AddsInPlace(nn.Module):
    """What it gives is what it was given: a sum of lists has the last values alone."""

    def forward(self, x):
        return x.add_(1)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ops = nn.ModuleList(times(3))
        self.steps = nn.ModuleList([AddsInPlace(), AddsInPlace()])
        self.widths = [1, 2, 3]


@case(x(2, 3))
class SumsOfBranches(Branches):
    def forward(self, x):
        total = sum(op(x) for op in self.ops) / len(self.ops)
        total = total + sum([op(x) for op in self.ops[1:]])
        outs = []
        for op in self.ops:
            outs.append(op(x))
        mean = sum(outs) / len(outs)
        return total, mean, sum(outs, total), x * sum(self.widths), sum(x.unbind(1))


@case(x(2, 3))
class SumsInTurn(Branches):
    def forward(self, x):
        first, second = x * 2, x * 3
        turned = sum(step(first) for step in self.steps)
        listed = sum([step(second) for step in self.steps])
        return turned, listed, sum(self.steps[i](first) * i for i in range(2)), first, second


@case(x(2, 3, grad=False) * 0)
class SumsOfZeros(Branches):
    """The sum of one tensor is another tensor, and that of -0 is 0."""

    def forward(self, x):
        one = [-x]
        total = sum(one)
        total += 1
        return 1 / sum([-x]), one[0], total, sum([x > 0, x > 1])
