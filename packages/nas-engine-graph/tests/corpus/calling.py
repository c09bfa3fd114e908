"""Classes with a ``__call__`` of their own, ``try`` that only raises, decorators that only check."""

import functools
from typing import List, Optional, Tuple, Union  # noqa: UP035 - What TorchScript reads.

import torch
from torch import Tensor, nn

from corpus import named
from corpus.case import case, x


class Aggregation(nn.Module):
    """Fills in what is not given, as aggregations of torch-geometric do."""

    def forward(self, x: Tensor, index: Tensor, size: int, dim: int = 0) -> Tensor:
        return x.new_zeros(size, x.size(1)).index_add(dim, index, x)

    def __call__(
        self, x: Tensor, index: Optional[Tensor] = None, size: Optional[int] = None, dim: int = -2
    ) -> Tensor:
        if dim >= x.dim():
            raise ValueError(f"no dimension {dim}")
        if index is None:
            index = x.new_zeros(x.size(dim), dtype=torch.long)
        if size is None:
            size = int(index.max()) + 1 if index.numel() > 0 else 0
        try:
            return super().__call__(x, index, size, dim=0)
        except (IndexError, RuntimeError) as error:
            if size <= int(index.max()):
                raise ValueError(f"index {int(index.max())} of {size}") from error
            raise error


@case(x(4, 3), torch.tensor([0, 1, 1, 0]))
class CallsAggregations(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.sum = nn.Linear(3, 3), Aggregation()
        self.others = nn.ModuleList([Aggregation(), Aggregation()])

    def forward(self, x, index):
        found = self.sum(self.linear(x)), self.sum(x, index), self.sum(x, index, size=3)
        for other in self.others:
            x = x + other(x, dim=0)
        return found, x, self.sum.forward(x, index, 2)


case(x(4, 3))(Aggregation)
case(x(4, 3), torch.tensor([0, 2, 1, 1]), dim=0)(Aggregation)
case(x(4, 3), dim=7)(Aggregation)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x, by: float = 1.5, *, more: Optional[Tensor] = None) -> Tensor:
        x = x * by * self.scale
        return x if more is None else x + more


class HandsOnEverything(Scaled):
    def __call__(self, *args, **kwargs):
        more = 1
        return super().__call__(*args, **kwargs) + more


class HandsOnKeywords(HandsOnEverything):
    def __call__(self, x, flip: bool = False, **kwargs):
        if flip:
            x = -x
        return super().__call__(x, **kwargs)


class ChecksMore(Scaled):
    """As layers of transformers that may be checkpointed, and modules that may take pictures."""

    checkpointed = False

    def __init__(self, plain: bool = True):
        super().__init__()
        self._plain, self.last = plain, None

    def __call__(self, *args, last: bool = False, **kwargs):
        if self.checkpointed and self.training:
            kwargs.pop("by", None)
            return torch.utils.checkpoint.checkpoint(super().__call__, *args, **kwargs)
        if self._plain:
            return super().__call__(*args, **kwargs) + (1.0 if self.checkpointed else 2.0)
        found = (lambda *given: super().__call__(*given))(*args)
        if last:
            self.last = found
        return found


@case(x(2, 3))
class CallsThoseThatCheck(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([ChecksMore(), ChecksMore()])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x, by=0.5)
        return x


case(x(2, 3), 3.0)(ChecksMore)


class CallsForward(Scaled):
    def __call__(self, x):
        return self.forward(x * 2, more=x) - nn.Module.__call__(self, x, 0.5)


class TakesTheFirst(Scaled):
    def __call__(self, *args, **kwargs):
        x = args[0]
        if not isinstance(x, Tensor):
            raise TypeError("no tensor")
        return self.forward(x * 2)


class ChangesTheFirst(HandsOnEverything):
    def __call__(self, *args, **kwargs):
        return super().__call__(args[0] * 2, *args[1:], **kwargs)


class Summed(nn.Module):
    def forward(self, x, y):
        return x + y.cos()


class Counts(Summed):
    """What it is given has no names, and so there is as much of it as is declared."""

    def __call__(self, *args):
        if len(args) != 2:
            raise ValueError("two are taken")
        first, last = args
        y = super().__call__(*args) * len(args)
        for each in args:
            y = y * each
        return y + args[-1] - last * first


class TakesMore(Counts):
    def __call__(self, x, *args):
        return super().__call__(x, *args) - args[0]


@case(x(2, 3), x(2, 3))
class CallsThoseThatTakeItems(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.changed = TakesTheFirst(), ChangesTheFirst()
        self.counts, self.more = Counts(), TakesMore()

    def forward(self, x, y):
        x = self.first(x, 0.5, more=y) + self.changed(x) + self.changed(y, more=x)
        return self.changed(x, 0.25), self.counts(x, y), self.more(x, y)


case(x(2, 3), x(2, 3))(TakesMore)


@case(x(2, 3), x(2, 3))
class CallsThoseThatHandOn(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = HandsOnEverything(), HandsOnKeywords(), CallsForward()

    def forward(self, x, y):
        z = self.first(x) + self.first(x, 0.25, more=y) + self.second(x, True, by=2.0)
        return z + self.second(y, more=x) * self.third(z)


case(x(2, 3))(HandsOnKeywords)
case(x(2, 3), flip=True, more=x(2, 3))(HandsOnKeywords)
case(x(2, 3))(CallsForward)


def checked(function):
    """Raises if there is nothing to compute, and hands on what is given."""

    @functools.wraps(function)
    def wrapper(self, *args, **keywords):
        if not args:
            raise TypeError(f"{function.__name__} takes a tensor")
        for value in args:
            if value is None:
                raise TypeError("None is no tensor")
        return function(self, *args, **keywords)

    return wrapper


@case(x(2, 3))
class IsChecked(nn.Module):
    @checked
    def forward(self, x, scale: float = 2.0):
        return self.shifted(x * scale)

    @checked
    def shifted(self, x):
        return x + 1


@case(x(2, 3), 1)
@case(x(2, 3), 7)
class Tries(nn.Module):
    def row(self, x, index: int):
        try:
            found = x.select(0, index)
        except IndexError:
            raise
        else:
            found = found * 2
        return found

    def forward(self, x, index: int):
        if x.dim() > 5:
            return self.row(x, 0)
        return self.row(x, index) + 1


class OwnTensor(Tensor):
    """What an argument may be in another program."""

    def rows(self):
        return len(self)


@case(x(2, 3))
class AsksForOwnTensors(nn.Module):
    def forward(self, x):
        if isinstance(x, OwnTensor):
            return x.rows()
        if isinstance(x, (OwnTensor, Tensor)):
            x = x + 1
        return x * 2 if not isinstance(x, OwnTensor) and x.dim() == 2 else x


@case(x(2, 3))
class HasHooksOfItsOwn(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.after, self.names = {}, [], []

    def hook(self, function):
        self.before[len(self.before)] = function
        self.after.append(function)

    def forward(self, x):
        for function in self.before.values():
            result = function(self, x)
            if result is not None:
                x = result
        x = x.relu()
        for function in self.after:
            x = function(x)
        else:
            x = x + 1
        return x


@case(x(2, 3))
class FillsItsList(nn.Module):
    seen: List[Tensor]

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.note(x)
        for found in self.seen:
            x = x + found
        return x

    def note(self, x):
        seen = self.seen
        seen.append(x * 2)


@case(x(2, 3))
class HasProperties(nn.Module):
    def __init__(self):
        super().__init__()
        self._layers = 2

    @property
    def layers(self) -> int:
        return self._layers

    @layers.setter
    def layers(self, layers):
        self.forward = self.__class__._others.__get__(self)
        self._layers = layers

    def forward(self, x):
        for _ in range(self.layers):
            x = x * 2
        return x


@case(x(2, 3))
@case(x(2, 3), True)
class HasOverloads(nn.Module):
    @torch.jit._overload_method
    def forward(self, x, weights: None = None) -> Tensor:
        pass

    @torch.jit._overload_method
    def forward(self, x, weights: bool = None) -> Tuple[Tensor, Tensor]:  # noqa: F811
        pass

    def forward(  # noqa: F811
        self, x, weights: Optional[bool] = None
    ) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        if isinstance(weights, bool):
            return x * 2, x.sum()
        return x * 3


@case(x(2, 3))
class CallsOverloads(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = HasOverloads()

    def forward(self, x):
        y, total = self.inner(x, True)
        return self.inner(x) + y, total


@case(x(2, 3))
class AsksForLayouts(nn.Module):
    def kept(self, x, layout: Optional[torch.layout] = None):
        if layout is None:
            layout = x.layout
        if layout == torch.sparse_csc or layout == torch.sparse_csr:
            return x * 2
        return x.to_sparse() if str(layout) == "torch.strided" else x

    def forward(self, x):
        return self.kept(x).to_dense() + self.kept(x, torch.sparse_csr)


@case(x(2, 3), None)
@case(x(2, 3), 4)
class ListsNumbers(nn.Module):
    def sizes(self, x, size: Optional[int]) -> List[Optional[int]]:
        found: List[Optional[int]] = [None, None]
        if x.dim() == 2:
            found = [2, 3]
        if size is not None:
            found = [size, None]
        return found

    def forward(self, x, size: Optional[int]):
        total = 0
        for number in self.sizes(x, size):
            if number is not None:
                total += number
        return x * total


def normed(x):
    return x / (x.norm() + 1)


def scale(x):
    return x * 2


@case(x(2, 3))
class NamesOfFunctions(nn.Module):
    """A method, an argument and a function of Python have the names of functions."""

    def normed(self, x):
        return normed(x) * 3

    def scaled(self, x, scale: float):
        return scaled_by_default(x) * scale

    def forward(self, x):
        return self.normed(x) + self.scaled(x, 0.5) + named.sum(x), max(x.size(0), 1)


def scaled_by_default(x, normed: bool = True):
    return scale(x) if normed else x


class MarkedForPython(nn.Module):
    @torch.jit.unused
    def forward(self, x: Tensor, count: int) -> Tensor:
        return {(0, "a"): x * count}[0, "a"]


@case(x(2, 3))
class CallsWhatIsMarked(nn.Module):
    def __init__(self):
        super().__init__()
        self.trim, self.linear = MarkedForPython(), nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(self.trim(x, 2))


OptTensor = Optional[Tensor]


@case(x(2, 3), x(2, 3))
@case(x(2, 3), x(2, 3), x(2, 3))
class TakesWhatMayBeNone(nn.Module):
    def forward(self, x, y: OptTensor = None, z: OptTensor = None):
        x = x + torch.relu(y)
        return x, self.asked(z)

    def asked(self, z: OptTensor):
        return 0 if z is None else 1
