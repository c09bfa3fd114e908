"""Statements after early ends of a round or of a function, as those of branches."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from nas_engine_graph.frontend.source.places import placed

__all__ = ["ENDS", "Guards", "ends_in", "set_flag"]

ENDS = (ast.Break, ast.Continue)
"""What ends a round."""


def ends_in(
    body: Sequence[ast.AST], kinds: tuple[type[ast.stmt], ...] = ENDS
) -> Iterator[ast.stmt]:
    """Those of a loop or function with this body, and not of loops in it."""
    for node in body:
        if isinstance(node, kinds):
            yield node
        elif not isinstance(node, ast.For | ast.While):
            yield from ends_in(list(ast.iter_child_nodes(node)), kinds)


def set_flag(name: str, value: bool, place: ast.stmt) -> ast.stmt:
    """``name = value``."""
    target = ast.Name(name, ast.Store())
    return placed(ast.Assign([target], ast.Constant(value)), place)


class Guards:
    """Writes statements so that each runs only where none before it has ended what they are of.

    Args:
        kinds: what ends it.
        flag_of: the name of the variable that says that it was ended there.
    """

    def __init__(
        self, kinds: tuple[type[ast.stmt], ...], flag_of: Callable[[ast.stmt], str]
    ) -> None:
        self.kinds, self.flag_of = kinds, flag_of

    def ends(self, body: Sequence[ast.AST]) -> list[ast.stmt]:
        return list(ends_in(body, self.kinds))

    def guarded(self, body: Sequence[ast.stmt], last: bool = False) -> Iterator[ast.stmt]:
        """The statements.

        Args:
            body: the statements as they were.
            last: whether nothing comes after them: what ends there may stay as it is. Otherwise
                only variables say that something has ended.
        """
        for at, statement in enumerate(body):
            if isinstance(statement, self.kinds):
                yield statement if last else set_flag(self.flag_of(statement), True, statement)
                return
            if not (ends := self.ends([statement])):
                yield statement
                continue
            rest = list(body[at + 1 :])
            if isinstance(statement, ast.If) and self.leaves(statement.body):
                statement.orelse, rest = [*statement.orelse, *rest], []
            elif isinstance(statement, ast.If) and self.leaves(statement.orelse):
                statement.body, rest = [*statement.body, *rest], []
            branches = isinstance(statement, ast.If)
            for part in ("body", "orelse"):
                if inside := getattr(statement, part, None):
                    inner = list(self.guarded(inside, last and branches and not rest))
                    setattr(statement, part, inner)
            yield statement
            rest = list(self.guarded(rest, last))
            if last and not (branches and not rest):
                yield self.ended(ends, rest)
            elif rest:
                yield self.unless(ends, rest)
            return

    def leaves(self, body: Sequence[ast.stmt]) -> bool:
        return bool(body) and isinstance(body[-1], self.kinds)

    def unless(self, ends: Sequence[ast.stmt], body: list[ast.stmt]) -> ast.stmt:
        names = dict.fromkeys(map(self.flag_of, ends))
        asked: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
        asked = asked if len(asked) == 1 else [ast.BoolOp(ast.Or(), asked)]
        made = placed(ast.If(ast.UnaryOp(ast.Not(), asked[0]), [], []), body[0])
        made.body = body
        return made

    def ended(self, ends: Sequence[ast.stmt], rest: list[ast.stmt]) -> ast.stmt:
        """What has to end does, and otherwise comes the rest."""
        end, *more = {self.flag_of(end): end for end in ends}.values()
        made = placed(ast.If(ast.Name(self.flag_of(end), ast.Load()), [], []), end)
        made.body, made.orelse = [end], [self.ended(more, rest)] if more else rest
        return made
