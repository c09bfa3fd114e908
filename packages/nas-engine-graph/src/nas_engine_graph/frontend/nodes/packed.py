"""Operators that return several values, which the source uses as one named tuple."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.scripted import inputs_of, outputs_of
from nas_engine_graph.ir import Builtin, Operand, Operation, Ref

__all__ = ["emit_packed", "is_packed"]


def is_packed(node: Any) -> bool:
    """Whether what the operator returns is used as one named tuple."""
    if node.outputsSize() < 2:
        return False
    return any(_is_pack(use.user, node) for use in node.outputsAt(0).uses())


def _is_pack(user: Any, node: Any) -> bool:
    if user.kind() != "prim::TupleConstruct":
        return False
    ours, theirs = [v.unique() for v in outputs_of(node)], [v.unique() for v in inputs_of(user)]
    return ours == theirs and "NamedTuple" in str(user.output())


def emit_packed(
    t: Translator,
    node: Any,
    operation: Operation,
    positional: Sequence[Operand],
    keywords: Sequence[tuple[str, Operand]],
) -> None:
    """Append the node for such an operator, and another one if single values are used, too."""
    outputs = outputs_of(node)
    kind = f"Tuple[{', '.join(map(t.annotated, outputs))}]"
    packed = t.value(node.kind().split("::")[1], kind)
    t.append(node, operation, positional, packed, keywords)
    for use in outputs[0].uses():
        if _is_pack(use.user, node):
            t.packed[use.user.output().unique()] = Ref(packed.name)
    others = any(not _is_pack(use.user, node) for output in outputs for use in output.uses())
    if others:
        t.emit(node, Builtin("unpack"), [Ref(packed.name)], hint="item")
