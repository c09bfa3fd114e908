"""From a module to its program: run it once on tensors without storage, and write down the calls.

Whatever depends on shapes, flags and Python values is decided by this run; what depends on the
elements of tensors has no answer on the meta device, and is refused. So is what a second run would
do otherwise, because the first has changed an attribute or has drawn random numbers of Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, ValuesView
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import torch
from nas_core.failure import failure_text, place_of
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nas_engine_cgo.members.calls import (
    hooks_of,
    name_of,
    origin_of,
    storage_of,
    version_of,
    wrapped,
)
from nas_engine_cgo.members.functions import PURE
from nas_engine_cgo.members.generators import GlobalStates
from nas_engine_cgo.members.ghosts import ghost_module, ghostly, tensors_in
from nas_engine_cgo.members.held import changed_attribute, held_by
from nas_engine_cgo.members.keeping import keeping
from nas_engine_cgo.members.kept import Attribute, Kept
from nas_engine_cgo.members.lower import one_hot, simpler
from nas_engine_cgo.members.program import Program, Source, replaced
from nas_engine_cgo.members.record import Record, UntraceableError
from nas_engine_cgo.members.remembered import Remembered

__all__ = ["trace"]

_UNSEEN = torch._C.DisableTorchFunction  # noqa: SLF001  There is no public way.
"""Lets what is done to tensors go by the tracer, and be as fast as without one."""
_NORMS = frozenset({"batch_norm", "instance_norm"})
_OF_AUTOGRAD = frozenset(
    {"backward", "grad", "register_hook", "register_post_accumulate_grad_hook", "requires_grad_",
     "retain_grad"}
)  # fmt: skip
"""Functions that look at, or change, how gradients are computed."""


def trace(
    module: nn.Module,
    forward: Callable[..., Any],
    inputs: Sequence[Tensor],
    seen: Remembered | None = None,
    whole: frozenset[str] | None = None,
    kept: frozenset[Attribute] = frozenset(),
) -> Program:
    """The program of ``forward(module, *inputs)``, for the shapes of the inputs.

    Args:
        module: it is not touched; its mode decides between training and evaluation.
        forward: what is done with it.
        inputs: only their shapes and types count.
        seen: results of earlier traces of similar modules.
        whole: submodules that are one call each; in evaluation at first those that may keep
            something from one call to the next.
        kept: what training changes of its modules besides tensors, which no program can follow.

    Raises:
        UntraceableError: it has none, and why.

    >>> program = trace(nn.Linear(4, 2), lambda m, x: m(x).relu(), [torch.zeros(3, 4)])
    >>> [call.name for call in program.calls]
    ['linear', 'relu']
    """
    culprit, seen = "", seen or Remembered.here()
    if whole is None:
        whole = frozenset() if module.training else keeping(module)
    if "" in whole:
        raise UntraceableError(f"{type(module).__name__} may keep something between calls")
    if any(hooks_of(parameter) for parameter in module.parameters()):
        raise UntraceableError("a parameter has a hook")
    if _shares_weights(module):
        raise UntraceableError("a parameter has the memory of another tensor")
    try:
        tracer = _Tracer(module, seen)
        try:
            return tracer.run(forward, inputs, whole, kept)
        finally:
            culprit = tracer.inside
    # The module is anybody's code, and the meta device refuses in many ways.
    except (Exception, SystemExit) as error:
        found = error if isinstance(error, UntraceableError) else _refusal(error)
        if not culprit or culprit in whole or found.everywhere:
            raise UntraceableError(str(found)) from error
    return trace(module, forward, inputs, seen, whole | {culprit}, kept)


def _shares_weights(module: nn.Module) -> bool:
    """Whether training a parameter changes another tensor, too, which has its memory."""
    beside: dict[int, dict[int, Tensor]] = {}
    for child in module.modules():
        for held in vars(child).values():
            items = held.values() if isinstance(held, dict) else held
            for tensor in items if isinstance(items, list | tuple | ValuesView) else [items]:
                if isinstance(tensor, Tensor) and _has_elements(tensor):
                    beside.setdefault(storage_of(tensor), {})[id(tensor)] = tensor
    pairs = (pair for found in beside.values() for pair in combinations(found.values(), 2))
    return any(any(t.requires_grad for t in pair) and _meet(*pair) for pair in pairs)


def _has_elements(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_meta and bool(tensor.numel())


def _meet(first: Tensor, second: Tensor) -> bool:
    """Whether one tensor begins in the memory before the other ends, and the other way round."""
    starts = [tensor.data_ptr() for tensor in (first, second)]
    ends = [start + _reach(t) for start, t in zip(starts, (first, second), strict=True)]
    return max(starts) < min(ends)


def _reach(tensor: Tensor) -> int:
    """How many bytes there are from the first element to the end of the last."""
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return (1 + sum((size - 1) * step for size, step in steps)) * tensor.element_size()


def _refusal(error: BaseException) -> UntraceableError:
    """What was raised, as a reason."""
    text = failure_text(error)
    if isinstance(error, RuntimeError) and "cannot be called on meta tensors" in text:
        where = "" if (place := place_of(error)) is None else f" ({place})"
        # As a whole it would do the same.
        return UntraceableError(f"forward asks for a value of a tensor{where}", everywhere=True)
    return UntraceableError(text)


class _Tracer(TorchFunctionMode):
    """Records the calls of functions while it is active.

    ``inside`` is the path of the submodule that runs.
    """

    def __init__(self, module: nn.Module, seen: Remembered) -> None:
        super().__init__()
        self.inside, self._seen = "", seen
        self._paused = False
        self._record = Record(module)
        self._ghost = ghost_module(module, self._record.ghosts)
        self._device = next((p.device.type for p in module.parameters()), "cpu")

    def run(
        self,
        forward: Callable[..., Any],
        inputs: Sequence[Tensor],
        whole: frozenset[str],
        kept: frozenset[Attribute],
    ) -> Program:
        given = [ghostly(tensor) for tensor in inputs]
        for position, tensor in enumerate(given):
            self._record.define(tensor, Source("input", position))
        modules = dict(self._ghost.named_modules())
        states = GlobalStates.now()
        with ExitStack() as stack:
            for path, child in modules.items():
                stack.enter_context(
                    wrapped(child, partial(self._called, path, child, path in whole))
                )
            self._kept = Kept(self._ghost, kept)
            with self:
                output = forward(self._ghost, *given)
            self.inside = ""
            self._kept.check()
        program = self._record.program(output)
        if not states.are_now():
            states.restore()
            raise UntraceableError("forward draws random numbers of Python")
        return replace(program, kept=self._kept.names)

    # ------------------------------------------------------------------ calls of submodules

    def _called(
        self,
        path: str,
        module: nn.Module,
        whole: bool,
        original: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Stands in for the ``forward`` of a submodule."""
        if self._paused:
            return original(*args, **kwargs)
        outer, self.inside = self.inside, path
        if whole:
            result = self._call_whole(path, module, original, args, kwargs)
        else:
            before = held_by(module)
            result = original(*args, **kwargs)
            if (name := changed_attribute(module, before)) is not None:
                raise UntraceableError(f"{type(module).__name__} changes its attribute {name}")
            with _UNSEEN():
                for tensor in tensors_in(result):
                    self._record.number(tensor)  # It says where one that nobody knows came from.
        self.inside = outer  # Not in `finally`: it says where the exception came from.
        return result

    def _call_whole(
        self,
        path: str,
        module: nn.Module,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        with _UNSEEN():
            versions = [(tensor, version_of(tensor)) for tensor in tensors_in((args, kwargs))]
        parameters, buffers = self._record.numbers_of(module)
        self._paused = True
        with torch.device("meta"), self._kept.lent(module):
            result = original(*args, **kwargs)
        self._paused = False
        with _UNSEEN():
            if any(version_of(tensor) != version for tensor, version in versions):
                raise UntraceableError(f"{type(module).__name__} writes into its input")
            if any(self._record.is_read(n) for n in self._record.missing(buffers, module)):
                raise UntraceableError(f"{type(module).__name__} replaces a buffer", True)
            self._record.call(
                "module", None, args, kwargs, result, effects=True, module=path,
                reads=(*parameters, *buffers), writes=buffers,
            )  # fmt: skip
            self._record.written(buffers)
        return result

    # ------------------------------------------------------------------ calls of functions

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if self._paused:
            return self._seen.call(name_of(func), func, args, named)
        return self._function(name_of(func), func, *self._ghosts_of(args, named))

    def _ghosts_of(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not all(tensor.is_meta for tensor in tensors_in((args, kwargs))):
            ghost_of = self._record.ghost_of
            return replaced(args, ghost_of), replaced(kwargs, ghost_of)
        return args, kwargs

    def _function(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if name in _OF_AUTOGRAD:
            raise UntraceableError(f"forward calls {name}()")
        if (parts := simpler(name, args, kwargs, self._device)) is not None:
            with self:
                return parts()
        before = [(t, version_of(t), origin_of(t)) for t in tensors_in((args, kwargs))]
        if name == "one_hot":
            func = one_hot  # It can be repeated.
        if name in _NORMS:
            return self._normalised(name, func, args, kwargs)
        result = self._seen.call(name, func, args, kwargs)
        changed = {id(t): (t, origin) for t, version, origin in before if version_of(t) != version}
        if changed and name == "__setitem__":
            self._record.write(name, func, args, kwargs, args[0], *changed.values())
        elif changed:
            self._record.write(name, func, args, kwargs, result, *changed.values())
        elif tensors_in(result) and not self._record.knows(result):
            self._record.call(name, func, args, kwargs, result, effects=name not in PURE)
        return result

    def _normalised(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Normalisation has the shape of its input; by itself it takes milliseconds here."""
        (x, *others) = tensors_in((args, kwargs))
        if any(other.shape[0] != x.shape[1] for other in others):
            raise UntraceableError(f"{name}() of an input with {x.shape[1]} channels")
        result = self._seen.like(x, others)
        self._record.normalisation(name, function, args, kwargs, result)
        return result
