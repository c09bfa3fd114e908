"""The decisions of mutators as an item of a space: stepping runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas_core import Architecture, NasError, Space
from nas_core.architecture import canonical
from nas_core.choice import Choice
from nas_core.errors import LabelConflictError, SpaceTooLargeError
from nas_core.space import Item

from nas_engine_graph.ir import Graph
from nas_engine_graph.mutate.application import Decisions, run
from nas_engine_graph.mutate.mutator import Mutator, unsteady

__all__ = ["Program", "space_of"]

_END = "end"
_FEW = 64


@dataclass
class _Node:
    choice: Choice
    following: dict[str, _Node | str] = field(default_factory=dict)


class Program:
    """The runs of mutators on the graphs of a space, as a tree of the decisions that they ask for.

    Each path is run once and remembered. A run that fails asks for nothing more: its candidate
    fails when it is built, and no other.

    Args:
        mutators: applied one after the other.
        space: of the inline choices.
        graph: makes the graph of one of its architectures.

    Attributes:
        complete: whether what the mutators ask for is looked at for all inline choices, when no
            architecture is given; if they are many, only for the first options.
    """

    choices = None

    def __init__(
        self, mutators: Sequence[Mutator], space: Space, graph: Callable[[Architecture], Graph]
    ) -> None:
        self._mutators, self._space, self._graph = tuple(mutators), space, graph
        self._roots: dict[Architecture, dict[str, _Node | str]] = {}
        self._last: tuple[Architecture, Graph] | None = None
        self.complete = _has_few(space)

    def step(self, values: Mapping[str, Any]) -> Choice | Sequence[Item]:
        inline = self._inline(values)
        if isinstance(inline, Choice):
            return inline
        if not self._space.allows(inline):
            return ()
        found = self._walk(inline, values)
        return found.choice if isinstance(found, _Node) else ()

    def _inline(self, values: Mapping[str, Any]) -> Choice | Architecture:
        """The inline decisions among these, or the one that they lack."""
        pending: list[Item] = list(reversed(self._space.items))
        made: dict[str, Any] = {}
        while pending:
            following = pending[-1].step(made)
            if not isinstance(following, Choice):
                pending.pop()
                pending.extend(reversed(following))
            elif following.label in values:
                made[following.label] = values[following.label]
            elif self.complete:
                return following
            else:
                made[following.label] = following.domain.default
        return Architecture(made)

    def _walk(self, inline: Architecture, values: Mapping[str, Any]) -> _Node | str:
        root = self._roots.setdefault(inline, {})
        if not root:
            self._run(inline, {}, root)
        node = root[""]
        while isinstance(node, _Node) and node.choice.label in values:
            value = values[node.choice.label]
            if (text := canonical(value)) not in node.following:
                if not node.choice.domain.contains(value):
                    raise LabelConflictError(
                        node.choice.label, "another choice of the search", repr(node.choice)
                    )
                self._run(inline, values, root)
            node = node.following[text]
        return node

    def _run(
        self, inline: Architecture, values: Mapping[str, Any], root: dict[str, _Node | str]
    ) -> None:
        def decide(choice: Choice) -> Any:
            value = values.get(choice.label)
            known = choice.label in values and choice.domain.contains(value)
            return choice.domain.find(value) if known else choice.domain.default

        active = self._space.choices
        decisions = Decisions(decide, {x: (active.get(x), inline[x]) for x in inline})
        try:
            if self._last is None or self._last[0] != inline:
                self._last = inline, self._graph(inline)
            run(self._mutators, self._last[1], decisions)
        except LabelConflictError:
            raise
        except NasError:
            pass  # Whoever builds this candidate is told.
        level, key = root, ""
        for choice, value in decisions.made.values():
            node = level.setdefault(key, _Node(choice))
            if not isinstance(node, _Node) or node.choice.label != choice.label:
                raise unsteady(decisions.mutator, choice)
            level, key = node.following, canonical(value)
        level[key] = _END

    def describe(self) -> Any:
        # Without addresses: equal in every process.
        names = [re.sub(r" at 0x[0-9a-f]+", "", repr(mutator)) for mutator in self._mutators]
        return [*names, dict(self.default())]

    def default(self) -> Architecture:
        """The inline and own decisions with the first option everywhere."""
        return Space((*self._space.items, self)).trace(lambda choice: choice.domain.default)


def _has_few(space: Space) -> bool:
    try:
        return space.size(limit=_FEW) <= _FEW
    except SpaceTooLargeError:
        return False


def space_of(mutators: Sequence[Mutator], graph: Graph) -> Space:
    """The space of what mutators decide on one graph."""
    return Space((Program(mutators, Space(()), lambda _: graph),))
