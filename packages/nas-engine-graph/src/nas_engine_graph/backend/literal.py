"""Constants, constructor arguments and tensors as source text, and the imports that they need."""

from __future__ import annotations

import base64
import keyword
import math
import re
import sys
import zlib
from collections import OrderedDict
from dataclasses import replace
from typing import Any, assert_never

import torch

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.importable import is_local, local_class
from nas_engine_graph.ir import (
    Buffer,
    Data,
    Device,
    Dtype,
    Fill,
    Init,
    Layer,
    Layout,
    MemoryFormat,
    Normal,
    Object,
    Parameter,
    Role,
    Size,
    Symbol,
)
from nas_engine_graph.ir.strides import compact

__all__ = ["Imports", "annotation", "in_role", "initial", "literal", "named", "parameter"]

_SMALL = 64
_FORMATS = {"channels_last": 4, "channels_last_3d": 5}
_DEVICE, _NUMBER = re.compile(r"\bDevice\b"), re.compile(r"\bnumber\b")
_FUTURE = re.compile(r"\bFuture\[")
_TYPING = re.compile(r"\b(Any|Dict|List|Optional|Tuple|Union)\b")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")


class Imports:
    """The modules that a source needs."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self.modules: set[str] = set()
        self.names: dict[str, tuple[str, str]] = {}
        self.reserved = reserved
        self.typing: set[str] = set()
        self.unpacks = self.restores = self.loads = False
        self.hidden: frozenset[str] = frozenset()  # Names that the function being written takes.

    def apart(self) -> Imports:
        """The same names, and nothing else yet."""
        made = Imports(self.reserved)
        made.names = dict(self.names)
        return made

    def add(self, other: Imports) -> None:
        """Import what others need, which began with the same names."""
        self.names |= other.names
        self.modules |= other.modules
        self.typing |= other.typing
        self.unpacks |= other.unpacks
        self.restores |= other.restores
        self.loads |= other.loads

    def symbol(self, name: str) -> str:
        """How the source spells a dotted name, once what it needs is imported."""
        if name.startswith("torch.nn.functional."):
            self.modules.add("torch.nn.functional")
            return name if "F" in self.hidden else name.replace("torch.nn.functional", "F", 1)
        if re.fullmatch(r"torch\.nn\.\w+", name):
            return name.replace("torch.nn", "nn", 1)
        if is_local(name):
            return self._local(name)
        module, _, _ = name.rpartition(".")
        if not module or module == "torch":
            return name
        if module == "typing":
            self.typing.add(name.rpartition(".")[2])
            return name.rpartition(".")[2]
        if module in ("math", "collections", "warnings") or module.startswith("torch."):
            self.modules.add(module)
            return name
        return self._imported(name)

    def _local(self, name: str) -> str:
        """A class that a function defines, or a member of it."""
        home, cls = local_class(name) or (name, object)
        known = (local for local, source in self.names.items() if source == ("", home))
        if (local := next(known, None)) is None:
            local = self._fresh(cls.__name__)
            self.names[local] = ("", home)
        return local + name.removeprefix(home)

    @property
    def locals(self) -> list[tuple[str, str]]:
        """The classes that functions define: what the source calls them, and their dotted names."""
        return [(local, name) for local, (home, name) in self.names.items() if not home]

    def _fresh(self, name: str) -> str:
        local, number = name, 0
        while local in self.names or local in self.reserved:
            number += 1
            local = f"{name}_{number}"
        return local

    def _imported(self, name: str) -> str:
        """A name of the user's modules: ``from module import name``, so that nothing hides it."""
        parts = name.split(".")
        if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
            raise UnsupportedModuleError(
                f"no import statement can name {name}: put it into a module of its own"
            )
        end = next(
            (i for i in range(len(parts) - 1, 0, -1) if ".".join(parts[:i]) in sys.modules), 1
        )
        home, first = ".".join(parts[:end]), parts[end]
        for local, source in self.names.items():
            if source == (home, first):
                return ".".join([local, *parts[end + 1 :]])
        local = self._fresh(first)
        self.names[local] = (home, first)
        return ".".join([local, *parts[end + 1 :]])

    def lines(self) -> list[str]:
        """The import statements."""
        modules = {m for m in self.modules if m not in ("torch", "torch.nn.functional")}
        modules |= {"io", "warnings"} if self.loads else set()
        found = [
            f"import {m}" for m in sorted(modules | ({"base64", "zlib"} if self.unpacks else set()))
        ]
        self.typing |= {"Any"} if self.restores or self.loads else set()
        if self.typing:
            found.append(f"from typing import {', '.join(sorted(self.typing))}")
        found.append("import torch")
        if "torch.nn.functional" in self.modules:
            found.append("import torch.nn.functional as F")
        found.append("from torch import Tensor, nn")
        for local, (home, name) in sorted(self.names.items(), key=lambda item: item[1]):
            renamed = "" if local == name else f" as {local}"
            found += [f"from {home} import {name}{renamed}"] if home else []
        return found


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return f'float("{value}")'


def literal(value: Any, imports: Imports) -> str:
    """Source text of a constant, or of a constructor argument."""
    match value:
        case Symbol(name):
            return imports.symbol(name)
        case Dtype(name) | Layout(name) | MemoryFormat(name):
            return f"torch.{name}"
        case Device(name):
            return f'torch.device("{name}")'
        case Normal(mean, deviation):
            return literal((mean, deviation), imports)
        case Data():
            return tensor(value, imports)
        case Parameter():
            return parameter(value, imports)
        case Buffer():
            return initial(value, imports)
        case Object(target, fields):
            imports.restores = True
            words = "".join(f", {name}={literal(field, imports)}" for name, field in fields)
            return f"_restored({imports.symbol(target)}{words})"
        case Layer():
            return call(value, imports)
        case float():
            return _float(value)
        case complex():
            return f"complex({_float(value.real)}, {_float(value.imag)})"
        case Size():
            return f"torch.Size({literal(tuple(value), imports)})"
        case tuple():
            items = ", ".join(literal(item, imports) for item in value)
            return f"({items},)" if len(value) == 1 else f"({items})"
        case list():
            return f"[{', '.join(literal(item, imports) for item in value)}]"
        case OrderedDict():
            imports.modules.add("collections")
            return f"collections.OrderedDict({literal(dict(value), imports)})"
        case dict():
            items = ", ".join(
                f"{literal(k, imports)}: {literal(v, imports)}" for k, v in value.items()
            )
            return f"{{{items}}}"
        case _:
            return repr(value)


def call(layer: Layer, imports: Imports) -> str:
    """The constructor call of a layer."""
    args = [literal(a, imports) for a in layer.args]
    if layer.target == "torch.jit.load":
        imports.loads = True
        return f"_loaded({', '.join(args)})"
    args += [f"{name}={literal(value, imports)}" for name, value in layer.kwargs]
    return f"{imports.symbol(layer.target)}({', '.join(args)})"


def _elements(data: Data) -> torch.Tensor:
    dtype = getattr(torch, data.dtype)
    if not data.content:
        return torch.empty(data.shape, dtype=dtype)
    return (
        torch.frombuffer(bytearray(data.content), dtype=torch.uint8).view(dtype).reshape(data.shape)
    )


def tensor(data: Data, imports: Imports) -> str:
    """An expression that makes the tensor."""
    return in_role(_tensor(data, imports), data.role)


def _tensor(data: Data, imports: Imports) -> str:
    if data.memory is not None:
        length, offset = data.memory
        whole = _row_major(replace(data, shape=(length,)), imports)
        return f"{whole}.as_strided({data.shape}, {data.strides}, {offset})"
    if data.strides is None:
        return _row_major(data, imports)
    sizes, _ = compact(data.shape, data.strides)
    made = _row_major(replace(data, shape=sizes), imports)
    return _laid_out(made, data.dtype, data.shape, data.strides)


def in_role(made: str, role: Role) -> str:
    """An expression that makes of a tensor what it is beside its elements.

    >>> in_role("torch.ones(2)", "frozen")
    'nn.Parameter(torch.ones(2), requires_grad=False)'
    """
    match role:
        case "parameter":
            return f"nn.Parameter({made})"
        case "frozen":
            return f"nn.Parameter({made}, requires_grad=False)"
        case "trained":
            return f"{made}.requires_grad_()"
    return made


def _row_major(data: Data, imports: Imports) -> str:
    elements = _elements(data)
    dtype = f"torch.{data.dtype}"
    if elements.numel() == 0:
        return f"torch.empty({data.shape}, dtype={dtype})"
    if elements.numel() <= _SMALL and not elements.is_complex():
        return f"torch.tensor({literal(elements.tolist(), imports)}, dtype={dtype})"
    if (sequence := _sequence(elements)) is not None:
        shaped = "" if elements.dim() == 1 else f".reshape({tuple(elements.shape)})"
        return f"torch.arange({sequence}, dtype={dtype}){shaped}"
    imports.unpacks = True
    text = base64.b85encode(zlib.compress(data.content, 9)).decode()
    return f"_unpack({text!r}, {dtype}, {data.shape})"


def _sequence(elements: torch.Tensor) -> str | None:
    if elements.dtype not in (torch.int64, torch.int32):
        return None
    flat = elements.reshape(-1)
    first, step = int(flat[0]), int(flat[1] - flat[0])
    if step and bool((flat[1:] - flat[:-1] == step).all()):
        return f"{first}, {first + step * flat.numel()}, {step}"
    return None


def parameter(member: Parameter, imports: Imports) -> str:
    """An expression that makes the parameter."""
    frozen = "" if member.requires_grad else ", requires_grad=False"
    return f"nn.Parameter({initial(member, imports)}{frozen})"


def initial(member: Parameter | Buffer, imports: Imports) -> str:
    """An expression that makes the first value of a parameter or buffer."""
    if member.memory is not None:
        length, offset = member.memory
        whole = _initial(member.init, (length,), member.dtype, imports)
        return f"{whole}.as_strided({member.shape}, {member.strides}, {offset})"
    if member.strides is None:
        return _initial(member.init, member.shape, member.dtype, imports)
    sizes, _ = compact(member.shape, member.strides)
    made = _initial(member.init, sizes, member.dtype, imports)
    return _laid_out(made, member.dtype, member.shape, member.strides)


def _laid_out(made: str, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...]) -> str:
    """An expression that makes the tensor of one with the usual strides, not yet expanded."""
    sizes, strides = compact(shape, strides)
    empty = torch.empty(sizes, device="meta")
    kind = next((k for k, n in _FORMATS.items() if n == len(sizes)), "")
    if strides == empty.stride():
        laid = made
    elif kind and strides == empty.to(memory_format=getattr(torch, kind)).stride():
        laid = f"{made}.contiguous(memory_format=torch.{kind})"
    else:
        laid = f"torch.empty_strided({sizes}, {strides}, dtype=torch.{dtype}).copy_({made})"
    return laid if sizes == shape else f"{laid}.expand({shape})"


def _initial(init: Init, shape: tuple[int, ...], dtype: str, imports: Imports) -> str:
    kind = "" if dtype == "float32" else f", dtype=torch.{dtype}"
    match init:
        case Fill(value) if value in (0, 1) and not isinstance(value, bool):
            return f"torch.{'ones' if value else 'zeros'}({shape or '()'}{kind})"
        case Fill(value):
            return f"torch.full({shape}, {literal(value, imports)}, dtype=torch.{dtype})"
        case Normal(mean, deviation):
            return f"torch.empty({shape}{kind}).normal_({mean!r}, {deviation!r})"
        case Data():
            return tensor(init, imports)
        case _:
            assert_never(init)


def named(kind: str) -> list[str]:
    """The dotted names in a type of the IR that are not torch's."""
    names = [found[0] for found in _DOTTED.finditer(kind)] if "__torch__" not in kind else []
    return [name for name in names if not name.startswith("torch.")]


def annotation(kind: str, imports: Imports) -> str:
    """A type of the IR as an annotation."""
    kind = _DEVICE.sub("torch.device", kind.replace("NoneType", "None"))
    kind = _FUTURE.sub("torch.jit.Future[", kind)
    kind = _NUMBER.sub("Union[int, float, complex]", kind)  # So TorchScript reads it.
    if "__torch__" in kind or "(" in kind:
        return ""
    imports.typing.update(_TYPING.findall(kind))
    return _DOTTED.sub(lambda found: imports.symbol(found[0]), kind)
