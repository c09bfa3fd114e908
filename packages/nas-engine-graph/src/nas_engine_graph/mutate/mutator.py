"""What a mutator is, and what one application of it leaves behind."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from nas_core import Space
from nas_core.choice import Choice
from nas_core.errors import NasError, Place

from nas_engine_graph.ir import Graph

__all__ = ["Choose", "Mutator", "MutatorError", "place_of_mutator", "unsteady"]

T = TypeVar("T")


class Choose(Protocol):
    """Draws a decision of a mutator, as ``nas_core.choose`` does while a model is built."""

    @overload
    def __call__(self, candidates: Mapping[str, T], label: str) -> T: ...
    @overload
    def __call__(self, candidates: Sequence[T], label: str) -> T: ...
    def __call__(self, candidates: Any, label: str) -> Any:
        """One of the candidates: JSON values, or a dict from a name to any object."""


class Mutator(ABC):
    """A rewrite of a model's graph that draws its decisions through ``choose``.

    Which decisions there are may depend on the graph and on earlier decisions. The graph is that
    of the inline choices and of the mutators before this one. ``mutate`` must give the same for
    the same graph and decisions, and must not change the mutator itself.

    >>> from nas_engine_graph.ir import layers, replace_member
    >>> class Wider(Mutator):
    ...     def __init__(self, kind):
    ...         self.kind = kind
    ...     def mutate(self, graph, choose):
    ...         for path, layer in layers(graph, kind="ReLU"):
    ...             kind = choose(["ReLU", self.kind], label=".".join(path))
    ...             graph = replace_member(graph, path, Layer(f"torch.nn.{kind}"))
    ...         return graph
    >>> from torch import nn
    >>> from nas_engine_graph import convert
    >>> from nas_engine_graph.ir import Layer
    >>> graph = convert(nn.Sequential(nn.ReLU(), nn.Linear(2, 2), nn.ReLU()))
    >>> space = Wider("GELU").space(graph)
    >>> space.size(), space.default()
    (4, Architecture({'0': 'ReLU', '2': 'ReLU'}))
    >>> print(Wider("GELU").apply(graph, {"0": "ReLU", "2": "GELU"}).instantiate())
    Sequential(
      (0): ReLU()
      (1): Linear(in_features=2, out_features=2, bias=True)
      (2): GELU(approximate='none')
    )
    """

    @abstractmethod
    def mutate(self, graph: Graph, choose: Choose) -> Graph:
        """The graph, rewritten."""

    def space(self, graph: Graph) -> Space:
        """The space of the decisions that it draws on this graph."""
        from nas_engine_graph.mutate.program import space_of

        return space_of([self], graph)

    def apply(self, graph: Graph, architecture: Mapping[str, Any]) -> Graph:
        """The graph that it makes under these decisions, verified; ``history`` tells of it.

        Raises:
            InvalidArchitectureError: they are not those that it draws on this graph.
            MutatorError: it raises, or what it returns is no valid graph.
        """
        from nas_engine_graph.mutate.application import apply

        valid = self.space(graph).validate(architecture)
        return apply([self], graph, valid)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({given})"


def place_of_mutator(mutator: Mutator) -> Place | None:
    """The user's file and line of its ``mutate``."""
    method = inspect.unwrap(type(mutator).mutate)
    code = getattr(method, "__code__", None)
    return None if code is None else Place(code.co_filename, code.co_firstlineno)


class MutatorError(NasError, RuntimeError):
    """A mutator raised, or made a graph that breaks a rule.

    Attributes:
        mutator: its class.
        reason: what went wrong.
        place: the user's file and line.
    """

    def __init__(self, mutator: str, reason: str, place: Place | None) -> None:
        self.mutator, self.reason, self.place = mutator, reason, place
        where = f"{place}: " if place and str(place) not in reason else ""
        super().__init__(f"{where}mutator {mutator} {reason}")

    def __reduce__(self) -> tuple[type[MutatorError], tuple[str, str, Place | None]]:
        return type(self), (self.mutator, self.reason, self.place)


def unsteady(mutator: Mutator | None, choice: Choice) -> MutatorError:
    """Why a mutator can't be searched that asks for something else when it runs again."""
    reason = (
        f"asks for {choice.label!r}, for which it did not ask before: "
        "under the same graph and decisions it has to ask for the same"
    )
    place = None if mutator is None else place_of_mutator(mutator)
    return MutatorError(type(mutator).__name__, reason, place)
