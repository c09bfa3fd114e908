"""TorchScript without its global memory.

TorchScript remembers types and functions per process: a failed script call makes the next one fail, and
what we compile with our own reading of ``is_scripting`` must not be found by the user's own calls.
"""

from __future__ import annotations

import ast
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.jit._recursive as recursive
import torch.jit._state as state
import torch.jit.frontend as parser

__all__ = ["isolated", "python_functions"]

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
    """Reads a function as the Python interpreter would: nothing is being scripted."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
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
        match node:
            case ast.BinOp(ast.Constant(int(a)), ast.Pow(), ast.Constant(int(b))) if 0 <= b < 64:
                return ast.copy_location(ast.Constant(value=a**b), node)
            case _:
                return node


def _eager_reading(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parse_eagerly(function: Any) -> Any:
        parsed = parse(function)
        if not str(getattr(function, "__module__", "")).startswith("torch."):
            _Eager().visit(parsed.ast)
        return parsed

    return parse_eagerly


@contextmanager
def isolated(eager: bool = True) -> Iterator[None]:
    """Compile inside with empty caches, reading sources eagerly; everything is as before afterwards."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = (
            recursive.concrete_type_store,
            state._jit_caching_layer,
            state._jit_function_overload_caching,
            parser.parse_def,
        )
        recursive.concrete_type_store = recursive.ConcreteTypeStore()  # type: ignore[no-untyped-call]
        state._jit_caching_layer = weakref.WeakKeyDictionary()
        state._jit_function_overload_caching = weakref.WeakKeyDictionary()
        if eager:
            parser.parse_def = _eager_reading(parser.parse_def)
        try:
            yield
        finally:
            (
                recursive.concrete_type_store,
                state._jit_caching_layer,
                state._jit_function_overload_caching,
                parser.parse_def,
            ) = kept


def python_functions() -> dict[str, Callable[..., Any]]:
    """TorchScript's name of every function that was compiled in this isolation, and the function."""
    found: dict[str, Callable[..., Any]] = {
        name: function for function, name in state._jit_caching_layer.items()
    }
    for function, names in state._jit_function_overload_caching.items():
        found.update(dict.fromkeys(names, function))
    return found
