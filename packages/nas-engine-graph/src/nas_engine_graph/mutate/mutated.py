"""A model space with mutators attached: the base model of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from nas_core import Architecture, Space
from nas_core.conditional import Scanner
from nas_core.errors import NasError
from nas_core.failure import Failed, attempt
from nas_core.space import Item

from nas_engine_graph.ir import Graph
from nas_engine_graph.mutate.application import apply
from nas_engine_graph.mutate.inline import InlineGraphs
from nas_engine_graph.mutate.mutator import Mutator
from nas_engine_graph.mutate.program import Program

__all__ = ["MutatedModel", "mutated"]


class MutatedModel(torch.nn.Module):
    """What ``mutated`` returns: a base model for engines that have ``"mutators"``.

    Called as a module it runs as its base, with no mutator applied.
    """

    nas_needs = "mutators"

    def __init__(self, base: torch.nn.Module, mutators: tuple[Mutator, ...]) -> None:
        super().__init__()
        self.base = base
        self.mutators = mutators
        self._made: tuple[InlineGraphs, Program] | None = None

    @property
    def inline(self) -> InlineGraphs:
        """The graphs that the inline choices give.

        Raises:
            UnsupportedSpaceError: the base can't be made again.
        """
        return self._prepared()[0]

    def _prepared(self) -> tuple[InlineGraphs, Program]:
        if self._made is None:
            inline = InlineGraphs(self.base)
            self._made = inline, Program(self.mutators, inline.space, _checked(inline))
        return self._made

    @property
    def space(self) -> Space:
        """The architectures: inline choices and decisions of the mutators; ``Space.of`` gives it.

        Raises:
            LabelConflictError: a label stands for two different decisions.
        """
        inline, program = self._prepared()
        program.default()  # Labels in conflict are told of when the space is asked for.
        return Space((*inline.space.items, program), inline.space.constraints)

    def graph(self, architecture: Mapping[str, Any]) -> Graph:
        """The graph of an architecture, all mutators applied; its ``history`` tells of them.

        Raises:
            InvalidArchitectureError: it is no point of the space.
            UnsupportedModuleError: the base can't be converted there.
            MutatorError: a mutator raises, or makes no valid graph.
        """
        valid = self.space.validate(architecture)
        return self.mutate(self.inline.of(valid), valid)

    def mutate(self, graph: Graph, architecture: Mapping[str, Any]) -> Graph:
        """The graph of the base under the inline decisions, with all mutators applied."""
        return apply(self.mutators, graph, architecture)

    def nas_items(self, scanner: Scanner, path: str) -> Iterator[Item]:
        """The inline choices, and what the mutators ask for under them."""
        for constraint in self.space.constraints:
            scanner.constrain(constraint)
        yield from self.space.items

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the base does."""
        return self.base(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    def __repr__(self) -> str:
        given = ", ".join([type(self.base).__name__, *map(repr, self.mutators)])
        return f"mutated({given})"


def _checked(inline: InlineGraphs) -> Any:
    """The graph of an architecture; what the user's constructor raises fails that candidate."""

    def graph(architecture: Architecture) -> Graph:
        made = attempt(lambda: inline.of(architecture))
        if isinstance(made, Failed):
            raise made.error if isinstance(made.error, NasError) else _BuildError(str(made.error))
        return made

    return graph


class _BuildError(NasError, RuntimeError):
    """The constructor of the base raised."""


def mutated(base_model: torch.nn.Module, *mutators: Mutator) -> MutatedModel:
    """The model space whose graphs the mutators rewrite, in this order.

    Its architectures hold the inline choices of the model and the decisions of the mutators. It
    is a base model like any other, for engines that have the capability ``"mutators"``.

    Args:
        base_model: an instance of a ``model_wrapper`` class, or what ``mutated`` has returned.
        mutators: each sees the graph that the inline choices and the mutators before it have made.

    >>> import nas_core as nas
    >>> import nas_core.nn as nn
    >>> from nas_engine_graph.ir import Layer, layers, replace_member
    >>> @nas.model_wrapper
    ... class Net(nn.Sequential):
    ...     def __init__(self):
    ...         super().__init__(nn.Linear(2, nn.ValueChoice([3, 4], label="width")), nn.ReLU())
    >>> class Swap(Mutator):
    ...     def mutate(self, graph, choose):
    ...         for path, _ in layers(graph, kind="ReLU"):
    ...             kind = choose(["ReLU", "GELU"], label="act")
    ...             graph = replace_member(graph, path, Layer(f"torch.nn.{kind}"))
    ...         return graph
    >>> net = mutated(Net(), Swap())
    >>> nas.Space.of(net).size()
    4
    >>> graph = net.graph({"width": 3, "act": "GELU"})
    >>> [(change.mutator, change.decisions) for change in graph.history]
    [('Swap', (('act', 'GELU'),))]

    Raises:
        TypeError: a mutator is none, or the base is no module.
    """
    if not isinstance(base_model, torch.nn.Module):
        raise _MutatedError(f"mutated() needs a model, not {base_model!r}")
    for mutator in mutators:
        if not isinstance(mutator, Mutator):
            raise _MutatedError(
                f"mutated() takes instances of Mutator, not {mutator!r}"
                + (": call the class" if isinstance(mutator, type) else "")
            )
    if isinstance(base_model, MutatedModel):
        return MutatedModel(base_model.base, (*base_model.mutators, *mutators))
    return MutatedModel(base_model, mutators)


class _MutatedError(NasError, TypeError):
    """What was given is no model or no mutator."""
