"""A variable of its own for each loop over modules.

Where such a loop has the variable of an earlier one, TorchScript may go on with the last module of
that: it does not see that the variable is something else by now.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torch import nn

from nas_engine_graph.frontend.source.modules import items_of, module_at
from nas_engine_graph.frontend.source.reaching import UnclearError, definitions
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["unclear_loops", "with_own_targets"]


def with_own_targets(tree: ast.AST, owner: nn.Module) -> None:
    """Rename the variables that loops over modules share with others, in place."""
    taken = {node.id for node in nodes_of(tree) if isinstance(node, ast.Name)}
    for name in _shared(tree, owner):
        for places in _apart(tree, name, owner):
            own = next(
                f"{name}_{n}" for n in range(1, len(taken) + 2) if f"{name}_{n}" not in taken
            )
            taken.add(own)
            for node in places:
                node.id = own


def _apart(tree: ast.AST, name: str, owner: nn.Module) -> Iterator[list[ast.Name]]:
    """The places of a variable that may get a name of their own together."""
    if any(_read_outside(tree, name)):
        try:
            yield from definitions(tree, name, owner)
        except UnclearError:
            return
    else:
        for loop in reversed(_loops(tree, name)):  # Inner loops first.
            yield [node for part in (loop.target, *loop.body) for node in _named(part, name)]


def unclear_loops(tree: ast.AST, owner: nn.Module) -> Iterator[ast.For]:
    """Loops over who knows what that still share their variable with loops over modules."""
    for name in _shared(tree, owner):
        loops = _loops(tree, name)
        if len(loops) > 1:
            yield from (loop for loop in loops if items_of(loop.iter, owner) is None)


def _shared(tree: ast.AST, owner: nn.Module) -> set[str]:
    """The variables of loops over modules that are assigned in another place, too."""
    modules, nodes = set[str](), nodes_of(tree)
    for loop in (node for node in nodes if isinstance(node, ast.For)):
        inside = [n for n in nodes_of(loop.iter) if isinstance(n, ast.expr)]
        if any(
            module_at(n, owner) is not None or (isinstance(n, ast.Name) and n.id in modules)
            for n in inside
            if not (isinstance(n, ast.Name) and n.id == "self")
        ):
            modules |= {n.id for n in nodes_of(loop.target) if isinstance(n, ast.Name)}
    stored = [n.id for n in nodes if isinstance(n, ast.Name) and _is_store(n)]
    return {name for name in modules if stored.count(name) > 1}


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _named(tree: ast.AST, name: str) -> Iterator[ast.Name]:
    yield from (n for n in nodes_of(tree) if isinstance(n, ast.Name) and n.id == name)


def _loops(tree: ast.AST, name: str) -> list[ast.For]:
    loops = (node for node in nodes_of(tree) if isinstance(node, ast.For))
    return [loop for loop in loops if any(_named(loop.target, name))]


def _read_outside(tree: ast.AST, name: str) -> Iterator[ast.Name]:
    """Where the variable is read, but not in a loop that assigns it."""
    match tree:
        case ast.Name(found, ast.Load()) if found == name:
            yield tree
        case ast.For() if any(_named(tree.target, name)):
            for node in (tree.iter, *tree.orelse):
                yield from _read_outside(node, name)
        case ast.comprehension() if any(_named(tree.target, name)):
            yield from _read_outside(tree.iter, name)
        case ast.ListComp() | ast.DictComp() if any(
            any(_named(inner.target, name)) for inner in tree.generators
        ):
            for inner in tree.generators:
                yield from _read_outside(inner, name)
        case _:
            for child in ast.iter_child_nodes(tree):
                yield from _read_outside(child, name)
