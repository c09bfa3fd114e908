"""The passes of a step as a CUDA graph: recorded once, and from then on launched as one.

A GPU that trains small models waits for the next kernel to be launched most of the time; a graph
launches all of them at once (CUDA C++ Programming Guide, "CUDA Graphs"). The optimiser is not in
it: its numbers change from step to step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Generator, Tensor

from nas_engine_cgo.state import Stream

__all__ = [
    "EAGER",
    "Outcome",
    "Passes",
    "Record",
    "Recorded",
    "drawing_on_the_cpu_refused",
    "recorder",
]

EAGER = 2
"""Passes of a kind before one is recorded: libraries choose their kernels in them."""

Outcome: TypeAlias = tuple[Tensor, tuple[int, ...]]
"""Outputs, and the members that they belong to along dimension 0; of one member as they are."""
Batches: TypeAlias = Sequence[Sequence[Tensor]]
Run: TypeAlias = Callable[[Batches], list[Outcome]]
Recorded: TypeAlias = tuple[list[Outcome], Callable[[], None]]
"""What a function gave that was called, but launched nothing; and what launches that, each time
into the same memory."""
Record: TypeAlias = Callable[[Callable[[], list[Outcome]]], Recorded]


class Passes:
    """Runs the passes of steps, forward and back; those that come again, as a graph.

    Args:
        trained: gives the tensors whose gradients passes leave.
        is_fixed: whether passes do the same to the same memory for all batches of these shapes.
        record: what makes a graph; None where there are none.
    """

    def __init__(
        self,
        trained: Callable[[], Sequence[Tensor]],
        is_fixed: Callable[[Batches], bool],
        record: Record | None,
    ) -> None:
        self._trained, self._is_fixed, self._record = trained, is_fixed, record
        self._graphs: dict[Any, _Graph] = {}
        self._eager: Counter[Any] = Counter()
        self._refused = ""

    def __call__(self, run: Run, batches: Batches) -> list[Outcome]:
        """The losses of all members; those of a graph are good until the next call.

        Args:
            run: gives them for the batches of the data streams, and leaves gradients.
            batches: those of this step.
        """
        if self._record is None:
            return run(batches)
        key = tuple((t.shape, t.dtype) for batch in batches for t in batch)
        if key not in self._graphs:
            if self._eager[key] < EAGER or not self._is_fixed(batches):
                self._eager[key] += 1
                return run(batches)
            try:
                self._graphs[key] = self._recorded(self._record, run, batches)
            # Also where a library can't be recorded; what was recorded before has not run.
            except RuntimeError as error:
                self._record, self._refused = None, str(error).partition("\n")[0]
                for tensor in self._trained():
                    tensor.grad = None
                return run(batches)
        return self._graphs[key].run(batches)

    def _recorded(self, record: Record, run: Run, batches: Batches) -> _Graph:
        inputs = [[tensor.clone() for tensor in batch] for batch in batches]
        outcomes, replay = record(lambda: run(inputs))
        gradients = [(t, t.grad) for t in self._trained() if t.grad is not None]
        return _Graph(inputs, outcomes, gradients, replay)

    @property
    def note(self) -> str:
        """What became of recording, in words; empty if there is nothing to say."""
        if self._refused:
            return f"no CUDA graph can be made of steps: {self._refused}"
        return "steps were launched as CUDA graphs" if self._graphs else ""


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


def recorder(device: torch.device, streams: Sequence[Stream]) -> Record | None:
    """What makes graphs on a device, of functions that draw from these streams.

    >>> recorder(torch.device("cpu"), []) is None
    True
    """
    if device.type != "cuda":
        return None
    pools: list[Any] = []  # One for all: no two graphs run at once.

    def record(run: Callable[[], list[Outcome]]) -> Recorded:
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

    return record


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
