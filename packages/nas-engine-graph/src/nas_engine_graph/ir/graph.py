"""The graph of one module instance: its members, and its methods as nodes in program order.

Everything is frozen. A graph holds the graphs of its child modules, so an edit deep inside makes
new graphs along one path and shares all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from nas_engine_graph.ir.operation import Operation
from nas_engine_graph.ir.value import Init, MemoryFormat, Operand, key

if TYPE_CHECKING:
    import torch
from nas_core.errors import Place

__all__ = [
    "RESETTING",
    "Absent",
    "Attribute",
    "Block",
    "Buffer",
    "End",
    "Function",
    "Graph",
    "Layer",
    "Member",
    "Mutation",
    "Node",
    "Parameter",
    "Parametrization",
    "Reset",
    "Tie",
    "Value",
]


@dataclass(frozen=True, slots=True)
class Value:
    """A named value and its type, written as an annotation: ``Value("x", "Tensor")``."""

    name: str
    type: str = "Tensor"


@dataclass(frozen=True, slots=True)
class Block:
    """Nodes in program order, the values that enter and the operands that leave."""

    parameters: tuple[Value, ...] = ()
    nodes: tuple[Node, ...] = ()
    results: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a computation.

    ``notes`` are what a pass found out: ``annotate`` gives ``outputs``, a ``TensorType`` or None
    for each of the outputs, and ``flops``, a number or None. Equality and digests ignore them.
    """

    operation: Operation
    inputs: tuple[Operand, ...] = ()
    keywords: tuple[tuple[str, Operand], ...] = ()
    outputs: tuple[Value, ...] = ()
    blocks: tuple[Block, ...] = ()
    label: str | None = None
    place: Place | None = field(default=None, compare=False, repr=False)
    notes: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (*self.inputs, *(operand for _, operand in self.keywords))


@dataclass(frozen=True)
class Function:
    """A method or a free function; ``defaults`` belong to the last parameters.

    An ``exported`` method is called from outside, as ``forward`` is.
    """

    name: str
    body: Block
    returns: str = "Tensor"
    defaults: tuple[Any, ...] = ()
    free: bool = False
    exported: bool = False

    @cached_property
    def digests(self) -> dict[frozenset[str], str]:
        """Filled by ``digest``: edits share functions, so only what changed is digested anew."""
        return {}

    @cached_property
    def texts(self) -> dict[Any, Any]:
        """Filled by the backend, for the same reason."""
        return {}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A trainable tensor of a user-written module; ``strides`` if they are not the usual ones.

    ``settings`` are attributes that were set on the tensor, such as a factor for its learning rate.
    ``memory`` is there where its elements are some of those of a memory: how many that has, and
    where they begin. Then ``init`` is about the whole.
    """

    shape: tuple[int, ...]
    init: Init
    dtype: str = "float32"
    requires_grad: bool = True
    strides: tuple[int, ...] | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    memory: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Buffer:
    """A tensor that is state but not trained."""

    shape: tuple[int, ...]
    init: Init
    dtype: str = "float32"
    persistent: bool = True
    strides: tuple[int, ...] | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    memory: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Attribute:
    """Any other attribute that the methods read or write."""

    value: Any
    type: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attribute) and key(self.value) == key(other.value)

    def __hash__(self) -> int:
        return hash(type(self))


@dataclass(frozen=True, slots=True)
class Absent:
    """A registered name without content; ``kind`` is parameter, buffer or module."""

    kind: str


@dataclass(frozen=True, slots=True)
class Parametrization:
    """A parametrization of a tensor, registered by ``function(layer, tensor, *args)``."""

    function: str
    tensor: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A module that stays whole: its class by dotted name, and constructor arguments.

    ``settings`` are attributes that were set afterwards, also of what is inside: ``weight.scale``.
    Tensors among them are a ``Parameter`` or ``Buffer``. ``strides`` are those of tensors inside
    that lie otherwise than the constructor makes them, and in no memory format.
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    label: str | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    parametrizations: tuple[Parametrization, ...] = ()
    frozen: tuple[str, ...] = ()
    memory_format: MemoryFormat | None = None
    strides: tuple[tuple[str, tuple[int, ...]], ...] = ()
    evaluating: bool = False


RESETTING = ("train", "eval", "_apply", "load_state_dict", "_load_from_state_dict")
"""The methods of ``torch.nn.Module`` that PyTorch calls, and a ``Reset`` may belong to."""


@dataclass(frozen=True, eq=False, slots=True)
class Reset:
    """An attribute that is set anew when PyTorch calls ``method``, such as a cache.

    ``mode``, of ``train`` alone: only for this mode.
    """

    method: str
    attribute: str
    value: Any
    mode: bool | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal resets."""
        return self.method, self.attribute, key(self.value), self.mode

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reset) and self.key == other.key

    def __hash__(self) -> int:
        return hash((self.method, self.attribute))


End: TypeAlias = tuple[Any, ...]
"""The place of a part of a graph: names of modules, of attributes and of fields of objects, and
``(key,)`` for an item of a list, tuple or dict."""


@dataclass(frozen=True, slots=True)
class Tie:
    """``target`` is the very object that ``source`` is; both places start at the tie's graph.

    With a ``view`` it is a tensor that has its elements in the memory of another one: a shape,
    strides and an offset, and words for how it is taken, ``detach`` or ``data``, and for what is
    made of it, as of the role of ``Data``. Without such words gradients of it are also those of
    the other one. A word may be ``(dtype, first, count)``: these elements of the memory are taken
    for others of that dtype, which the shape, strides and offset are of. ``settings`` are
    attributes of the view alone.
    """

    target: End
    source: End
    view: tuple[Any, ...] | None = None
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Mutation:
    """What one mutator did: its class, what it decided, and the digests before and after.

    >>> print(Mutation("Deeper", (("depth", 3),), "a1", "b2"))
    Deeper(depth=3): a1 -> b2
    """

    mutator: str
    decisions: tuple[tuple[str, Any], ...]
    before: str
    after: str

    def __str__(self) -> str:
        decided = ", ".join(f"{label}={value!r}" for label, value in self.decisions)
        change = f"{self.before} -> {self.after}" if self.before != self.after else "no change"
        return f"{self.mutator}({decided}): {change}"


@dataclass(frozen=True, eq=False)
class Graph:
    """One module instance.

    ``kind`` is ``torch.nn.Module`` for a module with methods of its own, or the dotted name of a
    container. Two graphs are equal if they are the same up to the names of classes and values;
    labels and ``history``, which tells what mutators did, don't count. One that is ``versioned``
    loads no weights of another version than its own, which the attribute ``_version`` is. Where
    modules are in training mode inside of others in eval mode, ``turned`` has the paths of all that
    are in another mode than this one; else those in eval mode are ``evaluating``.
    """

    name: str
    members: tuple[tuple[str, Member], ...] = ()
    functions: tuple[Function, ...] = ()
    kind: str = "torch.nn.Module"
    ties: tuple[Tie, ...] = ()
    pinned: tuple[tuple[str, ...], ...] = ()
    resets: tuple[Reset, ...] = ()
    versioned: bool = False
    evaluating: bool = False
    turned: tuple[tuple[str, ...], ...] = ()
    label: str | None = None
    training: bool = field(default=True, compare=False)
    history: tuple[Mutation, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def digest(self) -> str:
        """Equal for equal graphs: sixteen hexadecimal digits."""
        from nas_engine_graph.ir.digest import digest

        return digest(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __str__(self) -> str:
        from nas_engine_graph.ir.printer import to_text

        return to_text(self)

    @cached_property
    def table(self) -> Mapping[str, Member]:
        """The members by name."""
        return dict(self.members)

    @cached_property
    def is_numbered(self) -> bool:
        """Whether the members are called 0, 1, 2, … in this order."""
        return all(name == str(index) for index, (name, _) in enumerate(self.members))

    def member(self, name: str) -> Member:
        """The member of this name; ``KeyError`` if there is none."""
        return self.table[name]

    def function(self, name: str = "forward") -> Function:
        """The method or free function of this name; ``KeyError`` if there is none."""
        return {function.name: function for function in self.functions}[name]

    def to_source(self) -> str:
        """Python source of the module: imports torch and the user's own modules, nothing else."""
        from nas_engine_graph.backend import to_source

        return to_source(self)

    def instantiate(self) -> torch.nn.Module:
        """The module that the source makes, freshly initialised."""
        from nas_engine_graph.backend import instantiate

        return instantiate(self)

    def load(self) -> ModuleType:
        """The source as an imported module."""
        from nas_engine_graph.backend import load

        return load(self)


Member: TypeAlias = Parameter | Buffer | Attribute | Absent | Layer | Graph
