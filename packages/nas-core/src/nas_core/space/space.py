"""``Space``: the conditional tree of all choices of a model space, and what can be asked of it."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nas_core.architecture import Architecture, Value, canonical
from nas_core.choice import Choice
from nas_core.errors import (
    ExhaustedSpaceError,
    InvalidArchitectureError,
    LabelConflictError,
    NasError,
    nearest,
)
from nas_core.expression import expressions_in
from nas_core.space import moves, render
from nas_core.space.conditions import Condition, Reached, condition_text, conditions, reached
from nas_core.space.constraint import Constraint
from nas_core.space.count import count
from nas_core.space.items import Item, decides, items_of, trace

__all__ = ["Space"]

_ATTEMPTS = 10_000
_END = object()  # None is an option like any other.


@dataclass(frozen=True, eq=False)
class Space:
    """All architectures of a model space.

    >>> import nas_core.nn as nn
    >>> space = Space.of(nn.LayerChoice({
    ...     "conv": nn.Conv2d(1, 4, nn.ValueChoice([3, 5], label="kernel")),
    ...     "skip": nn.Identity(),
    ... }, label="body"))
    >>> space.size(), [dict(arch) for arch in space.enumerate()]
    (3, [{'body': 'conv', 'kernel': 3}, {'body': 'conv', 'kernel': 5}, {'body': 'skip'}])
    >>> space.conditions["kernel"]
    ({'body': ('conv',)},)
    >>> print(space)
    Space of 3 architectures
      body    'conv' | 'skip'
      kernel  3 | 5            if body = conv
    """

    items: Sequence[Item]
    constraints: Sequence[Constraint] = ()

    @classmethod
    def of(cls, *parts: object) -> Space:
        """The space of a model, or of several things together, such as a model and its evaluator.

        Args:
            parts: modules with open choices; spaces; any other objects, whose attributes may
                hold ``ValueChoice`` expressions.

        Raises:
            LabelConflictError: a label stands for different options in two places.
            TypeError: a class was given instead of a model.
        """
        found = [_scan(part) for part in parts]
        space = cls(
            tuple(item for part in found for item in part.items),
            tuple(constraint for part in found for constraint in part.constraints),
        )
        _check_labels(space.items)
        return space

    # What there is to decide.

    @cached_property
    def _reached(self) -> Reached:
        return reached(self.items)

    @property
    def complete(self) -> bool:
        """Whether ``choices`` are all: where ``choose`` has too many ways, only the nearest to the
        first options are looked at.
        """
        return self._reached.complete

    @cached_property
    def choices(self) -> Mapping[str, Choice]:
        """All choices by label, in program order."""
        found: dict[str, Choice] = {}
        for choice, _ in self._reached.paths:
            found.setdefault(choice.label, choice)
        return found

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all choices, in program order."""
        return tuple(self.choices)

    @cached_property
    def options(self) -> Mapping[str, tuple[Value, ...]]:
        """Label → all values that the choice may take."""
        found: dict[str, dict[str, Value]] = {label: {} for label in self.choices}
        for choice in {id(c): c for c, _ in self._reached.paths}.values():
            for option in choice.domain.options():
                found[choice.label].setdefault(canonical(option), option)
        return {label: tuple(options.values()) for label, options in found.items()}

    @cached_property
    def conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """Label → the alternatives under which the choice is active; empty if it always is.

        Where ``choose`` has too many ways to tell, the labels that it asks for are left out.
        """
        known = {x: found for x, found in self.options.items() if x not in self._reached.unsure}
        return conditions([path for path in self._reached.paths if path[0].label in known], known)

    def size(self, limit: int | None = None) -> int:
        """The exact number of architectures.

        Independent parts are multiplied, not listed. Where decisions are made by ``choose``, or
        a constraint names no labels, each combination has to be visited.

        Args:
            limit: how many branches may be visited; 10 million if it is None, or 20 thousand
                where the model's constructor has to run for each.

        Raises:
            SpaceTooLargeError: more are needed.
        """
        if limit is None:
            runs = any(item.choices is None for item in self.items)
            limit = 20_000 if runs else 10_000_000
        return count(self.items, self.constraints, limit)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that are equal for equal spaces, in every process."""
        parts = [[x.describe() for x in self.items], [c.name for c in self.constraints]]
        return hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]

    # Its architectures.

    def trace(self, decide: Callable[[Choice], Value]) -> Architecture:
        """Walk the space in program order, asking for each active decision exactly once.

        All other ways to get an architecture are made of this one. Constraints are not checked.
        """
        return Architecture(trace(self.items, decide))

    def allows(self, architecture: Mapping[str, Value]) -> bool:
        """Whether it satisfies the constraints."""
        return not self.constraints or all(c.holds(architecture) for c in self.constraints)

    def default(self) -> Architecture:
        """The architecture with the first option everywhere (the first allowed one)."""
        return next(self.enumerate())

    def sample(self, seed: int | None = None, rng: random.Random | None = None) -> Architecture:
        """A random architecture: each decision uniform over its options.

        Args:
            seed: makes the draw repeatable.
            rng: draws from this generator instead.

        Raises:
            ExhaustedSpaceError: the constraints refused every draw.
        """
        generator = random.Random(seed) if rng is None else rng
        for _ in range(_ATTEMPTS):
            drawn = self.trace(lambda choice: choice.domain.sample(generator))
            if self.allows(drawn):
                return drawn
        raise ExhaustedSpaceError(self._refused(f"{_ATTEMPTS} random architectures"))

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, the last decisions varying fastest.

        Raises:
            ExhaustedSpaceError: the constraints refuse all of them.
        """
        any_allowed = False
        for architecture in self._all():
            if self.allows(architecture):
                any_allowed = True
                yield architecture
        if not any_allowed:
            raise ExhaustedSpaceError(self._refused("every architecture"))

    def _all(self) -> Iterator[Architecture]:
        decisions: list[tuple[Value, Iterator[Value]]] = []
        while True:
            position = iter(range(sys.maxsize))

            def decide(choice: Choice, position: Iterator[int] = position) -> Value:
                if (i := next(position)) == len(decisions):
                    options = choice.domain.options()
                    decisions.append((next(options), options))
                return decisions[i][0]

            yield self.trace(decide)
            while decisions:
                _, options = decisions.pop()
                if (following := next(options, _END)) is not _END:
                    decisions.append((following, options))
                    break
            else:
                return

    def validate(self, architecture: Mapping[str, Value]) -> Architecture:
        """The architecture with the values exactly as the options give them.

        Raises:
            InvalidArchitectureError: values are missing, wrong or inactive, or a constraint is
                broken; all reasons at once.
        """
        if (
            isinstance(architecture, Architecture)
            and decides(self.items, architecture)
            and self.allows(architecture)
        ):
            return architecture
        problems: list[str] = []

        def decide(choice: Choice) -> Value:
            if choice.label not in architecture:
                problems.append(f"no value for {choice.label!r} ({choice})")
                return choice.domain.default
            value = architecture[choice.label]
            try:
                return choice.domain.find(value)
            except KeyError:
                problems.append(f"{choice.label!r} is {value!r}, which is not an option ({choice})")
                return choice.domain.default

        traced = trace(self.items, decide)
        superfluous = [label for label in architecture if label not in traced]
        if problems:  # What is inactive may only be so for a default that stands in.
            superfluous = [label for label in superfluous if label not in self.choices]
        problems += [self._superfluous(label) for label in superfluous]
        if not problems:
            broken = [c.name for c in self.constraints if not c.holds(traced)]
            problems += [f"constraint {name!r} does not hold" for name in broken]
        if problems:
            raise InvalidArchitectureError(problems)
        return Architecture(traced)

    def part_of(self, architecture: Mapping[str, Value]) -> Architecture:
        """The decisions that are this space's, of an architecture that decides more.

        >>> import nas_core.nn as nn
        >>> space = Space.of(nn.Linear(4, nn.ValueChoice([2, 3], label="width")))
        >>> space.part_of({"width": 3, "lr": 0.1})
        Architecture({'width': 3})

        Raises:
            InvalidArchitectureError: a value is missing or wrong.
        """
        traced = self.trace(moves.prefer([architecture]))
        return self.validate({x: architecture[x] for x in traced if x in architecture})

    # Moves for evolution and local search.

    def mutate(self, architecture: Architecture, rng: random.Random) -> Architecture:
        """Another architecture: one decision drawn anew, and those that it newly activates.

        Raises:
            ExhaustedSpaceError: there is no other one.
        """
        return moves.mutate(self, architecture, rng)

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """All architectures that differ in one decision, newly active ones at their default."""
        return moves.neighbours(self, architecture)

    def crossover(self, a: Architecture, b: Architecture, rng: random.Random) -> Architecture:
        """Each decision from one of the parents, drawn anew where neither has made it.

        Raises:
            ExhaustedSpaceError: the constraints refused every child.
        """
        return moves.crossover(self, a, b, rng)

    def constrain(
        self,
        predicate: Callable[[Mapping[str, Value]], bool],
        name: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> Space:
        """The space without the architectures for which the predicate is false.

        Args:
            predicate: gets label → value of the active choices.
            name: what messages call it; the function's name if it is None.
            labels: the only labels that the predicate looks at. Counting is fast only where
                they are few.

        >>> import nas_core.nn as nn
        >>> space = Space.of(nn.Linear(nn.ValueChoice([1, 2], label="a"),
        ...                            nn.ValueChoice([1, 2], label="b")))
        >>> space.constrain(lambda arch: arch["a"] <= arch["b"]).size()
        3

        Raises:
            InvalidArchitectureError: a label is unknown.
        """
        if unknown := [x for x in labels or () if x not in self.choices]:
            raise InvalidArchitectureError(
                [f"unknown label {x!r}{nearest(x, self.choices)}" for x in unknown]
            )
        constraint = Constraint(
            predicate,
            name or str(getattr(predicate, "__name__", "constraint")),
            None if labels is None else frozenset(labels),
        )
        return replace(self, constraints=(*self.constraints, constraint))

    def _superfluous(self, label: str) -> str:
        if label not in self.choices:
            return f"unknown label {label!r}{nearest(label, self.choices)}"
        known = self.conditions.get(label)
        needed = "" if known is None else f": it needs {condition_text(known)}"
        return f"{label!r} is inactive here{needed} ({self.choices[label]})"

    def _refused(self, what: str) -> str:
        return f"{what} broke the constraints: {', '.join(c.name for c in self.constraints)}"

    def __str__(self) -> str:
        return render.text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return render.html(self)


def _check_labels(items: Sequence[Item]) -> None:
    """Refuse labels that mean different things in different parts."""
    first: dict[str, Choice] = {}
    for choice in (c for item in items for c in (item.choices or {}).values()):
        if first.setdefault(choice.label, choice).domain != choice.domain:
            raise LabelConflictError(choice.label, repr(first[choice.label]), repr(choice))


def _scan(part: object) -> Space:
    if isinstance(part, Space):
        return part
    if isinstance(part, type):
        raise _NoModelError(
            f"Space.of needs a model, not the class {part.__name__}: call it, {part.__name__}(...)"
        )
    # A torch module can only exist if torch is loaded: this file must not load it.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(part, torch.nn.Module):
        from nas_core.model.scan import scan

        return scan(part)
    items: list[Item] = []
    for expression in expressions_in(part, attributes=True):
        for choice in expression.choices():
            if not choice.label:
                raise _NoModelError(
                    f"{choice} needs a label: it is not part of a model, so none can be generated"
                )
        items += items_of(expression)
    return Space(tuple(items))


class _NoModelError(NasError, TypeError):
    """What was given is no model space; raised for the caller to read."""
