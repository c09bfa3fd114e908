"""Classes that functions define, written out: no import statement finds them."""

from __future__ import annotations

import builtins
import inspect
import itertools
import symtable
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.importable import resolve

__all__ = ["Definition", "definition", "with_definitions"]

_COMMON = {
    "torch": "import torch", "nn": "import torch.nn as nn", "Tensor": "from torch import Tensor",
    "F": "import torch.nn.functional as F",
}  # fmt: skip
"""What names of generated code stand for, whoever mentions them."""
_IMPORTS = ("import ", "from ")


@dataclass(frozen=True)
class Definition:
    """A class that a function defines.

    Attributes:
        name: what the source calls it.
        dotted: its name in this process, where the source is given the class itself.
        pieces: names, and the statements that define them, for files and other processes.
        problem: why there are none.
    """

    name: str
    dotted: str
    pieces: tuple[tuple[str, str], ...] = ()
    problem: str = ""


class _UnwritableError(Exception):
    """The definition needs something that can't be written."""


def definition(name: str, dotted: str) -> Definition:
    """The definition of a class under the name that the source has for it."""
    cls: type = resolve(dotted)
    try:
        pieces = tuple(_definition(cls, ()))
    except (OSError, TypeError, _UnwritableError) as error:
        return Definition(name, dotted, problem=str(error))
    renamed = () if name == cls.__name__ else ((name, f"{name} = {cls.__name__}"),)
    return Definition(name, dotted, (*pieces, *renamed))


def with_definitions(text: str, definitions: Sequence[Definition]) -> str:
    """A source with the definitions after its imports.

    Raises:
        UnsupportedModuleError: one can't be written out.
    """
    lines = text.splitlines()
    head = list(itertools.takewhile(lambda line: line.startswith(_IMPORTS), lines))
    bound, made = _bound(text), dict[str, str]()
    for definition in definitions:
        problem = definition.problem
        for name, piece in definition.pieces:
            if name in bound and (piece in head or piece == _COMMON.get(name)):
                continue
            if name in bound or made.setdefault(name, piece) != piece:
                problem = f"{name!r} is something else in generated code"
        if problem:
            text = f"the class {definition.name!r}, which a function defines, in generated code: "
            raise UnsupportedModuleError(f"{text}{problem}; it can be defined outside of it")
    more = [piece for piece in made.values() if piece.startswith(_IMPORTS)]
    defined = [f"\n\n{piece}" for piece in made.values() if not piece.startswith(_IMPORTS)]
    return "\n".join([*head, *more, *defined, *lines[len(head) :]]) + "\n"


def _bound(text: str) -> set[str]:
    """The global names of a source."""
    table = symtable.symtable(text, "<source>", "exec")
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}


def _definition(cls: type, around: tuple[type, ...]) -> Iterator[tuple[str, str]]:
    """What has to be written for a class, the last its own definition."""
    source = textwrap.dedent(inspect.getsource(cls))
    scope = _scope(cls)
    for name in sorted(_free(source) - {cls.__name__}):
        if name not in scope:
            if hasattr(builtins, name):
                continue
            raise _UnwritableError(f"nothing tells what {name!r} is in it")
        value = scope[name]
        if isinstance(value, type) and "<locals>" in value.__qualname__:
            if value not in around:
                yield from _definition(value, (*around, cls))
            if name != value.__name__:
                yield name, f"{name} = {value.__name__}"
        else:
            yield name, _piece(name, value)
    yield cls.__name__, source.rstrip()


def _piece(name: str, value: Any) -> str:
    """The statement that makes a name stand for a value."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__}{'' if value.__name__ == name else f' as {name}'}"
    if getattr(typing, name, None) is value:
        return f"from typing import {name}"
    if isinstance(value, bool | int | float | str | None):
        return f"{name} = {value!r}"
    return _imported(name, value)


def _imported(name: str, value: Any) -> str:
    home, last = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if getattr(sys.modules.get(home or ""), last, None) is not value:
        raise _UnwritableError(f"it uses {name!r}, which no import statement finds")
    return f"from {home} import {last}{'' if last == name else f' as {name}'}"


def _free(source: str) -> set[str]:
    """The names that a definition uses and does not define."""

    def visit(table: symtable.SymbolTable) -> Iterator[str]:
        for symbol in table.get_symbols():
            outermost = table.get_type() == "module" and not symbol.is_assigned()
            if symbol.is_referenced() and (outermost or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from visit(child)

    return set(visit(symtable.symtable(source, "<class>", "exec")))


def _scope(cls: type) -> Mapping[str, Any]:
    """What the names around a class stand for, as far as that can be found out."""
    found: dict[str, Any] = dict(vars(typing))
    found |= {name: home for name, home in sys.modules.items() if "." not in name}
    found |= {base.__name__: base for base in cls.__mro__[1:]}
    found |= vars(sys.modules.get(cls.__module__, builtins))
    found |= {kind.__name__: kind for kind in _declared(vars(cls).get("__annotations__", {}))}
    for member in vars(cls).values():
        function: Any = member.fget if isinstance(member, property) else member
        function = inspect.unwrap(getattr(function, "__func__", function))
        if isinstance(function, FunctionType):
            found |= {kind.__name__: kind for kind in _declared(function.__annotations__)}
            found |= inspect.getclosurevars(function).nonlocals
    return found


def _declared(annotations: Mapping[str, Any]) -> Iterator[type]:
    """The classes that functions define, as far as annotations name them."""
    pending = list(annotations.values())
    while pending:
        kind = pending.pop()
        pending += typing.get_args(kind)
        if isinstance(kind, type) and "<locals>" in kind.__qualname__:
            yield kind
