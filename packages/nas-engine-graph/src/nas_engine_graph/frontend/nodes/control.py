"""Branches, loops and exceptions: kept as blocks, or folded where the condition is constant."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from nas_engine_graph.frontend.nodes.settled import raises
from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.scripted import blocks_of, outputs_of, parameters_of, results_of
from nas_engine_graph.frontend.source.places import unsupported
from nas_engine_graph.ir import (
    Block,
    Builtin,
    Const,
    If,
    Loop,
    Node,
    Operand,
    Raise,
    Ref,
    Value,
    walk,
)

__all__ = ["branch", "loop", "raise_exception"]

_ENDLESS = 2**63 - 1
_UNUSED = "Cannot call @unused methods"
_ASSERTION = "AssertionError: "


def branch(t: Translator, node: Any) -> None:
    """``prim::If``."""
    condition = t.operand(node, 0)
    arms = blocks_of(node)
    if isinstance(condition, Const):
        chosen = arms[0 if condition.value else 1]
        t.inline(chosen)
        for output, result in zip(outputs_of(node), results_of(chosen), strict=True):
            t.meaning[output.unique()] = t.meaning[result.unique()]
        return
    blocks = [t.block(block) for block in arms]
    given = [
        tuple(
            t.resolve(result, lambda o=output: t.kinds.of(o), node)  # type: ignore[misc]
            for output, result in zip(outputs_of(node), results_of(block), strict=True)
        )
        for block in arms
    ]
    # After an arm that raises nobody asks what it gives.
    going_on = [i for i, block in enumerate(blocks) if not raises(block)]
    if len(going_on) == 1:
        given[1 - going_on[0]] = (Const(None),) * len(given[0])
    differing = []
    for index, (output, *either) in enumerate(zip(outputs_of(node), *given, strict=True)):
        one = either[going_on[0]] if len(going_on) == 1 else either[0]
        if (len(going_on) == 1 or either[0] == either[1]) and not _defines(blocks, one):
            t.meaning[output.unique()] = one  # It comes from outside of the arms.
        else:
            differing.append((index, output))
    made = tuple(
        replace(block, results=tuple(results[index] for index, _ in differing))
        for block, results in zip(blocks, given, strict=True)
    )
    if not differing and not any(block.nodes for block in made):
        return
    kinds = [_kind(t, output, [r[index] for r in given]) for index, output in differing]
    outputs = tuple(
        t.bind(output, "value", kind) for (_, output), kind in zip(differing, kinds, strict=True)
    )
    t.emit(node, If(), [condition], blocks=made, outputs=outputs)
    for index, output in differing:
        t.loosen(output, *(results[index] for results in given))


def _kind(t: Translator, output: Any, given: Sequence[Operand]) -> str:
    """The type of what is handed on: TorchScript may have that of the first round of a loop."""
    kind = t.annotated(output)
    others = sorted({t.type_of(operand) for operand in given} - {"NoneType"})
    if kind != "NoneType" or not others:
        return kind
    wide = [other for other in others if other.startswith(("Optional", "Any", "Union"))]
    return wide[0] if wide else f"Optional[{others[0]}]"


def _defines(blocks: Iterable[Block], operand: Operand) -> bool:
    """Whether a value is made in one of these blocks."""
    made = (value.name for block in blocks for node in walk(block) for value in node.outputs)
    return isinstance(operand, Ref) and operand.name in made


def loop(t: Translator, node: Any) -> None:
    """``prim::Loop``."""
    trips, start, *carried = t.operands(node)
    if isinstance(trips, Const) and trips.value == _ENDLESS:
        trips = Const(None)
    if trips == Const(0) or start == Const(False):
        for output, first in zip(outputs_of(node), carried, strict=True):
            t.meaning[output.unique()] = first
        return
    body, kept = _trip(t, node, carried, {}, frozenset())
    for at, first in kept.items():
        t.meaning[node.outputsAt(at).unique()] = first
    left = [at for at in range(len(carried)) if at not in kept]
    inputs = [trips, start, *(carried[at] for at in left)]
    body = Block(
        (body.parameters[0], *(body.parameters[1 + at] for at in left)),
        body.nodes,
        (body.results[0], *(body.results[1 + at] for at in left)),
    )
    values = [node.outputsAt(at) for at in left]
    outputs = [
        t.bind(value, kind=_kind(t, value, [first, last]))
        for value, first, last in zip(values, inputs[2:], body.results[1:], strict=True)
    ]
    for value, first, last in zip(values, inputs[2:], body.results[1:], strict=True):
        t.loosen(value, first, last)
    if (counter := _counter(t, inputs, body)) is not None:
        inputs, body = _counted(t, inputs, body, counter)
        del outputs[counter]
    t.emit(node, Loop(), inputs, blocks=(body,), outputs=tuple(outputs))


def _trip(
    t: Translator,
    node: Any,
    carried: Sequence[Operand],
    kept: dict[int, Operand],
    loose: AbstractSet[int],
) -> tuple[Block, dict[int, Operand]]:
    """The body of a loop, and which of what it carries it never changes.

    It is read again where this shows: what is known then may choose branches in it, and TorchScript
    has seen a change in one that is never taken.

    Args:
        t: the state of the translation.
        node: the loop.
        carried: with what it begins.
        kept: which of these, by their index, are known to stay as they are.
        loose: which of these may be numbers in later rounds where TorchScript has tensors.
    """
    (block,) = blocks_of(node)
    index, *inside = parameters_of(block)
    parameters = [t.bind(index, "index")]
    for value, first in zip(inside, carried, strict=True):
        parameters.append(t.bind(value, "index", _kind(t, value, [first])))
    for at, (value, first) in enumerate(zip(inside, carried, strict=True)):
        t.loosen(value, *(() if at in loose else (first,)))
        if at in kept:
            t.meaning[value.unique()] = kept[at]
    body = t.block(block, tuple(parameters))
    proceed, *following = results_of(block)
    results = [t.resolve(proceed, lambda: None, node)]
    for output, value in zip(outputs_of(node), following, strict=True):
        results.append(t.resolve(value, lambda o=output: t.kinds.of(o), node))  # type: ignore[misc]
    ends = list(enumerate(zip(parameters[1:], carried, results[1:], strict=True)))
    same = {at: first for at, (v, first, last) in ends if last in (Ref(v.name), first)}
    if more := same.keys() - kept.keys():
        return _trip(t, node, carried, kept | {at: same[at] for at in more}, loose)
    if more := {at for at, (v, _, last) in ends if t.is_loose(last) > t.is_loose(Ref(v.name))}:
        return _trip(t, node, carried, kept, loose | more)
    return replace(body, results=tuple(results)), kept


def _counter(t: Translator, inputs: Sequence[Operand], body: Block) -> int | None:
    """Which of the values that a loop carries is the number of its trips, if it counts them itself.

    TorchScript makes such loops of those over ranges in which there is a ``break`` or ``continue``.
    """
    made: dict[Operand, Node] = {Ref(v.name): node for node in body.nodes for v in node.outputs}
    match inputs[0], made.get(body.results[0]):
        case Const(None), Node(Builtin("and"), (less, _)):
            pass
        case _:
            return None
    match made.get(less):
        case Node(Builtin("lt"), (number, trips)) if number in body.results[1:]:
            at = body.results.index(number) - 1
        case _:
            return None
    if inputs[2 + at] != Const(0) or not _begins(t, trips, inputs[1]):
        return None
    match made.get(number):
        case Node(Builtin("add"), (Ref(counted), Const(1))):
            return at if counted == body.parameters[1 + at].name else None
    return None


def _begins(t: Translator, trips: Operand, start: Operand) -> bool:
    """Whether a loop has a first trip where there are trips at all: ``trips > 0`` is folded."""
    if isinstance(trips, Const):
        return start == Const(True)
    match t.nodes()[-1:]:
        case [Node(Builtin("gt"), (asked, Const(0)), outputs=(begun,))]:
            return (asked, Ref(begun.name)) == (trips, start)
    return False


def _counted(
    t: Translator, inputs: Sequence[Operand], body: Block, at: int
) -> tuple[list[Operand], Block]:
    """A loop over a number of trips instead of one that counts them itself."""
    made: dict[Operand, Node] = {Ref(v.name): node for node in body.nodes for v in node.outputs}
    both, following = made[body.results[0]], made[body.results[1 + at]]
    less = made[both.inputs[0]]
    if isinstance(inputs[1], Ref):
        t.nodes().pop()  # What asked whether there is a first trip.
    carried, parameters, results = list(inputs[2:]), list(body.parameters), list(body.results)
    del carried[at], results[1 + at]
    parameters[0] = parameters.pop(1 + at)
    results[0] = both.inputs[1]
    nodes = tuple(node for node in body.nodes if node not in (both, less, following))
    return [less.inputs[1], Const(True), *carried], Block(tuple(parameters), nodes, tuple(results))


def raise_exception(t: Translator, node: Any) -> None:
    """``prim::RaiseException``: asserts carry their name in the message and no class."""
    message, kind = t.operand(node, 0), t.operand(node, 1)
    if message == Const(_UNUSED):
        raise unsupported(node, "a call of a method marked @torch.jit.unused", t.owner or ())
    name = kind.value if isinstance(kind, Const) and isinstance(kind.value, str) else None
    if name is None:
        t.emit(node, Raise("AssertionError"), _assertion(t, message))
        return
    module, _, cls = name.rpartition(".")
    if module == "builtins" and hasattr(builtins, cls):
        t.emit(node, Raise(cls), [message])
        return
    t.emit(node, Raise(name.removeprefix("__torch__.")), [message])


def _assertion(t: Translator, message: Operand) -> list[Operand]:
    """The message without the prefix that TorchScript has put before it."""
    if isinstance(message, Const) and isinstance(message.value, str):
        rest = message.value.removeprefix(_ASSERTION).removeprefix(_ASSERTION.strip())
        return [Const(rest)] if rest else []
    last = t.nodes()[-1] if t.nodes() else None
    if (
        last is not None
        and isinstance(message, Ref)
        and last.outputs == (Value(message.name, "str"),)
        and last.operation == Builtin("add")
        and last.inputs[0] == Const(_ASSERTION)
    ):
        t.nodes().pop()
        return [last.inputs[1]]
    return [message]
