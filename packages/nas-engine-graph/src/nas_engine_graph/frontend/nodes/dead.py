"""In-place writes into tensors that nobody reads afterwards.

TorchScript leaves some of them out, and others not: those that it can't follow. Left out is each
whose tensor is new in the function, and is neither read later, nor through a view of it, nor
handed to anybody who may keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import torch

from nas_engine_graph.frontend.nodes.unread import Unread
from nas_engine_graph.ir import (
    Block,
    Builtin,
    If,
    Loop,
    Node,
    Operand,
    Operator,
    Ref,
    With,
    is_pure,
    walk,
)

__all__ = ["dead_writes"]

_AUGMENTED = frozenset(
    {"iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul", "iand", "ior",
     "ixor", "ilshift", "irshift"}
)  # fmt: skip
_FRESH = frozenset(
    {"add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "eq", "ne", "lt", "le", "gt",
     "ge", "and", "or", "xor", "lshift", "rshift", "abs"}
)  # fmt: skip
_LASTING = frozenset({"requires_grad_", "detach_", "resize_", "resize_as_", "set_"})
"""They change more than the elements."""


def dead_writes(body: Block) -> set[int]:
    """The ids of the nodes of a function that write what nobody reads."""
    return _Writes(body).dead if any(map(_writes, walk(body))) else set()


class _Writes(Unread):
    def __init__(self, body: Block) -> None:
        super().__init__()
        self.kinds = _types(body)
        self.shared: set[str] = {value.name for value in body.parameters}
        self.passing = dict(_passing(body))
        for node in walk(body):
            if not any(value.name in self.passing for value in node.outputs):
                self.note(node)
        self.kept = {self.root(name) for name in self.shared}
        self.before(body, frozenset())

    def names(self, operands: Iterable[Operand]) -> Iterator[str]:
        """The values that are taken: of a list that is only handed on its items."""
        for operand in operands:
            if isinstance(operand, Ref):
                yield from self.passing.get(operand.name, [operand.name])

    def note(self, node: Node) -> None:
        """Notes which values may share memory, and what others may hold."""
        names = [value.name for value in node.outputs]
        match node.operation:
            case If() | With() | Loop():
                self.hand_on(node)
            case Operator(target) if (given := _given(target)) is not None:
                operands = (*(node.inputs[i] for i in given if i < len(node.inputs)),
                            *(operand for _, operand in node.keywords))  # fmt: skip
                for name in names:
                    self.join(name, operands)
            case Builtin(kind) if self.is_local(node, kind):
                for name in names if kind not in _FRESH else ():
                    self.join(name, node.operands)
            case _:
                self.shared |= {*names, *self.names(node.operands)}

    def is_local(self, node: Node, name: str) -> bool:
        """Whether a builtin keeps nothing, and gives nothing but new or given tensors."""
        plain = all(_is_plain(self.kinds.get(value.name, "")) for value in node.outputs)
        if name == "assign" or name in _AUGMENTED:
            return plain
        return is_pure(node) and plain and name not in ("getitem", "item")

    def written(self, node: Node) -> Operand | None:
        return node.inputs[0] if _writes(node) else None


def _types(body: Block) -> dict[str, str]:
    """The types of the values of a function."""
    found = {value.name: value.type for value in body.parameters}
    for node in walk(body):
        found.update((value.name, value.type) for value in node.outputs)
    return found


def _is_plain(kind: str) -> bool:
    return kind in ("Tensor", "int", "float", "bool", "str", "number", "NoneType")


def _passing(body: Block) -> Iterator[tuple[str, list[str]]]:
    """New lists and tuples that only operators read, which keep nothing of them: their items."""
    readers: dict[str, list[bool]] = {}
    blocks = [body, *(block for node in walk(body) for block in node.blocks)]
    kept = {o.name for block in blocks for o in block.results if isinstance(o, Ref)}
    for node in walk(body):
        reads = isinstance(node.operation, Operator) and not _returns_lists(node.operation.target)
        for operand in node.operands:
            if isinstance(operand, Ref):
                readers.setdefault(operand.name, []).append(reads)
    for node in walk(body):
        if node.operation in (Builtin("list"), Builtin("tuple")):
            name = node.outputs[0].name
            if name not in kept and all(readers.get(name, [])):
                yield name, [item.name for item in node.inputs if isinstance(item, Ref)]


def _writes(node: Node) -> bool:
    """Whether a node does nothing but write into its first operand."""
    match node.operation:
        case Builtin(name):
            return name == "assign" or name in _AUGMENTED
        case Operator(target):
            in_place = target.split(".")[1].endswith("_")
            return in_place and not node.keywords and _is_write(target)
    return False


@cache
def _schema(target: str) -> tuple[Any, bool]:
    """The schema of an operator, and whether it draws random numbers."""
    namespace, name, overload = target.split(".")
    found: Any = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    return found._schema, torch.Tag.nondeterministic_seeded in found.tags


@cache
def _is_write(target: str) -> bool:
    schema, draws = _schema(target)
    writes = [a.alias_info is not None and a.alias_info.is_write for a in schema.arguments]
    lasting = draws or target.split(".")[1] in _LASTING
    return writes[:1] == [True] and not any(writes[1:]) and not lasting


@cache
def _returns_lists(target: str) -> bool:
    return any("List" in str(result.type) for result in _schema(target)[0].returns)


@cache
def _given(target: str) -> tuple[int, ...] | None:
    """The operands that the outputs may share memory with; None if there are others."""
    schema, _ = _schema(target)
    infos = [argument.alias_info for argument in schema.arguments]
    writes = [i for i, info in enumerate(infos) if info is not None and info.is_write]
    if _returns_lists(target) or writes not in ([], [0]):
        return None
    if any(result.alias_info is not None for result in schema.returns):
        return tuple(i for i, info in enumerate(infos) if info is not None)
    # What is made of other operators may give back what it is given, as ``contiguous`` does.
    return tuple(range(len(infos))) if _is_composite(schema) else ()


def _is_composite(schema: Any) -> bool:
    name = f"{schema.name}.{schema.overload_name}".rstrip(".")
    has_kernel: Any = torch._C._dispatch_has_kernel_for_dispatch_key
    return bool(has_kernel(name, "CompositeImplicitAutograd"))
