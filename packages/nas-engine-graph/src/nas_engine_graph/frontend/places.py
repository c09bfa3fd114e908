"""Where in the user's files something is, for what is refused."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nas_core.errors import Place
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.names import is_of_torch

__all__ = ["FRAME", "located", "place_of", "unsupported"]

FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def place_of(node: Any) -> Place | None:
    """The user's file and line of a TorchScript node."""
    found = FRAME.search(node.sourceRange())
    return Place(found[1], int(found[2])) if found and "<" not in found[1] else None


def unsupported(node: Any, construct: str, path: tuple[str, ...]) -> UnsupportedModuleError:
    """The refusal of what a node of TorchScript stands for."""
    return UnsupportedModuleError(construct, ".".join(path), _nearest(node))


def _nearest(node: Any) -> Place | None:
    """The place of a node or, where TorchScript has none for it, of one that it is used with."""
    users = [use.user for output in node.outputs() for use in output.uses()]
    found = map(place_of, (node, *users, *(value.node() for value in node.inputs())))
    return next(filter(None, found), None)


@contextmanager
def located(root: nn.Module) -> Iterator[None]:
    """What is refused inside and has no place gets that of the class of the module."""
    try:
        yield
    except UnsupportedModuleError as error:
        if error.place is not None:
            raise
        place = _of_class(root, error.path)
        raise UnsupportedModuleError(error.construct, error.path, place) from error


def _of_class(root: nn.Module, path: str) -> Place | None:
    """Where the class of a module is defined or, if it is of torch, the class around it."""
    modules = [root]
    for name in path.split(".") if path else ():
        child = modules[-1]._modules.get(name)
        modules += [child] if child is not None else []
    for cls in (type(module) for module in reversed(modules)):
        if not is_of_torch(cls):
            try:
                return Place(inspect.getsourcefile(cls) or "", inspect.getsourcelines(cls)[1])
            except (OSError, TypeError):  # Its file is gone, or there was none.
                continue
    return None
