"""What a kind of call is given to write one fused step: its arguments, and ways to its operands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas_engine_cgo.members import Call, Facts, Program, Ref, replaced
from nas_engine_cgo.merge import Slot, Step
from nas_engine_cgo.packs import Form, Layout, Packs, Parts

__all__ = ["Fused", "Operand", "bound"]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor among the arguments: ``facts`` holds for each member's."""

    slots: tuple[Slot, ...]
    facts: Facts
    kind: str

    @property
    def rank(self) -> int:
        return len(self.facts.shape)


class Fused:
    """One step that is being written.

    Attributes:
        n: how many members.
        call: that of the first member.
        args, kwargs: the arguments, an ``Operand`` for each tensor.
        operands: these, in the order of the arguments.
        streams: the variable of each member's random numbers.
    """

    def __init__(self, packs: Packs, step: Step, index: int) -> None:
        self.packs, self._index, self._signature = packs, index, step.signature
        self.members = tuple(member for member, _ in step.calls)
        self.n = len(step.calls)
        calls = [packs.programs[m].calls[c] for m, c in step.calls]
        self.call: Call = calls[0]
        self.program: Program = packs.programs[step.calls[0][0]]
        columns: Iterator[tuple[Slot, ...]] = iter(
            tuple(zip(self.members, numbers, strict=True))
            for numbers in zip(*(call.inputs for call in calls), strict=True)
        )
        self.operands: list[Operand] = []

        def operand(value: Any) -> Any:
            if not isinstance(value, Ref):
                return value
            source = self.program.sources.get(value.id)
            made = Operand(
                next(columns), self.program.facts[value.id], source.kind if source else "value"
            )
            self.operands.append(made)
            return made

        self.args: tuple[Any, ...] = replaced(self.call.args, operand)
        self.kwargs: Mapping[str, Any] = replaced(dict(self.call.kwargs), operand)
        self.result = self.program.facts[self.call.outputs[0]]

    @property
    def ways(self) -> Parts | None:
        """The ways in which it is computed, if not all at once."""
        return self.packs.apart.get((self._signature, self.n))

    # ------------------------------------------------------------------ operands

    def shared(self, operand: Operand) -> bool:
        """Whether all members have the same value there."""
        return self.packs.shared(operand.slots)

    def own(self, operand: Operand) -> str:
        """The variable of the first member's value."""
        return self.packs.own(operand.slots[0])

    def layout(self, *operands: Operand) -> Layout | None:
        """The layout in which these lie; None if none of them is packed."""
        for operand in operands:
            if operand.kind == "value" and (layout := self.packs.layout(operand.slots)):
                return layout
        return None

    def stack(self, operand: Operand) -> str:
        """The values in one tensor ``(n, ...)``."""
        return self.tensor(operand, "stack")

    def channel(self, operand: Operand) -> str:
        """The values side by side in dimension 1."""
        if self._is_leaf(operand):
            return self.packs.text.line(f"{self.stack(operand)}.transpose(0, 1).flatten(1, 2)")
        return self.packs.pack(operand.slots, "channel")

    def seen_whole(self, operand: Operand) -> str:
        """The same for what looks at all pixels of a channel, where gradients lose their layout."""
        name = self.channel(operand)
        return name if self.packs.exact else f"in_layout({name})"

    def is_last_reader(self, operand: Operand, layout: Layout) -> bool:
        """Whether nobody else reads the values, which are all of a pack in this layout."""
        return self.packs.is_read_once(operand.slots, layout)

    def maker(self, operand: Operand) -> Call | None:
        """The call, of the first member, that made the value; None for a source."""
        return self.packs.maker(operand.slots[0])

    def tensor(self, operand: Operand, form: Form) -> str:
        """Values, parameters or buffers in one tensor of this form."""
        if self._is_leaf(operand):
            return self.packs.need(form, operand.slots)
        name = self.packs.pack(operand.slots, "stack")
        match form:
            case "rows":
                return self.packs.text.line(f"{name}.flatten(0, 1)")
            case "matrix":
                return self.packs.text.line(f"{name}.transpose(1, 2)")
            case "bias":
                return self.packs.text.line(f"{name}[:, None]")
            case _:
                return name

    def _is_leaf(self, operand: Operand) -> bool:
        """Whether it is a tensor of each member that no other call reads."""
        if operand.kind not in ("parameter", "buffer") or (self.n > 1 and self.shared(operand)):
            return False
        return all(self.packs.single(slot) for slot in operand.slots)

    # ------------------------------------------------------------------ text

    def spell(self, texts: Mapping[int, str]) -> Callable[[Any], str | None]:
        """Spell operands, by their identity, as these expressions."""
        return lambda value: texts.get(id(value)) if isinstance(value, Operand) else None

    def line(self, expression: str) -> str:
        """Add an assignment; its variable."""
        return self.packs.text.line(expression)

    def results(self, expression: str, layout: Layout) -> None:
        """Add the assignment of the outputs, which lie in this layout."""
        names = self.packs.text.lines(expression, len(self.call.outputs))
        for output, name in enumerate(names):
            self.packs.define(self._index, output, name, layout)

    def done(self, name: str, layout: Layout) -> None:
        """The only output is this variable."""
        self.packs.define(self._index, 0, name, layout)


def bound(args: tuple[Any, ...], kwargs: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """Arguments by name; ``defaults`` are in the order of the parameters.

    >>> bound((1,), {"c": 3}, a=None, b=2, c=None)
    {'a': 1, 'b': 2, 'c': 3}
    """
    return {**defaults, **dict(zip(defaults, args, strict=False)), **kwargs}
