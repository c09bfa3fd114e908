"""The last word: one step of merged code beside the same step of each member alone.

Steps that are equal by themselves may meet in an order or a layout in which they are not. Kernels
go by shapes, so what is equal on one batch is equal on all of its size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_engine_cgo.exact.bits import same_bits
from nas_engine_cgo.members import duplicate
from nas_engine_cgo.state import Store, Stream, drawing
from nas_engine_cgo.write import Function

__all__ = ["Subject", "differing"]

Found = dict[str, Tensor | None]


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
) -> list[int]:
    """The members whose results, gradients or buffers differ in some bit.

    Args:
        subjects: the members.
        function: their merged code.
        bound: makes a function of it that calls submodules of these modules.
        training: whether they are trained.
    """
    together = _together(subjects, function, bound, training)
    return [
        number
        for number, subject in enumerate(subjects)
        if not _equal(together[number], _alone(subject, training))
    ]


def _together(
    subjects: Sequence[Subject],
    function: Function,
    bound: Callable[[Sequence[nn.Module]], Callable[..., Any]],
    training: bool,
) -> list[Found]:
    modules = [duplicate(subject.module).train(training) for subject in subjects]
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
