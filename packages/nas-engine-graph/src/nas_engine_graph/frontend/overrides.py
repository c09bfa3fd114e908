"""Overrides of what PyTorch calls beside ``forward``: their sources, read for what they set."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from nas_core.errors import Place
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.decorators import contexts
from nas_engine_graph.frontend.encode import encode
from nas_engine_graph.frontend.harmless import harm, scope_of
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.presence import asks_what_there_is
from nas_engine_graph.frontend.sources import nodes_of, parsed, source_lines
from nas_engine_graph.frontend.variables import variables_of
from nas_engine_graph.ir import RESETTING, Reset

__all__ = ["CLEARED", "LOADING", "Override", "overrides", "resets_of"]

CLEARED = ...
"""What a reset sets that empties a list or dict, whichever it is."""
LOADING = ("load_state_dict", "_load_from_state_dict")
_UNKNOWN = "def unknown(self): exec('')"
_ACCEPTED = "set attributes to constants"
_EMPTY: dict[str, Any] = {"dict": {}, "list": [], "tuple": ()}


@dataclass(frozen=True, slots=True)
class Override:
    """What a class does when PyTorch calls it otherwise than to compute.

    Attributes:
        method: what is called.
        resets: the attributes that it sets to constants.
        more: the attributes that everything else in it mentions; None if there is nothing else.
        place: where it is written.
        versioned: whether it may do other things with weights of another version.
    """

    method: str
    resets: tuple[Reset, ...]
    more: frozenset[str] | None
    place: Place
    versioned: bool = False


def overrides(cls: type[nn.Module], path: str) -> tuple[Override, ...]:
    """What a class overrides of the methods that can be read.

    Raises:
        UnsupportedModuleError: one of them does what can't be read from its source.
    """
    plain: Any = cls
    try:
        found: tuple[Override, ...] = _overrides(plain)
    except UnsupportedModuleError as error:
        raise UnsupportedModuleError(error.construct, path, error.place) from error
    return found


def resets_of(classes: set[type]) -> frozenset[str]:
    """The attributes that any of the classes sets when PyTorch calls it.

    Raises:
        UnsupportedModuleError: a class does what can't be read from its source.
    """
    return frozenset(
        reset.attribute for cls in classes for o in _overrides(cls) for reset in o.resets
    )


@lru_cache(maxsize=4096)
def _overrides(cls: Any) -> tuple[Override, ...]:
    if is_of_torch(cls):
        return ()
    return tuple(o for method in RESETTING if (o := _override(cls, method)) is not None)


def _override(cls: type, method: str) -> Override | None:
    bases = [base for base in cls.__mro__ if method in vars(base)]
    own = [base for base in bases if not is_of_torch(vars(base)[method])]
    if not own:
        return None
    reading = _Reading(cls, method, [vars(base)[method] for base in own])
    if bases[: len(own)] != own or bases[len(own)] is not nn.Module:
        raise reading.refusal("overrides what a layer of torch overrides, too", None)
    return reading.override()


class _Reading:
    """Reads the overrides of one method, each of which calls the next."""

    def __init__(self, cls: type, method: str, functions: list[Any]) -> None:
        self.cls, self.method = cls, method
        self.written = [_Written(function, method) for function in functions]
        self.more: set[str] | None = None
        self.versioned = False

    def override(self) -> Override:
        """All of them as one.

        Raises:
            UnsupportedModuleError: they can't be read.
        """
        resets: tuple[Reset, ...] = ()
        if self.method == "train" and not any(w.stores for w in self.written):
            # Whatever it does to the modules inside: that is tried out.
            for depth, written in enumerate(self.written):
                self._note(written.body, depth)
        else:
            resets = tuple(self._function(0))
        more = None if self.more is None else frozenset(self.more)
        return Override(self.method, resets, more, self.written[0].place(None), self.versioned)

    def refusal(self, what: str, node: ast.AST | None, depth: int = 0) -> UnsupportedModuleError:
        text = f"{self.cls.__name__} overrides nn.Module.{self.method}, which {what}"
        return UnsupportedModuleError(text, place=self.written[depth].place(node))

    def _function(self, depth: int) -> Iterator[Reset]:
        """What the override at a depth sets, and those that it calls."""
        if depth == len(self.written):
            return
        written, calls = self.written[depth], 0
        *statements, last = written.body
        if not _is_plain_return(last):
            statements.append(last)
        for statement in statements:
            if written.calls_next(statement, depth + 1 == len(self.written)):
                calls += 1
                yield from self._function(depth + 1)
            else:
                yield from self._statement(statement, depth)
        if calls != 1:
            what = f"does not call super().{self.method} once, with what it is given"
            raise self.refusal(what, None, depth)

    def _statement(self, statement: ast.stmt, depth: int) -> Iterator[Reset]:
        match statement:
            case ast.Pass() | ast.Expr(ast.Constant()):
                return
            case ast.If(test, then, orelse) if (
                mode := self.written[depth].asked(test)
            ) is not None:
                yield from (replace(r, mode=mode) for s in then for r in self._set(s, depth))
                yield from (replace(r, mode=not mode) for s in orelse for r in self._set(s, depth))
            case ast.Assign(targets, value) if (
                mode := self.written[depth].asked(value)
            ) is not None:
                for on in (True, False):
                    known = ast.copy_location(ast.Constant(on == mode), value)
                    made = ast.copy_location(ast.Assign(targets, known), statement)
                    yield from (replace(r, mode=on) for r in self._set(made, depth))
            case _:
                yield from self._set(statement, depth)

    def _set(self, statement: ast.stmt, depth: int) -> tuple[Reset, ...]:
        """What a statement sets; whatever else it does is noted."""
        if (resets := self._resets(statement)) is not None:
            return resets
        written = self.written[depth]
        if written.is_for_others(statement):
            return ()
        for node in nodes_of(statement):
            leaves = isinstance(node, ast.Return | ast.Raise)
            if leaves or (isinstance(node, ast.Name) and node.id in written.kept and _stored(node)):
                self._beyond(node, depth)
        self._note([statement], depth)
        return ()

    def _beyond(self, node: ast.AST, depth: int) -> None:
        """Refuses what may change the module, unless only weights of some version let it.

        That weights of its own version do not is tried out.
        """
        if not self.written[depth].asks_version:
            raise self.refusal(f"does more than {_ACCEPTED}: `{_line(node)}`", node, depth)
        self.versioned = True

    def _resets(self, statement: ast.stmt) -> tuple[Reset, ...] | None:
        match statement:
            case ast.Assign(targets, value) | ast.AnnAssign(ast.expr() as targets, _, value):
                names = [
                    self._attribute(t)
                    for t in (targets if isinstance(targets, list) else [targets])
                ]
                return _constants(self.method, names, value)
            case ast.Expr(ast.Call(ast.Attribute(owner, "clear"), [], [])):
                name = self._attribute(owner)
                return None if name is None else (Reset(self.method, name, CLEARED),)
            case ast.If(test, [inner], []):
                found = self._resets(inner) or ()
                # Where it is not set anew, it already is what it would be set to.
                return found if len(found) == 1 and _is_other(test, found[0]) else None
        return None

    def _attribute(self, node: ast.expr) -> str | None:
        """The name of an attribute of ``self`` that is no more than that."""
        match node:
            case ast.Attribute(ast.Name("self"), name) if name != "training":
                found = inspect.getattr_static(self.cls, name, None)
                return None if hasattr(type(found), "__set__") else name
        return None

    def _note(self, statements: list[ast.stmt], depth: int) -> None:
        """Notes what is tried out, or has no effect on the module.

        Raises:
            UnsupportedModuleError: it may have effects that a trial can't show.
        """
        written = self.written[depth]
        scope = scope_of(self.cls, written.function, written.tree, frozenset({written.owner}))
        if written.given:  # Whether it changes weights that are loaded is tried out.
            scope = replace(scope, free=scope.free | {written.given})
        for statement in statements:
            if (found := harm(statement, scope)) is not None:
                self._beyond(found, depth)
            mentioned = {n.attr for n in nodes_of(statement) if isinstance(n, ast.Attribute)}
            self.more = (self.more or set()) | mentioned


class _Written:
    """The source of one override."""

    def __init__(self, function: Any, method: str) -> None:
        list(contexts(function, ""))  # Refuses decorators of the user's.
        self.function: Callable[..., Any] = inspect.unwrap(function)
        self.method = method
        self.first, self.tree = _source(self.function)
        self.body, self.around = self.tree.body, variables_of(self.function, self.tree).around
        arguments = self.tree.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        self.owner, *self.names = names or [""]
        self.kept = {"self"} if method in LOADING else {"self", *self.names}
        self.given = self.names[0] if method in LOADING and self.names else ""
        self.stores = any(map(_stores, nodes_of(self.tree)))
        self.asks_version = method in LOADING and any(map(_is_version, nodes_of(self.tree)))

    def place(self, node: ast.AST | None) -> Place:
        code = getattr(self.function, "__code__", None)
        line = getattr(node, "lineno", 1)
        return Place(getattr(code, "co_filename", ""), self.first + line - 1)

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

    def asked(self, test: ast.expr) -> bool | None:
        """The mode for which a condition holds, if it asks for nothing else."""
        if self.method == "train" and self.names:
            text = ast.unparse(test)
            return {self.names[0]: True, f"not {self.names[0]}": False}.get(text)
        return None

    def calls_next(self, statement: ast.stmt, last: bool) -> bool:
        """Whether a statement calls the overridden method, with all that this one is given.

        Args:
            statement: the statement.
            last: whether no class in between overrides the method.
        """
        match statement:
            case ast.Expr(call) | ast.Return(call) | ast.Assign([ast.Name()], call):
                pass
            case _:
                return False
        match call:
            case ast.Call(ast.Attribute(ast.Call(ast.Name("super"), _, []), name), args, keywords):
                pass
            case ast.Call(ast.Attribute(owner, name), [ast.Name("self"), *args], keywords) if (
                last and ast.unparse(owner) in ("nn.Module", "torch.nn.Module")
            ):
                pass
            case _:
                return False
        # What loads weights may have made others of those that it is given.
        return name == self.method and (name in LOADING or self._hands_on(args, keywords))

    def _hands_on(self, args: list[ast.expr], keywords: list[ast.keyword]) -> bool:
        given = [ast.unparse(a) for a in args]
        given += [f"**{ast.unparse(k.value)}" if k.arg is None else k.arg for k in keywords]
        as_named = all(k.arg in (None, ast.unparse(k.value)) for k in keywords)
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


def _stored(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def _stores(node: ast.AST) -> bool:
    """Whether attributes are set, or emptied."""
    match node:
        case ast.Attribute(_, name) if _stored(node):
            return name != "training"
        case ast.Call(ast.Attribute(_, "clear"), [], []):
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


def _line(node: ast.AST) -> str:
    return f"{ast.unparse(node):.80}".partition("\n")[0]


def _is_plain_return(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return(ast.Name() | ast.Constant() | None):
            return True
    return False


def _constants(
    method: str, names: list[str | None], value: ast.expr | None
) -> tuple[Reset, ...] | None:
    """The resets of attributes to one value without variables; None if they are none."""
    try:
        made = encode(_constant(value))
    except ValueError:
        return None
    known = [name for name in names if name is not None]
    shared = len(names) > 1 and isinstance(made, list | dict)
    if shared or len(known) < len(names):
        return None
    return tuple(Reset(method, name, made) for name in known)


def _constant(node: ast.expr | None) -> Any:
    """What an expression without variables makes.

    Raises:
        ValueError: it has variables, or there is none.
    """
    match node:
        case None:
            raise ValueError("only declared")
        case ast.Call(ast.Name(name), [], []) if name in _EMPTY:
            return _EMPTY[name]
    return ast.literal_eval(node)


def _is_other(test: ast.expr, reset: Reset) -> bool:
    """Whether a condition only asks for an attribute to be other than what it is set to."""
    name, text = f"self.{reset.attribute}", ast.unparse(test)
    if reset.value is None:
        return text == f"{name} is not None"
    empty = reset.value in ({}, [], "", CLEARED)
    return empty and text in (name, f"len({name})", f"len({name}) > 0")
