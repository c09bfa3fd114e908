"""Loops over lists, tensors, texts and dicts: TorchScript counts their items before the first trip.

Python asks in each trip for one more. So the graph says what is gone through, not how long it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.scripted import inputs_of, outputs_of
from nas_engine_graph.ir import Builtin, Operand

__all__ = ["counts_trips", "iterate", "takes_item"]

_ANY_NUMBER = 2**63 - 1
_TAKING = frozenset({"aten::__getitem__", "aten::select"})


def iterate(t: Translator, node: Any) -> bool:
    """Translate the node if only a ``for`` makes it; whether it is such a node."""
    if counts_trips(node):
        source = node.inputsAt(0).node()
        least = node.kind() == "prim::min"
        counted = list(_counted(t, source)) if least else [t.operand(node, 0)]
        if len(counted) == 1 and t.type_of(counted[0]) == "int":
            t.alias(node, counted[0])  # The number of a range is counted along with it.
        else:
            t.emit(node, Builtin("trips"), counted, hint="trips")
    elif takes_item(node):
        source, *_, index = t.operands(node)
        t.emit(node, Builtin("item"), [source, index], hint="item")
    else:
        return False
    return True


def _counted(t: Translator, lengths: Any) -> Iterator[Operand]:
    """What a loop goes through at once, of the list of how long all are: of ranges the numbers."""
    for at, length in enumerate(inputs_of(lengths)):
        node = length.node()
        if node.kind() == "aten::len" and counts_trips(node):
            yield t.operand(node, 0)
        elif not _is_endless(node):
            yield t.operand(lengths, at)


def _is_endless(length: Any) -> bool:
    """Whether a node is how long a range is that ``enumerate`` counts, which has no end."""
    if length.kind() == "aten::__range_length":
        return any(value.toIValue() == _ANY_NUMBER for value in inputs_of(length))
    # It is a constant where the range begins with one, and may be too large for an integer.
    number = length.output().toIValue() if length.kind() == "prim::Constant" else 0
    return bool(abs(number) > _ANY_NUMBER // 2)


def counts_trips(node: Any) -> bool:
    """Whether a node counts for a loop how many trips it has: of such the whole loop is marked."""
    if node.kind() not in ("aten::len", "prim::min"):
        return False
    return any(loop.sourceRange() == node.sourceRange() for loop in _loops(node))


def _loops(node: Any) -> Iterator[Any]:
    """The loops that may have as many trips as a node says."""
    for use in (use for output in outputs_of(node) for use in output.uses()):
        match use.user.kind():
            case "prim::Loop":
                yield use.user
            case "aten::gt" | "prim::ListConstruct" | "prim::min":
                yield from _loops(use.user)


def takes_item(node: Any) -> bool:
    """Whether a node takes for a loop the item of a trip out of what it goes through."""
    if node.kind() not in _TAKING:
        return False
    users = (use.user for use in node.inputsAt(0).uses())
    counts = (user for user in users if user.kind() == "aten::len" and counts_trips(user))
    return any(count.sourceRange() == node.sourceRange() for count in counts)
