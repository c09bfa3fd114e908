"""What submodules that are called as a whole keep: nobody else may read it.

Merged code calls them, and changes what they hold, but runs none of the Python around them: what
that has read was there when it was traced, and would be found for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from nas_engine_cgo.members.held import changed_attribute, changed_attributes, held_by
from nas_engine_cgo.members.record import UntraceableError

__all__ = ["Attribute", "Kept"]

Attribute = tuple[str, str]
"""The path of a module, and the name of what it holds."""
_OF_EVERY_MODULE = vars(nn.Module()).keys()


class Kept:
    """What the modules of a model hold, while it is traced.

    Args:
        model: runs on tensors without storage.
        names: what is known to change, by training.
    """

    def __init__(self, model: nn.Module, names: Iterable[Attribute]) -> None:
        self._modules = dict(model.named_modules())
        self._paths = {id(module): path for path, module in self._modules.items()}
        self._values: dict[Attribute, Any] = {}
        for path, name in names:
            self._hide(path, name)
        self._before = {path: held_by(module) for path, module in self._modules.items()}

    @property
    def names(self) -> frozenset[Attribute]:
        """What whole calls have changed, or was known to change."""
        return frozenset(self._values)

    def check(self) -> None:
        """See that nothing but whole calls has changed anything.

        Raises:
            UntraceableError: a module holds something else than before.
        """
        for path in self._modules:
            self._check(path)

    @contextmanager
    def lent(self, called: nn.Module) -> Iterator[None]:
        """Let a module that is called as a whole, and those in it, have what they hold.

        Raises:
            UntraceableError: one of them holds something else than it has left there.
        """
        paths = [self._paths[id(module)] for module in called.modules()]
        for path in paths:
            self._check(path)
        for path, name in self._values:
            if path in paths:
                self._show(path, name)
        before = {path: held_by(self._modules[path]) for path in paths}
        yield
        changed = [
            (path, name.partition(".")[0])
            for path in paths
            for name in changed_attributes(self._modules[path], before[path])
        ]
        for path, name in {*changed, *(each for each in self._values if each[0] in paths)}:
            if name not in _OF_EVERY_MODULE:
                self._hide(path, name)
        self._before |= {path: held_by(self._modules[path]) for path in paths}

    def _check(self, path: str) -> None:
        module = self._modules[path]
        if (name := changed_attribute(module, self._before[path])) is not None:
            raise UntraceableError(f"{type(module).__name__} changes its attribute {name}")

    def _hide(self, path: str, name: str) -> None:
        module = self._modules[path]
        self._values[path, name] = vars(module).get(name, _NOTHING)
        reason = f"{name} of {type(module).__name__}, which changes, is read"
        module.__dict__[name] = _Hidden(reason)

    def _show(self, path: str, name: str) -> None:
        holder, value = self._modules[path].__dict__, self._values[path, name]
        if value is _NOTHING:
            del holder[name]
        else:
            holder[name] = value


_NOTHING = object()


class _Hidden:
    """Stands where something is kept; whoever uses it is told that he may not."""

    def __init__(self, reason: str) -> None:
        self.__dict__["_reason"] = reason

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UntraceableError(self.__dict__["_reason"])


def _refuses(hidden: _Hidden, *_: Any) -> Any:
    raise UntraceableError(hidden.__dict__["_reason"])


_USES = (
    *("call", "bool", "len", "iter", "next", "getitem", "setitem", "contains", "str", "format"),
    *("eq", "ne", "lt", "le", "gt", "ge", "neg", "abs", "float", "int", "index"),
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or"),
    *("radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "rmatmul", "rand", "ror"),
)
for _use in _USES:
    setattr(_Hidden, f"__{_use}__", _refuses)
