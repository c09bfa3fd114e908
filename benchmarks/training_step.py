"""The same training step of two models that are meant to be the same."""

from collections.abc import Callable

import torch
from side_by_side import Comparison, compare
from torch.nn import functional

__all__ = ["compare_steps", "made_alike"]


def made_alike(
    build: Callable[[], torch.nn.Module], write: Callable[[], torch.nn.Module]
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Make both under one seed and make sure that they are the same model."""
    models = []
    for make in (build, write):
        torch.manual_seed(0)
        models.append(make())
    left, right = (model.state_dict() for model in models)
    if list(left) != list(right) or not all(torch.equal(left[key], right[key]) for key in left):
        raise SystemExit("the built model is not the hand-written one: nothing to compare")
    return models[0], models[1]


def compare_steps(ours: torch.nn.Module, theirs: torch.nn.Module, rounds: int) -> Comparison:
    """Compare one step each with four images of 16 x 16."""
    generator = torch.Generator().manual_seed(0)
    batch = (
        torch.randn(4, 3, 16, 16, generator=generator),
        torch.randint(10, (4,), generator=generator),
    )
    return compare(_stepper(ours, batch), _stepper(theirs, batch), rounds)


def _stepper(
    model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]
) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()

    return step
