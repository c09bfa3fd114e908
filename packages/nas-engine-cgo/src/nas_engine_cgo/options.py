"""The options that users give, checked, as those that the training follows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from nas_core.errors import EngineOptionError

__all__ = ["PASSES", "Options", "with_options"]

PASSES = ("share_data", "deduplicate", "cache_features", "fuse", "stack_optimizer")
"""What may be switched off, to see what it is for."""

_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6}
_UNITS |= {"GB": 10**9}


@dataclass(frozen=True)
class Options:
    """How members are run together.

    Attributes:
        layout: of the weights of convolutions.
        exact: whether each member gets the bits that it gets alone; only on CPU.
        cluster_size: how many members are merged with each other; None to find out.
        memory: bytes that members may take together; None for half of what there is.
        cuda_graph: whether steps are launched as a CUDA graph, where there is CUDA.
        tape: whether steps on a CPU are repeated from a tape, without autograd.
        twins: members that are the same model in other names are trained ``"each"``, or
            ``"once"`` for all.
        widen: whether zeros are added to layers that differ in width, so that they are one; None to
            find out.
        share_data: whether members for whom the data comes in one order read it once.
        deduplicate: whether equal calls of equal values that train nothing are made once.
        cache_features: whether what frozen layers make of the data is kept for all epochs.
        fuse: whether calls that are the same but for their weights run together.
        stack_optimizer: whether parameters that lie together take their steps together.
    """

    layout: Literal["contiguous", "channels_last"] = "contiguous"
    exact: bool = False
    cluster_size: int | None = None
    memory: int | None = None
    cuda_graph: bool = True
    tape: bool = True
    twins: Literal["each", "once"] = "each"
    widen: bool | None = None
    share_data: bool = True
    deduplicate: bool = True
    cache_features: bool = True
    fuse: bool = True
    stack_optimizer: bool = True

    @property
    def left_out(self) -> tuple[str, ...]:
        """The passes that are switched off.

        >>> Options(fuse=False).left_out
        ('fuse',)
        """
        return tuple(name for name in PASSES if not getattr(self, name))

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout in torch's words, which can't be sent to another process reliably."""
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format


def with_options(options: Options, given: Mapping[str, Any]) -> Options:
    """Options with those that a user gives in their place.

    >>> with_options(Options(), {"cluster_size": 8, "memory": "2GiB"}).memory
    2147483648
    >>> with_options(Options(), {"clustersize": 8})
    Traceback (most recent call last):
    nas_core.errors.EngineOptionError: engine 'cgo' has no option 'clustersize' (it has: \
cluster_size, cuda_graph, exact, memory, tape, twins, widen, share_data, deduplicate, \
cache_features, fuse, stack_optimizer); did you mean 'cluster_size'?

    Raises:
        EngineOptionError: there is no such option, or its value is not accepted.
    """
    read = {}
    for name, value in given.items():
        if name not in _READERS:
            raise EngineOptionError("cgo", name, known=_READERS)
        try:
            read[name] = _READERS[name](value)
        except ValueError as error:
            raise EngineOptionError("cgo", name, f"must be {error}, not {value!r}") from None
    return replace(options, **read)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("a whole number >= 1")
    return value


def _bytes(value: object) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", value) if isinstance(value, str) else None
    if found is not None and found[2] in _UNITS:
        value = int(float(found[1]) * _UNITS[found[2]])
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError('a number of bytes, or a text such as "2GiB"')
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _each_or_once(value: object) -> object:
    if value not in ("each", "once"):
        raise ValueError('"each" or "once"')
    return value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "cluster_size": _count,
    "cuda_graph": _flag,
    "exact": _flag,
    "memory": _bytes,
    "tape": _flag,
    "twins": _each_or_once,
    "widen": _flag,
    **dict.fromkeys(PASSES, _flag),
}
"""Option → what makes its value of what a user gives; ``ValueError`` says what is accepted."""
