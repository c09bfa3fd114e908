"""What an executor is."""

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from typing import Any, Protocol

from nas_core.errors import NasError

__all__ = ["Executor", "LostWorkerError", "WorkersError"]


class WorkersError(NasError, RuntimeError):
    """There are no workers that jobs could run on; a matter of the machines, not of a candidate."""


class LostWorkerError(BrokenExecutor):
    """A worker is gone, and what it ran with it: the job is started again."""


class Executor(Protocol):
    """Runs functions; those of ``concurrent.futures``, Dask and others fit as they are.

    A future may raise ``BrokenExecutor`` to say that the job is to be submitted again, and
    ``WorkersError`` to say that it would be in vain.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> "Future[Any]":
        """Run a function, now or later."""

    def shutdown(self) -> None:
        """End: what still runs is stopped."""
