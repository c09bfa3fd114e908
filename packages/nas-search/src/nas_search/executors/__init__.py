"""Executors run jobs somewhere: here, in worker processes, or wherever someone else's does.

An executor is anything with ``submit(fn, *args) -> concurrent.futures.Future`` and ``shutdown()``.
``fn`` may have an attribute ``time_limit`` in seconds; an executor that can stop what it runs does
so then, and the future raises ``TimeoutError``.
"""

from nas_search.executors.inline import InlineExecutor
from nas_search.executors.local import LocalExecutor
from nas_search.executors.protocol import Executor

__all__ = ["Executor", "InlineExecutor", "LocalExecutor"]
