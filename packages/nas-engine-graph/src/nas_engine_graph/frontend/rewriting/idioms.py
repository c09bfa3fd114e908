"""Ordinary Python that TorchScript does not read, written as what it reads."""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload

from nas_engine_graph.frontend.encode import is_valued, plain_value
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.rewriting.interfaces import without_interfaces
from nas_engine_graph.frontend.source.coded import SIGNS, code
from nas_engine_graph.frontend.source.hiding import hidden
from nas_engine_graph.frontend.source.mixed import OF_TENSORS, asks_types, cast, written
from nas_engine_graph.frontend.source.modules import module_at
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of, parsed
from nas_engine_graph.frontend.source.supers import Add
from nas_engine_graph.frontend.source.variables import value_of, variables_of

__all__ = ["rewrite_idioms"]

_SIZED = frozenset(
    {"empty", "expand", "new_empty", "new_ones", "new_zeros", "ones", "permute", "rand", "randn",
     "repeat", "reshape", "tile", "view", "zeros"}
)  # fmt: skip


def rewrite_idioms(tree: ast.AST, function: Any, owner: Any, add: Add) -> None:
    """Rewrites the source of a function of ``owner`` in place; ``add`` takes private methods."""
    around = variables_of(function, tree).around
    if isinstance(owner, nn.Module):
        without_interfaces(tree, owner, around)
    _Idioms(tree, function, owner, add, around).visit(tree)


class _Idioms(Rewriter):
    def __init__(
        self, tree: ast.AST, function: Any, owner: Any, add: Add, around: Mapping[str, Any]
    ) -> None:
        self.owner, self.add, self.around = owner, add, around
        self.assigned = _assigned(tree)
        self.asks = asks_types(tree, "float")
        names: list[str] = ["", *getattr(function, "__qualname__", "").split(".")]
        home = names[-2]
        self.home = home.strip("<>").lstrip("_") if home != "<locals>" else ""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """``self.__private`` has the name of its class before it; limits of a dtype are hidden."""
        self.generic_visit(node)
        match node:
            case ast.Attribute(
                ast.Call(ast.Attribute(ast.Name(home), "finfo" | "iinfo" as limits), [kind], []),
                name,
            ) if f"{limits}.{name}" in SIGNS and self.around.get(home) is torch:
                fixed = value_of(kind, self.around)
                if isinstance(fixed, torch.dtype):
                    found = getattr(getattr(torch, limits)(fixed), name)
                    return ast.copy_location(ast.Constant(found), node)
                made = hidden(kind, SIGNS[f"{limits}.{name}"])
                if limits == "iinfo":
                    return made
                converts = ast.copy_location(ast.Name("float", ast.Load()), node)
                return ast.copy_location(ast.Call(converts, [made], []), node)
        if node.attr.startswith("__") and not node.attr.endswith("__") and self.home:
            name = f"_{self.home}{node.attr}"
            method = getattr(type(self.owner), name, None)
            if isinstance(method, types.FunctionType):
                # To TorchScript a method has the name that it was written with.
                name = self.add(type(self.owner), name.strip("_").replace("__", "_"), method)
            node.attr = name
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Attribute(tensor, "bool"), [], []) if not self.is_module(tensor):
                # Of all such methods TorchScript lacks this one.
                kind = ast.copy_location(ast.Constant(code(torch.bool)), node)
                assert isinstance(node.func, ast.Attribute)
                node.func.attr, node.args = "to", [kind]
            case ast.Call(ast.Name("reversed"), [ast.Call(ast.Name("range"), bounds, [])], []):
                if len(bounds) < 3 and not self.around.keys() & {"reversed", "range"}:
                    return _from_the_end(node, *bounds)
            case ast.Call(ast.Attribute(home, "norm"), [], words) if not self.is_module(home):
                names = {word.arg for word in words}
                if "dim" in names and "p" not in names:
                    two = ast.copy_location(ast.Constant(2), node)
                    words.append(ast.copy_location(ast.keyword("p", two), node))
            case ast.Call(ast.Attribute(packet)) if isinstance(
                value_of(node.func, self.around), OpOverload
            ):
                node.func = packet  # TorchScript finds the overload by itself.
            case ast.Call(ast.Attribute(tensor, name), arguments, words) if (
                name in OF_TENSORS and self.is_tensor(tensor, name)
            ):
                made = written(getattr(torch, name), tensor, *arguments)
                assert isinstance(made, ast.Call)
                made.keywords = words
                return made
            case ast.Call(ast.Name(name), [value], []) if asks := _asks_for_none(
                self.around.get(name)
            ):
                none = ast.Constant(None)
                asked = ast.Compare(value, [asks], [ast.copy_location(none, node)])
                return ast.copy_location(asked, node)
            case ast.Call(ast.Attribute(home, name)) if name in _SIZED and self.is_of_torch(home):
                node.args = self.one_size(node.args)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """``x: Tensor`` alone does nothing."""
        self.generic_visit(node)
        return ast.copy_location(ast.Pass(), node) if node.value is None else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """``rows.extend(f(rows[-1]) for f in fs)`` appends one by one: each sees those before."""
        self.generic_visit(node)
        match node.value:
            case ast.Call(
                ast.Attribute(rows, "extend"), [ast.GeneratorExp(item, [generator])], []
            ) if not generator.is_async:
                return self.appended(node, rows, item, generator)
        return node

    def appended(
        self, node: ast.Expr, rows: ast.expr, item: ast.expr, generator: ast.comprehension
    ) -> ast.stmt:
        own = {n.id for n in nodes_of(generator.target) if isinstance(n, ast.Name)}
        for inner in (*nodes_of(item), *nodes_of(generator)):
            if isinstance(inner, ast.Name) and inner.id in own:
                inner.id += "_item"  # It is no variable of the function.
        append = ast.Attribute(rows, "append", ast.Load())
        body: ast.stmt = ast.Expr(ast.Call(append, [item], []))
        for test in reversed(generator.ifs):
            body = ast.If(test, [body], [])
        made = ast.For(generator.target, generator.iter, [body], [])
        return ast.fix_missing_locations(ast.copy_location(made, node))

    def is_of_torch(self, node: ast.expr) -> bool:
        """Whether an expression is torch itself, or may be a tensor."""
        value = value_of(node, self.around)
        others = isinstance(value, types.ModuleType | type) and value is not torch
        return not others and not self.is_module(node)

    def is_tensor(self, node: ast.expr, method: str) -> bool:
        """Whether what has this method can only be a tensor."""
        others = (v for v in self.around.values() if isinstance(v, type) and v is not torch.Tensor)
        known = value_of(node, self.around) is not None or self.is_module(node)
        return not known and not any(hasattr(cls, method) for cls in others)

    def one_size(self, arguments: list[ast.expr]) -> list[ast.expr]:
        """``*x.shape[:-1], 3`` as one list, where all that is spread are sizes of tensors."""
        spread = [a.value for a in arguments if isinstance(a, ast.Starred)]
        if not spread or not all(map(self.is_size, spread)):
            return arguments
        parts: list[ast.expr] = []
        for argument in arguments:
            if isinstance(argument, ast.Starred):
                name = ast.copy_location(ast.Name("list", ast.Load()), argument)
                parts.append(ast.Call(name, [argument.value], []))
            elif parts and isinstance(parts[-1], ast.List):
                parts[-1].elts.append(argument)
            else:
                parts.append(ast.List([argument], ast.Load()))
            ast.copy_location(parts[-1], arguments[0])
        whole = parts[0]
        for part in parts[1:]:
            whole = ast.copy_location(ast.BinOp(whole, ast.Add(), part), arguments[0])
        return [whole]

    def is_size(self, node: ast.expr) -> bool:
        """Whether an expression certainly is the size of a tensor, or a part of it."""
        match node:
            case ast.Subscript(value, ast.Slice()):
                return self.is_size(value)
            case ast.BinOp(left, ast.Add(), right):
                parts = [
                    isinstance(part, ast.Tuple) or self.is_size(part) for part in (left, right)
                ]
                return all(parts)
            case ast.Attribute(value, "shape") | ast.Call(ast.Attribute(value, "size"), [], []):
                return not isinstance(value, ast.Name) or value.id != "self"
            case ast.Name(name):
                return name in self.assigned and all(map(self.is_size, self.assigned[name]))
        return False

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """A text that an attribute always is chooses the branch, as a flag does."""
        self.generic_visit(node)
        match node:
            case ast.Compare(left, [ast.Eq() | ast.NotEq() as sign], [right]):
                first, second = self.text(left), self.text(right)
                if first is None or second is None:
                    return node
                same = (first == second) == isinstance(sign, ast.Eq)
                return ast.copy_location(ast.Constant(same), node)
            case ast.Compare(left, [ast.In() | ast.NotIn() as sign], [right]):
                first, among = self.text(left), self.texts(right)
                if first is None or among is None:
                    return node
                found = (first in among) == isinstance(sign, ast.In)
                return ast.copy_location(ast.Constant(found), node)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """``self.rate if self.training else 0``: one is a float, and the other taken for one."""
        self.generic_visit(node)
        if self.is_float(node.body) and self.is_integer(node.orelse):
            node.orelse = cast(node.orelse, "float")
        elif self.is_float(node.orelse) and self.is_integer(node.body):
            node.body = cast(node.body, "float")
        return node

    def is_module(self, node: ast.expr) -> bool:
        return isinstance(self.owner, nn.Module) and module_at(node, self.owner) is not None

    def text(self, node: ast.expr) -> str | None:
        """The text that an expression always is."""
        match node:
            case ast.Constant(str() as text):
                return text
            case ast.Attribute(ast.Name("self"), name):
                value = getattr(self.owner, name, None)
                constant = name in getattr(self.owner, "__constants__", ())
                if not constant or not isinstance(value, str):
                    return None
                return str(plain_value(value)) if is_valued(value) else value
        return None

    def texts(self, node: ast.expr) -> list[str] | None:
        """The texts that a tuple or list always holds."""
        found: list[str | None] = [None]
        match node:
            case ast.Tuple(items) | ast.List(items):
                found = [self.text(item) for item in items]
            case ast.Attribute(ast.Name("self"), name):
                value = getattr(self.owner, name, None)
                if type(value) is tuple and name in getattr(self.owner, "__constants__", ()):
                    found = [text if type(text) is str else None for text in value]
        known = [text for text in found if text is not None]
        return known if len(known) == len(found) else None

    def is_integer(self, node: ast.expr) -> bool:
        """Whether an expression is an integer, which may be taken for a float."""
        return isinstance(node, ast.Constant) and type(node.value) is int and not self.asks

    def is_float(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value):
                return type(value) is float
            case ast.Attribute(ast.Name("self"), name):
                return type(getattr(self.owner, name, None)) is float
        return False


def _asks_for_none(function: Any) -> ast.cmpop | None:
    """The sign with which a function compares its only argument with None, and does no more."""
    if not isinstance(function, types.FunctionType) or is_of_torch(function):
        return None
    try:
        (definition,) = parsed(function).body
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    match definition:
        case ast.FunctionDef(
            args=ast.arguments(posonlyargs=[], args=[ast.arg(name)], vararg=None, kwonlyargs=[]),
            body=[ast.Return(ast.Compare(ast.Name(asked), [sign], [ast.Constant(None)]))],
            decorator_list=[],
        ) if name == asked and isinstance(sign, ast.Is | ast.IsNot):
            return sign
    return None


def _from_the_end(node: ast.Call, *bounds: ast.expr) -> ast.expr:
    """``range(n - 1, -1, -1)`` for ``reversed(range(n))``."""
    one, zero = ast.Constant(1), ast.Constant(0)
    first, end = (bounds[0], bounds[1]) if len(bounds) > 1 else (zero, bounds[0])
    given = [
        ast.BinOp(end, ast.Sub(), one),
        ast.BinOp(first, ast.Sub(), one),
        ast.UnaryOp(ast.USub(), one),
    ]
    made = ast.Call(ast.Name("range", ast.Load()), given, [])
    for inner in nodes_of(made):
        ast.copy_location(inner, node)
    return made


def _assigned(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """What the variables are that are set by plain assignments alone."""
    nodes, found = nodes_of(tree), dict[str, list[ast.expr]]()
    for node in nodes:
        match node:
            case ast.Assign([ast.Name(name)], value):
                found.setdefault(name, []).append(value)
    stored = [n.id for n in nodes if isinstance(n, ast.Name) and _is_store(n)]
    return {name: values for name, values in found.items() if stored.count(name) == len(values)}


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)
