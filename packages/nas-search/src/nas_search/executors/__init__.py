"""Executors run jobs somewhere: here, in worker processes, or wherever someone else's does.

An executor is anything with ``submit(fn, *args) -> concurrent.futures.Future`` and ``shutdown()``.
An executor with a true attribute ``isolates`` gives each function a process of its own, and stops
it after its ``time_limit``; on all others the search does so itself (``nas_search.isolated``).
"""

from nas_search.executors.inline import InlineExecutor
from nas_search.executors.local import LocalExecutor
from nas_search.executors.protocol import Executor

__all__ = ["Executor", "InlineExecutor", "LocalExecutor"]
