"""Expressions of choices: Python's arithmetic, evaluated when the values are known."""

from __future__ import annotations

import itertools
import operator
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from nas_core.architecture import Value
from nas_core.arithmetic import Arithmetic
from nas_core.choice import Choice, caller
from nas_core.construction import Fixed, current
from nas_core.errors import InvalidArchitectureError, NasError, OpenChoiceError
from nas_core.structure import ATOMS, map_values

__all__ = [
    "OPEN",
    "Condition",
    "Decide",
    "Expression",
    "Need",
    "Operation",
    "bind",
    "concrete",
    "evaluate",
    "expressions_in",
    "resolve",
    "settled",
]

Decide: TypeAlias = Callable[[Choice], Value]

OPEN = object()
"""Stands where no value is known yet; None is a value like any other."""


class Need(BaseException):
    """A decision is needed to go on; no Exception, so that no user code swallows it."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice


class Expression(Arithmetic):
    """A value that depends on choices. Calling it yields the value in a built model.

    Attributes:
        fixed: its value if that is known since it was created in the run of a constructor whose
            choices are fixed, else ``OPEN``.
    """

    # On the class: copies of an open one must not hold a copy of OPEN.
    fixed: Any = OPEN

    @abstractmethod
    def value_with(self, decide: Decide) -> Any:
        """The value under these decisions; only for the choices that matter is ``decide`` asked."""

    @abstractmethod
    def choices(self) -> Iterator[Choice]:
        """All choices in it, in order of evaluation, also those that may not matter."""

    @abstractmethod
    def settled(self) -> bool:
        """Whether it was created while a candidate was built, and so knows its value."""

    def conditional(self) -> bool:
        """Whether the value of one choice in it may decide that another one does not matter."""
        return False

    def value_in(self, values: Mapping[str, Value]) -> Any:
        """The value in an architecture.

        Raises:
            Need: the next decision that is missing.
        """

        def decide(choice: Choice) -> Value:
            if choice.label not in values:
                raise Need(choice)
            return values[choice.label]

        return self.value_with(decide)

    def default(self) -> Any:
        """The value when every choice takes its first option."""
        return self.value_with(lambda choice: choice.domain.default)

    def known(self) -> Any:
        """The value if all choices in it are fixed, or belong to an open model that runs.

        Raises:
            OpenChoiceError: one of them is open.
        """
        return self.value_with(_fixed)

    def possible(self) -> list[Any]:
        """Every value that it can take, in the order of the options."""
        leaves = {id(choice): choice for choice in self.choices()}
        found = []
        for combination in itertools.product(*(c.domain.options() for c in leaves.values())):
            values = dict(zip(leaves, combination, strict=True))
            found.append(self.value_with(_by_identity(values)))
        return found

    def __call__(self) -> Any:
        return self.known()

    def _concrete(self, wanted: str, instead: str = "") -> Any:
        try:
            return self.known()
        except OpenChoiceError:
            raise OpenChoiceError(
                f"{self!r} is an open choice and has no {wanted} (at {caller()}): {instead}pass it "
                "to the layers of nas_core.nn, call it in forward, or use nas_core.choose, which "
                "returns a value while the model is being built"
            ) from None

    def __bool__(self) -> bool:
        return bool(self._concrete("truth value", "use ValueChoice.condition, "))

    def __int__(self) -> int:
        return int(self._concrete("integer value", "use ValueChoice.to_int, "))

    def __float__(self) -> float:
        return float(self._concrete("float value", "use ValueChoice.to_float, "))

    def __index__(self) -> int:
        return operator.index(
            self._concrete("integer value", "use Repeat for a number of layers, ")
        )

    def __iter__(self) -> Iterator[Any]:
        return iter(self._concrete("items to iterate over"))

    def _operation(
        self, function: Callable[..., Any], operands: Sequence[Any], form: str
    ) -> Expression:
        if current() is None and any(hasattr(x, "__torch_function__") for x in operands):
            self._require_open()
        return Operation(function, operands, form)

    def _require_open(self) -> None:
        """Refuse to stay an expression where ``forward`` computes with a tensor."""
        try:
            self.known()
        except OpenChoiceError:
            return
        raise _UncalledError(
            f"a tensor is computed with {self!r}, a choice that is not called (at {caller()}): "
            "write `self.name()` for its value"
        )


class _UncalledError(NasError, TypeError):
    """A choice stands in ``forward`` where its value should."""


class Operation(Expression):
    """A function of expressions and constants, in Python's own semantics."""

    def __init__(self, function: Callable[..., Any], operands: Sequence[Any], form: str) -> None:
        self._function = function
        self._operands = tuple(operands)
        self._form = form

    def value_with(self, decide: Decide) -> Any:
        if self.fixed is not OPEN:
            return self.fixed
        operands = [x if type(x) in ATOMS else evaluate(x, decide) for x in self._operands]
        value = self._function(*operands)
        # Nothing that may be changed later: each use has its own.
        if type(value) in ATOMS and all(type(x) in ATOMS or _is_fixed(x) for x in self._operands):
            self.fixed = value
        return value

    def choices(self) -> Iterator[Choice]:
        for expression in expressions_in(self._operands):
            yield from expression.choices()

    def settled(self) -> bool:
        return all(x.settled() for x in expressions_in(self._operands))

    def conditional(self) -> bool:
        return any(x.conditional() for x in expressions_in(self._operands))

    @property
    def infix(self) -> bool:
        """Whether it needs parentheses within another operation."""
        return not self._form[0].isalpha() and "[" not in self._form

    def __repr__(self) -> str:
        bare = [repr(x) for x in self._operands]
        inner = [
            f"({text})" if text.startswith("-") or (isinstance(x, Operation) and x.infix) else text
            for x, text in zip(self._operands, bare, strict=True)
        ]
        texts = {"{*}": ", ".join(bare)}
        for i in range(len(bare)):
            texts |= {f"{{{i}}}": inner[i], f"{{{i}!}}": bare[i]}
        # At once: an operand may contain what looks like a place of another.
        return re.sub(r"\{[\d*]!?\}", lambda found: texts[found[0]], self._form)


def _is_fixed(x: object) -> bool:
    return isinstance(x, Expression) and x.fixed is not OPEN


class Condition(Expression):
    """One of two values, by a predicate; only the one that counts is evaluated."""

    def __init__(self, predicate: Any, if_true: Any, if_false: Any) -> None:
        self._parts = (predicate, if_true, if_false)

    def value_with(self, decide: Decide) -> Any:
        predicate, if_true, if_false = self._parts
        return evaluate(if_true if evaluate(predicate, decide) else if_false, decide)

    def choices(self) -> Iterator[Choice]:
        for expression in expressions_in(self._parts):
            yield from expression.choices()

    def settled(self) -> bool:
        return all(x.settled() for x in expressions_in(self._parts))

    def conditional(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "({1!r} if {0!r} else {2!r})".format(*self._parts)


class _Known(Expression):
    """An expression whose value is known, as a built model keeps it."""

    def __init__(self, value: Any) -> None:
        self.fixed = value

    def value_with(self, decide: Decide) -> Any:
        return self.fixed

    def settled(self) -> bool:
        return True

    def choices(self) -> Iterator[Choice]:
        return iter(())

    def __repr__(self) -> str:
        return repr(self.fixed)


def _by_identity(values: Mapping[int, Value]) -> Decide:
    return lambda choice: values[id(choice)]


def _fixed(choice: Choice) -> Value:
    session = current()
    if isinstance(session, Fixed):
        return session.value(choice)
    if session is None and choice.in_model:
        # An open model's forward runs as its default.
        return choice.domain.default
    raise OpenChoiceError(
        f"{choice} has no value yet: keep it in an attribute of a module of the model, "
        "or create it in the model's __init__"
    )


def _map(obj: Any, change: Callable[[Expression], Any], attributes: bool = False) -> Any:
    def change_leaf(leaf: Any) -> Any:
        return change(leaf) if isinstance(leaf, Expression) else leaf

    return map_values(obj, change_leaf, attributes and not isinstance(obj, Expression))


def evaluate(obj: Any, decide: Decide) -> Any:
    """The structure with its expressions evaluated under these decisions."""
    if isinstance(obj, Expression):
        return obj.value_with(decide) if obj.fixed is OPEN else obj.fixed
    return _map(obj, lambda expression: expression.value_with(decide))


def bind(obj: Any, values: Mapping[str, Value], attributes: bool = False) -> Any:
    """The structure with expressions that know their value, and still give it when called."""

    def settle(expression: Expression) -> Expression:
        return expression if expression.settled() else _Known(expression.value_in(values))

    return _map(obj, settle, attributes)


def settled(leaf: Any, values: Mapping[str, Value]) -> Any:
    """An expression that knows its value, inactive choices having their first option.

    Anything else is returned as it is.
    """

    def decide(choice: Choice) -> Value:
        return values.get(choice.label, choice.domain.default)

    return _Known(leaf.value_with(decide)) if isinstance(leaf, Expression) else leaf


def concrete(obj: Any) -> Any:
    """The structure with its expressions evaluated, as the running constructor sees them.

    Where the model stays open each choice takes its first option.
    """
    if isinstance(current(), Fixed):
        return _map(obj, lambda expression: expression.known())
    return _map(obj, lambda expression: expression.default())


def expressions_in(obj: Any, attributes: bool = False) -> Iterator[Expression]:
    """The expressions in a structure, in order; with ``attributes`` also in those of the object."""
    found: list[Expression] = []

    def remember(expression: Expression) -> Expression:
        found.append(expression)
        return expression

    _map(obj, remember, attributes)
    return iter(found)


def resolve(obj: Any, values: Mapping[str, Value]) -> Any:
    """A copy of an object with the expressions in its attributes replaced by their values.

    Lists, tuples, dicts, dataclasses and partials in it are followed. An object without
    expressions is returned as it is.

    Args:
        obj: an evaluator, or any other object or structure.
        values: label → value, such as an ``Architecture``.

    Raises:
        InvalidArchitectureError: a choice in it is not decided.
    """
    try:
        return _map(obj, lambda expression: expression.value_in(values), attributes=True)
    except Need as need:
        raise InvalidArchitectureError(
            [f"no value for {need.choice.label or 'a choice without a label'!r} ({need.choice})"]
        ) from None
