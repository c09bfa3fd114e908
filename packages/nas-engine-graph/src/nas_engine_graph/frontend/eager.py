"""Sources read as the Python interpreter reads them, which TorchScript does not quite do."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
import torch._jit_internal as internal
from nas_core.errors import Place

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.coded import code
from nas_engine_graph.frontend.logic import as_branches, valued

__all__ = ["eagerly"]

_LOGGING = frozenset({"_log_api_usage_once"})
_LIMITS = frozenset({"finfo", "iinfo"})
_QUESTIONS = frozenset({"is_scripting", "is_tracing"})


def _name(expression: ast.expr) -> str:
    match expression:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


class _Eager(ast.NodeTransformer):
    """Reads a function as the Python interpreter would: nothing is being scripted.

    Numbers and texts that are global variables become constants, which TorchScript would refuse.
    """

    def __init__(self, scope: Mapping[str, Any], owner: Any, tree: ast.AST, place: Place) -> None:
        self.scope, self.owner, self.place = scope, owner, place
        self.local = _local_integers(tree)
        self.valued = valued(tree)
        self.own = _own(tree)

    def visit_Return(self, node: ast.Return) -> Any:
        """A method marked as unused has the types of scripted code: write its body in place."""
        match node.value:
            case ast.Call(ast.Attribute(ast.Name("self"), name), arguments, []):
                method = getattr(self.owner, name, None)
                if _is_unused(method) and all(isinstance(a, ast.Name) for a in arguments):
                    return [self.visit(s) for s in _body(method, arguments, node)]
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.scope.get(node.id)
        if isinstance(node.ctx, ast.Load) and type(value) in (bool, int, float, str):
            return ast.copy_location(ast.Constant(value=value), node)
        return _coded(value, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        match node:
            case ast.Attribute(ast.Name(name), attribute) if self.scope.get(name) is torch:
                return _coded(getattr(torch, attribute, None), node)
        self.generic_visit(node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        value = id(node) in self.valued
        self.generic_visit(node)
        if not value:
            return node
        if (branches := as_branches(node)) is None:
            raise self.refusal(
                f"the value of `{ast.unparse(node)}`, which TorchScript makes a bool", node
            )
        return branches

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _name(node.func) in _LIMITS:
            return node  # TorchScript looks the dtype up while it compiles.
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Name(name)) if hasattr(builtins, name) and name not in self.own:
                if self.scope.get(name, own := getattr(builtins, name)) is not own:
                    raise self.refusal(
                        f"a call of {name!r}, which TorchScript takes for Python's", node
                    )
                return _call(node, name)
        if _name(node.func) in _QUESTIONS and not node.args and not node.keywords:
            return ast.copy_location(ast.Constant(value=False), node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Call) and _name(node.value.func) in _LOGGING:
            return ast.copy_location(ast.Pass(), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow):
            base, power = self.integer(node.left), self.integer(node.right)
            if base is not None and power is not None and 0 <= power < 64:
                return ast.copy_location(ast.Constant(value=base**power), node)
            node.right = _hidden(node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow):
            node.value = _hidden(node.value)
        return node

    def refusal(self, construct: str, node: ast.expr) -> UnsupportedModuleError:
        place = Place(self.place.file, self.place.line + node.lineno - 1)
        return UnsupportedModuleError(construct, place=place)

    def integer(self, node: ast.expr) -> int | None:
        """The value of an expression that TorchScript knows to be a constant integer."""
        match node:
            case ast.Constant(value) if type(value) is int:
                return value
            case ast.Name(name):
                return self.local.get(name)
            case ast.Attribute(ast.Name("self"), name):
                value = getattr(self.owner, name, None)
                constant = name in getattr(self.owner, "__constants__", ())
                return value if type(value) is int and constant else None
        return None


def _hidden(node: ast.expr) -> ast.expr:
    """``[node][0]``, which TorchScript does not fold: it has other rules than Python.

    To it ``2 ** 3`` is ``8.0``, ``round(2.5)`` is ``2.0``, ``max(2, 1.0)`` is ``2.0``, and
    ``str(1.0)`` is ``"1."``. ``sequences`` finds these lists and takes them away again.
    """
    listed = ast.copy_location(ast.List([node], ast.Load()), node)
    first = ast.copy_location(ast.Constant(value=0), node)
    return ast.copy_location(ast.Subscript(listed, first, ast.Load()), node)


def _call(node: ast.Call, name: str) -> ast.expr:
    """A call of a builtin function of which TorchScript folds the result, or leaves it out."""
    match name, node.args:
        case "round", [ast.Constant(float(number))]:
            return ast.copy_location(ast.Constant(value=round(number)), node)
        case "pow", [_, power]:
            node.args[1] = _hidden(power)
        case (("round" | "str"), [value, *_]):
            node.args[0] = _hidden(value)
        case (("max" | "min"), [value, _, *_]):
            node.args[0] = _hidden(value)
        case "float", [_]:
            # What it takes for a float already may be an integer, as ``2 ** 3`` is.
            zero = _hidden(ast.copy_location(ast.Constant(value=0), node))
            return ast.copy_location(ast.BinOp(node, ast.Sub(), zero), node)
    return node


def _coded(value: Any, node: ast.expr) -> ast.expr:
    found = code(value) if isinstance(getattr(node, "ctx", None), ast.Load) else None
    return node if found is None else ast.copy_location(ast.Constant(value=found), node)


def _local_integers(tree: ast.AST) -> dict[str, int]:
    """The variables that are assigned once, and that an integer."""
    stores = [
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
    arguments = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    found = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], ast.Constant(value)) if type(value) is int:
                if stores.count(name) == 1 and name not in arguments:
                    found[name] = value
    return found


def _own(tree: ast.AST) -> set[str]:
    """The variables of a function."""
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return own | {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}


def _scope(function: Any, tree: ast.AST) -> dict[str, Any]:
    """The global and enclosing variables that the function does not hide with its own."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not inspect.isfunction(plain):
        return {}
    own = _own(tree)
    found = dict(plain.__globals__)
    with suppress(ValueError):  # A cell that is still empty: nothing to read from it.
        found.update(inspect.getclosurevars(plain).nonlocals)
    return {name: value for name, value in found.items() if name not in own}


def _is_unused(function: Any) -> bool:
    plain = getattr(function, "__func__", function)
    marked = getattr(plain, "_torchscript_modifier", None)
    return marked is internal.FunctionModifiers.UNUSED


def _body(method: Any, arguments: list[Any], place: ast.stmt) -> list[ast.stmt]:
    """The statements of a method, its parameters replaced by the variables it is called with."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(method)))
    definition: Any = ast.parse(source).body[0]
    names = [argument.arg for argument in definition.args.args[1:]]
    given = {name: argument.id for name, argument in zip(names, arguments, strict=False)}
    for node in ast.walk(definition):
        if isinstance(node, ast.Name):
            node.id = given.get(node.id, node.id)
        if hasattr(node, "lineno"):
            ast.copy_location(node, place)
    return list(definition.body)


def _returns_anything(function: Any, tree: ast.AST) -> bool:
    """Whether the declared result is only true of scripted code: it comes from an unused method."""
    owner = getattr(function, "__self__", None)
    if _is_unused(function):
        return True
    for node in ast.walk(tree):
        match node:
            case ast.Return(ast.Call(ast.Attribute(ast.Name("self"), name))):
                if _is_unused(getattr(owner, name, None)):
                    return True
    return False


def eagerly(function: Any, owner: Any, parsed: Any) -> Any:
    """What was parsed, rewritten in place."""
    if str(getattr(function, "__module__", "")).startswith("torch."):
        return parsed
    definition = parsed.ast.body[0]
    anything = _returns_anything(function, definition)
    place = Place(parsed.filename or "", parsed.file_lineno)
    _Eager(_scope(function, parsed.ast), owner, parsed.ast, place).visit(parsed.ast)
    if anything:
        definition.returns = ast.copy_location(ast.Name("Any", ast.Load()), definition.args)
        ast.fix_missing_locations(definition)
    return parsed
