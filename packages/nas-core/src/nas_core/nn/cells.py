"""``Cell``: a directed acyclic graph of operations, as most cell-based search spaces use it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import torch

from nas_core.architecture import canonical
from nas_core.choice import Choice, OneOf, Subset, caller
from nas_core.conditional import Scanner, join
from nas_core.construction import Fixed, current, take_key
from nas_core.labels import labelled
from nas_core.nn.choices import ChoiceError
from nas_core.space import Decision, Item

__all__ = ["Cell", "OperationFactory"]

OperationFactory: TypeAlias = Callable[[int, int, int], torch.nn.Module]
"""Makes an operation for (node index, index of the operation in the node, index of its input)."""

_Operations: TypeAlias = Mapping[Any, "torch.nn.Module | OperationFactory"]


class Cell(torch.nn.Module):
    """A cell whose nodes sum operations on earlier nodes, as in NASNet, ENAS and DARTS.

    The first ``num_predecessors`` nodes are the inputs. Each of the ``num_nodes`` others applies
    ``num_ops_per_node`` operations, each to one earlier node, and adds up the results; which
    operation and which input are choices. Written after Zoph et al., "Learning Transferable
    Architectures for Scalable Image Recognition" (CVPR 2018), and Liu et al., "DARTS" (ICLR 2019).

    Args:
        op_candidates: the operations, as a list or a dict; each a module, which is copied for
            every place, or a function ``(node, op, input) -> module``. Only what is chosen is
            made of functions.
        num_nodes: nodes that are not inputs.
        num_ops_per_node: operations in each of them.
        num_predecessors: inputs of the cell.
        merge_op: ``"all"`` concatenates all nodes that are not inputs, ``"loose_end"`` those of
            them that no operation uses.
        preprocessor: a module from the list of inputs to the list of the first nodes.
        postprocessor: a module from the merged output and the list of the first nodes to the
            output of the cell.
        concat_dim: the dimension along which nodes are concatenated.
        label: prefix of the choices' labels, ``{label}.input_{node}_{op}`` and
            ``{label}.op_{node}_{op}``; their positions if it is None.

    Shapes: inputs and nodes ``(N, C, *)``; output ``(N, C * merged nodes, *)``.

    >>> import nas_core as nas
    >>> cell = Cell({"pool": torch.nn.AvgPool2d(3, 1, 1), "skip": torch.nn.Identity()},
    ...             num_nodes=2, label="cell")
    >>> nas.Space.of(cell).size()  # inputs 1 * 2, operations 2 * 2
    8

    Raises:
        ValueError: a count is below 1, ``merge_op`` is unknown, or no candidate is given.
    """

    def __init__(
        self,
        op_candidates: Mapping[str, torch.nn.Module | OperationFactory]
        | Iterable[torch.nn.Module | OperationFactory],
        num_nodes: int,
        num_ops_per_node: int = 1,
        num_predecessors: int = 1,
        merge_op: Literal["all", "loose_end"] = "all",
        preprocessor: torch.nn.Module | None = None,
        postprocessor: torch.nn.Module | None = None,
        concat_dim: int = 1,
        label: str | None = None,
    ) -> None:
        super().__init__()
        if merge_op not in ("all", "loose_end"):
            raise ChoiceError(f"merge_op must be 'all' or 'loose_end', not {merge_op!r}")
        for name, count in {
            "num_nodes": num_nodes,
            "num_ops_per_node": num_ops_per_node,
            "num_predecessors": num_predecessors,
        }.items():
            if type(count) is not int or count < 1:
                raise ChoiceError(f"{name} must be an integer of at least 1, not {count!r}")
        self.num_predecessors = num_predecessors
        self.merge_op = merge_op
        self.concat_dim = concat_dim
        self.preprocessor = preprocessor
        self.postprocessor = postprocessor
        operations: _Operations = (
            dict(op_candidates)
            if isinstance(op_candidates, Mapping)
            else dict(enumerate(op_candidates))
        )
        self.ops = torch.nn.ModuleList()
        self.inputs: list[list[int]] = []
        used: set[Any] = set()
        for node in range(num_predecessors, num_predecessors + num_nodes):
            edges = [_Edge(operations, node, k, label) for k in range(num_ops_per_node)]
            self.ops.append(torch.nn.ModuleList(edge.operation() for edge in edges))
            self.inputs.append([edge.index for edge in edges])
            used |= {edge.chosen for edge in edges}
        loose = {i for indices in self.inputs for i in indices} if merge_op == "loose_end" else ()
        nodes = range(num_predecessors, num_predecessors + num_nodes)
        self.merged = [node for node in nodes if node not in loose]
        if isinstance(session := current(), Fixed):
            for name, operation in operations.items():
                if name not in used and isinstance(operation, torch.nn.Module):
                    session.drop(operation)

    def __call__(self, *inputs: Any) -> Any:
        """Run the cell on its inputs, given one by one or as a list."""
        several = len(inputs) != 1 or not isinstance(inputs[0], (list, tuple))
        return super().__call__(list(inputs if several else inputs[0]))

    __call__.packs_arguments = True  # type: ignore[attr-defined]  # forward does the rest

    # TorchScript reads what follows: nothing but plain loops.
    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Run the cell on the list of its inputs."""
        if len(inputs) != self.num_predecessors:
            raise ValueError(
                f"a Cell of {self.num_predecessors} predecessors was given {len(inputs)} inputs"
            )
        states = list(inputs)
        if self.preprocessor is not None:
            states = self.preprocessor(states)
        first = list(states)
        for node, ops in enumerate(self.ops):
            terms: list[torch.Tensor] = []
            for k, op in enumerate(ops.children()):
                terms.append(op(states[self.inputs[node][k]]))
            states.append(total(terms))
        output = torch.cat([states[i] for i in self.merged], self.concat_dim)
        if self.postprocessor is not None:
            output = self.postprocessor(output, first)
        return output


class _Edge(torch.nn.Module):
    """One operation on one input: while the model is open, all of both.

    ``built`` is the chosen operation while a candidate is built, ``index`` the chosen input.
    """

    def __init__(
        self, operations: _Operations, node: int, position: int, label: str | None
    ) -> None:
        super().__init__()
        place = caller()
        names = [
            None if label is None else f"{label}.{x}_{node}_{position}" for x in ("input", "op")
        ]
        self.input_choice = Choice("InputChoice", Subset(node, 1), names[0], place, take_key())
        self.op_choice = Choice("LayerChoice", OneOf(list(operations)), names[1], place, take_key())
        key, session = take_key(), current()

        def make(name: Any, index: int) -> torch.nn.Module:
            operation = operations[name]
            if isinstance(operation, torch.nn.Module):
                return copy.deepcopy(operation)
            if key is None or session is None:
                return _checked(operation(node, position, index), name)
            scope = (*key, index, list(operations).index(name))
            return _checked(session.within(scope, operation, node, position, index), name)

        self.built: torch.nn.Module | None = None
        self.index = 0
        self.chosen: Any = None
        if isinstance(session, Fixed):
            (self.index,) = session.value(self.input_choice)
            self.chosen = session.value(self.op_choice)
            self.built = make(self.chosen, self.index)
            if self.op_choice.label:
                labelled(self.built, self.op_choice.label)
            return
        self._tables: list[dict[Any, torch.nn.Module]] = []
        shared = all(isinstance(x, torch.nn.Module) for x in operations.values())
        for index in range(1 if shared else node):
            table = {name: make(name, index) for name in operations}
            self._tables.append(table)
            for name, module in table.items():
                self._modules[str(name) if shared else f"{index}.{name}"] = module

    def operation(self) -> torch.nn.Module:
        """What the cell holds for this edge."""
        return self if self.built is None else self.built

    def nas_items(self, scanner: Scanner, path: str) -> Iterator[Item]:
        """The input, the operation, and what the operation asks for on that input."""
        scanner.see(self.input_choice, join(path, "input"))
        scanner.see(self.op_choice, join(path, "op"))
        decisions = [
            Decision(
                self.op_choice,
                {
                    canonical(name): tuple(scanner.visit(module, join(path, f"{i}.{name}")))
                    for name, module in table.items()
                },
            )
            for i, table in enumerate(self._tables)
        ]
        if len(decisions) == 1:
            yield Decision(self.input_choice, {})
            yield decisions[0]
        else:
            branches = {canonical([i]): [decision] for i, decision in enumerate(decisions)}
            yield Decision(self.input_choice, branches)

    def forward(self, x: Any) -> Any:
        """The first operation."""
        return self._tables[0][self.op_choice.domain.default](x)


def total(terms: list[torch.Tensor]) -> torch.Tensor:
    """The sum from left to right; a single term as it is."""
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def _checked(module: object, name: object) -> torch.nn.Module:
    if not isinstance(module, torch.nn.Module):
        raise ChoiceError(f"operation {name!r} must make a torch.nn.Module, not {module!r}")
    return module


def operation_table(operations: Any) -> dict[Any, Callable[..., torch.nn.Module]]:
    """Candidates as a dict from their value in an architecture to the function that makes them."""
    table = dict(operations) if isinstance(operations, Mapping) else dict(enumerate(operations))
    for name, make in table.items():
        if not callable(make) or isinstance(make, torch.nn.Module):
            raise ChoiceError(f"operation {name!r} must be a function that makes a module")
    return table
