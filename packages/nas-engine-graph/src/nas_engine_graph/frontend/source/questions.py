"""Questions that have one answer, and marks for TorchScript.

Python neither reads nor traces code, and tensors are plain ones: none is of a class of its own,
which TorchScript could not ask for.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
import torch._jit_internal as internal

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of, parsed, readable
from nas_engine_graph.frontend.source.variables import name_of, value_of, variables_of

__all__ = [
    "QUESTIONS", "WithoutBranches", "answered", "body_of", "is_unused", "returns_anything",
]  # fmt: skip

QUESTIONS = frozenset({"is_scripting", "is_tracing", "_get_tracing_state", "is_in_onnx_export"})
"""The names of functions of torch that ask whether it reads or traces."""


def answered(tree: ast.AST, around: Mapping[str, Any]) -> bool:
    """Answer the questions of a function, in place, and leave out the branches that never run.

    Returns:
        Whether there were any.
    """
    visitor = _Answered(around)
    if any(isinstance(n, ast.Call) and visitor.may_answer(n) for n in nodes_of(tree)):
        visitor.visit(tree)
    return visitor.found


class WithoutBranches(Rewriter):
    """Leaves out the branches that never run: those of conditions that are constants."""

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        if (answer := _answer(node.test)) is None:
            return node
        return (node.body if answer else node.orelse) or ast.copy_location(ast.Pass(), node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        if (answer := _answer(node.test)) is None:
            return node
        return node.body if answer else node.orelse


class _Answered(WithoutBranches):
    def __init__(self, around: Mapping[str, Any]) -> None:
        self.around, self.found = around, False

    def may_answer(self, node: ast.Call) -> bool:
        return name_of(node.func) == "isinstance" or _is_question(node, self.around)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if _is_question(node, self.around) or self.asks_for_subclass(node):
            self.found = True
            return ast.copy_location(ast.Constant(value=False), node)
        self.generic_visit(node)
        return node

    def asks_for_subclass(self, node: ast.Call) -> bool:
        """Whether a call asks for classes of tensors alone that are none of torch's.

        Where it asks for others, too, it does so alone afterwards.
        """
        match node:
            case ast.Call(ast.Name("isinstance"), [_, ast.Tuple(kinds)], []):
                others = [kind for kind in kinds if not self.is_subclass(kind)]
                self.found |= len(others) < len(kinds)
                kinds[:] = others
                return not others
            case ast.Call(ast.Name("isinstance"), [_, kind], []):
                return self.is_subclass(kind)
        return False

    def is_subclass(self, node: ast.expr) -> bool:
        kind = value_of(node, self.around)
        return isinstance(kind, type) and issubclass(kind, torch.Tensor) and not is_of_torch(kind)


def _answer(test: ast.expr) -> bool | None:
    """What a condition is that depends on nothing; None for others."""
    match test:
        case ast.Constant(bool() as value):
            return value
        case ast.UnaryOp(ast.Not(), operand):
            answer = _answer(operand)
            return None if answer is None else not answer
        case ast.BoolOp(sign, values):
            goes_on = isinstance(sign, ast.And)
            # The first that does not go on is the answer, and so is one that may not.
            return next((a for a in map(_answer, values) if a is not goes_on), goes_on)
    return None


def _is_question(call: ast.Call, around: Mapping[str, Any]) -> bool:
    """Whether a call is such a question, or of a function that does nothing but ask it."""
    if call.args or call.keywords:
        return False
    function = value_of(call.func, around)
    return name_of(call.func) in QUESTIONS or (inspect.isfunction(function) and _asks(function))


@lru_cache(maxsize=4096)
def _asks(function: Any) -> bool:
    if (tree := readable(function)) is None:
        return False
    match tree.body:
        case [ast.FunctionDef(body=[ast.Return(ast.Call(asked, [], []))])]:
            return name_of(asked) in QUESTIONS
    return False


def is_unused(function: Any) -> bool:
    """Whether a function or method is marked as one that scripted code does not use."""
    plain = getattr(function, "__func__", function)
    marked = getattr(plain, "_torchscript_modifier", None)
    return marked is internal.FunctionModifiers.UNUSED


def body_of(
    method: Any, arguments: list[Any], place: ast.stmt, around: Mapping[str, Any]
) -> list[ast.stmt] | None:
    """The statements of a method, with the variables of who calls it.

    Args:
        method: of the same module.
        arguments: the variables that it is called with, which replace its parameters.
        place: where it is called.
        around: what the names around there are.

    Returns:
        None if something that the method uses has no name there.
    """
    tree = parsed(method)
    definition: Any = tree.body[0]
    names = [argument.arg for argument in definition.args.args[1:]]
    given = {name: argument.id for name, argument in zip(names, arguments, strict=False)}
    home = variables_of(getattr(method, "__func__", method), tree).around
    used = {node.id for node in nodes_of(definition) if isinstance(node, ast.Name)}
    for name in used & home.keys() - given.keys():
        if around.get(name) is not home[name]:
            same = (other for other, value in around.items() if value is home[name])
            if (other := next(same, None)) is None:
                return None
            given[name] = other
    for node in nodes_of(definition):
        if isinstance(node, ast.Name):
            node.id = given.get(node.id, node.id)
        if hasattr(node, "lineno"):
            ast.copy_location(node, place)
    return list(definition.body)


def returns_anything(function: Any, tree: ast.AST) -> bool:
    """Whether the declared result is only true of scripted code: it comes from an unused method."""
    owner = getattr(function, "__self__", None)
    if is_unused(function):
        return True
    for node in nodes_of(tree):
        match node:
            case ast.Return(ast.Call(ast.Attribute(ast.Name("self"), name))):
                if is_unused(getattr(owner, name, None)):
                    return True
    return False
