"""Functions that return one thing or another, which TorchScript lets only those do that say so."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from nas_engine_graph.frontend.source.places import frame_of
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.variables import name_of

__all__ = ["Returned", "declare_returned", "returned_of"]

_NAME = "returned_value"
_DIFFERENT = re.compile(
    r"Previous return statement returned a value of type|if-expression's true branch has type"
)


@dataclass(frozen=True, slots=True)
class Returned:
    """A function that returns values of several types.

    Attributes:
        file: where the function is.
        line: where TorchScript has found it.
    """

    file: str
    line: int


def returned_of(text: str) -> Returned | None:
    """The function, if this is why TorchScript refuses."""
    frame = frame_of(text)
    if frame is None or not _DIFFERENT.search(frame.said):
        return None
    return Returned(frame.file, frame.line)


def declare_returned(tree: ast.Module, anything: bool) -> None:
    """Write a function that returns anything in words of TorchScript, in place.

    Args:
        tree: the function.
        anything: whether it returns values of several types, and has to declare it.
    """
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef)
    if anything:
        definition.returns = ast.copy_location(ast.Name("Any", ast.Load()), definition)
    if definition.returns is not None and name_of(definition.returns) == "Any":
        _Branches().visit(definition)


class _Branches(Rewriter):
    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        match node.value:
            case ast.IfExp(test, body, orelse):
                arms = [
                    self.visit_Return(ast.copy_location(ast.Return(v), v)) for v in (body, orelse)
                ]
                return [ast.copy_location(ast.If(test, arms[0], arms[1]), node)]
            case ast.List() | ast.ListComp() | ast.Dict() | ast.DictComp() as made:
                # Of what is written as anything TorchScript asks what it holds, and crashes.
                target = ast.copy_location(ast.Name(_NAME, ast.Store()), node)
                node.value = ast.copy_location(ast.Name(_NAME, ast.Load()), node)
                return [ast.copy_location(ast.Assign([target], made), node), node]
        return [node]
