"""``torch.jit.fork``, which is a call at once in eager code."""

from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from corpus.case import case, x


def times(x: Tensor, n: int = 2) -> Tuple[Tensor, int]:
    return x * n, n


@case(x(2, 3))
class Forks(nn.Module):
    """Functions, methods and modules; by variables, lists with a declaration, and loops."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(3, 3), nn.Dropout()) for _ in "123"])
        self.register_buffer("count", torch.zeros(()))

    def counted(self, x: Tensor) -> Tensor:
        self.count += 1
        return x * self.count

    def forward(self, x):
        futures: List[torch.jit.Future[Tuple[Tensor, int]]] = []
        for i in range(3):
            futures.append(torch.jit.fork(times, x, n=i))
        counted = torch.jit.fork(self.counted, x)
        before = self.count + 0
        for future in futures:
            y, n = torch.jit.wait(future)
            x = x + y * n
        of_layers = torch.jit.annotate(List[torch.jit.Future[Tensor]], [])
        for layer in self.layers:
            of_layers += [torch.jit.fork(layer, x)]
        return x + counted.wait(), before, [future.wait() for future in of_layers]


@case(x(2, 3))
class Ensemble(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

    def forward(self, x):
        futures = [torch.jit.fork(layer, x) for layer in self.layers]
        found = torch.stack([torch.jit.wait(future) for future in futures])
        return found.mean(0), found.var(0)


class Starts(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x) -> torch.jit.Future[Tensor]:
        return torch.jit.fork(self.linear, x)


def finished(futures: List[torch.jit.Future[Tensor]], last: torch.jit.Future[Tensor]) -> Tensor:
    total = last.wait()
    for future in futures:
        total = total + torch.jit.wait(future)
    return total


@case(x(2, 3))
class HandsFuturesOn(nn.Module):
    """Methods and functions give each other futures."""

    def __init__(self):
        super().__init__()
        self.starts = nn.ModuleList([Starts(), Starts()])

    def started(self, x, n: int) -> Tuple[torch.jit.Future[Tensor], int]:
        future = torch.jit.fork(torch.relu, x * n)
        return future, n + 1

    def all_of(self, x) -> List[torch.jit.Future[Tensor]]:
        found: List[torch.jit.Future[Tensor]] = []
        for start in self.starts:
            found.append(start(x))
        return found

    def forward(self, x):
        last, n = self.started(x, 2)
        return finished(self.all_of(x), last) + self.starts[0](x).wait(), n


@case(x(2, 3))
class GivesFutures(nn.Module):
    """Who calls it gets futures, as they are, in tuples, lists and dicts."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        self.first, self.last = Starts(), Starts()

    def started(self, x, n: int) -> Tuple[torch.jit.Future[Tensor], int]:
        return torch.jit.fork(torch.relu, x * n), n + 1

    @torch.jit.export
    def one(self, x) -> torch.jit.Future[Tensor]:
        return self.first(x)

    def forward(self, x):
        of_layers: List[torch.jit.Future[Tensor]] = []
        for layer in self.layers:
            of_layers.append(torch.jit.fork(layer, x))
        scaled = torch.jit.fork(times, x, n=3)
        relu, n = self.started(x, 2)
        more = [torch.jit.fork(torch.cos, future.wait()) for future in of_layers]
        if x.sum() > 0:
            return of_layers, {"scaled": scaled, "last": self.last(x)}, more[0].wait() * n, relu
        return more, {"scaled": scaled, "last": self.first(x)}, x, relu


@case(x(2, 3))
class GivesContainersOfFutures(nn.Module):
    """In variables, also inside of each other, beside what is none; asked for what they hold."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        named = {"first": torch.jit.fork(self.linear, x)}
        named["last"] = torch.jit.fork(torch.sin, named["first"].wait())
        rows: Dict[int, List[torch.jit.Future[Tensor]]] = {}
        for i in range(2):
            rows[i] = [torch.jit.fork(self.linear, x + i)]
        for key, row in rows.items():
            x = x + row[0].wait() * key
        pair = (torch.jit.fork(torch.relu, x), len(named), "pair")
        future, number, text = pair
        pairs = [(torch.jit.fork(times, x, n=i), i) for i in range(3)]
        table = [[torch.jit.fork(torch.cos, x + i + j) for i in range(2)] for j in range(2)]
        last = table[0].pop()
        return named, rows, pair, number, text, pairs, table, rows[0], future, last.wait()


@case(x(2, 3))
@case(-x(2, 3, grad=False))
class GivesOneOrTheOther(nn.Module):
    def forward(self, x):
        ones, twos = [torch.jit.fork(torch.cos, x)], [torch.jit.fork(torch.sin, x)]
        return ones if x.sum() > 0 else twos


@case(x(2, 3))
class GivesADict(nn.Module):
    """And nothing else."""

    def forward(self, x):
        found: Dict[str, torch.jit.Future[Tensor]] = {}
        found["x"] = torch.jit.fork(torch.cos, x)
        return found


class GivesNamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x) -> Dict[str, torch.jit.Future[Tensor]]:
        return {"cos": torch.jit.fork(torch.cos, x), "linear": torch.jit.fork(self.linear, x)}


@case(x(2, 3))
class TakesOut(nn.Module):
    """Futures out of dicts and lists that no longer have them then."""

    def __init__(self):
        super().__init__()
        self.named = GivesNamed()

    def forward(self, x):
        named = self.named(x)
        rows = [[torch.jit.fork(torch.sin, x + i)] for i in range(3)]
        row, first = rows.pop(0), named.pop("linear")
        return rows.pop(), row.pop(), first, first.wait() * 2, rows, named


class HandsNamedOn(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = GivesNamed()

    def forward(self, x) -> Dict[str, torch.jit.Future[Tensor]]:
        return self.inner(x)


@case(x(2, 3))
class GivesWhatIsGiven(nn.Module):
    """It names no future itself, and has another module by the name that is read inside."""

    def __init__(self):
        super().__init__()
        self.named, self.inner = HandsNamedOn(), nn.Linear(3, 3)

    def forward(self, x):
        named = self.named(x)
        return named, self.inner(x)


@case(x(2, 3))
class StartsOne(Starts):
    """All that it gives is a future."""


class Started(NamedTuple):
    """What has been started, and how often."""

    future: torch.jit.Future[Tensor]
    others: List[torch.jit.Future[Tensor]]
    number: int


@case(x(2, 3))
class NamesFutures(nn.Module):
    """In named tuples, which functions give each other, and tuples with a declaration."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def started(self, x, number: int) -> Started:
        others = [torch.jit.fork(torch.cos, x), torch.jit.fork(self.linear, x)]
        return Started(torch.jit.fork(self.linear, x), others, number=number)

    def summed(self, started: Started) -> Tensor:
        total = started.future.wait() * started.number
        for other in started.others:
            total = total + torch.jit.wait(other)
        return total

    def forward(self, x):
        started = self.started(x, 2)
        future, others, number = self.started(x + 1, 3)
        pair: Tuple[torch.jit.Future[Tensor], int] = (torch.jit.fork(torch.sin, x), 2)
        last: Optional[torch.jit.Future[Tensor]] = others[0]
        x = torch.jit.wait(torch.jit._unwrap_optional(last)) + future.wait() * number
        return (
            x * pair[1] + pair[0].wait(),
            self.summed(started),
            started.number,
            started.future.wait(),
        )
