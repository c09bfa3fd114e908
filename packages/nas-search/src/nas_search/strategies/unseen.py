"""Architectures that were not proposed before: the memory that keeps strategies from repeating
themselves."""

import random
from collections.abc import Iterator

from nas_core import Architecture, Space
from nas_core.errors import ExhaustedSpaceError

ATTEMPTS = 100


class Unseen:
    """Remembers what was proposed and draws what was not.

    Drawing tries random samples first. When ``ATTEMPTS`` of them in a row are known the space is
    nearly exhausted, and the rest comes in the order of ``space.enumerate()``: that finds the last
    architecture of any space, and costs no more steps in all than were proposed.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._seen: set[str] = set()  # digests: there may be very many
        self._rest: Iterator[Architecture] | None = None

    def __contains__(self, architecture: object) -> bool:
        return isinstance(architecture, Architecture) and architecture.digest not in self._seen

    def add(self, architecture: Architecture) -> None:
        """Remember an architecture as proposed."""
        self._seen.add(architecture.digest)

    def draw(self, rng: random.Random) -> Architecture | None:
        """Give an architecture that was not proposed yet; ``None`` when there is none left."""
        if self._rest is None:
            for _ in range(ATTEMPTS):
                try:
                    sampled = self._space.sample(rng=rng)
                except (
                    ExhaustedSpaceError
                ):  # constraints reject nearly everything: look at all, in order
                    break
                if sampled in self:
                    return sampled
            self._rest = self._space.enumerate()
        return next((rest for rest in self._rest if rest in self), None)
