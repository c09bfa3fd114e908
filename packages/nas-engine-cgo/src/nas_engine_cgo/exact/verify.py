"""The last word: one step of merged code beside the same step of each member alone.

Steps that are equal by themselves may meet in an order or a layout in which they are not. Kernels
go by shapes, so what is equal on a batch is equal on all of its size, unless it is by chance: few
numbers are rounded alike in most orders, and zeros, as biases are in the beginning, in all. So
weights are moved, and members with small tensors are tried on more batches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.exact.equality import ENOUGH
from nas_engine_cgo.members import duplicate
from nas_engine_cgo.state import Store, Stream, drawing
from nas_engine_cgo.write import Function

__all__ = ["Subject", "differing"]

Found = dict[str, Tensor | None]

_MOST_DRAWS = 8
_SOME = 8
"""Members of a job that are tried with code that was equal for all of another one."""


@dataclass(frozen=True)
class Subject:
    """A member as it is now: nothing of it is changed here."""

    module: nn.Module
    forward: Callable[..., Tensor]
    stream: Stream
    batch: Sequence[Tensor]


def differing(
    subjects: Sequence[Subject],
    function: Function,
    bound: Callable[[Sequence[nn.Module]], Callable[..., Any]],
    training: bool,
    once: bool,
) -> list[int]:
    """The members whose results, gradients or buffers differ in some bit.

    Args:
        subjects: the members.
        function: their merged code.
        bound: makes a function of it that calls submodules of these modules.
        training: whether they are trained.
        once: whether some members and one batch are enough, since others were tried before.
    """
    found: set[int] = set()
    some = range(0, len(subjects), -(-len(subjects) // _SOME) if once else 1)
    for draw in range(1 if once else _draws(subjects)):
        drawn = [
            replace(each, module=_moved(each.module), batch=_drawn(each.batch, draw))
            for each in subjects
        ]
        # A model need not take what it is not trained on.
        with contextlib.suppress(*([Exception] if draw else [])):
            alone = {number: _alone(drawn[number], training) for number in some}
            together = _together(drawn, function, bound, training)
            found |= {n for n, other in alone.items() if not _equal(together[n], other)}
        if found and once:
            return differing(subjects, function, bound, training, once=False)
        if found:
            break
    return sorted(found)


def _draws(subjects: Sequence[Subject]) -> int:
    """How many batches it takes till each parameter has shown enough."""
    parameters = (p for subject in subjects for p in subject.module.parameters())
    least = min((p.numel() for p in parameters if p.requires_grad and p.numel()), default=ENOUGH)
    return min(_MOST_DRAWS, -(-ENOUGH // (least * len(subjects))))


def _drawn(batch: Sequence[Tensor], draw: int) -> list[Tensor]:
    """Another batch like this one: numbers up to half as small, and all else in another order."""
    if not draw:
        return list(batch)
    generator = Generator().manual_seed(draw)

    def like(x: Tensor) -> Tensor:
        if not x.is_floating_point():
            return x.roll(draw, 0) if x.dim() else x
        return x * (1 - torch.rand(x.shape, generator=generator, dtype=x.dtype) / 2)

    return [like(x) for x in batch]


def _together(
    subjects: Sequence[Subject],
    function: Function,
    bound: Callable[[Sequence[nn.Module]], Callable[..., Any]],
    training: bool,
) -> list[Found]:
    """What comes of all; their modules are used up."""
    modules = [subject.module.train(training) for subject in subjects]
    store = Store(modules)
    tensors = [store.claim(need) for need in function.needs]
    inputs = _inputs(function, subjects)
    outcomes = bound(modules)(inputs, tensors, [subject.stream.copied() for subject in subjects])
    felt = [outcome for outcome in outcomes if outcome.requires_grad]
    if felt:
        torch.autograd.backward(felt, [torch.ones_like(outcome) for outcome in felt])
    found: list[Found] = [{} for _ in subjects]
    for outcome, members in zip(outcomes, function.results, strict=True):
        parts = outcome.unbind(0) if len(members) > 1 else (outcome,)
        for member, part in zip(members, parts, strict=True):
            found[member]["result"] = part.detach()
    for entry in store.entries():
        for position, (member, path) in enumerate(entry.slots):
            grad = entry.tensor.grad
            found[member][path] = None if grad is None else entry.part(grad, position)
    for member, module in enumerate(modules):
        store.write_back(member)
        found[member] |= dict(module.named_buffers())
    return found


def _moved(module: nn.Module) -> nn.Module:
    """A copy with other weights, the same each time."""
    made = duplicate(module)
    stream = Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            moves = torch.randn(parameter.shape, generator=stream).to(parameter)
            parameter.add_(moves, alpha=0.01)
    return made


def _inputs(function: Function, subjects: Sequence[Subject]) -> list[Tensor]:
    batches = {stream: subjects[m].batch for m, stream in enumerate(function.streams)}
    return [batches[stream][position] for stream, position in function.inputs]


def _alone(subject: Subject, training: bool) -> Found:
    module = duplicate(subject.module).train(training)
    with drawing(subject.stream.copied(), everything=True):
        if not training:
            return {"result": module(*subject.batch[:-1]), **dict(module.named_buffers())}
        loss = subject.forward(module, *subject.batch)
    loss.backward()  # type: ignore[no-untyped-call]
    grads = {path: p.grad for path, p in module.named_parameters() if p.requires_grad}
    return {"result": loss.detach(), **grads, **dict(module.named_buffers())}


def _equal(a: Found, b: Found) -> bool:
    return all(same_bits(a.get(name), b.get(name)) for name in a.keys() | b.keys())
