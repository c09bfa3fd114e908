"""What has become of a job that did not answer, in words."""

from __future__ import annotations

import signal

from nas_core.failure import failure_text
from pebble import ProcessExpired

from nas_search.work import JobError

__all__ = ["explained"]


def explained(error: BaseException | None, limit: float | None) -> str:
    """Why there is no result: what was raised, or how the process of the job has ended.

    >>> explained(TimeoutError(), 2.0)
    'TimeoutError: stopped after the time limit of 2 s per trial'
    """
    match error:
        case ProcessExpired():
            return f"the worker process died: {_ending(int(error.exitcode))}"
        case JobError():
            return str(error)
        case TimeoutError() if limit is not None:
            return f"TimeoutError: stopped after the time limit of {limit:g} s per trial"
        case None:
            return "the job ended without a result for it"
        case _:
            return failure_text(error)


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended itself with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the system does this when memory runs out)" if name == "SIGKILL" else ""
    return f"{name}{hint}"
