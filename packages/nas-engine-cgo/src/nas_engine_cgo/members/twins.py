"""Members that are the same model in other names: equal up to names and the order of calls.

The values of all members are numbered twice. First by how they are computed, whatever the
parameters are: that puts the operands of sums and products in order. Then parameters, and calls
that draw random numbers, are told apart by when they are met on the way back from the result.
Members are twins if their results have one number even so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from nas_engine_cgo.members.calls import named_tensors
from nas_engine_cgo.members.functions import PURE
from nas_engine_cgo.members.program import Call, Program, Ref

__all__ = ["Form", "forms"]

_FEW = 4096
"""Elements of constants that are compared; one of more is equal to itself only."""

Labels = dict[int, int]
"""Parameter, buffer or result of a call that draws → when it was met."""


@dataclass(frozen=True)
class Form:
    """What a member is, without its names.

    Attributes:
        key: equal for twins, among members whose forms were found together.
        paths: the parameters and buffers; those of a twin correspond to them one by one.
    """

    key: Hashable
    paths: tuple[str, ...]


def forms(programs: Sequence[Program], modules: Sequence[nn.Module]) -> list[Form]:
    """The forms of members.

    Initial values are not looked at: layers of one class with equal arguments count as initialised
    alike.

    Args:
        programs: what the members do.
        modules: whose parameters they read.
    """
    known: dict[Hashable, int] = {}
    pairs = zip(programs, modules, strict=True)
    return [_Member(program, module, known).form() for program, module in pairs]


class _Member:
    """One member; ``known`` has a number for all that any of them computes."""

    def __init__(self, program: Program, module: nn.Module, known: dict[Hashable, int]) -> None:
        self.program, self.known = program, known
        self.layers = dict(module.named_modules())
        self.tensors = named_tensors(module)
        self.same: dict[int, int] = {}  # Values to which nothing is added, as `sum` does at first.
        self.calls: list[Call] = []
        for call in program.calls:
            if call.name == "add" and call.args[1:] == (0,) and not (call.kwargs or call.writes):
                self.same[call.outputs[0]] = self._taken(call)[0]
            else:
                self.calls.append(call)
        self.makers = {n: call for call in self.calls for n in call.outputs}
        self.uses = Counter(number for call in self.calls for number in self._taken(call))
        self.result = self.same.get(program.output.id, program.output.id)
        self.met: set[int] = set()

    def form(self) -> Form:
        plain, labels = self._numbered({}), Labels()
        self._label([self.result], plain, labels)
        hanging = [call for call in self.calls if call.effects or call.writes]
        for call in sorted(hanging, key=lambda call: self._rank(call, plain, labels)):
            self._label(self._taken(call), plain, labels)
        numbers = self._numbered(labels)
        sources = (self.program.sources[n] for n in labels if n in self.program.sources)
        paths = [str(source.path) for source in sources]
        rest = sorted(set(self.tensors).difference(paths), key=lambda path: str(self._look(path)))
        key = (
            numbers[self.result],
            tuple(sorted(self._number(call, numbers) for call in hanging)),
            self._histories(numbers),
            tuple(map(self._look, rest)),
        )
        return Form(key, (*paths, *rest))

    def _histories(self, numbers: Mapping[int, int]) -> Hashable:
        """What reads and writes each tensor that is written: there the order of calls counts."""
        written = {number for call in self.calls for number in call.writes}
        found: dict[int, list[int]] = {numbers[number]: [] for number in written}
        for call in self.calls:
            for number in written.intersection(self._taken(call)):
                found[numbers[number]].append(self._number(call, numbers))
        return tuple(sorted((number, tuple(calls)) for number, calls in found.items()))

    # ------------------------------------------------------------------ numbers

    def _numbered(self, labels: Labels) -> dict[int, int]:
        """The numbers of all values, if those with labels are told apart by these."""
        found: dict[int, int] = {}
        for number in self.program.sources:
            found[number] = self._known(("source", self._source(number), labels.get(number)))
        for call in self.calls:
            made = self._number(call, found)
            for position, number in enumerate(call.outputs):
                found[number] = self._known((made, position, labels.get(number)))
        return found

    def _known(self, key: Hashable) -> int:
        return self.known.setdefault(key, len(self.known))

    def _number(self, call: Call, numbers: Mapping[int, int]) -> int:
        given = [numbers[n] for n in self._operands(call)]
        if _commutes(call):
            given.sort()
        facts = tuple(self.program.facts[n] for n in call.outputs)
        what = call.name, call.function, call.module and id(self.layers[call.module]), call.grad
        return self._known((what, call.template, tuple(given), facts))

    def _taken(self, call: Call) -> list[int]:
        return [self.same.get(number, number) for number in call.inputs]

    def _operands(self, call: Call) -> Sequence[int]:
        """What a call takes; a sum all its terms, also those of sums that nothing else takes."""
        if not (call.name == "add" and _commutes(call)):
            return self._taken(call)
        found, waiting = [], [*self._taken(call)]
        while waiting:
            number = waiting.pop()
            maker = self.makers.get(number)
            if maker and maker.name == "add" and _commutes(maker) and self.uses[number] == 1:
                waiting += self._taken(maker)
            else:
                found.append(number)
        return found

    def _source(self, number: int) -> Hashable:
        source = self.program.sources[number]
        if source.constant is not None:
            return _content(source.constant)
        if source.kind == "input":
            return source.path
        return self._look(str(source.path)), source.trained

    def _look(self, path: str) -> Hashable:
        """What is known of a parameter or buffer before it is initialised."""
        owner, _, name = path.rpartition(".")
        layer, tensor = self.layers[owner], self.tensors[path]
        return type(layer), layer.extra_repr(), name, tuple(tensor.shape), tensor.dtype

    # ------------------------------------------------------------------ labels

    def _label(self, roots: Sequence[int], plain: Mapping[int, int], labels: Labels) -> None:
        """Label what is met on the way back from values, those that are smaller first."""
        waiting = [*reversed(roots)]
        while waiting:
            number = waiting.pop()
            if number in self.met:
                continue
            self.met.add(number)
            source, call = self.program.sources.get(number), self.makers.get(number)
            if source is not None and source.kind in ("parameter", "buffer"):
                labels[number] = len(labels)
            if call is not None:
                if call.name not in PURE:
                    labels[number] = len(labels)
                operands = self._operands(call)
                if _commutes(call):
                    operands = sorted(operands, key=plain.__getitem__)
                waiting += reversed(operands)

    def _rank(self, call: Call, plain: Mapping[int, int], labels: Labels) -> tuple[int, int]:
        """Equal for calls of no result only where their layers can't be told apart, too."""
        layers = {self._layer(number) for number in call.inputs} - {None}
        beside = [label for number, label in labels.items() if self._layer(number) in layers]
        return self._number(call, plain), min(beside, default=-1)

    def _layer(self, number: int) -> str | None:
        source = self.program.sources.get(number)
        held = source is not None and source.kind in ("parameter", "buffer")
        return str(source.path).rpartition(".")[0] if source is not None and held else None


def _commutes(call: Call) -> bool:
    """Whether a call gives the same for its operands in any order."""
    values = len(call.args) == 2 and all(isinstance(arg, Ref) for arg in call.args)
    return call.name in ("add", "mul") and values and not call.kwargs and not call.writes


def _content(constant: Tensor) -> Hashable:
    if constant.numel() > _FEW or constant.is_complex():
        return id(constant)
    return tuple(constant.shape), constant.dtype, tuple(constant.flatten().tolist())
