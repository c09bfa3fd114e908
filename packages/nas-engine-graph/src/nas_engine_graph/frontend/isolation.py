"""TorchScript without its global memory.

TorchScript remembers types and functions per process: a failed script call makes the next one
fail, and what we compile with our own reading of ``is_scripting`` must not be found by the user's
own calls.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch._jit_internal as internal
import torch.jit._recursive as recursive
import torch.jit._state as state
import torch.jit.frontend

__all__ = ["isolated", "python_functions"]

parser: Any = torch.jit.frontend
_LOCK = threading.RLock()
_LOGGING = frozenset({"_log_api_usage_once"})
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

    def __init__(self, scope: Mapping[str, Any], owner: Any, tree: ast.AST) -> None:
        self.scope, self.owner = scope, owner
        self.stored = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        self.local = _local_integers(tree)

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
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            # TorchScript rounds to a float, Python to an integer.
            case ast.Call(ast.Name("round"), [ast.Constant(float(number))], []):
                return ast.copy_location(ast.Constant(value=round(number)), node)
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
        # TorchScript computes 2 ** 3 as 8.0.
        if isinstance(node.op, ast.Pow):
            base, power = self.integer(node.left), self.integer(node.right)
            if base is not None and power is not None and 0 <= power < 64:
                return ast.copy_location(ast.Constant(value=base**power), node)
        return node

    def integer(self, node: ast.expr) -> int | None:
        """The value of an expression that TorchScript knows to be a constant integer."""
        match node:
            case ast.Constant(value) if type(value) is int:
                return value
            case ast.Name(name):
                return self.local.get(name)
            case ast.Attribute(ast.Name("self"), name):
                value = getattr(self.owner, name, None)
                return value if type(value) is int and name not in self.stored else None
        return None


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


def _scope(function: Any, tree: ast.AST) -> dict[str, Any]:
    """The global and enclosing variables that the function does not hide with its own."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if not inspect.isfunction(plain):
        return {}
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    found = dict(plain.__globals__)
    with suppress(ValueError):  # A cell that is still empty: nothing to read from it.
        found.update(inspect.getclosurevars(plain).nonlocals)
    return {name: value for name, value in found.items() if name not in own}


def _ordinary(modifier: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Methods marked as unused are used: eager code runs them."""

    def ordinary(function: Any) -> Any:
        found = modifier(function)
        unused = found is internal.FunctionModifiers.UNUSED
        return internal.FunctionModifiers.DEFAULT if unused else found

    return ordinary


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


def _eagerly(function: Any, owner: Any, parsed: Any) -> Any:
    """What was parsed, rewritten in place."""
    if str(getattr(function, "__module__", "")).startswith("torch."):
        return parsed
    definition = parsed.ast.body[0]
    anything = _returns_anything(function, definition)
    _Eager(_scope(function, parsed.ast), owner, parsed.ast).visit(parsed.ast)
    if anything:
        definition.returns = ast.copy_location(ast.Name("Any", ast.Load()), definition.args)
        ast.fix_missing_locations(definition)
    return parsed


def _eager_reading(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    known: dict[tuple[Any, type], Any] = {}

    def parse_eagerly(function: Any) -> Any:
        owner = getattr(function, "__self__", None)
        key = (getattr(function, "__func__", function), type(owner))
        if key not in known:
            known[key] = _eagerly(function, owner, parse(function))
        return known[key]

    return parse_eagerly


def _overloads(find: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Looks for overloads of methods only where a class of this name has declared some."""

    def overloads(module: Any, ignored: Any) -> Any:
        name = type(module).__name__
        declared = any(name in classes for classes in internal._overloaded_methods.values())
        return find(module, ignored) if declared else {}

    return overloads


@contextmanager
def isolated(eager: bool = True) -> Iterator[None]:
    """Compile inside with empty caches, reading sources eagerly; afterwards all is as before."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = (
            recursive.concrete_type_store,
            state._jit_caching_layer,
            state._jit_function_overload_caching,
            parser.parse_def,
            internal.get_torchscript_modifier,
            recursive.get_overload_annotations,
        )
        # Overloads are declared once per process, and forgotten when they are compiled.
        declared = {name: list(found) for name, found in internal._overloaded_fns.items()}
        recursive.concrete_type_store = recursive.ConcreteTypeStore()
        state._jit_caching_layer = weakref.WeakKeyDictionary()
        state._jit_function_overload_caching = weakref.WeakKeyDictionary(kept[2])
        recursive.get_overload_annotations = _overloads(kept[5])
        if eager:
            parser.parse_def = _eager_reading(parser.parse_def)
            internal.get_torchscript_modifier = _ordinary(internal.get_torchscript_modifier)
        try:
            yield
        finally:
            (
                recursive.concrete_type_store,
                state._jit_caching_layer,
                state._jit_function_overload_caching,
                parser.parse_def,
                internal.get_torchscript_modifier,
                recursive.get_overload_annotations,
            ) = kept
            internal._overloaded_fns.clear()
            internal._overloaded_fns.update(declared)


def python_functions() -> dict[str, Callable[..., Any]]:
    """TorchScript's name of every function compiled in this isolation, and the function."""
    found: dict[str, Callable[..., Any]] = {
        name: function for function, name in state._jit_caching_layer.items()
    }
    for function, names in state._jit_function_overload_caching.items():
        found.update(dict.fromkeys(names, function))
    return found
