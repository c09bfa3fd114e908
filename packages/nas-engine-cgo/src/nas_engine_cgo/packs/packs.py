"""The text that brings values of several members together, in the layout that a reader wants.

Two layouts hold the values of ``n`` members in one tensor. *stack* puts a dimension before all
others: ``(n, batch, features)``. *channel* puts the members side by side in dimension 1:
``(batch, n * channels, height, width)``, the layout of grouped convolutions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from typing import Literal, TypeAlias

from nas_engine_cgo.members import Call, Facts, Program
from nas_engine_cgo.merge import Arrangement, Place, Slot
from nas_engine_cgo.packs.text import Text

__all__ = ["APART", "AT_ONCE", "OTHERWISE", "Apart", "Form", "Layout", "Need", "Packs", "Parts"]

Layout = Literal["stack", "channel"]
Form = Literal["own", "stack", "rows", "matrix", "bias"]
AT_ONCE, OTHERWISE, APART = 0, 1, 2
"""Ways to compute something: for all members by one call of torch, for all of them by other calls
that take longer, and member by member."""
Parts: TypeAlias = tuple[int, ...]
"""The way in which the results of a call are computed, and by position the gradients of what it
takes."""
Apart: TypeAlias = Mapping[tuple[Hashable, int], Parts]
"""(signature, members) → the ways of what is not computed at once."""


@dataclass(frozen=True, slots=True)
class Need:
    """Parameters or buffers of members that the code wants as one tensor.

    Attributes:
        form: ``own`` is the tensor of one member itself; ``stack`` has a dimension before the
            others; ``rows`` are joined along dimension 0; ``matrix`` is a stack with the last two
            dimensions exchanged; ``bias`` a stack with a dimension between.
        slots: (member, path).
        padded: the shape that each has with zeros added, if some are.
    """

    form: Form
    slots: tuple[tuple[int, str], ...]
    padded: tuple[int, ...] | None = None

    @property
    def moved(self) -> bool:
        """Whether it is another tensor than one of a member."""
        return self.form != "own" or self.padded is not None


@dataclass(frozen=True, slots=True)
class _Piece:
    """Members ``start`` to ``stop`` of a pack; without a layout it is one of them, as it is."""

    start: int
    stop: int
    name: str
    layout: Layout | None


@dataclass
class Packs:
    """Knows in which variables values are, and writes what is missing."""

    programs: Sequence[Program]
    arrangement: Arrangement
    canonical: Mapping[Slot, Slot]
    text: Text
    uses: Sequence[Mapping[int, int]]
    apart: Apart = field(default_factory=dict)
    exact: bool = False
    needs: dict[Need, str] = field(default_factory=dict)
    _home: dict[tuple[int, int], tuple[str, Layout | None]] = field(default_factory=dict)
    _pieces: dict[tuple[int, int], tuple[_Piece, ...]] = field(default_factory=dict)
    _ordered: dict[str, str] = field(default_factory=dict)
    _made: dict[tuple[tuple[Slot, ...], Layout], str] = field(default_factory=dict)

    # ------------------------------------------------------------------ values of steps

    def define(self, step: int, output: int, name: str, layout: Layout | None) -> None:
        """Note the variable that holds an output of a step."""
        self._home[step, output] = name, layout

    def facts(self, slot: Slot) -> Facts:
        """What is known of a value."""
        return self.programs[slot[0]].facts[slot[1]]

    def layout(self, slots: Sequence[Slot]) -> Layout | None:
        """The layout in which most of the values lie; None if none is packed."""
        for slot in slots:
            place = self.arrangement.places.get(self.canonical[slot])
            if place is not None and (layout := self._home[place.step, place.output][1]):
                return layout
        return None

    def shared(self, slots: Sequence[Slot]) -> bool:
        """Whether all are one and the same value."""
        return len({self.canonical[slot] for slot in slots}) == 1

    def single(self, slot: Slot) -> bool:
        """Whether only one call of the member reads the value."""
        return self.uses[slot[0]][slot[1]] == 1

    @cached_property
    def _reads(self) -> Counter[Slot]:
        """How often each value is read by calls that are made, or returned."""
        return Counter(
            self.canonical[slot]
            for slot in chain(
                *self.arrangement.outputs,
                (
                    (member, number)
                    for step in self.arrangement.steps
                    for member, call in step.calls
                    for number in self.programs[member].calls[call].inputs
                ),
            )
        )

    def is_read_once(self, slots: Sequence[Slot], layout: Layout) -> bool:
        """Whether these are all values of a pack in this layout, each read by one call only."""
        given = tuple(self.canonical[slot] for slot in slots)
        home = self._whole(given)
        whole = home is not None and home[1] == layout
        return whole and all(self._reads[slot] == 1 for slot in given)

    def maker(self, slot: Slot) -> Call | None:
        """The call that made a value; None for a source."""
        slot = self.canonical[slot]
        if (place := self.arrangement.places.get(slot)) is None:
            return None
        member, call = self.arrangement.steps[place.step].calls[place.position]
        return self.programs[member].calls[call]

    def need(self, form: Form, slots: Sequence[Slot]) -> str:
        """The variable of parameters or buffers."""
        sources = [(m, self.programs[m].sources[n]) for m, n in slots]
        padded = next((source.padded for _, source in sources if source.padded), None)
        wanted = Need(form, tuple((m, str(source.path)) for m, source in sources), padded)
        return self.needs.setdefault(wanted, f"p{len(self.needs)}")

    # ------------------------------------------------------------------ one value

    def own(self, slot: Slot) -> str:
        """The variable or expression of one value by itself."""
        name, cut = self._one(slot)
        if not cut or not self.exact:
            return name
        if name not in self._ordered:  # In the order in memory that it has alone.
            facts = self.facts(slot)
            stride = f", {facts.stride!r}" if facts.crosswise else ""
            self._ordered[name] = self.text.before(f"in_order({name}{stride})")[0]
        return self._ordered[name]

    def _one(self, slot: Slot) -> tuple[str, bool]:
        """One value as it lies, and whether it is cut from others."""
        slot = self.canonical[slot]
        place = self.arrangement.places.get(slot)
        if place is None:
            return self._source(slot), False
        pieces = self._cut(place)
        for piece in pieces:
            if piece.start <= place.position < piece.stop:
                name = piece.name if piece.layout != "stack" else f"{piece.name}[0]"
                return name, len(pieces) > 1
        raise AssertionError("a reader without a cut")

    def _source(self, slot: Slot) -> str:
        member, number = slot
        source = self.programs[member].sources[number]
        match source.kind:
            case "input":
                return self.text.input(member, int(source.path))
            case "constant":
                return self.text.constant(source.constant)
            case _:
                return self.need("own", [slot])

    # ------------------------------------------------------------------ several values

    def pack(self, slots: Sequence[Slot], layout: Layout) -> str:
        """The variable of the values in this layout."""
        wanted = tuple(self.canonical[slot] for slot in slots)
        key = wanted, layout
        if key not in self._made:
            self._made[key] = self._packed(wanted, layout)
        return self._made[key]

    def _packed(self, slots: tuple[Slot, ...], layout: Layout) -> str:
        if len(set(slots)) == 1:
            return self._repeated(slots, layout)
        if (home := self._whole(slots)) is not None:
            name, given = home
            return name if given == layout else self._converted(name, len(slots), layout)
        parts: list[str] = []
        position, seen = 0, False
        while position < len(slots):
            count, part, cut = self._part(slots[position:], layout)
            parts.append(part)
            position += count
            seen |= not cut
        if len(parts) == 1:
            return f"in_order({parts[0]})" if self.exact else parts[0]
        dimension = 0 if layout == "stack" else 1
        # What is cut and put together again is seen by nobody between.
        joined, facts = f"({', '.join(parts)}), {dimension}", self.facts(slots[0])
        if not (self.exact and seen):
            return self.text.before(f"torch.cat({joined})")[0]
        if layout == "stack" and facts.crosswise:
            joined += f", {(0, *(d + 1 for d in facts.order))!r}"
        return self.text.before(f"cat_in_order({joined})")[0]

    def _repeated(self, slots: tuple[Slot, ...], layout: Layout) -> str:
        name, count = self.own(slots[0]), len(slots)
        if layout == "channel":
            more = f"torch.cat(({name},) * {count}, 1)"
            return name if count == 1 else self.text.before(more)[0]
        rank = len(self.facts(slots[0]).shape)
        return self.text.before(f"{name}.expand({', '.join(map(str, [count, *[-1] * rank]))})")[0]

    def _whole(self, slots: tuple[Slot, ...]) -> tuple[str, Layout] | None:
        """The pack, if these are all its values in their order."""
        places = [self.arrangement.places.get(slot) for slot in slots]
        first = places[0]
        if first is None or len(self.arrangement.steps[first.step].calls) != len(slots):
            return None
        if places != [Place(first.step, first.output, i) for i in range(len(slots))]:
            return None
        name, layout = self._home[first.step, first.output]
        return None if layout is None else (name, layout)

    def _converted(self, name: str, count: int, layout: Layout) -> str:
        if layout == "stack":
            return self.text.before(f"{name}.unflatten(1, ({count}, -1)).transpose(0, 1)")[0]
        return self.text.before(f"{name}.transpose(0, 1).flatten(1, 2)")[0]

    def _part(self, slots: tuple[Slot, ...], layout: Layout) -> tuple[int, str, bool]:
        """The longest piece that begins the values, as a part of a pack.

        Returns:
            How many it holds, its expression, and whether it is cut from others.
        """
        place = self.arrangement.places.get(slots[0])
        pieces = () if place is None else self._cut(place)
        for piece in pieces:
            if place is None or piece.start != place.position or piece.layout is None:
                continue
            count = piece.stop - piece.start
            wanted = [Place(place.step, place.output, piece.start + i) for i in range(count)]
            if [self.arrangement.places.get(slot) for slot in slots[:count]] == wanted:
                name = piece.name
                if piece.layout != layout:
                    name = self._converted(name, count, layout)
                return count, name, len(pieces) > 1
        own, cut = self._one(slots[0])
        return 1, own if layout == "channel" else f"{own}[None]", cut

    def _cut(self, place: Place) -> tuple[_Piece, ...]:
        key = place.step, place.output
        if key not in self._pieces:
            self._pieces[key] = tuple(self._pieces_of(place))
        return self._pieces[key]

    def _pieces_of(self, place: Place) -> list[_Piece]:
        name, layout = self._home[place.step, place.output]
        step = self.arrangement.steps[place.step]
        count = len(step.calls)
        if layout is None or (count == 1 and layout != "stack"):
            return [_Piece(0, count, name, None)]
        bounds = [0, *sorted(self.arrangement.cuts.get((place.step, place.output), ())), count]
        sizes = [b - a for a, b in pairwise(bounds)]
        if len(sizes) == 1:
            return [_Piece(0, count, name, layout)]
        if layout == "stack" and set(sizes) == {1}:
            names = self.text.before(f"{name}.unbind(0)", count)
            return [_Piece(i, i + 1, each, None) for i, each in enumerate(names)]
        member, call = step.calls[0]
        number = self.programs[member].calls[call].outputs[place.output]
        width = self.facts((member, number)).shape[1] if layout == "channel" else 1
        scaled = ", ".join(str(size * width) for size in sizes)
        dimension = 0 if layout == "stack" else 1
        function = "torch.split" if self.exact else "split"
        names = self.text.before(f"{function}({name}, ({scaled}), {dimension})", len(sizes))
        return [
            _Piece(start, start + size, each, layout if size > 1 or layout == "stack" else None)
            for start, size, each in zip(bounds, sizes, names, strict=False)
        ]
