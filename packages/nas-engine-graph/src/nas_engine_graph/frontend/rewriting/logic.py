"""``and`` and ``or``: TorchScript makes a bool of them, Python gives one of the operands."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator
from typing import TypeGuard

from nas_engine_graph.frontend.source.coded import SIGNS
from nas_engine_graph.frontend.source.hiding import item
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["as_branches", "distributed", "only_bools", "valued"]

_PURE = frozenset(
    {"bool", "dim", "hasattr", "int", "isinstance", "len", "ndimension", "numel", "size", "float"}
)


def _parts(node: ast.AST, condition: bool) -> Iterator[tuple[ast.AST, bool]]:
    """The children of a node, and whether only their truth matters."""
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            yield node.test, True
            for child in ast.iter_child_nodes(node):
                if child is not node.test:
                    yield child, condition and isinstance(node, ast.IfExp)
        case ast.BoolOp():
            yield from ((value, condition) for value in node.values)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand, True
        case ast.Call(ast.Name("bool"), [argument], []):
            yield argument, True
        case ast.comprehension():
            yield from ((test, True) for test in node.ifs)
            yield node.iter, False
            yield node.target, False
        case _:
            yield from ((child, False) for child in ast.iter_child_nodes(node))


def _walk(node: ast.AST, condition: bool) -> Iterator[tuple[ast.AST, bool]]:
    yield node, condition
    for child, only_truth in _parts(node, condition):
        yield from _walk(child, only_truth)


def valued(tree: ast.AST) -> set[int]:
    """The ``id`` of every ``and`` and ``or`` of which the value matters, and not only its truth.

    Only the truth matters of conditions, of variables that are only used in such, and of the
    results of functions that are declared to give a bool.
    """
    if not any(isinstance(node, ast.BoolOp) for node in nodes_of(tree)):
        return set()
    found = list(_walk(tree, condition=False))
    names = {node.id for node, only_truth in found if _is_load(node) and not only_truth}
    exempt: set[int] = set()
    for node, _ in found:
        match node:
            case ast.Assign(targets, value):
                if all(isinstance(t, ast.Name) and t.id not in names for t in targets):
                    exempt |= _joined(value)
            case ast.FunctionDef(returns=ast.Name("bool")):
                for inner in nodes_of(node):
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        exempt |= _joined(inner.value)
    return {
        id(node)
        for node, only_truth in found
        if isinstance(node, ast.BoolOp) and not only_truth and id(node) not in exempt
    }


def distributed(tree: ast.AST) -> bool:
    """Write ``a and b or c`` as ``b or c if a else c``, in place where the value matters.

    Of ``a`` only the truth matters then: it may be of another type.

    Returns:
        Whether the value of any ``and`` or ``or`` matters.
    """
    if found := valued(tree):
        _Distributed(found).visit(tree)
    return bool(found)


class _Distributed(Rewriter):
    def __init__(self, found: set[int]) -> None:
        self.valued = found

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        made = self.made(node) if id(node) in self.valued else node
        return self.generic_visit(made)

    def made(self, node: ast.BoolOp) -> ast.expr:
        for index, value in enumerate(node.values[:-1]):
            if isinstance(value, ast.BoolOp) and type(value.op) is not type(node.op):
                test, *others = value.values
                rest = node.values[index + 1 :]
                long = self.joined(node, [self.joined(value, others), *rest])
                short = self.joined(node, copy.deepcopy(rest))
                arms = (long, short) if isinstance(node.op, ast.Or) else (short, long)
                made = ast.copy_location(ast.IfExp(test, *arms), value)
                return self.joined(node, [*node.values[:index], made])
        return node

    def joined(self, like: ast.BoolOp, values: list[ast.expr]) -> ast.expr:
        if len(values) == 1:
            return values[0]
        made = ast.copy_location(ast.BoolOp(like.op, values), like)
        self.valued |= {id(made)}.union(*map(_joined, values))
        return made


def _is_load(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _joined(node: ast.expr) -> set[int]:
    """An ``and`` or ``or``, and those among its operands."""
    if not isinstance(node, ast.BoolOp):
        return set()
    return {id(node)}.union(*map(_joined, node.values))


def _is_bool(node: ast.expr) -> bool:
    match node:
        case ast.Constant(bool()) | ast.UnaryOp(ast.Not()):
            return True
        case ast.Compare(_, operators):
            return all(isinstance(o, ast.Is | ast.IsNot | ast.In | ast.NotIn) for o in operators)
        case ast.Call(ast.Name("isinstance" | "hasattr" | "bool")):
            return True
        case _:
            return False


def only_bools(nodes: Iterable[ast.AST]) -> set[str]:
    """The variables that these nodes only set to what certainly is a bool."""
    found = []
    stored = [n.id for n in nodes if isinstance(n, ast.Name) and _is_store(n)]
    for node in nodes:
        match node:
            case ast.Assign([ast.Name(name)], value) if _is_bool(value):
                found.append(name)
    return {name for name in found if found.count(name) == stored.count(name)}


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_repeatable(node: ast.expr) -> bool:
    """Whether evaluating it twice is evaluating it once."""
    calls = (inner.func for inner in nodes_of(node) if isinstance(inner, ast.Call))
    return all(
        (isinstance(f, ast.Name) and f.id in _PURE)
        or (isinstance(f, ast.Attribute) and f.attr in _PURE)
        for f in calls
    )


def as_branches(node: ast.BoolOp) -> ast.expr:
    """The same value as nested ``a if c else b``."""
    if all(map(_is_bool, node.values)):
        return node
    *before, found = node.values
    for index, value in reversed(list(enumerate(before))):
        is_and = isinstance(node.op, ast.And)
        if _is_bool(value):
            short: ast.expr = ast.copy_location(ast.Constant(not is_and), value)
            found = _chosen(value, found, short, is_and)
        elif _is_repeatable(value):
            found = _chosen(value, found, copy.deepcopy(value), is_and)
        else:
            name = f"operand_{node.lineno}_{node.col_offset}_{index}"
            once = [ast.copy_location(ast.Name(name, ast.Load()), value) for _ in range(2)]
            found = _let(name, value, _chosen(once[0], found, once[1], is_and))
    return found


def _chosen(test: ast.expr, found: ast.expr, short: ast.expr, is_and: bool) -> ast.expr:
    then, other = (found, short) if is_and else (short, found)
    return ast.copy_location(ast.IfExp(test, then, other), test)


def _let(name: str, value: ast.expr, body: ast.expr) -> ast.expr:
    """The body with a variable for the value, which ``lets`` finds again."""
    source = ast.copy_location(ast.List([value], ast.Load()), value)
    target = ast.copy_location(ast.Name(name, ast.Store()), value)
    made: ast.expr = ast.ListComp(body, [ast.comprehension(target, source, [], 0)])
    return item(ast.copy_location(made, value), SIGNS["let"])
