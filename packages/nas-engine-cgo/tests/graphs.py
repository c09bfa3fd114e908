"""A CUDA graph on the CPU: it refuses what CUDA refuses, and repeats what it has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.state import Stream
from nas_engine_cgo.train.graphed import Capture, Captured
from nas_engine_cgo.train.passes import Outcome
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

REFUSED = ("lift_fresh", "_local_scalar_dense", "nonzero")
"""What copies from or to Python: while a CUDA graph is recorded, there is nothing to copy."""


class Recording(TorchDispatchMode):
    """Notes operations, and takes back what they change: what is recorded has not run."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function.overloadpacket.__name__ in REFUSED:
            raise RuntimeError(f"{function} while a stream is capturing")
        tensors = [(tensor, tensor.clone()) for tensor in tensors_of((args, kwargs))]
        generators = [g for g in tree_leaves((args, kwargs)) if isinstance(g, Generator)]
        generators.append(torch.default_generator)
        states = [(generator, generator.get_state()) for generator in generators]
        result = function(*args, **kwargs)
        for tensor, before in tensors:  # Schemas do not tell all that is changed.
            if not same_bits(tensor, before):
                tensor.copy_(before)
        for generator, state in states:
            generator.set_state(state)
        self.calls.append((function, args, kwargs, tensors_of(result)))
        return result

    def swap(self, swap: Callable[[], None]) -> None:
        """Exchange global states, as is done without a copy on a GPU: that is recorded."""
        self.calls.append((swap, (), {}, []))
        swap()

    def replay(self) -> None:
        with torch.no_grad():
            for function, args, kwargs, made in self.calls:
                again = tensors_of(function(*args, **kwargs))
                for target, tensor in zip(made, again, strict=True):
                    if target.data_ptr() != tensor.data_ptr():
                        target.copy_(tensor)


def tensors_of(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def capturing(_device: torch.device, streams: Sequence[Stream]) -> Capture:
    """Stands in for what makes graphs on CUDA devices."""

    def capture(run: Callable[[], list[Outcome]]) -> Captured:
        recording = Recording()
        with pytest.MonkeyPatch.context() as patch:
            for stream in streams:
                patch.setattr(stream, "swap", partial(recording.swap, stream.swap))
            with recording:
                outcomes = run()
        return outcomes, recording.replay

    return capture
