"""The options that users give, checked, as those that the training follows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nas_core.errors import EngineOptionError

from nas_engine_cgo.train import Options

__all__ = ["with_options"]

_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6}
_UNITS |= {"GB": 10**9}


def with_options(options: Options, given: Mapping[str, Any]) -> Options:
    """Options with those that a user gives in their place.

    >>> with_options(Options(), {"cluster_size": 8, "memory": "2GiB"}).memory
    2147483648
    >>> with_options(Options(), {"clustersize": 8})
    Traceback (most recent call last):
    nas_core.errors.EngineOptionError: engine 'cgo' has no option 'clustersize' (it has: \
cluster_size, cuda_graph, exact, memory, tape, twins, widen); did you mean 'cluster_size'?

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
}
"""Option → what makes its value of what a user gives; ``ValueError`` says what is accepted."""
