"""Modules of a list with the items of another one: TorchScript has to know how many these are.

``for op, x in zip(self.ops, states)`` is written as a loop over the modules alone, of which each
takes the item of its number, if there is one.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from nas_engine_graph.frontend.source.modules import items_of
from nas_engine_graph.frontend.source.places import frame_of
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["Zipped", "write_zips_out", "zipped_of"]

_SAID = "with a value that does not have a statically determinable length"


@dataclass(frozen=True, slots=True)
class Zipped:
    """What is iterated together with modules in a line."""

    file: str
    line: int


def zipped_of(text: str) -> Zipped | None:
    """Where that is, if it is why TorchScript refuses."""
    frame = frame_of(text)
    return Zipped(frame.file, frame.line) if _SAID in text and frame is not None else None


def write_zips_out(tree: ast.AST, first: int, owner: object, found: Iterable[Zipped]) -> None:
    """Write such loops and lists with numbers, in place.

    Args:
        tree: a function.
        first: the line of its file that is its first.
        owner: of which it is a method.
        found: where they are.
    """
    lines = {zipped.line - first + 1 for zipped in found}
    if lines and isinstance(owner, nn.Module):
        _Zips(owner, lines).visit(tree)


class _Zips(Rewriter):
    def __init__(self, owner: nn.Module, lines: set[int]) -> None:
        self.owner, self.lines, self.numbers = owner, lines, itertools.count()

    def visit_For(self, node: ast.For) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        if node.orelse or not self.is_wanted(node.target, node.iter):
            return node
        return self.numbered(node.target, node.iter, node.body, node)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        return self.hoisted(node)

    def visit_Return(self, node: ast.Return) -> ast.stmt | list[ast.stmt]:
        return self.hoisted(node)

    def hoisted(self, node: ast.Assign | ast.Return) -> ast.stmt | list[ast.stmt]:
        """A statement that begins with such a list, after a loop that makes the list."""
        value = node.value
        while value is not None and not isinstance(value, ast.ListComp):
            value = _first(value)
        match value:
            case ast.ListComp(item, [ast.comprehension(target, iterated, [], 0)]) if self.is_wanted(
                target, iterated
            ):
                made = f"zipped_{next(self.numbers)}"
                renamed = _Renamed(target, made)
                append = ast.Attribute(_read(made), "append", ast.Load())
                body: list[ast.stmt] = [ast.Expr(ast.Call(append, [renamed.visit(item)], []))]
                start = ast.Assign([ast.Name(made, ast.Store())], ast.List([], ast.Load()))
                loop = self.numbered(renamed.visit(target), iterated, body, node)
                _Put(value, _read(made)).visit(node)
                return [_located(statement, node) for statement in (start, *loop, node)]
        return node

    def is_wanted(self, target: ast.expr, iterated: ast.expr) -> bool:
        """Whether these are modules and what is none, in one of the lines."""
        last = iterated.end_lineno or iterated.lineno
        if self.lines.isdisjoint(range(iterated.lineno, last + 1)):
            return False
        match target, iterated:
            case ast.Tuple([_, target]), ast.Call(ast.Name("enumerate"), [iterated], []):
                pass
        match target, iterated:
            case ast.Tuple(names), ast.Call(ast.Name("zip"), operands, []):
                whole = not any(isinstance(operand, ast.Starred) for operand in operands)
                kinds = {self.has_modules(operand) for operand in operands}
                return whole and len(names) == len(operands) and len(kinds) == 2
        return False

    def has_modules(self, node: ast.expr) -> bool:
        return items_of(node, self.owner) is not None

    def numbered(
        self, target: ast.expr, iterated: ast.expr, body: list[ast.stmt], place: ast.stmt
    ) -> list[ast.stmt]:
        """The loop over the modules, and what the other things are before it."""
        counter: ast.expr | None = None
        match target, iterated:
            case ast.Tuple([counter, target]), ast.Call(ast.Name("enumerate"), [iterated]):
                pass
        assert isinstance(iterated, ast.Call)
        assert isinstance(target, ast.Tuple)
        number = next(self.numbers)
        index = f"number_{number}"
        pairs = list(zip(target.elts, iterated.args, strict=True))
        modules = [(name, operand) for name, operand in pairs if self.has_modules(operand)]
        others = [(name, operand) for name, operand in pairs if not self.has_modules(operand)]
        lists = [f"items_{number}_{i}" for i in range(len(others))]
        before = [
            ast.Assign([ast.Name(name, ast.Store())], operand)
            for name, (_, operand) in zip(lists, others, strict=True)
        ]
        taken: list[ast.stmt] = [
            ast.Assign([name], ast.Subscript(_read(of), _read(index), ast.Load()))
            for of, (name, _) in zip(lists, others, strict=True)
        ]
        if counter is not None:
            taken.append(ast.Assign([counter], _read(index)))
        there = [
            ast.Compare(_read(index), [ast.Lt()], [ast.Call(_read("len"), [_read(of)], [])])
            for of in lists
        ]
        test = there[0] if len(there) == 1 else ast.BoolOp(ast.And(), list(there))
        inner: ast.stmt = ast.If(test, [*taken, *body], [])
        (names, of_modules) = ([name for name, _ in modules], [each for _, each in modules])
        over = of_modules[0] if len(modules) == 1 else ast.Call(_read("zip"), of_modules, [])
        each = names[0] if len(names) == 1 else ast.Tuple(list(names), ast.Store())
        loop = ast.For(
            ast.Tuple([ast.Name(index, ast.Store()), each], ast.Store()),
            ast.Call(_read("enumerate"), [over], []),
            [inner],
            [],
        )
        return [_located(statement, place) for statement in (*before, loop)]


class _Put(Rewriter):
    """Another expression in the place of one."""

    def __init__(self, old: ast.expr, new: ast.expr) -> None:
        self.old, self.new = old, new

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        return self.new if node is self.old else node


class _Renamed(Rewriter):
    """The variables of a list, which nobody else sees, under names that nobody else has."""

    def __init__(self, target: ast.expr, prefix: str) -> None:
        found = [node.id for node in nodes_of(target) if isinstance(node, ast.Name)]
        self.names = {name: f"{prefix}_{name}" for name in found}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node


def _read(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _located(statement: ast.stmt, place: ast.stmt) -> ast.stmt:
    """With the place of a statement where there is none yet."""
    for node in ast.walk(statement):
        if isinstance(node, ast.expr | ast.stmt) and not hasattr(node, "lineno"):
            ast.copy_location(node, place)
    return statement


def _first(node: ast.expr) -> ast.expr | None:
    """The part of an expression that is computed before anything else in it."""
    match node:
        case ast.Call(function, [first, *_]) if _is_path(function):
            return first
        case ast.Call(ast.Attribute(value)) | ast.Attribute(value) | ast.Subscript(value):
            return value
        case ast.BinOp(left):
            return left
    return None


def _is_path(node: ast.expr) -> bool:
    """Whether this is a name, or an attribute of one, of which nothing else is asked."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)
