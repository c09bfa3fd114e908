"""Modules that stay whole: the constructor call of such a module, from the instance.

Every recovered call is tried out, and what it makes is compared with the instance: a layer that
can't be made again by its constructor is refused, not guessed.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

import torch
from nas_core.model import is_basic_unit
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.overrides import TorchFunctionMode

from nas_engine_graph.frontend.encode import NotEncodableError, encode, symbol_of
from nas_engine_graph.frontend.layers.constructors import (
    UnrecoverableError,
    call_of,
    flags_of,
    is_same,
    parameters_of,
)
from nas_engine_graph.frontend.layers.hooks import hooks
from nas_engine_graph.frontend.layers.parametrizations import (
    apply_parametrizations,
    parametrizations_of,
    plain_class,
)
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.objects import encoded
from nas_engine_graph.frontend.stored import is_stored, stored_layer
from nas_engine_graph.ir import Layer, MemoryFormat
from nas_engine_graph.ir.strides import compact, overlaps

__all__ = ["UnrecoverableError", "is_layer", "layer_class", "named_tensors", "recover"]

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
_TRACED = GraphModule
"""Of a class that torch makes, and with a method that it writes, for what is the user's."""
_PADDED = "_reversed_padding_repeated_twice"
_DRAWING = (Tensor.normal_, Tensor.uniform_)
_COSMETIC = frozenset({"__init__", "__repr__", "extra_repr", "reset_parameters", "_get_name"})
_MISSING = object()
_TRIES = 16


def _changes_behaviour(cls: type) -> bool:
    """Whether a class of the user adds more than a constructor and a representation."""
    return any(
        name not in _COSMETIC and (callable(member) or isinstance(member, property))
        for name, member in vars(cls).items()
    )


def layer_class(module: nn.Module) -> type[nn.Module] | None:
    """The class of ``torch.nn`` that the module behaves as; None for one of the user's own."""
    plain: Any = plain_class(module)
    found: type[nn.Module] | None = _layer_class(plain)
    return found


@lru_cache(maxsize=4096)
def _layer_class(plain: Any) -> Any:
    for cls in plain.__mro__:
        if not issubclass(cls, nn.Module):
            return None
        if cls is nn.Module or issubclass(cls, (*_CONTAINERS, _TRACED)):
            return None
        if is_of_torch(cls):
            return cls
        if _changes_behaviour(cls):
            return None
    return None


def is_layer(module: nn.Module) -> bool:
    """Whether the module is one node: a layer of ``torch.nn``, or a ``@basic_unit``."""
    return is_basic_unit(module) or layer_class(module) is not None


def _encoded(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return recover(value)
    return encoded(value, (), ())


class _Undrawn(TorchFunctionMode):
    """Draws nothing on the meta device, for which torch would first import its compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = args[0] if args else (kwargs or {}).get("tensor")
        draws = func in _DRAWING or getattr(func, "__module__", None) == nn.init.__name__
        if draws and isinstance(given, Tensor) and given.is_meta:
            return given
        return func(*args, **(kwargs or {}))


def _remake(module: nn.Module, cls: type, args: list[Any], kwargs: dict[str, Any]) -> nn.Module:
    state = torch.get_rng_state()
    try:
        try:
            with torch.device("meta"), _Undrawn():
                twin: nn.Module = cls(*args, **kwargs)
        except (NotImplementedError, RuntimeError):
            twin = cls(*args, **kwargs)
        return apply_parametrizations(module, twin)
    except (TypeError, ValueError, RuntimeError, AttributeError, AssertionError) as error:
        raise UnrecoverableError(f"{cls.__qualname__} can't be made again: {error}") from error
    finally:
        torch.set_rng_state(state)


def _otherwise(
    module: nn.Module, cls: type[nn.Module], args: list[Any], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], nn.Module] | None:
    """Keywords with which the constructor makes the tensors that the module has; what it makes.

    Of flags of which an instance keeps nothing but what they chose, such as a part that is there or
    not, only that tells what they were.
    """
    defaults = dict(parameters_of(cls))
    for turned in itertools.islice(_some_of(flags_of(module, cls)), _TRIES):
        changed = kwargs | {name: not defaults[name] for name in turned}
        given = {name: changed[name] for name in defaults if name in changed}
        with suppress(UnrecoverableError):
            twin = _remake(module, cls, args, given)
            if _tensors(twin) == _tensors(module):
                return given, twin
    return None


def _some_of(names: list[str]) -> Iterator[tuple[str, ...]]:
    """All choices of some of the names, those of few first."""
    for count in range(1, len(names) + 1):
        yield from itertools.combinations(names, count)


def _check_changes(module: nn.Module, twin: nn.Module) -> None:
    """Refuses what was done to a module after it was made, where no source can do it again."""
    if difference := [hook for hook in hooks(module) if hook not in hooks(twin)]:
        path, kind, _ = difference[0]
        where = f" of its {path!r}" if path else ""
        raise UnrecoverableError(
            f"a hook{where} ({kind}) was added after it was made: let its constructor do it"
        )
    for name, ours in vars(module).items():
        replaced = callable(getattr(type(module), name, None)) and name not in vars(twin)
        if replaced and not isinstance(ours, type):
            raise UnrecoverableError(f"its method {name!r} was replaced after it was made")


def _tensors(module: nn.Module) -> list[tuple[Any, ...]]:
    kinds = (module.named_parameters, module.named_buffers)
    found = [
        (index, name, tuple(tensor.shape), tensor.dtype)
        for index, named in enumerate(kinds)
        for name, tensor in named()
    ]
    return [*found, *((name,) for name in module.state_dict(keep_vars=True))]


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a module by their names."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _strides(module: nn.Module) -> dict[str, tuple[int, ...]]:
    tensors = named_tensors(module).items()
    return {name: tensor.stride() for name, tensor in tensors if tensor.numel()}


def _laid_out(
    module: nn.Module, twin: nn.Module
) -> tuple[MemoryFormat | None, tuple[tuple[str, tuple[int, ...]], ...]]:
    """The memory format, or the strides, that let the tensors of the twin lie like the module's."""
    ours, theirs = _strides(module), _strides(twin)
    if ours == theirs:
        return None, ()
    for name in ("channels_last", "channels_last_3d"):
        moved: Any = copy.deepcopy(twin)
        if _strides(moved.to(memory_format=getattr(torch, name))) == ours:
            return MemoryFormat(name), ()
    odd = {name: strides for name, strides in ours.items() if strides != theirs.get(name)}
    shapes = {name: tuple(tensor.shape) for name, tensor in named_tensors(module).items()}
    for name, strides in odd.items():
        if overlaps(shapes[name], strides) or compact(shapes[name], strides)[0] != shapes[name]:
            text = f"its tensor {name!r} has the strides {strides}: several elements are one"
            raise UnrecoverableError(f"{text} in memory")
    return None, tuple(odd.items())


def _all_settings(module: nn.Module, twin: nn.Module) -> Iterator[tuple[str, Any]]:
    """What was set on a module, on those inside it, and on their tensors, after it was made."""
    for (name, a), (_, b) in zip(module.named_modules(), twin.named_modules(), strict=True):
        if name.startswith("parametrizations"):
            continue
        if name and plain_class(a).__qualname__ != plain_class(b).__qualname__:
            raise UnrecoverableError(f"its {name!r} is a {type(a).__name__}")
        prefix = f"{name}." if name else ""
        yield from ((f"{prefix}{attribute}", value) for attribute, value in _settings(a, b))
        if a.training != module.get_submodule(name.rpartition(".")[0]).training:
            yield f"{prefix}training", a.training  # With all that is inside.
    theirs = named_tensors(twin)
    for name, tensor in named_tensors(module).items():
        made = vars(theirs[name])
        for attribute, value in vars(tensor).items():
            if attribute not in made or not is_same(made[attribute], value):
                yield f"{name}.{attribute}", encode(value)


def _settings(module: nn.Module, twin: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, ours in vars(twin).items():
        theirs = vars(module).get(name, _MISSING)
        if name == "training" or not isinstance(ours, bool | int | float | str | tuple | None):
            continue
        if isinstance(theirs, Tensor | nn.Module) or _equal(ours, theirs):
            continue
        if name == _PADDED and vars(module).get("padding_mode") == "zeros":
            continue  # Which a convolution reads for other modes alone.
        if name.startswith("_") or theirs is _MISSING:
            raise UnrecoverableError(
                f"its attribute {name!r} is {theirs!r}, its constructor makes {ours!r}"
            )
        yield name, encode(theirs)


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) and (type(a) is type(b) or not isinstance(a, bool))


def recover(module: nn.Module, cls: type[nn.Module] | None = None) -> Layer:
    """The constructor call of a module that stays whole.

    Raises:
        UnrecoverableError: the call can't be known, or does not make such a module.
    """
    if is_basic_unit(module):
        cls = cls or type(module)
    if is_stored(module):
        return _stored(module)
    cls = cls or layer_class(module) or type(module)
    try:
        args, kwargs = call_of(module, cls)
        twin = _remake(module, cls, args, kwargs)
        if (ours := _tensors(twin)) != (theirs := _tensors(module)):
            found = _otherwise(module, cls, args, kwargs)
            if found is None:
                odd = [t for t in theirs if t not in ours] or [t for t in ours if t not in theirs]
                raise UnrecoverableError(
                    f"{cls.__qualname__} made again differs in {(odd or theirs)[0]}"
                )
            kwargs, twin = found
        _check_changes(module, twin)
        memory_format, strides = _laid_out(module, twin)
        settings = tuple(_all_settings(module, twin))
        return Layer(
            _public(cls),
            tuple(map(_encoded, args)),
            tuple((name, _encoded(value)) for name, value in kwargs.items()),
            settings=settings,
            parametrizations=parametrizations_of(module),
            frozen=tuple(n for n, p in module.named_parameters() if not p.requires_grad),
            memory_format=memory_format,
            strides=strides,
        )
    except NotEncodableError as error:
        raise UnrecoverableError(str(error)) from error


def _stored(module: nn.Module) -> Layer:
    try:
        return stored_layer(module)
    except NotEncodableError as error:
        raise UnrecoverableError(str(error)) from error


def _public(cls: type) -> str:
    if cls.__module__.startswith("torch.nn.") and getattr(nn, cls.__name__, None) is cls:
        return f"torch.nn.{cls.__name__}"
    return symbol_of(cls).name
