"""The initial weights of generated code: those of the user's constructor, where it made them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from nas_engine_graph.backend import Source, adopted, source_of
from nas_engine_graph.ir import Buffer, Graph, Layer, Parameter

__all__ = ["Generated", "generated"]


@dataclass(frozen=True)
class Generated:
    """The source of a candidate, and which of its weights the constructor makes.

    Attributes:
        source: makes the model, and initialises it in its own way.
        kept: the dotted paths of the parameters, buffers and layers that are as the constructor
            made them; None for all.
    """

    source: Source
    kept: tuple[str, ...] | None = None

    def with_weights_of(self, model: torch.nn.Module) -> torch.nn.Module:
        """The module of the source, with the weights and the mode of the model it was made of.

        Of that model nothing else should be used any more: its layers may be part of the result.
        Where mutators made new layers, these draw their weights after the constructor did.
        """
        for kind in {type(module) for module in model.modules()}:
            # A class of a script or notebook is sent to workers, but its module there lacks it.
            home = sys.modules.get(kind.__module__)
            if home is not None and not hasattr(home, kind.__name__):
                setattr(home, kind.__name__, kind)
        if self.kept is None:
            if (whole := adopted(self.source, model)) is not None:
                return whole
            with torch.random.fork_rng(devices=[]):
                made = self.source.instantiate()
        else:
            made = self.source.instantiate()
        _copy(model, made, self.kept)
        made.train(model.training)
        modes = {name: module.training for name, module in model.named_modules()}
        for name, module in made.named_modules():
            module.training = modes.get(name, module.training)
        return made


@torch.no_grad()
def _copy(model: torch.nn.Module, made: torch.nn.Module, kept: tuple[str, ...] | None) -> None:
    """Copy all tensors, those too that a state dict leaves out, and what units keep besides."""

    def keeps(name: str) -> bool:
        return kept is None or any(name == x or name.startswith(f"{x}.") for x in kept)

    theirs = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, tensor in (*made.named_parameters(), *made.named_buffers()):
        if keeps(name):
            _stored(tensor).copy_(_stored(theirs[name]))
    for name, module in made.named_modules():
        if type(module).set_extra_state is not torch.nn.Module.set_extra_state and keeps(name):
            module.set_extra_state(model.get_submodule(name).get_extra_state())


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    """The part of an expanded tensor that is there once; an expanded one can't be written to."""
    for dim, step in enumerate(tensor.stride()):
        if step == 0 and tensor.shape[dim] > 1:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def generated(before: Graph, after: Graph) -> Generated:
    """The source of a graph that was made of another one by rewriting it."""
    kept = None if after is before else tuple(".".join(path) for path in _kept(before, after))
    return Generated(source_of(after), kept)


def _kept(before: Graph, after: Graph) -> Iterator[tuple[str, ...]]:
    old = dict(before.members)
    for name, member in after.members:
        match old.get(name), member:
            case Graph() as first, Graph() as second:
                yield from ((name, *path) for path in _kept(first, second))
            case (Layer() | Parameter() | Buffer()) as first, second if first == second:
                yield (name,)
