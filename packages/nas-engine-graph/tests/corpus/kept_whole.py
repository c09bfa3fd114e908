"""Models that are kept whole since they can't be converted, and those that use what they give.

TorchScript reads neither their arguments nor their results, which are as those of transformers.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


class Config:
    """What models of libraries are made of."""

    def __init__(self, width: int, layers: int = 1) -> None:
        self.width, self.layers = width, layers
        self.names = {0: "first"}


class Cache:
    def __init__(self) -> None:
        self.found = [{1, 2}]


class Record(OrderedDict):
    """A dict of which the items are attributes, too, and in which nothing is None."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:  # type: ignore[attr-defined]
            value = getattr(self, name)
            if value is not None:
                OrderedDict.__setitem__(self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


@dataclass
class Output(Record):
    last: Tensor | None = None
    pooled: Tensor | None = None
    states: tuple[Tensor, ...] | None = None


class Body(nn.Module):
    """It does when its mode is set what nothing shows."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(nn.Linear(3, config.width) for _ in range(config.layers))

    def train(self, mode: bool = True) -> "Body":
        for key in self.config.names:
            self.config.names[key] = "seen"
        return super().train(mode)

    def forward(
        self,
        x: Tensor | None = None,
        mask: torch.BoolTensor | None = None,
        cache: Cache | None = None,
        pool: bool = True,
        **more: Any,
    ) -> tuple[Tensor] | Output:
        states = tuple(layer(x) for layer in self.layers)
        last = states[-1] if mask is None else states[-1] * mask
        return Output(last, last.mean(0) if pool else None, states)


class UsesParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = Body(Config(3, layers=2)), nn.Linear(3, 2)

    def forward(self, x, mask: Tensor | None = None):
        out = self.body(x, mask=mask)
        pooled = out.pooled
        if pooled is None:
            pooled = x[0]
        found = self.head(out.last) + self.head(self.body(x)[0])
        if out.pooled is not None:
            found = found + out["pooled"].sum()
        for state in out.states:
            found = found + state.sum()
        return found * pooled.sum(), out.states[-1]


class WithoutPooling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Body(Config(3))

    def forward(self, x):
        out = self.body(x, pool=False)
        pooled = out.pooled
        kept = x if pooled is None else pooled
        return kept * 2, out.last, out.pooled is None


class SharesConfig(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        config = Config(3)
        self.first, self.second = Body(config), Body(config)

    def forward(self, x):
        return self.second(self.first(x).last).last


class Halving(nn.Module):
    """Nothing tells what it was made of."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.function = lambda x: x / 2**times

    def forward(self, x):
        return self.function(x)


class Around(nn.Module):
    def __init__(self, times: int = 2) -> None:
        super().__init__()
        self.times = times
        self.inner = nn.ModuleList([Halving(times), nn.Linear(3, 3)])

    def forward(self, x):
        for layer in self.inner:
            x = layer(x)
        return x


class HoldsWhatHolds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = Around(3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.first(x))


class Plain(nn.Module):
    def forward(self, x, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x * 2, x


class TakesFirst(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x)[0]


class HoldsBoth(nn.Module):
    """Two of one class, which know different things of what they hold."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = TakesFirst(Plain()), TakesFirst(Body(Config(3)))

    def forward(self, x):
        return self.second(self.first(x))


class Flagged(Body):
    """Of its flags it keeps what they choose, and nothing else."""

    def __init__(self, config: Config, pooling: bool = True, norm: bool = False, bias: bool = True):
        super().__init__(config)
        self.pooler = nn.Linear(3, 3, bias=bias) if pooling else None
        self.after = nn.LayerNorm(3) if norm else None

    def forward(self, x: Tensor, **more: Any) -> tuple[Tensor] | Output:
        x = self.layers[0](x) if self.pooler is None else self.pooler(x)
        return Output(x if self.after is None else self.after(x), None, None)


class HoldsFlagged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.plain = Flagged(Config(3), pooling=False)
        self.more = Flagged(Config(3), norm=True, bias=False)

    def forward(self, x):
        return self.more(self.plain(x).last).last
