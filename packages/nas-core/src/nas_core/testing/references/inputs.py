"""Choices among tensors, under each reduction."""

# Calling a torch module gives Any; TorchScript wants forward annotated all the same.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch

import nas_core as nas
import nas_core.nn as nn
from nas_core.testing.references.reference import Reference, rows

__all__ = ["INPUTS"]


@nas.model_wrapper
class InputsSpace(nn.Module):
    """Three tensors, of which some are chosen and added, averaged, joined, or kept apart."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.one = nn.InputChoice(3, n_chosen=1, label="one")
        self.some = nn.InputChoice(3, n_chosen=None, reduction="mean", label="some")
        self.two = nn.InputChoice(3, n_chosen=2, reduction="sum", label="two")
        self.joined = nn.InputChoice(3, n_chosen=2, reduction="concat", label="two")
        self.apart = nn.InputChoice(3, n_chosen=2, reduction="none", label="two")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        a = self.a(x)
        b = self.b(a)
        first, second = self.apart([x, a, b])
        return (
            self.one([x, a, b]) + self.some([x, a, b]),
            self.two([x, a, b]) * first - second,
            self.joined([x, a, b]),
        )


class Inputs(torch.nn.Module):
    def __init__(self, one: list[int], some: list[int], two: list[int]) -> None:
        super().__init__()
        self.a = torch.nn.Linear(4, 4)
        self.b = torch.nn.Linear(4, 4)
        self.chosen = one, some, two

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        a = self.a(x)
        b = self.b(a)
        given = [x, a, b]
        one, some, two = ([given[i] for i in indices] for indices in self.chosen)
        average = torch.stack(some).sum(0) / len(some)
        return one[0] + average, (two[0] + two[1]) * two[0] - two[1], torch.cat(two, dim=1)


INPUTS = (Reference("InputChoice", InputsSpace, lambda a: Inputs(**a), rows),)
