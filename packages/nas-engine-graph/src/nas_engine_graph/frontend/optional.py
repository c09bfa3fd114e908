"""Arguments that may be None, as their defaults say: TorchScript takes them for what is declared.

Where it wants to know that one is not None, and Python does not ask, it is told so.
"""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.jit._script import _unwrap_optional

from nas_engine_graph.frontend.mixed import cast, is_kind, written
from nas_engine_graph.frontend.places import FRAME
from nas_engine_graph.frontend.variables import name_of, value_of, variables_of

__all__ = ["Unrefined", "admit_none", "unrefined_of"]


@dataclass(frozen=True, slots=True)
class Unrefined:
    """A function that uses what may be None without asking.

    Attributes:
        file: where the function is.
        line: where TorchScript has found it.
    """

    file: str
    line: int


def unrefined_of(text: str) -> Unrefined | None:
    """Where it is used, if this is why TorchScript refuses."""
    where = FRAME.search(text)
    if where is None or "Optional[" not in text[: where.start()]:
        return None
    return Unrefined(where[1], int(where[2]))


def admit_none(tree: Any, function: Any, found: Sequence[Unrefined]) -> None:
    """Declare what arguments are whose default is None, in place.

    Args:
        tree: the source of a function.
        function: the function.
        found: where it uses them without asking.
    """
    (definition,) = tree.body
    silent = list(_none_by_default(definition.args))
    around = variables_of(function, tree).around if silent else {}
    for argument in silent:
        if not _admits_none(argument.annotation, around):
            argument.annotation = _optional(argument)
    if found:
        kinds = {a.arg: _kind(a.annotation) for a in _arguments(definition.args)}
        _Refined({name: kind for name, kind in kinds.items() if kind is not None}).visit(tree)


def _arguments(given: ast.arguments) -> Iterator[ast.arg]:
    yield from (*given.posonlyargs, *given.args, *given.kwonlyargs)


def _none_by_default(given: ast.arguments) -> Iterator[ast.arg]:
    named = (*given.posonlyargs, *given.args)
    defaults = [None] * (len(named) - len(given.defaults)) + given.defaults
    for argument, default in zip(
        (*named, *given.kwonlyargs), (*defaults, *given.kw_defaults), strict=True
    ):
        if isinstance(default, ast.Constant) and default.value is None:
            yield argument


def _admits_none(annotation: ast.expr | None, around: Mapping[str, Any]) -> bool:
    """Whether what is declared may be None, or is nothing that can be told."""
    if annotation is None:
        return False
    if any(word in ast.unparse(annotation) for word in ("Optional", "None", "Any", "Union")):
        return True
    return type(None) in typing.get_args(value_of(annotation, around))


def _optional(argument: ast.arg) -> ast.expr:
    kind: ast.expr = argument.annotation or ast.Name("Tensor", ast.Load())
    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        kind = ast.parse(kind.value, mode="eval").body
    made = ast.Subscript(ast.Name("Optional", ast.Load()), kind, ast.Load())
    for node in ast.walk(made):
        ast.copy_location(node, argument)
    return made


def _kind(annotation: ast.expr | None) -> str | None:
    """What an argument is if it is not None; None if it never is that."""
    match annotation:
        case ast.Subscript(container, kind) if name_of(container) == "Optional":
            return name_of(kind)
        case ast.BinOp(kind, ast.BitOr(), ast.Constant(None)):
            return name_of(kind)
    return None


class _Refined(ast.NodeTransformer):
    """Says of arguments that they are not None, but where that is the question."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds

    def visit_Name(self, node: ast.Name) -> ast.expr:
        kind = self.kinds.get(node.id)
        if kind is None or not isinstance(node.ctx, ast.Load):
            return node
        return cast(node, kind) if is_kind(kind) else written(_unwrap_optional, node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        values = (node.left, *node.comparators)
        if any(isinstance(v, ast.Constant) and v.value is None for v in values):
            return node
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return node if name_of(node.func) == "isinstance" else self.generic_visit(node)
