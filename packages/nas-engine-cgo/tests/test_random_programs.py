"""Law 5 for modules whose operations are drawn.

``pytest --hypothesis-profile=thorough`` draws thousands of them.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

import torch
from alone import Alone, assert_steps_as_alone, jobs_of
from apart import assert_each_as_alone
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from machines import IMAGE, Instruction, Machine, members
from nas_engine_cgo.options import Options
from nas_engine_cgo.train.refused import RefusedError
from nas_search.evaluators import SupervisedEvaluator

THOROUGH = settings.get_current_profile_name() == "thorough"
thoroughly = settings(
    max_examples=2000 if THOROUGH else 25,
    derandomize=not THOROUGH,
    deadline=None,
    phases=(Phase.generate, *([Phase.shrink] if THOROUGH else [])),  # That takes minutes.
    suppress_health_check=list(HealthCheck),
)
Programs = Sequence[Sequence[Instruction]]


def machines(programs: Programs) -> list[Machine]:
    """Those that can be trained."""
    x = images(4)
    try:
        made = [Machine(program, seed) for seed, program in enumerate(programs)]
        for machine in map(copy.deepcopy, made):
            with torch.random.fork_rng(devices=[]):
                loss = machine(x).square().mean()
                loss.backward()
                machine.eval()(x)
            grads = [p.grad for p in machine.parameters() if p.grad is not None]
            assume(all(bool(tensor.isfinite().all()) for tensor in (loss, *grads)))
    except (RuntimeError, ValueError):
        assume(False)
    return made


def images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *IMAGE, generator=torch.Generator().manual_seed(seed))


@given(members())
@thoroughly
def test_gradients_and_buffers_after_each_step(programs: Programs) -> None:
    torch.set_default_dtype(torch.float64)
    with contextlib.suppress(RefusedError):  # A buffer that evaluation replaces is given up.
        assert_steps_as_alone(machines(programs), *([images(4, seed)] for seed in range(3)))


@st.composite
def recipes(draw: Any) -> SupervisedEvaluator:
    def one(*of: Any) -> Any:
        return draw(st.sampled_from(of))

    y = torch.randint(0, 3, (22,), generator=torch.Generator().manual_seed(1))
    return SupervisedEvaluator(
        train=(images(22), y), validation=(images(10, 1), y[:10]), epochs=one(1, 2, 3),
        batch_size=one(4, 5), drop_last=True, optimizer=one("SGD", "Adam", "AdamW", "RMSprop"),
        optimizer_options={"lr": one(1e-3, 1e-2)}, clip_norm=one(None, 1.0),
        data_seed=one(0, None), validate_every=one(1, 2), device="cpu", threads=1,
        metrics=("loss",), objectives={"loss": "minimize"},
    )  # fmt: skip


class Single(Alone):
    """A job in whatever the default type is."""

    def build(self) -> torch.nn.Module:
        return self.make()


def jobs(programs: Programs, recipe: SupervisedEvaluator) -> list[Alone]:
    machines(programs)
    builds = [lambda p=p, s=s: Machine(p, s) for s, p in enumerate(programs)]  # type: ignore[misc]
    return [Single(*vars(job).values()) for job in jobs_of(builds, recipe)]


@given(members(), st.data())
@thoroughly
def test_whole_trainings(programs: Programs, data: st.DataObject) -> None:
    torch.set_default_dtype(torch.float64)
    options = Options(
        cluster_size=len(programs),
        layout=data.draw(st.sampled_from(["contiguous", "channels_last"])),
        widen=data.draw(st.booleans()),
        tape=data.draw(st.booleans()),
    )
    assert_each_as_alone(jobs(programs, data.draw(recipes())), options, 1e-9)


@given(members(), st.data())
@thoroughly
def test_whole_trainings_to_the_bit(programs: Programs, data: st.DataObject) -> None:
    torch.set_default_dtype(torch.float32)
    options = Options(cluster_size=len(programs), exact=True, tape=data.draw(st.booleans()))
    assert_each_as_alone(jobs(programs, data.draw(recipes())), options, 0.0)
