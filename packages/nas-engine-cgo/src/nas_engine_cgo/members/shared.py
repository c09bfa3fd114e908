"""What trials share besides their data: variables of modules and classes, defaults, a loss.

Who changes one of these decides what the next trial finds there. One after the other they find what
all trials before have left; together they would find what all have done so far.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_cgo.members.calls import version_of
from nas_engine_cgo.members.held import Held, changed_attribute, held_by, holders_of, put_back

__all__ = ["Shared"]

_FOREIGN = frozenset({"torch", "builtins", "nas_core", "nas_search", "typing", "abc"})
_DEPTH = 1
"""Objects in variables are looked into, but not those in these."""


class Shared:
    """The values of what modules and functions share with others of their kind, as they are now.

    Args:
        modules: whose classes are looked at, and the Python modules that these come from.
        functions: what trials share as it is, such as a loss or a metric.

    >>> counts = [0]
    >>> def metric(outputs, target):
    ...     counts[0] += 1
    >>> shared = Shared([], [metric])
    >>> metric(None, None)
    >>> shared.changed(), counts
    ('counts', [1])
    >>> shared.put_back()
    >>> counts
    [0]
    """

    def __init__(self, modules: Iterable[nn.Module], functions: Iterable[Callable[..., object]]):
        kinds: dict[type, None] = dict.fromkeys(type(module) for module in modules)
        homes = dict.fromkeys(home for kind in kinds for home in _homes(kind))
        own = [holder for function in functions for holder in holders_of(function)]
        for holder in own:
            kind: Any = type(holder)
            homes |= dict.fromkeys(_homes(kind))
        self._held: list[tuple[object, Held]] = [(h, held_by(h, depth=_DEPTH)) for h in homes]
        self._held += [(holder, held_by(holder)) for holder in own]
        self._tensors = [(t, version_of(t), t.detach().clone()) for t in _tensors(own)]

    def changed(self) -> str | None:
        """The name of something that is otherwise now; None if nothing is."""
        for holder, held in self._held:
            if (name := changed_attribute(holder, held)) is not None:
                return name
        if any(version_of(tensor) != version for tensor, version, _ in self._tensors):
            return "a tensor"
        return None

    def put_back(self) -> None:
        """Let all be as it was."""
        for holder, held in self._held:
            put_back(holder, held)
        with torch.no_grad():
            for tensor, _, content in self._tensors:
                tensor.copy_(content)


@functools.lru_cache(maxsize=512)
def _homes(kind: Any) -> tuple[object, ...]:
    """Classes, functions with defaults or variables around them, and Python modules."""
    found: list[object] = []
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in _FOREIGN:
            continue
        found.append(base)
        functions = [f for f in vars(base).values() if isinstance(f, types.FunctionType)]
        found += [f for f in functions if f.__defaults__ or f.__kwdefaults__ or f.__closure__]
        if (module := sys.modules.get(base.__module__)) is not None:
            found.append(module)
    return tuple(dict.fromkeys(found))


def _tensors(holders: Iterable[object]) -> Iterator[Tensor]:
    for holder in holders:
        if isinstance(holder, nn.Module):
            yield from holder.parameters(recurse=False)
            yield from holder.buffers(recurse=False)
        else:
            held = getattr(holder, "__dict__", {}).values()
            yield from (value for value in held if isinstance(value, Tensor))
