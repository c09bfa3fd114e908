"""Values that are of one type or of another: TorchScript has one type for each.

It is told that they are of the widest, as in ``scale * 2 if wide else 0``; the graph has what they
are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from nas_core.errors import Place
from torch import Tensor
from torch.jit._script import _unwrap_optional

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.source.marked import called, first_mark, marked_text
from nas_engine_graph.frontend.source.places import frame_of
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.variables import name_of

__all__ = [
    "CASTS", "OF_TENSORS", "PREFIX", "WRITTEN", "Mixed", "as_future", "as_kept", "as_number",
    "asks_types", "cast", "drawn", "is_kind", "left_alone", "may_differ", "mixed_in", "mixed_of",
    "widen", "wider_in", "written",
]  # fmt: skip

_KIND = r"(bool|int|float|number|str|Tensor)(?: \(inferred\))?"
_RANKS = ("number", "bool", "int", "float", "str", "Tensor")
_VARIABLE = (
    re.compile(
        rf"Variable '(\w+)' previously had type {_KIND} but is now being assigned to a value of "
        rf"type {_KIND}\s*:"
    ),
    re.compile(
        rf"Variable '(\w+)' is annotated with type {_KIND} but is being assigned to a value of "
        rf"type {_KIND}\s*:"
    ),
    re.compile(
        rf"Type mismatch: (\w+) is set to type {_KIND} in the true branch and type {_KIND} in the "
        r"false branch\s*:"
    ),
)
_EXPRESSION = (
    re.compile(
        rf"if-expression's ()true branch has type {_KIND} but false branch has type {_KIND}\s*:"
    ),
    re.compile(rf"expected an expression of ()type {_KIND} but found {_KIND}\s*:"),
)

_ARGUMENT = "()"
_RANGE = re.compile(r"inputs of range must be ints, found (Tensor|number)(?: \(inferred\))? in")


@dataclass(frozen=True, slots=True)
class Mixed:
    """A variable or expression that is of several types.

    Attributes:
        file: where the function is.
        line: where TorchScript has found it.
        column: likewise, in the line of the file.
        name: of the variable; empty for an expression that begins there, and ``()`` for the
            argument of a call of ``range`` that does.
        kind: the widest of its types; empty if it is left as it is.
        wanted: whether TorchScript wants to know it: it takes tensors for numbers, too.
    """

    file: str
    line: int
    column: int
    name: str
    kind: str
    wanted: bool = True


def as_int(value: Any) -> int:
    """A value as what it is; an integer to TorchScript."""
    assert isinstance(value, int)
    return value


def as_float(value: Any) -> float:
    """A value as what it is; a float to TorchScript."""
    assert isinstance(value, float)
    return value


def as_str(value: Any) -> str:
    """A value as what it is; a text to TorchScript."""
    assert isinstance(value, str)
    return value


def as_tensor(value: Any) -> Tensor:
    """A value as what it is; a tensor to TorchScript."""
    assert isinstance(value, Tensor)
    return value


def as_drawn(value: Any) -> Tensor:
    """A tensor as what it is; to TorchScript one that has to be made, whether it is used or not."""
    assert isinstance(value, Tensor)
    return value


def as_kept(value: Any) -> None:
    """Nothing; to TorchScript something that may be done with a value."""


def as_future(value: Any) -> Any:
    """What who calls the model gets for a value: a future that is done; to TorchScript anything."""
    return value


def as_number(value: Any) -> int:
    """``int(value)``, which TorchScript leaves out where it takes the value for an integer."""
    assert isinstance(value, int)
    return value


_BY_KIND: dict[str, Callable[[Any], Any]] = {
    "int": as_int, "float": as_float, "str": as_str, "Tensor": as_tensor,
}  # fmt: skip
OF_TENSORS = ("stft", "unique", "unique_consecutive")
"""Methods of tensors that are functions of torch: TorchScript has others of these names."""
CASTS = frozenset({as_drawn, *_BY_KIND.values()})
PREFIX = "nas_engine_graph_"
WRITTEN = {
    f"{PREFIX}{f.__name__}": f
    for f in (
        *CASTS,
        as_future,
        as_kept,
        as_number,
        torch.jit.annotate,
        _unwrap_optional,
        *(getattr(torch, name) for name in OF_TENSORS),
    )
}
"""The functions that ``written`` calls, by names that no function of the user's has."""


def is_kind(kind: str) -> bool:
    """Whether an expression can be taken for one of this type."""
    return kind in _BY_KIND


def cast(value: ast.expr, kind: str) -> ast.expr:
    """An expression that TorchScript takes for one of this type, and of none that was told."""
    match value:
        case ast.Constant(constant) if type(constant).__name__ == kind:
            return value
        case ast.Call(ast.Name(name), [inner]) if WRITTEN.get(name) in _BY_KIND.values():
            return cast(inner, kind)
    return written(_BY_KIND[kind], value)


def written(function: Callable[..., Any], first: ast.expr, *more: ast.expr) -> ast.expr:
    """A call of one of ``WRITTEN`` that stands where its first argument does."""
    name = ast.copy_location(ast.Name(f"{PREFIX}{function.__name__}", ast.Load()), first)
    return ast.copy_location(ast.Call(name, [first, *more], []), first)


def drawn(value: ast.expr) -> ast.expr:
    """An expression that TorchScript computes, whether its result is used or not."""
    return written(as_drawn, value)


def may_differ(kind: str, other: str) -> bool:
    """Whether values of the second type may stand where TorchScript is told the first."""
    return kind != other and kind in _BY_KIND and other in _RANKS


def mixed_of(text: str) -> Mixed | None:
    """What is of several types, if this is why TorchScript refuses."""
    if (frame := frame_of(text)) is None:
        return None
    if _RANGE.search(text):
        return Mixed(frame.file, frame.line, first_mark(text), _ARGUMENT, "int")
    for pattern in (*_VARIABLE, *_EXPRESSION):
        if (said := pattern.search(text)) is not None:
            widest = max(said[2], said[3], key=_RANKS.index)
            kind = said[2] if "expected" in said[0] else widest
            mixed = Mixed(frame.file, frame.line, first_mark(text), said[1], kind)
            return mixed if is_kind(kind) else None
    return None


def mixed_in(node: Any, kind: str, learnt: Collection[Any]) -> Mixed | None:
    """The variable that is of another type where TorchScript makes a number of it, and uses that.

    Args:
        node: where it makes one.
        kind: the widest type.
        learnt: what is known already.
    """
    kept = any(use.user.kind() == "prim::Return" for use in node.output().uses())
    if not kept and called(node) is not None:
        return None  # An argument: what is marked is the function.
    return _new(node, marked_text(node), kind, learnt)


def wider_in(node: Any, learnt: Collection[Any]) -> Mixed | None:
    """The variable that was learnt to be a number, and becomes a tensor where a value is cast.

    Args:
        node: the cast.
        learnt: what is known already.
    """
    return _new(node, node.output().debugName().partition(".")[0], "Tensor", learnt)


def _new(node: Any, name: str, kind: str, learnt: Collection[Any]) -> Mixed | None:
    """A variable of this type in the function in which a node is, if this is not known yet."""
    frame = frame_of(node.sourceRange())
    if frame is None or not name.isidentifier():
        return None
    found = Mixed(frame.file, frame.line, 0, name, kind, wanted=False)
    return None if found in learnt or replace(found, kind="") in learnt else found


def left_alone(lesson: object) -> Mixed | None:
    """A lesson that TorchScript does not need, as one that changes nothing."""
    if isinstance(lesson, Mixed) and lesson.kind and not lesson.wanted:
        return replace(lesson, kind="")
    return None


def widen(tree: ast.AST, first: int, indent: int, found: Iterable[Mixed]) -> None:
    """Write what TorchScript takes for the widest type where values are of several, in place.

    Args:
        tree: a function.
        first: the line of its file that is its first.
        indent: by how much it is indented there.
        found: what in it is of several types.

    Raises:
        UnsupportedModuleError: TorchScript would change a tensor otherwise than Python.
    """
    for mixed in found:
        if not mixed.kind and _augments(tree, mixed.name):
            text = f"an assignment such as `+=` to {mixed.name!r}, which is a number or a tensor"
            raise UnsupportedModuleError(text, place=Place(mixed.file, mixed.line))
        if mixed.kind and not asks_types(tree, mixed.kind):
            _Widened(mixed, mixed.line - first + 1, mixed.column - indent).visit(tree)


def asks_types(tree: ast.AST, kind: str) -> bool:
    """Whether a function asks for a type that TorchScript may answer otherwise than Python.

    It answers from the types that it knows: of what is taken for this one or a narrower one.
    """
    taken = _RANKS[: _RANKS.index(kind) + 1]
    for node in nodes_of(tree):
        match node:
            case ast.Call(ast.Name("isinstance"), [_, kinds]):
                asked = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
                names = {name_of(kind) for kind in asked}
                if not names.isdisjoint((*taken, "")):
                    return True
            case ast.Call(ast.Attribute(_, "isinstance") | ast.Name("isinstance")):
                return True
    return False


def _augments(tree: ast.AST, name: str) -> bool:
    targets = (n.target for n in nodes_of(tree) if isinstance(n, ast.AugAssign))
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


class _Widened(Rewriter):
    def __init__(self, mixed: Mixed, line: int, column: int) -> None:
        self.name, self.kind, self.place = mixed.name, mixed.kind, (line, column)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if self.is_there(node):
            node.body, node.orelse = cast(node.body, self.kind), cast(node.orelse, self.kind)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Attribute(_, "annotate"), [kind, value]) if self.is_there(kind):
                node.args[1] = cast(value, self.kind)
            case ast.Call(ast.Name("range"), [value]) if self.name == _ARGUMENT:
                if (node.lineno, node.col_offset) == self.place:
                    node.args[0] = cast(value, self.kind)
            case ast.Call(ast.Name("int"), [value]) if (
                self.kind == "int" and self.name != _ARGUMENT
            ):
                return written(as_number, value)
        return node

    def is_there(self, node: ast.expr) -> bool:
        return not self.name and (node.lineno, node.col_offset) == self.place

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        for target in node.targets:
            match target, node.value:
                case ast.Name(name), value if name == self.name:
                    node.value = cast(value, self.kind)
                case ast.Tuple(targets), ast.Tuple(items) as value if len(targets) == len(items):
                    value.elts = list(self.items(targets, items))
        return node

    def items(self, targets: list[ast.expr], items: list[ast.expr]) -> Iterator[ast.expr]:
        for target, item in zip(targets, items, strict=True):
            mine = isinstance(target, ast.Name) and target.id == self.name
            yield cast(item, self.kind) if mine else item

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.AnnAssign(ast.Name(name), declared, ast.expr() as value) if name == self.name:
                node.value = cast(value, self.kind)
                if isinstance(declared, ast.Name) and declared.id in _RANKS:
                    declared.id = self.kind  # Python does not ask what is declared.
        return node
