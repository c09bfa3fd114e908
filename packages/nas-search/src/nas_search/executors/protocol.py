"""What an executor is."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

__all__ = ["Executor"]


class Executor(Protocol):
    """Runs functions; those of Pebble, Dask, or ``concurrent.futures`` fit as they are."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> "Future[Any]":
        """Run a function, now or later."""

    def shutdown(self) -> None:
        """End: what still runs is stopped."""
