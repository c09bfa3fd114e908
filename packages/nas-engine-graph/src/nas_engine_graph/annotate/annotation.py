"""``annotate``: the graph with what a run on the device without elements shows of each node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from nas_core.errors import nearest
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas_engine_graph.annotate.run import Note, Run
from nas_engine_graph.errors import InvalidInputsError
from nas_engine_graph.ir import Block, Function, Graph, Node

__all__ = ["annotate", "flops_of"]


def annotate(graph: Graph, *inputs: Any, **keywords: Any) -> Graph:
    """The graph whose nodes have ``notes`` of shapes, dtypes and floating-point operations.

    Nothing is computed: the graph runs on PyTorch's meta device, through its child graphs,
    branches and loops. Where the way depends on the elements of a tensor, both arms are looked at,
    and what they do not agree about is unknown.

    Args:
        graph: any graph.
        inputs: of ``forward``; of tensors only shape and dtype count.
        keywords: more inputs.

    Returns:
        An equal graph. ``node.notes["outputs"]`` is a ``TensorType``, or None for what is no
        tensor or not known, for each output. ``node.notes["flops"]`` is what the node costs in one
        forward, what it calls and every trip included, or None if that is not known: counted by
        ``torch.utils.flop_counter``, which counts matrix products, convolutions and attention, a
        multiplication and an addition as two. ``node.notes["problem"]`` is there if the node could
        not be evaluated, and says why.

    Raises:
        InvalidInputsError: these are not what ``forward`` takes.

    >>> import torch
    >>> from torch import nn
    >>> from nas_engine_graph import convert
    >>> graph = annotate(convert(nn.Sequential(nn.Linear(4, 2), nn.ReLU())), torch.empty(8, 4))
    >>> print("\\n".join(str(graph).splitlines()[3:7]))
      method forward(%input) -> "Tensor" {
        %input_1 = invoke "0"(%input)  # float32[8, 2], 128 FLOPs
        %input_2 = invoke "1"(%input_1)  # float32[8, 2]
        give %input_2
    """
    _check(graph.function(), inputs, keywords)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        module = _without_stored(graph.instantiate()).to("meta")
        counter: Any = FlopCounterMode(display=False)
        run = Run(graph, module, counter)
        with counter:
            run.forward(_on_meta(inputs), _on_meta(keywords))
    return _noted(graph, (), run.notes)


def flops_of(graph: Graph) -> int | None:
    """What ``forward`` of an annotated graph costs; None if it is not known, or not annotated.

    >>> import torch
    >>> from torch import nn
    >>> from nas_engine_graph import convert
    >>> flops_of(annotate(convert(nn.Sequential(nn.Linear(4, 2))), torch.empty(8, 4)))
    128
    """
    total = 0
    for node in graph.function().body.nodes:
        flops = (node.notes or {}).get("flops")
        if flops is None:
            return None
        total += flops
    return total


def _check(function: Function, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> None:
    names = tuple(value.name for value in function.body.parameters)
    needed = names[len(inputs) : len(names) - len(function.defaults)]
    if len(inputs) > len(names):
        raise InvalidInputsError(f"{len(inputs)} inputs are too many", names)
    if unknown := [name for name in keywords if name not in names[len(inputs) :]]:
        raise InvalidInputsError(f"no input {unknown[0]!r}{nearest(unknown[0], names)}", names)
    if missing := [name for name in needed if name not in keywords]:
        raise InvalidInputsError(f"no value for {missing[0]!r}", names)


def _without_stored(module: nn.Module) -> nn.Module:
    """A module without those inside that TorchScript has compiled before: they can't be moved."""
    for name, child in module.named_children():
        if isinstance(child, torch.jit.ScriptModule):
            module.register_module(name, nn.Module())
        else:
            _without_stored(child)
    return module


def _on_meta(value: Any) -> Any:
    match value:
        case Tensor():
            return torch.empty_strided(
                value.shape, value.stride(), dtype=value.dtype, device="meta"
            ).requires_grad_(value.requires_grad)
        case tuple() | list():
            return type(value)(map(_on_meta, value))
        case dict():
            return {name: _on_meta(item) for name, item in value.items()}
        case _:
            return value


def _noted(
    graph: Graph, path: tuple[str, ...], notes: Mapping[tuple[tuple[str, ...], int], Note]
) -> Graph:
    def block(found: Block) -> Block:
        return replace(found, nodes=tuple(map(node, found.nodes)))

    def node(found: Node) -> Node:
        note = notes.get((path, id(found)))
        written = None if note is None else note.as_mapping()
        return replace(found, notes=written, blocks=tuple(map(block, found.blocks)))

    members = tuple(
        (name, _noted(member, (*path, name), notes) if isinstance(member, Graph) else member)
        for name, member in graph.members
    )
    functions = tuple(replace(f, body=block(f.body)) for f in graph.functions)
    return replace(graph, members=members, functions=functions)
