"""Grid search: every architecture of the space, once, in a fixed order."""

from collections.abc import Sequence
from itertools import islice

from nas_core import Architecture, Space
from nas_core.protocols import Direction

from nas_search.strategies.protocol import Outcome


class GridSearch:
    """Goes through the whole space in the order of ``space.enumerate()``.

    >>> GridSearch()
    GridSearch()
    """

    def __repr__(self) -> str:
        return "GridSearch()"

    def start(self, space: Space, directions: Sequence[Direction]) -> None:
        """Begin at the first architecture of a space."""
        self._rest = iter(space.enumerate())

    def propose(self, n: int) -> Sequence[Architecture]:
        """Give the next ``n`` architectures, fewer at the end of the space."""
        return list(islice(self._rest, n))

    def tell(self, architecture: Architecture, outcome: Outcome) -> None:
        """Outcomes change nothing: the order of the grid is fixed."""
