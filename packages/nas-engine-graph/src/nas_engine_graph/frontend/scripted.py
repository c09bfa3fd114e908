"""What nodes of TorchScript's graphs take, give and hold, as lists.

TorchScript's own iterators end with an exception of C++, which takes as long as fifty values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["blocks_of", "inputs_of", "outputs_of", "parameters_of", "results_of", "walk_scripted"]

_PLAIN = frozenset(
    {"prim::CallFunction", "prim::CallMethod", "prim::Constant", "prim::GetAttr",
     "prim::ListConstruct", "prim::ListUnpack", "prim::SetAttr", "prim::TupleConstruct",
     "prim::TupleIndex", "prim::TupleUnpack", "prim::device", "prim::dtype"}
)  # fmt: skip
"""Kinds of nodes without blocks, as operators are; others are asked."""


def inputs_of(node: Any) -> list[Any]:
    """The values that a node takes."""
    return [node.inputsAt(index) for index in range(node.inputsSize())]


def outputs_of(node: Any) -> list[Any]:
    """The values that a node gives."""
    return [node.outputsAt(index) for index in range(node.outputsSize())]


def blocks_of(node: Any) -> list[Any]:
    """The blocks of a node."""
    kind = node.kind()
    return [] if kind in _PLAIN or kind.startswith("aten::") else list(node.blocks())


def parameters_of(block: Any) -> list[Any]:
    """The values that a block is given."""
    return outputs_of(block.paramNode())


def results_of(block: Any) -> list[Any]:
    """The values that leave a block."""
    return inputs_of(block.returnNode())


def walk_scripted(block: Any) -> Iterator[Any]:
    r"""All nodes of a block or graph, and of the blocks inside it.

    >>> import torch
    >>> text = "graph(%x : Tensor):\n  %y : Tensor = aten::relu(%x)\n  return (%y)"
    >>> [node.kind() for node in walk_scripted(torch._C.parse_ir(text))]
    ['aten::relu']
    """
    for node in block.nodes():
        yield node
        for inner in blocks_of(node):
            yield from walk_scripted(inner)
