"""Where the trials of a session run, and what is sent there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

from nas_core.failure import failure_text

from nas_search.cluster_options import CLUSTERS, ClusterOptions
from nas_search.config import ExperimentConfig
from nas_search.environment import Environment, machine
from nas_search.executors import Executor, InlineExecutor, LocalExecutor
from nas_search.executors.local import cores
from nas_search.executors.protocol import WorkersError, error_of, submitted
from nas_search.isolated import Isolated
from nas_search.store import Address, Database, StoreError
from nas_search.work import Work

__all__ = ["environment_for", "executor_of", "isolates", "require_worker", "sent"]

log = logging.getLogger("nas_search")

WAITING_SECONDS = 20.0
"""How long a first worker may take before it is said that it is waited for."""


def executor_of(config: ExperimentConfig) -> Executor:
    """The executor that a configuration names."""
    workers, options = config.trial_concurrency, ClusterOptions(**config.executor_options)
    match config.executor:
        case "inline":
            if config.trial_time_limit is not None:
                log.warning('trial_time_limit is not enforced with executor = "inline"')
            return InlineExecutor(config.threads_per_trial)
        case "ray":
            from nas_search.executors.ray import RayExecutor

            return RayExecutor(workers, options)
        case "dask":
            from nas_search.executors.dask import DaskExecutor

            return DaskExecutor(workers, options)
        case _:
            return LocalExecutor(workers, config.threads_per_trial or _share(config))


def isolates(executor: Executor) -> bool:
    """Whether each job has a process, and a time limit, without our doing; here none has."""
    return isinstance(executor, InlineExecutor) or getattr(executor, "isolates", False) is True


def environment_for(distribution: str, folder: Path, address: Address, session: str) -> Environment:
    """What workers must have, and see: the name of the file is that of this session alone.

    Raises:
        StoreError: the folder can't be written.
    """
    mark = folder.absolute() / "inputs" / f"{session}.tmp"
    try:
        mark.touch()
    except OSError as error:
        raise StoreError(mark, f"can't be written: {error.strerror}") from error
    needed = ("torch", "nas-core", "nas-search", distribution)
    only = None if isinstance(address, Database) else machine()
    return Environment.here(needed, mark, only)


def sent(
    config: ExperimentConfig, environment: Environment | None, work: Work, numbers: tuple[int, ...]
) -> Callable[[], Any]:
    """What is submitted for a job: with an environment, one that runs in a process of its own."""
    if environment is None:
        return work
    options = ClusterOptions(**config.executor_options)
    asked = options.cpus and max(1, int(options.cpus))
    here = options.address is None and config.executor in CLUSTERS
    threads = config.threads_per_trial or asked or (_share(config) if here else 1)
    return Isolated(work, numbers, threads, environment)


def require_worker(executor: Executor, environment: Environment) -> None:
    """Let a first task look whether trials can run where the executor runs them.

    Raises:
        WorkersError: they can't.
    """
    future = submitted(executor, environment)
    while not wait([future], WAITING_SECONDS).done:
        log.info("waiting for a first worker of %s", type(executor).__name__)
    error = error_of(future)
    if isinstance(error, WorkersError):
        raise error
    if error is not None:
        versions = ", ".join(f"{name} {found}" for name, found in environment.versions.items())
        raise WorkersError(
            f"a first task on a worker failed: {failure_text(error)}\n"
            f"Workers need what is installed here: {versions}"
        ) from error


def _share(config: ExperimentConfig) -> int:
    return max(1, cores() // config.trial_concurrency)
