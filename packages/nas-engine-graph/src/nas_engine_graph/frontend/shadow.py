"""A shadow of a module tree for TorchScript to look at: the user's modules are never touched.

Modules that stay whole are replaced by stand-ins that only have the signature, and flags become
constants, so that TorchScript follows the branch that the module really takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from types import MethodType
from typing import Any, get_type_hints

import torch
import torch.jit._recursive as recursive
from torch import Tensor, nn

from nas_engine_graph.defined import defined
from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.encode import is_read_plain
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.rewriting.parts import argument_type, record_in
from nas_engine_graph.frontend.source.calling import as_forward, function_of, own_call
from nas_engine_graph.frontend.source.methods import assigned, literals
from nas_engine_graph.frontend.stored import is_stored

__all__ = ["has_simple_signature", "is_stand_in", "shadow"]

_STAND_INS = "stand_ins"
_FLAGS = (bool, str)
_READABLE = (bool, int, float, str, tuple)
_SIMPLE = (Tensor, Tensor | None, bool, bool | None, int, int | None, float, list[int] | None)
_RESULTS = (Tensor, tuple[Tensor, Tensor | None])
_PAIR = tuple[Tensor, Tensor]


def _constants(module: nn.Module, written: frozenset[str]) -> list[str]:
    declared = list(getattr(module, "__constants__", ()))
    flags = [
        name
        for name, value in vars(module).items()
        if (type(value) in _FLAGS or is_read_plain(module, name)) and name != "training"
    ]
    flags += [name for name in _of_class(type(module)) if name not in vars(module)]
    flags += [name for name in literals(type(module)) if type(vars(module).get(name)) is int]
    return [*declared, *(f for f in flags if f not in written and f not in declared)]


def _of_class(cls: type) -> Iterator[str]:
    """The attributes of a class that are constants: TorchScript only finds those of instances."""
    for base in cls.__mro__:
        if issubclass(base, nn.Module) and not is_of_torch(base):
            for name in vars(base):
                if not name.startswith("__") and _is_constant(getattr(cls, name)):
                    yield name


def _is_constant(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return type(value) in (bool, int, float, str)


def _annotations(module: nn.Module, written: frozenset[str]) -> Mapping[str, Any]:
    """The annotations of a class, also where its file has them as text.

    Of a tensor that may be None, and that no method sets, it is known whether it is there.
    """
    script: Any = recursive
    raw = script.get_annotations(type(module))
    hints = _hints(type(module)) if raw else {}
    tensors = {**module._parameters, **module._buffers}
    fixed = {name: Tensor if found is not None else None for name, found in tensors.items()}
    kinds = {name: hints.get(name, kind) for name, kind in raw.items()}
    return kinds | {name: fixed[name] for name in fixed.keys() & raw.keys() - written}


def shadow(module: nn.Module, whole: Callable[[nn.Module], bool]) -> nn.Module:
    """A copy of the tree that shares all tensors; where ``whole`` holds, a stand-in."""
    written = assigned({type(m) for m in module.modules()})
    made: dict[int, nn.Module] = {}

    def copy(original: nn.Module) -> nn.Module:
        if id(original) not in made:
            if is_stored(original):
                made[id(original)] = original
            elif whole(original):
                made[id(original)] = _stand_in(original)
            else:
                made[id(original)] = _copied(original)
        return made[id(original)]

    def _copied(original: nn.Module) -> nn.Module:
        twin = object.__new__(type(original))
        twin.__dict__.update(original.__dict__)
        for name in ("_parameters", "_buffers"):
            twin.__dict__[name] = dict(original.__dict__[name])
        cls: Any = type(original)
        if own_call(cls) is not None:
            twin.__dict__["forward"] = MethodType(as_forward(cls), twin)
        if not is_of_torch(type(original)):
            twin.__dict__["__constants__"] = _constants(original, written)
            twin.__dict__.update(__annotations__=_annotations(original, written))
        twin.__dict__["_modules"] = {
            name: None if child is None else copy(child)
            for name, child in original._modules.items()
        }
        return twin

    return copy(module)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}


def _called(cls: type[nn.Module]) -> Any:
    """What a call of a module runs, as far as that is known."""
    with suppress(UnsupportedModuleError):
        return function_of(cls, "forward")
    return cls.forward


@lru_cache(maxsize=4096)
def _stand_in_class(cls: type[nn.Module], pair: bool) -> type[nn.Module]:
    """A class whose ``forward`` has the signature of the original's, and no content."""
    forward = inspect.unwrap(_called(cls))
    hints = _hints(inspect.unwrap(cls.forward)) | _hints(forward)
    scope: dict[str, Any] = {
        "torch": torch,
        "Result": _PAIR if pair else hints.get("return", Tensor),
    }
    if (record := record_in(scope["Result"])) is not None:
        scope["Result"] = Any
    declared, passed = ["self"], []
    for index, parameter in enumerate(list(inspect.signature(forward).parameters.values())[1:]):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue  # TorchScript has no calls that give more.
        scope[f"Type{index}"] = argument_type(hints.get(parameter.name, Tensor))
        default = ""
        if parameter.default is not parameter.empty:
            scope[f"default{index}"] = parameter.default
            default = f" = default{index}"
        declared.append(f"{parameter.name}: Type{index}{default}")
        passed.append(parameter.name)
    source = (
        f"def forward({', '.join(declared)}) -> Result:\n"
        f"    return self.whole({', '.join(passed)})\n"
        "@torch.jit.ignore\n"
        f"def whole({', '.join(declared)}) -> Result:\n"
        "    raise RuntimeError()\n"
    )
    members: dict[str, Any] = {
        "forward": defined("forward", source, scope, "stand-in"),
        "whole": scope["whole"],
        "__module__": _STAND_INS,
    }
    members["stands_for"] = cls
    members["__dir__"] = lambda _: ["forward", "whole"]  # TorchScript asks what each of them is.
    if record is not None:
        members["gives"] = record
    return type(cls.__name__, (nn.Module,), members)


def _stand_in(original: nn.Module) -> nn.Module:
    """A module that can be called like the original, and read like it, and does nothing."""
    made: Any = _stand_in_class
    cls: type[nn.Module] = made(type(original), bool(getattr(original, "return_indices", False)))
    twin: nn.Module = object.__new__(cls)
    nn.Module.__init__(twin)
    twin.__dict__["training"] = original.training
    for name in ("_parameters", "_buffers"):
        twin.__dict__[name] = dict(original.__dict__[name])
    for name, value in vars(original).items():
        if isinstance(value, _READABLE) and not name.startswith("_") and name != "training":
            twin.__dict__[name] = value
    return twin


def is_stand_in(module: nn.Module) -> bool:
    """Whether a module of the shadow stands for one that stays whole."""
    return type(module).__module__ == _STAND_INS


def has_simple_signature(module: nn.Module) -> bool:
    """Whether the types of the layer's ``forward`` are known without compiling it."""
    simple: Callable[[type], bool] = _is_simple
    return simple(type(module))


@lru_cache(maxsize=4096)
def _is_simple(cls: type[nn.Module]) -> bool:
    forward = inspect.unwrap(_called(cls))
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        return False
    hints = _hints(forward)
    undeclared = any(p.default is None and p.name not in hints for p in parameters)
    return (
        not undeclared
        and hints.get("return", Tensor) in _RESULTS
        and all(hints.get(p.name, Tensor) in _SIMPLE for p in parameters)
    )
