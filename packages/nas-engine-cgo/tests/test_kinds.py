"""Every function that can be fused, in every way of use: merged, it computes what it does alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from alone import DEVICES, assert_steps_as_alone, fused_names
from models import CASES, Case, direct, normalised, scaled
from torch import Tensor, nn

PLACES = (direct, scaled, normalised)


def inputs(case: Case, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    if case.classes:
        return torch.randint(0, case.classes, (batch, *case.shape), generator=generator)
    return torch.randn(batch, *case.shape, generator=generator, dtype=torch.float64)


def members(
    case: Case, place: Callable[[nn.Module, Case], nn.Module], count: int
) -> list[nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [place(case.make(), case).double() for _ in range(count)]


NOT_ON_GPUS = {
    "lstm of two": "cuDNN keeps the state of dropout between layers for the whole process",
    "transformer layer norm first": "in evaluation torch takes another GELU there",
    "dropout of an expanded": "what has no memory of its own is drawn for in another way",
}


def runs_on(device: str, case: Case) -> bool:
    """Whether the module by itself can be used there."""
    try:
        case.make().double().to(device)(inputs(case, 5).to(device))
    except RuntimeError as error:
        if "same device" not in str(error) and "device type" not in str(error):
            raise
        return False
    return True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case in one of three places, in turn; all of them where it is to be thorough."""
    everything = metafunc.config.getoption("--hypothesis-profile") == "thorough"
    chosen = [
        pytest.param(name, place, id=f"{name}-{place.__name__}")
        for turn, (name, case) in enumerate(CASES.items())
        for place in PLACES
        # Indices are no values to compute with.
        if (place is direct if case.classes else everything or place is PLACES[turn % 3])
    ]
    metafunc.parametrize(("name", "place"), chosen)
    metafunc.parametrize("device", DEVICES)


def test_merged_as_alone(
    name: str, place: Callable[[nn.Module, Case], nn.Module], device: str, thorough: bool
) -> None:
    """Losses, gradients, buffers, outputs and random numbers, for two sizes of the batch."""
    case = CASES[name]
    if device != "cpu":
        if name in NOT_ON_GPUS:
            pytest.skip(NOT_ON_GPUS[name])
        if not runs_on(device, case):
            pytest.skip("it holds tensors that are not moved with it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = members(case, place, 3 if thorough else 2)
        sizes = (6, 4) if thorough else (5,)
        batches = ([inputs(case, size)] for size in sizes)
        merged = assert_steps_as_alone(modules, *batches, device=device)
        trained = any(True for _ in case.make().parameters())
    if place is not direct or trained:  # Else it is computed once for all.
        fused = set(case.fused.split())
        if device != "cpu":  # Masks are drawn there as each member draws its own.
            fused = {name for name in fused if not name.startswith("dropout")}
        assert fused <= fused_names(merged), merged.code.alone
