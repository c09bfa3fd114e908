"""``torch.jit.fork``, which runs at once in eager code: the call itself, and its value."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import torch.jit

from nas_engine_graph.frontend.sources import nodes_of
from nas_engine_graph.frontend.variables import value_of

__all__ = ["without_forks"]

_FORKS = (torch.jit.fork, torch.jit._fork)
_WAITS = (torch.jit.wait, torch.jit._wait)
_ADDING = frozenset({"append", "insert", "extend"})
_READING = frozenset({"len", "list", "zip", "enumerate", "reversed"})


def without_forks(tree: ast.AST, around: Mapping[str, Any]) -> None:
    """Writes calls for what a function forks, where it waits for all of it itself.

    Args:
        tree: its source.
        around: the variables around it.
    """
    futures = _Futures(around)
    if any(map(futures.is_fork, nodes_of(tree))) and not futures.escape(tree):
        _Calls(futures).visit(tree)


class _Futures:
    """The variables of a function that are futures, or hold some."""

    def __init__(self, around: Mapping[str, Any]) -> None:
        self.around = around
        self.names: set[str] = set()

    def is_fork(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and value_of(node.func, self.around) in _FORKS

    def awaited(self, node: ast.AST) -> ast.expr | None:
        """The future whose value an expression is."""
        match node:
            case ast.Call(ast.Attribute(future, "wait"), [], []) if self.hold(future):
                return future
            case ast.Call(function, [future], []) if value_of(function, self.around) in _WAITS:
                return future
        return None

    def hold(self, node: ast.AST) -> bool:
        """Whether the value of an expression is a future, or holds some."""
        if self.is_fork(node) or (isinstance(node, ast.Name) and node.id in self.names):
            return True
        if self.awaited(node) is not None:
            return False
        if isinstance(node, ast.ListComp):
            return self.hold(node.elt)
        return any(map(self.hold, ast.iter_child_nodes(node)))

    def escape(self, tree: ast.AST) -> bool:
        """Whether others may see a future."""
        nodes, known = nodes_of(tree), -1
        while known != len(self.names):
            known = len(self.names)
            for node in nodes:
                self.note(node)
        return any(map(self.hands_on, nodes))

    def note(self, node: ast.AST) -> None:
        targets: Sequence[ast.expr]
        match node:
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            case ast.AugAssign(target, _, value):
                targets = [target]
            case ast.For(target, value) | ast.comprehension(target, value):
                targets = [target]
            case ast.Call(ast.Attribute(ast.Name() as many, name), [*_, value]) if name in _ADDING:
                targets = [many]
            case _:
                return
        if self.hold(value):
            inner = (n for target in targets for n in nodes_of(target))
            self.names |= {n.id for n in inner if isinstance(n, ast.Name)}

    def hands_on(self, node: ast.AST) -> bool:
        """Whether a node gives a future to what is not looked into here."""
        match node:
            case ast.Return(ast.expr() as value):
                return self.hold(value)
            case ast.Assign([*targets], value):
                stored = any(isinstance(t, ast.Attribute | ast.Subscript) for t in targets)
                return stored and self.hold(value)
            case ast.Call() if self.is_fork(node) or self.awaited(node) is not None:
                return any(map(self.hold, node.args[1:]))
            case ast.Call(ast.Name(name)) if name in _READING:
                return False
            case ast.Call(ast.Attribute(_, "annotate"), [_, value]):
                return self.hold(value) and not isinstance(value, ast.List)
            case ast.Call(ast.Attribute(ast.Name(), name)) if name in _ADDING:
                return False
            case ast.Call(_, arguments, words):
                return any(map(self.hold, [*arguments, *(word.value for word in words)]))
        return False


class _Calls(ast.NodeTransformer):
    def __init__(self, futures: _Futures) -> None:
        self.futures = futures

    def visit_Call(self, node: ast.Call) -> ast.AST:
        future = self.futures.awaited(node)
        forks = self.futures.is_fork(node)
        self.generic_visit(node)
        if future is not None:
            return node.args[0] if node.args else node.func.value  # type: ignore[attr-defined]
        if forks:
            function, *arguments = node.args
            return ast.copy_location(ast.Call(function, arguments, node.keywords), node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """``Future[Tensor]`` in a declaration."""
        self.generic_visit(node)
        is_future = value_of(node.value, self.futures.around) is torch.jit.Future
        return node.slice if is_future else node
