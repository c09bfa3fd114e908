"""What all parts of the contract share: the engine under test, and what it serves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch

from nas_core import Space
from nas_core.architecture import Architecture
from nas_core.plugins import load_plugins
from nas_core.protocols import Candidate, Engine, EngineInfo
from nas_core.testing.evaluators import CountParameters, tensors_in
from nas_core.testing.references import REFERENCES, Reference

__all__ = ["Subject", "architectures", "candidates", "each_reference", "run_model", "serves"]

MOST = 12
"""Architectures of a reference that are tried: all of them, or as many as this, spread evenly."""

each_reference = pytest.mark.parametrize("reference", REFERENCES, ids=lambda r: r.name)


class Subject:
    """The engine under test."""

    engine_name: str
    initial_weights_as_written = True

    @pytest.fixture(autouse=True)
    def one_thread(self) -> Iterator[None]:
        """Threads would wait for each other: the models here are tiny."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    @pytest.fixture
    def info(self) -> EngineInfo:
        """What the engine's plugin says of it."""
        return load_plugins().engines[self.engine_name].info

    @pytest.fixture
    def engine(self, info: EngineInfo) -> Engine:
        """The engine, as users get it."""
        return info.load()


def serves(engine: Engine, info: EngineInfo, reference: Reference) -> bool:
    """Whether the engine takes this model; it must if it claims the capabilities.

    A model space counts as refused only by ``problems``, never by an exception.
    """
    problems = tuple(engine.problems(reference.model(), CountParameters()))
    claimed = reference.needs <= info.capabilities
    assert not (claimed and problems), (
        f"the engine has {sorted(reference.needs)} and must serve {reference.name}, "
        f"but has problems with it: {'; '.join(map(str, problems))}"
    )
    return not problems


def architectures(reference: Reference) -> Iterator[Architecture]:
    """Up to ``MOST`` architectures of the reference, spread over its space."""
    points = list(Space.of(reference.model()).enumerate())
    return itertools.islice(points, 0, None, -(-len(points) // MOST))


def candidates(reference: Reference, count: int = 4) -> tuple[Candidate, ...]:
    """Candidates with numbers and seeds that differ from each other and from their positions."""
    points = itertools.cycle(architectures(reference))
    return tuple(Candidate(10 + i, next(points), seed=100 + i) for i in range(count))


def run_model(
    model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]
) -> tuple[list[torch.Tensor], list[torch.Tensor | None]]:
    """The outputs under a fixed seed, and the gradients of inputs and parameters."""
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    model.zero_grad()
    torch.manual_seed(5)
    outputs = tensors_in(model(*inputs))
    total = torch.stack([(out * out.detach().cos()).sum() for out in outputs]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    return outputs, [x.grad for x in (*inputs, *model.parameters())]
