from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn

from corpus.case import case, case_with_dataclass, x


class Images:
    """As that of torchvision, which its detectors hand on."""

    def __init__(self, tensors: Tensor, sizes: List[Tuple[int, int]]) -> None:
        self.tensors = tensors
        self.sizes = sizes

    def doubled(self) -> "Images":
        return Images(self.tensors * 2, self.sizes)


class Coder:
    def __init__(self, weights: Tuple[float, float], clip: float = 4.0) -> None:
        self.weights = weights
        self.clip = clip

    def encode(self, x: Tensor, more: Tensor) -> Tensor:
        return x * self.weights[0] + more * self.weights[1]

    def decode(self, codes: Tensor, scale: float = 0.5, shift: int = 0) -> Tensor:
        return torch.clamp(codes * scale + shift, max=self.clip)


class Counter:
    def __init__(self, start: int = 0) -> None:
        self.count = start
        self.seen: List[int] = []

    def add(self, by: int) -> int:
        self.count += by
        self.seen.append(self.count)
        return self.count


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, images: Images) -> Images:
        return Images(self.layer(images.tensors), images.sizes)


@case(x(2, 3))
class HandsOn(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.coder = Coder((0.5, 2.0))

    def forward(self, x):
        images = Images(x, [(2, 3)])
        found = self.backbone(images).doubled()
        coded = self.coder.encode(found.tensors, images.tensors)
        return self.coder.decode(coded), self.coder.decode(coded, shift=2), found.sizes


@case(x(2, 3))
class Counts(nn.Module):
    """What methods change stays changed until the next call of forward."""

    def __init__(self):
        super().__init__()
        self.counter = Counter(3)

    def forward(self, x):
        first = self.counter.count
        for i in range(3):
            if i != 1:
                self.counter.add(i + 1)
            before = self.counter.count
            self.counter.count = before * 2
            x = x + before
        self.counter.seen.append(first)
        return x * self.counter.count, first, len(self.counter.seen), self.counter.seen[-1]


@case(x(2, 3))
class Aliases(nn.Module):
    """Who changes an object changes it for all who hold it."""

    def forward(self, x):
        one = Images(x, [(1, 1)])
        other = one
        many = [one, Images(x + 1, [(2, 2)])]
        other.tensors = other.tensors * 3
        many[0].sizes.append((3, 3))
        many[1].tensors += 1
        last = many.pop()
        named: Dict[str, Images] = {"a": one, "b": last}
        named["a"].tensors.mul_(2)
        return one.tensors, last.tensors, one.sizes, one is named["a"], one is last


@case(x(2, 3))
class InBranches(nn.Module):
    def chosen(self, images: Optional[Images], x: Tensor) -> Images:
        if images is None:
            return Images(x, [])
        images.tensors = images.tensors + 1
        return images

    def forward(self, x):
        found: Optional[Images] = None
        for i in range(3):
            if x.sum() > i:
                found = Images(x * i, [(i, i)])
            else:
                found = self.chosen(found, x - i)
        if found is not None:
            x = x + found.tensors
        return x, self.chosen(None, x).tensors, found


def pair(x: Tensor) -> Tuple[Images, Counter]:
    return Images(x, []), Counter()


def counted(counter: Counter, by: List[int]) -> Counter:
    for i in by:
        counter.add(i)
    return counter


@case(x(2, 3))
class Functions(nn.Module):
    def forward(self, x):
        images, counter = pair(x)
        same = counted(counter, [1, 2])
        counted(same, [3])
        return images.tensors * counter.count, same.seen, same is counter


@case(x(2, 3))
class ReturnsObjects(nn.Module):
    def forward(self, x):
        counter = Counter(2)
        counter.add(1)
        return Images(x * 2, [(1, 2)]), [counter, Counter()], {"a": counter}


@case(x(2, 3), Images(x(2, 3), [(1, 2)]))
class TakesObjects(nn.Module):
    def forward(self, x, images: Images):
        images.sizes.append((0, 0))
        tensors = images.tensors
        images.tensors = x.detach() + 1
        return x * tensors + images.tensors, images


class Vector:
    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.x + other.x)

    def __mul__(self, by: float) -> "Vector":
        return Vector(self.x * by)

    def __neg__(self) -> "Vector":
        return Vector(-self.x)

    def __len__(self) -> int:
        return self.x.size(0)

    def __getitem__(self, index: int) -> Tensor:
        return self.x[index]

    def __setitem__(self, index: int, value: Tensor) -> None:
        self.x[index] = value

    def __contains__(self, value: float) -> bool:
        return bool((self.x == value).any())

    def __call__(self, by: Tensor) -> Tensor:
        return self.x @ by

    def __eq__(self, other: "Vector") -> bool:
        return bool((self.x == other.x).all())

    def __lt__(self, other: "Vector") -> bool:
        return bool(self.x.sum() < other.x.sum())


@case(x(3, 3))
class Operators(nn.Module):
    def forward(self, x):
        v = Vector(x * 1)
        w = -(v + v * 2.0)
        w[0] = v[1] * 3
        y = w(x.t()) * len(w)
        if 2.0 in v or v == w:
            y = y + 1
        if w < v:
            y = y - 1
        return y, v[-1]


class Scaled:
    def __init__(self, factor: float) -> None:
        self._factor = factor
        self.asked = 0

    @property
    def factor(self) -> float:
        self.asked += 1
        return self._factor

    @factor.setter
    def factor(self, value: float) -> None:
        self._factor = value * 2

    @staticmethod
    def twice(x: Tensor) -> Tensor:
        return x * 2


@case(x(2, 3))
class Properties(nn.Module):
    def __init__(self):
        super().__init__()
        self.scaled = Scaled(0.5)

    def forward(self, x):
        x = x * self.scaled.factor
        self.scaled.factor = 1.5
        return Scaled.twice(x) * self.scaled.factor, self.scaled.asked


@dataclass
class Point:
    x: Tensor
    y: int = 2


@case_with_dataclass(x(2, 3))
class Dataclasses(nn.Module):
    def forward(self, x):
        point = Point(x)
        other = Point(x=x * 2, y=3)
        point.y += other.y
        return point, other.x * point.y


class Matcher:
    def __init__(self, low: float) -> None:
        self.low = low
        self.kinds = {"a": [1, 2]}

    def __call__(self, x: Tensor) -> Tensor:
        return x > self.low


class Stricter(Matcher):
    def __call__(self, x: Tensor) -> Tensor:
        return x > self.low * 2


@case(x(2, 3))
class Inherited(nn.Module):
    """TorchScript takes the object for one of the class that is declared."""

    __annotations__ = {"matcher": Matcher}

    def __init__(self):
        super().__init__()
        self.matcher = Stricter(0.1)

    def forward(self, x):
        return self.matcher(x), self.matcher.low, self.matcher.kinds["a"][1]


class Holder(nn.Module):
    def __init__(self, counter: Counter):
        super().__init__()
        self.counter = counter

    def forward(self, x):
        return x + self.counter.add(1)


@case(x(2, 3))
class SharedObjects(nn.Module):
    """One object is an attribute of three modules."""

    def __init__(self):
        super().__init__()
        self.counter = Counter()
        self.first, self.second = Holder(self.counter), Holder(self.counter)

    def forward(self, x):
        x = self.second(self.first(x))
        return x, self.counter.count


class Outer:
    def __init__(self, inner: Counter, coders: List[Coder], table: Tensor) -> None:
        self.inner = inner
        self.coders = coders
        self.table = table


@case(x(2, 3))
class Nested(nn.Module):
    later: Optional[Counter]

    def __init__(self):
        super().__init__()
        self.outer = Outer(Counter(1), [Coder((1.0, 2.0)), Coder((3.0, 4.0), 1.0)], torch.ones(3))
        self.later = None
        self.many = [Counter(1), Counter(5)]

    def forward(self, x):
        for coder in self.outer.coders:
            x = coder.decode(coder.encode(x, self.outer.table))
        later = self.later
        if later is None:
            self.later = Counter(7)
        else:
            later.add(2)
            x = x * later.count
        self.many[0].add(1)
        self.outer.inner.count += self.many[0].count
        return x, self.outer.inner.count
