"""The cells of NAS-Bench-101 and NAS-Bench-201."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import torch

from nas_core.architecture import Value, canonical
from nas_core.choice import Choice, OneOf, Subset, caller
from nas_core.conditional import Scanner, join
from nas_core.construction import Fixed, Session, current, take_key
from nas_core.expression import evaluate
from nas_core.labels import labelled
from nas_core.nn.cells import operation_table, total
from nas_core.nn.choices import ChoiceError, LayerChoice
from nas_core.space import Constraint, Decision, Item

__all__ = ["NasBench101Cell", "NasBench201Cell"]

_Factories: TypeAlias = (
    Mapping[str, Callable[..., torch.nn.Module]] | Iterable[Callable[..., torch.nn.Module]]
)


class NasBench201Cell(torch.nn.Module):
    """The cell of NAS-Bench-201: a complete graph whose every edge is one operation.

    Node ``j`` is the sum over the nodes ``i < j`` of the operation on the edge from ``i``; node 0
    is the input and the last one the output. From Dong and Yang, "NAS-Bench-201: Extending the
    Scope of Reproducible Neural Architecture Search" (ICLR 2020).

    Args:
        op_candidates: the operations, a list or dict of functions
            ``(in_features, out_features) -> module``.
        in_features: channels of the input.
        out_features: channels of all other nodes.
        num_tensors: number of nodes; 4 in the paper.
        label: prefix of the choices' labels, ``{label}.{to}_{from}``; their positions if None.

    Shapes: input ``(N, in_features, *)``, output ``(N, out_features, *)``.

    >>> import nas_core as nas
    >>> ops = {name: lambda a, b: torch.nn.Conv2d(a, b, 1)
    ...        for name in ("none", "skip", "conv1", "conv3", "pool")}
    >>> nas.Space.of(NasBench201Cell(ops, 4, 4, label="cell")).size()
    15625

    Raises:
        ValueError: fewer than 2 nodes, or an operation is no function.
    """

    def __init__(
        self,
        op_candidates: _Factories,
        in_features: int,
        out_features: int,
        num_tensors: int = 4,
        label: str | None = None,
    ) -> None:
        super().__init__()
        if type(num_tensors) is not int or num_tensors < 2:
            raise ChoiceError(f"num_tensors must be an integer of at least 2, not {num_tensors!r}")
        operations = operation_table(op_candidates)
        session = current()
        self.layers = torch.nn.ModuleList()
        for j in range(1, num_tensors):
            edges = torch.nn.ModuleList()
            for i in range(j):
                name = None if label is None else f"{label}.{j}_{i}"
                features = in_features if i == 0 else out_features
                edges.append(_operation(operations, (features, out_features), name, session))
            self.layers.append(edges)

    # TorchScript reads what follows: nothing but plain loops.
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the cell on its input."""
        tensors = [x]
        for edges in self.layers:
            terms: list[torch.Tensor] = []
            for i, edge in enumerate(edges.children()):
                terms.append(edge(tensors[i]))
            tensors.append(total(terms))
        return tensors[-1]


def _operation(
    operations: Mapping[Any, Callable[..., torch.nn.Module]],
    arguments: tuple[int, ...],
    label: str | None,
    session: Session | None,
) -> torch.nn.Module:
    """A choice of operations; while a candidate is built, only the chosen one is made."""
    choice = Choice("LayerChoice", OneOf(list(operations)), label, caller(), take_key())
    key = take_key()

    def make(name: Any) -> torch.nn.Module:
        if key is None or session is None:
            return operations[name](*arguments)
        scope = (*key, list(operations).index(name))
        return session.within(scope, operations[name], *arguments)

    if isinstance(session, Fixed):
        made = make(session.value(choice))
        return labelled(made, choice.label) if choice.label else made
    return LayerChoice.of(choice, {name: make(name) for name in operations})


class NasBench101Cell(torch.nn.Module):
    """The cell of NAS-Bench-101: any directed acyclic graph of few nodes and edges.

    Vertex 0 is the input and the last one the output. Each vertex between applies its operation
    to the sum of its inputs; the output concatenates its inputs. The input of the cell is
    projected for each vertex that it feeds, and added to the output. Channels follow the paper:
    those of the output are shared out among the vertices it concatenates, and a vertex has as
    many as the widest one it feeds. From Ying et al., "NAS-Bench-101: Towards Reproducible Neural
    Architecture Search" (ICML 2019).

    As the paper counts only cells without useless vertices, architectures in which some vertex
    feeds no other break the cell's constraint, as do those with too many edges. Isomorphic graphs
    are different architectures.

    Args:
        op_candidates: the operations, a list or dict of functions ``(features) -> module``.
        in_features: channels of the input.
        out_features: channels of the output.
        projection: a function ``(in_features, out_features) -> module``.
        max_num_nodes: the most vertices, input and output included; 7 in the paper.
        max_num_edges: the most edges; 9 in the paper.
        label: prefix of the choices' labels, ``{label}.num_nodes``, ``{label}.input_{vertex}``,
            ``{label}.op_{vertex}``; ``cell101`` if it is None. Cells with one label are the same
            cell.

    Shapes: input ``(N, in_features, *)``, output ``(N, out_features, *)``.

    >>> import nas_core as nas
    >>> ops = {"conv": lambda features: torch.nn.Conv2d(features, features, 1),
    ...        "pool": lambda features: torch.nn.AvgPool2d(3, 1, 1)}
    >>> project = lambda a, b: torch.nn.Conv2d(a, b, 1)
    >>> nas.Space.of(NasBench101Cell(ops, 4, 8, project, max_num_nodes=4)).size()
    45

    Raises:
        ValueError: fewer than 2 vertices, no edge, or an operation is no function.
    """

    def __init__(
        self,
        op_candidates: _Factories,
        in_features: int,
        out_features: int,
        projection: Callable[[int, int], torch.nn.Module],
        max_num_nodes: int = 7,
        max_num_edges: int = 9,
        label: str | None = None,
    ) -> None:
        super().__init__()
        for name, count, least in (
            ("max_num_nodes", max_num_nodes, 2),
            ("max_num_edges", max_num_edges, 1),
        ):
            if type(count) is not int or count < least:
                raise ChoiceError(f"{name} must be an integer of at least {least}, not {count!r}")
        operations = operation_table(op_candidates)
        choices = _Choices(operations, max_num_nodes, label or "cell101")
        session, key = current(), take_key()

        def make(vertex: int, name: Any, features: int) -> torch.nn.Module:
            if key is None or session is None:
                return operations[name](features)
            scope = (*key, vertex, list(operations).index(name))
            return session.within(scope, operations[name], features)

        self.ops = torch.nn.ModuleList()
        self.projections = torch.nn.ModuleList()
        # For vertex v + 1: the vertices that it sums up, and which projection feeds it, or -1.
        self.inputs: list[list[int]] = [[0]]
        self.fed_by: list[int] = []
        if isinstance(session, Fixed):
            in_features, out_features = evaluate((in_features, out_features), session.value)
            vertices = session.value(choices.num_nodes)
            self.inputs = [session.value(choices.inputs[v]) for v in range(1, vertices)]
            self.channels = _channels(self.inputs, in_features, out_features)
            for v in range(1, vertices - 1):
                made = make(v, session.value(choices.ops[v]), self.channels[v])
                self.ops.append(labelled(made, choices.ops[v].label))
        else:
            self._choices = choices
            self._constraint = _constraint(choices, max_num_edges)
            self.channels = [in_features, out_features]
            for v in range(1, max_num_nodes - 1):
                options = {name: make(v, name, out_features) for name in operations}
                self.ops.append(LayerChoice.of(choices.ops[v], options))
        for v, sources in enumerate(self.inputs):
            self.fed_by.append(len(self.projections) if 0 in sources else -1)
            if 0 in sources:
                self.projections.append(projection(in_features, self.channels[v + 1]))

    def nas_items(self, scanner: Scanner, path: str) -> Iterator[Item]:
        """The number of vertices, and for as many of them the inputs and the operation."""
        choices = self._choices
        scanner.see(choices.num_nodes, path)
        vertices: dict[int, tuple[Item, ...]] = {}
        for v, choice in choices.inputs.items():
            scanner.see(choice, path)
            vertices[v] = (Decision(choice, {}),)
        ops = {
            v: tuple(scanner.visit(op, join(path, f"ops.{v - 1}")))
            for v, op in enumerate(self.ops, start=1)
        }
        scanner.constrain(self._constraint)
        yield Decision(
            choices.num_nodes,
            {
                canonical(n): [
                    item
                    for v in range(1, n)
                    for item in (*vertices[v], *(ops[v] if v < n - 1 else ()))
                ]
                for n in choices.num_nodes.domain.options()
            },
        )

    # TorchScript reads what follows: nothing but plain loops.
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the cell on its input."""
        fed: list[torch.Tensor] = []
        for projection in self.projections:
            fed.append(projection(x))  # noqa: PERF401
        tensors = [x]
        last = len(self.inputs) - 1
        for v, op in enumerate(self.ops):
            if v < last:
                tensors.append(op(total(self.terms(v, tensors, fed))))
        ends: list[torch.Tensor] = []
        for i in self.inputs[last]:
            if i > 0:
                ends.append(tensors[i])  # noqa: PERF401
        merged: list[torch.Tensor] = []
        if len(ends) > 0:
            merged.append(torch.cat(ends, dim=1))
        if self.fed_by[last] >= 0:
            merged.append(fed[self.fed_by[last]])
        return total(merged)

    def terms(
        self, v: int, tensors: list[torch.Tensor], fed: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        """What vertex ``v + 1`` sums up: its inputs as wide as it is, and the cell's own input."""
        terms: list[torch.Tensor] = []
        for i in self.inputs[v]:
            if i > 0:
                terms.append(tensors[i][:, : self.channels[v + 1]])  # noqa: PERF401
        if self.fed_by[v] >= 0:
            terms.append(fed[self.fed_by[v]])
        return terms


class _Choices:
    """The decisions of a NAS-Bench-101 cell."""

    def __init__(self, operations: Mapping[Any, object], max_num_nodes: int, label: str) -> None:
        place = caller()

        def choice(kind: str, domain: OneOf | Subset, name: str) -> Choice:
            return Choice(kind, domain, f"{label}.{name}", place, take_key())

        sizes = list(range(2, max_num_nodes + 1))
        self.num_nodes = choice("ValueChoice", OneOf(sizes), "num_nodes")
        self.inputs = {
            v: choice("InputChoice", Subset(v, None), f"input_{v}") for v in range(1, max_num_nodes)
        }
        self.ops = {
            v: choice("LayerChoice", OneOf(list(operations)), f"op_{v}")
            for v in range(1, max_num_nodes - 1)
        }


def _constraint(choices: _Choices, max_num_edges: int) -> Constraint:
    size = choices.num_nodes.label
    inputs = {v: choice.label for v, choice in choices.inputs.items()}

    def holds(values: Mapping[str, Value]) -> bool:
        if size not in values:  # The cell is inactive.
            return True
        chosen = [values[inputs[v]] for v in range(1, values[size])]
        fed = {i for vertices in chosen for i in vertices}
        return sum(map(len, chosen)) <= max_num_edges and len(fed | {0}) == values[size] - 1

    prefix = size.removesuffix(".num_nodes")
    return Constraint(
        holds,
        f"{prefix} has at most {max_num_edges} edges and no vertex that feeds no other",
        frozenset([size, *inputs.values()]),
    )


def _channels(inputs: list[list[int]], in_features: int, out_features: int) -> list[int]:
    """Channels of each vertex, by the rule of the paper.

    >>> _channels([[0], [0, 1], [1, 2]], 4, 9)
    [4, 5, 4, 9]
    """
    last = len(inputs)
    channels = [in_features] + [0] * (last - 1) + [out_features]
    ends = [i for i in inputs[-1] if i > 0]
    for position, i in enumerate(ends):
        channels[i] = out_features // len(ends) + (position < out_features % len(ends))
    for v in range(last - 1, 0, -1):
        for target in range(v + 1, last):
            if v in inputs[target - 1]:
                channels[v] = max(channels[v], channels[target])
    return channels
