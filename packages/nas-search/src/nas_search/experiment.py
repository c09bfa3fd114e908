"""The search: propose, plan, run, tell, export.

Everything that a strategy learns, it learns in the order of the trial numbers, and trial *k* is
proposed when exactly the trials up to *k - lookahead* have been told. So the architectures depend
on neither the number of workers nor their speed. A resume is the same loop over a store that has
some of the answers already, and so is a second run of it elsewhere, on the same database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
from nas_core import Candidate, Evaluator, Space
from nas_core.errors import NasError
from nas_core.plugins import Plugins, load_plugins
from nas_core.protocols import Direction

from nas_search.artifacts import Artifacts
from nas_search.config import ExperimentConfig
from nas_search.executors import Executor
from nas_search.existing import find, require_existing, require_new
from nas_search.export import drawing_as, load_weights, ranked, require_format
from nas_search.inputs import input_path, load_input
from nas_search.located import located
from nas_search.lock import runs
from nas_search.named import load_named
from nas_search.observers import make_observers
from nas_search.observers.notebook import NotebookTable, in_notebook
from nas_search.proposals import Proposals
from nas_search.replay import ReplayError
from nas_search.running import Running, TimeIsUp
from nas_search.session import Setup, objectives_of, session
from nas_search.store import Address, Database, Trial, TrialStore, address_of, is_stored
from nas_search.strategies import Strategy, make_strategy
from nas_search.target import called, load_target
from nas_search.usable import (
    require_evaluator,
    require_executor,
    require_model,
    require_restriction,
    require_strategy,
    seed_of,
)

if TYPE_CHECKING:
    import torch

__all__ = ["Experiment", "ReplayError"]

REQUIRED = ("base_model", "evaluator", "strategy")
OPTIONAL = ("pruner", "space")


def search(config: ExperimentConfig, proposals: Proposals, running: Running) -> str:
    """Explore until the budget, the space or the time ends; say in words which."""
    try:
        for number in range(config.max_trials):
            decisive = number - config.lookahead_or_default
            if decisive >= 0:
                proposals.tell(running.wait_for(decisive))
            architecture = proposals.next()
            if architecture is None:
                running.wait_for_all()
                return f"{proposals.end}, after {_trials(number)}"
            running.start(Candidate(number, architecture, seed_of(config.seed, number)))
        running.wait_for_all()
    except TimeIsUp:
        return f"the time is up: {config.max_seconds:g} s, with {_trials(running.finished)}"
    if running.finished > config.max_trials:
        return f"{running.finished} trials are done, and max_trials is {config.max_trials}"
    return (
        "1 trial is done" if config.max_trials == 1 else f"all {config.max_trials} trials are done"
    )


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


class Experiment:
    """Explores a model space and keeps what it finds in a folder.

    Args:
        base_model: the model with its choices open.
        evaluator: trains and measures a model; its attributes may be choices, too.
        strategy: proposes architectures.
        config: everything else.
        observers: objects with methods of ``nas_core.hookspecs`` that are to be told of trials.
        executor: runs the jobs instead of the one that ``config.executor`` names.
        pruner: an object of a class of ``optuna.pruners``, instead of the one that
            ``config.pruner`` names.
        space: a restriction of ``Space.of(base_model, evaluator)``, by its ``constrain``.
        plugins: the installed engines and observers; by default all that are installed.

    >>> import tempfile
    >>> import nas_core as nas
    >>> import nas_core.nn as nn
    >>> from nas_search.evaluators import FunctionEvaluator
    >>> from nas_search.strategies import GridSearch
    >>> @nas.model_wrapper
    ... class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(4, nn.ValueChoice([2, 3], label="width"))
    >>> size = FunctionEvaluator(lambda model: sum(p.numel() for p in model.parameters()))
    >>> config = ExperimentConfig(directory=tempfile.mkdtemp(), executor="inline")
    >>> experiment = Experiment(Net(), size, GridSearch(), config)
    >>> experiment.run()
    'the space is exhausted: the strategy has no further architecture, after 2 trials'
    >>> experiment.export_top_models(top_k=1)
    [{'width': 3}]
    """

    def __init__(
        self,
        base_model: torch.nn.Module | None,
        evaluator: Evaluator | None,
        strategy: Strategy | None,
        config: ExperimentConfig | None = None,
        *,
        observers: Sequence[object] = (),
        executor: Executor | None = None,
        pruner: object | None = None,
        space: Space | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        self.config = config or ExperimentConfig()
        self.folder = self.config.folder
        self.observers = tuple(observers)
        self._given = {
            "base_model": base_model,
            "evaluator": evaluator,
            "strategy": strategy,
            "pruner": pruner,
            "space": space,
        }
        self._executor = executor
        self._plugins = plugins

    @classmethod
    def from_config(cls, config: ExperimentConfig, **options: Any) -> Self:
        """Load the model, the evaluator and the strategy that a configuration names.

        Raises:
            TargetError: one of them can't be loaded.
            StrategyError: there is no such strategy, or it has no such option.
        """
        experiment = cls(None, None, None, config, **options)
        experiment.load()
        return experiment

    @classmethod
    def open(
        cls,
        folder: str | Path,
        base_model: torch.nn.Module | None = None,
        evaluator: Evaluator | None = None,
        strategy: Strategy | None = None,
        **options: Any,
    ) -> Self:
        """An experiment by its folder, to look at or to resume, also while it runs elsewhere.

        What is not given is loaded from the folder when it is needed. That unpickles it: open
        only folders that you trust.

        Raises:
            StoreError: there is no experiment, or it can't be read.
        """
        folder = Path(folder)
        with TrialStore.open(find(folder), read_only=True) as store:
            config = msgspec.json.decode(store.facts()["config"], type=ExperimentConfig)
        opened = cls(base_model, evaluator, strategy, config, **options)
        opened.folder = folder
        return opened

    def run(self) -> str:
        """Explore, and say in words why it ended. Ctrl-C stops it; ``resume`` goes on.

        With a database as the store, an experiment that runs elsewhere is joined: both explore it.

        Raises:
            StoreError: the experiment exists already, or can't be stored.
            NasError: something else is wrong with what was given; nothing has been started.
        """
        self.load()
        require_new(self.folder, self.address, self.config.file)
        return self._run()

    def resume(self) -> str:
        """Go on where a run has ended, however it did; finished trials are not run again.

        Raises:
            StoreError: there is nothing to resume, it still runs, or it was another experiment.
        """
        require_existing(self.folder, self.address)
        self.load()
        return self._run()

    def _run(self) -> str:
        setup = Setup(
            config=self.config,
            folder=self.folder,
            address=self.address,
            artifacts=self.artifacts,
            base_model=self.base_model,
            evaluator=self.evaluator,
            strategy=self._input("strategy"),
            space=self.space,
            plugins=self._plugins or load_plugins(),
            observers=self._observers(),
            executor=self._executor,
            given_pruner=self._input("pruner"),
            given_space=self._given["space"],
        )
        with session(setup) as (running, ended):
            objectives = objectives_of(self.config, setup.evaluator)
            ended.reason = search(
                self.config, Proposals(setup.strategy, setup.space, objectives), running
            )
        return ended.reason

    def _observers(self) -> list[object]:
        """Those that were given, those that the configuration names, and that of notebooks."""
        table = [NotebookTable(self)] if in_notebook() else []
        return [*self.observers, *make_observers(self.config, self.folder), *table]

    @property
    def address(self) -> Address:
        """Where its trials are: a file in its folder, or a database."""
        return address_of(self.folder, self.config.store, self.config.name)

    @property
    def artifacts(self) -> Artifacts:
        """Where its weights are."""
        if self.config.artifacts is None:
            return Artifacts(self.folder.absolute())
        return Artifacts(self.config.artifacts).below(self.config.name)

    @property
    def base_model(self) -> Any:
        """The model with its choices open."""
        return self._input("base_model")

    @property
    def evaluator(self) -> Any:
        """What trains and measures the models."""
        return self._input("evaluator")

    @property
    def space(self) -> Space:
        """What is explored."""
        given: Space | None = self._input("space")
        return given or Space.of(self.base_model, self.evaluator)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials by number, also those that run."""
        if not is_stored(self.address):
            return ()
        with TrialStore.open(self.address, read_only=True) as store:
            return store.trials()

    @property
    def is_running(self) -> bool:
        """Whether a process runs it now; trials that run in none were interrupted by its end."""
        address = self.address
        if not isinstance(address, Database):
            return runs(self.folder)
        with TrialStore.open(address, read_only=True) as store:
            return store.is_running

    @property
    def objectives(self) -> Mapping[str, Direction]:
        """Metric → direction, the main one first."""
        if is_stored(self.address):
            with TrialStore.open(self.address, read_only=True) as store:
                return msgspec.json.decode(store.facts()["objectives"], type=dict[str, Direction])
        return objectives_of(self.config, self.evaluator)

    def top_trials(self, k: int = 1) -> list[Trial]:
        """The best completed trials; with several objectives the Pareto front comes first."""
        return ranked(self.trials, self.objectives)[:k]

    def export_top_models(self, top_k: int = 1, formatter: str = "dict") -> list[Any]:
        """The best models, also while the experiment runs.

        Args:
            top_k: how many; fewer if fewer trials have completed.
            formatter: ``"dict"`` for label → value, ``"instance"`` for modules with their trained
                weights, ``"code"`` for source, from engines that can write it.

        Raises:
            UnsupportedFormatError: not a format of this engine.
            StoreError: the weights are not there.
        """
        return self.export_models(self.top_trials(top_k), formatter)

    def export_models(self, trials: Sequence[Trial], formatter: str = "dict") -> list[Any]:
        """The models of completed trials of this experiment, as ``export_top_models`` does.

        Raises:
            UnsupportedFormatError: not a format of this engine.
            StoreError: the weights are not there, since a trial has not completed, or otherwise.
        """
        require_format(formatter)
        if formatter == "dict":
            return [dict(trial.architecture) for trial in trials]
        plugins = self._plugins or load_plugins()
        engine = plugins.engine(self.config.execution_engine)
        space = Space.of(self.base_model)  # Without the choices of the evaluator.
        exported = []
        for trial in trials:
            architecture = space.part_of(trial.architecture)
            with drawing_as(trial):
                model: Any = engine.export(self.base_model, architecture, formatter)
            if formatter == "instance":
                load_weights(model, self.artifacts, trial, self.config.save_weights == "all")
            exported.append(model)
        return exported

    def load(self) -> None:
        """Load what was named and not given, and look whether all that is given will do."""
        for name in REQUIRED:
            self._input(name)
        require_model(self.base_model)
        require_evaluator(self.evaluator)
        require_strategy(self._given["strategy"])
        if self._executor is not None:
            require_executor(self._executor)
        if self._given["space"] is not None:
            require_restriction(self._given["space"], Space.of(self.base_model, self.evaluator))

    def _input(self, name: str) -> Any:
        if self._given[name] is None:
            self._given[name] = self._loaded(name)
        return self._given[name]

    def _loaded(self, name: str) -> Any:
        config = self.config
        key = "model" if name == "base_model" else name
        if name in ("base_model", "evaluator") and getattr(config, key) is not None:
            return load_named(config, key)
        stored = is_stored(self.address)
        if name == "strategy" and (not stored or config.model is not None):
            return _strategy(config)
        if name in OPTIONAL and not input_path(self.folder, name).exists():
            return None
        if not stored:
            example = f'{key} = "module:attribute"'
            raise MissingInputError(
                f"{config.file}: no {key} is named, as in {example}"
                if config.file
                else f"no {name} is given: pass it to Experiment(...), or name it in the "
                f"configuration as {example}"
            )
        return load_input(self.folder, name)


class MissingInputError(NasError, TypeError):
    """An experiment is asked to run without a model or an evaluator."""


def _strategy(config: ExperimentConfig) -> Strategy:
    name, options = config.strategy.name, config.strategy.options
    with located(config):
        if ":" not in name:
            return make_strategy(name, options, seed=config.seed)
        strategy: Strategy = called(name, load_target(name, config.root), options)
        require_strategy(strategy)
        return strategy
