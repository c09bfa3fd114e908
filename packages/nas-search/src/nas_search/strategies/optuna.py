"""Any Optuna sampler as a strategy: each active label is one categorical parameter."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

from nas_core import Architecture, Space
from nas_core.architecture import Value
from nas_core.choice import Choice
from nas_core.failure import Failed, attempt, failure_text
from nas_core.protocols import Direction

from nas_search.errors import MissingExtraError, unknown_option
from nas_search.strategies.encoding import parameters, suggest
from nas_search.strategies.protocol import (
    Outcome,
    StrategyError,
)
from nas_search.strategies.unseen import Unseen

if TYPE_CHECKING:
    import optuna

REPEATS = 10
SamplerFactory = Callable[[int], "optuna.samplers.BaseSampler"]


class OptunaStrategy:
    """Drives an Optuna sampler through a conditional space.

    ``sampler`` makes the sampler from a seed, so that starting again restores it. Samplers repeat
    themselves: a repeated architecture is taken back and asked for again; after ``REPEATS`` times
    in a row an unseen one is drawn at random and given to the sampler as a fixed trial, so that no
    architecture is proposed twice and every space comes to its end.

    >>> def quasi_random(seed):
    ...     import optuna
    ...     return optuna.samplers.QMCSampler(seed=seed)
    >>> OptunaStrategy(quasi_random, seed=4).seed
    4

    Raises:
        StrategyError: it is a sampler or the class of one, and no function that makes one.
    """

    def __init__(self, sampler: SamplerFactory, seed: int = 0) -> None:
        # The first argument of most samplers is not the seed.
        if isinstance(sampler, type) or not callable(sampler):
            kind = sampler if isinstance(sampler, type) else type(sampler)
            raise StrategyError(
                "OptunaStrategy takes a function that makes a sampler from a seed, such as "
                f"lambda seed: {kind.__name__}(seed=seed), not {sampler!r}"
            )
        self.sampler = sampler
        self.seed = seed

    def __repr__(self) -> str:
        return f"OptunaStrategy({self.sampler!r}, seed={self.seed})"

    def start(self, space: Space, directions: Sequence[Direction]) -> None:
        """Begin on a space with a new study in memory: the search stores the trials."""
        with quiet_optuna() as module:
            self._space = space
            self._unseen = Unseen(space)
            self._rng = Random(self.seed)
            self._pending: dict[Architecture, list[optuna.Trial]] = defaultdict(list)
            self._study = module.create_study(
                directions=list(directions), sampler=self.sampler(self.seed % 2**32)
            )

    def propose(self, n: int) -> Sequence[Architecture]:
        """Ask the sampler for up to ``n`` architectures that were not proposed before."""
        proposals: list[Architecture] = []
        with quiet_optuna():
            while len(proposals) < n and (proposal := self._next()) is not None:
                self._unseen.add(proposal)
                proposals.append(proposal)
        return proposals

    def tell(self, architecture: Architecture, outcome: Outcome) -> None:
        """Tell the sampler the objectives; a failed trial is told as failed.

        A pruned one is told as pruned, with its reports; where there are several objectives Optuna
        keeps no reports.
        """
        self._unseen.add(architecture)
        if trials := self._pending.get(architecture):
            # The last one: a duplicate is told at once, while the first may still be running.
            trial = trials.pop()
            if outcome.status == "pruned":
                self._prune(trial, outcome.reports)
            else:
                self._finish(trial, outcome.values if outcome.status != "failed" else None)

    def _next(self) -> Architecture | None:
        for _ in range(REPEATS):
            trial = self._study.ask()
            architecture = self._read(trial)
            if architecture is not None and architecture in self._unseen:
                self._pending[architecture].append(trial)
                return architecture
            self._finish(trial, None)
        return self._fixed(self._unseen.draw(self._rng))

    def _read(self, trial: "optuna.Trial") -> Architecture | None:
        """Ask for every active choice; None when the constraints of the space refuse it all."""
        architecture = self._space.trace(partial(suggest, trial))
        return architecture if self._space.allows(architecture) else None

    def _fixed(self, architecture: Architecture | None) -> Architecture | None:
        if architecture is None:
            return None
        fixed: dict[str, str] = {}

        def decide(choice: Choice) -> Value:
            fixed.update(parameters(choice, architecture[choice.label]))
            return architecture[choice.label]

        self._space.trace(decide)
        self._study.enqueue_trial(fixed)
        trial = self._study.ask()
        self._read(trial)
        self._pending[architecture].append(trial)
        return architecture

    def _prune(self, trial: "optuna.Trial", reports: Mapping[int, tuple[float, ...]]) -> None:
        with quiet_optuna() as module:
            if len(self._study.directions) == 1:
                for step, (value,) in reports.items():
                    if step >= 0:  # Optuna knows no others
                        trial.report(value, step)
            self._study.tell(trial, state=module.trial.TrialState.PRUNED)

    def _finish(self, trial: "optuna.Trial", values: Sequence[float] | None) -> None:
        with quiet_optuna() as module:
            states = module.trial.TrialState
            self._study.tell(
                trial, values, state=states.FAIL if values is None else states.COMPLETE
            )


@dataclass(frozen=True)
class NamedSampler:
    """Makes one of Optuna's own samplers from a seed: a factory that can be shown and pickled."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, seed: int) -> "optuna.samplers.BaseSampler":
        """Make the sampler."""
        with quiet_optuna() as module:
            sampler: optuna.samplers.BaseSampler = getattr(module.samplers, self.name)(
                seed=seed, **self.options
            )
            return sampler

    def check(self, strategy: str) -> "NamedSampler":
        """Return itself if the installed Optuna takes all options, else raise ``StrategyError``."""
        with quiet_optuna() as module:
            known = [*inspect.signature(getattr(module.samplers, self.name)).parameters]
        for option in self.options:
            if option not in known:
                raise StrategyError(unknown_option(f"strategy {strategy!r}", option, known))
        with catch_warnings(action="ignore"):  # they come when the search makes it
            tried = attempt(self._try_out)
        if isinstance(tried, Failed):
            raise StrategyError(
                f"strategy {strategy!r} does not take {dict(self.options)}: "
                f"{failure_text(tried.error)}"
            ) from tried.error
        return self

    def _try_out(self) -> None:
        """Make the sampler and ask it once: the wrong type of a number shows only then."""
        with quiet_optuna() as module:
            study = module.create_study(sampler=self(0))
            study.ask().suggest_categorical("choice", ["a", "b"])

    def __repr__(self) -> str:
        return (
            f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"
        )


def tpe(seed: int = 0, **options: Any) -> OptunaStrategy:
    """Make a Tree-structured Parzen Estimator.

    The options are those of ``optuna.samplers.TPESampler``. Trials that still run count as
    bad ones (``constant_liar``) unless the options say otherwise.

    >>> tpe(seed=1, n_startup_trials=5)
    OptunaStrategy(TPESampler(constant_liar=True, n_startup_trials=5), seed=1)
    """
    sampler = NamedSampler("TPESampler", {"constant_liar": True, **options})
    return OptunaStrategy(sampler.check("tpe"), seed)


def nsga2(seed: int = 0, **options: Any) -> OptunaStrategy:
    """Make NSGA-II, for several objectives.

    The options are those of ``optuna.samplers.NSGAIISampler``.

    >>> nsga2(seed=1, population_size=20)
    OptunaStrategy(NSGAIISampler(population_size=20), seed=1)
    """
    return OptunaStrategy(NamedSampler("NSGAIISampler", options).check("nsga2"), seed)


@contextmanager
def quiet_optuna(what: str = "the strategy", extra: str = "optuna") -> Iterator[Any]:
    """Give Optuna, quiet: its log of studies and failed trials is not the user's concern.

    Raises:
        MissingExtraError: it is not installed; the message says for what it is needed.
    """
    try:
        import optuna  # an optional dependency
    except ImportError as error:
        raise MissingExtraError(what, extra) from error
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(level)
