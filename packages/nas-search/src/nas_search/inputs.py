"""The objects of an experiment beside its store, for workers, and for going on in a new process."""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from nas_core.errors import NasError
from nas_core.failure import Failed, attempt, failure_text

from nas_search.store import StoreError

__all__ = ["PicklingError", "input_path", "load_input", "save_input"]


class PicklingError(NasError, TypeError):
    """An object can't be sent to worker processes."""


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
        if isinstance(loaded.error, ModuleNotFoundError):
            hint = f"set PYTHONPATH to the folder in which the run has found it, or {hint}"
        raise StoreError(path, f"can't be loaded: {failure_text(loaded.error)}; {hint}")
    return loaded
