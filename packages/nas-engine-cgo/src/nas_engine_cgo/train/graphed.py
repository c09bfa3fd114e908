"""The passes of a step as a CUDA graph: recorded once, and from then on launched as one.

A GPU that trains small models waits for the next kernel to be launched most of the time; a graph
launches all of them at once (CUDA C++ Programming Guide, "CUDA Graphs"). The optimiser is not in
it: its numbers change from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Generator, Tensor

from nas_engine_cgo.state import Stream
from nas_engine_cgo.train.passes import Batches, Outcome, Recording, Run, Trained

__all__ = ["EAGER", "Capture", "Captured", "Graphs", "capturing", "drawing_on_the_cpu_refused"]

EAGER = 2
"""Passes of a kind before one is recorded: libraries choose their kernels in them."""

Captured: TypeAlias = tuple[list[Outcome], Callable[[], None]]
"""What a function gave that was called, but launched nothing; and what launches that, each time
into the same memory."""
Capture: TypeAlias = Callable[[Callable[[], list[Outcome]]], Captured]


class Graphs:
    """Records passes as CUDA graphs.

    Args:
        capture: makes a graph of what a function launches.
    """

    first = patience = EAGER
    repeated = "steps were launched as CUDA graphs"
    refused = "no CUDA graph can be made of steps"

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def record(self, run: Run, batches: Batches, trained: Trained) -> Recording:
        """Record what is done with batches like these, without doing it."""
        inputs = [[tensor.clone() for tensor in batch] for batch in batches]
        try:
            outcomes, replay = self._capture(lambda: run(inputs))
        # Also where a library can't be recorded; what was recorded before has not run.
        except RuntimeError as error:
            for tensor in trained():
                tensor.grad = None
            return Recording(None, refusal=str(error).partition("\n")[0])
        gradients = [(t, t.grad) for t in trained() if t.grad is not None]
        return Recording(_Graph(inputs, outcomes, gradients, replay).run)


@dataclass(frozen=True)
class _Graph:
    """Recorded passes, and the memory that they read and write."""

    inputs: Batches
    outcomes: list[Outcome]
    gradients: Sequence[tuple[Tensor, Tensor]]
    replay: Callable[[], None]

    def run(self, batches: Batches) -> list[Outcome]:
        for own, given in zip(self.inputs, batches, strict=True):
            for target, tensor in zip(own, given, strict=True):
                target.copy_(tensor)
        self.replay()
        for tensor, gradient in self.gradients:
            tensor.grad = gradient
        return self.outcomes


def capturing(device: torch.device, streams: Sequence[Stream]) -> Capture:
    """What makes graphs on a CUDA device, of functions that draw from these streams."""
    pools: list[Any] = []  # One for all: no two graphs run at once.

    def capture(run: Callable[[], list[Outcome]]) -> Captured:
        graph = torch.cuda.CUDAGraph()
        for stream in streams:
            graph.register_generator_state(stream.generator)
        drawn = [torch.cuda.default_generators[device.index], *(s.generator for s in streams)]
        with (
            torch.cuda.device(device),
            drawing_on_the_cpu_refused(streams),
            _restored(drawn),
            # Loaders of data may call CUDA in their threads.
            torch.cuda.graph(graph, pools[0] if pools else None, capture_error_mode="thread_local"),
        ):
            outcomes = run()
        pools.append(graph.pool())
        return outcomes, graph.replay

    return capture


@contextmanager
def drawing_on_the_cpu_refused(streams: Sequence[Stream]) -> Iterator[None]:
    """Take back what the block draws on the CPU, which no graph would draw anew.

    Raises:
        RuntimeError: it did.
    """
    generators = [torch.default_generator, *(stream.host for stream in streams)]
    before = [generator.get_state() for generator in generators]
    drawn = False
    try:
        yield
    finally:  # Also if it raises: it is run again, then.
        for generator, state in zip(generators, before, strict=True):
            drawn |= not torch.equal(generator.get_state(), state)
            generator.set_state(state)
    if drawn:
        raise RuntimeError("random numbers are drawn on the CPU")


@contextmanager
def _restored(generators: Sequence[Generator]) -> Iterator[None]:
    """If the block raises, leave generators as they were: one whose graph failed can't draw."""
    kept = [generator.clone_state() for generator in generators]
    try:
        yield
    except BaseException:
        for generator, state in zip(generators, kept, strict=True):
            generator.graphsafe_set_state(state)
        raise
