"""Run jobs in this process, for debugging: ``breakpoint()`` works, and nothing is pickled."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

__all__ = ["InlineExecutor"]


class InlineExecutor:
    """Runs a function when it is submitted. No time limit, no protection against crashes.

    Args:
        threads: how many threads torch uses meanwhile; by default as many as it does anyhow.

    >>> InlineExecutor().submit(pow, 2, 5).result()
    32
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> "Future[Any]":
        """Run a function to its end."""
        future: Future[Any] = Future()
        try:
            with _threads(self.threads):
                future.set_result(fn(*args))
        # What the function raises belongs to whoever asks the future; Ctrl-C belongs to all.
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future

    def shutdown(self) -> None:
        """Nothing is left running."""


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    if threads is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
