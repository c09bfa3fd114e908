"""From one architecture to others nearby: the moves of evolution and local search."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nas_core.architecture import Architecture, Value
from nas_core.choice import Choice
from nas_core.errors import ExhaustedSpaceError, InvalidArchitectureError

if TYPE_CHECKING:
    from nas_core.space.space import Space

__all__ = ["crossover", "mutate", "neighbours", "prefer"]

_ATTEMPTS = 10_000


def mutate(space: Space, architecture: Architecture, rng: random.Random) -> Architecture:
    """Draw one decision anew, and those that it newly activates."""
    movable = [c for c in _active(space, architecture).values() if c.domain.size > 1]
    for _ in range(_ATTEMPTS if movable else 0):
        changed = rng.choice(movable)
        value = changed.domain.sample_other(architecture[changed.label], rng)
        moved = space.trace(prefer([{**architecture, changed.label: value}], rng))
        if moved != architecture and space.allows(moved):
            return moved
    raise ExhaustedSpaceError(f"{architecture!r} has no neighbour in this space")


def neighbours(space: Space, architecture: Architecture) -> Iterator[Architecture]:
    """Change each decision to each other option, newly active ones at their default."""
    seen = {architecture}
    for choice in _active(space, architecture).values():
        for option in choice.domain.options():
            moved = space.trace(prefer([{**architecture, choice.label: option}]))
            if moved not in seen and space.allows(moved):
                seen.add(moved)
                yield moved


def crossover(space: Space, a: Architecture, b: Architecture, rng: random.Random) -> Architecture:
    """Take each decision from one of the parents, or anew where neither has made it."""
    for _ in range(_ATTEMPTS):
        child = space.trace(_mixed(a, b, rng))
        if space.allows(child):
            return child
    raise ExhaustedSpaceError(f"no child of {a!r} and {b!r} satisfies the constraints")


def prefer(
    parents: Sequence[Mapping[str, Value]], rng: random.Random | None = None
) -> Callable[[Choice], Value]:
    """Decide as the first of the parents that can; otherwise at random, or by the default."""

    def decide(choice: Choice) -> Value:
        for parent in parents:
            if choice.label in parent and choice.domain.contains(parent[choice.label]):
                return choice.domain.find(parent[choice.label])
        return choice.domain.default if rng is None else choice.domain.sample(rng)

    return decide


def _mixed(a: Architecture, b: Architecture, rng: random.Random) -> Callable[[Choice], Value]:
    def decide(choice: Choice) -> Value:
        return prefer(rng.sample([a, b], 2), rng)(choice)

    return decide


def _active(space: Space, architecture: Architecture) -> dict[str, Choice]:
    active: dict[str, Choice] = {}

    def decide(choice: Choice) -> Value:
        active[choice.label] = choice
        if choice.label not in architecture:
            raise InvalidArchitectureError([f"no value for {choice.label!r} ({choice})"])
        return architecture[choice.label]

    space.trace(decide)
    return active
