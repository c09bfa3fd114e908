"""What arguments are, as defaults and calls say: TorchScript takes them for what is declared.

Where it wants to know that one is not None, and Python does not ask, it is told so.
"""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.jit._script import _unwrap_optional

from nas_engine_graph.frontend.source.mixed import cast, is_kind, written
from nas_engine_graph.frontend.source.places import frame_of, placed
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import name_of, value_of, variables_of

__all__ = [
    "Given", "Unrefined", "declare_by_default", "declare_given", "fits", "given_of",
    "unrefined_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unrefined:
    """A function that uses what may be None without asking.

    Attributes:
        file: where the function is.
        line: where TorchScript has found it.
    """

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Given:
    """What a function is given for an argument of which it does not say what it is.

    Attributes:
        function: the name of the function.
        owner: the class of which it is a method; empty if it is none.
        argument: the name of the argument.
        kind: its type, in words of TorchScript.
    """

    function: str
    owner: str
    argument: str
    kind: str

    def is_of(self, function: Any, owner: Any) -> bool:
        """Whether it is said of this function, a method of ``owner`` if it is one."""
        cls = type(owner).__qualname__ if self.owner else ""
        return function.__name__ == self.function and self.owner == cls.rpartition(".")[2]


_GIVEN = re.compile(
    r"(\w+)\((?:__torch__\.[\w.]*?(\w+) self)?[^\n]*\n"
    r"Expected a value of type '(?:Tensor \(inferred\)|Optional\[Tensor\])' for argument '(\w+)' "
    r"but instead found type '([\w\[\], ]+)'"
)
_OVERLOADS = re.compile(r"following variants are available:\s+\w+\(")
"""Of a function of the user's: which one is called depends on what may be None."""
_TAKEN = {
    type(None): ("Optional", "NoneType"), str: ("str",), float: ("float", "number", "complex"),
    int: ("int", "float", "number", "complex"), bool: ("bool", "int", "float", "number"),
}  # fmt: skip
_KINDS = {"Device": "torch.device", "NoneType": "Optional[Tensor]"}


def given_of(text: str) -> Given | None:
    """What a function is given, if this is why TorchScript refuses."""
    said = _GIVEN.search(text)
    return said and Given(said[1], said[2] or "", said[3], _KINDS.get(said[4], said[4]))


def unrefined_of(text: str) -> Unrefined | None:
    """Where it is used, if this is why TorchScript refuses."""
    frame = frame_of(text)
    if frame is None or "Optional[" not in frame.said or _OVERLOADS.search(frame.said):
        return None
    return Unrefined(frame.file, frame.line)


def fits(default: Any, kind: str) -> bool:
    """Whether TorchScript takes a default for a value of a type, as far as that can be told.

    >>> fits(None, "Optional[Tensor]"), fits(1, "float"), fits("none", "Optional[Tensor]")
    (True, True, False)
    """
    taken = _TAKEN.get(type(default))
    return taken is None or not kind or any(word in kind for word in (*taken, "Any", "Union"))


def declare_given(tree: Any, found: Iterable[Given]) -> None:
    """Declare what arguments are of which nothing says it but the calls, in place."""
    for given in found:
        for argument in _arguments(tree.body[0].args):
            if argument.arg == given.argument and argument.annotation is None:
                argument.annotation = placed(ast.parse(given.kind, mode="eval").body, argument)


def declare_by_default(tree: Any, function: Any, first: int, found: Sequence[Unrefined]) -> None:
    """Declare what arguments are whose default says it, in place.

    Args:
        tree: the source of a function.
        function: the function.
        first: the line of its file that is its first.
        found: where it uses them without asking.
    """
    (definition,) = tree.body
    defaults = [] if _only_declares(definition) else list(_defaults(definition.args))
    around = variables_of(function, tree).around if defaults or found else {}
    for argument, default in defaults:
        if default is not None and argument.annotation is None:
            argument.annotation = placed(ast.Name(default, ast.Load()), argument)
        if default is None and not _admits_none(argument.annotation, around):
            argument.annotation = _optional(argument)
    if found:
        kinds = {a.arg: _kind(a.annotation, around) for a in _arguments(definition.args)}
        known = {name: kind for name, kind in kinds.items() if kind is not None}
        used = _used_in(definition, {lesson.line - first + 1 for lesson in found})
        _Refined({n: k for n, k in known.items() if n in used} or known).visit(tree)


def _used_in(definition: ast.FunctionDef, lines: set[int]) -> set[str]:
    """The variables in the expressions that begin in one of these lines."""
    begun = (n for n in nodes_of(definition) if isinstance(n, ast.expr) and n.lineno in lines)
    return {n.id for node in begun for n in nodes_of(node) if isinstance(n, ast.Name)}


def _only_declares(definition: ast.FunctionDef) -> bool:
    """Whether a function is an overload, which says what arguments are of which another is."""
    match definition.body:
        case [ast.Pass() | ast.Expr(ast.Constant())]:
            return True
    return False


def _arguments(given: ast.arguments) -> Iterator[ast.arg]:
    yield from (*given.posonlyargs, *given.args, *given.kwonlyargs)


def _defaults(given: ast.arguments) -> Iterator[tuple[ast.arg, str | None]]:
    """The arguments that are numbers, texts or None by default, and the type of which one is."""
    named = (*given.posonlyargs, *given.args)
    defaults = [None] * (len(named) - len(given.defaults)) + given.defaults
    for argument, default in zip(
        (*named, *given.kwonlyargs), (*defaults, *given.kw_defaults), strict=True
    ):
        match default:
            case ast.Constant(None):
                yield argument, None
            case ast.Constant(bool() | int() | float() | str() as value) | ast.UnaryOp(
                ast.USub(), ast.Constant(int() | float() as value)
            ):
                yield argument, type(value).__name__


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
    return placed(ast.Subscript(ast.Name("Optional", ast.Load()), kind, ast.Load()), argument)


def _kind(annotation: ast.expr | None, around: Mapping[str, Any]) -> str | None:
    """What an argument is if it is not None; None if it never is that."""
    match annotation:
        case ast.Name() | ast.Attribute():  # Of something, or a name for what may be None.
            kinds = typing.get_args(value_of(annotation, around))
            others = [kind for kind in kinds if kind is not type(None)]
            if len(others) == 1 < len(kinds):
                return getattr(others[0], "__name__", None)
        case ast.Subscript(container, kind) if name_of(container) == "Optional":
            return name_of(kind)
        case ast.BinOp(kind, ast.BitOr(), ast.Constant(None)):
            return name_of(kind)
    return None


class _Refined(Rewriter):
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
