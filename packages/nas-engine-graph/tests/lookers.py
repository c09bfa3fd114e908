"""Modules that look into others in all the ways that TorchScript reads."""

# What is tested is what TorchScript makes of them, not what a type checker does.
# mypy: ignore-errors

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALE = 2


def scaled(x: Tensor) -> Tensor:
    return x * SCALE


class Op(nn.Module):
    def __init__(self, size: int = 1, flag: bool = True, sizes: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        self.size, self.flag, self.sizes = size, flag, sizes
        self.inner = nn.Linear(2 + size, 2 + size)
        self.extra = nn.Parameter(torch.ones(1)) if flag else None

    @property
    def twice(self) -> int:
        return self.size * 2

    def helper(self, x: Tensor) -> Tensor:
        return x + self.size

    def forward(self, x: Tensor) -> Tensor:
        return x * self.size


class Pair(Op):
    def forward(self, x: Tensor, scale: int = 3) -> Tensor:
        return x * scale


class Named(Op):
    def forward(self, y: Tensor) -> Tensor:
        return y


class Two(Op):
    def forward(self, x: Tensor):
        return x, x


class Holder(nn.Module):
    def __init__(self, *ops: nn.Module) -> None:
        super().__init__()
        self.op = ops[0]
        self.ops = nn.ModuleList(ops)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class OwnAttribute(Holder):
    def __init__(self, *ops: nn.Module) -> None:
        super().__init__(*ops)
        self.size = ops[0].size

    def forward(self, x: Tensor) -> Tensor:
        return x * self.size


class ChildAttribute(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.op.size


class GrandchildAttribute(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.op.inner.in_features


class LoopVariable(Holder):
    def forward(self, x: Tensor) -> Tensor:
        for op in self.ops:
            x = op(x) * op.size
        return x


class PairedLoop(Holder):
    def forward(self, x: Tensor) -> Tensor:
        for i, (op, other) in enumerate(zip(self.ops, self.ops)):  # noqa: B905 - TorchScript
            x = op(x) * i + other.size
        return x


class Subscript(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.ops[0].size


class Alias(Holder):
    def forward(self, x: Tensor) -> Tensor:
        op = self.op
        return x * op.size


class GetAttribute(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x * getattr(self.op, "size")  # noqa: B009


class HasAttribute(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x if hasattr(self.op, "extra") and self.op.extra is None else -x


class Absent(Holder):
    def __init__(self, *ops: nn.Module) -> None:
        super().__init__(*ops)
        self.op = ops[0] if ops[0].flag else None

    def forward(self, x: Tensor) -> Tensor:
        if self.op is not None:
            return self.op(x)
        return x


class Method(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return self.op.helper(x)


class Property(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.op.twice


class Count(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x * len(self.ops)


class Flag(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return self.op(x) if self.op.flag else x


class Tuples(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.op.sizes[0]


class Fixed(Holder):
    sizes: Final[list[int]]

    def __init__(self, *ops: nn.Module) -> None:
        super().__init__(*ops)
        self.sizes = list(ops[0].sizes)

    def forward(self, x: Tensor) -> Tensor:
        for size in self.sizes:
            x = x * size
        return x


class Function(Holder):
    def __init__(self, *ops: nn.Module) -> None:
        super().__init__(*ops)
        self.act = F.relu if ops[0].flag else F.gelu

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)


class Keyword(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return self.op(x=x)


class Result(Holder):
    def forward(self, x: Tensor):
        return self.op(x)


class Global(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return scaled(self.op(x)) + SCALE


class Counted(Holder):
    def __init__(self, *ops: nn.Module) -> None:
        super().__init__(*ops)
        self.flag = ops[0].flag

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x) if self.flag else x


class Sets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.flag = True

    def forward(self, x: Tensor) -> Tensor:
        self.flag = not self.flag
        return x


class Walks(Holder):
    def forward(self, x: Tensor) -> Tensor:
        for op in self.children():
            x = op(x) if op is self.op else x
        return x


class Descends(Holder):
    def forward(self, x: Tensor) -> Tensor:
        for op in self.ops:
            for inner in op:
                x = inner(x)
        return x


class Inherits(nn.Linear):
    def __init__(self, *ops: nn.Module) -> None:
        super().__init__(3, 3, bias=ops[0].flag)

    def unused(self, x: Tensor) -> Tensor:
        return x


class Parameters(nn.Module):
    def __init__(self, *ops: nn.Module) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.ones(1)) for _ in range(ops[0].size)])

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = x * weight
        return x


LOOKERS = [
    OwnAttribute, ChildAttribute, GrandchildAttribute, LoopVariable, PairedLoop, Subscript, Alias,
    GetAttribute, HasAttribute, Absent, Method, Property, Count, Flag, Tuples, Fixed, Function,
    Keyword, Result, Global, Counted, Walks, Descends, Holder, Inherits, Parameters,
]  # fmt: skip
VARIANTS = [
    lambda: [Op()],
    lambda: [Op(size=3)],
    lambda: [Op(flag=False)],
    lambda: [Op(sizes=(5, 2))],
    lambda: [Op(), Op()],
    lambda: [Op(), Op(size=7)],
    lambda: [Pair()],
    lambda: [Named()],
    lambda: [Two()],
    lambda: [Op(), Sets()],
    lambda: [Sets(), Op()],
    lambda: [nn.Linear(3, 3)],
    lambda: [nn.Sequential(nn.ReLU())],
    lambda: [nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.Tanh())],
]
