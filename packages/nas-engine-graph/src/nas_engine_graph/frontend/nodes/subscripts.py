"""Subscripts of tensors: TorchScript has operators for them whose rules are not all Python's.

To Python ``t[[True, False]]`` is a mask, ``t[i]`` with a tensor without dimensions a view, and
``t[0] = v`` leaves out leading dimensions of one element of ``v``.
"""

from __future__ import annotations

from typing import Any

from nas_engine_graph.frontend.nodes import operators
from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.frontend.scripted import inputs_of
from nas_engine_graph.frontend.source.marked import is_called, marked_text
from nas_engine_graph.ir import Builtin, Const, Operand, Operator

__all__ = ["assign", "fact", "index", "is_index", "part", "tensor"]

_WRITES = frozenset({"aten::copy_", "aten::index_put_"})
_LAST = 2**63 - 1
_FACTS = frozenset({"prim::dtype", "prim::device"})
_PARTS = frozenset({"aten::slice", "aten::select", "aten::unsqueeze"})
_SUBSCRIPTS = _WRITES | {"aten::index"}


def _is_subscript(node: Any) -> bool:
    """Whether the source has brackets for this operator, and no call."""
    if node.kind() not in _SUBSCRIPTS or node.inputsAt(0).type().annotation_str != "Tensor":
        return False
    return not is_called(node, node.kind().removeprefix("aten::"))


def is_index(node: Any) -> bool:
    """Whether a new list is made of what stands between the brackets of subscripts."""
    uses = list(node.output().uses())
    return bool(uses) and all(use.offset == 1 and _is_subscript(use.user) for use in uses)


def _is_converted(node: Any) -> bool:
    """Whether a tensor is one to TorchScript alone: the source has a list or a number."""
    return not marked_text(node) and all(
        _is_subscript(use.user) or (use.user.kind() == "prim::ListConstruct" and is_index(use.user))
        for use in node.output().uses()
    )


def _is_everything(node: Any) -> bool:
    """Whether a slice is all of a dimension, which subscripts name by a colon."""
    if node.kind() != "aten::slice" or node.output().type().annotation_str != "Tensor":
        return False
    given = [value.toIValue() for value in inputs_of(node)[2:]]
    constant = all(value.node().kind() == "prim::Constant" for value in inputs_of(node)[2:])
    return constant and given in ([None, None, 1], [0, _LAST, 1])


def _is_passed_on(node: Any) -> bool:
    """Whether nothing but subscripts follows a slice."""
    uses = list(node.output().uses())
    return bool(uses) and all(
        use.offset == 0
        and (
            _is_subscript(use.user)
            or _is_unasked(use.user)
            or (_is_everything(use.user) and _is_passed_on(use.user))
        )
        for use in uses
    )


def _is_beside(node: Any) -> bool:
    """Whether other parts of the same subscript make the tensor: Python does nothing for this."""
    place = node.sourceRange()
    source = node.inputsAt(0).node()
    while _selects(source, place):
        if not _is_everything(source):
            return True
        source = source.inputsAt(0).node()
    uses = list(node.output().uses())
    return bool(uses) and all(use.offset == 0 and _selects(use.user, place) for use in uses)


def _selects(node: Any, place: str) -> bool:
    return node.kind() in _PARTS and node.sourceRange() == place


def part(t: Translator, node: Any) -> None:
    """``aten::slice``."""
    if _is_everything(node) and (_is_passed_on(node) or _is_beside(node)):
        t.alias(node, t.operand(node, 0))
    elif _is_open(node) and t.operand(node, 3) == Const(_LAST):
        t.emit(node, Operator("aten.slice.Tensor"), t.operands(node)[:3], hint="slice")
    else:
        operators.operator(t, node)


def _is_open(node: Any) -> bool:
    """Whether a slice of a tensor takes each element, as TorchScript ends ``slice(2, None)``."""
    is_tensor = node.output().type().annotation_str == "Tensor"
    return is_tensor and bool(node.inputsAt(4).toIValue() == 1)


def _is_unasked(node: Any) -> bool:
    """Whether only TorchScript wants a dtype or device, to convert what is assigned."""
    users = [use.user for use in node.output().uses()] if node.kind() in _FACTS else []
    return bool(users) and all(u.kind() == "aten::tensor" and _is_converted(u) for u in users)


def _places(t: Translator, node: Any) -> tuple[Operand, ...]:
    """What stands between the brackets, ``None`` for a dimension that is taken whole."""
    return t.operands(node.inputsAt(1).node())


def index(t: Translator, node: Any) -> None:
    """``aten::index``."""
    if not _is_subscript(node):
        operators.operator(t, node)
        return
    t.emit(node, Builtin("index"), [t.operand(node, 0), *_places(t, node)], hint="index")


def assign(t: Translator, node: Any) -> None:
    """``aten::index_put_``, and ``aten::copy_`` where the brackets hold no tensors or lists."""
    if not _is_subscript(node):
        operators.operator(t, node)
        return
    copies = node.kind() == "aten::copy_"
    places = () if copies else _places(t, node)
    given = [t.operand(node, 0), t.operand(node, 1 if copies else 2), *places]
    t.emit(node, Builtin("assign"), given, outputs=())
    t.alias(node, given[0])


def tensor(t: Translator, node: Any) -> None:
    """``aten::tensor``."""
    if _is_converted(node):
        t.alias(node, t.operand(node, 0))
    else:
        operators.operator(t, node)


def fact(t: Translator, node: Any) -> None:
    """``prim::dtype`` and ``prim::device``, which TorchScript also asks for by itself."""
    if _is_unasked(node):
        t.alias(node, Const(None))
    else:
        operators.operator(t, node)
