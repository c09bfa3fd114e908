"""Run jobs as tasks of Ray, on this machine or on a cluster."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from nas_search.cluster_options import ClusterOptions
from nas_search.errors import MissingExtraError
from nas_search.executors.protocol import LostWorkerError, WorkersError

__all__ = ["RayExecutor"]

LOOK_SECONDS = 0.5

TRIAL_CONNECTION = """
import sys, ray
print(flush=True)
try:
    ray.init(sys.argv[1], log_to_driver=False)
except Exception as error:
    print(error)
    sys.exit(1)
"""


class RayExecutor:
    """Connects at the first job; a worker that dies loses one job, which is started again.

    A process that has connected to Ray already keeps its connection, whatever the address says.

    Args:
        workers: how many jobs a cluster that is started here runs at once.
        options: the address, and what each job needs.
    """

    def __init__(self, workers: int, options: ClusterOptions | None = None) -> None:
        self.workers = workers
        self.options = options or ClusterOptions()
        self._task: Any = None
        self._ray: Any = None
        self._began = False
        self._open: dict[Future[Any], Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Send a function to the cluster.

        Raises:
            MissingExtraError: Ray is not installed.
            WorkersError: the cluster can't be reached, or no machine of it is large enough.
        """
        if self._ray is None:
            self._ray = self._connected()
            self._task = self._ray.remote(**self._demands())(_call)
        future: Future[Any] = Future()
        reference = self._task.remote(fn, *args)
        self._open[future] = reference
        reference.future().add_done_callback(partial(self._pass_on, future))
        return future

    def shutdown(self) -> None:
        """Stop what runs; a cluster that was started here ends."""
        ray, self._ray, self._task = self._ray, None, None
        if ray is None:
            return
        if ray.is_initialized():
            for reference in list(self._open.values()):
                ray.cancel(reference, force=True)
        self._open.clear()
        if self._began:
            self._began = False
            ray.shutdown()

    def _pass_on(self, future: Future[Any], done: Future[Any]) -> None:
        self._open.pop(future, None)
        error = done.exception()
        if not future.set_running_or_notify_cancel():
            return
        if error is None:
            future.set_result(done.result())
        else:
            future.set_exception(_explained(error))

    def _demands(self) -> dict[str, Any]:
        options = self.options
        return {
            "max_retries": 0,  # The search starts a job again, and counts how often.
            "num_cpus": 1 if options.cpus is None else options.cpus,
            "num_gpus": options.gpus or 0,
            "memory": None if options.memory is None else int(options.memory),
            "resources": dict(options.resources) or None,
        }

    def _connected(self) -> ModuleType:
        try:
            import ray
        except ImportError:
            raise MissingExtraError("the executor 'ray'", "ray") from None
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        patience = self.options.patience
        if not ray.is_initialized():
            if self.options.address is None:
                patience = 0.0
                self._start(quiet)
            else:
                self._join(self.options.address, quiet)
            self._began = True
        try:
            self._require_room(ray, patience)
        except BaseException:
            if self._began:
                self._began = False
                ray.shutdown()
            raise
        return ray

    def _start(self, quiet: Mapping[str, Any]) -> None:
        import ray

        cpus = max(1, round(self.workers * (self.options.cpus or 1)))
        with _on_loopback():
            ray.init(num_cpus=cpus, resources=self._resources(), include_dashboard=False, **quiet)
        address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        if address != "127.0.0.1":
            ray.shutdown()
            raise WorkersError(
                "this version of Ray can't be kept to this machine: start a "
                "cluster yourself, and give executor_options its address"
            )

    def _resources(self) -> dict[str, float] | None:
        named = self.options.resources.items()
        return {name: amount * self.workers for name, amount in named} or None

    def _join(self, address: str, quiet: Mapping[str, Any]) -> None:
        import ray

        _require_answer(address, self.options.patience)
        try:
            ray.init(address=address, **quiet)
        # Ray raises ConnectionError, RuntimeError and ValueError, and others through its client.
        except Exception as error:
            raise _unusable(address, f"can't be used: {error}") from error

    def _require_room(self, ray: Any, patience: float) -> None:
        """Wait for a machine on which a job fits when nothing else runs there."""
        demands = self._demands()
        wanted = {
            "CPU": demands["num_cpus"],
            "GPU": demands["num_gpus"],
            "memory": demands["memory"] or 0,
            **self.options.resources,
        }
        until = time.monotonic() + patience
        while True:
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            if any(all(one.get(k, 0) >= v for k, v in wanted.items()) for one in machines):
                return
            if time.monotonic() >= until:
                raise WorkersError(_too_large(wanted, machines))
            time.sleep(LOOK_SECONDS)


def _require_answer(address: str, patience: float) -> None:
    """Connect in a process of its own: for minutes Ray can't be stopped, and then ends the process.

    Raises:
        WorkersError: there is no cluster, or it does not answer.
    """
    command = [sys.executable, "-c", TRIAL_CONNECTION, address]
    with subprocess.Popen(  # noqa: S603  # the address is an argument of our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as trying:
        assert trying.stdout is not None
        try:
            trying.stdout.readline()  # Ray has been imported, which may take seconds
            code = trying.wait(patience)
        except subprocess.TimeoutExpired:
            raise _unusable(address, f"has not answered in {patience:g} s") from None
        finally:
            trying.kill()
        said = trying.stdout.read().strip()
    if code:
        raise _unusable(address, f"can't be used: {said or f'Ray has ended with exit code {code}'}")


def _unusable(address: str, why: str) -> WorkersError:
    return WorkersError(
        f"the Ray cluster at {address} {why}\n`ray status --address ADDRESS` says whether it runs"
    )


def _call(fn: Callable[..., Any], *args: Any) -> Any:
    return fn(*args)


def _too_large(wanted: Mapping[str, float], machines: list[dict[str, float]]) -> str:
    shown = [{key: one.get(key, 0) for key in wanted} for one in machines]
    return (
        f"no machine of the Ray cluster has what each trial needs, {dict(wanted)}; "
        f"there are: {', '.join(map(str, shown)) or 'none'}. Ask for less in executor_options"
    )


def _explained(error: BaseException) -> BaseException:
    """What a job raised on its worker, or what has become of the worker."""
    from ray import exceptions as ray

    match error:
        case ray.RayTaskError(cause=Exception() as cause):
            return cause
        case ray.WorkerCrashedError() | ray.NodeDiedError() | ray.ObjectLostError():
            return LostWorkerError(f"Ray has lost the worker: {error}")
        case ray.RayError() | ConnectionError():
            return WorkersError(
                f"Ray can't run the job: {error}\nWhat finished is stored: "
                "see to the cluster, then resume"
            )
        case _:
            return error


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let Ray take the loopback address, as it does on other systems than Linux by itself."""
    import os

    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    # What is started here for the user tells nobody of it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
