"""All hooks of the system: what a plugin may implement.

A plugin is a module (or any object) that an installed distribution names as an entry point of the
group ``nas``::

    [project.entry-points.nas]
    mine = "my_package.plugin"

and that has functions with the names of this module, each decorated with ``nas_core.hookimpl``.
A hook may leave out arguments that it does not need. Plugins are imported to be listed, so
everything heavy, torch too, belongs inside of functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import pluggy

from nas_core.architecture import Architecture
from nas_core.protocols import EngineInfo, Metrics

__all__ = ["FinishedTrial", "hookimpl", "hookspec"]

PROJECT = "nas"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class FinishedTrial(Protocol):
    """What an observer can rely on in the record of a trial.

    Attributes:
        number: which trial it is.
        architecture: what was tried.
        state: ``"completed"``, ``"failed"`` or ``"pruned"``.
        metrics: metric → value; None unless it has completed.
        error: why it failed; None unless it did.
        pruned: at which step it was pruned, and by what; None unless it was.
    """

    @property
    def number(self) -> int: ...
    @property
    def architecture(self) -> Architecture: ...
    @property
    def state(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, float] | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def pruned(self) -> str | None: ...


@hookspec
def nas_engines() -> Iterable[EngineInfo]:  # type: ignore[empty-body]
    """The execution engines that this plugin brings. A generator will do.

    A complete plugin:

    >>> from nas_core import EngineInfo, hookimpl
    >>> def load():
    ...     from my_package.engine import MyEngine
    ...     return MyEngine()
    >>> @hookimpl
    ... def nas_engines():
    ...     yield EngineInfo(
    ...         name="mine",
    ...         summary="what it is good for",
    ...         capabilities=frozenset({"inline", "export-instance"}),
    ...         load=load,
    ...     )
    """


@hookspec
def nas_experiment_started(experiment: str, config: object) -> None:
    """An experiment begins, or goes on after a resume.

    Args:
        experiment: its name.
        config: its configuration.

    A complete plugin:

    >>> from nas_core import hookimpl
    >>> @hookimpl
    ... def nas_experiment_started(experiment):
    ...     print("started", experiment)
    """


@hookspec
def nas_trial_started(experiment: str, number: int, architecture: Architecture) -> None:
    """A trial was handed to a worker.

    Args:
        experiment: the name of its experiment.
        number: that of the trial.
        architecture: what it tries.

    A complete plugin:

    >>> from nas_core import hookimpl
    >>> @hookimpl
    ... def nas_trial_started(number, architecture):
    ...     print(number, dict(architecture))
    """


@hookspec
def nas_trial_reported(experiment: str, number: int, step: int, metrics: Metrics) -> None:
    """A running trial handed over intermediate metrics, about half a second ago at most.

    Every report is told once, those of one trial in the order in which it made them and before
    its end. With ``executor="inline"`` they are told when the trial ends.

    Args:
        experiment: the name of its experiment.
        number: that of the trial.
        step: the epoch, or whatever the evaluator counts.
        metrics: metric → value.

    A complete plugin:

    >>> from nas_core import hookimpl
    >>> @hookimpl
    ... def nas_trial_reported(number, step, metrics):
    ...     print(number, step, metrics)
    """


@hookspec
def nas_job_noted(experiment: str, numbers: Sequence[int], note: str) -> None:
    """A job has ended, and says how it ran: which trials were trained as one, say.

    Args:
        experiment: the name of its experiment.
        numbers: those of its trials.
        note: one line for people.

    A complete plugin:

    >>> from nas_core import hookimpl
    >>> @hookimpl
    ... def nas_job_noted(numbers, note):
    ...     print(numbers, note)
    """


@hookspec
def nas_trial_finished(experiment: str, trial: FinishedTrial) -> None:
    """A trial has completed, has failed or was pruned, and is stored.

    Args:
        experiment: the name of its experiment.
        trial: its record.

    A complete plugin:

    >>> from nas_core import hookimpl
    >>> @hookimpl
    ... def nas_trial_finished(experiment, trial):
    ...     print(experiment, trial.number, trial.metrics or trial.error or trial.pruned)
    """


@hookspec
def nas_trial_learned(experiment: str, trial: FinishedTrial) -> None:
    """The search has read from the store how a trial ended that this run has not run itself.

    It ended in an earlier run, or in another process that explores the same experiment. Observers
    that count, or rank, need it; those that record trials have been told when and where they ran.

    Args:
        experiment: the name of its experiment.
        trial: its record.

    A complete plugin:

    >>> from nas_core import hookimpl
    >>> @hookimpl
    ... def nas_trial_learned(experiment, trial):
    ...     print(experiment, trial.number, "was", trial.state)
    """


@hookspec
def nas_experiment_finished(experiment: str, reason: str) -> None:
    """An experiment has ended; it may be resumed later.

    Args:
        experiment: its name.
        reason: why, in words: the budget is spent, the space exhausted, Ctrl-C, ...

    A complete plugin:

    >>> from nas_core import hookimpl
    >>> @hookimpl
    ... def nas_experiment_finished(experiment, reason):
    ...     print(experiment, "ended:", reason)
    """
