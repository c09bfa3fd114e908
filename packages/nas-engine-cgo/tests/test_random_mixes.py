"""Law 5 for candidates of different spaces, trained in different ways, in one job.

``pytest --hypothesis-profile=thorough`` draws thousands of mixes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from alone import DEVICES
from apart import assert_each_as_alone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nas_core import Candidate, Space
from nas_engine_cgo.options import PASSES, Options
from nas_engine_cgo.train import code
from nas_engine_graph.engine import GraphEngine, GraphJob
from nas_search import load_target
from nas_search.evaluators import SupervisedEvaluator
from spaces import SPACES
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
NAMES = ["digits", *SPACES]
THOROUGH = settings.get_current_profile_name() == "thorough"
TRAINED, MEASURED, BATCH = 20, 12, 8
EPOCHS = 34  # of three steps, the last with fewer samples: a hundred

Choices = Mapping[str, Any]


@dataclass(frozen=True)
class Mix:
    """Candidates of one job.

    Attributes:
        members: (space, seed of its sample).
        data: where batches come from.
        shared: fields of all recipes.
        own: fields of each member's.
        options: how they are merged.
        room: bytes for the values of a step.
    """

    members: tuple[tuple[str, int], ...]
    data: str
    shared: Choices
    own: tuple[Choices, ...]
    options: Options
    room: int | None


class Noisy(Dataset[Any]):
    """Images with noise that is drawn when they are read."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self._x, self._y = x, y

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._x[index] + 0.1 * torch.randn(1, 8, 8, dtype=self._x.dtype), self._y[index]


# ---------------------------------------------------------------------- what is drawn


def optimizers(draw: Any) -> tuple[str, list[str], dict[str, Any]]:
    """A class, its options that are numbers of each member, and flags that all share."""
    flag = st.booleans()
    name = draw(st.sampled_from(["SGD", "Adam", "AdamW", "RMSprop"]))
    match name:
        case "SGD":
            nesterov = draw(flag)
            numbers = ["momentum", "weight_decay", *([] if nesterov else ["dampening"])]
            return name, numbers, {"nesterov": nesterov}
        case "RMSprop":
            return name, ["momentum", "weight_decay", "alpha"], {"centered": draw(flag)}
        case _:
            return name, ["betas", "weight_decay", "eps"], {"amsgrad": draw(flag)}


NUMBERS: Mapping[str, Sequence[Any]] = {
    "momentum": [0.9, 0.5],
    "weight_decay": [0.0, 1e-3, 1e-2],
    "dampening": [0.0, 0.1],
    "alpha": [0.99, 0.9],
    "betas": [(0.9, 0.999), (0.8, 0.99)],
    "eps": [1e-8, 1e-3],
}
SCHEDULES: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "step": (
        ("OneCycleLR", {"max_lr": 2e-2}),
        ("OneCycleLR", {"max_lr": 5e-3, "three_phase": True}),
        ("CosineAnnealingLR", {}),
    ),
    "epoch": (
        ("StepLR", {"step_size": 5}),
        ("ExponentialLR", {"gamma": 0.9}),
        ("ReduceLROnPlateau", {"patience": 2}),
        ("ReduceLROnPlateau", {"patience": 1, "factor": 0.5}),
    ),
}


@st.composite
def mixes(draw: Any, exact: bool) -> Mix:
    """Mixes; where bits count, also in lower precision."""

    def one(*of: Any) -> Any:
        return draw(st.sampled_from(of))

    some = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
    names = [one(*some) for _ in range(draw(st.integers(2, 6)))]
    optimizer, numbers, flags = optimizers(draw)
    every = one(None, "step", "epoch")
    clips = draw(st.booleans())
    rates = (0.02, 0.05, 0.1) if optimizer == "SGD" else (1e-3, 2e-3)

    def own() -> Choices:
        options = {"lr": one(*rates), **{n: one(*NUMBERS[n]) for n in numbers}, **flags}
        found = {
            "optimizer_options": options,
            "loss_options": {"label_smoothing": one(0.0, 0.1)},
            "clip_norm": one(None, 0.5, 2.0) if clips else None,
        }
        if every is not None:
            schedule, with_options = one(*SCHEDULES[every])
            found |= {"schedule": schedule, "schedule_options": with_options}
        return found

    shared = {
        "optimizer": optimizer,
        "schedule_every": every or "epoch",
        "data_seed": one(0, 0, None),
        "drop_last": one(False, False, True),
        "validate_every": one(3, 17),
        "precision": one("float32", "float32", "bfloat16") if exact else "float32",
    }
    layout = "contiguous" if exact else one("contiguous", "contiguous", "channels_last")
    passes = {name: one(True, True, True, False) for name in PASSES}
    return Mix(
        tuple((name, draw(st.integers(0, 999))) for name in names),
        one("tensors", "tensors", "noisy", "loader"),
        shared,
        tuple(own() for _ in names),
        Options(layout, exact, one(len(names), len(names), 2), widen=one(False, True), **passes),
        one(None, 1 << 12, 1 << 15),
    )


# ---------------------------------------------------------------------- what is run


@cache
def model_of(name: str, _dtype: torch.dtype) -> tuple[Any, Space]:
    """A model space, whose constants may be of the default type."""
    model = load_target("space.py:Net", DIGITS)() if name == "digits" else SPACES[name]()
    return model, Space.of(model)


@cache
def engine(_dtype: torch.dtype) -> GraphEngine:
    return GraphEngine()


def tensors(size: int, seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 1, 8, 8, generator=generator, dtype=torch.float64).to(dtype)
    return x, torch.randint(0, 3, (size,), generator=generator)


def data_of(mix: Mix, dtype: torch.dtype) -> Any:
    x, y = tensors(TRAINED, 1, dtype)
    match mix.data:
        case "tensors":
            return x, y
        case "noisy":
            return Noisy(x, y)
        case _:
            return _loader_of(Noisy(x, y))


def _loader_of(data: Noisy) -> Callable[[torch.Generator], DataLoader[Any]]:
    def loader(generator: torch.Generator) -> DataLoader[Any]:
        return DataLoader(data, BATCH, shuffle=True, generator=generator)

    return loader


def jobs_of(mix: Mix, dtype: torch.dtype, device: str) -> list[GraphJob]:
    base = SupervisedEvaluator(
        train=data_of(mix, dtype), validation=tensors(MEASURED, 2, dtype), epochs=EPOCHS,
        batch_size=BATCH, device=device, metrics=("accuracy", "loss", "parameters"), **mix.shared,
    )  # fmt: skip
    jobs: list[GraphJob] = []
    for number, ((name, seed), own) in enumerate(zip(mix.members, mix.own, strict=True)):
        model, space = model_of(name, dtype)
        candidate = Candidate(number, space.sample(seed=seed), 70 + number)
        recipe = SupervisedEvaluator(**vars(base) | own)
        jobs += engine(dtype).plan(model, [candidate], recipe)
    return jobs


def check(mix: Mix, dtype: torch.dtype, tolerance: float, device: str = "cpu") -> None:
    """Each member comes to where it comes alone, as far as rounding can tell."""
    torch.set_default_dtype(dtype)
    jobs = jobs_of(mix, dtype, device)
    with patch.object(code, "room_for_steps", lambda *_, **__: mix.room):
        results = assert_each_as_alone(jobs, mix.options, tolerance)
    for job, found in zip(jobs, results, strict=True):
        if found.error is None:
            job.build().load_state_dict(found.weights, strict=True)


thoroughly = settings(
    max_examples=2000 if THOROUGH else 2,
    derandomize=not THOROUGH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("device", DEVICES)
@given(mix=mixes(exact=False))
@thoroughly
def test_in_double_precision_all_numbers_agree(mix: Mix, device: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of schedules whose optimisers are stepped elsewhere.
        check(mix, torch.float64, 1e-9, device)


@given(mixes(exact=True))
@thoroughly
def test_where_bits_count_all_bits_agree(mix: Mix) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(mix, torch.float32, 0.0)
