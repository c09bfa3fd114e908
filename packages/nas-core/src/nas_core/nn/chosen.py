"""What an ``InputChoice`` becomes in a built model: modules that TorchScript reads, too."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["ChosenInputs", "ChosenList", "choosing"]


class ChosenInputs(torch.nn.Module):
    """What an ``InputChoice`` becomes in a built model: no parameters, no state.

    >>> ChosenInputs([0, 2], 3, "sum")([torch.tensor(1), torch.tensor(2), torch.tensor(4)])
    tensor(5)
    """

    def __init__(self, indices: Sequence[int], n_candidates: int, reduction: str) -> None:
        super().__init__()
        self.indices = list(indices)
        self.n_candidates = n_candidates
        self.reduction = reduction

    # TorchScript reads what follows: one type of result for each class, nothing but plain loops.
    def select(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """The chosen ones of all inputs."""
        if len(inputs) != self.n_candidates:
            raise ValueError(
                f"an InputChoice of {self.n_candidates} candidates was given {len(inputs)} inputs"
            )
        return [inputs[i] for i in self.indices]

    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        chosen = self.select(inputs)
        if len(chosen) == 1:
            return chosen[0]
        if self.reduction == "concat":
            return torch.cat(chosen, dim=1)
        total = chosen[0]
        for tensor in chosen[1:]:
            total = total + tensor
        return total / len(chosen) if self.reduction == "mean" else total

    def extra_repr(self) -> str:
        return f"{self.indices} of {self.n_candidates}, reduction={self.reduction!r}"


class ChosenList(ChosenInputs):
    """The chosen tensors as a list: an ``InputChoice`` without a reduction."""

    def forward(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # type: ignore[override]
        return self.select(inputs)


def choosing(
    indices: Sequence[int], n_candidates: int, n_chosen: int | None, reduction: str
) -> ChosenInputs:
    """The module of these arguments of an ``InputChoice``, for the indices that were chosen."""
    if n_chosen != 1 and reduction == "none":
        return ChosenList(indices, n_candidates, "none")
    return ChosenInputs(indices, n_candidates, reduction)
