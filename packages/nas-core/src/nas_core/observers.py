"""Tell the plugins that observe experiments, each on its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pluggy

from nas_core import hookspecs
from nas_core.errors import nearest
from nas_core.failure import Failed, attempt, failure_text

__all__ = ["Observers", "hook_names"]

_PREFIX = f"{hookspecs.PROJECT}_"


def hook_names() -> Iterator[str]:
    """The names of all hooks, in the order of ``hookspecs``.

    >>> next(hook_names())
    'nas_engines'
    """
    return (name for name in vars(hookspecs) if name.startswith(_PREFIX))


@dataclass(frozen=True)
class Observers:
    """Calls a hook in every plugin that has it: ``observers.nas_trial_started(experiment=...)``.

    A plugin that raises is named in a warning and keeps neither the others nor the experiment
    from going on.

    Attributes:
        managers: how to name a plugin in a message → its hooks.

    >>> Observers(()).nas_experiment_finished(experiment="digits", reason="all trials are done")
    """

    managers: tuple[tuple[str, pluggy.PluginManager], ...]

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith(_PREFIX):
            raise AttributeError(name)
        if name not in (known := tuple(hook_names())):
            raise AttributeError(f"no hook is called {name!r}{nearest(name, known)}")

        def call(**arguments: object) -> None:
            for plugin, manager in self.managers:
                _call(plugin, manager, name, arguments)

        return call


def _call(
    plugin: str, manager: pluggy.PluginManager, name: str, arguments: dict[str, object]
) -> None:
    outcome = attempt(partial(getattr(manager.hook, name), **arguments))
    if isinstance(outcome, Failed):
        message = f"{plugin} raised in {name}: {failure_text(outcome.error)}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
