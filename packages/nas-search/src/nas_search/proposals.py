"""A strategy's proposals, each architecture once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from nas_core import Architecture, Space
from nas_core.errors import InvalidArchitectureError
from nas_core.protocols import Direction

from nas_search.store import Trial
from nas_search.strategies import Outcome, Strategy, StrategyError

__all__ = ["Proposals"]

ATTEMPTS = 200


class Proposals:
    """Asks a strategy one by one, so that what it knows at each proposal is exactly determined.

    Attributes:
        end: why there are no more proposals, in words; empty while there are.
    """

    def __init__(
        self, strategy: Strategy, space: Space, objectives: Mapping[str, Direction]
    ) -> None:
        self.end = ""
        self._strategy = strategy
        self._space = space
        self._objectives = tuple(objectives)
        self._waiting: deque[Architecture] = deque()
        # By digest, and not by architecture: there may be very many.
        self._outcomes: dict[str, Outcome | None] = {}
        strategy.start(space, tuple(objectives.values()))

    def tell(self, trial: Trial) -> None:
        """Pass on what became of a trial."""
        if trial.state == "pruned":
            outcome = Outcome("pruned", trial.intermediate, reports=self._reports(trial))
        elif trial.metrics is None:
            outcome = Outcome("failed")
        else:
            values = tuple(trial.metrics[name] for name in self._objectives)
            outcome = Outcome("completed", trial.metrics, values)
        self._outcomes[trial.architecture.digest] = outcome
        self._strategy.tell(trial.architecture, outcome)

    def _reports(self, trial: Trial) -> dict[int, tuple[float, ...]]:
        """What a trial has reported of all objectives, by step."""
        return {
            report.step: tuple(report.metrics[name] for name in self._objectives)
            for report in trial.reports
            if all(report.metrics.get(name) is not None for name in self._objectives)
        }

    def next(self) -> Architecture | None:
        """An architecture that was not proposed before, or ``None`` if there is none.

        Raises:
            StrategyError: what it proposed is no list of architectures of the space.
        """
        for _ in range(ATTEMPTS):
            if not self._waiting:
                self._waiting.extend(self._proposed())
            if not self._waiting:
                self.end = "the space is exhausted: the strategy has no further architecture"
                return None
            architecture = self._valid(self._waiting.popleft())
            if architecture.digest not in self._outcomes:
                self._outcomes[architecture.digest] = None
                return architecture
            self._strategy.tell(architecture, self._again(architecture))
        self.end = (
            f"the strategy proposed nothing but known architectures {ATTEMPTS} times in a row: "
            "the space is exhausted, or the strategy has settled"
        )
        return None

    def _proposed(self) -> Sequence[Architecture]:
        found: object = self._strategy.propose(1)
        if isinstance(found, Iterable) and not isinstance(found, Mapping):
            proposed = list(found)
            if all(isinstance(each, Mapping) for each in proposed):
                return proposed
        raise StrategyError(
            f"propose of {self._name} must give a list of architectures, not {found!r:.200}"
        )

    def _valid(self, proposed: Architecture) -> Architecture:
        try:
            return self._space.validate(proposed)
        except InvalidArchitectureError as error:
            raise StrategyError(f"{self._name} proposed what is {error}") from error

    @property
    def _name(self) -> str:
        return f"the strategy ({type(self._strategy).__name__})"

    def _again(self, architecture: Architecture) -> Outcome:
        first = self._outcomes[architecture.digest]
        return Outcome("duplicate", first.metrics, first.values) if first else Outcome("duplicate")
