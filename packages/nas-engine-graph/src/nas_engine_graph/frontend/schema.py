"""Operator schemas: what TorchScript knows about the arguments of ``aten::add``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

__all__ = ["Argument", "Schema", "schema_of", "takes_number"]

_KINDS = {"ScalarType": "dtype", "Layout": "layout", "MemoryFormat": "memory_format"}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its default, and what its number stands for (``dtype``, ``layout``, …)."""

    name: str
    type: str
    kind: str | None
    keyword: bool
    has_default: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Schema:
    """One overload; ``dispatched`` if it is known outside TorchScript too.

    ``kinds`` are what numbers stand for, with the indices of these arguments.
    """

    namespace: str
    name: str
    overload: str
    arguments: tuple[Argument, ...]
    dispatched: bool
    kinds: tuple[tuple[int, str], ...]

    @property
    def target(self) -> str:
        return f"{self.namespace}.{self.name}.{self.overload or 'default'}"


@cache
def _parsed(text: str) -> Schema:
    parsed: Any = torch._C.parse_schema(text)
    namespace, name = parsed.name.split("::")
    arguments = []
    for argument in parsed.arguments:
        real = str(argument.real_type).removeprefix("Optional[").removesuffix("]")
        kind, has_default = _KINDS.get(real), argument.has_default_value()
        arguments.append(
            Argument(
                argument.name,
                str(argument.type),
                kind,
                argument.kwarg_only or kind == "memory_format",  # Methods of tensors take it so.
                has_default,
                argument.default_value if has_default else None,
            )
        )
    # TorchScript has twins of its own for lists without None: to the dispatcher they are one.
    overload = parsed.overload_name.removesuffix("hacked_twin").removesuffix("_")
    qualified = parsed.name + (f".{overload}" if overload else "")
    return Schema(
        namespace,
        name,
        overload,
        tuple(arguments),
        torch._C._dispatch_has_kernel(qualified),
        tuple((index, a.kind) for index, a in enumerate(arguments) if a.kind is not None),
    )


def schema_of(node: Any) -> Schema | None:
    """The schema of a TorchScript node, or None for ``prim`` nodes that have none."""
    text = node.schema()
    return None if text.startswith("(") else _parsed(text)


@cache
def takes_number(name: str, argument: int | str) -> bool:
    """Whether an operator of this name may take a number of any type as this argument.

    >>> takes_number("full", 1), takes_number("full", "fill_value"), takes_number("sum", 1)
    (True, True, False)
    """
    schemas: Any = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    return any(
        str(given.real_type) in ("Scalar", "Optional[Scalar]", "number", "Optional[number]")
        for schema in schemas
        for index, given in enumerate(schema.arguments)
        if argument in (index, given.name)
    )
