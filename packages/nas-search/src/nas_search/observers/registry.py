"""Observers by name, for configuration files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from nas_core.errors import nearest

from nas_search.config import ConfigError, ExperimentConfig, key_place
from nas_search.errors import unknown_option
from nas_search.observers.mlflow import MLflowObserver
from nas_search.observers.progress import ProgressLines
from nas_search.observers.tensorboard import TensorBoardObserver
from nas_search.target import TargetError, called, load_target

__all__ = ["make_observers", "observer_names"]

OBSERVERS: Mapping[str, Callable[..., object]] = {
    "progress": ProgressLines,
    "tensorboard": TensorBoardObserver,
    "mlflow": MLflowObserver,
}


def observer_names() -> tuple[str, ...]:
    """The names that a configuration may give.

    >>> observer_names()
    ('progress', 'tensorboard', 'mlflow')
    """
    return tuple(OBSERVERS)


def make_observers(config: ExperimentConfig, home: Path) -> list[object]:
    """The observers that a configuration names, for an experiment in the folder ``home``.

    >>> make_observers(ExperimentConfig(observers=["progres"]), Path())
    Traceback (most recent call last):
    nas_search.config.ConfigError: no observer 'progres' (there are: progress, tensorboard, \
mlflow; one of your own is a target, such as "mine.py:Mine"); did you mean 'progress'?

    Raises:
        ConfigError: there is no such observer, or it has no such option.
        TargetError: one that is a target can't be loaded.
        MissingExtraError: what it needs is not installed.
    """
    return [_made(config, name, home) for name in config.observers]


def _made(config: ExperimentConfig, name: str, home: Path) -> object:
    options = config.observer_options.get(name, {})
    if ":" in name:
        try:
            return called(name, load_target(name, config.root), options)
        except TargetError as error:
            place = key_place(config, "observers")
            raise TargetError(error.message, place) from error.__cause__
    if name not in OBSERVERS:
        raise ConfigError(
            f"no observer {name!r} (there are: {', '.join(OBSERVERS)}; one of your own is a "
            f'target, such as "mine.py:Mine"){nearest(name, OBSERVERS)}',
            key_place(config, "observers"),
        )
    factory = OBSERVERS[name]
    known = [option for option in inspect.signature(factory).parameters if option != "home"]
    for option in options:
        if option not in known:
            raise ConfigError(
                unknown_option(f"observer {name!r}", option, known),
                key_place(config, "observer_options", name, option),
            )
    return factory(home=home, **options)
