"""Apply mutators to a graph: decisions in, the verified graph and its history out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from nas_core.choice import Choice, OneOf
from nas_core.errors import LabelConflictError, OpenChoiceError, Place
from nas_core.expression import Expression
from nas_core.failure import Failed, attempt, failure_text

from nas_engine_graph.ir import Graph, Mutation, problems
from nas_engine_graph.mutate.mutator import Mutator, MutatorError, place_of_mutator

__all__ = ["Decide", "Decisions", "apply", "run"]

Decide: TypeAlias = Callable[[Choice], Any]
_OURS = (str(Path(__file__).parent), str(Path(sys.modules["nas_core"].__file__ or "").parent))


@dataclass
class Decisions:
    """The decisions of one run, in the order of the questions; one for each label.

    Attributes:
        decide: answers what was not asked before.
        known: the inline choices that are active, and their values: the same label means the same
            decision.
        made: label → choice and value, those of ``known`` left out.
    """

    decide: Decide
    known: Mapping[str, tuple[Choice | None, Any]] = field(default_factory=dict)
    made: dict[str, tuple[Choice, Any]] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)

    def __call__(self, candidates: Mapping[str, Any] | Sequence[Any], label: str) -> Any:
        objects = dict(candidates) if isinstance(candidates, Mapping) else None
        place = _caller()
        if any(isinstance(candidate, Expression) for candidate in candidates):
            raise OpenChoiceError(
                f"choose(..., label={label!r}) at {place} has a ValueChoice among its candidates: "
                "it decides at once and can't wait for another choice"
            )
        choice = Choice("choose", OneOf(list(candidates)), label, place, key=None)
        value = self._value(choice)
        self.asked[label] = value
        return value if objects is None else objects[value]

    def _value(self, choice: Choice) -> Any:
        label = choice.label
        if label in self.known:
            first, value = self.known[label]
            if (first and first.domain != choice.domain) or not choice.domain.contains(value):
                raise LabelConflictError(label, repr(first or "an inline choice"), repr(choice))
            return choice.domain.find(value)
        if label not in self.made:
            self.made[label] = choice, self.decide(choice)
        first, value = self.made[label]
        if first.domain != choice.domain:
            raise LabelConflictError(label, repr(first), repr(choice))
        return value


def _caller() -> Place:
    """The line of the mutator that asks."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


def run(mutators: Iterable[Mutator], graph: Graph, decisions: Decisions) -> Graph:
    """The graph after all mutators, each verified.

    Raises:
        LabelConflictError: one label stands for two different decisions.
        MutatorError: a mutator raises, or what it returns is no valid graph.
    """
    for mutator in mutators:
        decisions.asked = {}
        name, before = type(mutator).__name__, graph
        made = attempt(lambda m=mutator, g=graph: m.mutate(g, decisions))  # type: ignore[misc]
        if isinstance(made, Failed):
            if isinstance(made.error, LabelConflictError):
                raise made.error
            reason = f"raised {failure_text(made.error)}"
            raise MutatorError(name, reason, place_of_mutator(mutator)) from made.error
        graph = _checked(made, mutator)
        mutation = Mutation(name, tuple(decisions.asked.items()), before.digest, graph.digest)
        graph = replace(graph, history=(*before.history, mutation))
    return graph


def _checked(made: object, mutator: Mutator) -> Graph:
    name, place = type(mutator).__name__, place_of_mutator(mutator)
    if not isinstance(made, Graph):
        raise MutatorError(name, f"must return a Graph, not {made!r:.100}", place)
    if found := tuple(problems(made)):
        raise MutatorError(name, f"broke the graph: {'; '.join(found)}", place)
    return made


def apply(mutators: Iterable[Mutator], graph: Graph, architecture: Mapping[str, Any]) -> Graph:
    """The graph after all mutators, under the decisions of a valid architecture."""
    decisions = Decisions(lambda choice: choice.domain.find(architecture[choice.label]))
    return run(mutators, graph, decisions)
