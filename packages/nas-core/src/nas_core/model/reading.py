"""What an architecture uses, and whether it is one: both in one walk, for each candidate anew.

Most builds are of architectures not seen before. To ask the space whether one is a point of it, and
then the items which creations it uses, is to look at dozens of objects for each decision. So the
walk is laid out once: for each choice, what its options lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice, Key, OneOf
from nas_core.model.uses import Creations
from nas_core.space import Blocks, Decision, Item
from nas_core.structure import ATOMS

__all__ = ["Reader", "reader"]

_EXACT = ATOMS - {float}
"""Types whose equal values are the same: 0.0 equals -0.0, which is another option."""

_NOTHING: tuple[str | None, Value] = (None, None)


@dataclass(frozen=True, slots=True)
class _Way:
    """What stands behind an option: creations, and further forks, the last one first."""

    option: Value
    used: frozenset[Key]
    forks: tuple[_Fork, ...]


@dataclass(frozen=True, slots=True)
class _Fork:
    """A choice, and the ways of its options: those that are not exact by their canonical text."""

    label: str
    ways: Mapping[Value, _Way]
    others: Mapping[str, _Way]
    has: Callable[[Value], bool]

    def way(self, value: Value) -> _Way | None:
        """The way of a value that stands for no exact option; None if it is no option."""
        if not self.has(value):
            return None
        return self.others[canonical(value)] if self.others else _NO_WAY


_NO_WAY = _Way(None, frozenset(), ())


@dataclass(frozen=True)
class Reader:
    """Reads architectures of one space.

    Attributes:
        creations: those that not every architecture uses.
    """

    creations: frozenset[Key]
    first: _Way

    def unused(self, values: Mapping[str, Value]) -> frozenset[Key] | None:
        """The creations that an architecture does not use.

        None if it is not just the decisions of the space in their order; constraints apart.
        """
        given = iter(values.items())
        decided: dict[str, Value] = {}
        used = [self.first.used]
        pending = [*self.first.forks]
        while pending:
            fork = pending.pop()
            if (label := fork.label) in decided:
                value = decided[label]
            else:
                name, value = next(given, _NOTHING)
                if name != label:
                    return None
                decided[label] = value
            kind = type(value)
            way = fork.ways.get(value) if kind in _EXACT else None
            if way is None or type(way.option) is not kind:
                way = fork.way(value)
                if way is None:
                    return None
            used.append(way.used)
            pending += way.forks
        return self.creations.difference(*used) if len(decided) == len(values) else None


def reader(items: Sequence[Item], creations: frozenset[Key]) -> Reader | None:
    """The reader of a space, creations among its items; None unless one choice decides each."""
    first = _way(None, items)
    return None if first is None else Reader(creations, first)


def _way(option: Value, items: Iterable[Item]) -> _Way | None:
    used = frozenset[Key]().union(*(item.keys for item in items if isinstance(item, Creations)))
    forks = [_fork(item) for item in items if not isinstance(item, Creations)]
    known = [fork for fork in reversed(forks) if fork is not None]
    return _Way(option, used, tuple(known)) if len(known) == len(forks) else None


def _fork(item: Item) -> _Fork | None:
    if isinstance(item, Decision):
        choice: Choice | None = item.choice
    else:
        choice = item.decided_by if isinstance(item, Blocks) else None
    if choice is None:
        return None
    if not isinstance(choice.domain, OneOf):  # A choice of inputs: it leads nowhere.
        leads_on = not isinstance(item, Decision) or any(item.branches.values())
        return None if leads_on else _Fork(choice.label, {}, {}, choice.domain.has)
    ways = [_way(value, _led(item, {choice.label: value})) for value in choice.domain.options()]
    known = [way for way in ways if way is not None]
    if len(known) < len(ways):
        return None
    exact = {way.option: way for way in known if type(way.option) in _EXACT}
    texts = {canonical(way.option): way for way in known}
    return _Fork(choice.label, exact, texts, choice.domain.has)


def _led(item: Item, values: Mapping[str, Value]) -> Sequence[Item]:
    following = item.step(values)
    assert not isinstance(following, Choice)
    return following
