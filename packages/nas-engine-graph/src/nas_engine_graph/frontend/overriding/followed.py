"""What overrides of a method set, followed statement by statement, each of which calls the next.

A ``train`` is followed twice, once for each mode: what it sets may hang on that.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.encode import NotEncodableError, encode
from nas_engine_graph.frontend.overriding.known import UNKNOWN, Known, UnknownError
from nas_engine_graph.frontend.overriding.overriding import Written
from nas_engine_graph.frontend.source.harmless import harm, scope_of
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.ir import Reset

__all__ = ["CLEARED", "Reading"]

CLEARED = ...
"""What a reset sets that empties a list or dict, whichever it is."""
_ACCEPTED = "set attributes to constants, or to what hangs on the mode alone"
_MODE = "training"


class Reading:
    """Reads the overrides of one method.

    Attributes:
        written: their sources.
        more: the attributes that everything else in them mentions; None if there is nothing else.
        versioned: whether they may do other things with weights of another version.
    """

    def __init__(self, cls: type, method: str, functions: list[Any]) -> None:
        self.cls, self.method = cls, method
        self.written = [Written(function, method) for function in functions]
        self.more: set[str] | None = None
        self.versioned = False

    def resets(self) -> tuple[Reset, ...]:
        """The attributes that they set.

        Raises:
            UnsupportedModuleError: they can't be read.
        """
        if self.method != "train":
            return tuple(Reset(self.method, *each) for each in self._run(None).items())
        if any(w.stores for w in self.written):
            on, off = self._run(True), self._run(False)
            if not on.pop(_MODE):
                self.more = self.more or set()  # It may never train, which is tried out.
            if off.pop(_MODE):
                raise self.refusal("trains where it is told not to", None)
            return tuple(_by_mode(on, off))
        for depth, written in enumerate(self.written):
            # Whatever it does to the modules inside: that is tried out.
            self.note(written.body, depth)
        return ()

    def _run(self, mode: bool | None) -> dict[str, Any]:
        attributes = dict[str, Any]()
        _Frame(self, 0, mode, attributes).run()
        return {n: v if v is CLEARED else encode(v) for n, v in attributes.items()}

    def refusal(self, what: str, node: ast.AST | None, depth: int = 0) -> UnsupportedModuleError:
        text = f"{self.cls.__name__} overrides nn.Module.{self.method}, which {what}"
        return UnsupportedModuleError(text, place=self.written[depth].place(node))

    def beyond(self, node: ast.AST, depth: int) -> None:
        """Refuses what may change the module, unless only weights of some version let it.

        That weights of its own version do not is tried out.
        """
        written = self.written[depth]
        if not written.asks_version:
            raise self.refusal(f"does more than {_ACCEPTED}: `{written.line(node)}`", node, depth)
        self.versioned = True

    def note(self, statements: list[ast.stmt], depth: int) -> None:
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
                self.beyond(found, depth)
            mentioned = {n.attr for n in nodes_of(statement) if isinstance(n, ast.Attribute)}
            self.more = (self.more or set()) | mentioned


def _by_mode(on: dict[str, Any], off: dict[str, Any]) -> Iterator[Reset]:
    """What a ``train`` sets in one mode, and in the other."""
    for name in on | off:
        modes = {mode: sets[name] for mode, sets in ((True, on), (False, off)) if name in sets}
        made = [Reset("train", name, value) for value in modes.values()]
        if len(made) == 2 and made[0] == made[1]:
            yield made[0]
        else:
            yield from (replace(r, mode=mode) for r, mode in zip(made, modes, strict=True))


class _Frame:
    """One of the overrides as it runs.

    Args:
        reading: all of them.
        depth: which it is.
        mode: the mode that ``train`` is given; None for another method.
        attributes: what attributes are set to, of which it adds its own.
    """

    def __init__(
        self, reading: Reading, depth: int, mode: bool | None, attributes: dict[str, Any]
    ) -> None:
        self.reading, self.depth, self.mode = reading, depth, mode
        self.written = written = reading.written[depth]
        variables: dict[str, Any] = dict.fromkeys(written.own, UNKNOWN)
        if mode is not None and written.names:
            variables[written.names[0]] = mode
        self.known, self.attributes = Known(variables, written.around, attributes), attributes
        self.calls = 0

    def run(self) -> None:
        """Runs it, and those that it calls.

        Raises:
            UnsupportedModuleError: it does not call the next one, or does what can't be read.
        """
        self._block(self.written.body)
        if self.calls != 1:
            what = f"does not call super().{self.reading.method} once, with what it is given"
            raise self.reading.refusal(what, None, self.depth)

    def _block(self, statements: list[ast.stmt]) -> bool:
        """Runs statements; whether one of them returns."""
        return any(map(self._statement, statements))

    def _statement(self, statement: ast.stmt) -> bool:
        if self._calls_next(statement):
            return isinstance(statement, ast.Return)
        match statement:
            case ast.Pass() | ast.Expr(ast.Constant()):
                return False
            case ast.Return(ast.Name() | ast.Constant() | None):
                return True
        try:
            if isinstance(statement, ast.If):
                return self._branch(statement)
            self.attributes.update(self._sets(statement))
        except UnknownError:
            self._otherwise(statement)
        return False

    def _branch(self, node: ast.If) -> bool:
        try:
            chosen = self.known.value(node.test)
        except UnknownError:
            match node:
                case ast.If(test, [inner], []) if len(
                    found := self._sets(inner)
                ) == 1 and _is_other(test, *found[0]):
                    # Where it is not set anew, it already is what it would be set to.
                    self.attributes.update(found)
                    return False
            raise
        return self._block(node.body if chosen else node.orelse)

    def _calls_next(self, statement: ast.stmt) -> bool:
        """Whether a statement calls the overridden method, which is then run."""
        following = self.reading.written[self.depth + 1 :]
        call = self.written.next_call(statement, last=not following)
        if call is None:
            return False
        mode = None
        if self.mode is not None:
            try:
                mode = self._given(call, following[0].names if following else ["mode"])
            except UnknownError:
                return False
        elif not self.written.hands_on(call):
            return False
        self.calls += 1
        if isinstance(statement, ast.Assign):
            stored = (n.id for n in statement.targets if isinstance(n, ast.Name))
            self.known.variables.update(dict.fromkeys(stored, UNKNOWN))
        if following:
            _Frame(self.reading, self.depth + 1, mode, self.attributes).run()
        elif mode is not None:
            self.attributes[_MODE] = mode
        return True

    def _given(self, call: ast.Call, names: list[str]) -> bool:
        """The mode that a call of the overridden method is given."""
        if not self.written.names and self.written.hands_on(call):
            assert self.mode is not None
            return self.mode
        arguments = [a for a in call.args if not self.written.spreads(a)]
        words = [word for word in call.keywords if not self.written.spreads(word)]
        match arguments, words:
            case [], []:
                return True
            case ([value], []) | ([], [ast.keyword(_, value)]) if (
                not words or [word.arg for word in words] == names[:1]
            ):
                if isinstance(given := self.known.value(value), bool):
                    return given
        raise UnknownError

    def _sets(self, statement: ast.stmt) -> list[tuple[str, Any]]:
        """Sets variables; which attributes are set, and to what.

        Raises:
            UnknownError: they are set to what is not known, or it does something else.
        """
        known = self.known
        match statement:
            case ast.Assign(targets, value):
                found = known.value(value)
                if len(targets) > 1 and isinstance(found, list | dict):
                    raise UnknownError
                return self._bind(targets, found)
            case ast.AnnAssign(target, _, ast.expr() as value):
                return self._bind([target], known.value(value))
            case ast.AnnAssign(ast.Name()):
                return []
            case ast.AugAssign(target, op, value):
                return self._bind([target], known.combined(known.value(target), op, value))
            case ast.Expr(ast.NamedExpr() as named):
                known.value(named)
                return []
            case ast.Expr(ast.Call(ast.Attribute(owner, "clear"), [], [])):
                return [(self._attribute(owner), CLEARED)]
            case ast.Expr(
                ast.Call(ast.Name("setattr"), [owner, ast.Constant(str() as name), value], [])
            ):
                return self._bind([ast.Attribute(owner, name)], known.value(value))
        raise UnknownError

    def _bind(self, targets: list[ast.expr], value: Any) -> list[tuple[str, Any]]:
        found = [each for target in targets for each in self.known.bind(target, value)]
        for _, item in found:
            try:
                encode(item)
            except NotEncodableError as error:
                raise UnknownError from error
        return [(self._attribute(node), item) for node, item in found]

    def _attribute(self, node: ast.expr) -> str:
        """The name of an attribute of ``self`` that is no more than that."""
        match node:
            case ast.Attribute(ast.Name("self"), name) if name != _MODE:
                if not hasattr(
                    type(inspect.getattr_static(self.reading.cls, name, None)), "__set__"
                ):
                    return name
        raise UnknownError

    def _otherwise(self, statement: ast.stmt) -> None:
        """What a statement does that hangs on more than the mode: noted, to be tried out."""
        nodes = nodes_of(statement)
        names = [n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        self.known.variables.update({name.id: UNKNOWN for name in names})
        if self.written.is_for_others(statement):
            return
        for node in nodes:
            if isinstance(node, ast.Return | ast.Raise):
                self.reading.beyond(node, self.depth)
        for name in names:
            if name.id in self.written.kept:
                self.reading.beyond(name, self.depth)
        self.reading.note([statement], self.depth)


def _is_other(test: ast.expr, attribute: str, value: Any) -> bool:
    """Whether a condition only asks for an attribute to be other than what it is set to."""
    name, text = f"self.{attribute}", ast.unparse(test)
    if value is None:
        return text == f"{name} is not None"
    return value in ({}, [], "", CLEARED) and text in (name, f"len({name})", f"len({name}) > 0")
