"""Overrides of ``nn.Module``'s machinery: TorchScript ignores them, eager code does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.layers.hooks import own_hooks
from nas_engine_graph.frontend.layers.layers import is_layer
from nas_engine_graph.frontend.layers.parametrizations import has_parametrization
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.overriding.overrides import CLEARED, LOADING, Override, overrides
from nas_engine_graph.frontend.overriding.saving import saves_as_usual
from nas_engine_graph.frontend.overriding.trials import Trials, attributes_of, twin_of
from nas_engine_graph.frontend.source.calling import as_forward, own_call
from nas_engine_graph.frontend.source.harmless import SHOWN
from nas_engine_graph.frontend.source.methods import assigned
from nas_engine_graph.frontend.source.sources import NOT_IN_A_FILE, has_source
from nas_engine_graph.frontend.stored import is_stored
from nas_engine_graph.ir import RESETTING, Reset

__all__ = ["check_machinery", "pinned", "resets", "versioned"]

_MACHINERY = (
    "_call_impl", "requires_grad_", "state_dict", "get_extra_state",
    "set_extra_state", "named_parameters", "parameters", "zero_grad",
)  # fmt: skip


def check_machinery(module: nn.Module, path: str) -> None:
    """Refuses a module whose class or hooks change what calling or saving it does."""
    cls: Any = type(module)
    if is_stored(module):
        return
    if (construct := _unusual(module)) is not None:
        raise UnsupportedModuleError(construct, path)
    if own_call(cls) is not None:
        try:
            as_forward(cls)
        except UnsupportedModuleError as error:
            raise UnsupportedModuleError(error.construct, path, error.place) from error
    overrides(cls, path)
    if has_parametrization(module):
        return
    for inner in module.modules() if is_layer(module) else [module]:
        for kind, _ in own_hooks(inner):
            raise UnsupportedModuleError(f"a hook ({kind})", path)


def _unusual(module: nn.Module) -> str | None:
    """What of a module can't be converted, whatever its methods do."""
    cls: Any = type(module)
    if isinstance(module, LazyModuleMixin) and hasattr(module, "_initialize_hook"):
        return f"a {cls.__name__}, which gets its sizes from its first input"
    if "forward" in vars(module) and (is_layer(module) or own_call(cls) is not None):
        return f"a {cls.__name__} whose forward was replaced"
    if not is_layer(module) and not has_source(cls.forward):
        return f"the source of {cls.__qualname__!r} {NOT_IN_A_FILE}"
    if (name := _overridden(cls)) is not None:
        return f"{cls.__name__} overrides nn.Module.{name}"
    for name in (*RESETTING, *_MACHINERY):
        if name in vars(module):
            return f"a {cls.__name__} whose {name} was replaced"
    if not saves_as_usual(module):
        return f"{cls.__name__} overrides nn.Module._save_to_state_dict, which saves something else"
    return None


@lru_cache(maxsize=4096)
def _overridden(cls: Any) -> str | None:
    for name in _MACHINERY:
        member = getattr(cls, name, None)
        if member is not getattr(nn.Module, name, None) and not _of_torch(cls, name):
            return name
    return None


def _of_torch(cls: type, name: str) -> bool:
    owner = next((base for base in cls.__mro__ if name in vars(base)), object)
    return is_of_torch(owner)


def _flags(module: nn.Module) -> Iterator[tuple[str, bool, tuple[bool, ...]]]:
    for name, child in module.named_modules():
        yield name, child.training, tuple(p.requires_grad for p in child.parameters(recurse=False))


def resets(module: nn.Module, path: str) -> tuple[Reset, ...]:
    """The attributes that the module sets anew when PyTorch calls what it overrides."""
    return tuple(
        _reset(module, path, override, reset)
        for override in overrides(type(module), path)
        for reset in override.resets
    )


def _reset(module: nn.Module, path: str, override: Override, reset: Reset) -> Reset:
    name, text = reset.attribute, f"{_name(module, override)}, which"
    if any(name in names for names in (module._parameters, module._buffers, module._modules)):
        raise UnsupportedModuleError(f"{text} sets the registered {name!r}", path, override.place)
    if reset.value is not CLEARED:
        return reset
    kind = type(vars(module).get(name))
    if kind is not list and kind is not dict:
        text += f" clears {name!r}, a {kind.__name__}"
        raise UnsupportedModuleError(text, path, override.place)
    return replace(reset, value=kind())


def _name(module: nn.Module, override: Override) -> str:
    return f"{type(module).__name__} overrides nn.Module.{override.method}"


def pinned(module: nn.Module, path: str) -> tuple[tuple[str, ...], ...]:
    """The submodules that an overridden ``train`` keeps in eval mode; ``()`` is the module."""
    written = assigned({type(module)})
    for override in overrides(type(module), path):
        if override.more is None or override.method in LOADING:
            continue
        why = "" if override.method == "train" else ", and does more than set attributes"
        if read := sorted(override.more & written - SHOWN):
            why = f", and reads {read[0]!r}, which changes"
        try:
            if why:
                raise _UnclearError
            return _pinned(module)
        except _UnclearError as error:
            text = f"{_name(module, override)}{why}"
            raise UnsupportedModuleError(text, path, override.place) from error
    return ()


def versioned(module: nn.Module, path: str, trials: Trials) -> bool:
    """Whether the module makes others of itself for weights of other versions than its own.

    Raises:
        UnsupportedModuleError: it does so for its own weights, or others of what it is given.
    """
    found = [o for o in overrides(type(module), path) if o.method in LOADING]
    if found and not trials.loads_what_it_saves(module):
        text = f"{_name(module, found[0])}, which makes others of the weights that it saves"
        raise UnsupportedModuleError(text, path, found[0].place)
    return any(o.versioned for o in found)


class _UnclearError(Exception):
    """An override does something else than to keep submodules in eval mode."""


def _pinned(module: nn.Module) -> tuple[tuple[str, ...], ...]:
    before = list(_flags(module))
    try:
        twin = twin_of(module)
        others = attributes_of(twin)
        twin.train(True)
        on = {name: training for name, training, _ in _flags(twin)}
        twin.train(False)
        off = {name: training for name, training, _ in _flags(twin)}
    except Exception as error:
        # The user's method runs here: whatever it raises means that it can't be copied.
        raise _UnclearError from error
    after = [grads for _, _, grads in _flags(module)]
    if after != [grads for _, _, grads in before]:
        for (_, child), (_, _, grads) in zip(module.named_modules(), before, strict=True):
            for parameter, needed in zip(child.parameters(recurse=False), grads, strict=True):
                parameter.requires_grad_(needed)
        raise _UnclearError
    if any(off.values()) or attributes_of(twin) != others:
        raise _UnclearError
    if not any(on.values()):
        return ((),)
    down = [name for name, training in on.items() if not training]
    tops = [n for n in down if not any(n.startswith(f"{m}.") for m in down)]
    if not on[""] or any(
        not on[n] != any(n == m or n.startswith(f"{m}.") for m in tops) for n in on
    ):
        raise _UnclearError
    return tuple(tuple(name.split(".")) for name in tops)
