"""The worker's side of the store: intermediate metrics, weights and results, as they come."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nas_core.protocols import Result
from nas_core.pruned import Pruned

from nas_search.artifacts import Artifacts, unfinished_name, weights_name
from nas_search.pruning import Judging, replay_of
from nas_search.store import Address, StoreError, TrialStore

if TYPE_CHECKING:
    import torch

__all__ = ["StoreRecorder"]

T = TypeVar("T")


class StoreRecorder:
    """Writes what a job yields into the store. Pickles as its arguments, and connects when used.

    With ``judging`` it also prunes: what it is told of a candidate is compared with the reports
    that the store has by then.

    An executor may run a job twice, one after the other or at the same time: of a step, the report
    of the execution that comes first is stored, and so are the result and its weights.

    A store that fails is no fault of the candidate, whose evaluation catches what is raised in it:
    the error is kept and raised again from ``finish``.

    Args:
        address: of the trials.
        artifacts: the folder or URL that the weights go to.
        session: the run that it belongs to.
        save_weights: whether weights are kept at all.
        judging: how candidates are compared, if they are.
    """

    def __init__(
        self,
        address: Address,
        artifacts: str,
        session: str,
        save_weights: bool,
        judging: Judging | None = None,
    ) -> None:
        self.address = address
        self.artifacts = artifacts
        self.session = session
        self.save_weights = save_weights
        self.judging = judging
        self.notes: list[str] = []
        self._files = Artifacts(artifacts)
        self._checksums: dict[int, str] = {}
        self._execution = uuid.uuid4().hex[:12]
        self._reported: set[tuple[int, int]] = set()
        self._store: TrialStore | None = None
        self._error: StoreError | None = None

    def __reduce__(self) -> tuple[type[StoreRecorder], tuple[Any, ...]]:
        given = (self.address, self.artifacts, self.session, self.save_weights, self.judging)
        return type(self), given

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Store intermediate metrics.

        Raises:
            Pruned: the candidate compares badly with others at this step.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        step = int(step)
        first = (number, step) not in self._reported
        self._reported.add((number, step))
        ordinal = self._keep_error(
            lambda: self._open().report(number, step, numbers, self.session, first=first)
        )
        if ordinal is None or self.judging is None:
            return
        replay = replay_of(self.judging, self.session)
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
        number = result.number
        checksum = self._checksums.pop(number, None)
        try:
            if checksum is None or result.metrics is None:
                self._open().finish(result, self.session, partial(self.drop, number))
            else:
                self._open().finish(result, self.session, partial(self._move, number), checksum)
        finally:
            if checksum is not None:
                self._files.remove(self._temporary(number))

    def drop(self, number: int) -> None:
        """Remove the weights of a trial, which an execution may have left that died too early."""
        if self.save_weights:
            self._files.remove(weights_name(number))

    def wanted(self, numbers: Sequence[int]) -> bool:
        """Whether the session still waits for any of these trials.

        Raises:
            StoreError: the store can't be read.
        """
        return self._open().waits(numbers, self.session)

    def close(self) -> None:
        """End the connection to the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _open(self) -> TrialStore:
        if self._store is None:
            self._store = TrialStore.open(self.address, patient=True)
        return self._store

    def _temporary(self, number: int) -> str:
        return unfinished_name(number, self.session, self._execution)

    def _write(self, number: int, model: torch.nn.Module) -> None:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import save_model

        def save(path: Path) -> None:
            with torch.no_grad():
                save_model(model, str(path))

        name = self._temporary(number)
        try:
            self._checksums[number] = self._files.write(name, save)
        except StoreError as error:
            raise StoreError(error.where, f"the weights {error.reason}") from error
        except SafetensorError as error:
            if not re.search(r"os error|I/O error", str(error)):
                raise
            where = self._files.where(name)
            raise StoreError(where, f"the weights can't be written: {error}") from error

    def _move(self, number: int) -> None:
        # A connection that broke when all was done has it done again.
        if self._files.exists(self._temporary(number)):
            self._files.move(self._temporary(number), weights_name(number))

    def _keep_error(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except StoreError as error:
            self._error = error
            raise
