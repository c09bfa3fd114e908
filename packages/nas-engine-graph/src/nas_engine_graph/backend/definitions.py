"""Classes that functions define, written out: no import statement finds them."""

from __future__ import annotations

import builtins
import inspect
import io
import itertools
import symtable
import sys
import textwrap
import tokenize
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.importable import local_name, resolve

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
        own: its name in its own definition.
        pieces: names, and the statements that define them, for files and other processes.
        inner: the names, in this process, of other such classes among them.
        problem: why there are none.
    """

    name: str
    dotted: str
    own: str
    pieces: tuple[tuple[str, str], ...] = ()
    inner: tuple[str, ...] = ()
    problem: str = ""


class _UnwritableError(Exception):
    """The definition needs something that can't be written."""


def definition(name: str, dotted: str) -> Definition:
    """The definition of a class under the name that the source has for it."""
    cls: type = resolve(dotted)
    inner: list[type] = []
    try:
        pieces = tuple(_definition(cls, (), inner))
    except (OSError, TypeError, _UnwritableError) as error:
        return Definition(name, dotted, cls.__name__, problem=str(error))
    return Definition(name, dotted, cls.__name__, pieces, tuple(map(local_name, inner)))


def with_definitions(text: str, definitions: Sequence[Definition]) -> str:
    """A source with the definitions after its imports.

    One that needs a name for something else than the source, or those before it, do, is written in
    a function of its own.

    Raises:
        UnsupportedModuleError: one can't be written out.
    """
    lines = text.splitlines()
    head = list(itertools.takewhile(lambda line: line.startswith(_IMPORTS), lines))
    bound, made, apart = _bound(text), dict[str, str](), list[str]()
    for definition in definitions:
        new = [p for p in definition.pieces if not (p[0] in bound and _is_known(*p, head))]
        clashes = any(name in bound or made.get(name, piece) != piece for name, piece in new)
        if problem := definition.problem or (_shared(definition, definitions) if clashes else ""):
            text = f"the class {definition.name!r}, which a function defines, in generated code: "
            raise UnsupportedModuleError(f"{text}{problem}; it can be defined outside of it")
        if clashes:
            apart += _in_a_function(definition)
            continue
        made.update(new)
        if definition.name != definition.own:
            made[definition.name] = f"{definition.name} = {definition.own}"
    more = [piece for piece in made.values() if piece.startswith(_IMPORTS)]
    defined = [f"\n\n{piece}" for piece in made.values() if not piece.startswith(_IMPORTS)]
    return "\n".join([*head, *more, *defined, *apart, *lines[len(head) :]]) + "\n"


def _is_known(name: str, piece: str, head: Sequence[str]) -> bool:
    """Whether a source has the import that defines a name."""
    return piece in head or piece == _COMMON.get(name)


def _shared(definition: Definition, others: Sequence[Definition]) -> str:
    """Why a definition can't be written apart from others: they need a class in it, too."""
    for other in others:
        found = {definition.dotted, *definition.inner} & {other.dotted, *other.inner}
        if other is not definition and found:
            return f"{other.name!r} is or needs one of the same classes"
    return ""


def _in_a_function(definition: Definition) -> Iterator[str]:
    """A definition with names of its own, as it had in the function where it was."""
    made = f"_{definition.name}_"
    yield f"\n\ndef {made}():"
    for _, piece in definition.pieces:
        yield from _indented(piece)
    yield f"    return {definition.own}"
    yield f"\n\n{definition.name} = {made}()"


def _indented(piece: str) -> Iterator[str]:
    """The lines of a statement inside of a function; texts keep theirs."""
    tokens = tokenize.generate_tokens(io.StringIO(piece).readline)
    within = {n for t in tokens if t.string.strip() for n in range(t.start[0] + 1, t.end[0] + 1)}
    for number, line in enumerate(piece.splitlines(), 1):
        yield line if number in within or not line else f"    {line}"


def _bound(text: str) -> set[str]:
    """The global names of a source."""
    table = symtable.symtable(text, "<source>", "exec")
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}


def _definition(
    cls: type, around: tuple[type, ...], inner: list[type]
) -> Iterator[tuple[str, str]]:
    """What has to be written for a class, the last its own definition; notes those in it."""
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
                inner.append(value)
                yield from _definition(value, (*around, cls), inner)
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
