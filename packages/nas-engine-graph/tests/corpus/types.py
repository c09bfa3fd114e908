import collections
import enum
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from corpus.case import case, x


class Mode(enum.Enum):
    SUM = 1
    MEAN = 2


class Pair(NamedTuple):
    first: Tensor
    second: Optional[Tensor]


def pooled(x: Tensor, mode: Mode) -> Tensor:
    if mode == Mode.SUM:
        return x.sum(-1)
    return x.mean(-1)


def scaled(x: Tensor, by: Union[int, Tensor, List[int]]) -> Tensor:
    if isinstance(by, Tensor):
        return x * by
    if isinstance(by, int):
        return x + by
    return x + by[0]


def shifted(x: Tensor, by: Union[int, float]) -> Tensor:  # noqa: PYI041
    if isinstance(by, int):
        return x + by
    return x * by


def optional(x: Tensor, by: int | None = None) -> Tensor:
    if by is not None:
        return x * by
    return x


def kind(value: Any) -> int:
    if torch.jit.isinstance(value, List[int]):
        return 1
    if torch.jit.isinstance(value, (Dict[str, int], Tuple[int, int])):
        return 2
    if isinstance(value, (str, float)):
        return 3
    if isinstance(value, list):
        return 4
    return 5


def swapped(pair: Pair) -> Pair:
    second = pair.second
    if second is None:
        return pair
    return Pair(second, pair.first)


@case(x(2, 4))
class Enums(nn.Module):
    def __init__(self):
        super().__init__()
        self.mode = Mode.MEAN

    def forward(self, x):
        total = pooled(x, Mode.SUM) + pooled(x, self.mode)
        mode = Mode.SUM if x.sum() > 0 else Mode.MEAN
        for each in Mode:
            total = total * each.value + len(each.name)
        modes: Dict[str, Mode] = {"a": mode}
        if modes["a"] is Mode.SUM:
            total = total + 1
        return total, mode.value, Mode.MEAN.name


@case(x(2, 4))
class Unions(nn.Module):
    def forward(self, x):
        x = scaled(x, 2) + scaled(x, x) + scaled(x, [1, 2])
        return shifted(x, 2) + shifted(x, 2.5) + optional(x) + optional(x, 3)


@case(x(2, 4))
class Kinds(nn.Module):
    def forward(self, x):
        found = [kind([1]), kind(["a"]), kind({"a": 1}), kind((1, 2)), kind("a"), kind(x), kind(2)]
        return x, found


@case(x(2, 4))
class NamedTuples(nn.Module):
    def forward(self, x):
        pair = swapped(Pair(x, x * 2))
        alone: Optional[Pair] = None
        if pair.first.sum() > 100:
            alone = pair
        return pair, swapped(Pair(x, None)).first, alone


@case(x(2, 4))
class Devices(nn.Module):
    def forward(self, x):
        if x.device.type != "cpu":
            x = x.cpu()
        zeros = torch.zeros(2, device=x.device)
        return x.to(zeros.device), x.device.type, x.device.index, x.device


@case(x(3, 4, 2), torch.tensor([2, 4, 3]))
class PackedSequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 3, batch_first=True)
        self.gru = nn.GRU(2, 3, batch_first=True, bidirectional=True)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        first, (hidden, cell) = self.lstm(packed)
        second, last = self.gru(packed)
        padded, sizes = pad_packed_sequence(first, batch_first=True)
        return padded, sizes, hidden, cell, pad_packed_sequence(second, total_length=6), last


class Packed(nn.Module):
    def forward(self, packed: PackedSequence) -> Tensor:
        return packed.data * 2


@case(x(3, 4, 2))
class PassesPacked(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Packed()

    def forward(self, x):
        return self.inner(pack_padded_sequence(x, torch.tensor([4, 3, 2]), batch_first=True))


class Tripled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * x * gradient


tripled = Tripled.apply


@case(x(2, 4))
class OwnGradient(nn.Module):
    def forward(self, x):
        apply = Tripled.apply
        return Tripled.apply(x) + tripled(x) * apply(x)


class Reduction(str, enum.Enum):
    SUM = "sum"
    MEAN = "mean"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@case(x(2, 3))
class EnumsOfTextsAndNumbers(nn.Module):
    declared: Reduction

    def __init__(self):
        super().__init__()
        self.declared = Reduction.MEAN
        self.reduction, self.level = Reduction.SUM, Level.HIGH

    def is_mean(self, given: Reduction) -> bool:
        return given == Reduction.MEAN and self.declared == Reduction.MEAN

    def forward(self, x):
        y = x.sum() if self.reduction == "sum" else x.mean()
        if self.reduction != Reduction.MEAN and self.is_mean(self.declared):
            y = y * 2
        return y * self.level if self.level > 1 else y, self.level + 1


@case(x(2, 3), Reduction.SUM)
@case(x(2, 3), Reduction.MEAN)
class AmongEnums(nn.Module):
    def __init__(self):
        super().__init__()
        self.reduction = Reduction.SUM

    def forward(self, x, given: Reduction):
        if self.reduction in ("sum", "none") and self.reduction not in ["mean"]:
            x = x + 1
        if self.reduction in (Reduction.MEAN, Reduction.SUM):
            x = x * 3
        if given in [Reduction.MEAN]:
            x = x * 2
        return x if given not in (Reduction.SUM, Reduction.MEAN) else -x


@case(x(2, 3))
class Ordered(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = collections.OrderedDict(a=1, b=2)
        self.changes = collections.OrderedDict(b=3)
        self.inner = {"x": collections.OrderedDict(z=[1])}

    def forward(self, x):
        self.changes["a"] = len(self.table)
        for value in self.table.values():
            x = x + value
        return x, self.table, self.changes, self.inner


@case(x(2, 3))
class NewOrdered(nn.Module):
    """As models of torchvision that find segments return."""

    def named(self, x) -> Dict[str, Tensor]:
        found = collections.OrderedDict()
        for i in range(2):
            found[str(i)] = x * i
        return found

    def forward(self, x):
        pairs = collections.OrderedDict([("a", x), ("b", x * 2)])
        more = {"c": x}
        other = collections.OrderedDict(more)
        other["d"] = x + 1
        return self.named(x), pairs, other, other.copy(), dict(other)


@case(x(2, 3), flag=True)
class OneOrAnother(nn.Module):
    """What is of several types has no variable in generated code."""

    def pair(self, x, both: bool = True) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        if not both:
            return x
        return x, x * 2

    def several(self, x, flag: bool) -> Union[Tensor, List[Tensor], Dict[str, Tensor]]:
        y = x * 2
        if flag:
            if x.sum() > 0:
                return [y]
            y = y + 1
            return {"x": y}
        return y

    def forward(self, x, flag: bool = False) -> Any:
        if flag:
            return self.pair(x), self.several(x, True), self.several(-x, True)
        single = self.pair(x, False)
        assert isinstance(single, Tensor)
        return {"x": single, "y": x}


class _Some(nn.Module):
    def __init__(self):
        super().__init__()
        self.on = False

    def some(self, x) -> Optional[Tensor]:
        return x * 2 if x.sum() > 0 else None


@case(x(3, 3))
class LaterMaybeNone(_Some):
    def forward(self, x):
        h = x * 3
        if x.size(0) > 2:
            h = self.some(x)
        for _ in range(2):
            if h is not None:
                h = self.some(h)
        return x if h is None else h


@case(x(3, 3))
class MaybeNoneUnread(_Some):
    def forward(self, x):
        if self.on:
            pass
        else:
            h = x * 3
        if self.training:
            h = self.some(x)
        return x


@case(x(2, 3), 1)
@case(x(2, 3), 3)
class SetTogether(nn.Module):
    """Several variables at once, of which one is None at first, and one an empty list."""

    def forward(self, x, n: int):
        kept, sizes, k = None, [], 0
        for i in range(n, n + 2):
            k, kept = n + i, x if i == 3 else None
            sizes.append(i)
        last, rows = x, []
        for row in x:
            rows, last = rows + [row * n], None
        return kept, sizes, k, last, rows


@case(x(2, 3), 2)
class NoneInALoop(nn.Module):
    def forward(self, x, n: int):
        kept: Optional[Tensor] = None
        text = "x"
        if text == "x":
            kept = x
        for i in range(n, n + 2):
            n = n + i
            kept = None
        return n, kept


@case(x(2, 3))
class ReturnsWhatIsThere(nn.Module):
    """Either of two that may be None, as an arm knows that it is not."""

    def maybe(self, x: Tensor, times: int) -> Optional[Tensor]:
        return x * times if times > 1 else None

    def chosen(self, x: Tensor, a: Optional[Tensor], b: Optional[Tensor]) -> Tensor:
        if a is None and b is not None:
            return b
        elif a is not None:
            return a
        return x

    def forward(self, x):
        a, b = self.maybe(x, 1), self.maybe(x, 2)
        return self.chosen(x, a, b), self.chosen(x, b, a), self.chosen(x, a, a)
