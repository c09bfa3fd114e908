"""Values that are never None, though TorchScript takes them for such as may be."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from nas_engine_graph.ir import Block, Builtin, Const, If, Loop, Operand, Ref, Value, With, walk

__all__ = ["Solid"]

_SOLID = ("Tensor", "int", "float", "bool", "str", "List[", "Dict[", "Tuple[")
"""How the types begin whose values are never None."""
_CLASSES = {f"Optional[{cls.__name__}]": cls for cls in (Tensor, int, float, bool, str)}
_SOME = Const(True)
"""What is handed on where it is known to be there."""


class Solid:
    """Which values of a function are never None: by their types, or as nobody hands on another."""

    def __init__(self, body: Block) -> None:
        handed = list(_handed(body))
        named = {value.name for value, _ in handed}
        made = [*body.parameters, *(value for node in walk(body) for value in node.outputs)]
        self.kinds = {value.name: value.type for value in (*made, *(v for v, _ in handed))}
        self.names = {value.name for value in made if value.type.startswith(_SOLID)} | named
        while some := {v.name for v, given in handed if not (self.has(v) or self.all(given))}:
            self.names -= some

    def has(self, value: Value) -> bool:
        """Whether its type says so, or it is known not to be."""
        return value.type.startswith(_SOLID) or value.name not in self.names

    def all(self, operands: tuple[Operand, ...]) -> bool:
        """Whether all of these are never None."""
        return all(operand in self for operand in operands)

    def kind(self, operand: Operand) -> type | None:
        """The class of what may be None by its type; None for anything else."""
        kind = self.kinds.get(operand.name, "") if isinstance(operand, Ref) else ""
        return _CLASSES.get(kind)

    def __contains__(self, operand: Operand) -> bool:
        match operand:
            case Const(value):
                return value is not None
            case Ref(name):
                return name in self.names


def _handed(body: Block) -> Iterator[tuple[Value, tuple[Operand, ...]]]:
    """The values that branches, contexts and loops hand on, and what they are made of."""
    asked: dict[Operand, tuple[Operand, int]] = {}
    for node in walk(body):
        match node.operation:
            case Builtin("is" | "is_not" as name) if node.inputs[1] == Const(None):
                asked[Ref(node.outputs[0].name)] = node.inputs[0], int(name == "is")
            case If():
                there, arm = asked.get(node.inputs[0], (None, 0))
                results = [block.results for block in node.blocks]
                results[arm] = tuple(_SOME if o == there else o for o in results[arm])
                yield from zip(node.outputs, zip(*results, strict=True), strict=True)
            case With():
                yield from zip(node.outputs, zip(node.blocks[0].results), strict=True)
            case Loop():
                (block,) = node.blocks
                given = list(zip(node.inputs[2:], block.results[1:], strict=True))
                yield from zip(block.parameters[1:], given, strict=True)
                yield from zip(node.outputs, given, strict=True)
