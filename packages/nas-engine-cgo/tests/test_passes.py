"""Each pass can be switched off: then it does nothing, and every member is trained as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from alone import Alone
from apart import assert_each_as_alone
from nas_core import Architecture, Candidate
from nas_engine_cgo.options import PASSES, Options
from nas_engine_cgo.tally import tally
from nas_engine_cgo.train import Loop, Member, Stream
from nas_search.evaluators import SupervisedEvaluator
from torch import Generator, Tensor, nn

COUNT = 3


class Net(nn.Module):
    """A frozen layer that all have, and a trained one."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.frozen = nn.Linear(4, 5).requires_grad_(False)
        self.trained = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.trained(torch.relu(self.frozen(x)))


def recipe(number: int, optimizer: str = "SGD") -> SupervisedEvaluator:
    generator = Generator().manual_seed(1)
    x = torch.randn(20, 4, generator=generator)
    y = torch.randint(0, 3, (20,), generator=generator)
    return SupervisedEvaluator(
        train=(x, y), optimizer=optimizer, optimizer_options={"lr": 0.01 * (1 + number)},
        clip_norm=0.5 if number else None, epochs=4, batch_size=8, device="cpu",
    )  # fmt: skip


def candidates() -> list[Candidate]:
    return [Candidate(i, Architecture({}), seed=i) for i in range(COUNT)]


def loop(**options: Any) -> Loop:
    """One that has taken a step."""
    members = []
    for candidate in candidates():
        stream = Stream(Generator().manual_seed(candidate.seed))
        members.append(Member(candidate, Net(), recipe(candidate.number), stream))
    made = Loop(members, [range(COUNT)], Options(tape=False, **options))
    made.step(next(made.batches()))
    return made


DOES: dict[str, Callable[[Loop], bool]] = {
    "share_data": lambda made: len(next(made.batches())) < COUNT,
    "deduplicate": lambda made: tally(made.merged.code.functions()).shared > 0,
    "cache_features": lambda made: made.prepared.features is not None,
    "fuse": lambda made: tally(made.merged.code.functions()).fused > 0,
    "stack_optimizer": lambda made: any(len(e.slots) > 1 for e in made._optimizer.entries),
}
"""Pass → whether it has done something to members."""


def test_each_pass_has_a_switch() -> None:
    assert tuple(DOES) == PASSES


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_that_is_switched_off_does_nothing(name: str) -> None:
    rest: dict[str, Any] = {"cache_features": False} if name == "deduplicate" else {}
    assert DOES[name](loop(**rest))
    assert not DOES[name](loop(**rest, **{name: False}))


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("off", [*((name,) for name in PASSES), PASSES], ids="+".join)
def test_members_are_trained_as_alone_without_it(
    off: tuple[str, ...], exact: bool, optimizer: str
) -> None:
    torch.set_default_dtype(torch.float64)
    jobs = [Alone((c,), Net, recipe(c.number, optimizer)) for c in candidates()]
    switches = dict.fromkeys(off, False)
    options = Options(exact=exact, cluster_size=COUNT, **switches)
    assert_each_as_alone(jobs, options, 0.0 if exact else 1e-9)
