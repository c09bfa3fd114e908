"""Run jobs as tasks of Dask, on this machine or on a cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import spawn
from typing import Any

from nas_search.cluster_options import ClusterOptions
from nas_search.errors import MissingExtraError
from nas_search.executors.protocol import LostWorkerError, WorkersError

__all__ = ["DaskExecutor"]

LOOK_SECONDS = 0.5
NEVER = "3650 days"


class DaskExecutor:
    """Connects at the first job. A job whose worker dies is run again by Dask, up to three times.

    Args:
        workers: how many workers a cluster that is started here has.
        options: the address, and what each job needs of the resources that workers declare.
    """

    def __init__(self, workers: int, options: ClusterOptions | None = None) -> None:
        self.workers = workers
        self.options = options or ClusterOptions()
        self._inner: Any = None
        self._stack = ExitStack()

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Send a function to the cluster.

        Raises:
            MissingExtraError: Dask is not installed.
            WorkersError: the cluster can't be reached, or no worker of it is large enough.
        """
        if self._inner is None:
            try:
                self._inner = self._connected()
            except BaseException:
                self.shutdown()
                raise
        future: Future[Any] = Future()
        self._inner.submit(fn, *args).add_done_callback(partial(self._pass_on, future))
        return future

    def shutdown(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._inner = None
        stack, self._stack = self._stack, ExitStack()
        stack.close()

    def _pass_on(self, future: Future[Any], done: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        if done.cancelled():
            where = self.options.address or "on this machine"
            future.set_exception(
                WorkersError(
                    f"the Dask scheduler {where} is gone, or has cancelled the job. What finished "
                    "is stored: see to the cluster, then resume"
                )
            )
        elif (error := done.exception()) is None:
            future.set_result(done.result())
        else:
            future.set_exception(_explained(error))

    def _resources(self) -> dict[str, float]:
        options = self.options
        named = {"CPU": options.cpus, "GPU": options.gpus, "MEMORY": options.memory}
        return {**{k: v for k, v in named.items() if v is not None}, **options.resources}

    def _connected(self) -> Any:
        try:
            from distributed import Client
        except ImportError:
            raise MissingExtraError("the executor 'dask'", "dask") from None
        address = self.options.address or self._started()
        patience = self.options.patience
        try:
            client = Client(  # type: ignore[no-untyped-call]
                address, timeout=patience, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise WorkersError(
                f"the Dask scheduler at {address} has not answered in {patience:g} s: {error}\n"
                "`dask scheduler` prints the address of one that it starts"
            ) from error
        self._stack.callback(client.close)
        needed = self._resources()
        self._require_room(client, needed)
        inner: Any = client.get_executor  # Untyped.
        return inner(pure=False, retries=0, resources=needed or None)

    def _started(self) -> Any:
        from dask import config
        from distributed import LocalCluster

        self._stack.enter_context(_without_main())
        # So long after the loss of a worker a cluster gives its place up if it is not back, or, as
        # it happens where workers die often, if its successor has just died as well.
        self._stack.enter_context(config.set({"distributed.deploy.lost-worker-timeout": NEVER}))
        cluster = LocalCluster(  # type: ignore[no-untyped-call]
            host="127.0.0.1",
            n_workers=self.workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any port that is free
            silence_logs=logging.CRITICAL,
            resources=self._resources() or None,
        )
        self._stack.callback(cluster.close)
        return cluster

    def _require_room(self, client: Any, needed: Mapping[str, float]) -> None:
        """Wait for a worker on which a job fits when nothing else runs there."""
        until = time.monotonic() + self.options.patience
        while True:
            found = client.scheduler_info(n_workers=-1)["workers"].values()
            workers = [worker["resources"] for worker in found]
            if any(all(one.get(k, 0) >= v for k, v in needed.items()) for one in workers):
                return
            if time.monotonic() >= until:
                raise WorkersError(_too_large(needed, workers))
            time.sleep(LOOK_SECONDS)


def _too_large(needed: Mapping[str, float], workers: list[dict[str, float]]) -> str:
    if not workers:
        return "the Dask cluster has no workers: `dask worker ADDRESS` starts one"
    flag = " ".join(f"{name}={amount:g}" for name, amount in needed.items())
    return (
        f"no Dask worker declares what each trial needs, {dict(needed)}; there are: "
        f"{', '.join(map(str, workers))}. Ask for less in executor_options, or start workers "
        f'with it: dask worker ADDRESS --resources "{flag}"'
    )


def _explained(error: BaseException) -> BaseException:
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return LostWorkerError(f"Dask has lost the workers of the job: {error}")
    return error


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep the workers from importing the main script: its experiment would begin again in each."""
    original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = original(name)
        if name.startswith("Dask Worker"):
            data.pop("init_main_from_name", None)
            data.pop("init_main_from_path", None)
        return data

    spawn.get_preparation_data = get_preparation_data
    try:
        yield
    finally:
        spawn.get_preparation_data = original
