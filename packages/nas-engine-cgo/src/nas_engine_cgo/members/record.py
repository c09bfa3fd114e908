"""What a forward pass was seen to do: its calls, and the values that they take and give.

A value is a tensor as long as nothing is written into its storage: then it becomes another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_cgo.members.calls import (
    autocast_state,
    keeps_type,
    origin_of,
    out_of_place,
    parameters_of,
    storage_of,
    with_item,
)
from nas_engine_cgo.members.functions import (
    ELEMENTWISE,
    KEEPING,
    LAID_OUT,
    PLACING,
    PURE,
)
from nas_engine_cgo.members.ghosts import ghostly, sources_of, tensors_in
from nas_engine_cgo.members.program import Call, Facts, Program, Ref, Source, replaced

__all__ = ["Record", "UntraceableError"]

_DROPOUT_BY_CHANNEL = frozenset({"dropout1d", "dropout2d", "dropout3d"})
_OTHER_FORM = ELEMENTWISE | _DROPOUT_BY_CHANNEL | {"dropout"}
"""Functions that do the same, in place or not."""
_DRAWS_IN_ANY_LAYOUT = PURE | _DROPOUT_BY_CHANNEL | {"batch_norm", "instance_norm"}
"""Functions that draw nothing, or the same whatever the order of their inputs in memory."""


class UntraceableError(Exception):
    """A member has no program; it is trained by itself.

    Args:
        reason: why.
        everywhere: whether no part of the model could do it better as a whole.
    """

    def __init__(self, reason: str, everywhere: bool = False) -> None:
        super().__init__(reason)
        self.everywhere = everywhere


class Record:
    """Numbers values, and writes calls down.

    Args:
        module: whose tensors are the sources; ``ghosts`` has what stands for them, by identity.
    """

    def __init__(self, module: nn.Module) -> None:
        self.ghosts: dict[int, Tensor] = {}
        self._calls: list[Call] = []
        self._sources: dict[int, Source] = {}
        self._facts: dict[int, Facts] = {}
        self._numbers: dict[int, int] = {}  # id of a tensor → its value
        self._alive: list[Tensor] = []  # so that no id is used twice
        self._aliases: dict[int, set[int]] = defaultdict(set)  # storage → values in it
        self._readers: dict[int, list[int]] = defaultdict(list)  # storage → calls
        self._stale: set[int] = set()
        self._sure: set[int] = set()  # values that are known to lie in memory as they seem to
        self._origins: dict[int, Any] = {}  # value → where its gradient goes
        self._owned = dict.fromkeys(map(id, (*module.parameters(), *module.buffers())))
        for tensor, source in sources_of(module):
            self.ghosts[id(tensor)] = ghost = ghostly(tensor)
            self.define(ghost, source)
        self._recording = torch.is_grad_enabled()
        self._autocast = autocast_state()

    def program(self, output: Any) -> Program:
        """What was recorded, of which this structure of tensors is the result."""
        named = replaced(output, self.number)
        felt = self._felt(output) if self._recording else None
        return Program(tuple(self._calls), self._sources, self._facts, named, felt)

    def _felt(self, output: Any) -> frozenset[int]:
        """The values that the gradient of the output comes by."""
        left = [origin_of(tensor) for tensor in tensors_in(output)]
        reached: set[Any] = set()
        while left:
            origin = left.pop()
            if origin is None or origin in reached:
                continue
            reached.add(origin)
            if isinstance(origin, Tensor):
                continue
            # A leaf is known by itself, not by the node that adds up its gradient.
            left += [getattr(node, "variable", node) for node, _ in origin.next_functions]
        return frozenset(n for n, origin in self._origins.items() if origin in reached)

    # ------------------------------------------------------------------ calls

    def call(
        self,
        name: str,
        function: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
        **more: Any,
    ) -> None:
        """Write a call down; ``more`` are attributes of ``Call``."""
        given = self._given(function, args, kwargs)
        index = len(self._calls)
        for tensor in tensors_in((args, kwargs)):
            self._readers[storage_of(tensor)].append(index)
        for number in more.get("reads", ()):
            self._readers[storage_of(self._alive[number])].append(index)
        self._add(Call(name, function, *given, replaced(result, self._made), **more))

    def normalisation(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Tensor,
    ) -> None:
        """Write a normalisation down, which updates its statistics in training."""
        buffers = (t for t in tensors_in((args, kwargs)) if self._kind(t) == "buffer")
        written = tuple(self.number(buffer).id for buffer in buffers)
        training = any(value is True for value in (*args, *kwargs.values()))
        self.call(name, function, args, kwargs, result, writes=written if training else ())

    def _add(self, call: Call) -> None:
        if autocast_state() != self._autocast:
            raise UntraceableError("forward changes autocast")
        grad = torch.is_grad_enabled() or not self._recording
        self._calls.append(call if call.grad == grad else replace(call, grad=grad))
        sure = self._sure.issuperset(call.inputs)
        if not sure and call.name not in _DRAWS_IN_ANY_LAYOUT:
            raise UntraceableError(f"{call.name}() may draw in another order than it seems", True)
        contiguous = all(self._alive[n].is_contiguous() for n in call.inputs)
        plain = contiguous and call.name not in ("module", "scaled_dot_product_attention")
        if call.name in LAID_OUT or (sure and (plain or call.name in KEEPING)):
            self._sure.update(call.outputs)

    def write(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
        changed: tuple[Tensor, Any],
        *others: Any,
    ) -> None:
        """Write an in-place call down: as its other form, if nobody can tell.

        Args:
            changed: the tensor that it has changed, and where its gradient went before.
            others: more of these.
        """
        (target, origin), storage = changed, storage_of(changed[0])
        number = self._numbers.get(id(target), -1)
        if self._origins.get(number) is origin:
            self._origins[number] = origin_of(target)  # The call has moved it.
        number = self.number(target).id
        if others or result is not target or target is not args[0]:
            raise UntraceableError(f"{name}() writes into a tensor")
        given = self._given(function, args, kwargs)
        kept = [n for n in self._aliases[storage] if self._is_kept(n)]
        if any(self._alive[n] is not target or self._sources[n].kind == "constant" for n in kept):
            raise UntraceableError(f"{name}() writes into something that the model keeps")
        if kept:
            more: dict[str, Any] = {
                "effects": True,
                "writes": tuple(kept),
                "after": tuple(self._readers[storage]),
            }
        elif name in PLACING or (name in _OTHER_FORM and keeps_type(target, args, kwargs)):
            more, function = {"effects": name not in PURE}, out_of_place(function, name)
        else:
            raise UntraceableError(f"{name}() writes into a tensor")
        around = [] if kept else list(self._cut_from(number))
        self._stale |= self._aliases[storage]
        made = self.define(target)
        self._add(Call(name, function, *given, self.number(result), **more))
        parts, inner = [number, made], made
        for outer, index in around:
            whole = self.define(self._alive[outer])
            self._add(
                Call("__setitem__", with_item, (Ref(outer), index, Ref(inner)), {}, Ref(whole))
            )
            parts, inner = [*parts, outer, whole], whole
        # The gradient comes to the parts by the whole, and by them to what was the whole before.
        for part in parts[:-2] if around else ():
            if self._origins[part] is not None:
                self._origins[part] = self._origins[inner]

    def _cut_from(self, number: int) -> Iterator[tuple[int, Any]]:
        """What a value is a part of, and that in turn, each with the index of the part."""
        while (cut := self._cut(number)) is not None:
            yield cut
            number = cut[0]

    def _cut(self, number: int) -> tuple[int, Any] | None:
        call = next((call for call in reversed(self._calls) if number in call.outputs), None)
        match call:
            case Call(name="__getitem__", args=(Ref(id=outer), index)):
                pass
            case Call(name="select", args=(Ref(id=outer), int(dim), int(place)), kwargs={}):
                index = (*(slice(None),) * (dim % len(self._facts[outer].shape)), place)
            case _:
                return None
        whole, part = self._alive[outer], self._alive[number]
        current = self._numbers.get(id(whole)) == outer and outer not in self._stale
        return (outer, index) if current and storage_of(whole) == storage_of(part) else None

    def written(self, numbers: tuple[int, ...]) -> None:
        """Note that a call as a whole may have changed these values."""
        self._stale.update(numbers)

    def _is_kept(self, number: int) -> bool:
        """Whether a value outlives the forward."""
        source = self._sources.get(number)
        return source is not None and source.kind != "input"

    def _kind(self, tensor: Tensor) -> str | None:
        source = self._sources.get(self._numbers.get(id(tensor), -1))
        return None if source is None else source.kind

    def _given(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with values as references, and without ``inplace``."""
        given = replaced(args, self.number)
        names = parameters_of(function)
        if "inplace" in names and len(args) > (at := names.index("inplace")):
            given = (*given[:at], False, *given[at + 1 :])
        others = {key: value for key, value in kwargs.items() if key != "inplace"}
        return given, replaced(others, self.number)

    # ------------------------------------------------------------------ values

    def define(self, tensor: Tensor, source: Source | None = None) -> int:
        """Let the tensor be a new value; its number."""
        self._numbers[id(tensor)] = number = self._fresh(tensor)
        self._aliases[storage_of(tensor)].add(number)
        if source is not None:
            self._sources[number] = source
            self._sure.add(number)
        return number

    def _fresh(self, tensor: Tensor) -> int:
        number = len(self._facts)
        self._alive.append(tensor)
        self._facts[number] = Facts(tuple(tensor.shape), tensor.dtype, tuple(tensor.stride()))
        self._origins[number] = origin_of(tensor)
        return number

    def _made(self, value: Any) -> Any:
        """The reference to a tensor that a call gives back; it may be one that it was given."""
        if not isinstance(value, Tensor):
            return value
        return Ref(self._fresh(value) if id(value) in self._numbers else self.define(value))

    def number(self, value: Any) -> Any:
        """The reference to a tensor; anything else as it is."""
        if not isinstance(value, Tensor):
            if isinstance(value, torch.Generator):
                raise UntraceableError("forward has a random generator of its own")
            return value
        if id(value) not in self._numbers:
            if value.is_meta:
                raise UntraceableError("a tensor comes from a call that torch does not show")
            value = self.ghost_of(value)
        number = self._numbers[id(value)]
        if number in self._stale:
            raise UntraceableError("a tensor is read through a view after it was written in place")
        if origin_of(value) is not self._origins[number]:
            raise UntraceableError("the gradient of a tensor is computed in its own way")
        return Ref(number)

    def numbers_of(self, module: nn.Module) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The values that are the parameters of a module without storage, and its buffers."""
        parameters, buffers = (
            tuple(self._numbers[id(tensor)] for tensor in tensors)
            for tensors in (module.parameters(), module.buffers())
        )
        return parameters, buffers

    def missing(self, buffers: Iterable[int], module: nn.Module) -> list[int]:
        """Those of a module's buffers that it has replaced."""
        there = set(map(id, module.buffers()))
        return [number for number in buffers if id(self._alive[number]) not in there]

    def is_read(self, number: int) -> bool:
        """Whether a call has read a value."""
        return bool(self._readers[storage_of(self._alive[number])])

    def ghost_of(self, value: Any) -> Any:
        """What stands for a tensor that has storage, and that no module holds."""
        if not isinstance(value, Tensor) or value.is_meta:
            return value
        if id(value) not in self.ghosts:
            if value.requires_grad:
                raise UntraceableError("a tensor that requires a gradient is not the model's")
            self.ghosts[id(value)] = ghost = ghostly(value)
            if id(value) in self._numbers:
                self._numbers[id(ghost)] = self._numbers[id(value)]
                self._alive.append(ghost)
            else:
                self.define(ghost, Source("constant", constant=value))
        elif id(value) in self._owned:
            raise UntraceableError("a parameter is reached by another way than through the model")
        return self.ghosts[id(value)]

    def knows(self, result: Any) -> bool:
        """Whether every tensor in a structure has a number."""
        return all(id(tensor) in self._numbers for tensor in tensors_in(result))
