"""One worker process per slot on this machine: a crash or a hang costs one job.

Pebble's pool on the fork server. ``fork`` itself hangs torch once its threads have run, and the
server has torch imported already, so that a replaced worker is there in a moment.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.spawn
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from pebble import ProcessPool

from nas_search.executors.protocol import WorkersError
from nas_search.executors.worker import initialize

__all__ = ["LocalExecutor", "cores", "server_ahead"]

_starting = threading.RLock()
_KEPT_SECONDS = 0.05
SAFE_PATH = "PYTHONSAFEPATH"
PRELOAD = ["torch", "torch._dynamo", "safetensors.torch", "nas_search.work"]


class LocalExecutor:
    """A pool of worker processes; one that dies is replaced.

    Args:
        workers: how many processes.
        threads: how many threads torch uses in each of them.

    >>> executor = LocalExecutor(workers=1, threads=1)
    >>> executor.submit(pow, 2, 5).result()
    32
    >>> executor.shutdown()
    """

    isolates = True  # every job has a process, which is stopped at the job's time limit

    def __init__(self, workers: int, threads: int) -> None:
        self.workers = workers
        self.threads = threads
        self._pool: _Pool | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Send a function to the next free worker; its ``time_limit`` counts from its start."""
        if self._pool is None or not self._pool.active:
            self.shutdown()
            context = _context()
            with _starting:  # Threads may have an executor each.
                _wait_for_server(context)
                # The fork server starts once: its own environment may be out of date.
                first = (self.threads, dict(os.environ), _start_method())
            self._pool = _Pool(
                ProcessPool(self.workers, initializer=initialize, initargs=first, context=context)
            )
        with _uninterrupted():  # The first job starts the workers.
            return self._pool.schedule(fn, args, getattr(fn, "time_limit", None))

    def shutdown(self) -> None:
        """Stop the workers, whatever they do."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()


class _Pool:
    """A pool of which every job ends, one that is on its way as the pool breaks as well.

    Pebble fails the jobs that its workers have been told of; others would wait for ever.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool
        self._open: set[Future[Any]] = set()
        self._has_ended = False
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    @property
    def active(self) -> bool:
        return self._pool.active

    def schedule(
        self, fn: Callable[..., Any], args: Sequence[Any], time_limit: float | None
    ) -> Future[Any]:
        future: Future[Any]
        try:
            future = self._pool.schedule(fn, args=args, timeout=time_limit)
        except RuntimeError:  # It has broken since it was asked.
            future = Future()
        if self._keeper.ident is None:
            self._keeper.start()
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        if self._has_ended:
            self._fail_open()
        return future

    def stop(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        if self._keeper.ident is None:
            self._pool.join()
        else:
            self._keeper.join()

    def _keep(self) -> None:
        """Wait for its end, and leave nothing behind."""
        while self._pool.active:
            time.sleep(_KEPT_SECONDS)
        self._pool.join()
        self._has_ended = True
        self._fail_open()

    def _fail_open(self) -> None:
        for future in tuple(self._open):
            with suppress(InvalidStateError):  # Both threads may be here.
                future.set_exception(BrokenProcessPool("the worker processes have ended"))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals that interrupt wait until the block has ended.

    A worker that is told to start, and not what to do, prints where it has waited for that.
    """
    if threading.current_thread() is not threading.main_thread():  # Signals interrupt only that.
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {n: signal.getsignal(n) for n in numbers}
    own = [n for n, handler in handlers.items() if callable(handler)]  # Others end the process.
    for number in own:
        signal.signal(number, lambda *given: came.append(given))
    try:
        yield
    finally:
        for number in own:
            signal.signal(number, handlers[number])
    for given, frame in came:
        handler = handlers[signal.Signals(given)]
        if callable(handler):
            handler(given, frame)


@contextmanager
def server_ahead() -> Iterator[None]:
    """Start the fork server, which imports torch while the block goes on and may do so as well.

    If the block raises, the server ends; else it does with this process. What the block sets in
    ``os.environ`` workers have, but torch has been imported without it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield
        return
    earlier = _server()
    try:
        with _starting:
            _context()
            _forget_what_another_started()
            _start_server()
        yield
    except BaseException:
        _end_server(unless=earlier)
        raise


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_method() -> str:
    """How processes start that an evaluator starts, such as the workers of a ``DataLoader``.

    As they would without us. In a child process what is set is what that was started by.
    """
    is_child = multiprocessing.parent_process() is not None
    chosen = None if is_child else multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]  # the default of the system


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = _ForkServer()
    context.set_forkserver_preload(PRELOAD)
    return context


def _wait_for_server(context: BaseContext) -> None:
    """Start the fork server and wait until it has torch, so that Ctrl-C meanwhile is quiet.

    A terminal sends it to the server, too, which would print where in its imports it was; workers
    that the server starts after the interruption would print that their queues are gone. The
    server would go on importing as well, with the standard streams open, for which a pipe waits.

    Raises:
        WorkersError: the server has ended.
    """
    if context.get_start_method() != "forkserver":
        return
    _forget_what_another_started()
    earlier = _server()
    try:
        _start_server()
        first = context.Process(target=os.getpid)  # type: ignore[attr-defined]
        first.start()
        first.join()
    except KeyboardInterrupt:
        _end_server(unless=earlier)
        raise
    except (EOFError, ConnectionError) as error:
        raise WorkersError(
            "no worker process can be started: the process that starts them has ended\n"
            'Look at what it printed above; executor="inline" runs without workers'
        ) from error


@contextmanager
def _safe_path() -> Iterator[None]:
    """Within it new Pythons don't look for modules in the working directory.

    Else a ``queue.py`` that lies there would be taken for Python's own.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


if "forkserver" in multiprocessing.get_all_start_methods():
    from multiprocessing import forkserver, resource_tracker
    from multiprocessing.context import ForkServerContext, ForkServerProcess

    def _server() -> int:
        """The process number of the fork server that was started last, 0 if none was."""
        started: Any = forkserver._forkserver  # noqa: SLF001
        return int(started._forkserver_pid or 0)  # noqa: SLF001  # there is no public name

    def _start_server() -> None:
        """Start it, unless it runs; its imports take seconds, for which nobody waits here."""
        with _safe_path():
            resource_tracker.ensure_running()  # else it starts with the server: unblocks the signal
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                forkserver.ensure_running()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _end_server(unless: int) -> None:
        """End it, unless it is that one, which others use."""
        if _server() not in (unless, 0):
            with suppress(ProcessLookupError):
                os.kill(_server(), signal.SIGKILL)

    def _forget_what_another_started() -> None:
        """Let a process that was forked from one with a fork server start its own.

        Python would wait for the other one, which is no child of this process, and fail.
        """
        server: Any = forkserver._forkserver  # noqa: SLF001
        with server._lock:  # noqa: SLF001
            try:
                if (pid := _server()) != 0:
                    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                os.close(server._forkserver_alive_fd)  # noqa: SLF001
                server._forkserver_address = None  # noqa: SLF001
                server._forkserver_alive_fd = None  # noqa: SLF001
                server._forkserver_pid = None  # noqa: SLF001

    class _Process(ForkServerProcess):
        def start(self) -> None:
            """Start the worker, even in a process of Dask's that may have no children.

            Daemons may not, lest they leave them behind; these end with their parent.
            """
            current = multiprocessing.current_process()
            with _starting:
                daemon, current.daemon = current.daemon, False
                try:
                    super().start()
                finally:
                    current.daemon = daemon

        def terminate(self) -> None:
            """Stop the worker and all that its trial has started, which may hang as well."""
            pid = self.pid
            try:
                # Before it leads a group, nothing that it could have started is there.
                if pid is not None and os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
                    return
            except ProcessLookupError:
                pass
            super().terminate()

        @staticmethod
        def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802  # the name is multiprocessing's
            # Workers don't import the main script again: what it defines is sent to them, and a
            # script without a `__main__` guard would start its experiment once more in each.
            spawn = multiprocessing.spawn
            with _starting:
                original = spawn.get_preparation_data

                def without_main(name: str) -> dict[str, Any]:
                    data = original(name)
                    main = ("init_main_from_name", "init_main_from_path")
                    return {key: value for key, value in data.items() if key not in main}

                spawn.get_preparation_data = without_main
                try:
                    return ForkServerProcess._Popen(process_obj)  # noqa: SLF001  # overridden
                finally:
                    spawn.get_preparation_data = original

    class _ForkServer(ForkServerContext):
        Process = _Process
