"""Alike members have one program: what makes two members alike, and what does not."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import nas_engine_cgo.train.traces as tracing
import pytest
import torch
from nas_core import Architecture, Candidate
from nas_engine_cgo.members import UntraceableError, look, trace
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Loop, Member, Stream
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn


class Scaled(nn.Module):
    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.inner(x))


def tied() -> nn.Module:
    made = Scaled(other=nn.Linear(4, 4))
    made.other.weight = made.inner.weight
    return made


def tied_by_memory() -> nn.Module:
    made = Scaled(other=nn.Linear(4, 4))
    made.other.weight = nn.Parameter(made.inner.weight.data)
    return made


def hooked() -> nn.Module:
    made = Scaled(other=nn.Linear(4, 4))
    made.other.register_forward_hook(lambda *_: None)
    return made


def frozen() -> nn.Module:
    made = Scaled()
    made.inner.requires_grad_(False)
    return made


DIFFERENT: dict[str, Callable[[], nn.Module]] = {
    "plain": Scaled,
    "a number": lambda: Scaled(scale=2),
    "of another type": lambda: Scaled(scale=2.0),
    "zero": lambda: Scaled(scale=0.0),
    "minus zero": lambda: Scaled(scale=-0.0),
    "in a list": lambda: Scaled(scale=[2]),
    "in a tuple": lambda: Scaled(scale=(2,)),
    "a module more": lambda: Scaled(other=nn.Linear(4, 4)),
    "tied": tied,
    "tied by memory": tied_by_memory,
    "hooked": hooked,
    "frozen": frozen,
    "evaluated": lambda: Scaled().eval(),
    "partly evaluated": lambda: Scaled(norm=nn.BatchNorm1d(4).eval()),
    "turned": lambda: Scaled(inner=nn.Linear(4, 4, bias=False)),
    "double": lambda: Scaled().double(),
}


def test_copies_are_alike_and_others_are_not() -> None:
    seen: dict[Any, str] = {}
    for name, make in DIFFERENT.items():
        found = look(make())
        assert found not in seen, f"{name} is like {seen[found]}"
        seen[found] = name
        assert name == "hooked" or look(make()) == found
    assert look(nn.LSTM(3, 4)) == look(nn.LSTM(3, 4))
    held: list[Any] = []
    held.append(held)
    assert look(Scaled(held=held)) == look(Scaled(held=held))


def test_a_tensor_or_an_object_that_a_module_keeps_is_its_own() -> None:
    shared = torch.ones(4)
    assert look(Scaled(kept=shared)) == look(Scaled(kept=shared))
    assert look(Scaled(kept=torch.ones(4))) != look(Scaled(kept=torch.ones(4)))
    assert look(Scaled(kept=object())) != look(Scaled(kept=object()))


class Counting(nn.Linear):
    """Changes what ``trace`` must leave alone."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(1)
        self.weight.data = self.weight.data * 2
        return super().forward(x)


@pytest.mark.parametrize("make", [Scaled, tied, hooked, Counting, lambda: nn.LSTM(4, 4)])
def test_a_trace_leaves_the_module_as_it_is(make: Callable[[], nn.Module]) -> None:
    module = make()
    before, attributes = copy.deepcopy(module.state_dict()), look(module)
    identities = [id(tensor) for tensor in (*module.parameters(), *module.buffers())]
    with contextlib.suppress(UntraceableError):
        trace(module, lambda m, x: m(x), [torch.zeros(3, 4)])
    assert make is hooked or look(module) == attributes
    assert identities == [id(t) for t in (*module.parameters(), *module.buffers())]
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())


def viewing() -> nn.Module:
    made = Scaled()
    made.register_buffer("row", made.inner.weight.detach()[1])
    return made


@pytest.mark.parametrize("make", [tied_by_memory, viewing])
def test_what_shares_memory_with_a_weight_is_trained_by_itself(
    make: Callable[[], nn.Module],
) -> None:
    """Members have weights of their own in merged code, and no others would follow them."""
    with pytest.raises(UntraceableError, match="memory of another tensor"):
        trace(make(), lambda m, x: m(x), [torch.zeros(3, 4)])


def loop_of(nets: list[nn.Module], options: Options, **changes: Any) -> Loop:
    x, y = torch.randn(16, 3, 8, 8), torch.arange(16) % 3
    settings: dict[str, Any] = {"train": (x, y), "validation": (x, y), "batch_size": 8}
    recipe = SupervisedEvaluator(**settings, device="cpu", **changes)
    members = [
        Member(Candidate(i, Architecture({}), i), net, recipe, Stream(torch.Generator()))
        for i, net in enumerate(nets)
    ]
    return Loop(members, [range(len(nets))], options)


def cnn(width: int) -> nn.Module:
    layers = (nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))


def test_alike_members_are_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    original = tracing.program_of

    def counted(member: Member, *args: Any) -> Any:
        traced.append(member.candidate.number)
        return original(member, *args)

    monkeypatch.setattr(tracing, "program_of", counted)
    loop = loop_of([cnn(width) for width in (4, 5, 4, 5)], Options())
    programs = loop.merged.code.traced(next(loop.batches()))
    assert traced == [0, 1]
    assert programs[0] is programs[2] is not programs[1] is programs[3]


def test_channels_last_members_are_merged_in_training_and_evaluation() -> None:
    loop = loop_of([cnn(4) for _ in range(3)], Options(layout="channels_last"))
    loop.step(next(loop.batches()))
    loop.outputs("")
    assert loop.merged.code.alone == {}
    weights = [member.module[0].weight for member in loop.members]  # type: ignore[index]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
