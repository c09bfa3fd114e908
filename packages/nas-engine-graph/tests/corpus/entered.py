"""``with`` statements, over objects of the user's classes and over those of torch."""

from typing import Any, List, Optional

import torch
from torch import Tensor, nn

from corpus.case import case, x


class Log:
    def __init__(self) -> None:
        self.events: List[int] = []

    def __enter__(self) -> "Log":  # noqa: PYI034
        self.events.append(1)
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:  # noqa: PYI036
        self.events.append(2)

    def note(self, event: int) -> None:
        self.events.append(event)


class Doubled:
    def __init__(self, by: float) -> None:
        self.by = by

    def __enter__(self) -> float:
        self.by *= 2
        return self.by

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:  # noqa: PYI036
        self.by /= 4


@case(x(2, 3))
class EntersObjects(nn.Module):
    """An attribute, two that are new, and a value that is read afterwards."""

    def __init__(self):
        super().__init__()
        self.log = Log()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        with self.log as log:
            log.note(7)
            y = self.linear(x)
            with torch.no_grad():
                z = y * 2
        doubled = Doubled(3.0)
        with Doubled(2.0) as c, doubled as d:
            y = y * c + d + doubled.by
        return y + c, z, self.log.events, log.events, doubled.by


@case(x(2, 3))
class EntersInLoops(nn.Module):
    def __init__(self):
        super().__init__()
        self.log = Log()

    def forward(self, x):
        for i in range(3):
            with self.log:
                if i == 1:
                    x = x * 2
                else:
                    x = x + 1
        return x, len(self.log.events)


@case(x(2, 3))
class RaisesInside(nn.Module):
    """What is entered is left, too: the second call sees what the first has noted."""

    def __init__(self):
        super().__init__()
        self.log = Log()

    def forward(self, x):
        with self.log:
            if len(self.log.events) == 1:
                raise ValueError("small")
        return x, self.log.events


@case(x(2, 3))
class ReturnsInside(nn.Module):
    def forward(self, x):
        with Doubled(2.0) as by:
            if x.sum() > 0:
                return x + by
        with torch.no_grad():
            for i in range(3):
                if i > 1:
                    return x * i
        return x


@case(-x(2, 3).detach())
class ReturnsInsideForOthers(ReturnsInside):
    pass


@case(x(3, 3), 1)
@case(x(3, 3), 4)
class TakesApartAfterwards(nn.Module):
    """What was made in contexts, in branches that are always taken."""

    def forward(self, x, n: int):
        seen: Optional[Tensor] = None
        pair, counted = (x, n), (n, 2)
        with torch.no_grad():
            if seen is None:
                with torch.no_grad():
                    pair = (x * 2, n + 1)
                counted = (n, pair[1])
        y, number = pair
        if n > counted[1]:
            y = y * pair[0]
        return y, number, pair, counted[0]
