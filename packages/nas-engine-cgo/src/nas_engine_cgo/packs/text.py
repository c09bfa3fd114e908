"""Lines of Python with fresh variables, and the objects that they mention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from nas_engine_cgo.kernels import FASTER, FASTER_TO_THE_BIT

__all__ = ["Text", "spelled"]

_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.memory_format, torch.layout)


@dataclass
class Text:
    """The body of a function that is being written.

    Attributes:
        source: the lines.
        origin: for each line the members whose calls it makes.
        constants: name → object.
        inputs: (stream, position) → the variable of an input.
        streams: for each member the number of its data stream.
        exact: whether bits count: only functions of torch are called.
    """

    streams: tuple[int, ...]
    exact: bool = False
    source: list[str] = field(default_factory=list)
    origin: list[tuple[int, ...]] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    inputs: dict[tuple[int, int], str] = field(default_factory=dict)
    members: tuple[int, ...] = ()
    _block: int | None = None
    _next: int = 0
    _names: dict[int, str] = field(default_factory=dict)

    def put(self, line: str) -> None:
        """Add a line."""
        self.source.append("    " * (1 if self._block is None else 2) + line)
        self.origin.append(self.members)

    def line(self, expression: str) -> str:
        """Add an assignment to a fresh variable; its name."""
        name = self._fresh(1)[0]
        self.put(f"{name} = {expression}")
        return name

    def lines(self, expression: str, count: int) -> list[str]:
        """Add an assignment to so many fresh variables."""
        names = self._fresh(count)
        self.put(f"{', '.join(names)} = {expression}")
        return names

    def before(self, expression: str, count: int = 1) -> list[str]:
        """Add an assignment before the open block: what it computes, others may read, too."""
        names = self._fresh(count)
        line = f"    {', '.join(names)} = {expression}"
        if self._block is None:
            self.source.append(line)
            self.origin.append(self.members)
        else:
            self.source.insert(self._block, line)
            self.origin.insert(self._block, self.members)
            self._block += 1
        return names

    def _fresh(self, count: int) -> list[str]:
        names = [f"v{self._next + i}" for i in range(count)]
        self._next += count
        return names

    @contextmanager
    def within(self, *contexts: str) -> Iterator[None]:
        """Put what is added into a block below a ``with``, if there are contexts."""
        if not contexts:
            yield
            return
        self.put(f"with {', '.join(contexts)}:")
        self._block = len(self.source) - 1
        yield
        self._block = None

    def input(self, member: int, position: int) -> str:
        """The variable of an input of a member."""
        key = self.streams[member], position
        return self.inputs.setdefault(key, f"x{key[0]}_{position}")

    def constant(self, value: Any) -> str:
        """The name of an object."""
        if id(value) not in self._names:
            self._names[id(value)] = name = f"c{len(self.constants)}"
            self.constants[name] = value
        return self._names[id(value)]

    def value(self, value: Any, spell: Callable[[Any], str | None]) -> str:
        """A structure as an expression; ``spell`` knows the leaves that are no constants."""
        if (text := spell(value)) is not None:
            return text
        match value:
            case float() if value != value or value in (float("inf"), float("-inf")):
                return f"float({str(value)!r})"
            case _ if value is Ellipsis:
                return "..."
            case _ if isinstance(value, _PLAIN) and type(value) in _PLAIN:
                return repr(value)
            case tuple() if type(value) in (tuple, torch.Size):
                items = [self.value(item, spell) for item in value]
                return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
            case list() if type(value) is list:
                return f"[{', '.join(self.value(item, spell) for item in value)}]"
            case slice(start=start, stop=stop, step=step):
                parts = [self.value(part, spell) for part in (start, stop, step)]
                return f"slice({', '.join(parts)})"
            case torch.device(type="meta"):
                return "device"  # Where the members are, whatever device they were traced on.
            case torch.device():
                return f"torch.{value!r}"
            case _:
                return self.constant(value)

    def called(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        spell: Callable[[Any], str | None],
    ) -> str:
        """A call as an expression."""
        given = [self.value(arg, spell) for arg in args]
        given += [f"{name}={self.value(arg, spell)}" for name, arg in kwargs.items()]
        return f"{function}({', '.join(given)})"

    def function(self, function: Callable[..., Any]) -> str:
        """A function as an expression, or what computes the same faster."""
        name = spelled(function)
        if name is None:
            return self.constant(function)
        kernels = FASTER_TO_THE_BIT if self.exact else FASTER
        kernel = kernels.get(name.removeprefix("F."))
        return name if kernel is None else kernel.__name__


def spelled(function: Callable[..., Any]) -> str | None:
    """The public name of a function of torch, if it has one.

    >>> spelled(functional.relu), spelled(torch.Tensor.add), spelled(torch._C._nn.linear)
    ('F.relu', 'torch.Tensor.add', 'F.linear')
    """
    name = getattr(function, "__name__", "")
    for owner, prefix in ((functional, "F"), (torch, "torch"), (torch.Tensor, "torch.Tensor")):
        if getattr(owner, name, None) is function:
            return f"{prefix}.{name}"
    return None
