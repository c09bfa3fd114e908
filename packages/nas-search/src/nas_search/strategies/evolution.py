"""Regularized evolution: the good have children, the old die whether they are good or not."""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nas_core import Architecture, Space
from nas_core.errors import ExhaustedSpaceError
from nas_core.protocols import Direction

from nas_search.strategies.protocol import Outcome, require_between, require_count
from nas_search.strategies.unseen import Unseen

WALK = 50


@dataclass(frozen=True)
class Individual:
    """An architecture with its objectives, turned so that more is better."""

    architecture: Architecture
    fitness: tuple[float, ...]

    def dominates(self, other: "Individual") -> bool:
        """Say whether this one is at least as good in every objective, and better in one."""
        pairs = list(zip(self.fitness, other.fitness, strict=True))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


class RegularizedEvolution:
    """Aging evolution, after Real et al. 2019.

    "Regularized Evolution for Image Classifier Architecture Search", arXiv:1802.01548.

    The first ``population_size`` proposals are random. After that, ``sample_size`` individuals are
    drawn from the population, the best of them becomes the parent, and its child differs from it in
    one decision of the space's tree. Children join at the young end of the population, and the
    oldest individual leaves.

    With ``crossover_probability`` above 0, a child may instead inherit each decision from one of
    two parents. With several objectives the parent is drawn from the individuals of the sample that
    no other dominates. A child that was proposed before is mutated on, so that no architecture is
    proposed twice.

    Only what completed joins the population. The last value of a pruned trial is from less training
    than that of the others, and would not be compared fairly, for or against it.

    >>> RegularizedEvolution(population_size=10, sample_size=3, seed=1)
    RegularizedEvolution(population_size=10, sample_size=3, crossover_probability=0.0, seed=1)
    """

    def __init__(
        self,
        population_size: int = 20,
        sample_size: int = 5,
        crossover_probability: float = 0.0,
        seed: int = 0,
    ) -> None:
        name = "regularized_evolution"
        require_count(name, "population_size", population_size)
        require_count(name, "sample_size", sample_size)
        require_between(name, "crossover_probability", crossover_probability, 0, 1)
        self.population_size = population_size
        self.sample_size = sample_size
        self.crossover_probability = crossover_probability
        self.seed = seed

    def __repr__(self) -> str:
        options = ("population_size", "sample_size", "crossover_probability", "seed")
        shown = ", ".join(f"{name}={getattr(self, name)}" for name in options)
        return f"RegularizedEvolution({shown})"

    def start(self, space: Space, directions: Sequence[Direction]) -> None:
        """Begin on a space with an empty population."""
        self._space = space
        self._signs = tuple(1.0 if direction == "maximize" else -1.0 for direction in directions)
        self._rng = random.Random(self.seed)
        self._unseen = Unseen(space)
        self._population: deque[Individual] = deque(maxlen=self.population_size)
        self._founders = 0

    def propose(self, n: int) -> Sequence[Architecture]:
        """Give up to ``n`` architectures: random ones first, then children of the population."""
        proposals: list[Architecture] = []
        while len(proposals) < n and (proposal := self._next()) is not None:
            self._unseen.add(proposal)
            proposals.append(proposal)
        return proposals

    def tell(self, architecture: Architecture, outcome: Outcome) -> None:
        """Let an architecture that completed join the population; no other has children."""
        self._unseen.add(architecture)
        if outcome.status == "completed" and outcome.values is not None:
            fitness = tuple(s * v for s, v in zip(self._signs, outcome.values, strict=True))
            self._population.append(Individual(architecture, fitness))

    def _next(self) -> Architecture | None:
        if self._founders < self.population_size or not self._population:
            self._founders += 1
            return self._unseen.draw(self._rng)
        return self._child() or self._unseen.draw(self._rng)

    def _child(self) -> Architecture | None:
        child = self._parent().architecture
        try:
            if self.crossover_probability and self._rng.random() < self.crossover_probability:
                child = self._space.crossover(child, self._parent().architecture, self._rng)
            for _ in range(WALK):
                if child in self._unseen:
                    return child
                child = self._space.mutate(child, self._rng)
        except ExhaustedSpaceError:  # constraints leave no way on from here
            return None
        return None

    def _parent(self) -> Individual:
        size = min(self.sample_size, len(self._population))
        sample = self._rng.sample(list(self._population), size)
        best = [one for one in sample if not any(other.dominates(one) for other in sample)]
        return best[0] if len(self._signs) == 1 else self._rng.choice(best)
