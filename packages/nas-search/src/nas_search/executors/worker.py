"""What a worker process does first."""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import wait

__all__ = ["initialize"]


def initialize(threads: int, variables: Mapping[str, str], start_method: str) -> None:
    """Use so many threads, and end when the process that runs the experiment ends.

    A worker leads a process group, to which all belong that its trials start: they end with it.
    Environment variables are set before anything asks for a device.
    """
    os.environ.clear()
    os.environ.update(variables)
    # Else it is the worker's own, and each worker of a DataLoader would import torch.
    multiprocessing.set_start_method(start_method, force=True)
    import torch

    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)

    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # once its threads have run, torch refuses
        torch.set_num_interop_threads(threads)
    # The fork server has it blocked; what the evaluator starts is not to inherit that.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _end_with_parent()
    gc.freeze()  # What torch consists of stays: to look through it takes a fifth of a second.


def _end_with_parent() -> None:
    """The parent holds the other end of a pipe, which the system closes however it dies."""
    parent = parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel
    if hasattr(os, "O_ASYNC") and isinstance(sentinel, int):
        # The signal's default action ends the process even if something hangs while it holds
        # Python's global lock, where no thread of ours would run.
        import fcntl

        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, -os.getpgrp())  # to all of the group
        flags = fcntl.fcntl(sentinel, fcntl.F_GETFL)
        fcntl.fcntl(sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)

    def watch() -> None:
        wait([sentinel])
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
