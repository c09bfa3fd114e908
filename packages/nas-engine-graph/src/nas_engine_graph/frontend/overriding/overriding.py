"""The source of an override of what PyTorch calls beside ``forward``."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from nas_core.errors import Place

from nas_engine_graph.frontend.source.decorators import contexts
from nas_engine_graph.frontend.source.places import written_at
from nas_engine_graph.frontend.source.presence import asks_what_there_is
from nas_engine_graph.frontend.source.sources import nodes_of, parsed, source_lines
from nas_engine_graph.frontend.source.spreading import spread_from, spread_names
from nas_engine_graph.frontend.source.variables import variables_of

__all__ = ["LOADING", "Written"]

LOADING = ("load_state_dict", "_load_from_state_dict")
_UNKNOWN = "def unknown(self): exec('')"


class Written:
    """The source of one override.

    Attributes:
        body: its statements.
        own: the names of its variables.
        around: the global and enclosing variables that it does not hide with its own.
        owner: the name of what it is called on.
        names: the names of the other arguments.
        spread: the names of the arguments that take more.
        kept: the variables that may not become something else.
        given: the argument that holds the weights to load; empty if there is none.
        stores: whether it sets attributes, or empties them.
        asks_version: whether it asks for the version of the weights to load.
    """

    def __init__(self, function: Any, method: str) -> None:
        list(contexts(function, ""))  # Refuses decorators of the user's.
        self.function: Callable[..., Any] = inspect.unwrap(function)
        self.method = method
        self.first, self.tree = _source(self.function)
        variables = variables_of(self.function, self.tree)
        self.body, self.own, self.around = self.tree.body, variables.own, variables.around
        arguments = self.tree.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        self.owner, *self.names = names or [""]
        self.spread = spread_names(arguments)
        self.kept = {"self"} if method in LOADING else {"self", *self.names, *self.spread}
        self.given = self.names[0] if method in LOADING and self.names else ""
        self.stores = any(map(_stores, nodes_of(self.tree)))
        self.asks_version = method in LOADING and any(map(_is_version, nodes_of(self.tree)))

    def place(self, node: ast.AST | None) -> Place:
        code = getattr(self.function, "__code__", None)
        line = getattr(node, "lineno", 1)
        return Place(getattr(code, "co_filename", ""), self.first + line - 1)

    def line(self, node: ast.AST) -> str:
        """The first line of a part of it, as the user wrote it."""
        return f"{written_at(self.place(None), node):.80}".partition("\n")[0]

    def is_for_others(self, statement: ast.stmt) -> bool:
        """Whether a statement only does something to weights of other shapes than the module has.

        Generated code refuses these. So it is with others for which there is something else:
        whether it is there for weights of the module is tried out.
        """
        match statement:
            case ast.If() if self.given and asks_what_there_is(statement, self.around):
                return True
            case ast.If(ast.BoolOp(ast.And(), tests), _, []):
                return any(map(self._asks_shapes, tests))
            case ast.If(test, _, []):
                inside = statement.body
                return self._asks_shapes(test) or all(map(self.is_for_others, inside))
        return False

    def _asks_shapes(self, test: ast.expr) -> bool:
        match test:
            case ast.Compare(left, [ast.NotEq()], [right]) if self.given:
                owners = {_shaped(left), _shaped(right)}
                return owners == {self.given, self.owner}
        return False

    def next_call(self, statement: ast.stmt, last: bool) -> ast.Call | None:
        """The call of the overridden method that a statement is, without ``self``.

        Args:
            statement: the statement.
            last: whether no class in between overrides the method.
        """
        match statement:
            case ast.Expr(call) | ast.Return(call) | ast.Assign([ast.Name()], call):
                pass
            case _:
                return None
        match call:
            case ast.Call(ast.Attribute(ast.Call(ast.Name("super"), _, []), name), args, keywords):
                pass
            case ast.Call(ast.Attribute(owner, name), [ast.Name("self"), *args], keywords) if (
                last and ast.unparse(owner) in ("nn.Module", "torch.nn.Module")
            ):
                pass
            case _:
                return None
        return ast.Call(call.func, args, keywords) if name == self.method else None

    def spreads(self, node: ast.expr | ast.keyword) -> bool:
        """Whether an argument of a call is what this one takes beside those with names."""
        return spread_from(node, self.spread) == 0

    def hands_on(self, call: ast.Call) -> bool:
        """Whether the overridden method is called with all that this one is given."""
        if self.method in LOADING:
            return True  # What loads weights may have made others of those that it is given.
        given = [ast.unparse(a) for a in call.args]
        given += [f"**{ast.unparse(k.value)}" if k.arg is None else k.arg for k in call.keywords]
        as_named = all(k.arg in (None, ast.unparse(k.value)) for k in call.keywords)
        taken, more = list(self.names), self.tree.args
        taken += [f"*{more.vararg.arg}"] if more.vararg else []
        taken += [a.arg for a in more.kwonlyargs]
        taken += [f"**{more.kwarg.arg}"] if more.kwarg else []
        return as_named and given == taken


def _source(function: Callable[..., Any]) -> tuple[int, ast.FunctionDef]:
    """The first line and the definition of a function; one that does anything if there is none."""
    try:
        _, first = source_lines(function)
        (tree,) = parsed(function).body
    except (OSError, TypeError, SyntaxError):
        first, (tree,) = 1, ast.parse(_UNKNOWN).body
    if not isinstance(tree, ast.FunctionDef):
        (tree,) = ast.parse(_UNKNOWN).body
        assert isinstance(tree, ast.FunctionDef)
    return first, tree


def _stores(node: ast.AST) -> bool:
    """Whether attributes are set, or emptied."""
    match node:
        case ast.Attribute(_, name, ast.Store()):
            return name != "training"
        case ast.Call(ast.Attribute(_, "clear"), [], []) | ast.Call(ast.Name("setattr")):
            return True
    return False


def _shaped(node: ast.expr) -> str | None:
    """The variable that an expression begins with which gives the shape of a tensor."""
    match node:
        case ast.Attribute(value, "shape") | ast.Call(ast.Attribute(value, "size"), [], []):
            while isinstance(value, ast.Attribute | ast.Subscript):
                value = value.value
            return value.id if isinstance(value, ast.Name) else None
    return None


def _is_version(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "version"
