"""What expressions of an override are, as far as that hangs on the mode alone."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from nas_engine_graph.frontend.source.variables import value_of

__all__ = ["UNKNOWN", "Known", "UnknownError"]

UNKNOWN = object()
"""A variable that may be anything."""

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_MADE: dict[str, Callable[..., Any]] = {
    "bool": bool, "int": int, "float": float, "dict": dict, "list": list, "tuple": tuple,
}  # fmt: skip


class UnknownError(Exception):
    """What an expression is hangs on something else, too."""


class Known:
    """What is known of the variables of a function, and of the attributes that it has set.

    Args:
        variables: what its own are; ``UNKNOWN`` for one that may be anything.
        around: the global and enclosing ones.
        attributes: what those of ``self`` are that were set before.

    >>> known = Known({"mode": True}, {}, {})
    >>> known.value(ast.parse("1 if (off := not mode) else 2", mode="eval").body)
    2
    >>> known.variables["off"]
    False
    """

    def __init__(
        self, variables: dict[str, Any], around: Mapping[str, Any], attributes: dict[str, Any]
    ) -> None:
        self.variables, self.around, self.attributes = variables, around, attributes

    def value(self, node: ast.expr) -> Any:
        """The value of an expression, of which nobody else has a part.

        Raises:
            UnknownError: it hangs on what is not known.
        """
        try:
            return self._value(node)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise UnknownError from error

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value) if _is_plain(value):
                return value
            case ast.Name(name) if name in self.variables:
                return _unchanging(self.variables[name])
            case ast.Attribute(ast.Name("self"), name) if name in self.attributes:
                return _unchanging(self.attributes[name])
            case ast.Name() | ast.Attribute() if (found := value_of(node, self.around)) is not None:
                return _unchanging(found)
            case ast.NamedExpr(ast.Name(name), value):
                self.variables[name] = found = _unchanging(self._value(value))
                return found
            case ast.Tuple(items):
                return tuple(map(self._value, items))
            case ast.List(items):
                return list(map(self._value, items))
            case ast.Dict(keys, values) if None not in keys:
                pairs = zip(filter(None, keys), values, strict=True)
                return {self._value(key): self._value(value) for key, value in pairs}
            case ast.Call(ast.Name(name), values, []) if self._makes(name):
                return _MADE[name](*(_unchanging(self._value(value)) for value in values))
        return self._operation(node)

    def _makes(self, name: str) -> bool:
        return name in _MADE and name not in self.variables and name not in self.around

    def _operation(self, node: ast.expr) -> Any:
        match node:
            case ast.IfExp(test, then, orelse):
                return self._value(then if self._value(test) else orelse)
            case ast.BoolOp(ast.And(), values):
                return self._first(values, operator.not_)
            case ast.BoolOp(ast.Or(), values):
                return self._first(values, bool)
            case ast.UnaryOp(op, operand) if type(op) in _UNARY:
                return _UNARY[type(op)](self._value(operand))
            case ast.BinOp(left, op, right):
                return self.combined(self._value(left), op, right)
            case ast.Compare(left, [op], [right]) if type(op) in _COMPARED:
                return _COMPARED[type(op)](self._value(left), self._value(right))
        raise UnknownError

    def combined(self, left: Any, op: ast.operator, right: ast.expr) -> Any:
        """What an operator makes of a value and an expression.

        Raises:
            UnknownError: it hangs on what is not known.
        """
        if type(op) not in _BINARY:
            raise UnknownError
        return _BINARY[type(op)](left, _unchanging(self.value(right)))

    def _first(self, values: list[ast.expr], ends: Callable[[Any], bool]) -> Any:
        found = None
        for value in values:
            if ends(found := self._value(value)):
                break
        return found

    def bind(self, target: ast.expr, value: Any) -> list[tuple[ast.expr, Any]]:
        """Give variables their values; the attributes that get some, too.

        Raises:
            UnknownError: what a target is hangs on what is not known.
        """
        match target:
            case ast.Name(name) if name != "self":
                self.variables[name] = _unchanging(value)
                return []
            case ast.Attribute():
                return [(target, value)]
            case ast.Tuple(targets) | ast.List(targets) if type(value) is tuple and len(
                targets
            ) == len(value):
                pairs = zip(targets, value, strict=True)
                return [each for inner, item in pairs for each in self.bind(inner, item)]
        raise UnknownError


def _is_plain(value: Any) -> bool:
    """Whether a value is one that nobody can change."""
    if type(value) is tuple:
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _unchanging(value: Any) -> Any:
    if not _is_plain(value):
        raise UnknownError
    return value
