"""Find the choices of a model: walk its modules, their recorded arguments and their attributes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from nas_core.choice import Choice, Key
from nas_core.conditional import is_conditional, join
from nas_core.construction import relative
from nas_core.errors import LabelConflictError
from nas_core.expression import expressions_in
from nas_core.model.program import Program, Traced
from nas_core.model.reading import Reader, reader
from nas_core.model.uses import Creations, Uses, uses
from nas_core.space import Constraint, Item, Space, distinct, items_of
from nas_core.structure import has_attributes
from nas_core.wrapper import arguments_of, creation_of, record_of

__all__ = ["name_choices", "reader_of", "scan", "trace_model"]

_TORCH_OWN = frozenset(torch.nn.Module().__dict__)


def scan(model: torch.nn.Module) -> Space:
    """The space of a model; names the choices that have no label after their position."""
    record = record_of(model)
    if record is None or not record.chosen:
        traced = trace_model(model)
        return Space(traced.items, traced.constraints)
    program = Program(record, trace_model, model)
    return Space((program,), (Constraint(program.allows, "constraints of the model", shown=False),))


def name_choices(model: torch.nn.Module) -> None:
    """Give each choice of a model that has no label the position at which it stands."""
    scanner = _Scanner()
    for _ in scanner.visit(model, ""):
        pass
    scanner.name()


def trace_model(model: torch.nn.Module) -> Traced:
    """What a constructed model asks for; names its choices."""
    scanner = _Scanner()
    items = tuple(scanner.visit(model, ""))
    scanner.name()
    scanner.check()
    items = distinct(items)
    record = record_of(model)
    if record is None:
        return Traced(items, tuple(scanner.constraints), {}, Uses())
    labels = scanner.labels(record.start)
    return Traced(items, tuple(scanner.constraints), labels, uses(model, record.start))


def reader_of(model: torch.nn.Module, uses: Uses) -> Reader | None:
    """What reads the architectures of a model that ``choose`` has no part in, if one can.

    Args:
        uses: what is known of its creations.
    """
    record = record_of(model)
    if record is None:
        return None
    items = distinct(_Scanner(record.start).visit(model, ""))
    return reader(items, uses.creations)


@dataclass
class _Scanner:
    """Finds choices; also what a constructor created that began at ``start``, if that is given."""

    start: Key | None = None
    found: dict[int, tuple[Choice, str]] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)

    def visit(self, module: torch.nn.Module, path: str) -> Iterator[Item]:
        if is_conditional(module):
            yield from module.nas_items(self, path)
            return
        if self.start is not None and (created := creation_of(module)) is not None:
            key = relative(created, self.start)
            yield Creations(frozenset(() if key is None else [key]))
        yield from self._arguments(module, path)
        yield from self._attributes(module, path)
        for name, child in module._modules.items():
            if child is not None:
                yield from self.visit(child, join(path, name))

    def see(self, choice: Choice, path: str) -> None:
        choice.in_model = True
        self.found.setdefault(id(choice), (choice, path or choice.kind.lower()))

    def _arguments(self, module: torch.nn.Module, path: str) -> Iterator[Item]:
        if (given := arguments_of(module)) is None:
            return
        try:
            bound = inspect.signature(type(module).__init__).bind(module, *given[0], **given[1])
            named = bound.arguments
        except TypeError:
            named = {
                **dict(zip(map(str, range(len(given[0]))), given[0], strict=True)),
                **given[1],
            }
        for name, value in named.items():
            if value is not module:
                yield from self._expressions(value, join(path, name))

    def _attributes(self, module: torch.nn.Module, path: str) -> Iterator[Item]:
        for name, value in module.__dict__.items():
            if name not in _TORCH_OWN and not name.startswith("_nas_"):
                follow = not isinstance(value, torch.Tensor) and has_attributes(value)
                yield from self._expressions(value, join(path, name), follow)

    def _expressions(self, value: Any, path: str, attributes: bool = False) -> Iterator[Item]:
        expressions = [x for x in expressions_in(value, attributes) if not x.settled()]
        for i, expression in enumerate(expressions):
            for choice in expression.choices():
                self.see(choice, path if len(expressions) == 1 else f"{path}.{i}")
            yield from items_of(expression)

    def constrain(self, constraint: Constraint) -> None:
        self.constraints.append(constraint)

    def name(self) -> None:
        """Give each choice without a label the position at which it was first found."""
        taken = {choice.label for choice, _ in self.found.values()}
        for choice, path in self.found.values():
            if not choice.label:
                choice.label = next(x for x in _variants(path) if x not in taken)
                taken.add(choice.label)

    def check(self) -> None:
        first: dict[str, Choice] = {}
        for choice, _ in self.found.values():
            if first.setdefault(choice.label, choice).domain != choice.domain:
                raise LabelConflictError(choice.label, repr(first[choice.label]), repr(choice))

    def labels(self, start: Key) -> dict[Key, str]:
        keys = {
            choice.label: relative(choice.key, start)
            for choice, _ in self.found.values()
            if choice.key is not None and not choice.given_label
        }
        return {key: label for label, key in keys.items() if key is not None}


def _variants(path: str) -> Iterator[str]:
    yield path
    i = 2
    while True:
        yield f"{path}_{i}"
        i += 1
