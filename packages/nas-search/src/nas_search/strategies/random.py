"""Random search: the baseline that every other strategy has to beat."""

import random
from collections.abc import Sequence

from nas_core import Architecture, Space
from nas_core.protocols import Direction

from nas_search.strategies.protocol import Outcome
from nas_search.strategies.unseen import Unseen


class RandomSearch:
    """Samples the space without ever repeating an architecture, until none is left.

    Each choice is drawn uniformly, in the order of the space, among its options.

    >>> RandomSearch(seed=3)
    RandomSearch(seed=3)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __repr__(self) -> str:
        return f"RandomSearch(seed={self.seed})"

    def start(self, space: Space, directions: Sequence[Direction]) -> None:
        """Begin on a space, with the generator as the seed makes it."""
        self._rng = random.Random(self.seed)
        self._unseen = Unseen(space)

    def propose(self, n: int) -> Sequence[Architecture]:
        """Give up to ``n`` architectures that were not given before."""
        proposals: list[Architecture] = []
        while len(proposals) < n and (drawn := self._unseen.draw(self._rng)) is not None:
            self._unseen.add(drawn)
            proposals.append(drawn)
        return proposals

    def tell(self, architecture: Architecture, outcome: Outcome) -> None:
        """Remember the architecture, so that it is not proposed; outcomes change nothing."""
        self._unseen.add(architecture)
