"""The objects of an experiment beside its store, for workers, and for going on in a new process."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from functools import partial
from inspect import Signature, isroutine, signature
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from nas_core.errors import NasError
from nas_core.failure import Failed, attempt, failure_text

from nas_search.config import ConfigError
from nas_search.store import StoreError
from nas_search.strategies import Strategy, StrategyError

__all__ = ["PicklingError", "input_path", "load_input", "require_usable", "save_input"]


class PicklingError(NasError, TypeError):
    """An object can't be sent to worker processes."""


def require_usable(
    base_model: object, evaluator: object, strategy: object, executor: object | None = None
) -> None:
    """Refuse what can't be the model, evaluator, strategy or executor of any experiment.

    Raises:
        ConfigError: the model is no module, the evaluator does not evaluate, or the executor lacks
            a method of ``Executor``.
        StrategyError: the strategy lacks a method of ``Strategy``.
    """
    import torch

    if not isinstance(base_model, torch.nn.Module):
        raise ConfigError(f"the model must be a torch.nn.Module, not {_kind(base_model)}")
    evaluate = getattr(evaluator, "evaluate", None)
    if isinstance(evaluator, type) or not callable(evaluate):
        wrapped = (
            f"; FunctionEvaluator({evaluator.__name__}) is one" if isroutine(evaluator) else ""
        )
        raise ConfigError(
            "the evaluator must have a method evaluate(model, *, seed, report), "
            f"not be {_kind(evaluator)}{wrapped}"
        )
    if (found := _uncallable(evaluate)) is not None:
        raise ConfigError(
            f"the method evaluate of {type(evaluator).__name__} must take "
            f"(model, *, seed, report), not {found}"
        )
    if isinstance(strategy, type) or not isinstance(strategy, Strategy):
        raise StrategyError(
            f"the strategy must have the methods start, propose and tell, not be {_kind(strategy)}"
        )
    methods = [callable(getattr(executor, name, None)) for name in ("submit", "shutdown")]
    if executor is not None and (isinstance(executor, type) or not all(methods)):
        raise ConfigError(
            f"the executor must have the methods submit and shutdown, not be {_kind(executor)}"
        )


def _uncallable(evaluate: Callable[..., object]) -> Signature | None:
    """The signature of a method that does not take what an evaluator is given."""
    try:
        found = signature(evaluate)
    except (TypeError, ValueError):  # some builtins have none
        return None
    try:
        found.bind(None, seed=0, report=None)
    except TypeError:
        return found
    return None


def _kind(found: object) -> str:
    """Say what was given instead.

    >>> _kind(int), _kind(3), _kind(len)
    ('the class int itself', 'an object of the class int', 'the function len')
    """
    if isinstance(found, type):
        return f"the class {found.__name__} itself"
    if isroutine(found):
        return f"the function {found.__name__}"
    return f"an object of the class {type(found).__name__}"


def input_path(folder: Path, name: str) -> Path:
    """Where an object of an experiment is kept."""
    return folder / "inputs" / f"{name}.pickle"


def save_input(folder: Path, name: str, obj: object) -> None:
    """Write an object, at once or not at all.

    Raises:
        PicklingError: it can't be pickled.
        StoreError: the file can't be written.
    """
    pickled = attempt(partial(cloudpickle.dumps, obj, protocol=pickle.HIGHEST_PROTOCOL))
    if isinstance(pickled, Failed):
        raise PicklingError(
            f"the {name.replace('_', ' ')} ({type(obj).__name__}) can't be sent to worker "
            f"processes: {failure_text(pickled.error)}\nOpen files, locks, connections and the "
            'like when they are used, not in the constructor; or run with executor="inline"'
        ) from pickled.error
    path = input_path(folder, name)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(pickled)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(path, f"can't be written: {error.strerror}") from error


def load_input(folder: Path, name: str) -> Any:
    """Read an object back. As with any pickle: only from folders that you trust.

    Raises:
        StoreError: it is not there, or what it needs can't be imported.
    """
    path = input_path(folder, name)
    hint = f"give it: Experiment.open(folder, {name}=...)"
    if not path.is_file():
        raise StoreError(path, f"the {name.replace('_', ' ')} was not kept; {hint}")
    loaded = attempt(lambda: pickle.loads(path.read_bytes()))  # noqa: S301
    if isinstance(loaded, Failed):
        raise StoreError(path, f"can't be loaded: {failure_text(loaded.error)}; {hint}")
    return loaded
