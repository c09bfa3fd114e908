"""Where in the user's files something is, for what is refused."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from nas_core.errors import Place
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.scripted import inputs_of, outputs_of
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = [
    "Frame",
    "frame_of",
    "frames_of",
    "located",
    "place_of",
    "placed",
    "unsupported",
    "written_at",
]

Tree = TypeVar("Tree", bound=ast.AST)

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


class Frame(NamedTuple):
    """A line that TorchScript shows.

    Attributes:
        file: where it is.
        line: its number.
        said: what stands before it.
    """

    file: str
    line: int
    said: str


def frames_of(text: str) -> Iterator[Frame]:
    """The lines that a message of TorchScript shows, in its order."""
    for found in _FRAME.finditer(text):
        yield Frame(found[1], int(found[2]), text[: found.start()])


def frame_of(text: str) -> Frame | None:
    """The first line that a message shows, if there is one."""
    return next(frames_of(text), None)


def place_of(node: Any) -> Place | None:
    """The user's file and line of a TorchScript node."""
    frame = frame_of(node.sourceRange())
    return Place(frame.file, frame.line) if frame and "<" not in frame.file else None


def placed(made: Tree, place: ast.expr | ast.stmt | ast.arg) -> Tree:
    """What is written here in the place of something in the user's file."""
    for node in nodes_of(made):
        ast.copy_location(node, place)
    return made


def written_at(first: Place, node: ast.AST) -> str:
    """A part of a function as it stands in the user's file.

    Args:
        first: where the function begins.
        node: a part of its source.
    """
    lines = linecache.getlines(first.file)[first.line - 1 :]
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    text = ast.get_source_segment("".join(line[indent:] or "\n" for line in lines), node)
    return text or ast.unparse(node)


def unsupported(node: Any, construct: str, path: tuple[str, ...]) -> UnsupportedModuleError:
    """The refusal of what a node of TorchScript stands for."""
    return UnsupportedModuleError(construct, ".".join(path), _nearest(node))


def _nearest(node: Any) -> Place | None:
    """The place of a node or, where TorchScript has none for it, of one that it is used with."""
    users = [use.user for output in outputs_of(node) for use in output.uses()]
    found = map(place_of, (node, *users, *(value.node() for value in inputs_of(node))))
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
        raise UnsupportedModuleError(error.construct, error.path, place, error.outermost) from error


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
