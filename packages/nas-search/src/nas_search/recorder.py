"""The worker's side of the store: intermediate metrics, weights and results, as they come."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nas_core.protocols import Result
from nas_core.pruned import Pruned

from nas_search.pruning import Judging, replay_of
from nas_search.store import STORE, StoreError, TrialStore

if TYPE_CHECKING:
    import torch

__all__ = ["StoreRecorder", "weights_path"]

T = TypeVar("T")


def weights_path(folder: Path, number: int) -> Path:
    """Where the weights of a trial are."""
    return folder / "weights" / f"{number}.safetensors"


class StoreRecorder:
    """Writes what a job yields into the experiment's folder. Pickles as its arguments.

    With ``judging`` it also prunes: what it is told of a candidate is compared with the reports
    that the store has by then.

    A store that fails is no fault of the candidate, whose evaluation catches what is raised in it:
    the error is kept and raised again from ``finish``.
    """

    def __init__(
        self, folder: Path, session: str, save_weights: bool, judging: Judging | None = None
    ) -> None:
        self.folder = folder
        self.session = session
        self.save_weights = save_weights
        self.judging = judging
        self.notes: list[str] = []
        self._store: TrialStore | None = None
        self._error: StoreError | None = None

    def __reduce__(self) -> tuple[type[StoreRecorder], tuple[Path, str, bool, Judging | None]]:
        return type(self), (self.folder, self.session, self.save_weights, self.judging)

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Store intermediate metrics.

        Raises:
            Pruned: the candidate compares badly with others at this step.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        ordinal = self._keep_error(
            lambda: self._open().report(number, int(step), numbers, self.session)
        )
        if ordinal is None or self.judging is None:
            return
        replay = replay_of(self.judging, self.folder, self.session)
        reason = self._keep_error(lambda: replay.reason(self._open(), ordinal, number))
        if reason is not None:
            raise Pruned(number, reason)

    def trained(self, number: int, model: torch.nn.Module) -> None:
        """Write the weights beside their place; ``finish`` moves them there."""
        if self.save_weights:
            self._keep_error(partial(self._write, number, model))

    def note(self, text: str) -> None:
        """Keep a line for those who watch; ``run_job`` hands it over."""
        self.notes.append(text)

    def finish(self, result: Result) -> None:
        """Store a result, and its weights if it has any.

        Raises:
            StoreError: it, or something before it, could not be stored.
        """
        if self._error is not None:
            raise self._error
        temporary = self._temporary(result.number)
        try:
            self._open().finish(result, self.session, partial(self._move, result))
        finally:
            if self.save_weights:
                temporary.unlink(missing_ok=True)

    def close(self) -> None:
        """End the connection to the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _open(self) -> TrialStore:
        if self._store is None:
            self._store = TrialStore.open(self.folder / STORE)
        return self._store

    def _temporary(self, number: int) -> Path:
        return weights_path(self.folder, number).with_suffix(f".{self.session}.tmp")

    def _write(self, number: int, model: torch.nn.Module) -> None:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import save_model

        path = self._temporary(number)
        try:
            path.parent.mkdir(exist_ok=True)
            with torch.no_grad():
                save_model(model, str(path))
            with path.open("rb") as written:
                os.fsync(written.fileno())
        except OSError as error:
            raise StoreError(path, f"the weights can't be written: {error.strerror}") from error
        except SafetensorError as error:
            if not re.search(r"os error|I/O error", str(error)):
                raise
            raise StoreError(path, f"the weights can't be written: {error}") from error

    def _move(self, result: Result) -> None:
        temporary = self._temporary(result.number)
        if not self.save_weights or result.metrics is None or not temporary.exists():
            return
        temporary.replace(weights_path(self.folder, result.number))

    def _keep_error(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except StoreError as error:
            self._error = error
            raise
