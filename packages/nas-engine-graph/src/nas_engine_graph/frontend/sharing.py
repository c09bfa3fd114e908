"""Which objects of a model are one: registered twice, or attributes of several modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.changing import held
from nas_engine_graph.frontend.elements import Elements
from nas_engine_graph.frontend.encode import NotEncodableError
from nas_engine_graph.frontend.objects import fields_of, is_object
from nas_engine_graph.frontend.world import Path
from nas_engine_graph.ir import Builtin, Call, Function, Invoke, Operand, Ref, Tie, is_pure, walk
from nas_engine_graph.ir.placeless import types

__all__ = ["Objects"]

_OBJECT = "object"
"""The type of what objects hold: their methods may change it."""
_CONTAINER = re.compile(r"Optional\[((?:List|Dict)\[.*)\]|((?:List|Dict)\[.*)")


class Objects:
    """The places of all modules, tensors and containers, in the order in which they are found.

    Args:
        functions: all methods and functions of the model.
    """

    def __init__(self, functions: Iterable[Function]) -> None:
        self.ties: list[Tie] = []
        self._places: dict[int, Path] = {}
        self._inside: dict[int, Path] = {}
        self._memory: dict[int, list[tuple[Elements, Path, bool]]] = {}
        self._held: dict[int, tuple[Path, bool]] = {}
        self._kinds: dict[int, str] = {}
        self._anew: set[Path] = set()
        self._alive: list[Any] = []
        self._changed = frozenset({_OBJECT, *(kind for f in functions for kind in _changed(f))})

    def first(self, obj: Any, path: Path, whole: Path | None = None, viewing: bool = False) -> bool:
        """Whether this is the first place of the object, or of its elements; a tie otherwise.

        Args:
            obj: a module, a parameter, a buffer, or what an attribute is.
            path: where it is.
            whole: the module around it whose constructor makes it.
            viewing: whether it may be made as a view of another tensor.

        Raises:
            UnsupportedModuleError: it is a tensor that source can't make.
        """
        if (source := self._places.setdefault(id(obj), path)) == path:
            if isinstance(obj, Tensor) and (view := self._view(obj, path, whole, viewing)):
                self.ties.append(view)
                return False
            return True
        self.ties.append(Tie(path, source))
        return False

    def renewed(self, value: Any, path: Path) -> None:
        """Notes an attribute that is another one in a new model; it may be emptied.

        Raises:
            UnsupportedModuleError: others have the same list or dict.
        """
        self._alive.append(value)
        self._anew.add(path)
        if isinstance(value, list | dict) and not self.first(value, path):
            self._check_kept(self.ties[-1])

    def attribute(self, value: Any, path: Path, kind: str, anew: bool) -> None:
        """Notes what an attribute is, and what is in it.

        Args:
            value: the attribute.
            path: where it is.
            kind: its type, as an annotation.
            anew: whether an override sets it anew.

        Raises:
            UnsupportedModuleError: it shares what source can't share.
        """
        self._alive.append(value)
        kind = _OBJECT if is_object(value) else kind
        self._check_held(value, path, self._may_change(kind))
        if anew:
            self._anew.add(path)
        if isinstance(value, Tensor):
            _check_plain(value, path)
        if isinstance(value, Tensor | list | dict) or is_object(value):
            if (other := self._inside.get(id(value))) is not None:
                self._check_unchanged(path, other, f"{kind} {self._kinds[id(value)]}")
                return
            self._kinds[id(value)] = kind
            if not self.first(value, path):
                self._check_kept(self.ties[-1])
                return
        for item in _items(value):
            self._item(item, path, kind)

    def _item(self, value: Any, path: Path, kind: str) -> None:
        kind = _OBJECT if is_object(value) else kind
        if isinstance(value, Tensor):
            _check_plain(value, path)
            self._view(value, path, None, viewing=False, item=True)
        elif isinstance(value, list | dict) or is_object(value):
            self._check_held(value, path, self._may_change(kind))
            self._kinds[id(value)] = kind
            if (other := self._place(value)) is not None:
                self._check_unchanged(path, other, kind)
                return
            self._inside[id(value)] = path
        for item in _items(value):
            self._item(item, path, kind)

    def whole(self, module: nn.Module, path: Path) -> None:
        """Notes the lists and dicts of a module that stays whole.

        Raises:
            UnsupportedModuleError: others have them, too, and they may change.
        """
        for value, name, changing in held(module):
            where = (*path, *name.split("."))
            if not is_object(value):  # Two may have one logger, or the like.
                self._check_held(value, where, changing)
            if (kind := self._kinds.get(id(value))) is not None:
                self._check_apart(where, self._place(value), changing or self._may_change(kind))
            self._held.setdefault(id(value), (where, changing))

    def _place(self, value: Any) -> Path | None:
        return self._places.get(id(value)) or self._inside.get(id(value))

    def _may_change(self, kind: str) -> bool:
        return any(changed in kind for changed in self._changed)

    def _check_held(self, value: Any, path: Path, changing: bool) -> None:
        if (found := self._held.get(id(value))) is not None:
            other, changed = found
            self._check_apart(path, other, changing or changed)

    def _check_apart(self, path: Path, other: Path | None, changing: bool) -> None:
        """Refuses a list or dict of a module that stays whole and of another one."""
        if changing and other is not None:
            text = f"a list or dict that may change, which is also {_name(path, other)}"
            raise _refusal(path, text)

    def _check_unchanged(self, path: Path, other: Path, kind: str) -> None:
        """Refuses a container inside of another one that two have, if it may be changed."""
        if self._may_change(kind):
            text = "holds a list, dict or object that may change"
            where = "twice" if other == path else f"and so does {_name(path, other)}"
            raise _refusal(path, f"which {text}, {where}")

    def _check_kept(self, tie: Tie) -> None:
        if not self._anew.isdisjoint((tie.target, tie.source)):
            other = _name(tie.target, tie.source)
            raise _refusal(tie.target, f"which is also {other}, and which an override sets anew")

    def _view(
        self, tensor: Tensor, path: Path, whole: Path | None, viewing: bool, item: bool = False
    ) -> Tie | None:
        """How to make the tensor in the memory of another one, if it has its elements there.

        Raises:
            UnsupportedModuleError: it is in an unusual layout, or shares memory otherwise.
        """
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise UnsupportedModuleError(
                f"tensor {path[-1]!r} in an unusual layout", ".".join(path[:-1])
            )
        if tensor.is_meta or not tensor.numel():
            return None
        elements = Elements(tensor)
        beside = self._memory.setdefault(tensor.untyped_storage().data_ptr(), [])
        met = [
            (other, where, makes)
            for other, where, makes in beside
            if not path[:-1] == where[:-1] == whole and elements.meet(other)
        ]
        beside.append((elements, path, not item and not isinstance(tensor, nn.Parameter)))
        if not met:
            return None
        for other, where, makes in met:
            if viewing and makes and elements.within(other):
                return Tie(path, where, elements.seen_from(other))
        raise UnsupportedModuleError(
            f"tensor {path[-1]!r} shares its memory with {'.'.join(met[0][1])!r}",
            ".".join(path[:-1]),
        )


def _items(value: Any) -> Iterator[Any]:
    """What a container holds."""
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
    elif is_object(value):
        with suppress(NotEncodableError):  # Encoding it refuses it, too.
            yield from fields_of(value).values()


def _check_plain(tensor: Tensor, path: Path) -> None:
    if tensor.requires_grad or tensor.grad_fn is not None:
        raise _refusal(path, "a tensor that needs a gradient but is no parameter")
    if type(tensor) is not Tensor:
        raise _refusal(path, f"a tensor of type {type(tensor).__name__}")


def _refusal(path: Path, what: str) -> UnsupportedModuleError:
    return UnsupportedModuleError(f"attribute {path[-1]!r}, {what}", ".".join(path[:-1]))


def _name(path: Path, other: Path) -> str:
    """How to call another attribute in a message about one."""
    return repr(other[-1] if other[:-1] == path[:-1] else ".".join(other))


def _changed(function: Function) -> Iterator[str]:
    """The types of the containers that a function changes, or hands to those who may."""
    kinds = types(function)

    def of(operands: Iterable[Operand]) -> Iterator[str]:
        for operand in operands:
            if isinstance(operand, Ref) and (found := _CONTAINER.fullmatch(kinds[operand.name])):
                yield found[1] or found[2]

    yield from of(function.body.results)
    for node in walk(function.body):
        match node.operation:
            case Builtin() if not is_pure(node):
                yield from of(node.inputs[:1])
            case Call() | Invoke():
                yield from of(node.operands)
