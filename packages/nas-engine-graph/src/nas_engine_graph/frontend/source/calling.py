"""Classes with a ``__call__`` of their own: it is what a call of the module runs.

TorchScript takes ``forward`` for it, and so it is given such a class: there ``forward`` is
``__call__``, and what that calls is a method of its own, ``forward_of_Net``.
"""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any

from nas_core.errors import Place
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.questions import WithoutBranches
from nas_engine_graph.frontend.source.spreading import Spread, spread_of

__all__ = ["as_forward", "flags", "function_of", "next_call", "own_call", "write_out"]

_GIVEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def own_call(cls: Any) -> Any:
    """The ``__call__`` of a class that is none of torch's; None for others."""
    homes = _homes(cls)
    return vars(homes[0])["__call__"] if homes else None


def function_of(cls: Any, name: str) -> Any:
    """The member of a class that TorchScript calls so."""
    calls = name == "forward" and own_call(cls) is not None
    return as_forward(cls) if calls else getattr(cls, name, None)


@lru_cache(maxsize=4096)
def as_forward(cls: Any) -> FunctionType:
    """What a call of a module runs, under the name ``forward``.

    Raises:
        UnsupportedModuleError: it can't be read.
    """
    return _form(cls, 0)


def next_call(cls: type, bases: Sequence[type]) -> tuple[type, str, Any]:
    """What ``super().__call__`` is: where it is written, what it is there, and the function.

    Args:
        cls: the class of the module.
        bases: those of its bases that come next, one after the other.
    """
    homes = _homes(cls)
    for base in bases:
        if base in homes:
            return base, "call", _form(cls, homes.index(base))
    found = next(base for base in cls.__mro__ if "forward" in vars(base))
    return found, "forward", vars(found)["forward"]


def _homes(cls: type) -> list[type]:
    """The classes of the user's in which a class has a ``__call__``."""
    homes = [base for base in cls.__mro__ if "__call__" in vars(base) and not is_of_torch(base)]
    # A library cell takes its inputs one by one, too, and hands forward their list.
    packs = any(getattr(vars(base)["__call__"], "packs_arguments", False) for base in homes)
    return homes if issubclass(cls, nn.Module) and not packs else []


def _form(cls: Any, index: int) -> FunctionType:
    home = _homes(cls)[index]
    decorated = vars(home)["__call__"]
    plain = inspect.unwrap(decorated)
    if not isinstance(plain, FunctionType):
        text = f"{home.__name__} overrides nn.Module.__call__ with a {type(plain).__name__}"
        raise UnsupportedModuleError(text)
    code, scope, cells = plain.__code__, plain.__globals__, plain.__closure__
    function = FunctionType(code, scope, "forward", plain.__defaults__, cells)
    made: Any = function
    made.__kwdefaults__, made.__annotations__ = plain.__kwdefaults__, plain.__annotations__
    made.__module__, made.__qualname__ = plain.__module__, plain.__qualname__
    made.decorated, made.home = decorated, home
    signature = inspect.signature(plain)
    if any(p.kind in _GIVEN for p in signature.parameters.values()):
        made.spread = _spread(cls, home, plain)
        own = [p for p in signature.parameters.values() if p.kind not in _GIVEN]
        late = [p for p in own if p.kind is p.KEYWORD_ONLY]
        first = [p for p in own if p.kind is not p.KEYWORD_ONLY]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        more = [p.replace(kind=kind) for p in made.spread.more]
        try:
            made.__signature__ = signature.replace(parameters=[*first, *more, *late])
        except ValueError as error:
            raise _refusal(plain, f"of which the arguments have no order: {error}") from error
    return function


def _spread(cls: type, home: type, plain: FunctionType) -> Spread:
    _, _, following = next_call(cls, cls.__mro__[cls.__mro__.index(home) + 1 :])
    hints = typing.get_type_hints(inspect.unwrap(following))
    taken = list(inspect.signature(following).parameters.values())[1:]
    if (found := spread_of(plain, taken, hints)) is None:
        raise _does_more(plain)
    return found


def write_out(tree: ast.Module, function: Any, owner: nn.Module, path: str) -> None:
    """Let a ``__call__`` take what it spreads one by one, in place.

    Args:
        tree: its source.
        function: what ``as_forward`` has made of it.
        owner: the module, as TorchScript looks at it.
        path: where that is.

    Raises:
        UnsupportedModuleError: it does what hangs on how it is called.
    """
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef)
    _Flagged(owner).visit(definition)
    ends = (i for i, node in enumerate(definition.body) if isinstance(node, ast.Return | ast.Raise))
    del definition.body[next(ends, len(definition.body)) + 1 :]
    if not function.spread.write_out(definition):
        raise _does_more(function, path)


def _does_more(function: FunctionType, path: str = "") -> UnsupportedModuleError:
    code, many = function.__code__, (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS)
    names = code.co_varnames[code.co_argcount + code.co_kwonlyargcount :]
    count = sum(bool(code.co_flags & flag) for flag in many)
    listed = " and ".join(map(repr, names[:count]))
    what = (
        f"which does more with {listed} than to hand it on, and to take items that are always "
        "there: name what it uses"
    )
    return _refusal(function, what, path)


def _refusal(function: FunctionType, what: str, path: str = "") -> UnsupportedModuleError:
    place = Place(function.__code__.co_filename, function.__code__.co_firstlineno)
    name = function.__qualname__.rpartition(".")[0].rpartition(".")[2]
    return UnsupportedModuleError(f"{name} overrides nn.Module.__call__, {what}", path, place)


def flags(owner: Any) -> dict[str, bool]:
    """The bools among the attributes of a module that no method changes.

    Args:
        owner: the module, as TorchScript looks at it.
    """
    values = {name: getattr(owner, name, None) for name in getattr(owner, "__constants__", ())}
    return {name: value for name, value in values.items() if type(value) is bool}


class _Flagged(WithoutBranches):
    """Leaves out the branches that flags of a module rule out, which no method changes."""

    def __init__(self, owner: nn.Module) -> None:
        self.owner = owner

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Attribute(ast.Name("self"), name) if name in (known := flags(self.owner)):
                return ast.copy_location(ast.Constant(known[name]), node)
        return node
