"""Values that are never read: TorchScript has them where a jump leaves out what would set them.

They are whatever makes the function simpler, and what is left of them is any value of the type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas_engine_graph.frontend.names import annotated
from nas_engine_graph.frontend.nodes.translator import Translator
from nas_engine_graph.ir import Builtin, Const, Node, Operand, Ref

__all__ = ["any_value", "uninitialized"]

_ANY: dict[str, bool | int | float | str] = {
    "int": 0, "float": 0.0, "number": 0.0, "bool": False, "str": "",
}  # fmt: skip


def uninitialized(t: Translator, node: Any) -> None:
    """``prim::Uninitialized``: which value it is depends on who would take it."""
    t.emit(node, Builtin("unset"), hint="unset")
    t.unset[t.nodes()[-1].outputs[0].name] = node.output().type()


def any_value(t: Translator, unset: Node) -> tuple[Sequence[Node], Operand]:
    """A value for one that is not set, and the nodes that make it: TorchScript keeps the type."""
    nodes: list[Node] = []

    def made(name: str, items: Sequence[Operand], kind: Any) -> Operand:
        if name == "tuple" and all(isinstance(item, Const) for item in items):
            return Const(tuple(item.value for item in items if isinstance(item, Const)))
        value = t.value("items", annotated(kind, t.homes))
        nodes.append(Node(Builtin(name), tuple(items), (), (value,), place=unset.place))
        return Ref(value.name)

    def of(kind: Any) -> Operand:
        """Any value of a type; None if there is none."""
        name = kind.annotation_str
        if name == "Tensor":
            given = (value for value in t.graph.inputs() if value.type().annotation_str == name)
            found = next((t.meaning[value.unique()] for value in given), Const(None))
            return found if isinstance(found, Ref) else Const(None)
        if kind.kind() == "TupleType" and "Optional" not in name and "__torch__" not in name:
            items = [of(item) for item in kind.elements()]
            if Const(None) not in items:
                return made("tuple", items, kind)
        if name.startswith(("List[", "Dict[")):
            return made(name[:4].lower(), [], kind)
        return Const(_ANY.get(name))

    found = of(t.unset[unset.outputs[0].name])
    return nodes, found
