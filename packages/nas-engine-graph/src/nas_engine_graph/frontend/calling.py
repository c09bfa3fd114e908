"""Classes with a ``__call__`` of their own: it is what a call of the module runs.

TorchScript takes ``forward`` for it, and so it is given such a class: there ``forward`` is
``__call__``, and what that calls is a method of its own, ``forward_of_Net``.
"""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import Any

from nas_core.errors import Place
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.questions import WithoutBranches
from nas_engine_graph.frontend.sources import nodes_of, parsed

__all__ = ["Spread", "as_forward", "flags", "function_of", "next_call", "own_call", "write_out"]

_GIVEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, eq=False)
class Spread:
    """What ``*args`` and ``**keywords`` stand for in a function that hands them on.

    Attributes:
        more: the arguments, as what gets them declares them.
        kinds: their types, each under the name that it has in the source.
    """

    more: tuple[inspect.Parameter, ...]
    kinds: dict[str, Any]


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
        made.spread = _spread(cls, home, plain, signature)
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


def _spread(cls: type, home: type, plain: FunctionType, signature: inspect.Signature) -> Spread:
    _, _, following = next_call(cls, cls.__mro__[cls.__mro__.index(home) + 1 :])
    taken = list(inspect.signature(following).parameters.values())[1:]
    own = {p.name for p in signature.parameters.values() if p.kind not in _GIVEN}
    spread = {p.name for p in signature.parameters.values() if p.kind in _GIVEN}
    (definition,) = parsed(plain).body
    given = {tuple(_given(call, taken)) for call in _handing_on(definition, spread)}
    if len(given) != 1 or any(p.kind in _GIVEN for p in taken):
        raise _does_more(plain, spread)
    (names,) = given
    more = [p for p in taken if p.name not in own.union(names)]
    hints = typing.get_type_hints(inspect.unwrap(following))
    return Spread(tuple(more), {f"{p.name}_kind": hints[p.name] for p in more if p.name in hints})


def _does_more(function: FunctionType, names: set[str], path: str = "") -> UnsupportedModuleError:
    listed = " and ".join(map(repr, sorted(names)))
    return _refusal(
        function, f"which does more with {listed} than to hand it on: name what it uses", path
    )


def _refusal(function: FunctionType, what: str, path: str = "") -> UnsupportedModuleError:
    place = Place(function.__code__.co_filename, function.__code__.co_firstlineno)
    name = function.__qualname__.rpartition(".")[0].rpartition(".")[2]
    return UnsupportedModuleError(f"{name} overrides nn.Module.__call__, {what}", path, place)


def _handing_on(tree: ast.AST, spread: set[str]) -> Iterator[ast.Call]:
    """The calls of what comes next that get what is spread."""
    for node in nodes_of(tree):
        match node:
            case ast.Call(
                ast.Attribute(_, "__call__") | ast.Attribute(ast.Name("self"), "forward")
            ) if _spreads(node, spread):
                yield node


def _spreads(call: ast.Call, spread: set[str]) -> list[str]:
    values = [a.value for a in call.args if isinstance(a, ast.Starred)]
    values += [keyword.value for keyword in call.keywords if keyword.arg is None]
    return [v.id for v in values if isinstance(v, ast.Name) and v.id in spread]


def _given(call: ast.Call, taken: list[inspect.Parameter]) -> Iterator[str]:
    """The arguments that a call gives by itself."""
    first = [a for a in call.args if not isinstance(a, ast.Starred)]
    match call.func:
        case ast.Attribute(ast.Name() | ast.Attribute(), "__call__") if first:
            del first[0]  # ``nn.Module.__call__(self, x)``
    yield from (p.name for p, _ in zip(taken, first, strict=False))
    yield from (keyword.arg for keyword in call.keywords if keyword.arg is not None)


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


def write_out(tree: ast.Module, function: Any, owner: nn.Module, path: str) -> None:
    """Let a ``__call__`` take what it spreads one by one, in place.

    Args:
        tree: its source.
        function: what ``as_forward`` has made of it.
        owner: the module, as TorchScript looks at it.
        path: where that is.

    Raises:
        UnsupportedModuleError: it does more with what it spreads than to hand it on.
    """
    spread: Spread = function.spread
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef)
    _Flagged(owner).visit(definition)
    ends = (i for i, node in enumerate(definition.body) if isinstance(node, ast.Return | ast.Raise))
    del definition.body[next(ends, len(definition.body)) + 1 :]
    arguments = definition.args
    names = {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
    variables = [node for node in nodes_of(definition) if isinstance(node, ast.Name)]
    calls = list(_handing_on(definition, names))
    handed = sum(len(_spreads(call, names)) for call in calls)
    if handed != len([variable for variable in variables if variable.id in names]):
        raise _does_more(function, names, path)
    more = {p.name for p in spread.more}
    own = more & {node.id for node in variables if isinstance(node.ctx, ast.Store)}
    for variable in variables:
        if variable.id in own:
            variable.id += "_"  # Which only has the same name.
    for call in calls:
        call.args = [a for a in call.args if not isinstance(a, ast.Starred)]
        call.keywords = [k for k in call.keywords if k.arg is not None]
        call.keywords += [ast.keyword(n, ast.Name(n, ast.Load())) for n in sorted(more)]
    arguments.vararg = arguments.kwarg = None
    for parameter in spread.more:
        kind = f"{parameter.name}_kind"
        annotation = ast.Name(kind, ast.Load()) if kind in spread.kinds else None
        arguments.args.append(ast.arg(parameter.name, annotation))
        if parameter.default is not parameter.empty:
            arguments.defaults.append(ast.Constant(parameter.default))
    for node in nodes_of(definition):
        if "lineno" in node._attributes and not hasattr(node, "lineno"):
            ast.copy_location(node, definition)
