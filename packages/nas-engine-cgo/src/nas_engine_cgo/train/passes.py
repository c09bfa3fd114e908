"""The passes of a step, forward and back: once they are known, they are repeated without Python's
and autograd's part in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from torch import Tensor

__all__ = ["Batches", "Outcome", "Passes", "Recorder", "Recording", "Run", "Trained"]

Outcome: TypeAlias = tuple[Tensor, tuple[int, ...]]
"""Outputs, and the members that they belong to along dimension 0; of one member as they are."""
Batches: TypeAlias = Sequence[Sequence[Tensor]]
Run: TypeAlias = Callable[[Batches], list[Outcome]]
Trained: TypeAlias = Callable[[], Sequence[Tensor]]


@dataclass(frozen=True)
class Recording:
    """What came of recording passes.

    Attributes:
        repeat: does the same with other batches; None if that can't be done.
        outcomes: what the passes gave, if they have run as well.
        refusal: why there is nothing to repeat.
    """

    repeat: Run | None
    outcomes: list[Outcome] | None = None
    refusal: str = ""


class Recorder(Protocol):
    """Records passes.

    Attributes:
        first: so many passes run before one of the kind that comes first is recorded, of which most
            are.
        patience: after so many passes of another kind, such as the last of an epoch, one is.
        repeated: what is said of passes that are repeated; empty to say nothing.
        refused: what is said if that can't be, before the reason.
    """

    first: int
    patience: int
    repeated: str
    refused: str

    def record(self, run: Run, batches: Batches, trained: Trained) -> Recording:
        """Record what is done with batches, which leaves gradients at what is trained."""


class Passes:
    """Runs the passes of steps; those that come again and again, by repeating them.

    Args:
        trained: gives the tensors whose gradients passes leave.
        is_fixed: whether passes do the same to the same memory for all batches of these shapes.
        recorder: None to repeat none.

    Attributes:
        first: so many passes run before one of the kind that comes first is recorded.
    """

    def __init__(
        self, trained: Trained, is_fixed: Callable[[Batches], bool], recorder: Recorder | None
    ) -> None:
        self._trained, self._is_fixed, self._recorder = trained, is_fixed, recorder
        self.first = 0 if recorder is None else recorder.first
        self._usual: Any = None  # The kind that came first.
        self._repeats: dict[Any, Run] = {}
        self._passed: Counter[Any] = Counter()
        self.note = ""

    @property
    def repeats(self) -> bool:
        """Whether passes that come again may be repeated."""
        return self._recorder is not None

    def __call__(self, run: Run, batches: Batches) -> list[Outcome]:
        """The losses of all members, which are good until the next call.

        Args:
            run: gives them for the batches of the data streams, and leaves gradients.
            batches: those of this step.
        """
        if (recorder := self._recorder) is None:
            return run(batches)
        key = tuple((t.shape, t.stride(), t.dtype) for batch in batches for t in batch)
        if key not in self._repeats:
            self._usual = self._usual or key
            patience = self.first if key == self._usual else recorder.patience
            if self._passed[key] < patience or not self._is_fixed(batches):
                self._passed[key] += 1
                return run(batches)
            recording = recorder.record(run, batches, self._trained)
            if recording.repeat is None:
                self._recorder, self.note = None, f"{recorder.refused}: {recording.refusal}"
            else:
                self._repeats[key], self.note = recording.repeat, recorder.repeated
            if recording.outcomes is not None:
                return recording.outcomes
            return (recording.repeat or run)(batches)
        return self._repeats[key](batches)
