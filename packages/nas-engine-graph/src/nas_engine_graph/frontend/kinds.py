"""Which integers are really dtypes, layouts or memory formats: to TorchScript all are ``int``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nas_engine_graph.frontend.schema import schema_of
from nas_engine_graph.frontend.scripted import (
    blocks_of,
    inputs_of,
    outputs_of,
    parameters_of,
    results_of,
    walk_scripted,
)
from nas_engine_graph.ir import Dtype, Layout, MemoryFormat

__all__ = ["Kinds", "decode"]

_DTYPES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32",
    7: "float64", 8: "complex32", 9: "complex64", 10: "complex128", 11: "bool", 15: "bfloat16",
    23: "float8_e5m2", 24: "float8_e4m3fn",
}  # fmt: skip
_LAYOUTS = {
    0: "strided", 1: "sparse_coo", 2: "sparse_csr", 4: "sparse_csc", 5: "sparse_bsr",
    6: "sparse_bsc", 7: "jagged",
}  # fmt: skip
_FORMATS = {0: "contiguous_format", 1: "preserve_format", 2: "channels_last", 3: "channels_last_3d"}
_SEEDS = {"prim::dtype": "dtype", "prim::layout": "layout"}
_ALIASES = frozenset({"prim::unchecked_cast", "aten::list", "prim::unchecked_unwrap_optional"})
_EQUAL = frozenset({"aten::eq", "aten::ne", "aten::__is__", "aten::__isnot__"})


def decode(value: int, kind: str) -> Dtype | Layout | MemoryFormat:
    """What the integer stands for."""
    if kind == "dtype":
        return Dtype(_DTYPES[value])
    return Layout(_LAYOUTS[value]) if kind == "layout" else MemoryFormat(_FORMATS[value])


class Kinds:
    """The kinds of the values of one graph, found by following them forwards and back."""

    def __init__(self, graph: Any, callee: Callable[[Any], Kinds | None]) -> None:
        self._parent: dict[int, int] = {}
        self._kind: dict[int, str] = {}
        self._callee = callee
        self._graph = graph
        self._followed = False

    def of(self, value: Any) -> str | None:
        """The kind of a value that is no constant."""
        if not self._followed:  # Of most functions nobody asks.
            self._followed = True
            for node in walk_scripted(self._graph):
                self._visit(node)
        return self._kind.get(self._root(value.unique()))

    def parameter(self, index: int) -> str | None:
        """The kind of an input of the graph; methods count ``self``."""
        return self.of(self._graph.param_node().outputsAt(index))

    def result(self) -> str | None:
        """The kind of the only output."""
        outputs = list(self._graph.outputs())
        return self.of(outputs[0]) if len(outputs) == 1 else None

    def _root(self, unique: int) -> int:
        while (above := self._parent.get(unique, unique)) != unique:
            unique = above
        return unique

    def _join(self, a: Any, b: Any) -> None:
        if any(v.node().kind() == "prim::Constant" for v in (a, b)):
            return
        one, other = self._root(a.unique()), self._root(b.unique())
        if one != other:
            kind = self._kind.pop(other, None)
            self._parent[other] = one
            if kind:
                self._kind.setdefault(one, kind)

    def _mark(self, value: Any, kind: str | None) -> None:
        if kind and value.node().kind() != "prim::Constant":
            self._kind[self._root(value.unique())] = kind

    def _visit(self, node: Any) -> None:
        kind = node.kind()
        if kind == "prim::Constant":
            return
        if seed := _SEEDS.get(kind):
            self._mark(node.output(), seed)
        elif kind == "prim::If":
            for block in blocks_of(node):
                for output, result in zip(outputs_of(node), results_of(block), strict=True):
                    self._join(output, result)
        elif kind == "prim::Loop":
            self._loop(node, inputs_of(node))
        elif kind in _ALIASES:
            self._join(node.output(), node.inputsAt(0))
        elif kind in _EQUAL:
            self._join(*inputs_of(node))
        elif kind in ("prim::CallFunction", "prim::CallMethod"):
            self._call(node, inputs_of(node))
        elif (schema := schema_of(node)) is not None and schema.kinds:
            inputs = inputs_of(node)
            for index, known in schema.kinds:
                self._mark(inputs[index], known)

    def _loop(self, node: Any, inputs: list[Any]) -> None:
        (block,) = blocks_of(node)
        carried = zip(
            inputs[2:],
            parameters_of(block)[1:],
            results_of(block)[1:],
            outputs_of(node),
            strict=True,
        )
        for first, parameter, following, output in carried:
            for other in (first, following, output):
                self._join(parameter, other)

    def _call(self, node: Any, inputs: list[Any]) -> None:
        if (callee := self._callee(node)) is None:
            return
        first = 1 if node.kind() == "prim::CallFunction" else 0
        for index, value in enumerate(inputs[first:]):
            self._mark(value, callee.parameter(index))
        if node.outputsSize() == 1:
            self._mark(node.output(), callee.result())

    def at(self, node: Any, index: int) -> str | None:
        """The kind of what the node takes as its input of this index."""
        kind = node.kind()
        if kind in _EQUAL:
            return self.of(node.inputsAt(1 - index))
        if kind == "prim::Loop":
            return self.of(node.outputsAt(index - 2)) if index >= 2 else None
        if kind in ("prim::CallFunction", "prim::CallMethod"):
            callee = self._callee(node)
            if callee is None:
                return None
            return callee.parameter(index - (kind == "prim::CallFunction"))
        schema = schema_of(node)
        if schema is None or index >= len(schema.arguments):
            return None
        return schema.arguments[index].kind
