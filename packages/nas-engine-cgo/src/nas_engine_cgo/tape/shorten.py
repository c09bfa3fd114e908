"""A tape with fewer calls that gives the same bits.

Autograd takes apart bit by bit what was joined, and joins what was taken apart: the gradient of
``cat`` is a slice for each operand, and that of ``split`` a ``cat``. Where one meets the other the
parts themselves will do, and slices of one tensor that are left are one ``split``. What depends on
nothing is not made again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from nas_engine_cgo.tape.calls import Argument, Call, Tape, Value
from nas_engine_cgo.tape.zeros import with_zeros_added

__all__ = ["shortened"]

_SLICE = torch.ops.aten.slice.Tensor
_SPLIT = torch.ops.aten.split_with_sizes.default

_ANYHOW = {"add.Tensor", "cat.default", "mul.Tensor", "slice.Tensor", "threshold_backward.default"}
"""What gives the same bits wherever in memory its operands lie."""
_WITHOUT_EFFECT = {
    "cat.default", "empty.memory_format", "mul.Tensor", "select.int", "slice.Tensor"
}  # fmt: skip
"""What does no more than to make a tensor, or a view."""


def shortened(tape: Tape) -> Tape:
    """Leave out what is joined to be taken apart, and the other way round."""
    sliced = [each for call in tape.calls for each in _sliced(call)]
    calls = list(_Joints(replace(tape, calls=sliced)).calls())
    calls = with_zeros_added(replace(tape, calls=calls))
    return replace(tape, calls=_split(_wanted(calls, tape.results)))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a tensor along a dimension."""

    base: Value
    dim: int
    start: int
    stop: int

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.stop == self.base.shape[self.dim]

    def follows(self, other: _Part) -> bool:
        """Whether it begins where another one ends."""
        return replace(self, start=other.start, stop=self.start) == other

    def of(self, outer: _Part | None) -> _Part:
        """The same part, if its base is a part itself."""
        if outer is None or outer.dim != self.dim:
            return self
        return _Part(outer.base, self.dim, outer.start + self.start, outer.start + self.stop)

    def value(self, like: Value) -> Value:
        """A value for it, in the memory of another part."""
        shape = list(like.shape)
        shape[self.dim] = self.stop - self.start
        return replace(like, shape=tuple(shape))

    def call(self, output: Value) -> Call:
        """The call that takes it."""
        args = [self.base, self.dim, self.start, self.stop]
        return Call(_SLICE, "slice.Tensor", args, {}, [output], False, [self.base])


class _Joints:
    """Follows through a tape what is joined, and what is taken of it."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._results = set(_values(tape.results))
        self._taken: dict[Value, _Part] = {}  # As it is, and as it is read.
        self._parts: dict[Value, _Part] = {}
        self._joined: dict[Value, list[tuple[_Part, Argument]]] = {}
        kept = {value.storage for value in self._results} | tape.written
        self._known = {v: made for v, made in tape.known.items() if v.storage not in kept}
        self._same: dict[Value, Argument] = dict(self._known)
        self._readers: dict[Value, set[str]] = defaultdict(set)
        for call in tape.calls:
            for value in call.reads:
                self._readers[value].add(call.name)

    def calls(self) -> Iterator[Call]:
        """The calls, but reading the operands of what is joined."""
        for call in map(self._reading, self._tape.calls):
            output = call.outputs[0] if call.outputs else None
            if output in self._known:
                continue
            if output is not None and (part := _part_of(call)) is not None:
                yield from self._take(output, part)
            elif output is not None and call.name == "cat.default":
                yield from self._join(call, output)
            else:
                yield call

    def _take(self, output: Value, part: _Part) -> Iterator[Call]:
        """Take a part of that operand of what was joined in which it lies."""
        self._taken[output] = part = part.of(self._taken.get(part.base))
        while (inner := self._inner(part)) is not None and self._alike(output, inner.base):
            part = inner
        if part.whole and output not in self._results:
            self._same[output] = part.base
        else:
            self._parts[output] = part
            yield part.call(output)

    def _inner(self, part: _Part) -> _Part | None:
        """A part of something joined as a part of one operand."""
        for place, operand in self._joined.get(part.base, ()):
            inside = place.start <= part.start and part.stop <= place.stop
            if inside and place.dim == part.dim and isinstance(operand, Value):
                start, stop = part.start - place.start, part.stop - place.start
                return _Part(operand, part.dim, start, stop).of(self._parts.get(operand))
        return None

    def _alike(self, value: Value, other: Value) -> bool:
        """Whether a part of another tensor may be read in the place of one of the same numbers."""
        fixed = self._tape.written.isdisjoint((value.storage, other.storage))
        free = value not in self._results and self._readers[value] <= _ANYHOW
        return fixed and free and value.order == other.order

    def _join(self, call: Call, output: Value) -> Iterator[Call]:
        """Join, with neighbours in one tensor as one operand."""
        dim = _dimension(call, 1, output)
        operands: list[Argument] = []
        for operand in call.args[0]:
            part, last = self._part(operand), self._part(operands[-1]) if operands else None
            if part and last and part.follows(last) and part.dim == dim:
                joint = replace(part, start=last.start)
                operands[-1] = made = joint.value(operand)
                self._taken[made] = self._parts[made] = joint
                yield joint.call(made)
            else:
                operands.append(operand)
        places = self._joined[output] = []
        start = 0
        for operand in operands:
            stop = start + operand.shape[dim]
            places.append((_Part(output, dim, start, stop), operand))
            start = stop
        reads = _values(operands)
        yield Call(call.function, call.name, [operands, dim], {}, [output], False, reads)

    def _part(self, operand: Argument) -> _Part | None:
        return self._parts.get(operand) if isinstance(operand, Value) else None

    def _reading(self, call: Call) -> Call:
        """The call with the same values, maybe by other names."""
        if self._same.keys().isdisjoint(call.reads):
            return call
        args, reads = self._read(call.args), _values(self._read(call.reads))
        kwargs = {name: self._read(each) for name, each in call.kwargs.items()}
        return replace(call, args=args, kwargs=kwargs, reads=reads)

    def _read(self, argument: Argument) -> Argument:
        if isinstance(argument, Value):
            return self._same.get(argument, argument)
        return [self._read(each) for each in argument] if isinstance(argument, list) else argument


def _values(arguments: Sequence[Argument]) -> list[Value]:
    return [argument for argument in arguments if isinstance(argument, Value)]


def _dimension(call: Call, position: int, like: Value) -> int:
    """The dimension that is an argument of a call, counted from the first."""
    dim: int = call.args[position] if len(call.args) > position else call.kwargs.get("dim", 0)
    return dim % len(like.shape)


def _sliced(call: Call) -> list[Call]:
    """A split as slices; any other call as it is."""
    if call.function is not _SPLIT:
        return [call]
    base, start, found = call.args[0], 0, []
    for size, output in zip(call.args[1], call.outputs, strict=True):
        if output is not None:
            part = _Part(base, _dimension(call, 2, output), start, start + size)
            found.append(part.call(output))
        start += size
    return found


def _part_of(call: Call) -> _Part | None:
    """What a slice takes, if it is without steps."""
    if call.function is not _SLICE or call.kwargs:
        return None
    base = call.args[0]
    dim = _dimension(call, 1, base)
    start, stop, step = [*call.args[2:], None, None, None][:3]  # What goes without saying is left.
    taken = slice(start, stop, step).indices(base.shape[dim])
    return _Part(base, dim, *taken[:2]) if taken[2] == 1 else None


def _wanted(calls: Sequence[Call], results: Sequence[Argument]) -> list[Call]:
    """Without what only makes what nobody reads."""
    read = set(_values(results))
    found: list[Call] = []
    for call in reversed(calls):
        if _has_effect(call) or not read.isdisjoint(filter(None, call.outputs)):
            read.update(call.reads)
            found.append(call)
    return found[::-1]


def _has_effect(call: Call) -> bool:
    """Whether it may do more than to make a tensor, or a part of one."""
    return call.name not in _WITHOUT_EFFECT


def _split(calls: Sequence[Call]) -> list[Call]:
    """Slices of one tensor as one split."""
    taken: dict[tuple[Value, int], list[tuple[_Part, int]]] = defaultdict(list)
    for position, call in enumerate(calls):
        if (part := _part_of(call)) is not None:
            taken[part.base, part.dim].append((part, position))
    found: list[Call | None] = list(calls)
    for (base, dim), slices in taken.items():
        for chain in _apart(slices):
            if len(chain) > 1:
                positions = [position for _, position in chain]
                parts = [(part, calls[position].outputs[0]) for part, position in chain]
                for position in positions:
                    found[position] = None
                found[min(positions)] = _as_split(base, dim, parts)
    return [call for call in found if call is not None]


def _apart(slices: Sequence[tuple[_Part, int]]) -> list[list[tuple[_Part, int]]]:
    """Groups of slices in their order that do not overlap."""
    chains: list[list[tuple[_Part, int]]] = []
    for part, position in sorted(slices, key=lambda each: (each[0].start, each[0].stop)):
        for chain in chains:
            if chain[-1][0].stop <= part.start:
                chain.append((part, position))
                break
        else:
            chains.append([(part, position)])
    return chains


def _as_split(base: Value, dim: int, chain: Sequence[tuple[_Part, Value | None]]) -> Call:
    sizes: list[int] = []
    outputs: list[Value | None] = []
    end = 0
    rest = _Part(base, dim, base.shape[dim], base.shape[dim])
    for part, output in (*chain, (rest, None)):
        if part.start > end:  # What nobody takes.
            sizes.append(part.start - end)
            outputs.append(None)
        if output is not None:
            sizes.append(part.stop - part.start)
            outputs.append(output)
        end = part.stop
    args = [base, sizes, dim]
    return Call(_SPLIT, "split_with_sizes.default", args, {}, outputs, True, [base])
