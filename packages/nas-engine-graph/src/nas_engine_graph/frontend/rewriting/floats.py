"""Integers that are given where a float is declared: Python takes them, TorchScript does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nas_engine_graph.frontend.source.marked import first_mark
from nas_engine_graph.frontend.source.mixed import cast
from nas_engine_graph.frontend.source.places import frame_of
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import name_of

__all__ = ["Integer", "integer_of", "take_for_floats"]

_SAID = re.compile(
    r"^(\w+)\(([^\n]*)\) -> [^\n]*\n"
    r"Expected a value of type '(?:Optional\[)?float\]?' for argument '(\w+)' "
    r"but instead found type 'int'",
    re.MULTILINE,
)
_NAME = re.compile(r"(\w+)(?:=[^,]*)?(?:,|$)")


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer that is given for a float.

    Attributes:
        file: where the function is in which it is given.
        line: where the call is.
        column: likewise, in the line of the file.
        function: the name of what is called.
        name: of the argument.
        index: which of the arguments it is; methods do not count ``self``.
    """

    file: str
    line: int
    column: int
    function: str
    name: str
    index: int


def integer_of(text: str) -> Integer | None:
    """The integer, if it is why TorchScript refuses."""
    said, frame = _SAID.search(text), frame_of(text)
    if said is None or frame is None:
        return None
    function, declared, wanted = said.groups()
    names = [name for name in _NAME.findall(declared) if name != "self"]
    if wanted not in names:
        return None
    index = names.index(wanted)
    return Integer(frame.file, frame.line, first_mark(text), function, wanted, index)


def take_for_floats(tree: ast.AST, first: int, indent: int, found: Iterable[Integer]) -> None:
    """Write what TorchScript takes for floats, in place.

    Args:
        tree: a function.
        first: the line of its file that is its first.
        indent: by how much it is indented there.
        found: the integers in it.
    """
    for integer in found:
        place = (integer.line - first + 1, integer.column - indent)
        calls = [node for node in nodes_of(tree) if isinstance(node, ast.Call)]
        here = [call for call in calls if (call.lineno, call.col_offset) == place]
        # ``Box(x).grown(2)`` has two that begin there; a class or module is called by another name.
        named = [call for call in here if name_of(call.func) == integer.function]
        for call in named or here[-1:]:
            _take(call, integer)


def _take(call: ast.Call, integer: Integer) -> None:
    if integer.index < len(call.args):
        call.args[integer.index] = cast(call.args[integer.index], "float")
    for word in call.keywords:
        if word.arg == integer.name:
            word.value = cast(word.value, "float")
