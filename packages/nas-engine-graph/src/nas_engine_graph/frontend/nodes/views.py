"""``t.view(dtype)``, of which TorchScript makes a view of that size."""

from __future__ import annotations

from typing import Any

from nas_engine_graph.frontend.nodes import operators
from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.scripted import inputs_of
from nas_engine_graph.ir import Const, Dtype, Operator

__all__ = ["is_dtype", "view"]


def is_dtype(t: Translator, node: Any) -> bool:
    """Whether a new list holds the dtype of a view, and no sizes."""
    uses = list(node.output().uses())
    if node.inputsSize() != 1 or [use.user.kind() for use in uses] != ["aten::view"]:
        return False
    operand = t.operand(node, 0)
    known = isinstance(operand, Const) and isinstance(operand.value, Dtype)
    return known or t.kinds.of(node.inputsAt(0)) == "dtype"


def view(t: Translator, node: Any) -> None:
    """``aten::view``."""
    _, sizes = inputs_of(node)
    if sizes.node().kind() == "prim::ListConstruct" and is_dtype(t, sizes.node()):
        given = [t.operand(node, 0), t.operand(sizes.node(), 0)]
        t.emit(node, Operator("aten.view.dtype"), given, hint="view")
    else:
        operators.operator(t, node)
