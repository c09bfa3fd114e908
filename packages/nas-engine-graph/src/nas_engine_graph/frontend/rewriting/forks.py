"""``torch.jit.fork``, which runs at once in eager code: the call itself, and its value.

A future is then what it will be, also where a method gives it to another one. Who calls the model
gets new futures of these values; those that it gives stay futures.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any

import torch.jit
from nas_core.errors import Place
from torch import nn
from torch._jit_internal import FunctionModifiers

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.rewriting.shown import Shown
from nas_engine_graph.frontend.source.futures import ADDING, FORKS, WAITS, Futures
from nas_engine_graph.frontend.source.mixed import as_future, written
from nas_engine_graph.frontend.source.places import placed
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import value_of, variables_of

__all__ = ["is_exported", "without_forks"]

_FORKING = frozenset({"fork", "_fork"})
_KNOWN = frozenset({nn.Module, object})
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
    given = outside and _fork(owner)
    if not given and not any(_asks_for_futures(node, around) for node in nodes_of(tree)):
        return
    futures = Futures(tree, around, owner, outside)
    shown = Shown(tree, futures) if outside else None
    for node in nodes_of(tree):
        if (what := _hands_on(futures, node, shown)) is not None:
            if is_exported(function):
                return  # It is left out later.
            place = Place(first.file, first.line + getattr(node, "lineno", 1) - 1)
            text = f"a future of torch.jit.fork that {what}: wait for it, and hand on its value"
            raise UnsupportedModuleError(text, place=place)
    _Values(futures, shown).visit(tree)


def is_exported(function: Any) -> bool:
    """Whether a method is marked ``@torch.jit.export``."""
    return getattr(function, "_torchscript_modifier", None) is FunctionModifiers.EXPORT


def _fork(model: Any) -> bool:
    """Whether a method of a module in a model forks, of which others may return the future."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    classes = {base for kind in set(map(type, modules)) for base in kind.__mro__}
    methods = (each for kind in classes - _KNOWN for each in vars(kind).values())
    return any(_FORKING & {*each.__code__.co_names} for each in methods if inspect.isfunction(each))


def _asks_for_futures(node: ast.AST, around: Mapping[str, Any]) -> bool:
    match node:
        case ast.Attribute(_, "wait"):
            return True
        case ast.Attribute() | ast.Name():
            return value_of(node, around) in (*FORKS, *WAITS, torch.jit.Future)
    return False


def _hands_on(futures: Futures, node: ast.AST, shown: Shown | None) -> str | None:
    """What a node does with a future that others may see; None if it does not."""
    match node:
        case ast.Return(ast.expr() as value) if shown is not None:
            unclear = shown.to_caller(value) is None
            text = "is returned inside of something else than variables, lists, dicts and tuples"
            return text if unclear else None
        case ast.Assign([*targets], value) if futures.hold(value):
            inner = [n for target in targets for n in nodes_of(target)]
            kept = any(isinstance(n, ast.Attribute) for n in inner)
            return "an attribute keeps" if kept else None
        case ast.Call() if futures.is_fork(node) or futures.awaited(node) or futures.record(node):
            return None
        case ast.Call(ast.Attribute(future, name)) if (
            hasattr(torch.jit.Future, name)
            and futures.called(node.func) is None
            and futures.hold(future)
        ):
            return f"is asked for {name!r}"
        case ast.Call(ast.Attribute(ast.Attribute(), name), given) if name in ADDING:
            return "an attribute keeps" if any(map(futures.hold, given)) else None
        case ast.Call(ast.Name(name)) if name in _READING:
            return None
        case ast.Call(ast.Attribute(_, "annotate" | "_unwrap_optional")):
            return None
        case ast.Call(ast.Attribute(ast.Name(), name)) if name in ADDING:
            return None
        case ast.Call(called, arguments, words) if futures.called(called) is None:
            given = [*arguments, *(word.value for word in words)]
            return "a function of others gets" if any(map(futures.hold, given)) else None
    return None


class _Values(Rewriter):
    def __init__(self, futures: Futures, shown: Shown | None) -> None:
        self.futures, self.shown = futures, shown

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if self.shown is not None and node.value is not None:
            node.value = self.shown.to_caller(node.value)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.futures.given_back(node) is not None:
            self.generic_visit(node)
            return written(as_future, node.args[2])
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
        arguments = [] if self.shown else node.args.args
        declared = [a for a in arguments if self.futures.is_declared(a.annotation)]
        returns = self.futures.is_declared(node.returns)
        given = [n.value for n in nodes_of(node) if isinstance(n, ast.Return) and n.value]
        if self.shown and any(map(self.futures.hold, given)):
            node.returns, returns = placed(ast.Name("Any", ast.Load()), node), False
        self.generic_visit(node)
        # TorchScript reads types where they stand in the file, if they are types there.
        for argument in declared:
            placed(argument.annotation, argument)  # type: ignore[type-var]
        if returns and node.args.args:
            placed(node.returns, node.args.args[0])  # type: ignore[type-var]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        declared = self.futures.is_declared(node.annotation)
        self.generic_visit(node)
        if declared:  # As above.
            placed(node.annotation, node.target)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """What who calls the model gives stays what it is."""
        return node if self.shown else self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """``Future[Tensor]`` in a declaration."""
        self.generic_visit(node)
        is_future = value_of(node.value, self.futures.around) is torch.jit.Future
        return node.slice if is_future else node
