"""What a strategy is: the words it speaks with the search loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from nas_core import Architecture, Space
from nas_core.protocols import Direction

from nas_search.errors import PlacedError

Status = Literal["completed", "failed", "pruned", "duplicate"]


class StrategyError(PlacedError):
    """A strategy was asked for under an unknown name, or with options that it does not have."""


@dataclass(frozen=True)
class Outcome:
    """What became of one proposed architecture.

    ``values`` are the objectives in the order of the directions given to ``Strategy.start``;
    ``None`` when there are none: the trial failed or was pruned, or it is a duplicate of one whose
    result is not known yet. ``reports`` has what a pruned one has reported of the objectives, by
    step: measured after less training, it is no result.

    >>> Outcome("completed", {"accuracy": 0.9}, (0.9,)).values
    (0.9,)
    """

    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    values: tuple[float, ...] | None = None
    reports: Mapping[int, tuple[float, ...]] = field(default_factory=dict)


@runtime_checkable
class Strategy(Protocol):
    """Proposes architectures and is told their outcomes.

    Everything a strategy does follows from its arguments and from the sequence of calls, so that
    calling ``start`` and repeating the stored calls restores it. It draws random numbers from its
    own generator, seeded by ``start``, and proposing two at once is the same as proposing one
    twice.

    The complete shape of one, here a strategy that only ever proposes the default architecture:

    >>> class Default:
    ...     def start(self, space, directions):
    ...         self.left = [space.default()]
    ...     def propose(self, n):
    ...         batch, self.left = self.left[:n], self.left[n:]
    ...         return batch
    ...     def tell(self, architecture, outcome):
    ...         pass
    >>> isinstance(Default(), Strategy)
    True
    """

    def start(self, space: Space, directions: Sequence[Direction]) -> None:
        """Begin (again) on a space, with one direction per objective, the main one first."""

    def propose(self, n: int) -> Sequence[Architecture]:
        """Give up to ``n`` architectures to try; fewer, or none, mean that there are no more."""

    def tell(self, architecture: Architecture, outcome: Outcome) -> None:
        """Learn what became of an architecture."""


def require_between(strategy: str, option: str, value: object, low: float, high: float) -> None:
    """Refuse an option outside its range, naming the strategy, the option and the range.

    >>> require_between("mine", "p", 3.0, 0, 1)
    Traceback (most recent call last):
    nas_search.strategies.protocol.StrategyError: mine: p must be a number between 0 and 1, not 3.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise StrategyError(
            f"{strategy}: {option} must be a number between {low} and {high}, not {value!r}"
        )


def require_count(strategy: str, option: str, value: object, at_least: int = 1) -> None:
    """Refuse an option that is no whole number of at least ``at_least``.

    >>> require_count("mine", "size", 0)
    Traceback (most recent call last):
    nas_search.strategies.protocol.StrategyError: mine: size must be a whole number >= 1, not 0
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise StrategyError(
            f"{strategy}: {option} must be a whole number >= {at_least}, not {value!r}"
        )


def require_seed(strategy: str, seed: object) -> None:
    """Refuse a seed that is no whole number: another type would be taken, and mean something else.

    >>> require_seed("mine", "7")
    Traceback (most recent call last):
    nas_search.strategies.protocol.StrategyError: mine: seed must be a whole number, not '7'
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise StrategyError(f"{strategy}: seed must be a whole number, not {seed!r}")
