"""What one member of a merged graph does in a forward pass: a list of calls, no control flow left.

A program holds for one shape of the inputs and one mode. Values are numbered, and each is defined
once. What a forward reads besides (inputs, parameters, buffers, constants) are *sources*.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeVar

import torch

__all__ = [
    "Call",
    "Facts",
    "Program",
    "Ref",
    "Source",
    "for_each",
    "frozen_calls",
    "frozen_programs",
    "hashable",
    "refs_in",
    "replaced",
]

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of the program, by its number."""

    id: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a tensor before it is computed.

    Attributes:
        shape: its shape.
        dtype: its type.
        stride: where its elements lie.
        own: the shape without zeros that were added, if some were.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    stride: tuple[int, ...] = field(compare=False, default=())
    own: tuple[int, ...] | None = field(compare=False, default=None)

    @property
    def bytes(self) -> int:
        """How much memory its elements take."""
        return self.dtype.itemsize * math.prod(self.shape)

    @property
    def crosswise(self) -> bool:
        """Whether its elements lie in places of their own, and not contiguously."""
        dimensions = [(s, n) for s, n in zip(self.stride, self.shape, strict=False) if n > 1]
        contiguous, reach = 1, 0
        for stride, size in sorted(dimensions):
            if stride <= reach:
                return False
            reach += stride * (size - 1)
        for stride, size in reversed(dimensions):
            if stride != contiguous:
                return True
            contiguous *= size
        return False

    @property
    def order(self) -> tuple[int, ...]:
        """The dimensions from the outermost in memory to the innermost.

        Of a tensor that is not dense, those of one that torch makes like it.
        """
        return _order(self.shape, self.stride)


@lru_cache(maxsize=4096)
def _order(shape: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    like = torch.empty_like(torch.empty_strided(shape, stride, device="meta")).stride()
    return tuple(sorted(range(len(like)), key=lambda d: (-like[d], d)))


@dataclass(frozen=True, slots=True)
class Source:
    """A value that no call computes.

    Attributes:
        kind: where it is found.
        path: the name of a parameter or buffer in the member, or the position of an input.
        constant: the tensor itself, if it is neither.
        trained: whether the parameter takes a gradient.
        padded: the shape that it has with zeros added, if some are.
    """

    kind: Literal["input", "parameter", "buffer", "constant"]
    path: str | int = ""
    constant: torch.Tensor | None = field(default=None, compare=False)
    trained: bool = False
    padded: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """One call of a function of torch, or of a submodule as a whole.

    Attributes:
        name: the function's name, without the underscore of its in-place form.
        function: what is called; None for a submodule.
        args, kwargs: its arguments; a ``Ref`` stands for a value.
        result: the structure of what it returns; a ``Ref`` stands for a new value.
        effects: it may draw random numbers or change something, so that it keeps its place among
            other calls of which that is true.
        writes: sources that it changes in place.
        after: earlier calls that must have run, since they read what it changes.
        grad: whether gradients were recorded.
        module: the path of the submodule.
        reads: parameters and buffers that the submodule takes by itself.
        inputs: the values that it takes.
        outputs: the values that it defines.
        template: the arguments without the values, which compares and hashes.
    """

    name: str
    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any
    effects: bool = False
    writes: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    grad: bool = True
    module: str | None = None
    reads: tuple[int, ...] = ()

    inputs: tuple[int, ...] = field(init=False)
    outputs: tuple[int, ...] = field(init=False)
    template: Hashable = field(init=False)

    def __post_init__(self) -> None:
        given = (self.args, self.kwargs)
        object.__setattr__(self, "inputs", tuple(refs_in(given)))
        object.__setattr__(self, "outputs", tuple(refs_in(self.result)))
        object.__setattr__(self, "template", _template(given))


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """The calls of one member, in the order in which they ran.

    Attributes:
        calls: what is done.
        sources: number → value that is given.
        facts: number → what is known of every value.
        output: the structure of the result.
        felt: the values that the gradient of the result comes by; None if none was recorded.
        kept: (path, name) of what submodules that are called as a whole change of themselves.
    """

    calls: tuple[Call, ...]
    sources: Mapping[int, Source]
    facts: Mapping[int, Facts]
    output: Any
    felt: frozenset[int] | None = None
    kept: frozenset[tuple[str, str]] = frozenset()

    def uses(self) -> Counter[int]:
        """How many calls take each value."""
        return Counter(n for call in self.calls for n in (*call.inputs, *call.reads))


_STRUCTURES = (tuple, list, dict, slice)


def refs_in(structure: Any) -> Iterator[int]:
    """The numbers of the values in a structure of tuples, lists, dictionaries and slices.

    >>> list(refs_in((Ref(3), [1, {"dim": Ref(5)}])))
    [3, 5]
    """
    match structure:
        case Ref(id=number):
            yield number
        case tuple() | list():
            for item in structure:
                yield from refs_in(item)
        case dict():
            for item in structure.values():
                yield from refs_in(item)
        case slice():
            yield from refs_in((structure.start, structure.stop, structure.step))


def replaced(structure: Any, change: Callable[[Any], Any]) -> Any:
    """The structure with every leaf changed.

    >>> replaced((1, [2], {"a": slice(3)}), str)
    ('1', ['2'], {'a': slice('None', '3', 'None')})
    """
    if not isinstance(structure, _STRUCTURES):
        return change(structure)
    match structure:
        case tuple() if hasattr(structure, "_fields"):
            return type(structure)(*[replaced(item, change) for item in structure])
        case tuple():
            return tuple([replaced(item, change) for item in structure])
        case list():
            return [replaced(item, change) for item in structure]
        case dict():
            return {key: replaced(item, change) for key, item in structure.items()}
        case slice(start=start, stop=stop, step=step):
            return slice(*[replaced(item, change) for item in (start, stop, step)])


def frozen_programs(programs: Sequence[Program]) -> Hashable:
    """What is equal for programs that the same code is written for.

    Code for one size of the batch does for another if that size is found nowhere but in the first
    dimension of values: neither in arguments, nor where it could be taken for another number.
    """
    batch = _batch_of(programs)

    def layout(facts: Facts) -> Any:
        shape: tuple[int | str, ...] = facts.shape
        stride = facts.stride
        order = sorted(range(len(stride)), key=lambda d: (-stride[d], d))
        if shape and shape[0] == batch:
            shape = ("batch", *shape[1:])
        return shape, facts.dtype, tuple(order)

    return tuple(
        for_each(programs, lambda p: (frozen_calls(p), tuple(map(layout, p.facts.values()))))
    )


def for_each(items: Sequence[S], act: Callable[[S], T]) -> list[T]:
    """What a function gives for each item; it is called once for one that alike members share.

    >>> program = Program((), {}, {}, Ref(0))
    >>> first, again = for_each([program, program], lambda each: object())
    >>> first is again
    True
    """
    known = {key: act(item) for key, item in {id(item): item for item in items}.items()}
    return [known[id(item)] for item in items]


def frozen_calls(program: Program) -> Hashable:
    """What is equal for programs that make the same calls, whatever the shapes of their values."""
    return tuple(
        (call.name, call.function, call.module, call.grad, call.template, call.inputs,
         call.outputs, call.writes)
        for call in program.calls
    ), tuple(program.sources.items())  # fmt: skip


def _batch_of(programs: Sequence[Program]) -> int | None:
    """The size of the batch, if no other dimension of any value has that size."""
    sizes: set[int] = set()
    others: set[int] = {0, 1}
    for program in {id(program): program for program in programs}.values():
        for number, facts in program.facts.items():
            source = program.sources.get(number)
            if source is not None and source.kind != "input":
                others |= set(facts.shape)
            else:
                others |= set(facts.shape[1:])
                if source is not None:
                    sizes |= set(facts.shape[:1])
    return sizes.pop() if len(sizes) == 1 and not sizes & others else None


def hashable(value: Any) -> Hashable:
    """Constants compare by type and value; what can't be compared is only equal to itself.

    >>> hashable(2) == hashable(2.0), hashable("a") == hashable("a")
    (False, True)
    """
    try:
        hash(value)
    except TypeError:
        return id(value)
    return (type(value).__name__, value)


def _template(structure: Any) -> Hashable:
    """A structure as tuples, with the same mark for every value."""
    if type(structure) is Ref:
        return Ref
    if not isinstance(structure, _STRUCTURES):
        return hashable(structure)
    match structure:
        case list() | tuple():
            return (type(structure).__name__, *map(_template, structure))
        case dict():
            return tuple((key, _template(value)) for key, value in structure.items())
        case slice():
            return ("slice", _template((structure.start, structure.stop, structure.step)))
