"""``torch.jit.fork``, which runs at once in eager code: the call itself, and its value.

A future is then what it will be, also where a method gives it to another one: nobody but the
methods of the model may see it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch.jit
from nas_core.errors import Place
from torch import nn
from torch._jit_internal import FunctionModifiers

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.calling import function_of
from nas_engine_graph.frontend.modules import module_at
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.places import placed
from nas_engine_graph.frontend.sources import nodes_of, readable
from nas_engine_graph.frontend.variables import value_of, variables_of

__all__ = ["is_exported", "without_forks"]

_FORKS = (torch.jit.fork, torch.jit._fork)
_WAITS = (torch.jit.wait, torch.jit._wait)
_ADDING = frozenset({"append", "insert", "extend"})
_READING = frozenset({"len", "list", "zip", "enumerate", "reversed", "range", "isinstance"})


def without_forks(tree: ast.Module, function: Any, owner: Any, first: Place, outside: bool) -> None:
    """Writes calls for what a function forks, and values for futures, in place.

    Args:
        tree: its source.
        function: the function.
        owner: the module of which it is a method, if it is one.
        first: where its source begins.
        outside: whether it is called by others than the methods of the model.

    Raises:
        UnsupportedModuleError: others may see a future.
    """
    around = variables_of(function, tree).around
    if not any(_asks_for_futures(node, around) for node in nodes_of(tree)):
        return
    futures = _Futures(tree, around, owner)
    for node in nodes_of(tree):
        if (what := futures.hands_on(node, outside)) is not None:
            if is_exported(function):
                return  # It is left out later.
            place = Place(first.file, first.line + getattr(node, "lineno", 1) - 1)
            text = f"a future of torch.jit.fork that {what}: wait for it, and hand on its value"
            raise UnsupportedModuleError(text, place=place)
    _Values(futures).visit(tree)


def is_exported(function: Any) -> bool:
    """Whether a method is marked ``@torch.jit.export``."""
    return getattr(function, "_torchscript_modifier", None) is FunctionModifiers.EXPORT


def _asks_for_futures(node: ast.AST, around: Mapping[str, Any]) -> bool:
    match node:
        case ast.Attribute(_, "wait"):
            return True
        case ast.Attribute() | ast.Name():
            return value_of(node, around) in (*_FORKS, *_WAITS, torch.jit.Future)
    return False


class _Futures:
    """The variables of a function that are futures, or hold some."""

    def __init__(
        self, tree: ast.AST, around: Mapping[str, Any], owner: Any, seen: tuple[Any, ...] = ()
    ) -> None:
        self.around, self.owner, self.seen = around, owner, seen
        self.names: set[str] = set()
        nodes, known = nodes_of(tree), -1
        for node in nodes:
            if isinstance(node, ast.arg) and self.is_declared(node.annotation):
                self.names.add(node.arg)
        while known != len(self.names):
            known = len(self.names)
            for node in nodes:
                self.note(node)

    def is_declared(self, annotation: ast.expr | None) -> bool:
        """Whether an annotation has a future in it."""
        inside = nodes_of(annotation) if annotation is not None else []
        names = (node for node in inside if isinstance(node, ast.Attribute | ast.Name))
        return any(value_of(name, self.around) is torch.jit.Future for name in names)

    def is_fork(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and value_of(node.func, self.around) in _FORKS

    def awaited(self, node: ast.AST) -> ast.expr | None:
        """The future whose value an expression is."""
        match node:
            case ast.Call(ast.Attribute(future, "wait"), [], []) if self.hold(future):
                return future
            case ast.Call(function, [future], []) if value_of(function, self.around) in _WAITS:
                return future if self.hold(future) else None
        return None

    def called(self, node: ast.expr) -> Any:
        """The function of the user's that an expression is; None for any other."""
        if isinstance(self.owner, nn.Module):
            if (module := module_at(node, self.owner)) is not None:
                found = function_of(type(module), "forward")
                return None if is_of_torch(found) else found
            match node:
                case ast.Attribute(value, name) if home := module_at(value, self.owner):
                    return function_of(type(home), name)
        found = value_of(node, self.around)
        return found if inspect.isfunction(found) and not is_of_torch(found) else None

    def gives(self, function: Any, at: int | None = None) -> bool:
        """Whether what a function of the user's returns, or an item of it, holds a future."""
        if function in self.seen or (tree := readable(function)) is None:
            return False
        around = variables_of(function, tree).around
        inner = _Futures(tree, around, self.owner, (*self.seen, function))
        returned = [node.value for node in nodes_of(tree) if isinstance(node, ast.Return)]
        return any(value is not None and inner.hold_at(value, at) for value in returned)

    def hold_at(self, node: ast.expr, at: int | None) -> bool:
        """Whether an item of an expression is a future, or holds some; all of it without one."""
        match node:
            case ast.Tuple(items) if at is not None and at < len(items):
                return self.hold(items[at])
            case ast.Call(called) if (function := self.called(called)) is not None:
                return self.gives(function, at)
        return self.hold(node)

    def hold(self, node: ast.AST) -> bool:
        """Whether the value of an expression is a future, or holds some."""
        if self.is_fork(node) or (isinstance(node, ast.Name) and node.id in self.names):
            return True
        if self.awaited(node) is not None:
            return False
        match node:
            case ast.ListComp(element):
                return self.hold(element)
            case ast.Compare():
                return False
            case ast.IfExp(_, then, other):
                return self.hold(then) or self.hold(other)
            case ast.Call(called) if (function := self.called(called)) is not None:
                return self.gives(function)
        return any(map(self.hold, ast.iter_child_nodes(node)))

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
        for target in targets:
            items = enumerate(target.elts) if isinstance(target, ast.Tuple) else [(None, target)]
            if isinstance(node, ast.For | ast.comprehension):
                items = [(None, target)]
            for at, item in items:
                if self.hold_at(value, at):
                    inner = (n.id for n in nodes_of(item) if isinstance(n, ast.Name))
                    self.names |= {*inner} - {"self"}

    def hands_on(self, node: ast.AST, outside: bool) -> str | None:
        """What a node does with a future that others may see; None if it does not."""
        match node:
            case ast.Return(ast.expr() as value) if outside and self.hold(value):
                return "is returned to who calls the model"
            case ast.arg(annotation=ast.expr() as kind) if outside and self.is_declared(kind):
                return "who calls the model gives"
            case ast.Assign([*targets], value) if self.hold(value):
                inner = [n for target in targets for n in nodes_of(target)]
                kept = any(isinstance(n, ast.Attribute) for n in inner)
                return "an attribute keeps" if kept else None
            case ast.Call() if self.is_fork(node) or self.awaited(node) is not None:
                return None
            case ast.Call(ast.Attribute(future, name)) if (
                name not in _ADDING and self.called(node.func) is None and self.hold(future)
            ):
                return f"is asked for {name!r}"
            case ast.Call(ast.Name(name)) if name in _READING:
                return None
            case ast.Call(ast.Attribute(_, "annotate")):
                return None
            case ast.Call(ast.Attribute(ast.Name(), name)) if name in _ADDING:
                return None
            case ast.Call(called, arguments, words) if self.called(called) is None:
                given = [*arguments, *(word.value for word in words)]
                return "a function of others gets" if any(map(self.hold, given)) else None
        return None


class _Values(ast.NodeTransformer):
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

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        declared = [a for a in node.args.args if self.futures.is_declared(a.annotation)]
        returns = self.futures.is_declared(node.returns)
        self.generic_visit(node)
        # TorchScript reads types where they stand in the file, if they are types there.
        for argument in declared:
            placed(argument.annotation, argument)  # type: ignore[type-var]
        if returns and node.args.args:
            placed(node.returns, node.args.args[0])  # type: ignore[type-var]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """``Future[Tensor]`` in a declaration."""
        self.generic_visit(node)
        is_future = value_of(node.value, self.futures.around) is torch.jit.Future
        return node.slice if is_future else node
