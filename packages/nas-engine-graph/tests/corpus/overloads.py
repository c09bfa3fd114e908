"""Functions that TorchScript has several of, and operators that have several forms."""

from typing import Any, List, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from corpus.case import case, x

MISSING = "???"


@torch.jit._overload
def scaled(x: Tensor, by: str = MISSING, plus: int = 0) -> Tensor:
    pass


@torch.jit._overload
def scaled(x: Tensor, by: Optional[Tensor], plus: int = 0) -> Tuple[Tensor, Tensor]:  # noqa: F811
    pass


def scaled(  # noqa: F811
    x: Tensor, by: Union[str, Tensor, None] = MISSING, plus: int = 0
) -> Union[Tensor, Tuple[Tensor, Tensor]]:
    """The default is none of the types that the second has."""
    if isinstance(by, str):
        return x + plus
    if by is None:
        return x, x + plus
    return x * by, by + plus


@case(x(2, 3))
class CallsFunctionsWithOverloads(nn.Module):
    def forward(self, x):
        one, other = scaled(x, x.exp())
        same, more = scaled(x, None, 2)
        return scaled(x), scaled(x, plus=1), one, other, same, more


@case(x(3, 3))
class Sparse(nn.Module):
    """Operators that torch has under other names than TorchScript."""

    def forward(self, x):
        table = torch.eye(3).to_sparse_csr()
        soft = torch.sparse.softmax(x.detach().to_sparse(), 1)
        added = torch.sparse.addmm(x, table, x, alpha=2.0)
        return torch.sparse.mm(table, x), torch.sparse.mm(table, x, "sum"), soft, added


@case(x(2, 3))
@case(x(2, 3), True)
class OneOrAnotherInside(nn.Module):
    """Of what has parts of one type or another no variable has the type."""

    def pair(
        self, x, kept: Union[Tensor, List[int]], both: Optional[bool]
    ) -> Union[Tensor, Tuple[Tensor, Tuple[Tensor, Tensor]], Tuple[Tensor, List[int]]]:
        if isinstance(both, bool):
            if isinstance(kept, Tensor):
                return x, (x, kept)
            return x * 2, kept
        return x * 3

    def forward(self, x, both: Optional[bool] = None) -> Any:
        return self.pair(x, x + 1, both), self.pair(x, [1], both)


class Rows:
    """Not a tensor, and used as one."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def scaled(self, by: float) -> "Rows":
        return Rows(self.rows * by)


def doubled(table: Tensor, weight: Optional[Tensor]) -> Tuple[Tensor, Optional[Tensor]]:
    return table * 2, weight


@case(x(2, 3))
class OneOrAnotherVariable(nn.Module):
    """A variable is of one type or another, and asked for both."""

    def __init__(self, normalize: bool = True):
        super().__init__()
        self.normalize = normalize

    def weighted(self, x, table: Union[Tensor, Rows], weight: Optional[Tensor] = None) -> Tensor:
        if self.normalize and isinstance(table, Tensor):
            table, weight = doubled(table, weight)
        elif self.normalize and isinstance(table, Rows):
            table = table.scaled(3.0)
        if isinstance(table, Rows):
            return x * table.rows
        return x + table if weight is None else x * weight + table

    def forward(self, x):
        return self.weighted(x, Rows(x)), self.weighted(x, x), self.weighted(x, x, x.exp())


@case(x(2, 3), None)
@case(x(2, 3), x(2, 3))
class UsedWithoutAsking(nn.Module):
    """TorchScript is told that it is not None, where that is not known."""

    def forward(self, x, weight: Optional[Tensor]):
        if x.sum() > 100:
            if x.sum() > 200:
                if weight is None:
                    weight = x.exp()
                y = x * 2
            else:
                y = x * 4
        else:
            if weight is None:
                weight = x.cos()
            y = x * 3
        return torch.relu(weight) * y
