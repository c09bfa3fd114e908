"""Functions that take any number of arguments, such as ``einops.rearrange``, called as they are.

TorchScript has no words for them. So it reads calls of stand-ins that it leaves alone, each for
calls with so many arguments and keywords of these names.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any, TypeVar

import torch
from torch import Tensor

from nas_engine_graph.frontend.encode import NotEncodableError, symbol_of
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.rewriting.parts import argument_type
from nas_engine_graph.frontend.source.mixed import PREFIX
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.variables import value_of

__all__ = ["STAND_INS", "Varied", "leave_varied", "varied_of"]

STAND_INS: dict[str, Callable[..., Any]] = {}
"""What TorchScript finds by the names that ``leave_varied`` writes."""
_VARIED = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Varied:
    """A call of such a function.

    Attributes:
        function: its dotted name.
        positional: how many arguments come before those that have names.
        keywords: these names.
    """

    function: str
    positional: int
    keywords: tuple[str, ...]


def leave_varied(tree: ast.AST, around: Mapping[str, Any]) -> None:
    """Writes calls of such functions as those of stand-ins, in the tree of a function.

    Variables around it tell what it calls.

    A function that does not declare what it returns is left to TorchScript, which refuses it unless
    it never comes there.
    """
    _Varied(around).visit(tree)


def varied_of(function: Any) -> Varied | None:
    """The call that one of ``STAND_INS`` stands for; None for any other function."""
    found: Varied | None = getattr(function, "stands_for", None)
    return found


class _Varied(Rewriter):
    def __init__(self, around: Mapping[str, Any]) -> None:
        self.around = around

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = value_of(node.func, self.around)
        spread = any(isinstance(argument, ast.Starred) for argument in node.args)
        if spread or not _is_varied(called) or (kind := _returned(called)) is None:
            return node
        names = tuple(keyword.arg for keyword in node.keywords if keyword.arg is not None)
        if len(names) < len(node.keywords):
            return node
        try:
            call = Varied(symbol_of(called).name, len(node.args), names)
        except NotEncodableError:
            return node
        name = ast.copy_location(ast.Name(_stand_in(call, called, kind), ast.Load()), node.func)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return ast.copy_location(ast.Call(name, given, []), node)


def _is_varied(function: Any) -> bool:
    if not isinstance(function, FunctionType) or is_of_torch(function):
        return False
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and bool(code.co_flags & _VARIED)


@cache
def _stand_in(call: Varied, called: Callable[..., Any], kind: Any) -> str:
    """The name of a function that TorchScript calls without reading it."""

    def stand_in(*given: Any) -> Any:
        keywords = dict(zip(call.keywords, given[call.positional :], strict=True))
        return called(*given[: call.positional], **keywords)

    count = call.positional + len(call.keywords)
    parameters = [
        inspect.Parameter(f"given_{i}", inspect.Parameter.POSITIONAL_ONLY, annotation=Any)
        for i in range(count)
    ]
    made: Any = torch.jit.ignore(stand_in)  # type: ignore[no-untyped-call]
    made.__signature__ = inspect.Signature(parameters, return_annotation=kind)
    made.stands_for = call
    name = f"{PREFIX}call_{next(_NUMBERS)}"
    STAND_INS[name] = made
    return name


@cache
def _returned(function: Callable[..., Any]) -> Any:
    """What TorchScript takes the result for; None if nothing tells what it is."""
    try:
        hint = typing.get_type_hints(inspect.unwrap(function)).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    if isinstance(hint, TypeVar):  # Libraries for several frameworks call theirs a tensor.
        return Tensor if hint.__name__ == "Tensor" else None
    return hint and argument_type(hint)
