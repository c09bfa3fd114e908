"""Variables that may be None, and are set where they are known not to be."""

from typing import Optional

from torch import Tensor, nn

from corpus.case import case, x


def kept(x, n: int) -> Optional[Tensor]:
    if n > 2:
        return x * 2
    return None


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class SetsInBranches(nn.Module):
    def forward(self, x, n: int):
        memory = kept(x, 3)
        for i in range(n):
            if memory is None:
                break
            memory = kept(x, i) if self.training else memory
            x = x + 1
        return x, memory


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class SetsInLoops(nn.Module):
    def forward(self, x, n: int):
        memory = kept(x, 3)
        for i in range(n):
            if memory is None:
                break
            for j in range(3):
                if x.sum() > 9:
                    return x, memory
                memory = kept(x, i + j) if n > 2 else memory
        return x, memory


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class SetsAnother(nn.Module):
    """After it is certain, and under another name."""

    def forward(self, x, n: int):
        memory = kept(x, 3)
        assert memory is not None
        x = x + memory
        other: Optional[Tensor] = memory
        if n > 2:
            other = kept(x, n - 2)
            x = x * 2
        for i in range(n):
            x = x + i
            other = kept(x, i)
        return x, other


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class SetsAgain(nn.Module):
    """In blocks, after it was set to what is certain, and to None."""

    def __init__(self):
        super().__init__()
        self.quiet = False

    def forward(self, x, n: int, memory: Optional[Tensor] = None):
        memory = x * 2
        for i in range(n):
            memory = kept(x, i)
            if memory is None:
                memory = x
            if i > 2:
                memory = None
        last: Optional[Tensor] = None
        if not self.quiet:
            last = x + 1
        for i in range(n):
            x = x * 2
            last = kept(x, i) if n > 2 else last
        last = None
        while n < 3:
            n += 1
            last = x
        return x, memory, last


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class NeverDeclares(nn.Module):
    def forward(self, x, n: int):
        mask, count = None, 0
        mask = x * 2
        for i in range(n):
            if i > 1:
                mask = kept(x, i)
            count += i
        if mask is not None:
            x = x + mask
        return x * count


@case(x(2, 3), 1)
@case(x(2, 3), 4)
class AsksForTypes(nn.Module):
    """Of what may be None, and beside what is a number of one type or another."""

    def forward(self, x, n: int):
        last: Optional[Tensor] = None
        if isinstance(last, Tensor):
            x = x * 3
        for i in range(n):
            if isinstance(last, Tensor):
                if last is not None and i > 2:
                    break
                x = x + last
            elif last is not None:
                x = x * 5
            last = kept(x, i + 1)
        scale = n > 1 and 2
        return x * scale, scale, last


@case(x(2, 3))
class AsksOfAnAttribute(nn.Module):
    """Only a variable is known not to be None after it was asked for."""

    scale: Optional[Tensor] = None
    other: Optional[Tensor]

    def __init__(self):
        super().__init__()
        self.scale = x(3, grad=False)
        self.other = None

    def forward(self, x):
        scale, other = self.scale, self.other
        assert scale is not None
        if other is not None:
            x = x - other * other
        return x * scale + scale[0], self.other
