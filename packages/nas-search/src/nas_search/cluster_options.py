"""What may be asked of a cluster: the keys of ``executor_options``, checked beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nas_core.errors import nearest

__all__ = ["CLUSTERS", "ClusterOptions", "problems"]

CLUSTERS = ("ray", "dask")


@dataclass(frozen=True)
class ClusterOptions:
    """Where a cluster is, and what of it each trial needs.

    Attributes:
        address: of Ray's head (``"host:6379"``, ``"ray://host:10001"``) or Dask's scheduler
            (``"tcp://host:8786"``); without one a cluster is started on this machine, for this
            machine alone.
        cpus: processors per trial; torch uses so many threads.
        gpus: GPUs per trial.
        memory: bytes per trial.
        resources: name → amount of whatever else the workers declare.
        patience: seconds to wait for the cluster to answer, and for machines that are large enough.
    """

    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    memory: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    patience: float = 60.0


KNOWN = tuple(each.name for each in fields(ClusterOptions))


def problems(executor: str, options: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the options of an executor; each begins with the key.

    >>> list(problems("ray", {"gpu": 1}))
    ["executor_options.gpu is unknown (there are: address, cpus, gpus, memory, resources, \
patience); did you mean 'gpus'?"]
    >>> list(problems("local", {"cpus": 1}))
    ["executor_options.cpus is for the executors 'ray' and 'dask', not for 'local'"]
    """
    for key, value in options.items():
        name = f"executor_options.{key}"
        if key not in KNOWN:
            yield f"{name} is unknown (there are: {', '.join(KNOWN)}){nearest(key, KNOWN)}"
        elif executor not in CLUSTERS:
            kinds = " and ".join(map(repr, CLUSTERS))
            yield f"{name} is for the executors {kinds}, not for {executor!r}"
        elif key == "address":
            if not isinstance(value, str) or not value:
                yield f"{name} must be a text such as 'host:6379', not {value!r}"
        elif key == "resources":
            if not isinstance(value, Mapping) or not all(map(_is_amount, value.values())):
                yield f"{name} must be a table of names and amounts above 0, not {value!r}"
        elif not _is_amount(value):
            yield f"{name} must be a number above 0, not {value!r}"


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e18
