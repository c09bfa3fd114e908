"""The first argument of methods: it is called ``self``, whatever the source calls it."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

__all__ = ["name_receiver"]

_SELF = "self"
_UNBOUND = frozenset({"staticmethod", "classmethod"})


def name_receiver(tree: ast.Module, function: Any) -> None:
    """Call what a method is called on ``self`` in its tree, in place.

    Places stay those of the source, and other variables of that name get another one.

    Args:
        tree: the source of ``function``.
        function: a function or method.

    >>> class Net:
    ...     def forward(net, x):
    ...         return [net(x) for net in net.layers]
    >>> tree = ast.parse("def forward(net, x): return [net(x) for net in net.layers]")
    >>> name_receiver(tree, Net.forward)
    >>> print(ast.unparse(tree))
    def forward(self, x):
        return [net_(x) for net_ in self.layers]
    """
    match tree.body:
        case [
            ast.FunctionDef(
                args=ast.arguments(posonlyargs=[ast.arg(written), *_])
                | ast.arguments(posonlyargs=[], args=[ast.arg(written), *_])
            ) as definition
        ] if written != _SELF and _is_method(function, definition):
            nodes = list(ast.walk(definition))
            taken = {n.id for n in nodes if isinstance(n, ast.Name)}
            taken |= {n.arg for n in nodes if isinstance(n, ast.arg)}
            other, hiding = (_Name(_free(n, taken), n) for n in (_SELF, written))
            around = _Scope({}, written, hiding)
            around.enter(definition, {_SELF: other, written: _Name(_SELF, written)})


def _is_method(function: Any, definition: ast.FunctionDef) -> bool:
    """Whether a function with this source is called on an instance."""
    if isinstance(function, types.MethodType):
        return not inspect.isclass(function.__self__)
    home = getattr(inspect.unwrap(function), "__qualname__", "").rpartition(".")[0]
    marks = {mark.id for mark in definition.decorator_list if isinstance(mark, ast.Name)}
    return bool(home) and not home.endswith("<locals>") and not marks & _UNBOUND


def _free(name: str, taken: Iterable[str]) -> str:
    name += "_"
    return _free(name, taken) if name in taken else name


class _Name(str):
    """A name as long as the one in the source: TorchScript tells by it where an expression ends."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, name: str, written: str) -> Self:
        made = super().__new__(cls, name)
        made.written = written
        return made

    def __len__(self) -> int:
        return len(self.written)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Name, (str(self), self.written)


class _Scope(ast.NodeVisitor):
    """Renames the variables of a function, and those of functions and comprehensions inside.

    Args:
        names: the new names.
        receiver: the name of the receiver in the source.
        hiding: what a variable is called that hides the receiver.
        around: the scope around this one, and what of its tree belongs there.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        receiver: str,
        hiding: str,
        around: tuple[_Scope, tuple[ast.AST, ...]] | None = None,
    ) -> None:
        self.names, self.receiver, self.hiding, self.around = names, receiver, hiding, around

    def enter(self, node: ast.AST, names: Mapping[str, str]) -> None:
        """Rename what is inside of a node that has variables of its own."""
        around = (self, tuple(_outside(node)))
        _Scope(names, self.receiver, self.hiding, around).generic_visit(node)

    def visit(self, node: ast.AST) -> None:
        if self.around is not None and any(node is outer for outer in self.around[1]):
            self.around[0].visit(node)
        else:
            super().visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        node.id = self.names.get(node.id, node.id)

    def visit_arg(self, node: ast.arg) -> None:
        node.arg = self.names.get(node.arg, node.arg)
        self.generic_visit(node)

    def _inner(self, node: ast.AST) -> None:
        hidden = {self.receiver: self.hiding} if self.receiver in _bound(node) else {}
        self.enter(node, {**self.names, **hidden})

    visit_FunctionDef = visit_Lambda = _inner
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _inner


def _outside(node: Any) -> Iterator[ast.AST]:
    """What of a function or comprehension is computed around it."""
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        arguments = node.args
        yield from filter(None, (*arguments.defaults, *arguments.kw_defaults))
        for inner in ast.walk(arguments):
            if isinstance(inner, ast.arg) and inner.annotation is not None:
                yield inner.annotation
        if isinstance(node, ast.FunctionDef):
            yield from filter(None, (*node.decorator_list, node.returns))
    else:
        yield node.generators[0].iter


def _bound(node: Any) -> set[str]:
    """The variables that a function or comprehension has of its own."""
    if not isinstance(node, ast.FunctionDef | ast.Lambda):
        inside = [n for made in node.generators for n in ast.walk(made.target)]
        return {n.id for n in inside if isinstance(n, ast.Name)}
    inside = list(ast.walk(node))
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {n.arg for n in inside if isinstance(n, ast.arg)}
