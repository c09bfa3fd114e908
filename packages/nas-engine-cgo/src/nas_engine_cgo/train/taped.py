"""The passes of a step on a CPU as a tape: the operators of torch, called one after the other.

Most operators of small models take less time than it takes to note them for autograd, and to find
one's way back through the notes. Both come out the same in each step, so they are done once.
"""

from __future__ import annotations

from nas_core.uncollected import uncollected
from torch import Tensor

from nas_engine_cgo.tape import UnrepeatableError, recorded, shortened, written
from nas_engine_cgo.train.passes import Batches, Outcome, Recording, Run, Trained

__all__ = ["Tapes"]


class Tapes:
    """Records passes as tapes, while they run."""

    first = 0
    patience = 4  # To record and to write takes as long as some steps gain.
    worth = 24  # So many steps do.
    worth_recurrent = 48  # One call of torch is many operators.
    repeated = ""
    refused = "no tape can be made of steps"

    @uncollected()
    def record(self, run: Run, batches: Batches, trained: Trained) -> Recording:
        """Run passes, and record them."""
        felt: list[Tensor] = []

        def results(outcomes: list[Outcome]) -> list[Tensor]:
            felt.extend(tensor for tensor in trained() if tensor.grad is not None)
            gradients = [tensor.grad for tensor in felt if tensor.grad is not None]
            return [*(losses for losses, _ in outcomes), *gradients]

        inputs = [tensor for batch in batches for tensor in batch]
        outcomes, tape = recorded(lambda: run(batches), inputs, results)
        if isinstance(tape, UnrepeatableError):
            return Recording(None, outcomes, str(tape))
        call = written(shortened(tape))

        def repeat(batches: Batches) -> list[Outcome]:
            found = call(*(tensor for batch in batches for tensor in batch))
            for tensor, gradient in zip(felt, found[len(outcomes) :], strict=True):
                tensor.grad = gradient
            return [
                (losses, members) for losses, (_, members) in zip(found, outcomes, strict=False)
            ]

        return Recording(repeat, outcomes)
