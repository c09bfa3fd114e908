"""The merged forward pass as the text of one function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_engine_cgo.kinds import Fused, write
from nas_engine_cgo.members import PURE, Call, Program, Ref, for_each, replaced
from nas_engine_cgo.merge import (
    Arrangement,
    Slot,
    Step,
    arrange,
    deduplicate,
    each_by_itself,
    schedule,
    signatures,
)
from nas_engine_cgo.packs import Apart, Need, Packs, Text

__all__ = ["Function", "Plan", "planned", "write_function", "written"]


@dataclass(frozen=True, eq=False)
class Function:
    """A merged forward pass that has been written.

    Attributes:
        source: the text; it defines ``forward(inputs, tensors, streams)``.
        streams: for each member the number of its data stream.
        inputs: (data stream, position) of the inputs that it is given.
        needs: the parameters and buffers that it is given.
        members: the members whose random numbers it is given.
        modules: (member, path) of the submodules that it calls.
        results: for each tensor that it returns the members whose outputs it stacks; one member's
            is not stacked.
        constants: name → object that the text mentions.
        origin: for each line of the text the members whose calls it makes.
        steps: what is fused.
        programs: what was merged.
        canonical: value → the value that is computed in its place, by (member, value).
    """

    source: str
    streams: tuple[int, ...]
    inputs: tuple[tuple[int, int], ...]
    needs: tuple[Need, ...]
    members: tuple[int, ...]
    modules: tuple[tuple[int, str], ...]
    results: tuple[tuple[int, ...], ...]
    constants: Mapping[str, Any]
    origin: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    programs: tuple[Program, ...]
    canonical: Mapping[Slot, Slot]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a merged forward pass will do.

    Attributes:
        programs, streams, exact: as they were given.
        canonical: value → the value that is computed in its place, by (member, value).
        arrangement: what runs, and together, in this order, and where it lies.
    """

    programs: Sequence[Program]
    streams: Sequence[int]
    exact: bool
    canonical: Mapping[Slot, Slot]
    arrangement: Arrangement


def planned(
    programs: Sequence[Program],
    streams: Sequence[int],
    contents: Mapping[Slot, Any],
    fits: Callable[[Call, Program], bool],
    refused: Collection[Hashable] = (),
    exact: bool = False,
    room: int | None = None,
    share: bool = True,
) -> Plan:
    """What to do for programs whose output is one tensor.

    Args:
        programs: the members'.
        streams: for each member the number of its data stream.
        contents: (member, source) → what is equal for sources with equal contents.
        fits: whether a call of a program can be fused.
        refused: signatures of calls that are not fused.
        exact: whether bits count: the readers of a value keep their order, so that gradients add up
            as they do alone, and what is cut or joined is brought into order in memory.
        room: bytes that the largest value of a step should take in all members; None for no bound.
        share: whether equal values are computed once.
    """

    def content(member: int, number: int) -> Any:
        source = programs[member].sources[number]
        if source.kind == "input":
            return ("input", streams[member], source.path)
        if source.kind == "constant":
            return ("constant", id(source.constant))
        known = contents.get((member, number))
        return None if known is None else (known, source.padded)

    canonical = deduplicate(programs, content, exact) if share else each_by_itself(programs)
    marked = for_each(
        programs,
        lambda program: tuple(
            None if each in refused else each for each in signatures(program, fits)
        ),
    )
    steps = schedule(programs, marked, canonical, exact, room)
    return Plan(programs, streams, exact, canonical, arrange(programs, steps, canonical))


def written(plan: Plan, apart: Apart | None = None) -> Function:
    """The text of what is planned.

    Args:
        plan: what to do.
        apart: (signature, members) → the ways of what is not computed at once.
    """
    return _Writer(plan, apart or {}).function()


def write_function(
    programs: Sequence[Program],
    streams: Sequence[int],
    contents: Mapping[Slot, Any],
    fits: Callable[[Call, Program], bool],
    room: int | None = None,
    share: bool = True,
) -> Function:
    """Merge programs whose output is one tensor; the arguments are those of ``planned``."""
    return written(planned(programs, streams, contents, fits, room=room, share=share))


class _Writer:
    """Writes step after step."""

    def __init__(self, plan: Plan, apart: Apart) -> None:
        self.programs, self.canonical = plan.programs, plan.canonical
        self.arrangement = plan.arrangement
        self.text = Text(tuple(plan.streams), plan.exact)
        self.modules: list[tuple[int, str]] = []
        uses = for_each(plan.programs, Program.uses)
        self.packs = Packs(
            plan.programs,
            plan.arrangement,
            plan.canonical,
            self.text,
            uses,
            apart,
            plan.exact,
        )

    def function(self) -> Function:
        for index, step in enumerate(self.arrangement.steps):
            self.text.members = tuple(dict.fromkeys(member for member, _ in step.calls))
            if step.signature is not None and (len(step.calls) > 1 or self._draws(step)):
                self._fused(index, step)
            else:
                self._alone(index, step)
        results, returned = [], []
        for group in self.arrangement.outputs:
            one = len(group) == 1
            returned.append(self.packs.own(group[0]) if one else self.packs.pack(group, "stack"))
            results.append(tuple(member for member, _ in group))
        self.text.put(f"return ({', '.join(returned)},)")
        return self._finished(tuple(results))

    def _draws(self, step: Step) -> bool:
        """Whether numbers are drawn, which for one member, too, need not be the global ones."""
        (member, number), *_ = step.calls
        return self.programs[member].calls[number].name not in PURE

    def _fused(self, index: int, step: Step) -> None:
        fused = Fused(self.packs, step, index)
        with self.text.within(*([] if fused.call.grad else ["torch.no_grad()"])):
            write(fused)

    def _alone(self, index: int, step: Step) -> None:
        ((member, number),) = step.calls
        call = self.programs[member].calls[number]

        def spell(value: Any) -> str | None:
            if not isinstance(value, Ref):
                return None
            name, facts = self.packs.own((member, value.id)), self.packs.facts((member, value.id))
            if not in_its_order or (member, value.id) not in places:
                return name
            return f"ordered({name}, {facts.order!r})"

        places = self.arrangement.places
        # In which numbers are drawn, and memory is seen in another shape.
        in_its_order = call.name not in PURE or call.name in _VIEWS

        # Before the contexts: what an operand needs may be read outside of them.
        args, kwargs = (replaced(part, lambda x: _Spelled.of(x, spell)) for part in _parts(call))
        contexts = [] if call.grad else ["torch.no_grad()"]
        if call.name not in PURE:
            more = "" if call.module is None else ", everything=True"
            contexts.append(f"drawing(r{member}{more})")
        if call.module is not None:
            self.modules.append((member, call.module))
        with self.text.within(*contexts):
            function = (
                f"m{member}({call.module!r})"
                if call.function is None
                else self.text.function(call.function)
            )
            name = self.text.line(self.text.called(function, args, kwargs, _Spelled.text))
        self._unpacked(index, name, call.result)

    def _unpacked(self, index: int, name: str, result: Any) -> None:
        """Define the outputs in a result, which may be a structure of tensors."""
        output = 0

        def visit(part: Any, expression: str) -> None:
            nonlocal output
            match part:
                case Ref():
                    self.packs.define(index, output, expression, None)
                    output += 1
                case tuple() | list():
                    for i, item in enumerate(part):
                        visit(item, f"{expression}[{i}]")
                case dict():
                    for key, item in part.items():
                        visit(item, f"{expression}[{key!r}]")

        visit(result, name)

    def _finished(self, results: tuple[tuple[int, ...], ...]) -> Function:
        text, packs = self.text, self.packs
        members = tuple(range(len(self.programs)))
        head = ["def forward(inputs, tensors, streams):"]
        for names, given in (
            (list(text.inputs.values()), "inputs"),
            (list(packs.needs.values()), "tensors"),
            ([f"r{m}" for m in members], "streams"),
        ):
            if names:
                head.append(f"    ({', '.join(names)},) = {given}")
        return Function(
            "\n".join([*head, *text.source]) + "\n",
            text.streams,
            tuple(text.inputs),
            tuple(packs.needs),
            members,
            tuple(self.modules),
            results,
            text.constants,
            (*[()] * len(head), *text.origin),
            self.arrangement.steps,
            tuple(self.programs),
            self.canonical,
        )


_VIEWS = frozenset({"view", "view_as"})
"""What gives what it is given in another shape, if that lies in memory accordingly."""


def _parts(call: Any) -> tuple[Any, Any]:
    return call.args, dict(call.kwargs)


@dataclass(frozen=True)
class _Spelled:
    """A value that is known as an expression already."""

    expression: str

    @classmethod
    def of(cls, value: Any, spell: Any) -> Any:
        text = spell(value)
        return value if text is None else cls(text)

    @staticmethod
    def text(value: Any) -> str | None:
        return value.expression if isinstance(value, _Spelled) else None
