"""What an executor is."""

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from typing import Any, Protocol

from nas_core.errors import NasError
from nas_core.failure import failure_text

__all__ = ["Executor", "LostWorkerError", "WorkersError", "error_of", "submitted"]


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


def submitted(executor: Executor, fn: Callable[[], Any]) -> "Future[Any]":
    """Submit to anybody's executor.

    Raises:
        WorkersError: it is broken for good, or gives no future.
    """
    try:
        future = executor.submit(fn)
    except BrokenExecutor as error:
        raise WorkersError(
            f"the executor ({type(executor).__name__}) is broken and takes no more jobs: "
            f"{failure_text(error)}\nWhat finished is stored: resume with a new one"
        ) from error
    if not isinstance(future, Future):  # Whoever does not look at types gives anything.
        raise WorkersError(
            f"submit of the executor ({type(executor).__name__}) must give a "
            f"concurrent.futures.Future, not an object of the class {type(future).__name__}"
        )
    return future


def error_of(future: "Future[Any]") -> BaseException | None:
    """What a job that has ended raised, also if its executor has dropped it."""
    if future.cancelled():
        return WorkersError("the executor has cancelled a job: has its cluster ended?")
    return future.exception()
