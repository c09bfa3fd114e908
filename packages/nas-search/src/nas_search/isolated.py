"""A job in a process of its own on somebody else's worker, whatever that worker is.

So a time limit, a crash, a hang, the random state and the output of a trial are the same on any
executor as on the local one, and the engine's worker, which other trials may share, stays alive.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from nas_search.environment import Environment
from nas_search.executors.local import LocalExecutor
from nas_search.work import Work

__all__ = ["Isolated"]

LOOK_SECONDS = 1.0
"""How often it is looked whether the trials are still wanted."""


@dataclass(frozen=True)
class Isolated:
    """What is submitted to executors that don't give every job a process of its own."""

    work: Work
    numbers: tuple[int, ...]
    threads: int
    environment: Environment

    def __call__(self) -> Sequence[str]:
        """Run the job, unless it is not wanted any more, and give back what it noted.

        Raises:
            WorkersError: the worker is not like the coordinator.
            TimeoutError: the job has taken longer than it may.
            ProcessExpired: its process died.
        """
        self.environment()
        recorder = copy.copy(self.work.recorder)  # in a thread of the coordinator it is shared
        executor = LocalExecutor(1, self.threads)
        try:
            if not recorder.wanted(self.numbers):
                return ()
            future = executor.submit(self.work)
            while not _done(future):
                if not recorder.wanted(self.numbers):
                    return ()
            notes: Sequence[str] = future.result()
            return notes
        finally:
            executor.shutdown()
            recorder.close()


def _done(future: Future[Any]) -> bool:
    return bool(wait([future], LOOK_SECONDS).done)
