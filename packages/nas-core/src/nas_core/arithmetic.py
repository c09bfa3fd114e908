"""Python's operators on expressions, one line for each."""

from __future__ import annotations

import math
import operator
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_core.expression import Expression

__all__ = ["Arithmetic"]


class Arithmetic:
    """What has operators; each yields an expression, evaluated when the values are known.

    No ``ABC``: those take an isinstance() ten times as long, and every argument gets one.
    """

    @abstractmethod
    def _operation(
        self, function: Callable[..., Any], operands: Sequence[Any], form: str
    ) -> Expression:
        """A function of operands; ``form`` is how it is written, operands in braces."""

    def __add__(self, other: Any) -> Expression:
        return self._operation(operator.add, (self, other), "{0} + {1}")

    def __radd__(self, other: Any) -> Expression:
        return self._operation(operator.add, (other, self), "{0} + {1}")

    def __sub__(self, other: Any) -> Expression:
        return self._operation(operator.sub, (self, other), "{0} - {1}")

    def __rsub__(self, other: Any) -> Expression:
        return self._operation(operator.sub, (other, self), "{0} - {1}")

    def __mul__(self, other: Any) -> Expression:
        return self._operation(operator.mul, (self, other), "{0} * {1}")

    def __rmul__(self, other: Any) -> Expression:
        return self._operation(operator.mul, (other, self), "{0} * {1}")

    def __truediv__(self, other: Any) -> Expression:
        return self._operation(operator.truediv, (self, other), "{0} / {1}")

    def __rtruediv__(self, other: Any) -> Expression:
        return self._operation(operator.truediv, (other, self), "{0} / {1}")

    def __floordiv__(self, other: Any) -> Expression:
        return self._operation(operator.floordiv, (self, other), "{0} // {1}")

    def __rfloordiv__(self, other: Any) -> Expression:
        return self._operation(operator.floordiv, (other, self), "{0} // {1}")

    def __mod__(self, other: Any) -> Expression:
        return self._operation(operator.mod, (self, other), "{0} % {1}")

    def __rmod__(self, other: Any) -> Expression:
        return self._operation(operator.mod, (other, self), "{0} % {1}")

    def __pow__(self, other: Any) -> Expression:
        return self._operation(operator.pow, (self, other), "{0} ** {1}")

    def __rpow__(self, other: Any) -> Expression:
        return self._operation(operator.pow, (other, self), "{0} ** {1}")

    def __lshift__(self, other: Any) -> Expression:
        return self._operation(operator.lshift, (self, other), "{0} << {1}")

    def __rlshift__(self, other: Any) -> Expression:
        return self._operation(operator.lshift, (other, self), "{0} << {1}")

    def __rshift__(self, other: Any) -> Expression:
        return self._operation(operator.rshift, (self, other), "{0} >> {1}")

    def __rrshift__(self, other: Any) -> Expression:
        return self._operation(operator.rshift, (other, self), "{0} >> {1}")

    def __and__(self, other: Any) -> Expression:
        return self._operation(operator.and_, (self, other), "{0} & {1}")

    def __rand__(self, other: Any) -> Expression:
        return self._operation(operator.and_, (other, self), "{0} & {1}")

    def __or__(self, other: Any) -> Expression:
        return self._operation(operator.or_, (self, other), "{0} | {1}")

    def __ror__(self, other: Any) -> Expression:
        return self._operation(operator.or_, (other, self), "{0} | {1}")

    def __xor__(self, other: Any) -> Expression:
        return self._operation(operator.xor, (self, other), "{0} ^ {1}")

    def __rxor__(self, other: Any) -> Expression:
        return self._operation(operator.xor, (other, self), "{0} ^ {1}")

    def __lt__(self, other: Any) -> Expression:
        return self._operation(operator.lt, (self, other), "{0} < {1}")

    def __le__(self, other: Any) -> Expression:
        return self._operation(operator.le, (self, other), "{0} <= {1}")

    def __gt__(self, other: Any) -> Expression:
        return self._operation(operator.gt, (self, other), "{0} > {1}")

    def __ge__(self, other: Any) -> Expression:
        return self._operation(operator.ge, (self, other), "{0} >= {1}")

    # An expression can't be compared to False or True: the comparison is an expression again.
    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self._operation(operator.eq, (self, other), "{0} == {1}")

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self._operation(operator.ne, (self, other), "{0} != {1}")

    __hash__ = object.__hash__

    def __neg__(self) -> Expression:
        return self._operation(operator.neg, (self,), "-{0}")

    def __pos__(self) -> Expression:
        return self._operation(operator.pos, (self,), "+{0}")

    def __invert__(self) -> Expression:
        return self._operation(operator.invert, (self,), "~{0}")

    def __abs__(self) -> Expression:
        return self._operation(abs, (self,), "abs({0!})")

    def __floor__(self) -> Expression:
        return self._operation(math.floor, (self,), "floor({0!})")

    def __ceil__(self) -> Expression:
        return self._operation(math.ceil, (self,), "ceil({0!})")

    def __trunc__(self) -> Expression:
        return self._operation(math.trunc, (self,), "trunc({0!})")

    def __round__(self, digits: int | None = None) -> Expression:
        return self._operation(round, (self, digits), "round({*})")

    def __divmod__(self, other: Any) -> Expression:
        return self._operation(divmod, (self, other), "divmod({*})")

    def __rdivmod__(self, other: Any) -> Expression:
        return self._operation(divmod, (other, self), "divmod({*})")

    def __getitem__(self, key: Any) -> Expression:
        return self._operation(operator.getitem, (self, key), "{0}[{1!}]")
