"""Sequences where bits count: attention, normalisation of features and recurrent cells stay fused.

That each member gets its bits is compared in the end by the engine itself; here by whole trainings
beside those of the members alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from alone import Alone, jobs_of
from apart import assert_each_as_alone
from nas_core import Architecture, Candidate
from nas_engine_cgo.options import Options
from nas_engine_cgo.train import Loop, Member, Stream
from nas_search.evaluators import SupervisedEvaluator
from torch import Tensor, nn

MEMBERS, LENGTH, FEATURES = 3, 5, 16
CAUSAL = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)


class Net(nn.Module):
    """Rows of features through a layer that is given by name, and their mean."""

    def __init__(self, body: nn.Module, way: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.body = nn.Linear(FEATURES, FEATURES), body
        self.head, self.way = nn.Linear(FEATURES, 3), way

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.way(self.body, torch.tanh(self.first(x))))


class Held(nn.Module):
    """Parameters."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.all = nn.ParameterList(nn.Parameter(torch.randn(shape) * 0.5) for shape in shapes)


def mean(body: Any, x: Tensor) -> Tensor:
    return body(x).mean(1)


def attended(body: Any, x: Tensor, **more: Any) -> Tensor:
    found = body(x, x, x, **more)[0]
    return found.mean(1)


def last(body: Any, x: Tensor) -> Tensor:
    hidden = cell = torch.zeros(len(x), FEATURES)
    for row in x.unbind(1):
        if isinstance(body, nn.LSTMCell):
            hidden, cell = body(row, (hidden, cell))
        else:
            hidden = body(row, hidden)
    return hidden


def encoder(**more: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(FEATURES, 2, 8, batch_first=True, **more)


def heads(**more: Any) -> nn.Module:
    return nn.MultiheadAttention(FEATURES, 2, batch_first=True, **more)


def matrix(body: Any, x: Tensor) -> Tensor:
    return (x @ body.all[0]).relu().mean(1)


def pooled(body: Any, x: Tensor) -> Tensor:
    weights = (x @ body.all[0]).softmax(1)
    return (weights[:, None] @ x)[:, 0]


Ways = dict[str, tuple[Callable[[], nn.Module], Callable[[Any, Tensor], Tensor]]]
WAYS: Ways = {
    "encoder": (partial(encoder, dropout=0.0), mean),
    "encoder, norm first": (partial(encoder, dropout=0.0, norm_first=True), mean),
    "encoder, dropout": (partial(encoder, dropout=0.2), mean),
    "encoder, causal": (
        partial(encoder, dropout=0.2),
        lambda m, x: m(x, src_mask=CAUSAL, is_causal=True).mean(1),
    ),
    "heads": (heads, attended),
    "heads, dropout": (partial(heads, dropout=0.2), attended),
    "heads, mask": (heads, partial(attended, attn_mask=CAUSAL)),
    "heads, no weights": (heads, partial(attended, need_weights=False)),
    "layer norm": (partial(nn.LayerNorm, FEATURES), mean),
    "layer norm without bias": (partial(nn.LayerNorm, FEATURES, bias=False), mean),
    "layer norm of rows": (partial(nn.LayerNorm, (LENGTH, FEATURES)), mean),
    "layer norm without weights": (
        partial(nn.LayerNorm, FEATURES, elementwise_affine=False),
        mean,
    ),
    "rms norm": (partial(nn.RMSNorm, FEATURES), mean),
    "matrix": (partial(Held, (FEATURES, FEATURES)), matrix),
    "pooled": (partial(Held, (FEATURES,)), pooled),
    "lstm": (partial(nn.LSTMCell, FEATURES, FEATURES), last),
    "gru": (partial(nn.GRUCell, FEATURES, FEATURES), last),
    "rnn": (partial(nn.RNNCell, FEATURES, FEATURES), last),
}


def data(size: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(size, LENGTH, FEATURES, generator=torch.Generator().manual_seed(size))
    return x, torch.arange(size) % 3


def recipe() -> SupervisedEvaluator:
    return SupervisedEvaluator(
        train=data(28), validation=data(9), epochs=20, batch_size=8, validate_every=10,
        optimizer="Adam", optimizer_options={"lr": 1e-2}, device="cpu", threads=1,
    )  # fmt: skip


def build(way: str) -> nn.Module:
    make, call = WAYS[way]
    return Net(make(), call)


# A product by a vector is another kernel than one by a matrix.
@pytest.mark.parametrize("way", [way for way in WAYS if way != "pooled"])
def test_every_step_is_fused(way: str) -> None:
    members = []
    for number in range(MEMBERS):
        torch.manual_seed(number)
        stream = Stream(torch.Generator().manual_seed(number))
        candidate = Candidate(number, Architecture({}), number)
        members.append(Member(candidate, build(way), recipe(), stream))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loop = Loop(members, [range(MEMBERS)], Options(exact=True))
        (cluster,) = loop.merged.clusters
        code, single = loop.merged.code.of(cluster, next(loop.batches()), training=True)
    finally:
        torch.set_num_threads(before)
    assert not single, loop.merged.code.alone
    assert code is not None
    programs = code.function.programs
    apart = Counter(
        programs[member].calls[index].name
        for step in code.function.steps
        if len(step.calls) < MEMBERS
        for member, index in step.calls
    )
    assert not [name for name, count in apart.items() if count >= MEMBERS]  # Else it is for all.


class Single(Alone):
    """In single precision."""

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return self.make()


@pytest.mark.parametrize("way", WAYS)
def test_each_member_gets_its_bits(way: str) -> None:
    builds = [partial(build, way)] * MEMBERS
    jobs = [Single(*vars(job).values()) for job in jobs_of(builds, recipe())]
    assert_each_as_alone(jobs, Options(exact=True, cluster_size=MEMBERS), 0.0)
