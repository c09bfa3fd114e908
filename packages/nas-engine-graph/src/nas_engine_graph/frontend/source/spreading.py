"""What a ``__call__`` takes as ``*args`` and ``**keywords``: the arguments of what comes next."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from types import FunctionType
from typing import Any

from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of, parsed

__all__ = ["Spread", "spread_from", "spread_names", "spread_of"]


@dataclass(frozen=True, eq=False)
class Spread:
    """What ``*args`` and ``**keywords`` stand for in a function that hands them on.

    Attributes:
        more: the arguments, as what gets them declares them.
        kinds: their types, each under the name that it has in the source.
        given: the arguments that its calls of what comes next give by themselves.
        items: of those of ``*args`` the names; None for one that may not be there.
        count: how many these are, if that is certain.
    """

    more: tuple[Parameter, ...]
    kinds: dict[str, Any]
    given: frozenset[str]
    items: tuple[str | None, ...]
    count: int | None

    def write_out(self, definition: ast.FunctionDef) -> bool:
        """Let the function take them one by one, in place; whether it can."""
        arguments = definition.args
        names = spread_names(arguments)
        calls = list(_handing_on(definition, names))
        more = {p.name for p in self.more}
        variables = [node for node in nodes_of(definition) if isinstance(node, ast.Name)]
        own = more & {node.id for node in variables if isinstance(node.ctx, ast.Store)}
        for variable in variables:
            if variable.id in own:
                variable.id += "_"  # Which only has the same name.
        for call in calls:
            call.args = [a for a in call.args if spread_from(a, names) is None]
            call.keywords = [k for k in call.keywords if spread_from(k, names) is None]
            handed = sorted(more - self.given)
            call.keywords += [ast.keyword(n, ast.Name(n, ast.Load())) for n in handed]
        if arguments.vararg is not None:
            _Items(arguments.vararg.arg, self).visit(definition)
        arguments.vararg = arguments.kwarg = None
        for parameter in self.more:
            kind = f"{parameter.name}_kind"
            annotation = ast.Name(kind, ast.Load()) if kind in self.kinds else None
            arguments.args.append(ast.arg(parameter.name, annotation))
            if parameter.default is not parameter.empty:
                arguments.defaults.append(ast.Constant(parameter.default))
        for node in nodes_of(definition):
            if "lineno" in node._attributes and not hasattr(node, "lineno"):
                ast.copy_location(node, definition)
        return not any(isinstance(n, ast.Name) and n.id in names for n in nodes_of(definition))


class _Items(Rewriter):
    """Names the items of ``*args``, and counts them."""

    def __init__(self, name: str, spread: Spread) -> None:
        self.name, self.spread = name, spread

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if (index := _index(node, self.name)) is not None:
            at = index if index >= 0 else index + (self.spread.count or 0)
            item = self.spread.items[at] if 0 <= at < len(self.spread.items) else None
            return node if item is None else ast.copy_location(ast.Name(item, ast.Load()), node)
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id != self.name or self.spread.count is None or isinstance(node.ctx, ast.Store):
            return node
        names = [ast.Name(name, ast.Load()) for name in filter(None, self.spread.items)]
        return ast.copy_location(ast.Tuple(list(names), ast.Load()), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node:
            case ast.Call(ast.Name("len"), [ast.Name(self.name)], []):
                if self.spread.count is not None:
                    return ast.copy_location(ast.Constant(self.spread.count), node)
        return self.generic_visit(node)  # type: ignore[return-value]


def spread_of(
    function: FunctionType, taken: Sequence[Parameter], hints: Mapping[str, Any]
) -> Spread | None:
    """What a function spreads; None if that is not certain.

    Args:
        function: a ``__call__``.
        taken: the parameters of what it calls next.
        hints: their types.
    """
    (definition,) = parsed(function).body
    assert isinstance(definition, ast.FunctionDef)
    arguments, names = definition.args, spread_names(definition.args)
    first = [a.arg for a in (*arguments.posonlyargs, *arguments.args)][1:]
    own = {*first, *(a.arg for a in arguments.kwonlyargs)}
    calls = list(_handing_on(definition, names))
    given = {frozenset(_given(call, taken)) for call in calls} or {frozenset[str]()}
    starts = {start for call in calls for start in _starts(call, names)} or {len(first)}
    many = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    if len(given) != 1 or len(starts) != 1 or any(p.kind in many for p in taken):
        return None
    (alone,), (start,) = given, starts
    if start < 0:
        return None
    positional = [p for p in taken[start:] if p.kind is not p.KEYWORD_ONLY]
    certain = [p.name not in own and p.default is p.empty for p in positional]
    items = tuple(p.name if sure else None for p, sure in zip(positional, certain, strict=True))
    # By words they may be given, too: then there are fewer.
    counts = arguments.vararg is not None and arguments.kwarg is None and calls and all(certain)
    count = len(items) if counts else None
    used = set(_used(definition, arguments.vararg.arg, items)) if arguments.vararg else set()
    # What is not handed on need not be given.
    handed = {p.name for p in taken if calls or p.default is not p.empty} - alone
    more = tuple(p for p in taken if p.name not in own and p.name in handed | used)
    kinds = {f"{p.name}_kind": hints[p.name] for p in more if p.name in hints}
    return Spread(more, kinds, alone, items, count)


def spread_names(arguments: ast.arguments) -> set[str]:
    """The arguments that take any number."""
    return {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}


def _used(tree: ast.AST, name: str, items: Sequence[str | None]) -> Iterator[str]:
    """The items of ``*args`` that are taken out of it."""
    for node in nodes_of(tree):
        index = _index(node, name)
        if index is not None and -len(items) <= index < len(items):
            yield from filter(None, [items[index]])


def _index(node: ast.AST, name: str) -> int | None:
    """Which item of a variable an expression is."""
    match node:
        case ast.Subscript(ast.Name(owner), ast.Constant(index)) if owner == name:
            return index if type(index) is int else None
        case ast.Subscript(ast.Name(owner), ast.UnaryOp(ast.USub(), ast.Constant(index))) if (
            owner == name
        ):
            return -index if type(index) is int else None
    return None


def _handing_on(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    """The calls of what comes next that get what is spread."""
    for node in nodes_of(tree):
        match node:
            case ast.Call(
                ast.Attribute(_, "__call__") | ast.Attribute(ast.Name("self"), "forward")
            ):
                arguments: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
                if any(spread_from(argument, names) is not None for argument in arguments):
                    yield node


def spread_from(argument: ast.expr | ast.keyword, names: set[str]) -> int | None:
    """From which of its items on an argument of a call is what is spread; None for others."""
    match argument:
        case ast.Starred(ast.Name(name)) | ast.keyword(None, ast.Name(name)) if name in names:
            return 0
        case ast.Starred(
            ast.Subscript(ast.Name(name), ast.Slice(ast.Constant(int() as start), None, None))
        ) if name in names:
            return start
    return None


def _starts(call: ast.Call, names: set[str]) -> Iterator[int]:
    """Which argument of what is called the first item of ``*args`` would be."""
    arguments = _positional(call)
    for place, argument in enumerate(arguments):
        if (start := spread_from(argument, names)) is not None:
            yield place - start


def _positional(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call that have no names, but for the module."""
    match call.func:
        case ast.Attribute(ast.Name() | ast.Attribute(), "__call__") if call.args:
            return call.args[1:]  # ``nn.Module.__call__(self, x)``
    return call.args


def _given(call: ast.Call, taken: Sequence[Parameter]) -> Iterator[str]:
    """The arguments that a call gives by itself."""
    first = [a for a in _positional(call) if not isinstance(a, ast.Starred)]
    yield from (p.name for p, _ in zip(taken, first, strict=False))
    yield from (keyword.arg for keyword in call.keywords if keyword.arg is not None)
