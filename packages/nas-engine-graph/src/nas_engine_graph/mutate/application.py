"""Apply mutators to a graph: decisions in, the verified graph and its history out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from nas_core.choice import Choice, OneOf, caller
from nas_core.errors import LabelConflictError, OpenChoiceError
from nas_core.expression import Expression
from nas_core.failure import Failed, attempt, failure_text

from nas_engine_graph.ir import Graph, Mutation, problems
from nas_engine_graph.mutate.mutator import Mutator, MutatorError, place_of_mutator, unsteady
from nas_engine_graph.mutate.unknown import unknown

__all__ = ["Decide", "Decisions", "apply", "run"]

Decide: TypeAlias = Callable[[Choice], Any]
_OURS = (__name__, "nas_core.failure")


@dataclass
class Decisions:
    """The decisions of one run, in the order of the questions; one for each label.

    Attributes:
        decide: answers what was not asked before.
        known: the inline choices that are active, and their values: the same label means the same
            decision.
        made: label → choice and value, those of ``known`` left out.
        asked: label → value, of the mutator that runs.
        mutator: the one that runs, or has run last.
    """

    decide: Decide
    known: Mapping[str, tuple[Choice | None, Any]] = field(default_factory=dict)
    made: dict[str, tuple[Choice, Any]] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    mutator: Mutator | None = None

    def __call__(self, candidates: Mapping[str, Any] | Sequence[Any], label: str) -> Any:
        objects = dict(candidates) if isinstance(candidates, Mapping) else None
        place = caller()
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


def run(mutators: Iterable[Mutator], graph: Graph, decisions: Decisions) -> Graph:
    """The graph after all mutators, each verified.

    Raises:
        LabelConflictError: one label stands for two different decisions.
        MutatorError: a mutator raises, or what it returns is no valid graph.
    """
    for mutator in mutators:
        decisions.asked = {}
        name, before = type(mutator).__name__, graph
        decisions.mutator = mutator
        made = attempt(lambda m=mutator, g=graph: m.mutate(g, decisions))  # type: ignore[misc]
        if isinstance(made, Failed):
            if isinstance(made.error, LabelConflictError | MutatorError):
                raise made.error
            reason = f"raised {_raised(made.error)}"
            raise MutatorError(name, reason, place_of_mutator(mutator)) from made.error
        graph = _checked(before, made, mutator)
        mutation = Mutation(name, tuple(decisions.asked.items()), before.digest, graph.digest)
        graph = replace(graph, history=(*before.history, mutation))
    return graph


def _raised(error: BaseException) -> str:
    """What a mutator has raised; a line of ours is none of it."""
    entry = error.__traceback__
    while entry is not None and str(entry.tb_frame.f_globals.get("__name__")) in _OURS:
        entry = entry.tb_next
    return failure_text(error.with_traceback(entry))


def _checked(before: Graph, made: object, mutator: Mutator) -> Graph:
    name, place = type(mutator).__name__, place_of_mutator(mutator)
    if not isinstance(made, Graph):
        raise MutatorError(name, f"must return a Graph, not {made!r:.100}", place)
    if found := (*problems(made), *unknown(made, before)):
        raise MutatorError(name, f"broke the graph: {'; '.join(found)}", place)
    return made


def apply(mutators: Iterable[Mutator], graph: Graph, architecture: Mapping[str, Any]) -> Graph:
    """The graph after all mutators, under the decisions of a valid architecture."""

    def decide(choice: Choice) -> Any:
        if choice.label not in architecture:
            raise unsteady(decisions.mutator, choice)
        return choice.domain.find(architecture[choice.label])

    decisions = Decisions(decide)
    return run(mutators, graph, decisions)
