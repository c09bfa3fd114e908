"""From a module to its program: run it once on tensors without storage, and write down the calls.

Whatever depends on shapes, flags and Python values is decided by this run; what depends on the
elements of tensors has no answer on the meta device, and is refused. So is what a second run would
do otherwise, because the first has changed an attribute or has drawn random numbers of Python.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from nas_core.failure import failure_text
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nas_engine_cgo.members.calls import (
    autocast_state,
    keeps_type,
    name_of,
    origin_of,
    out_of_place,
    parameters_of,
    storage_of,
    version_of,
    wrapped,
)
from nas_engine_cgo.members.functions import ELEMENTWISE, KEEPING, LAID_OUT, PURE
from nas_engine_cgo.members.ghosts import (
    attributes,
    changed_attribute,
    ghost_module,
    ghostly,
    sources_of,
    tensors_in,
)
from nas_engine_cgo.members.lower import simpler
from nas_engine_cgo.members.program import Call, Facts, Program, Ref, Source, replaced
from nas_engine_cgo.members.remembered import Remembered

__all__ = ["UntraceableError", "trace"]

_NORMS = frozenset({"batch_norm", "instance_norm"})
_BY_CHANNEL = frozenset({"dropout1d", "dropout2d", "dropout3d"})
_OTHER_FORM = ELEMENTWISE | {"dropout", "dropout1d", "dropout2d", "dropout3d"}
"""Functions that do the same, in place or not."""


class UntraceableError(Exception):
    """A member has no program; it is trained by itself."""


def trace(
    module: nn.Module,
    forward: Callable[..., Any],
    inputs: Sequence[Tensor],
    seen: Remembered | None = None,
    whole: frozenset[str] = frozenset(),
) -> Program:
    """The program of ``forward(module, *inputs)``, for the shapes of the inputs.

    Args:
        module: it is not touched; its mode decides between training and evaluation.
        forward: what is done with it.
        inputs: only their shapes and types count.
        seen: results of earlier traces of similar modules.
        whole: submodules that are one call each.

    Raises:
        UntraceableError: it has none, and why.

    >>> program = trace(nn.Linear(4, 2), lambda m, x: m(x).relu(), [torch.zeros(3, 4)])
    >>> [call.name for call in program.calls]
    ['linear', 'relu']
    """
    culprit, seen = "", seen or Remembered()
    try:
        tracer = _Tracer(module, seen)
        try:
            return tracer.run(forward, inputs, whole)
        finally:
            culprit = tracer.inside
    # The module is anybody's code, and the meta device refuses in many ways.
    except (Exception, SystemExit) as error:
        if not culprit or culprit in whole:
            reason = str(error) if isinstance(error, UntraceableError) else failure_text(error)
            raise UntraceableError(reason) from error
    return trace(module, forward, inputs, seen, whole | {culprit})


class _Tracer(TorchFunctionMode):
    """Writes down the calls of functions while it is active."""

    def __init__(self, module: nn.Module, seen: Remembered) -> None:
        super().__init__()
        self.inside, self._seen = "", seen
        self._paused = False
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
        self._ghosts: dict[int, Tensor] = {}  # id of a real tensor → what stands for it
        self._owned = dict.fromkeys(map(id, (*module.parameters(), *module.buffers())))
        for tensor, source in sources_of(module):
            self._ghosts[id(tensor)] = ghost = ghostly(tensor)
            self._define(ghost, source)
        self._ghost = ghost_module(module, self._ghosts)
        self._device = next((p.device.type for p in module.parameters()), "cpu")
        self._recording = torch.is_grad_enabled()
        self._autocast = autocast_state()

    # ------------------------------------------------------------------ the run

    def run(
        self, forward: Callable[..., Any], inputs: Sequence[Tensor], whole: frozenset[str]
    ) -> Program:
        given = [ghostly(tensor) for tensor in inputs]
        for position, tensor in enumerate(given):
            self._define(tensor, Source("input", position))
        before = {path: attributes(child) for path, child in self._ghost.named_modules()}
        drawn = random.getstate()
        with ExitStack() as stack:
            for path, child in self._ghost.named_modules():
                stack.enter_context(wrapped(child, partial(self._called, path, path in whole)))
            stack.enter_context(torch.device("meta"))
            stack.enter_context(self)
            output = forward(self._ghost, *given)
            named = replaced(output, self._number)
        self.inside = ""
        if random.getstate() != drawn:
            random.setstate(drawn)
            raise UntraceableError("forward draws random numbers of Python")
        for path, child in self._ghost.named_modules():
            if not any(path == root or path.startswith(f"{root}.") for root in whole):
                self._check_unchanged(child, before[path])
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

    def _called(
        self, path: str, whole: bool, original: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Stands in for the ``forward`` of a submodule."""
        if self._paused:
            return original(*args, **kwargs)
        outer, self.inside = self.inside, path
        module = self._ghost.get_submodule(path)
        if whole:
            result = self._call_whole(path, module, original, args, kwargs)
        else:
            before = attributes(module)
            result = original(*args, **kwargs)
            self._check_unchanged(module, before)
            for tensor in tensors_in(result):
                self._number(tensor)  # It says where a tensor that nobody knows came from.
        self.inside = outer  # Not in `finally`: it says where the exception came from.
        return result

    def _check_unchanged(self, module: nn.Module, before: Mapping[str, Any]) -> None:
        if (name := changed_attribute(module, before)) is not None:
            raise UntraceableError(f"{type(module).__name__} changes its attribute {name}")

    def _call_whole(
        self,
        path: str,
        module: nn.Module,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        versions = [(tensor, version_of(tensor)) for tensor in tensors_in((args, kwargs))]
        parameters, buffers = (
            tuple(self._numbers[id(tensor)] for tensor in tensors)
            for tensors in (module.parameters(), module.buffers())
        )
        self._paused = True
        result = original(*args, **kwargs)
        self._paused = False
        if any(version_of(tensor) != version for tensor, version in versions):
            raise UntraceableError(f"{type(module).__name__} writes into its input")
        self._record(
            "module", None, args, kwargs, result, effects=True, module=path,
            reads=(*parameters, *buffers), writes=buffers,
        )  # fmt: skip
        self._stale.update(buffers)
        return result

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if self._paused:
            return func(*args, **named)
        return self._function(name_of(func), func, *self._ghosts_of(args, named))

    def _ghosts_of(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if any(tensor.device.type != "meta" for tensor in tensors_in((args, kwargs))):
            return replaced(args, self._ghost_of), replaced(kwargs, self._ghost_of)
        return args, kwargs

    def _function(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if (parts := simpler(name, args, kwargs, self._device)) is not None:
            with self:
                return parts()
        before = [(t, version_of(t), origin_of(t)) for t in tensors_in((args, kwargs))]
        if name in _NORMS:
            return self._normalise(name, func, args, kwargs)
        result = self._seen.call(name, func, args, kwargs)
        changed = {id(t): (t, origin) for t, version, origin in before if version_of(t) != version}
        if changed:
            self._write(name, func, args, kwargs, result, *changed.values())
        elif any(True for _ in tensors_in(result)) and not self._known(result):
            self._record(name, func, args, kwargs, result, effects=name not in PURE)
        return result

    # ------------------------------------------------------------------ recording

    def _record(
        self,
        name: str,
        function: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
        **more: Any,
    ) -> None:
        given = self._given(function, args, kwargs)
        index = len(self._calls)
        for tensor in tensors_in((args, kwargs)):
            self._readers[storage_of(tensor)].append(index)
        for number in more.get("reads", ()):
            self._readers[storage_of(self._alive[number])].append(index)
        self._add(Call(name, function, *given, replaced(result, self._made), **more))

    def _add(self, call: Call) -> None:
        if autocast_state() != self._autocast:
            raise UntraceableError("forward changes autocast")
        grad = torch.is_grad_enabled() or not self._recording
        self._calls.append(replace(call, grad=grad))
        sure = self._sure.issuperset(call.inputs)
        if call.name not in PURE | _BY_CHANNEL and not sure:
            self.inside = ""  # No part of the model could do it better.
            raise UntraceableError(f"{call.name}() may draw in another order than it seems")
        contiguous = all(self._alive[n].is_contiguous() for n in call.inputs)
        plain = contiguous and call.name not in ("module", "scaled_dot_product_attention")
        if call.name in LAID_OUT or (sure and (plain or call.name in KEEPING)):
            self._sure.update(call.outputs)

    def _write(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
        changed: tuple[Tensor, Any],
        *others: Any,
    ) -> None:
        """An in-place call: as its other form, if nobody can tell."""
        (target, origin), storage = changed, storage_of(changed[0])
        number = self._numbers.get(id(target), -1)
        if self._origins.get(number) is origin:
            self._origins[number] = origin_of(target)  # The call has moved it.
        number = self._number(target).id
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
        elif name in _OTHER_FORM and keeps_type(target, args, kwargs):
            more, function = {"effects": name not in PURE}, out_of_place(function, name)
        else:
            raise UntraceableError(f"{name}() writes into a tensor")
        self._stale |= self._aliases[storage]
        self._define(target)
        self._add(Call(name, function, *given, self._number(result), **more))

    def _is_kept(self, number: int) -> bool:
        """Whether a value outlives the forward."""
        source = self._sources.get(number)
        return source is not None and source.kind != "input"

    def _given(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with values as references, and without ``inplace``."""
        given = replaced(args, self._number)
        names = parameters_of(function)
        if "inplace" in names and len(args) > (at := names.index("inplace")):
            given = (*given[:at], False, *given[at + 1 :])
        others = {key: value for key, value in kwargs.items() if key != "inplace"}
        return given, replaced(others, self._number)

    def _normalise(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Normalisation has the shape of its input, and updates its statistics in training."""
        (x, *others) = tensors_in((args, kwargs))
        if any(other.shape[0] != x.shape[1] for other in others):
            raise UntraceableError(f"{name}() of an input with {x.shape[1]} channels")
        result = x.clone()  # By itself it takes milliseconds on this device.
        for other in others:
            if other.requires_grad:
                result = result + other.sum()  # So that its gradient goes there, too.
        self._record(name, function, args, kwargs, result)
        call = self._calls[-1]
        written = [
            number
            for number in call.inputs
            if (source := self._sources.get(number)) and source.kind == "buffer"
        ]
        if written and any(value is True for value in (*args, *kwargs.values())):
            self._calls[-1] = replace(call, writes=tuple(written))
        return result

    # ------------------------------------------------------------------ values

    def _define(self, tensor: Tensor, source: Source | None = None) -> int:
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
        return Ref(self._fresh(value) if id(value) in self._numbers else self._define(value))

    def _number(self, value: Any) -> Any:
        """The reference to a tensor; anything else as it is."""
        if isinstance(value, torch.Generator):
            raise UntraceableError("forward has a random generator of its own")
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._numbers:
            if value.device.type == "meta":
                raise UntraceableError("a tensor comes from a call that torch does not show")
            value = self._ghost_of(value)
        number = self._numbers[id(value)]
        if number in self._stale:
            raise UntraceableError("a tensor is read through a view after it was written in place")
        if origin_of(value) is not self._origins[number]:
            raise UntraceableError("the gradient of a tensor is computed in its own way")
        return Ref(number)

    def _ghost_of(self, value: Any) -> Any:
        """What stands for a tensor that has storage, and that no module holds."""
        if not isinstance(value, Tensor) or value.device.type == "meta":
            return value
        if id(value) not in self._ghosts:
            if value.requires_grad:
                raise UntraceableError("a tensor that requires a gradient is not the model's")
            self._ghosts[id(value)] = ghost = ghostly(value)
            if id(value) in self._numbers:
                self._numbers[id(ghost)] = self._numbers[id(value)]
                self._alive.append(ghost)
            else:
                self._define(ghost, Source("constant", constant=value))
        elif id(value) in self._owned:
            raise UntraceableError("a parameter is reached by another way than through the model")
        return self._ghosts[id(value)]

    def _known(self, result: Any) -> bool:
        return all(id(tensor) in self._numbers for tensor in tensors_in(result))
