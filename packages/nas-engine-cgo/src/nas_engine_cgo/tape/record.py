"""Torch's operators are noted while they run, those of autograd included."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from nas_engine_cgo.state import Stream, active_stream, drawing
from nas_engine_cgo.tape.calls import Argument, Call, Tape, Value

__all__ = ["UnrepeatableError", "recorded"]

_Found = TypeVar("_Found")

_SAME = ("aten::detach", "aten::alias")
_EMPTY = frozenset(
    {"empty.memory_format", "empty_like.default", "empty_strided.default", "new_empty.default",
     "new_empty_strided.default"}
)  # fmt: skip
"""What makes a tensor whose numbers are yet to be written."""
_MAKERS = frozenset(
    {"arange", "eye", "full", "full_like", "linspace", "new_full", "new_ones", "new_zeros", "ones",
     "ones_like", "scalar_tensor", "zeros", "zeros_like"}
)  # fmt: skip
"""What makes a tensor of numbers that the arguments name."""
_INDEX = torch.ops.aten.index.Tensor
_SEEDED = torch.Tag.nondeterministic_seeded
_REFUSED = {
    torch.Tag.data_dependent_output: "reads the numbers of a tensor",
    torch.Tag.dynamic_output_shape: "makes a tensor whose size depends on numbers",
}


class UnrepeatableError(Exception):
    """Calling the same operators again would not do the same."""


def recorded(
    run: Callable[[], _Found], inputs: Sequence[Tensor], wanted: Callable[[_Found], list[Tensor]]
) -> tuple[_Found, Tape | UnrepeatableError]:
    """Run a function, which has all its effects, and note what it does.

    Args:
        run: what Python decides in it is the same each time, and so are the tensors that it uses
            beside its inputs, though not their numbers.
        inputs: tensors that are others each time.
        wanted: what the tape is to give, of what the function gave.

    Returns:
        What the function gave, and the tape, or why there is none.
    """
    notes = _Notes(inputs)
    with notes:
        found = run()
    try:
        return found, notes.tape_of(wanted(found))
    except UnrepeatableError as error:
        return found, error


class _Notes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes each operator that is called while it is entered."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._key = object()
        self._numbers = itertools.count()
        self._storages: dict[int, int] = {}
        self._made: set[int] = set()
        self._unread: set[int] = set()  # The numbers of memory that is empty, or being filled.
        self._drawn: list[Stream] = []
        self._inputs = {id(tensor): self._value(tensor, ()) for tensor in inputs}
        self._tape = Tape(list(self._inputs.values()))
        self._refusal: UnrepeatableError | None = None
        if len(self._inputs) < len(inputs):
            self._refusal = UnrepeatableError("one tensor is several inputs")

    def __torch_dispatch__(
        self,
        function: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._refusal is not None:
            return function(*args, **kwargs)
        before = torch.get_rng_state() if _may_draw(function, kwargs) else None
        found = function(*args, **kwargs)
        try:
            operator = _Operator.of(function)
            if before is not None and not torch.equal(before, torch.get_rng_state()):
                operator = self._drawing(operator)
            if function is _INDEX and any(_is_mask(each) for each in args[1]):
                raise UnrepeatableError(f"{function} {_REFUSED[torch.Tag.dynamic_output_shape]}")
            self._note(operator, args, kwargs, found)
        except UnrepeatableError as error:
            self._refusal = error
        return found

    def tape_of(self, wanted: Sequence[Tensor]) -> Tape:
        """The tape of all that was noted, which gives these tensors."""
        if self._refusal is not None:
            raise self._refusal
        self._tape.results = [self._noted(tensor) for tensor in wanted]
        return self._tape

    def _drawing(self, operator: _Operator) -> _Operator:
        """The operator that draws each time from the stream that is active now."""
        if (stream := active_stream()) is None:
            raise UnrepeatableError(f"{operator.function} draws from a global generator")
        if not any(each is stream for each in self._drawn):
            self._drawn.append(stream)
        number = next(i for i, each in enumerate(self._drawn) if each is stream)
        name = f"{operator.name}.{number}"
        return replace(operator, function=_Drawing(stream, operator.function), name=name)

    def _note(
        self, operator: _Operator, args: Sequence[Any], kwargs: Mapping[str, Any], found: Any
    ) -> None:
        given: list[tuple[Tensor, Value | Tensor]] = []
        noted = [self._argument(each, given) for each in args]
        named = {name: self._argument(each, given) for name, each in kwargs.items()}
        reads = [value for _, value in given if isinstance(value, Value)]
        filled: set[int] = set()
        for i, name in operator.written:
            filled |= _memory(noted[i] if i < len(noted) else named.get(name))
        self._tape.written |= filled - self._unread
        if not operator.view:
            self._unread -= {value.storage for value in reads} - filled
        if operator.same:
            self._mark(found, noted[0])
        elif operator.reshapes:
            if not isinstance(base := noted[0], Value):
                raise UnrepeatableError(f"{operator.name} gives a tensor that stays another shape")
            self._tape.known.pop(base, None)  # The tensor is another one from now on.
            value = _value(found, base.storage)
            self._mark(found, value)
            self._tape.calls.append(
                Call(operator.function, operator.name, noted, named, [value], False, reads)
            )
        # A view of what stays the same is one more tensor that does.
        elif reads or not operator.view:
            several = isinstance(found, (list, tuple))
            tensors = [tensor for tensor, _ in given]
            outputs = [self._output(each, tensors) for each in (found if several else [found])]
            made = (operator.function, operator.name, noted, named, outputs, several, reads)
            self._tape.calls.append(Call(*made, torch.is_grad_enabled()))
            if operator.name in _EMPTY:
                self._unread |= {value.storage for value in outputs if value is not None}
            if self._is_known(operator, [value for _, value in given]):
                pairs = zip(outputs, found if several else [found], strict=True)
                self._tape.known |= {value: made for value, made in pairs if value is not None}

    def _is_known(self, operator: _Operator, given: Sequence[Value | Tensor]) -> bool:
        """Whether an operator that was called gives the same numbers each time."""
        tape = self._tape
        fixed = (isinstance(v, Value) and v in tape.known and v.storage not in tape.written
                 for v in given)  # fmt: skip
        return operator.makes or (operator.pure and bool(given) and all(fixed))

    def _argument(self, given: Any, tensors: list[tuple[Tensor, Value | Tensor]]) -> Argument:
        if isinstance(given, Tensor):
            value = self._noted(given)
            tensors.append((given, value))
            return value
        if isinstance(given, (list, tuple)):
            return [self._argument(each, tensors) for each in given]
        return given

    def _noted(self, tensor: Tensor) -> Value | Tensor:
        """What a tensor is on the tape: a value, or itself, which was there before."""
        value: Value | None
        key, value = getattr(tensor, "on_tape", (None, None))
        if key is not self._key:
            value = self._inputs.get(id(tensor))
        if value is not None:
            return value
        if _address(tensor) in self._made:
            raise UnrepeatableError("a tensor was made where nothing is noted")
        return tensor

    def _mark(self, tensor: Tensor, value: Value | Tensor) -> None:
        if isinstance(value, Value):
            tensor.on_tape = self._key, value  # type: ignore[attr-defined]

    def _output(self, output: Any, given: Sequence[Tensor]) -> Value | None:
        if output is None or any(output is tensor for tensor in given):
            return None
        if not isinstance(output, Tensor):
            raise UnrepeatableError("a number of a tensor is read")
        value = self._value(output, given)
        self._mark(output, value)
        return value

    def _value(self, tensor: Tensor, given: Sequence[Tensor]) -> Value:
        """A value for a tensor that has just been made, maybe as a view of one of these."""
        address = _address(tensor)
        new = all(_address(each) != address for each in given)
        if new:
            self._made.add(address)
        if new or address not in self._storages:  # Maybe again: what lay there before is gone.
            self._storages[address] = next(self._numbers)
        return _value(tensor, self._storages[address])


@dataclass(frozen=True, slots=True)
class _Operator:
    """What is to be known of an operator.

    Attributes:
        same: whether it gives its operand.
        view: whether it gives a view of it.
        reshapes: whether it gives a view that in the code takes the place of its operand.
        written: the positions and names of arguments that it changes.
        makes: whether it gives the same numbers each time.
        pure: whether it does as long as its operands have the same.
    """

    function: Callable[..., Any]
    name: str
    same: bool
    view: bool
    reshapes: bool
    written: tuple[tuple[int, str], ...]
    makes: bool
    pure: bool

    @staticmethod
    @cache
    def of(function: OpOverload) -> _Operator:
        """Look it up in the schema.

        Raises:
            UnrepeatableError: it does another thing each time.
        """
        for tag, what in _REFUSED.items():
            if tag in function.tags and function is not _INDEX:
                raise UnrepeatableError(f"{function} {what}")
        reshapes = torch.Tag.inplace_view in function.tags
        if reshapes:
            function = _out_of_place(function)
        schema = function._schema  # noqa: SLF001  There is no public way.
        if schema.name == "aten::lift_fresh":
            raise UnrepeatableError("a tensor is made of Python's numbers")
        written = tuple((i, each.name) for i, each in enumerate(schema.arguments) if each.is_write)
        name = str(function).removeprefix("aten.")
        return _Operator(
            function,
            name,
            schema.name in _SAME,
            any(each.alias_info and not each.alias_info.is_write for each in schema.returns),
            reshapes,
            written,
            name.partition(".")[0] in _MAKERS and not written,
            not written and name not in _EMPTY and _SEEDED not in function.tags,
        )


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Calls an operator that draws from the global generators, which are a stream's meanwhile."""

    stream: Stream
    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with drawing(self.stream):
            return self.function(*args, **kwargs)


def _value(tensor: Tensor, storage: int) -> Value:
    return Value(tuple(tensor.shape), tensor.stride(), tensor.dtype, storage)


def _memory(argument: Argument) -> set[int]:
    """The numbers of the memory of the values in an argument."""
    if isinstance(argument, list):
        return set().union(*map(_memory, argument))
    return {argument.storage} if isinstance(argument, Value) else set()


def _out_of_place(function: OpOverload) -> OpOverload:
    """The operator that gives a view instead of making a view of its operand."""
    packet, _, overload = str(function).removeprefix("aten.").partition(".")
    forms = getattr(torch.ops.aten, packet.removesuffix("_"), None)
    for name in (overload, "int"):
        found = getattr(forms, name, None)
        if isinstance(found, OpOverload) and any(r.alias_info for r in found._schema.returns):  # noqa: SLF001
            return found
    raise UnrepeatableError(f"{function} gives a tensor another shape")


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _may_draw(function: OpOverload, kwargs: Mapping[str, Any]) -> bool:
    """Whether an operator may draw from a global generator."""
    return _SEEDED in function.tags and kwargs.get("generator") is None


def _address(tensor: Tensor) -> int:
    if tensor.layout is not torch.strided:
        raise UnrepeatableError("a tensor is sparse")
    address: int = tensor.untyped_storage()._cdata  # noqa: SLF001  There is no public way.
    return address
