"""A constructor that decides while it runs, as an item of a space: stepping runs it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice, Key
from nas_core.construction import Open, running
from nas_core.errors import NasError
from nas_core.expression import Need, settled
from nas_core.failure import Failed, attempt
from nas_core.model.uses import Uses
from nas_core.space import Constraint, Item
from nas_core.structure import map_values
from nas_core.wrapper import Record

__all__ = ["Program", "Traced", "fresh_arguments"]


@dataclass(frozen=True)
class Traced:
    """What one run of a constructor leaves open.

    Attributes:
        labels: creation key → label of the choices that were given none.
        uses: which creations the architectures use.
    """

    items: Sequence[Item]
    constraints: Sequence[Constraint]
    labels: Mapping[Key, str]
    uses: Uses


_NOTHING = Traced((), (), {}, Uses())


@dataclass
class _Node:
    choice: Choice
    following: dict[str, _Node | Traced] = field(default_factory=dict)


class Program:
    """The runs of a constructor, as a tree of the decisions that ``choose`` asked for.

    Each path is run once and remembered; the runs draw no random numbers from the caller's
    generator. A run in which the user's code raises asks for nothing more: its candidate fails when
    it is built, and no other.
    """

    choices = None

    def __init__(
        self,
        record: Record,
        trace_model: Callable[[torch.nn.Module], Traced],
        model: torch.nn.Module,
    ) -> None:
        self._record = record
        self._trace_model = trace_model
        self._root: dict[str, _Node | Traced] = {}
        if record.nested:  # Alone, its choices stand at other positions.
            self._run({})
        else:
            self._remember(record.chosen, trace_model(model))

    def step(self, values: Mapping[str, Value]) -> Choice | Sequence[Item]:
        found = self.walk(values)
        return found if isinstance(found, Choice) else found.items

    def walk(self, values: Mapping[str, Value]) -> Choice | Traced:
        """The run under these decisions, or the decision that it lacks."""
        node = self._root[""]
        while isinstance(node, _Node):
            if node.choice.label not in values:
                return node.choice
            value = canonical(values[node.choice.label])
            if value not in node.following:
                self._run(values, failing=_NOTHING)
            node = node.following[value]
        return node

    def allows(self, values: Mapping[str, Value]) -> bool:
        """Whether the constraints of the modules that this run has made hold."""
        found = self.walk(values)
        return isinstance(found, Choice) or all(c.holds(values) for c in found.constraints)

    def describe(self) -> Value:
        found = self.walk(self.default())
        items = [] if isinstance(found, Choice) else [x.describe() for x in found.items]
        return [self._record.cls.__qualname__, dict(self.default()), items]

    def default(self) -> Mapping[str, Value]:
        """The decisions of the first run."""
        return {label: value for label, (_, value) in self._record.chosen.items()}

    def _run(self, values: Mapping[str, Value], failing: Traced | None = None) -> None:
        """Run the constructor; what stands for a run that raises is to be said, or it is raised."""

        def decide(choice: Choice) -> Value:
            value = values.get(choice.label)
            if choice.label in values and choice.domain.contains(value):
                return choice.domain.find(value)
            return choice.domain.default

        session = Open(decide)
        args, kwargs = fresh_arguments(self._record.args, self._record.kwargs)
        with torch.random.fork_rng(devices=[]), running(session):
            made = attempt(lambda: self._record.cls(*args, **kwargs))
        if not isinstance(made, Failed):
            self._remember(session.chosen, self._trace_model(made))
        elif failing is None or isinstance(made.error, NasError | Need):
            raise made.error
        else:
            self._remember(session.chosen, failing)

    def _remember(self, chosen: Mapping[str, tuple[Choice, Value]], end: Traced) -> None:
        level, key = self._root, ""
        for choice, value in chosen.values():
            node = level.setdefault(key, _Node(choice))
            if not isinstance(node, _Node) or node.choice.label != choice.label:
                raise self._unsteady(f"it asked for {choice}")
            level, key = node.following, canonical(value)
        if isinstance(before := level.get(key), _Node):
            raise self._unsteady(f"it did not ask for {before.choice}")
        level[key] = end

    def _unsteady(self, instead: str) -> RuntimeError:
        return RuntimeError(
            f"{self._record.cls.__qualname__}.__init__ makes other decisions when it "
            f"runs again under the same ones: {instead}"
        )


def fresh_arguments(
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    values: Mapping[str, Value] | None = None,
) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments with modules and tensors copied: models made of them share no weights.

    With the values of an architecture, choices among the arguments know theirs; an inactive one has
    its first option, which nothing will use.
    """
    memo: dict[int, object] = {}

    def fresh(value: object) -> object:
        if isinstance(value, (torch.nn.Module, torch.Tensor)):
            return copy.deepcopy(value, memo)
        return value if values is None else settled(value, values)

    return map_values((args, dict(kwargs)), fresh)  # type: ignore[no-any-return]
