"""A job on its way to a worker and what the worker does with it."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from nas_core.errors import NasError
from nas_core.failure import failure_text
from nas_core.protocols import Job, Result
from nas_core.pruned import Pruned

from nas_search.executors.protocol import WorkersError
from nas_search.recorder import StoreRecorder
from nas_search.store import StoreError

__all__ = ["JobError", "LoadError", "LostDeviceError", "Work", "pack", "run_job"]


class LoadError(NasError, ImportError):
    """A worker can't load what it is to run: a matter of its environment, not of a candidate."""


class JobError(NasError, RuntimeError):
    """A job of several candidates broke before it had answered for all of them."""


class LostDeviceError(WorkersError):
    """CUDA does nothing more for this process: other trials that run in it would all fail."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it is a variable to mypy
    """Leaves out the objects that all jobs share: they lie in a file each, written once."""

    def __init__(self, file: io.BytesIO, shared: Mapping[int, Path]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._shared = shared

    def persistent_id(self, obj: object) -> str | None:
        path = self._shared.get(id(obj))
        return None if path is None else str(path)


class _Unpickler(pickle.Unpickler):
    """Loads what jobs share once for each job, however many candidates of it refer to it."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._found: dict[str, Any] = {}

    def persistent_load(self, pid: str) -> Any:
        # A new copy for each job: an evaluator that changes itself must not change other trials.
        if pid not in self._found:
            self._found[pid] = pickle.loads(_bytes(pid, Path(pid).stat().st_mtime_ns))  # noqa: S301
        return self._found[pid]


@lru_cache(maxsize=2)
def _bytes(path: str, _changed: int) -> bytes:
    return Path(path).read_bytes()


def pack(job: Job, shared: Mapping[int, Path]) -> bytes:
    """A job as bytes; ``shared`` says which objects, by id, a worker finds in which file."""
    buffer = io.BytesIO()
    _Pickler(buffer, shared).dump(job)
    return buffer.getvalue()


@dataclass(frozen=True)
class Work:
    """What is submitted to an executor; ``time_limit`` is for those that can enforce one."""

    payload: bytes
    recorder: StoreRecorder
    time_limit: float | None = None
    log: Path | None = None
    objectives: tuple[str, ...] = field(default=())

    def __call__(self) -> tuple[str, ...]:
        """Run the job in a worker process; gives back what it noted.

        A process that has lost its device ends: what is stored holds, and what is not runs again.
        """
        try:
            with _output_to(self.log):
                return run_job(self._load(), self.recorder, self.objectives)
        except LostDeviceError:
            os._exit(1)
        finally:
            self.recorder.close()

    def _load(self) -> Job:
        try:
            job: Job = _Unpickler(io.BytesIO(self.payload)).load()
        # Unpickling runs the imports of anybody's modules.
        except Exception as error:  # noqa: BLE001
            raise LoadError(
                f"a worker process can't load the job: {failure_text(error)}\n"
                "Workers start as new processes: the modules of the model and the evaluator must "
                "be importable there, or be defined in the main script; a module that is imported "
                'begins no search, but under `if __name__ == "__main__":`'
            ) from None
        return job


def run_job(job: Job, recorder: StoreRecorder, objectives: tuple[str, ...]) -> tuple[str, ...]:
    """Run a job and store each of its results as it comes; gives back what it noted.

    Raises:
        StoreError: a result can't be stored.
        JobError: the job broke; if it has only one candidate, that is its result instead.
        LostDeviceError: a candidate broke the device, which one of several can't be told.
    """
    waiting = {candidate.number for candidate in job.candidates}
    alone = len(waiting) == 1
    problem, details = "the job ended without a result for it", ""
    recorder.notes.clear()
    try:
        for result in job.run(recorder):
            if result.failed and not alone and _device_is_lost():
                break
            if result.number in waiting:
                waiting.discard(result.number)
                recorder.finish(_checked(result, objectives))
    except StoreError:
        raise
    # The engine has not caught it, so the job is at its end.
    except Pruned as pruned:
        if pruned.number in waiting:
            waiting.discard(pruned.number)
            recorder.finish(Result(pruned.number, None, pruned=pruned.reason))
    # An engine may be anybody's, and so is the model that it trains.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        problem, details = failure_text(error), traceback.format_exc()
    if waiting and not alone:
        _require_device()
        raise JobError(problem)
    for number in waiting:
        recorder.finish(Result(number, None, problem, details or None))
    _require_device()
    return tuple(recorder.notes)


def _require_device() -> None:
    """Refuse to go on without the device.

    Raises:
        LostDeviceError: there is none any more.
    """
    if _device_is_lost():
        raise LostDeviceError(
            "a trial has broken CUDA for its process, in which no other can use it any more\n"
            'What has finished is stored: resume; executor = "local" replaces its processes'
        )


def _device_is_lost() -> bool:
    """Whether CUDA refuses all that this process asks for.

    After what a kernel has raised it does so until the process ends: an index that is out of
    range, say (CUDA C++ Programming Guide, "Error Checking").
    """
    import torch  # What only plans does not wait for it.

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def _checked(result: Result, objectives: tuple[str, ...]) -> Result:
    metrics = result.metrics
    if metrics is None or not (missing := [name for name in objectives if name not in metrics]):
        return result
    error = f"no metric {missing[0]!r}, which is an objective; there are: {', '.join(metrics)}"
    return Result(result.number, None, error, result.details, result.seconds)


@contextlib.contextmanager
def _output_to(log: Path | None) -> Iterator[None]:
    """What a worker prints, and what it says while it crashes, goes into the trial's log."""
    if log is None:
        yield
        return
    import faulthandler
    import os
    import sys

    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if log.stat().st_size == 0:
            log.unlink()
