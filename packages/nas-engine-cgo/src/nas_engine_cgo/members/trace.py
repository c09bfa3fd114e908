"""From a module to its program: run it once on tensors without storage, and write down the calls.

Whatever depends on shapes, flags and Python values is decided by this run; what depends on the
elements of tensors has no answer on the meta device, and is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from nas_core.failure import failure_text
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nas_engine_cgo.members.functions import ELEMENTWISE, PURE
from nas_engine_cgo.members.program import Call, Facts, Program, Ref, Source, hashable, replaced

__all__ = ["UntraceableError", "trace"]

_NORMS = frozenset({"batch_norm", "instance_norm"})
_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
_OTHER_FORM = ELEMENTWISE | {"dropout", "dropout1d", "dropout2d", "dropout3d"}
"""Functions that do the same, in place or not."""


class UntraceableError(Exception):
    """A member has no program; it is trained by itself."""


def trace(
    module: nn.Module,
    forward: Callable[..., Any],
    inputs: Sequence[Tensor],
    known: dict[Hashable, Any] | None = None,
    whole: frozenset[str] = frozenset(),
) -> Program:
    """The program of ``forward(module, *inputs)``, for the shapes of the inputs.

    Args:
        module: its tensors are not touched; its mode decides between training and evaluation.
        forward: what is done with it.
        inputs: only their shapes and types count.
        known: results that were seen before, for traces of similar modules.
        whole: submodules that are one call each.

    Raises:
        UntraceableError: it has none, and why.

    >>> program = trace(nn.Linear(4, 2), lambda m, x: m(x).relu(), [torch.zeros(3, 4)])
    >>> [call.name for call in program.calls]
    ['linear', 'relu']
    """
    known = {} if known is None else known
    tracer = _Tracer(module, known)
    try:
        return tracer.run(forward, inputs, whole)
    # The module is anybody's code, and the meta device refuses in many ways.
    except Exception as error:
        culprit = tracer.inside
        if not culprit or culprit in whole:
            reason = str(error) if isinstance(error, UntraceableError) else failure_text(error)
            raise UntraceableError(reason) from error
    return trace(module, forward, inputs, known, whole | {culprit})


class _Tracer(TorchFunctionMode):
    """Writes down the calls of functions while it is active."""

    def __init__(self, module: nn.Module, known: dict[Hashable, Any]) -> None:
        super().__init__()
        self.inside = ""
        self._known, self._module = known, module
        self._paused = False
        self._calls: list[Call] = []
        self._sources: dict[int, Source] = {}
        self._facts: dict[int, Facts] = {}
        self._numbers: dict[int, int] = {}  # id of a tensor → its value
        self._alive: list[Tensor] = []  # so that no id is used twice
        self._aliases: dict[int, set[int]] = defaultdict(set)  # storage → values in it
        self._readers: dict[int, list[int]] = defaultdict(list)  # storage → calls
        self._stale: set[int] = set()
        self._ghosts = self._ghosts_of(module)
        self._recording = True

    # ------------------------------------------------------------------ the run

    def run(
        self, forward: Callable[..., Any], inputs: Sequence[Tensor], whole: frozenset[str]
    ) -> Program:
        self._recording = torch.is_grad_enabled()
        given = [_ghostly(tensor) for tensor in inputs]
        for position, tensor in enumerate(given):
            self._define(tensor, Source("input", position))
        with ExitStack() as stack:
            for path, child in list(self._module.named_modules()):
                around = partial(self._called, path, path in whole, child.forward)
                stack.enter_context(_without_storage(child, self._ghosts, around))
            stack.enter_context(torch.device("meta"))
            stack.enter_context(self)
            output = forward(self._module, *given)
            return Program(
                tuple(self._calls), self._sources, self._facts, replaced(output, self._number)
            )

    def _called(
        self, path: str, whole: bool, original: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Stands in for the ``forward`` of a submodule."""
        if self._paused:
            return original(*args, **kwargs)
        outer, self.inside = self.inside, path
        if whole:
            with self._pause():
                result = original(*args, **kwargs)
            self._record("module", None, args, kwargs, result, effects=True, module=path)
        else:
            result = original(*args, **kwargs)
        self.inside = outer  # Not in `finally`: it says where the exception came from.
        return result

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if self._paused:
            return func(*args, **kwargs)
        name = _name_of(func)
        if name in _NORMS:
            return self._normalise(name, func, args, kwargs)
        before = [(tensor, _version(tensor)) for tensor in _tensors((args, kwargs))]
        result = self._result(name, func, args, kwargs)
        changed = [tensor for tensor, version in before if _version(tensor) != version]
        if changed:
            self._write(name, func, args, kwargs, result, changed)
        elif any(True for _ in _tensors(result)) and not self._all_known(result):
            self._record(name, func, args, kwargs, result, effects=name not in PURE)
        return result

    def _result(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What the function returns; remembered where that takes long and says only a shape."""
        if name in _RECURRENT and len(args) == 9 and type(args[3]) is bool:
            return _recurred(func, args)
        if name not in PURE:
            return func(*args, **kwargs)
        key = (func, _shapes(args), _shapes(kwargs))
        if (found := self._known.get(key)) is not None:
            shape, stride, dtype = found
            return torch.empty_strided(shape, stride, dtype=dtype, device="meta")
        versions = sum(map(_version, _tensors((args, kwargs))))
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and versions == sum(map(_version, _tensors((args, kwargs)))):
            inputs = {_storage(tensor) for tensor in _tensors((args, kwargs))}
            if inputs and _storage(result) not in inputs:  # No view of one of them.
                self._known[key] = tuple(result.shape), tuple(result.stride()), result.dtype
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
        for tensor in _tensors((args, kwargs)):
            self._readers[_storage(tensor)].append(index)
        for tensor in _tensors(result):
            if id(tensor) not in self._numbers:
                self._define(tensor)
        self._calls.append(
            Call(
                name,
                function,
                *given,
                replaced(result, self._number),
                grad=torch.is_grad_enabled() or not self._recording,
                **more,
            )
        )

    def _write(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
        changed: list[Tensor],
    ) -> None:
        """An in-place call: as its other form, if nobody can tell."""
        (target, *others) = changed
        number, storage = self._number(target).id, _storage(target)
        if others or result is not target or target is not args[0]:
            raise UntraceableError(f"{name}() writes into a tensor")
        given = self._given(function, args, kwargs)
        source = self._sources.get(number)
        if source is not None and source.kind in ("parameter", "buffer"):
            more: dict[str, Any] = {
                "effects": True,
                "writes": (number,),
                "after": tuple(self._readers[storage]),
            }
        elif name in _OTHER_FORM:
            more, function = {"effects": name not in PURE}, _out_of_place(function, name)
        else:
            raise UntraceableError(f"{name}() writes into a tensor")
        self._stale |= self._aliases[storage]
        self._define(target)
        grad = torch.is_grad_enabled() or not self._recording
        self._calls.append(Call(name, function, *given, self._number(result), grad=grad, **more))

    def _given(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with values as references, and without ``inplace``."""
        given = replaced(args, self._number)
        names = _parameters(function)
        if "inplace" in names and len(args) > (at := names.index("inplace")):
            given = (*given[:at], False, *given[at + 1 :])
        others = {key: value for key, value in kwargs.items() if key != "inplace"}
        return given, replaced(others, self._number)

    def _normalise(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Normalisation has the shape of its input, and updates its statistics in training."""
        (x, *others) = _tensors((args, kwargs))
        if any(other.shape[0] != x.shape[1] for other in others):
            raise UntraceableError(f"{name}() of an input with {x.shape[1]} channels")
        result = x.clone()  # By itself it takes milliseconds on this device.
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
        number = len(self._facts)
        self._numbers[id(tensor)] = number
        self._alive.append(tensor)
        self._facts[number] = Facts(tuple(tensor.shape), tensor.dtype, tuple(tensor.stride()))
        self._aliases[_storage(tensor)].add(number)
        if source is not None:
            self._sources[number] = source
        return number

    def _number(self, value: Any) -> Any:
        """The reference to a tensor; anything else as it is."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._numbers:
            if value.device.type == "meta":
                raise UntraceableError("a tensor comes from a call that torch does not show")
            self._define(value, Source("constant", constant=value))
        number = self._numbers[id(value)]
        if number in self._stale:
            raise UntraceableError("a tensor is read through a view after it was written in place")
        return Ref(number)

    def _all_known(self, result: Any) -> bool:
        return all(id(tensor) in self._numbers for tensor in _tensors(result))

    def _pause(self) -> _Pause:
        return _Pause(self)

    def _ghosts_of(self, module: nn.Module) -> dict[int, Tensor]:
        """The tensors of the module by identity → the same without storage; they are sources."""
        sources: dict[int, tuple[Tensor, Source]] = {}
        for path, parameter in module.named_parameters():
            source = Source("parameter", path, trained=parameter.requires_grad)
            sources[id(parameter)] = parameter, source
        for path, buffer in module.named_buffers():
            sources[id(buffer)] = buffer, Source("buffer", path)
        for child in module.modules():
            for value in vars(child).values():
                if isinstance(value, Tensor):
                    sources.setdefault(id(value), (value, Source("constant", constant=value)))
        ghosts = {key: _ghostly(tensor) for key, (tensor, _) in sources.items()}
        for key, (_, source) in sources.items():
            self._define(ghosts[key], source)
        return ghosts


def _recurred(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """What a recurrent layer returns: on the meta device it takes a second to find that out.

    It is computed of zeros, and not in training, so that dropout draws nothing.
    """

    def zeros(value: Any) -> Any:
        given = isinstance(value, Tensor)
        return torch.zeros(value.shape, dtype=value.dtype, device="cpu") if given else value

    with torch.no_grad():
        result = function(*replaced((*args[:6], False, *args[7:]), zeros))
    return replaced(result, _ghostly)


class _Pause:
    """Writes nothing down meanwhile."""

    def __init__(self, tracer: _Tracer) -> None:
        self._tracer = tracer

    def __enter__(self) -> None:
        self._tracer._paused = True  # noqa: SLF001  It is the tracer's own.

    def __exit__(self, *_: object) -> None:
        self._tracer._paused = False  # noqa: SLF001


@contextmanager
def _without_storage(
    module: nn.Module, ghosts: Mapping[int, Tensor], forward: Callable[..., Any]
) -> Iterator[None]:
    """Let the attributes of a module be without storage, and its ``forward`` this function.

    What ``forward`` does to attributes is forgotten afterwards.
    """

    def ghost(value: Any) -> Any:
        return ghosts.get(id(value), value) if isinstance(value, Tensor) else value

    before = module.__dict__
    attributes = {
        name: replaced(value, ghost)
        if value and type(value) in (Tensor, nn.Parameter, dict, list, tuple)
        else value
        for name, value in before.items()
    }
    object.__setattr__(module, "__dict__", {**attributes, "forward": forward})
    try:
        yield
    finally:
        object.__setattr__(module, "__dict__", before)


@cache
def _parameters(function: Callable[..., Any] | None) -> tuple[str, ...]:
    """The names of the parameters of a function that is written in Python."""
    code = getattr(function, "__code__", None)
    return () if code is None else tuple(code.co_varnames[: code.co_argcount])


def _out_of_place(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The form of a function that leaves its arguments alone."""
    if not getattr(function, "__name__", "").endswith("_") or name.startswith("__"):
        return function
    found: Callable[..., Any] = getattr(torch.Tensor, name, None) or getattr(torch, name)
    return found


def _name_of(function: Callable[..., Any]) -> str:
    name = str(getattr(function, "__name__", type(function).__name__))
    if name == "__get__":
        name = str(getattr(getattr(function, "__self__", None), "__name__", name))
    name = name.partition(".")[0]  # an overload of an operator
    if name.endswith("_") and not name.endswith("__"):
        return name[:-1]
    if name.startswith("__i") and name.endswith("__") and name != "__invert__":
        return f"__{name[3:]}"
    return name


def _tensors(structure: Any) -> Iterator[Tensor]:
    match structure:
        case Tensor():
            yield structure
        case tuple() | list():
            for item in structure:
                yield from _tensors(item)
        case dict():
            for item in structure.values():
                yield from _tensors(item)


def _shapes(structure: Any) -> Hashable:
    """Arguments with no more of the tensors than their shapes, to compare."""
    match structure:
        case Tensor():
            return tuple(structure.shape), structure.stride(), structure.dtype
        case tuple() | list():
            return (type(structure).__name__, *map(_shapes, structure))
        case dict():
            return tuple((key, _shapes(value)) for key, value in structure.items())
        case _:
            return hashable(structure)


def _version(tensor: Tensor) -> int:
    """How often the storage was written."""
    return int(tensor._version)  # noqa: SLF001  There is no public way.


def _storage(tensor: Tensor) -> int:
    # There is no address on this device.
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001


def _ghostly(tensor: Tensor) -> Tensor:
    ghost = torch.empty_strided(
        tuple(tensor.shape), tuple(tensor.stride()), dtype=tensor.dtype, device="meta"
    )
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(ghost, tensor.requires_grad)
    return ghost
