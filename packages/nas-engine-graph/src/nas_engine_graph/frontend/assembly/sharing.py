"""Which objects of a model are one: registered twice, or parts of the attributes of modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor, nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.assembly.changing import held
from nas_engine_graph.frontend.assembly.overlaps import Place, views
from nas_engine_graph.frontend.elements import Memory
from nas_engine_graph.frontend.encode import NotEncodableError
from nas_engine_graph.frontend.objects import fields_of, is_object
from nas_engine_graph.frontend.world import Path
from nas_engine_graph.ir import (
    Builtin,
    Call,
    End,
    Function,
    Invoke,
    Operand,
    Ref,
    Tie,
    is_pure,
    walk,
)
from nas_engine_graph.ir.placeless import types

__all__ = ["Sharing", "parts"]

_OBJECT = "object"
"""The type of what objects hold: their methods may change it."""
_CONTAINER = re.compile(r"Optional\[((?:List|Dict)\[.*)\]|((?:List|Dict)\[.*)")


class Sharing:
    """The places of all modules, tensors, containers and objects, and which of them are one.

    What is registered is added first, so that attributes that hold it are tied to it.

    Args:
        functions: all methods and functions of the model.
        root: the model.
    """

    def __init__(self, functions: Iterable[Function], root: nn.Module) -> None:
        self._ties: dict[End, Tie] = {}
        self._places: dict[int, End] = {id(root): ()}
        self._tensors: list[Place] = []
        self._held: dict[int, tuple[Path, bool]] = {}
        self._kinds: dict[int, str] = {}
        self._anew: set[Path] = set()
        self._alive: list[Any] = []
        self.memories: Mapping[End, Memory] = {}
        self._changed = frozenset({_OBJECT, *(kind for f in functions for kind in _changed(f))})

    def ties(self) -> Mapping[End, Tie]:
        """What has to be tied, by its place.

        Raises:
            UnsupportedModuleError: a tensor shares memory so that source can't make it.
        """
        for tie in self._ties.values():
            self._check_kept(tie)
        # Others may be tied to what is a view.
        found, self.memories = views(self._tensors)
        return {**found, **self._ties}

    def first(self, obj: Any, path: End, whole: Path | None = None, own: bool = False) -> bool:
        """Whether this is the first place of the object; a tie otherwise.

        Args:
            obj: a module, a parameter, a buffer, or a part of an attribute.
            path: where it is.
            whole: the module around it whose constructor makes it, and what is one in it.
            own: whether that is of a class of the user's.
        """
        if (source := self._places.setdefault(id(obj), path)) == path:
            self._alive.append(obj)
            if isinstance(obj, Tensor):
                self._tensors.append(Place(obj, path, whole, own))
            return True
        if whole is None or source[: len(whole)] != whole:
            self._ties[path] = Tie(path, source)
        return False

    def renewed(self, value: Any, path: Path) -> None:
        """Notes an attribute that is another one in a new model; it may be emptied."""
        self._anew.add(path)
        if isinstance(value, list | dict):
            self.first(value, path)

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
        if anew:
            self._anew.add(path)
        self._part(value, path, path, kind)

    def _part(self, value: Any, at: End, path: Path, kind: str) -> None:
        kind = _OBJECT if is_object(value) else kind
        if isinstance(value, Tensor | list | dict) or is_object(value):
            self._check_held(value, path, self._may_change(kind))
            self._kinds.setdefault(id(value), kind)
            if not self.first(value, at):
                return
        with suppress(NotEncodableError):  # Encoding it refuses it, too.
            for step, item in parts(value):
                self._part(item, (*at, step), path, kind)

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
                other = self._places[id(value)]
                self._check_apart(where, other, changing or self._may_change(kind))
            self._held.setdefault(id(value), (where, changing))

    def _may_change(self, kind: str) -> bool:
        return any(changed in kind for changed in self._changed)

    def _check_held(self, value: Any, path: Path, changing: bool) -> None:
        if (found := self._held.get(id(value))) is not None:
            other, changed = found
            self._check_apart(path, other, changing or changed)

    def _check_apart(self, path: Path, other: End, changing: bool) -> None:
        """Refuses a list or dict of a module that stays whole and of another one."""
        if changing:
            text = f"a list or dict that may change, which is also {_name(path, other)}"
            raise _refusal(path, text)

    def _check_kept(self, tie: Tie) -> None:
        for path in self._anew:
            if path in (tie.target[: len(path)], tie.source[: len(path)]):
                inner = tie.target[: len(path)] == path
                here, other = (path, tie.source) if inner else (tie.target, tie.source)
                text = f"which is also {_name(here, other)}, and which an override sets anew"
                raise _refusal(here, text)


def parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a container or an object holds, each with the last step of its place.

    Raises:
        NotEncodableError: an object consists of more than its attributes.

    >>> list(parts({"a": [2]}))
    [(('a',), [2])]
    """
    if isinstance(value, dict):
        yield from (((key,), item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from (((index,), item) for index, item in enumerate(value))
    elif is_object(value):
        yield from fields_of(value).items()


def _refusal(path: End, what: str) -> UnsupportedModuleError:
    names = [step for step in path if isinstance(step, str)]
    return UnsupportedModuleError(f"attribute {names[-1]!r}, {what}", ".".join(names[:-1]))


def _name(path: End, other: End) -> str:
    """How to call another attribute in a message about one."""
    return repr(other[-1] if other[:-1] == path[:-1] else ".".join(map(str, other)))


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
