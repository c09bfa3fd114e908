"""What one run of a forward does not tell, or not rightly."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import nas_core as nas
import torch
import torch.nn.functional as F  # noqa: N812  As everywhere.
from torch import Tensor, nn

from models.case import IMAGE, ROW, ROWS, Case, Do, function, layer


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return -3 * grad


class Averaged(nn.Module):
    """A buffer that follows the input."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.register_buffer("average", torch.zeros(8))
        self.steps, self.kept, self.last = 0, torch.ones(8, dtype=torch.float64), None
        self.counter = types.SimpleNamespace(steps=0)

    def forward(self, x: Tensor) -> Tensor:
        new = x.detach().mean(0)
        match self.way:
            case "in place":
                self.average.mul_(0.9).add_(new, alpha=0.1)
            case "assigned":
                self.average = 0.9 * self.average + 0.1 * new
            case "copied":
                self.average.copy_(0.9 * self.average + 0.1 * new)
            case "data":
                self.average.data.mul_(0.5)
            case "attribute":
                self.kept = self.kept * 0.9
            case "attribute in place":
                self.kept.mul_(0.9)
            case "counted":
                self.steps += 1
            case "counted by an object":
                self.counter.steps += 1
            case "remembered":
                x = x if self.last is None else x + self.last[:1].detach()
                self.last = x
            case _:
                self.average.normal_()
        return x * self.average + self.kept + self.steps + self.counter.steps


@nas.basic_unit
class Unit(nn.Module):
    """A unit for the graph engine; here it is read as any module."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        return self.body(x).relu()


def branches() -> dict[str, Case]:
    """Calls of one member that do not need each other."""
    return {
        "branches": layer(
            lambda: Do(
                lambda m, x: m.a(x) + m.b(x) * m.c(x).sigmoid(),
                a=nn.Linear(8, 8), b=nn.Linear(8, 8), c=nn.Linear(8, 8),
            ),
            ROW,
            "linear",
        ),
        "branches of images": layer(
            lambda: Do(
                lambda m, x: m.n(m.a(x)).relu() + m.o(m.b(x)).relu() + F.avg_pool2d(x, 3, 1, 1),
                a=nn.Conv2d(4, 4, 3, padding=1), b=nn.Conv2d(4, 4, 3, padding=1),
                n=nn.BatchNorm2d(4), o=nn.BatchNorm2d(4),
            ),
            IMAGE,
            "conv2d batch_norm",
        ),
        "branches that draw": layer(
            lambda: Do(
                lambda m, x: m.d(m.a(x)) - m.d(m.b(x)),
                a=nn.Linear(8, 8), b=nn.Linear(8, 8), d=nn.Dropout(0.4),
            ),
            ROW,
            "linear dropout",
        ),
        "branches with one weight": layer(
            lambda: Do(lambda m, x: m.a(x) - m.a(x * x) + m.a(x.exp()), a=nn.Linear(8, 8)),
            ROW,
            "linear",
        ),
    }  # fmt: skip


def awkward() -> dict[str, Case]:
    cases = {
        f"buffer {way}": layer(lambda w=way: Averaged(w), ROW)
        for way in (
            "in place", "assigned", "copied", "data", "attribute", "attribute in place", "counted",
            "counted by an object", "remembered", "drawn",
        )
    }  # fmt: skip
    return cases | {
        "basic unit": layer(Unit, ROW, "linear relu"),
        "custom gradient": layer(
            lambda: Do(
                lambda m, x: m.b(Reversed.apply(m.a(x))), a=nn.Linear(8, 8), b=nn.Linear(8, 3)
            ),
            ROW,
        ),
        "custom gradient inside": layer(
            lambda: nn.Sequential(
                nn.Linear(8, 8), Do(lambda m, x: Reversed.apply(x)), nn.Linear(8, 3)
            ),
            ROW,
            "linear",
        ),
        "decided by data": layer(
            lambda: Do(lambda m, x: m.body(x if x.sum() > 0 else -x), body=nn.Linear(8, 3)), ROW
        ),
        "decided by data inside": layer(
            lambda: nn.Sequential(
                nn.Linear(8, 8), Do(lambda m, x: x if x.sum() > 0 else -x), nn.Linear(8, 3)
            ),
            ROW,
        ),
        "decided by the batch": layer(
            lambda: Do(lambda m, x: m.body(x * x.shape[0]), body=nn.Linear(8, 3)), ROW, "linear"
        ),
        "complex": layer(
            lambda: Do(
                lambda m, x: torch.fft.irfft(torch.fft.rfft(x) * m.w, n=8) + m.body(x),
                w=torch.randn(5, dtype=torch.complex128), body=nn.Linear(8, 8),
            ),
            ROW,
            "linear mul",
        ),
        "hooks of values": layer(
            lambda: Do(lambda m, x: m.b(_halved(m.a(x))), a=nn.Linear(8, 8), b=nn.Linear(8, 3)), ROW
        ),
        "gradient inside": layer(lambda: Do(_slope, body=nn.Linear(8, 3)), ROW),
        "put into place": layer(
            lambda: Do(_placed, gate=nn.Linear(8, 4), body=nn.Linear(8, 4)), ROW, "linear mul"
        ),
        "item": function(lambda m, x: x * x.detach().abs().max().item(), ROW, ""),
        "constant": layer(_with_constant, ROW),
        "scalar parameter": layer(
            lambda: Do(
                lambda m, x: m.a(x) * m.gate.sigmoid() + m.b(x) * (1 - m.gate.sigmoid()),
                a=nn.Linear(8, 3), b=nn.Linear(8, 3), gate=torch.tensor(0.3),
            ),
            ROW,
            "linear",
        ),
        "frozen": layer(_frozen, ROW, "linear"),
        "tied": layer(_tied, ROW),
        "tied to a recurrence": layer(_tied_to_recurrence, ROWS),
        "checkpoint": layer(
            lambda: Do(
                lambda m, x: torch.utils.checkpoint.checkpoint(m.body, x, use_reentrant=False),
                body=nn.Linear(8, 3),
            ),
            ROW,
        ),
        "autocast inside": layer(lambda: Do(_autocast, body=nn.Linear(8, 3).float()), ROW),
        "random generator": layer(
            lambda: Do(_own_generator, draws=torch.Generator().manual_seed(3), s=torch.randn(8)),
            ROW,
        ),
        "squeeze and excite": layer(
            lambda: Do(
                lambda m, x: x * m.up(F.relu(m.down(x.mean((2, 3), keepdim=True)))).sigmoid(),
                down=nn.Conv2d(4, 2, 1), up=nn.Conv2d(2, 4, 1),
            ),
            IMAGE,
            "conv2d mul",
        ),
    }  # fmt: skip


def _halved(x: Tensor) -> Tensor:
    if x.requires_grad:
        x.register_hook(lambda grad: grad / 2)
    return x


def _placed(m: Any, x: Tensor) -> Tensor:
    """A mixture of two of four experts, and rows that others are added to."""
    chances, places = m.gate(x).softmax(-1).topk(2, -1)
    gates = torch.zeros(len(x), 4, dtype=x.dtype).scatter_(1, places, chances)
    rows = (m.body(x) * 1.0).index_add_(0, torch.tensor([0, 2]), x[1:3, :4])
    return gates * rows.index_fill_(1, torch.tensor([3]), 0.5)


def _slope(m: Any, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(m.body(x).tanh().sum(), x, create_graph=True)
    return found


def _with_constant() -> nn.Module:
    made = Do(lambda m, x: m.body(x * m.constant), body=nn.Linear(8, 3))
    made.__dict__["constant"] = torch.rand(8, dtype=torch.float64)
    return made


def _frozen() -> nn.Module:
    made = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3))
    made[0].requires_grad_(False)
    return made


def _tied() -> nn.Module:
    made = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    made[2].weight = made[0].weight
    return made


def _tied_to_recurrence() -> nn.Module:
    made = Do(
        lambda m, x: m.out(m.body(x)[0]) * 2, body=nn.GRU(8, 8), out=nn.Linear(8, 8, bias=False)
    )
    made.body.weight_hh_l0 = nn.Parameter(torch.randn(24, 8))
    made.out.weight = made.body.weight_hh_l0
    return made


def _autocast(m: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return torch.relu(m.body(x)).double()


def _own_generator(m: Any, x: Tensor) -> Tensor:
    return x * m.s + torch.rand(8, generator=m.draws, dtype=torch.float64)


def layouts() -> dict[str, Case]:
    """Dropout of what lies in memory in an order of its own: masks are drawn in that order."""

    def heads(m: Any, x: Tensor) -> Tensor:
        parts = x.unflatten(-1, (2, 4)).transpose(1, 2)
        return F.scaled_dot_product_attention(parts * m.q, parts, parts)

    last = {"memory_format": torch.channels_last}
    acts: dict[str, tuple[Callable[..., Any], tuple[int, ...], dict[str, Any]]] = {
        "attention": (heads, ROWS, {"q": torch.randn(4)}),
        "conv2d": (lambda m, x: m.f(x.contiguous(**last)), IMAGE, {"f": nn.Conv2d(4, 5, 3)}),
        "max_pool2d": (lambda m, x: F.max_pool2d(x.contiguous(**last), 2), IMAGE, {}),
        "conv1d": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.Conv1d(8, 5, 3)}),
        "einsum": (
            lambda m, x: torch.einsum("bsd,de->bes", x, m.w), ROWS, {"w": torch.randn(8, 3)},
        ),
        "matmul": (lambda m, x: m.w @ x.transpose(1, 2), ROWS, {"w": torch.randn(3, 8)}),
        "mean": (lambda m, x: x.transpose(1, 3).mean(1), IMAGE, {}),
        "cat": (lambda m, x: torch.cat([x.transpose(1, 3)] * 2, 1), IMAGE, {}),
        "sum": (lambda m, x: x.transpose(1, 3) + x.transpose(1, 3), IMAGE, {}),
        "softmax": (lambda m, x: x.transpose(1, 2).softmax(-1), ROWS, {}),
        "linear": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.Linear(5, 3)}),
        "layer_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.LayerNorm(5)}),
        "batch_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.BatchNorm1d(8)}),
        "instance_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.InstanceNorm1d(8)}),
        "group_norm": (lambda m, x: m.f(x.transpose(1, 2)), ROWS, {"f": nn.GroupNorm(2, 8)}),
        "pad": (lambda m, x: F.pad(x.transpose(2, 3), (1, 1)), IMAGE, {}),
        "lstm": (lambda m, x: m.f(x)[0], ROWS, {"f": nn.LSTM(8, 3, batch_first=True)}),
        "logsigmoid": (lambda m, x: F.logsigmoid(x.transpose(1, 2)), ROWS, {}),
        "noise": (lambda m, x: torch.rand_like(x.mT) + x.mT * m.w, ROWS, {"w": torch.randn(5)}),
    }  # fmt: skip
    return {
        f"dropout after {name}": layer(
            lambda a=act, p=parts: Do(
                lambda m, x: F.dropout(a(m, x), 0.4, m.training), **copy.deepcopy(p)
            ),
            shape,
        )
        for name, (act, shape, parts) in acts.items()
    }
