"""What a node does: a closed set of operations, each a small frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Builtin",
    "Call",
    "If",
    "Invoke",
    "Local",
    "Loop",
    "Operation",
    "Operator",
    "Raise",
    "Read",
    "With",
    "Write",
]


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator of the dispatcher: namespace, name and overload, ``aten.add.Tensor``."""

    target: str


@dataclass(frozen=True, slots=True)
class Builtin:
    """Something that Python does itself: ``add`` on numbers, ``getitem``, ``method.append``.

    Of objects of the user's classes, whose code is not looked into: ``field.size`` reads an
    attribute, ``set_field.size`` sets it, ``property.size`` asks for a property, and
    ``call.scaled`` calls a method; operators are methods, such as ``call.__add__``.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function that can be imported: ``torch.nn.functional.relu``."""

    target: str


@dataclass(frozen=True, slots=True)
class Local:
    """A free function that is part of the graph."""

    name: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """A method of the module at ``path``; the empty path is the module itself.

    A method with a dotted name is one of a class of the user's, which is called as it is.
    """

    path: tuple[str, ...]
    method: str = "forward"


@dataclass(frozen=True, slots=True)
class Read:
    """The parameter, buffer or attribute at ``path``."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Sets the parameter, buffer or attribute at ``path`` to the input."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class If:
    """Input: the condition. Two blocks, whose results become the outputs."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Inputs: the number of trips or ``None``, whether to start, the carried values.

    Its block takes the trip number and the carried values, and results in whether to go on and the
    next carried values. The outputs are the carried values after the last trip.

    A loop through lists, tensors, texts or dicts has the builtin ``trips`` of these as its number,
    and takes the ``item`` of each. As in Python it goes on while each of them has another item.
    """


@dataclass(frozen=True, slots=True)
class With:
    """A context manager, called with the inputs, around one block.

    Without a target the only input is the context manager: an object of a class of the user's. Then
    the block takes what it gives.
    """

    target: str = ""


@dataclass(frozen=True, slots=True)
class Raise:
    """Raises this exception class with the input as its message."""

    exception: str


Operation: TypeAlias = (
    Operator | Builtin | Call | Local | Invoke | Read | Write | If | Loop | With | Raise
)
